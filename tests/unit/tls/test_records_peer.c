/* tls/records against a peer of TLS 1.3 that says what it likes: its records are sealed by hand
 * with tls/aead. */
#include <string.h>

#include "records_ends.h"
#include "test.h"
#include "tls/aead.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_data_alerts_key_changes_and_tickets_have_a_place),
        cmocka_unit_test(a_key_update_is_honoured_whole_and_in_pieces),
        cmocka_unit_test(records_without_data_are_an_attack_when_they_do_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
