/*
 * tls/records: two ends with keys of the test's own, both versions. A peer that breaks the rules is
 * played by sealing by hand with tls/aead.
 */
#include <string.h>

#include "base/mem.h"
#include "test.h"
#include "tls/aead.h"
#include "tls/records.h"

struct ends {
    struct hws_tls_records *us;   /* the server */
    struct hws_tls_records *peer; /* the client */
    struct hws_tls_records_start start;
};

static void ends_init(struct ends *e, bool tls13, uint64_t soft_blocks)
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

static void ends_deinit(struct ends *e)
{
    hws_tls_records_free(e->us);
    hws_tls_records_free(e->peer);
}

/* Opens all of wire in pieces of `piece` bytes (0 = at once) with a buffer of cap bytes. */
static enum hws_code open_all(struct hws_tls_records *r, const struct hws_buf *wire, size_t piece,
                              size_t cap, struct hws_buf *got, struct hws_buf *reply,
                              struct hws_err *err)
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

/* Seals what lies in a row. */
static enum hws_code seal_run(struct hws_tls_records *r, const uint8_t *bytes, size_t n,
                              struct hws_buf *out, size_t *out_taken, struct hws_err *err)
{
    const struct hws_span span = {.bytes = bytes, .n = n};

    return hws_tls_records_seal(r, &span, 1, out, out_taken, err);
}

/* A record is filled from its spans, not begun anew at each. */
static void a_record_is_gathered_from_its_spans(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        uint8_t *data = assert_got(hws_mem_zalloc(1, 40000));
        struct ends e;
        struct hws_buf wire;
        struct hws_buf got;
        struct hws_err err;
        size_t taken = 0;
        ends_init(&e, version == 1, 0);
        hws_buf_init(&wire, 0);
        hws_buf_init(&got, 0);
        uint64_t seed = hws_test_seed();
        for (size_t i = 0; i < 40000; i++) {
            data[i] = (uint8_t)hws_test_rand(&seed);
        }
        const struct hws_span spans[] = {
            {data, 9}, {data, 0}, {data + 9, 20000}, {data + 20009, 9}};
        assert_ok(hws_tls_records_seal(e.peer, spans, 4, &wire, &taken, &err), &err);
        assert_int_equal(taken, HWS_TLS_RECORD_MAX_BYTES);
        const struct hws_span rest[] = {{data + taken, 20009 - taken}, {data + 20009, 9}};
        assert_ok(hws_tls_records_seal(e.peer, rest, 2, &wire, &taken, &err), &err);
        assert_int_equal(taken, 20018 - HWS_TLS_RECORD_MAX_BYTES);
        struct hws_span many[HWS_TLS_RECORD_SPANS + 1];
        for (size_t i = 0; i < HWS_TLS_RECORD_SPANS + 1; i++) {
            many[i] = (struct hws_span){data + 20018 + i, 1};
        }
        assert_ok(hws_tls_records_seal(e.peer, many, HWS_TLS_RECORD_SPANS + 1, &wire, &taken, &err),
                  &err);
        assert_int_equal(taken, HWS_TLS_RECORD_SPANS);
        assert_ok(open_all(e.us, &wire, 0, 65536, &got, NULL, &err), &err);
        assert_int_equal(hws_buf_len(&got), 20018 + HWS_TLS_RECORD_SPANS);
        assert_memory_equal(hws_buf_peek(&got), data, 20018 + HWS_TLS_RECORD_SPANS);
        hws_buf_deinit(&wire);
        hws_buf_deinit(&got);
        hws_mem_free(data);
        ends_deinit(&e);
    }
}

