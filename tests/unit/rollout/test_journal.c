/* core/rollout/journal and restore: records as bytes, interrupted writes, damage. */
#include <string.h>

#include "base/bits.h"
#include "base/str.h"
#include "crypt/crc32c.h"
#include "rollout/journal.h"
#include "test.h"

static void fill_plan(struct hws_rollout_plan *plan)
{
    hws_rollout_plan_init(plan);
    (void)hws_str_copy(plan->name, sizeof(plan->name), "j");
    (void)hws_str_copy(plan->id, sizeof(plan->id), "0123456789abcdef");
    assert_code(hws_rollout_plan_set(plan, "A", "1", NULL), HWS_OK);
    assert_code(hws_rollout_plan_add(plan, "h", "t:1", NULL, NULL), HWS_OK);
    assert_code(hws_rollout_plan_add(plan, "i", "t:2", NULL, NULL), HWS_OK);
}

/* The journal of a rollout that has begun. */
static void begun(struct hws_buf *journal)
{
    struct hws_rollout_plan plan;
    struct hws_rollout r;
    struct hws_rollout_action a;

    fill_plan(&plan);
    assert_code(hws_rollout_init(&r, &plan, NULL), HWS_OK);
    assert_code(hws_rollout_start(&r, 1, 1000, NULL), HWS_OK);
    assert_code(hws_rollout_next(&r, 1, &a, NULL), HWS_OK);
    assert_int_equal(a.what, HWS_ROLLOUT_DO_JOURNAL);
    hws_buf_init(journal, 0);
    assert_code(hws_buf_put(journal, a.bytes, a.n_bytes), HWS_OK);
    hws_rollout_deinit(&r);
}

static void member_record_has_the_documented_bytes(void **state)
{
    /* unix 5, member 2, FAILED, attempt 1, not given up, device "d", hash "", step APPLY, setting
     * "A", E_DEVICE, EXECUTED, delivery 0, status 3, syndrome 0x1234, text "no" */
    static const uint8_t body[] = {2,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   5,
                                   0,
                                   0,
                                   0,
                                   2,
                                   6,
                                   0,
                                   0,
                                   0,
                                   1,
                                   0,
                                   0,
                                   1,
                                   'd',
                                   0,
                                   0,
                                   2,
                                   0,
                                   1,
                                   'A',
                                   HWS_E_DEVICE,
                                   3,
                                   0,
                                   3,
                                   0,
                                   0,
                                   0x12,
                                   0x34,
                                   0,
                                   2,
                                   'n',
                                   'o'};
    struct hws_rollout_record rec = {.type = HWS_ROLLOUT_REC_MEMBER,
                                     .unix_ms = 5,
                                     .member = 2,
                                     .member_state = HWS_ROLLOUT_FAILED,
                                     .attempt = 1,
                                     .device_id = "d",
                                     .cause = {.step = HWS_ROLLOUT_STEP_APPLY, .setting = "A"}};
    struct hws_buf out;
    (void)state;
    (void)hws_err_set(&rec.cause.err, HWS_E_DEVICE, "no");
    hws_err_at(&rec.cause.err, HWS_STAGE_EXECUTED);
    rec.cause.err.exec_status = 3;
    rec.cause.err.syndrome = 0x1234;
    hws_buf_init(&out, 0);

    assert_code(hws_rollout_record_put(&out, &rec), HWS_OK);

    const uint8_t *p = hws_buf_peek(&out);
    assert_int_equal(hws_buf_len(&out), 8 + sizeof(body));
    assert_int_equal(hws_load_be32(p), sizeof(body) - 1);
    assert_int_equal(hws_load_be32(p + 4), hws_crc32c(0, body, sizeof(body)));
    assert_memory_equal(p + 8, body, sizeof(body));
    hws_buf_deinit(&out);
}

