/* core/rollout/plan: filling, checking, the stored form. */
#include <string.h>

#include "base/str.h"
#include "rollout/plan.h"
#include "test.h"

static void fill(struct hws_rollout_plan *plan)
{
    hws_rollout_plan_init(plan);
    (void)hws_str_copy(plan->name, sizeof(plan->name), "sriov-16");
    (void)hws_str_copy(plan->id, sizeof(plan->id), "0123456789abcdef");
    assert_code(hws_rollout_plan_set(plan, "NUM_OF_VFS", "16", NULL), HWS_OK);
    assert_code(hws_rollout_plan_add(plan, "host-a", "10.0.0.1:7443", NULL, NULL), HWS_OK);
}

static void bad_settings_are_refused_by_name(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;
    fill(&plan);

    assert_code(hws_rollout_plan_set(&plan, "num_of_vfs", "1", &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "num_of_vfs"));
    assert_code(hws_rollout_plan_set(&plan, "", "1", &err), HWS_E_INVALID);
    assert_code(hws_rollout_plan_set(&plan, "A", "", &err), HWS_E_INVALID);
    assert_code(hws_rollout_plan_set(&plan, "A", "x\ny", &err), HWS_E_INVALID);
    assert_code(hws_rollout_plan_set(&plan, "NUM_OF_VFS", "17", &err), HWS_E_EXISTS);
    hws_rollout_plan_deinit(&plan);
}

static void settings_and_names_have_limits(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_err err;
    char name[80];
    (void)state;
    fill(&plan);

    for (int i = 1; i < (int)HWS_ROLLOUT_MAX_SETTINGS; i++) {
        (void)hws_str_print(name, sizeof(name), "P%d", i);
        assert_code(hws_rollout_plan_set(&plan, name, "1", NULL), HWS_OK);
    }
    assert_code(hws_rollout_plan_set(&plan, "ONE_MORE", "1", &err), HWS_E_BUSY);
    memset(name, 'A', sizeof(name));
    name[HWS_ROLLOUT_SETTING_BYTES] = '\0';
    assert_code(hws_rollout_plan_set(&plan, name, "1", &err), HWS_E_INVALID);
    assert_code(hws_rollout_plan_add(&plan, "", "t", NULL, &err), HWS_E_INVALID);
    assert_code(hws_rollout_plan_add(&plan, "h", "", NULL, &err), HWS_E_INVALID);
    assert_code(hws_rollout_plan_add(&plan, "h\x01", "t", NULL, &err), HWS_E_INVALID);
    hws_rollout_plan_deinit(&plan);
}

static void check_names_the_field(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;
    fill(&plan);
    assert_ok(hws_rollout_plan_check(&plan, true, &err), &err);

    (void)hws_str_copy(plan.name, sizeof(plan.name), "../x");
    assert_code(hws_rollout_plan_check(&plan, true, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "name"));
    (void)hws_str_copy(plan.name, sizeof(plan.name), "x");
    plan.id[0] = 'X';
    assert_code(hws_rollout_plan_check(&plan, true, &err), HWS_E_INVALID);
    plan.id[0] = '\0';
    assert_code(hws_rollout_plan_check(&plan, true, &err), HWS_E_INVALID);
    assert_ok(hws_rollout_plan_check(&plan, false, &err), &err);
    plan.in_flight = 0;
    assert_code(hws_rollout_plan_check(&plan, false, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "in_flight"));
    plan.in_flight = 1;
    assert_code(hws_rollout_plan_add(&plan, "host-a", "other:1", "", NULL), HWS_OK);
    assert_code(hws_rollout_plan_check(&plan, false, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "twice"));
    hws_rollout_plan_deinit(&plan);
}

