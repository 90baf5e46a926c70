/*
 * tls/alert: each fault of a client's first record is answered by the alert that is due for it,
 * however the bytes are cut. What follows a first record is shown by tests/tlsscan/probes.py.
 */
#include <string.h>

#include "pair.h"
#include "test.h"
#include "tls/conn.h"

#define LEAF HWS_MINT_LEAF_EXT HWS_MINT_BOTH "subjectAltName=URI:spiffe://unit.test/agent/a\n"

#define SILENCE   256 /* the peer has ended it: nothing is said */
#define WARNING   1
#define FATAL     2
#define MAX_BYTES 80

static struct hws_tls_rng *s_rng;
static struct hws_tls_bundle *s_bundle;

static const struct row {
    const char *what;
    uint8_t head[9];
    size_t n; /* of the record in all; zeros behind the head */
    int alert;
    int cut_alert; /* where the body of the record comes later than its head */
} s_rows[] = {
    {"type 0", {0, 3, 1, 0, 60, 1}, 65, 10, 10},
    {"type 24", {24, 3, 3, 0, 60, 1}, 65, 10, 10},
    {"application data", {23, 3, 3, 0, 60, 1}, 65, 10, 10},
    {"HTTP", {'G', 'E', 'T', ' ', '/', ' '}, 65, 10, 10},
    {"a change of ciphers that is none", {20, 3, 3, 0, 1, 2}, 6, 10, 10},
    {"no bytes", {22, 3, 3, 0, 0}, 5, 10, 10},
    {"longer than a record may be", {22, 3, 3, 0xff, 0xff, 1}, 65, 22, 22},
    {"a ServerHello", {22, 3, 3, 0, 60, 2, 0, 0, 56}, 65, 10, 10},
    {"a Finished", {22, 3, 3, 0, 60, 20, 0, 0, 56}, 65, 10, 10},
    {"a ClientHello of zeros' session", {22, 3, 1, 0, 6, 1, 0, 0, 2}, 11, 50, 50},
    {"a fatal alert", {21, 3, 3, 0, 2, 2, 40}, 7, SILENCE, SILENCE},
    {"an alert without bytes", {21, 3, 3, 0, 0}, 5, 10, 10},
    {"an alert of one byte", {21, 3, 3, 0, 1, 2}, 6, 50, 50},
    {"an alert of three bytes", {21, 3, 3, 0, 3, 2, 40, 0}, 8, 50, 50},
    {"close_notify", {21, 3, 3, 0, 2, 1, 0}, 7, 0, SILENCE},
};

static int setup(void **state)
{
    struct hws_mint leaf;
    struct hws_mint ca;
    const struct hws_mint *chain[] = {&leaf};
    const struct hws_mint *cas[] = {&ca};
    struct hws_err err;
    (void)state;

    assert_ok(hws_tls_rng_open(&s_rng, &err), &err);
    hws_mint_make(&ca, NULL, &(struct hws_mint_spec){.cn = "CA", .ext = HWS_MINT_CA_EXT});
    hws_mint_make(&leaf, &ca, &(struct hws_mint_spec){.ext = LEAF});
    assert_ok(hws_pair_bundle(s_rng, chain, 1, cas, 1, &s_bundle, &err), &err);
    hws_mint_free(&leaf);
    hws_mint_free(&ca);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_tls_bundle_unref(s_bundle);
    hws_tls_rng_free(s_rng);
    return 0;
}

/* The server's only words after the row's record, which comes `step` bytes at a time. */
static int answer(const struct row *row, size_t step)
{
    const struct hws_tls_options options = {.now_s = hws_pair_now_s()};
    uint8_t bytes[MAX_BYTES] = {0};
    struct hws_tls_conn conn;
    struct hws_err err = {0};
    enum hws_code rc = HWS_OK;
    int said = SILENCE;

    memcpy(bytes, row->head, sizeof(row->head));
    assert_ok(hws_tls_conn_init(&conn, HWS_TLS_SERVER, s_bundle, &options, &err), &err);
    for (size_t at = 0; at < row->n && rc == HWS_OK; at += step) {
        uint8_t none[1];
        size_t n = 0;
        rc = hws_tls_conn_recv(&conn, bytes + at, row->n - at < step ? row->n - at : step, &err);
        if (rc == HWS_OK) {
            assert_ok(hws_tls_conn_read(&conn, none, sizeof(none), &n, &err), &err);
        }
    }
    if (rc == HWS_OK) {
        fail_msg("%s: not refused", row->what);
    }
    size_t n = hws_buf_len(&conn.out);
    if (n > 0) {
        const uint8_t *out = hws_buf_peek(&conn.out);
        assert_int_equal(n, 7);
        assert_memory_equal(out, ((uint8_t[]){21, 3, 3, 0, 2}), 5);
        said = out[6];
        assert_int_equal(out[5], said == 0 ? WARNING : FATAL);
    }
    hws_tls_conn_deinit(&conn);
    return said;
}

static void each_fault_of_a_first_record_gets_its_own_alert(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_rows) / sizeof(s_rows[0]); i++) {
        const struct row *row = &s_rows[i];
        int whole = answer(row, row->n);
        if (whole != row->alert) {
            fail_msg("%s: alert %d, where %d is due", row->what, whole, row->alert);
        }
        int cut = answer(row, 1);
        /* mbedTLS 3.6 waits for the whole record, 2.28 judges its head */
        if (cut != row->alert && cut != row->cut_alert) {
            fail_msg("%s, byte by byte: alert %d", row->what, cut);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_of_a_first_record_gets_its_own_alert),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
