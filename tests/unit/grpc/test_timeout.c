/* grpc-timeout, both ways. */
#include <string.h>

#include "grpc/timeout.h"
#include "test.h"

static void timeouts_are_parsed_to_milliseconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t want_ms;
    } rows[] = {
        {"1n", 1},      {"1000000n", 1}, {"1000001n", 2}, {"0n", 0},
        {"1u", 1},      {"1500u", 2},    {"250m", 250},   {"10S", 10000},
        {"2M", 120000}, {"1H", 3600000}, {"0S", 0},       {"99999999H", UINT64_C(359999996400000)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t got_ms = 12345;
        assert_code(
            hws_grpc_timeout_parse((const uint8_t *)rows[i].text, strlen(rows[i].text), &got_ms),
            HWS_OK);
        assert_int_equal(got_ms, rows[i].want_ms);
    }
}

static void other_forms_are_refused(void **state)
{
    static const char *const rows[] = {"",           "S",   "10",  "10s",  "-1S", "1.5S",
                                       "123456789S", " 1S", "1S ", "0x1S", "1h"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t got_ms = 7;
        assert_code(hws_grpc_timeout_parse((const uint8_t *)rows[i], strlen(rows[i]), &got_ms),
                    HWS_E_PROTO);
        assert_int_equal(got_ms, 7);
    }
}

static void timeouts_are_printed_in_eight_digits(void **state)
{
    static const struct {
        uint64_t ms;
        const char *want;
    } rows[] = {
        {0, "0m"},
        {1, "1m"},
        {99999999, "99999999m"},
        {100000000, "100000S"},
        {100000001, "100001S"},
        {UINT64_C(99999999) * 1000 + 1, "1666667M"},
        {UINT64_MAX, "99999999H"},
    };
    char got[HWS_GRPC_TIMEOUT_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(hws_grpc_timeout_print(rows[i].ms, got), strlen(rows[i].want));
        assert_string_equal(got, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_parsed_to_milliseconds),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(timeouts_are_printed_in_eight_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
