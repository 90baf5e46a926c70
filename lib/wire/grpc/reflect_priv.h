/* The reflection index as the answers see it, and reading descriptors. */
#ifndef HWS_GRPC_REFLECT_PRIV_H
#define HWS_GRPC_REFLECT_PRIV_H

#include <stdbool.h>

#include "grpc/reflect.h"

struct hws_grpc_reflect_field {
    uint32_t number;
    uint64_t value;       /* of a varint */
    struct hws_span span; /* of a length-delimited field; bytes is NULL for other types */
};

/* Takes the next field off the front of *in; false at the end, or at malformed bytes (then *out_bad
 * is set too). */
bool hws_grpc__reflect_next(struct hws_span *in, struct hws_grpc_reflect_field *f, bool *out_bad);

/* The last length-delimited field of a number; empty if there is none. */
struct hws_span hws_grpc__reflect_span(struct hws_span in, uint32_t number, bool *out_bad);

/* The file by its name, by a symbol it declares (a leading dot is ignored), or by an extension;
 * NULL if there is none. */
const struct hws_grpc_reflect_file *hws_grpc__reflect_file(const struct hws_grpc_reflect *r,
                                                           const void *name, size_t n);
const struct hws_grpc_reflect_file *hws_grpc__reflect_symbol(const struct hws_grpc_reflect *r,
                                                             const char *name);
const struct hws_grpc_reflect_file *hws_grpc__reflect_extension(const struct hws_grpc_reflect *r,
                                                                const char *type, int32_t number);

#endif
