/*
 * grpc.reflection.v1 and v1alpha: list of services, file by name, file by symbol, extensions of a
 * type, from serialized google.protobuf.FileDescriptorSets that the owner embeds. The service list
 * is that of the server's method table, so that what is listed is what is served. Nothing is copied
 * from the sets but an index.
 */
#ifndef HWS_GRPC_REFLECT_H
#define HWS_GRPC_REFLECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "grpc/server.h"

#define HWS_GRPC_REFLECT_FILES   256u   /* in all sets */
#define HWS_GRPC_REFLECT_SYMBOLS 16384u /* in all sets */
#define HWS_GRPC_REFLECT_DEPTH   16u    /* of nested messages */

struct hws_grpc_reflect_file {
    struct hws_span name;  /* borrowed from the set */
    struct hws_span bytes; /* the serialized FileDescriptorProto */
};

struct hws_grpc_reflect_symbol {
    char *name; /* owned, fully qualified, no leading dot */
    uint32_t file_idx;
};

struct hws_grpc_reflect_ext {
    char *extendee; /* owned, no leading dot */
    int32_t number;
    uint32_t file_idx;
};

struct hws_grpc_reflect {
    const struct hws_grpc_server *server; /* borrowed; set by register */
    struct hws_grpc_reflect_file *files;  /* owned */
    size_t n_files;
    struct hws_grpc_reflect_symbol *symbols; /* owned; sorted by name */
    size_t n_symbols;
    struct hws_grpc_reflect_ext *exts; /* owned */
    size_t n_exts;
};

/* Starts an empty index. Allocates nothing. */
void hws_grpc_reflect_init(struct hws_grpc_reflect *r);
void hws_grpc_reflect_deinit(struct hws_grpc_reflect *r);

/* Indexes one FileDescriptorSet (borrowed for the index's life); a file name that is there already
 * is skipped. HWS_E_PROTO for bytes that are no such set, HWS_E_BUSY over a limit, HWS_E_NOMEM.
 * After an error: deinit. */
enum hws_code hws_grpc_reflect_add(struct hws_grpc_reflect *r, const uint8_t *set, size_t n,
                                   struct hws_err *err) HWS_MUST_USE;

/* Adds both services to a server; r outlives it. Errors as hws_grpc_server_add. */
enum hws_code hws_grpc_reflect_register(struct hws_grpc_reflect *r, struct hws_grpc_server *server,
                                        struct hws_err *err) HWS_MUST_USE;

/* Answers one ServerReflectionRequest into out (appended): one ServerReflectionResponse.
 * HWS_E_PROTO, HWS_E_NOMEM. */
struct hws_buf;
enum hws_code hws_grpc_reflect_answer(const struct hws_grpc_reflect *r, const uint8_t *request,
                                      size_t n, struct hws_buf *out, struct hws_err *err)
    HWS_MUST_USE;

#endif
