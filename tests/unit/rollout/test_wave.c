/* core/rollout/wave: which host is in which wave. */
#include "base/str.h"
#include "rollout/wave.h"
#include "test.h"

struct row {
    const char *hosts; /* a letter a target */
    uint32_t canary;
    const char *wave;
    const char *waves; /* a digit a target */
};

static void waves_follow_the_table(void **state)
{
    static const struct row rows[] = {
        {"abc", 1, "rest", "011"},    {"abc", 0, "rest", "000"},
        {"abc", 3, "rest", "000"},    {"abc", 9, "50%", "000"},
        {"abcde", 1, "50%", "01112"}, {"abcde", 1, "1", "01234"},
        {"abcde", 1, "1%", "01234"},  {"aabbc", 1, "1", "00112"},
        {"abab", 1, "rest", "0101"},  {"abcdefghij", 2, "25%", "0011122233"},
        {"zyx", 1, "2", "011"},       {"a", 1, "100%", "0"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_rollout_plan plan;
        uint32_t wave_of[16];
        uint32_t n_waves = 0;
        uint32_t last = 0;
        hws_rollout_plan_init(&plan);
        plan.canary = rows[i].canary;
        assert_code(hws_rollout_plan_wave(&plan, rows[i].wave, NULL), HWS_OK);
        for (const char *h = rows[i].hosts; *h != '\0'; h++) {
            char host[2] = {*h, 0};
            char device[2] = {(char)('0' + (h - rows[i].hosts)), 0};
            assert_code(hws_rollout_plan_add(&plan, host, "t:1", device, NULL), HWS_OK);
        }

        assert_code(hws_rollout_waves(&plan, wave_of, &n_waves, NULL), HWS_OK);

        for (size_t t = 0; t < plan.n_targets; t++) {
            assert_int_equal(wave_of[t], rows[i].waves[t] - '0');
            last = wave_of[t] > last ? wave_of[t] : last;
        }
        assert_int_equal(n_waves, last + 1);
        hws_rollout_plan_deinit(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(waves_follow_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