static void data_passes_whatever_the_pieces_and_the_buffers(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 1000, 16383, 16384, 16385, 70000};
    static const size_t pieces[] = {0, 1, 4, 5, 6, 1000, 16384};
    static const size_t caps[] = {1, 100, 16384, 16385, 65536};
    uint64_t seed = hws_test_seed();
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        ends_init(&e, version == 1, 0);
        for (size_t round = 0; round < 60; round++) {
            size_t size = sizes[hws_test_rand(&seed) % 9];
            uint8_t *data = assert_got(hws_mem_alloc(size));
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            for (size_t i = 0; i < size; i++) {
                data[i] = (uint8_t)hws_test_rand(&seed);
            }
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            for (size_t at = 0; at < size;) {
                size_t taken = 0;
                assert_ok(seal_run(e.peer, data + at, size - at, &wire, &taken, &err), &err);
                at += taken;
            }
            assert_ok(open_all(e.us, &wire, pieces[hws_test_rand(&seed) % 7],
                               caps[hws_test_rand(&seed) % 5], &got, &reply, &err),
                      &err);
            assert_int_equal(hws_buf_len(&got), size);
            assert_memory_equal(hws_buf_peek(&got), data, size);
            assert_int_equal(hws_buf_len(&reply), 0);
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_mem_free(data);
        }
        ends_deinit(&e);
    }
}

