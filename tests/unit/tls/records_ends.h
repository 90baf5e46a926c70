/* Both ends of a connection's records, with keys drawn from the seed. */
#ifndef HWS_TESTS_RECORDS_ENDS_H
#define HWS_TESTS_RECORDS_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tls/records.h"

struct ends {
    struct hws_tls_records *us;   /* the server */
    struct hws_tls_records *peer; /* the client */
    struct hws_tls_records_start start;
};

/* Keys wear at soft_blocks; 0 = the default. */
void ends_init(struct ends *e, bool tls13, uint64_t soft_blocks);
void ends_deinit(struct ends *e);

/* Opens all of wire in pieces of `piece` bytes (0 = at once) with a buffer of cap bytes. */
enum hws_code open_all(struct hws_tls_records *r, const struct hws_buf *wire, size_t piece,
                       size_t cap, struct hws_buf *got, struct hws_buf *reply, struct hws_err *err);

/* Seals what lies in a row. */
enum hws_code seal_run(struct hws_tls_records *r, const uint8_t *bytes, size_t n,
                       struct hws_buf *out, size_t *out_taken, struct hws_err *err);

#endif
