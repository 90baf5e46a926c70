/*
 * Metadata: the application's own header and trailer fields, bounded in number and size.
 *
 * Values of names that end in "-bin" are raw bytes here; base64 exists on the wire only (padded or
 * unpadded in, unpadded out; several values joined by ',' are split). Other values are printable
 * ASCII. A zeroed struct is valid, empty and unlimited; the owner embeds it. One thread at a time.
 */
#ifndef HWS_GRPC_META_H
#define HWS_GRPC_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define HWS_GRPC_META_SENT_FIELDS 128u /* that go into one block of ours */

struct hws_grpc_meta_entry {
    uint32_t name_at;  /* offset in text */
    uint32_t value_at; /* offset in text */
    uint32_t n_value;
    uint16_t n_name;
};

struct hws_grpc_meta {
    struct hws_grpc_meta_entry *entries; /* owned */
    uint32_t n_entries;
    uint32_t cap_entries;
    uint32_t max_entries; /* 0 = 64 */
    uint32_t max_bytes;   /* of names + values + 32 each; 0 = 8192 */
    uint32_t used_bytes;
    struct hws_buf text; /* owned; names and values, each followed by a NUL */
};

/* Frees what it owns and zeroes the struct. */
void hws_grpc_meta_deinit(struct hws_grpc_meta *m);

/* Drops all entries, keeps the memory. */
void hws_grpc_meta_reset(struct hws_grpc_meta *m);

/*
 * Adds one field. name: lower case letters, digits, '_', '-', '.', not empty, not beginning with
 * ':' or "grpc-" (but grpc-retry-pushback-ms and grpc-previous-rpc-attempts), and none of gRPC's
 * own fields or HTTP's (te, content-type, user-agent, host, content-length, and what HTTP/2
 * forbids: connection, keep-alive, proxy-connection, transfer-encoding, upgrade). value: any bytes
 * for a
 * "-bin" name, else 0x20..0x7e without leading or trailing space. HWS_E_INVALID, HWS_E_BUSY over a
 * limit, HWS_E_NOMEM.
 */
enum hws_code hws_grpc_meta_add(struct hws_grpc_meta *m, const char *name, const void *value,
                                size_t n_value, struct hws_err *err) HWS_MUST_USE;

/* As hws_grpc_meta_add, with its errors, of a NUL-terminated text. */
enum hws_code hws_grpc_meta_add_text(struct hws_grpc_meta *m, const char *name, const char *value,
                                     struct hws_err *err) HWS_MUST_USE;

/*
 * Adds a field as received: decodes base64 and splits at ',' for "-bin" names; others are stored as
 * they are. HWS_E_PROTO for bad base64, HWS_E_BUSY over a limit, HWS_E_NOMEM; the entries before it
 * stay.
 */
enum hws_code hws_grpc_meta_add_wire(struct hws_grpc_meta *m, const uint8_t *name, size_t n_name,
                                     const uint8_t *value, size_t n_value, struct hws_err *err)
    HWS_MUST_USE;

/* The idx-th value of a name (borrowed until the next add or reset; a NUL follows it); false if
 * there is none. */
bool hws_grpc_meta_get(const struct hws_grpc_meta *m, const char *name, size_t idx,
                       struct hws_span *out_value);

/* Entry number idx < n_entries; both borrowed as above. */
void hws_grpc_meta_at(const struct hws_grpc_meta *m, size_t idx, struct hws_span *out_name,
                      struct hws_span *out_value);

/* True for a name that ends in "-bin". */
bool hws_grpc_meta_is_bin(const void *name, size_t n_name);

/* Base64, standard alphabet, no padding. Returns the characters written; dst holds (n * 4 + 2) / 3.
 */
size_t hws_grpc_base64_encode(const uint8_t *bytes, size_t n, char *dst);

/* Accepts padded and unpadded text; stray bits in the last character are refused. dst holds n / 4 *
 * 3 + 3. HWS_E_PROTO. */
enum hws_code hws_grpc_base64_decode(const uint8_t *text, size_t n, uint8_t *dst, size_t *out_n)
    HWS_MUST_USE;

#endif
