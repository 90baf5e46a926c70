/*
 * A protobuf-c service on the method table: its methods listed by name, their requests parsed. The
 * kind of each method is read from the descriptor set that protoc wrote of the same .proto file.
 *
 *     static const struct hws_grpc_service_method methods[] = {{"Echo", echo}, {"Pour", pour}};
 *     const struct hws_grpc_service_def def = {&bench__descriptor, set, n_set, methods, 2};
 *     hws_grpc_service_add(&service, &server, &def, &err);
 *
 * A method of the service that is not listed answers UNIMPLEMENTED; a request that does not parse
 * INTERNAL. One thread, that of the server.
 */
#ifndef HWS_GRPC_SERVICE_H
#define HWS_GRPC_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "grpc/call.h"
#include "grpc/server.h"

struct hws_grpc_service_method {
    const char *name; /* as in the .proto file */
    /* One request message, really of the method's input type, to which the handler casts it; freed
     * when this returns. Answer with hws_grpc_service_reply, or hws_grpc_pb_send and
     * hws_grpc_call_finish, now or later. A client stream is answered in ops' on_half_close. */
    void (*on_message)(struct hws_grpc_call *call, const ProtobufCMessage *message);
    /* The other callbacks; its on_message is not used. May be NULL: then a cancelled call is let
     * go. With it, an on_cancel of NULL does the same. */
    const struct hws_grpc_call_ops *ops;
    bool long_lived; /* as in struct hws_grpc_method */
};

struct hws_grpc_service_def { /* copied; what it points to lives as long as the service */
    const ProtobufCServiceDescriptor *descriptor;
    const uint8_t *set; /* a serialized google.protobuf.FileDescriptorSet; read during add only */
    size_t n_set;
    const struct hws_grpc_service_method *methods;
    size_t n_methods;
    void *data; /* hws_grpc_call_data of a new call, and on_call's */
};

struct hws_grpc_service { /* the engine's; the owner embeds it */
    struct hws_grpc_service_def def;
    struct hws_grpc_method *rows;              /* owned */
    const ProtobufCMessageDescriptor **inputs; /* owned array */
    char *paths;                               /* owned */
};

/*
 * Adds the listed methods to a server, which the service outlives. HWS_E_NOT_FOUND: a method that
 * the descriptor or the set does not have; HWS_E_INVALID: one without on_message; HWS_E_PROTO:
 * bytes that are no descriptor set; HWS_E_EXISTS: the server has the method already; HWS_E_NOMEM.
 * After an error nothing is held.
 */
enum hws_code hws_grpc_service_add(struct hws_grpc_service *service, struct hws_grpc_server *server,
                                   const struct hws_grpc_service_def *def, struct hws_err *err)
    HWS_MUST_USE;

/* Frees it, after the server. Accepts a zeroed one. */
void hws_grpc_service_deinit(struct hws_grpc_service *service);

/* Sends the one response ("&words.base" of a generated struct, read before it returns; compressed
 * if hws_grpc_call_compress said so) and ends the call with OK; on a full connection it waits in
 * its stream. RESOURCE_EXHAUSTED without memory, when an account of the peer holds its most, and
 * for a message over the limit. */
void hws_grpc_service_reply(struct hws_grpc_call *call, const ProtobufCMessage *message);

#endif