static void every_flipped_bit_of_a_record_ends_the_connection(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        for (size_t bit = 0;; bit++) {
            struct ends e;
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            size_t taken = 0;
            ends_init(&e, version == 1, 0);
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            assert_ok(seal_run(e.peer, (const uint8_t *)"hawser", 6, &wire, &taken, &err), &err);
            bool last = bit == 8 * hws_buf_len(&wire);
            if (!last) {
                wire.bytes[wire.head + bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            enum hws_code rc = open_all(e.us, &wire, 0, 100, &got, &reply, &err);
            /* A length that became longer waits for bytes that never come: the end of the stream is
             * then a truncation. Nothing forged comes out in any case. */
            bool longer = bit / 8 == 3 || bit / 8 == 4;
            if (last) {
                assert_ok(rc, &err);
            } else if (rc == HWS_OK) {
                assert_true(longer);
            } else {
                assert_code(rc, HWS_E_PROTO);
                assert_true(hws_buf_len(&reply) > 0); /* the alert */
            }
            assert_int_equal(hws_buf_len(&got), last ? 6 : 0);
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
            ends_deinit(&e);
            if (last) {
                break;
            }
        }
    }
}

static void a_record_is_taken_once_and_in_order(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        for (int what = 0; what < 2; what++) { /* repeated, swapped */
            struct ends e;
            struct hws_buf one;
            struct hws_buf two;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            size_t taken = 0;
            ends_init(&e, version == 1, 0);
            hws_buf_init(&one, 0);
            hws_buf_init(&two, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            assert_ok(seal_run(e.peer, (const uint8_t *)"one", 3, &one, &taken, &err), &err);
            assert_ok(seal_run(e.peer, (const uint8_t *)"two", 3, &two, &taken, &err), &err);
            if (what == 0) {
                assert_ok(open_all(e.us, &one, 0, 100, &got, &reply, &err), &err);
                assert_code(open_all(e.us, &one, 0, 100, &got, &reply, &err), HWS_E_PROTO);
            } else {
                assert_code(open_all(e.us, &two, 0, 100, &got, &reply, &err), HWS_E_PROTO);
            }
            assert_code(open_all(e.us, &two, 0, 100, &got, &reply, &err), HWS_E_STATE);
            hws_buf_deinit(&one);
            hws_buf_deinit(&two);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
            ends_deinit(&e);
        }
    }
}

/* ---- a peer of TLS 1.3 that says what it likes
 * ---------------------------------------------------
 */

struct hand {
    struct hws_tls_aead aead;
    struct hws_tls_traffic keys;
    uint8_t secret[HWS_TLS_SECRET_MAX_BYTES];
    uint64_t seq;
};

static void hand_use(struct hand *h)
{
    struct hws_err err;
    assert_ok(hws_tls_traffic13(HWS_TLS_HASH_SHA256, h->secret, 16, &h->keys, &err), &err);
    assert_ok(hws_tls_aead_set_key(&h->aead, HWS_TLS_AEAD_LIBCRYPTO, h->keys.key, 16, true, &err),
              &err);
    h->seq = 0;
}

static void hand_init(struct hand *h, const uint8_t *secret)
{
    memset(h, 0, sizeof(*h));
    memcpy(h->secret, secret, sizeof(h->secret));
    hand_use(h);
}

static void hand_update(struct hand *h)
{
    struct hws_err err;
    assert_ok(hws_tls_secret_update(HWS_TLS_HASH_SHA256, h->secret, &err), &err);
    hand_use(h);
}

/* One record of this inner type with n_pad zeros behind it. */
static void hand_seal(struct hand *h, uint8_t type, const void *bytes, size_t n, size_t n_pad,
                      struct hws_buf *wire)
{
    uint8_t tail[256] = {type};
    uint8_t nonce[HWS_TLS_NONCE_BYTES];
    size_t body = n + 1 + n_pad + HWS_TLS_TAG_BYTES;
    uint8_t *to = NULL;

    assert_true(n_pad < sizeof(tail));
    assert_code(hws_buf_reserve(wire, 5 + body, &to), HWS_OK);
    const uint8_t header[] = {23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
    memcpy(to, header, 5);
    memcpy(nonce, h->keys.iv, sizeof(nonce));
    nonce[11] ^= (uint8_t)h->seq;
    assert_true(h->seq < 256);
    h->seq++;
    const struct hws_span texts[] = {{bytes, n}, {tail, 1 + n_pad}};
    assert_true(hws_tls_aead_seal(&h->aead, nonce, (struct hws_span){to, 5}, texts, 2, to + 5));
    hws_buf_commit(wire, 5 + body);
}

#define HANDSHAKE 22
#define ALERT     21
#define DATA      23
#define UPDATE    "\x18\x00\x00\x01"
#define TICKET    "\x04\x00\x00\x05"

/* One thing a peer may do with content types, and what we make of it; as server and as client. */
struct row {
    const char *what;
    enum hws_code as_server;
    enum hws_code as_client;
    struct {
        uint8_t type;
        const char *bytes;
        size_t n;
        size_t pad;
    } records[3];
};

static const struct row s_rows[] = {
    {"data with padding", HWS_OK, HWS_OK, {{DATA, "aye", 3, 200}}},
    {"empty data", HWS_OK, HWS_OK, {{DATA, "", 0, 0}, {DATA, "aye", 3, 0}}},
    {"empty data with padding", HWS_OK, HWS_OK, {{DATA, "", 0, 9}, {DATA, "aye", 3, 0}}},
    {"a type of zero, so nothing but padding", HWS_E_PROTO, HWS_E_PROTO, {{0, "", 0, 7}}},
    {"an unknown type", HWS_E_PROTO, HWS_E_PROTO, {{24, "x", 1, 0}}},
    {"a ChangeCipherSpec inside", HWS_E_PROTO, HWS_E_PROTO, {{20, "\x01", 1, 0}}},
    {"an alert cut short", HWS_E_PROTO, HWS_E_PROTO, {{ALERT, "\x01", 1, 0}}},
    {"two alerts in one", HWS_E_PROTO, HWS_E_PROTO, {{ALERT, "\x01\x00\x01\x00", 4, 0}}},
    {"an empty alert", HWS_E_PROTO, HWS_E_PROTO, {{ALERT, "", 0, 0}}},
    {"a fatal alert", HWS_E_GONE, HWS_E_GONE, {{ALERT, "\x02\x50", 2, 0}}},
    {"a warning", HWS_E_GONE, HWS_E_GONE, {{ALERT, "\x01\x5a", 2, 0}}},
    {"close_notify", HWS_OK, HWS_OK, {{DATA, "aye", 3, 0}, {ALERT, "\x01\x00", 2, 0}}},
    {"an empty handshake record", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, "", 0, 0}}},
    {"a ticket", HWS_E_PROTO, HWS_OK, {{HANDSHAKE, TICKET "12345", 9, 0}, {DATA, "aye", 3, 0}}},
    {"a ticket in pieces",
     HWS_E_PROTO,
     HWS_OK,
     {{HANDSHAKE, TICKET, 3, 0},
      {HANDSHAKE,
       "\x05"
       "1234",
       5, 0},
      {HANDSHAKE, "5", 1, 0}}},
    {"two tickets in one",
     HWS_E_PROTO,
     HWS_OK,
     {{HANDSHAKE, TICKET "12345" TICKET "12345", 18, 0}, {DATA, "aye", 3, 0}}},
    {"a ticket of no bytes", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, "\x04\0\0\0", 4, 0}}},
    {"a ticket of 16 MiB", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, "\x04\xff\xff\xff", 4, 0}}},
    {"data inside a ticket",
     HWS_E_PROTO,
     HWS_E_PROTO,
     {{HANDSHAKE, TICKET "123", 7, 0}, {DATA, "aye", 3, 0}}},
    {"a KeyUpdate of kind 2", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, UPDATE "\x02", 5, 0}}},
    {"a KeyUpdate of two bytes", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, "\x18\0\0\x02\0\0", 6, 0}}},
    {"a KeyUpdate with more behind",
     HWS_E_PROTO,
     HWS_E_PROTO,
     {{HANDSHAKE, UPDATE "\0" UPDATE "\0", 10, 0}}},
    {"half a KeyUpdate, then data",
     HWS_E_PROTO,
     HWS_E_PROTO,
     {{HANDSHAKE, UPDATE, 4, 0}, {DATA, "aye", 3, 0}}},
    {"half a KeyUpdate, then close_notify",
     HWS_E_PROTO,
     HWS_E_PROTO,
     {{HANDSHAKE, UPDATE, 2, 0}, {ALERT, "\x01\0", 2, 0}}},
    {"a CertificateRequest", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, "\x0d\0\0\x03\0\0\0", 7, 0}}},
    {"a ClientHello", HWS_E_PROTO, HWS_E_PROTO, {{HANDSHAKE, "\x01\0\0\x01\0", 5, 0}}},
};

