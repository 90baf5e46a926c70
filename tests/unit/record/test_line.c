/* An exported log: each byte of each line that changes is named, and so is each line that is
 * dropped, moved or missing at the end. */
#include <string.h>

#include "record/line.h"
#include "record/log.h"
#include "test.h"

#define N 5

static char s_lines[N + 2][2048]; /* a key, a checkpoint, the records */
static size_t s_n[N + 2];

static void print(const struct hws_line *line, size_t idx)
{
    struct hws_buf out = {0};

    assert_ok(hws_line_print(line, &out), NULL);
    s_n[idx] = hws_buf_len(&out) - 1;
    assert_true(s_n[idx] < sizeof(s_lines[0]));
    memcpy(s_lines[idx], hws_buf_peek(&out), s_n[idx]);
    s_lines[idx][s_n[idx]] = '\0';
    hws_buf_deinit(&out);
}

static int setup(void **state)
{
    struct hws_signer signer = {0};
    struct hws_digest prev = {{0}};
    struct hws_line line = {.kind = HWS_LINE_RECORD};

    (void)state;
    assert_ok(hws_signer_new(&signer, NULL), NULL);
    for (unsigned i = 1; i <= N; i++) {
        struct hws_buf bytes = {0};
        line.u.record = (struct hws_record){.seq = i,
                                            .unix_ms = 1000 + i,
                                            .phase = HWS_RECORD_READ,
                                            .effect = 1,
                                            .scope = 2,
                                            .principal = "spiffe://d/\"a\\b\"",
                                            .method = "/m",
                                            .detail = "gr\xc3\xbc\xc3\x9f"};
        struct hws_record *r = &line.u.record;
        r->prev_hash = prev;
        assert_ok(hws_record_encode(r, &bytes), NULL);
        assert_ok(hws_record_hash(&prev, hws_buf_peek(&bytes), hws_buf_len(&bytes), &r->hash),
                  NULL);
        hws_buf_deinit(&bytes);
        prev = r->hash;
        print(&line, 1 + i);
    }
    struct hws_line c = {.kind = HWS_LINE_CHECKPOINT,
                         .u.checkpoint = {.seq = N, .hash = prev, .horizon_seq = 1, .host = "h"}};
    assert_ok(hws_checkpoint_sign(&c.u.checkpoint, &signer, NULL), NULL);
    print(&c, 1);
    struct hws_line k = {.kind = HWS_LINE_KEY, .u.key = {.from_seq = 1, .unix_ms = 7}};
    assert_ok(hws_signer_public(&signer, &k.u.key.key, NULL), NULL);
    assert_ok(hws_key_step_sign(&k.u.key, &signer, NULL), NULL);
    print(&k, 0);
    hws_signer_deinit(&signer);
    return 0;
}

/* The seq of the first bad record of a log of these lines, 0 if it is sound. */
static uint64_t judge(const size_t *order, size_t n)
{
    struct hws_log_check c;
    enum hws_code rc = HWS_OK;

    hws_log_check_init(&c);
    for (int pass = 0; pass < 2 && rc == HWS_OK; pass++) {
        if (pass == 1) {
            rc = hws_log_check_begin_at(&c, 1, NULL);
        }
        for (size_t i = 0; i < n && rc == HWS_OK; i++) {
            char text[2048];
            struct hws_line line;
            memcpy(text, s_lines[order[i]], s_n[order[i]] + 1);
            bool good = hws_line_read(text, s_n[order[i]], &line, NULL) == HWS_OK;
            if (pass == 0 && good && line.kind == HWS_LINE_KEY) {
                rc = hws_log_check_key(&c, &line.u.key, NULL);
            } else if (pass == 0 && good && line.kind == HWS_LINE_CHECKPOINT) {
                rc = hws_log_check_checkpoint(&c, &line.u.checkpoint, NULL);
            } else if (pass == 1 && !good) {
                rc = hws_log_check_malformed(&c, 0, NULL);
            } else if (pass == 1 && line.kind == HWS_LINE_RECORD) {
                rc = hws_log_check_record(&c, &line.u.record, NULL);
            }
        }
    }
    if (rc == HWS_OK) {
        rc = hws_log_check_end(&c, NULL);
    }
    uint64_t bad = c.bad_seq;
    assert_int_equal(rc == HWS_OK, bad == 0);
    hws_log_check_deinit(&c);
    return bad;
}

static const size_t s_order[N + 2] = {0, 1, 2, 3, 4, 5, 6};

static void every_byte_of_every_record_line_is_named(void **state)
{
    uint64_t rand = hws_test_seed();

    (void)state;
    assert_int_equal(judge(s_order, N + 2), 0);
    for (size_t idx = 2; idx < N + 2; idx++) {
        for (size_t at = 0; at < s_n[idx]; at++) {
            char was = s_lines[idx][at];
            s_lines[idx][at] = (char)(was ^ (char)(1 + hws_test_rand(&rand) % 127));
            assert_int_equal(judge(s_order, N + 2), idx - 1);
            s_lines[idx][at] = was;
        }
    }
}

static void every_byte_of_key_and_checkpoint_is_noticed(void **state)
{
    uint64_t rand = hws_test_seed();

    (void)state;
    for (size_t idx = 0; idx < 2; idx++) {
        for (size_t at = 0; at < s_n[idx]; at++) {
            char was = s_lines[idx][at];
            s_lines[idx][at] = (char)(was ^ (char)(1 + hws_test_rand(&rand) % 127));
            assert_true(judge(s_order, N + 2) != 0);
            s_lines[idx][at] = was;
        }
    }
}

static void dropped_moved_and_cut_lines_are_named(void **state)
{
    (void)state;
    for (size_t gone = 2; gone < N + 2; gone++) {
        size_t order[N + 2];
        size_t n = 0;
        for (size_t i = 0; i < N + 2; i++) {
            if (i != gone) {
                order[n++] = i;
            }
        }
        assert_int_equal(judge(order, n), gone - 1);
        assert_int_equal(judge(s_order, gone), gone - 1); /* the tail from there on */
    }
    for (size_t i = 2; i + 1 < N + 2; i++) {
        size_t order[N + 2];
        memcpy(order, s_order, sizeof(order));
        order[i] = i + 1;
        order[i + 1] = i;
        assert_int_equal(judge(order, N + 2), i - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_every_record_line_is_named),
        cmocka_unit_test(every_byte_of_key_and_checkpoint_is_noticed),
        cmocka_unit_test(dropped_moved_and_cut_lines_are_named),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
