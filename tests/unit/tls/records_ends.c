/* The ends of records_ends.h. */
#include "records_ends.h"

#include <string.h>

#include "base/mem.h"
#include "test.h"

void ends_init(struct ends *e, bool tls13, uint64_t soft_blocks)
{
    struct hws_tls_records_start *s = &e->start;
    uint64_t seed = hws_test_seed();
    struct hws_err err;

    memset(e, 0, sizeof(*e));
    s->tls13 = tls13;
    s->server = true;
    s->hash = HWS_TLS_HASH_SHA256;
    s->n_key = 16;
    s->seq = tls13 ? 0 : 1;
    s->soft_blocks = soft_blocks;
    for (size_t i = 0; i < 32; i++) {
        s->read_secret[i] = (uint8_t)hws_test_rand(&seed);
        s->write_secret[i] = (uint8_t)hws_test_rand(&seed);
        s->read.key[i] = (uint8_t)hws_test_rand(&seed);
        s->write.key[i] = (uint8_t)hws_test_rand(&seed);
        s->read.iv[i % 12] = (uint8_t)hws_test_rand(&seed);
        s->write.iv[i % 12] = (uint8_t)hws_test_rand(&seed);
    }
    s->read.n_key = 16;
    s->write.n_key = 16;
    assert_ok(hws_tls_records_new(s, &e->us, &err), &err);
    struct hws_tls_records_start other = *s;
    other.server = false;
    memcpy(other.read_secret, s->write_secret, sizeof(s->write_secret));
    memcpy(other.write_secret, s->read_secret, sizeof(s->read_secret));
    other.read = s->write;
    other.write = s->read;
    assert_ok(hws_tls_records_new(&other, &e->peer, &err), &err);
}

void ends_deinit(struct ends *e)
{
    hws_tls_records_free(e->us);
    hws_tls_records_free(e->peer);
}

enum hws_code open_all(struct hws_tls_records *r, const struct hws_buf *wire, size_t piece,
                       size_t cap, struct hws_buf *got, struct hws_buf *reply, struct hws_err *err)
{
    size_t total = hws_buf_len(wire);
    uint8_t *out = assert_got(hws_mem_alloc(cap));
    enum hws_code rc = HWS_OK;

    for (size_t at = 0; at < total && rc == HWS_OK;) {
        size_t k = piece == 0 || total - at < piece ? total - at : piece;
        struct hws_span in = {.bytes = hws_buf_peek(wire) + at, .n = k};
        size_t n = 0;
        at += k;
        do {
            rc = hws_tls_records_open(r, &in, out, cap, &n, reply, err);
            if (rc == HWS_OK && n > 0) {
                assert_code(hws_buf_put(got, out, n), HWS_OK);
            }
        } while (rc == HWS_OK && n > 0);
        if (rc == HWS_OK) {
            assert_int_equal(in.n, 0);
        }
    }
    hws_mem_free(out);
    return rc;
}

enum hws_code seal_run(struct hws_tls_records *r, const uint8_t *bytes, size_t n,
                       struct hws_buf *out, size_t *out_taken, struct hws_err *err)
{
    const struct hws_span span = {.bytes = bytes, .n = n};

    return hws_tls_records_seal(r, &span, 1, out, out_taken, err);
}