static void only_data_alerts_key_changes_and_tickets_have_a_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(s_rows) / sizeof(s_rows[0]); i++) {
        const struct row *row = &s_rows[i / 2];
        struct ends e;
        struct hand h;
        struct hws_buf wire;
        struct hws_buf got;
        struct hws_buf reply;
        struct hws_err err = {0};
        ends_init(&e, true, 0);
        bool server = i % 2 == 0;
        hand_init(&h, server ? e.start.read_secret : e.start.write_secret);
        hws_buf_init(&wire, 0);
        hws_buf_init(&got, 0);
        hws_buf_init(&reply, 0);
        for (size_t k = 0; k < 3 && row->records[k].bytes != NULL; k++) {
            hand_seal(&h, row->records[k].type, row->records[k].bytes, row->records[k].n,
                      row->records[k].pad, &wire);
        }
        enum hws_code rc = open_all(server ? e.us : e.peer, &wire, 0, 65536, &got, &reply, &err);
        if (rc != (server ? row->as_server : row->as_client)) {
            fail_msg("%s (%s): %s %s", row->what, server ? "server" : "client", hws_code_name(rc),
                     err.msg);
        }
        /* A refusal is told to the peer, who can read it; an alert of its own is not answered. */
        assert_int_equal(hws_buf_len(&reply) > 0, rc == HWS_E_PROTO);
        hws_buf_deinit(&wire);
        hws_buf_deinit(&got);
        hws_buf_deinit(&reply);
        hws_tls_aead_deinit(&h.aead);
        ends_deinit(&e);
    }
}