static void the_largest_record_fits_the_named_room(void **state)
{
    struct hws_rollout_record rec = {.type = HWS_ROLLOUT_REC_MEMBER};
    struct hws_buf out;
    (void)state;
    memset(rec.device_id, 'x', sizeof(rec.device_id) - 1);
    memset(rec.plan_hash, 'x', sizeof(rec.plan_hash) - 1);
    memset(rec.cause.setting, 'x', sizeof(rec.cause.setting) - 1);
    memset(rec.cause.err.msg, 'x', sizeof(rec.cause.err.msg) - 1);
    hws_buf_init(&out, 0);

    assert_code(hws_rollout_record_put(&out, &rec), HWS_OK);

    assert_true(hws_buf_len(&out) <= HWS_ROLLOUT_RECORD_MAX_BYTES);
    hws_buf_deinit(&out);
}

static void interrupted_last_write_is_left_out(void **state)
{
    struct hws_buf j;
    struct hws_rollout r;
    struct hws_err err;
    size_t used = 0;
    size_t n_plan = 0;
    struct hws_rollout_record rec;
    (void)state;
    begun(&j);
    size_t n = hws_buf_len(&j);
    assert_code(hws_rollout_record_get(hws_buf_peek(&j), n, &rec, &n_plan, NULL), HWS_OK);

    for (size_t cut = 0; cut <= n; cut++) {
        enum hws_code rc = hws_rollout_load(&r, hws_buf_peek(&j), cut, &used, &err);
        assert_code(rc, cut < n_plan ? HWS_E_PROTO : HWS_OK);
        if (rc == HWS_OK) {
            assert_true(used <= cut);
            assert_true(cut < n || used == n);
            hws_rollout_deinit(&r);
        }
    }
    hws_buf_deinit(&j);
}

static void any_flipped_bit_is_noticed(void **state)
{
    struct hws_buf j;
    struct hws_rollout r;
    size_t used = 0;
    (void)state;
    begun(&j);
    size_t n = hws_buf_len(&j);

    for (size_t bit = 0; bit < n * 8; bit++) {
        j.bytes[j.head + bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum hws_code rc = hws_rollout_load(&r, hws_buf_peek(&j), n, &used, NULL);
        if (rc == HWS_OK) { /* a length that grew past the end looks like an interrupted write */
            assert_true(used < n);
            hws_rollout_deinit(&r);
        } else {
            assert_code(rc, HWS_E_PROTO);
        }
        j.bytes[j.head + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    hws_buf_deinit(&j);
}

static void records_that_cannot_follow_are_refused(void **state)
{
    static const struct hws_rollout_record rows[] = {
        {.type = HWS_ROLLOUT_REC_MEMBER, .member = 0, .member_state = HWS_ROLLOUT_SUCCEEDED},
        {.type = HWS_ROLLOUT_REC_MEMBER, .member = 9, .member_state = HWS_ROLLOUT_PLANNING},
        {.type = HWS_ROLLOUT_REC_MEMBER, .member = 1, .member_state = HWS_ROLLOUT_PLANNING},
        {.type = HWS_ROLLOUT_REC_MEMBER,
         .member = 0,
         .member_state = HWS_ROLLOUT_APPLYING,
         .attempt = 2},
        {.type = HWS_ROLLOUT_REC_MEMBER,
         .member = 0,
         .member_state = HWS_ROLLOUT_FAILED,
         .given_up = true},
        {.type = HWS_ROLLOUT_REC_WAVE, .wave = 1},
        {.type = HWS_ROLLOUT_REC_WAVE, .wave = 7},
        {.type = HWS_ROLLOUT_REC_STATE, .state = HWS_ROLLOUT_NEW},
        {.type = HWS_ROLLOUT_REC_PLAN, .plan = (const uint8_t *)"", .n_plan = 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_buf j;
        struct hws_rollout r;
        struct hws_err err;
        size_t used = 0;
        begun(&j);
        assert_code(hws_rollout_record_put(&j, &rows[i]), HWS_OK);
        assert_code(hws_rollout_load(&r, hws_buf_peek(&j), hws_buf_len(&j), &used, &err),
                    HWS_E_PROTO);
        hws_buf_deinit(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(member_record_has_the_documented_bytes),
        cmocka_unit_test(the_largest_record_fits_the_named_room),
        cmocka_unit_test(interrupted_last_write_is_left_out),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(records_that_cannot_follow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