static void times_and_waves_parse_or_say_what_is_allowed(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms; /* UINT32_MAX: refused */
    } rows[] = {{"250ms", 250},      {"2s", 2000},
                {"5m", 300000},      {"1h", 3600000},
                {"24h", 86400000},   {"0s", 0},
                {"25h", UINT32_MAX}, {"2", UINT32_MAX},
                {"s", UINT32_MAX},   {"", UINT32_MAX},
                {"-1s", UINT32_MAX}, {"1.5s", UINT32_MAX},
                {"2 s", UINT32_MAX}, {"99999999999999999999s", UINT32_MAX}};
    static const char *const bad_waves[] = {"", "0", "0%", "101%", "x", "%", "-1", "5%%", "1 %"};
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;
    fill(&plan);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t ms = 7;
        enum hws_code rc = hws_rollout_parse_ms(rows[i].text, &ms, &err);
        assert_code(rc, rows[i].ms == UINT32_MAX ? HWS_E_INVALID : HWS_OK);
        assert_int_equal(ms, rows[i].ms == UINT32_MAX ? 7 : rows[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad_waves) / sizeof(bad_waves[0]); i++) {
        assert_code(hws_rollout_plan_wave(&plan, bad_waves[i], &err), HWS_E_INVALID);
        assert_non_null(strstr(err.msg, "rest"));
    }
    hws_rollout_plan_deinit(&plan);
}

/* By hand from the layout in plan_codec.c. */
static const uint8_t golden[] = {
    1,                                                  /* version */
    0,   8,   's',  'r',  'i', 'o', 'v', '-', '1', '6', /* name */
    0,   16,  '0',  '1',  '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e',
    'f', 0,   0,    0,    0,   0,   0,   1,   2, /* election 0x102 */
    0,   0,   0,    1,                           /* canary */
    1,   0,   0,    0,    50,                    /* 50% */
    0,   0,   0,    0,                           /* budget */
    0,   0,   0,    8,                           /* in flight */
    0,   0,   7,    0xd0,                        /* settle 2000 */
    0,   0,   0x75, 0x30,                        /* gate 30000 */
    0,   0,   0,    1,    0,   10,  'N', 'U', 'M', '_', 'O', 'F', '_', 'V', 'F', 'S', 0,
    2,   '1', '6',  0,    0,   0,   1,   0,   6,   'h', 'o', 's', 't', '-', 'a', 0,   13,
    '1', '0', '.',  '0',  '.', '0', '.', '1', ':', '7', '4', '4', '3', 0,   0};

static void stored_form_is_as_documented(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_buf out;
    (void)state;
    fill(&plan);
    plan.election = 0x102;
    assert_code(hws_rollout_plan_wave(&plan, "50%", NULL), HWS_OK);
    hws_buf_init(&out, 0);

    assert_code(hws_rollout_plan_encode(&plan, &out), HWS_OK);

    assert_int_equal(hws_buf_len(&out), sizeof(golden));
    assert_memory_equal(hws_buf_peek(&out), golden, sizeof(golden));
    hws_buf_deinit(&out);
    hws_rollout_plan_deinit(&plan);
}

static void stored_form_cut_anywhere_is_refused(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_err err;
    uint8_t longer[sizeof(golden) + 1] = {0};
    (void)state;

    assert_ok(hws_rollout_plan_decode(&plan, golden, sizeof(golden), &err), &err);
    assert_string_equal(plan.targets[0].target, "10.0.0.1:7443");
    assert_int_equal(plan.wave_size, 50);
    hws_rollout_plan_deinit(&plan);
    for (size_t n = 0; n < sizeof(golden); n++) {
        assert_code(hws_rollout_plan_decode(&plan, golden, n, &err), HWS_E_PROTO);
    }
    memcpy(longer, golden, sizeof(golden));
    assert_code(hws_rollout_plan_decode(&plan, longer, sizeof(longer), &err), HWS_E_PROTO);
    longer[0] = 2;
    assert_code(hws_rollout_plan_decode(&plan, longer, sizeof(golden), &err), HWS_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_settings_are_refused_by_name),
        cmocka_unit_test(settings_and_names_have_limits),
        cmocka_unit_test(check_names_the_field),
        cmocka_unit_test(times_and_waves_parse_or_say_what_is_allowed),
        cmocka_unit_test(stored_form_is_as_documented),
        cmocka_unit_test(stored_form_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