/* Whole and cut at every byte: both directions change keys when asked to. */
static void a_key_update_is_honoured_whole_and_in_pieces(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= 5; cut++) {
        for (uint8_t ask = 0; ask < 2; ask++) {
            const uint8_t message[] = {0x18, 0, 0, 1, ask};
            struct ends e;
            struct hand h;
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            struct hws_err err;
            size_t taken = 0;
            ends_init(&e, true, 0);
            hand_init(&h, e.start.read_secret);
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            if (cut > 0) {
                hand_seal(&h, HANDSHAKE, message, cut, 0, &wire);
            }
            if (cut < 5) {
                hand_seal(&h, HANDSHAKE, message + cut, 5 - cut, 3, &wire);
            }
            hand_update(&h);
            hand_seal(&h, DATA, "after", 5, 0, &wire);
            assert_ok(open_all(e.us, &wire, 0, 100, &got, &reply, &err), &err);
            assert_int_equal(hws_buf_len(&got), 5);
            assert_int_equal(hws_buf_len(&reply) > 0, ask == 1);

            /* What we say now is read by a peer that follows our answer. */
            assert_ok(seal_run(e.us, (const uint8_t *)"yes", 3, &reply, &taken, &err), &err);
            hws_buf_reset(&got);
            hws_buf_reset(&wire);
            assert_ok(open_all(e.peer, &reply, 0, 100, &got, &wire, &err), &err);
            assert_int_equal(hws_buf_len(&got), 3);
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
            hws_tls_aead_deinit(&h.aead);
            ends_deinit(&e);
        }
    }
}

static void records_without_data_are_an_attack_when_they_do_not_end(void **state)
{
    static const struct {
        uint8_t type;
        const char *bytes;
        size_t n;
    } kinds[] = {{DATA, "", 0}, {HANDSHAKE, UPDATE "\x01", 5}};
    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        struct ends e;
        struct hand h;
        struct hws_buf wire;
        struct hws_buf got;
        struct hws_buf reply;
        struct hws_err err;
        ends_init(&e, true, 0);
        hand_init(&h, e.start.read_secret);
        hws_buf_init(&got, 0);
        hws_buf_init(&reply, 0);
        for (unsigned i = 0; i <= HWS_TLS_RECORDS_MAX_IDLE; i++) {
            hws_buf_init(&wire, 0);
            hand_seal(&h, kinds[kind].type, kinds[kind].bytes, kinds[kind].n, 0, &wire);
            enum hws_code rc = open_all(e.us, &wire, 0, 100, &got, &reply, &err);
            assert_code(rc, i < HWS_TLS_RECORDS_MAX_IDLE ? HWS_OK : HWS_E_PROTO);
            hws_buf_deinit(&wire);
            if (kind == 1) {
                hand_update(&h);
            }
        }
        hws_buf_deinit(&got);
        hws_buf_deinit(&reply);
        hws_tls_aead_deinit(&h.aead);
        ends_deinit(&e);
    }
}

/* With a limit of 100 blocks: TLS 1.3 goes on for ever, TLS 1.2 says that it is worn and then
 * stops. */
static void keys_do_not_outlive_their_limit(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        struct hws_err err;
        enum hws_code rc = HWS_OK;
        unsigned n_answers = 0;
        unsigned turn = 0;
        ends_init(&e, version == 1, 100);
        for (; turn < 400 && rc == HWS_OK; turn++) {
            struct hws_buf wire;
            struct hws_buf got;
            struct hws_buf reply;
            size_t taken = 0;
            hws_buf_init(&wire, 0);
            hws_buf_init(&got, 0);
            hws_buf_init(&reply, 0);
            rc = seal_run(e.peer, (const uint8_t *)"0123456789abcdef", 16, &wire, &taken, &err);
            if (rc == HWS_OK) {
                assert_ok(open_all(e.us, &wire, 0, 100, &got, &reply, &err), &err);
                assert_int_equal(hws_buf_len(&got), 16);
                n_answers += hws_buf_len(&reply) > 0 ? 1 : 0;
                hws_buf_reset(&wire);
                assert_ok(open_all(e.peer, &reply, 0, 100, &got, &wire, &err), &err);
                hws_buf_reset(&reply);
                assert_ok(open_all(e.us, &wire, 0, 100, &got, &reply, &err), &err);
            }
            hws_buf_deinit(&wire);
            hws_buf_deinit(&got);
            hws_buf_deinit(&reply);
        }
        if (version == 1) {
            assert_ok(rc, &err);
            assert_false(hws_tls_records_is_worn(e.peer));
        } else {
            assert_code(rc, HWS_E_STATE);
            assert_true(hws_tls_records_is_worn(e.peer) && hws_tls_records_is_worn(e.us));
            assert_true(turn > 60); /* soft at 34 records of 3 blocks, the end at twice that */
            assert_int_equal(n_answers, 0);
        }
        ends_deinit(&e);
    }
}

