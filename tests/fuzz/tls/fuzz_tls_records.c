/*
 * Fuzzes the opener of records. The first byte chooses version and side and the sizes of pieces and
 * of the reader's buffer. Then steps: an even byte T, a length L and L bytes are one record, sealed
 * with the right keys by an independent hand, of inner type T / 2 (so that what is inside is
 * reached); an odd byte, L and L bytes are raw bytes of the wire.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/aead.h"
#include "tls/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct hand { /* the peer's writing side */
    struct hws_tls_aead aead;
    struct hws_tls_traffic keys;
    uint8_t secret[HWS_TLS_SECRET_MAX_BYTES];
    uint64_t seq;
    bool tls13;
};

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void use(struct hand *h)
{
    if (h->tls13) {
        must(hws_tls_traffic13(HWS_TLS_HASH_SHA256, h->secret, 16, &h->keys, NULL) == HWS_OK);
        h->seq = 0;
    }
    must(hws_tls_aead_set_key(&h->aead, HWS_TLS_AEAD_LIBCRYPTO, h->keys.key, 16, true, NULL) ==
         HWS_OK);
}

static void seal(struct hand *h, uint8_t type, const uint8_t *bytes, size_t n, struct hws_buf *wire)
{
    uint8_t nonce[12];
    uint8_t seq[13] = {0};
    size_t body = n + 16 + (h->tls13 ? 1 : 8);
    uint8_t *to = NULL;

    must(hws_buf_reserve(wire, 5 + body, &to) == HWS_OK);
    for (int i = 0; i < 8; i++) {
        seq[i] = (uint8_t)(h->seq >> (56 - 8 * i));
    }
    h->seq++;
    to[0] = h->tls13 ? 23 : type;
    to[1] = to[2] = 3;
    to[3] = (uint8_t)(body >> 8);
    to[4] = (uint8_t)body;
    memcpy(nonce, h->keys.iv, sizeof(nonce));
    const struct hws_span texts[] = {{bytes, n}, {&type, 1}};
    if (h->tls13) {
        for (int i = 0; i < 8; i++) {
            nonce[4 + i] ^= seq[i];
        }
        must(hws_tls_aead_seal(&h->aead, nonce, (struct hws_span){to, 5}, texts, 2, to + 5));
    } else {
        memcpy(nonce + 4, seq, 8);
        memcpy(to + 5, seq, 8);
        seq[8] = type;
        seq[9] = seq[10] = 3;
        seq[11] = (uint8_t)(n >> 8);
        seq[12] = (uint8_t)n;
        must(hws_tls_aead_seal(&h->aead, nonce, (struct hws_span){seq, 13}, texts, 1, to + 13));
    }
    hws_buf_commit(wire, 5 + body);
}

/* Opens what is on the wire in pieces; the opener's failure, or HWS_OK. */
static enum hws_code open_all(struct hws_tls_records *r, struct hws_buf *wire, uint8_t how,
                              struct hws_buf *reply)
{
    uint8_t out[300];
    size_t cap = how & 0x10 ? sizeof(out) : 7;
    size_t piece = how & 0x20 ? SIZE_MAX : 3;
    enum hws_code rc = HWS_OK;

    while (hws_buf_len(wire) > 0 && rc == HWS_OK) {
        size_t k = hws_buf_len(wire) < piece ? hws_buf_len(wire) : piece;
        struct hws_span in = {hws_buf_peek(wire), k};
        size_t n = 0;
        do {
            rc = hws_tls_records_open(r, &in, out, cap, &n, reply, NULL);
            must(rc != HWS_OK || n <= cap);
        } while (rc == HWS_OK && n > 0);
        must(rc != HWS_OK || in.n == 0 || hws_tls_records_is_done(r));
        hws_buf_take(wire, k);
    }
    return rc;
}

static void run(struct hws_tls_records *r, struct hand *h, const uint8_t *data, size_t size)
{
    struct hws_buf wire;
    struct hws_buf reply;
    enum hws_code rc = HWS_OK;

    hws_buf_init(&wire, 0);
    hws_buf_init(&reply, 0);
    for (size_t at = 1; at + 2 <= size && rc == HWS_OK;) {
        uint8_t step = data[at];
        size_t n = data[at + 1];
        at += 2;
        n = n < size - at ? n : size - at;
        if (step % 2 == 0) {
            seal(h, step / 2, data + at, n, &wire);
            bool update =
                h->tls13 && step / 2 == 22 && n == 5 && memcmp(data + at, "\x18\0\0\1", 4) == 0;
            rc = open_all(r, &wire, data[0], &reply);
            if (update) {
                must(hws_tls_secret_update(HWS_TLS_HASH_SHA256, h->secret, NULL) == HWS_OK);
                use(h);
            }
        } else {
            must(hws_buf_put(&wire, data + at, n) == HWS_OK);
            rc = open_all(r, &wire, data[0], &reply);
        }
        at += n;
        must(hws_buf_len(&reply) < 4096); /* nobody makes us say much */
    }
    hws_buf_deinit(&wire);
    hws_buf_deinit(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_tls_records_start s;
    struct hws_tls_records *r = NULL;
    struct hand h;

    if (size == 0) {
        return 0;
    }
    memset(&s, 7, sizeof(s));
    memset(&h, 0, sizeof(h));
    s.tls13 = (data[0] & 1) != 0;
    s.server = (data[0] & 2) != 0;
    s.hash = HWS_TLS_HASH_SHA256;
    s.n_key = s.read.n_key = s.write.n_key = 16;
    s.seq = 0;
    s.soft_blocks = (data[0] & 4) != 0 ? 20 : 0;
    h.tls13 = s.tls13;
    memcpy(h.secret, s.read_secret, sizeof(h.secret));
    h.keys = s.read;
    use(&h);
    if (hws_tls_records_new(&s, &r, NULL) == HWS_OK) {
        run(r, &h, data, size);
        hws_tls_records_free(r);
    }
    hws_tls_aead_deinit(&h.aead);
    return 0;
}
