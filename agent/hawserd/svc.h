/*
 * What the services share: unpacking requests and packing answers with the project's allocator, and
 * texts that protobuf-c wants as char *. Generated types stay in svc_*.c.
 */
#ifndef HWS_HAWSERD_SVC_H
#define HWS_HAWSERD_SVC_H

#include <protobuf-c/protobuf-c.h>

#include "hawserd/task.h"
#include "hca/reg.h"

/* Unpacks; HWS_E_PROTO when the bytes are not such a message, HWS_E_NOMEM. */
enum hws_code hws_svc_unpack(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n,
                             void **out, struct hws_err *err) HWS_MUST_USE;

/* Frees what unpack made; NULL is allowed. */
void hws_svc_free(void *message);

/* Packs into an empty buffer. HWS_E_NOMEM. */
enum hws_code hws_svc_pack(const ProtobufCMessage *m, struct hws_buf *out) HWS_MUST_USE;

/* Packs the answer and ends the operation's run; fails it if the arena or the packing failed. */
void hws_svc_reply(struct hws_task *task, const ProtobufCMessage *m);

/* Packs and queues one message of a server stream; false if the operation was failed instead. */
bool hws_svc_send(struct hws_task *task, const ProtobufCMessage *m);

/* Finds the adapter a request names and puts it into task->want. */
enum hws_code hws_svc_adapter(struct hws_task *task, const char *device, struct hws_err *err)
    HWS_MUST_USE;

/* Blames a field: sets want.field and returns err's code. */
enum hws_code hws_svc_blame(struct hws_task *task, const char *field, struct hws_err *err);

/*
 * The digest of what a request asks for: of all its fields but `mutation`, so that a repeat by the
 * next holder of the fence is the same request. The message is as before after it. HWS_E_NOMEM.
 */
enum hws_code hws_svc_content(ProtobufCMessage *m, struct hws_digest *out) HWS_MUST_USE;

/* Notes for the record the scope of the register access that the operation is about. */
void hws_svc_scope(struct hws_task *task, const char *name, enum hws_reg_method method);

/* Takes a hawser.v1.Mutation (NULL: not given) into task->want.mutation. */
void hws_svc_mutation(struct hws_task *task, const ProtobufCMessage *message);

/* The digest as hex in the operation's arena. */
char *hws_svc_hex(struct hws_task *task, const struct hws_digest *d);

#endif