static void nothing_after_close_notify_is_read(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        struct hws_buf wire;
        struct hws_buf got;
        struct hws_buf reply;
        struct hws_err err;
        size_t taken = 0;
        uint8_t out[64];
        size_t n = 0;
        ends_init(&e, version == 1, 0);
        hws_buf_init(&wire, 0);
        hws_buf_init(&got, 0);
        hws_buf_init(&reply, 0);
        assert_ok(seal_run(e.peer, (const uint8_t *)"aye", 3, &wire, &taken, &err), &err);
        assert_ok(hws_tls_records_close(e.peer, &wire, &err), &err);
        assert_ok(seal_run(e.peer, (const uint8_t *)"no", 2, &wire, &taken, &err), &err);
        struct hws_span in = {hws_buf_peek(&wire), hws_buf_len(&wire)};
        assert_ok(hws_tls_records_open(e.us, &in, out, sizeof(out), &n, &reply, &err), &err);
        assert_int_equal(n, 3);
        assert_true(hws_tls_records_is_done(e.us));
        assert_ok(hws_tls_records_open(e.us, &in, out, sizeof(out), &n, &reply, &err), &err);
        assert_int_equal(n, 0);
        hws_buf_deinit(&wire);
        hws_buf_deinit(&got);
        hws_buf_deinit(&reply);
        ends_deinit(&e);
    }
}

static enum hws_code a_short_talk(void *arg)
{
    const struct hws_tls_records_start *s = arg;
    struct hws_tls_records *r = NULL;
    struct hws_tls_records *peer = NULL;
    struct hws_tls_records_start other = *s;
    struct hws_buf wire;
    struct hws_buf reply;
    struct hws_err err;
    uint8_t out[8];
    size_t n = 0;

    other.server = false;
    other.read = s->write;
    other.write = s->read;
    memcpy(other.read_secret, s->write_secret, sizeof(s->write_secret));
    memcpy(other.write_secret, s->read_secret, sizeof(s->read_secret));
    hws_buf_init(&wire, 0);
    hws_buf_init(&reply, 0);
    enum hws_code rc = hws_tls_records_new(s, &r, &err);
    rc = rc == HWS_OK ? hws_tls_records_new(&other, &peer, &err) : rc;
    rc = rc == HWS_OK ? seal_run(peer, (const uint8_t *)"0123456789", 10, &wire, &n, &err) : rc;
    struct hws_span in = {hws_buf_peek(&wire), hws_buf_len(&wire)};
    for (int i = 0; i < 3 && rc == HWS_OK; i++) { /* in two pieces and a small buffer */
        struct hws_span part = {in.bytes, i == 0 ? 7 : in.n};
        size_t before = part.n;
        rc = hws_tls_records_open(r, &part, out, sizeof(out), &n, &reply, &err);
        in.bytes += before - part.n;
        in.n -= before - part.n;
    }
    hws_buf_deinit(&wire);
    hws_buf_deinit(&reply);
    hws_tls_records_free(r);
    hws_tls_records_free(peer);
    return rc;
}

static void no_memory_is_said_and_nothing_leaks(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ends e;
        ends_init(&e, version == 1, 0);
        assert_true(hws_test_oom_sweep(a_short_talk, &e.start) >= 4);
        ends_deinit(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_gathered_from_its_spans),
        cmocka_unit_test(data_passes_whatever_the_pieces_and_the_buffers),
        cmocka_unit_test(every_flipped_bit_of_a_record_ends_the_connection),
        cmocka_unit_test(a_record_is_taken_once_and_in_order),
        cmocka_unit_test(only_data_alerts_key_changes_and_tickets_have_a_place),
        cmocka_unit_test(a_key_update_is_honoured_whole_and_in_pieces),
        cmocka_unit_test(records_without_data_are_an_attack_when_they_do_not_end),
        cmocka_unit_test(keys_do_not_outlive_their_limit),
        cmocka_unit_test(nothing_after_close_notify_is_read),
        cmocka_unit_test(no_memory_is_said_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
