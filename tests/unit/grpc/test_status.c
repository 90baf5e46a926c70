/* Status names, mappings and percent coding. */
#include <string.h>

#include "grpc/status.h"
#include "test.h"

static void codes_have_the_numbers_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(HWS_GRPC_N_CODES, 17);
    assert_int_equal(HWS_GRPC_UNAUTHENTICATED, 16);
    assert_string_equal(hws_grpc_code_name(HWS_GRPC_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
    assert_string_equal(hws_grpc_code_name((enum hws_grpc_code)17), "?");
}

static void status_text_is_parsed_or_unknown(void **state)
{
    static const struct {
        const char *text;
        enum hws_grpc_code want;
    } rows[] = {
        {"0", HWS_GRPC_OK},        {"16", HWS_GRPC_UNAUTHENTICATED}, {"05", HWS_GRPC_NOT_FOUND},
        {"17", HWS_GRPC_UNKNOWN},  {"", HWS_GRPC_UNKNOWN},           {"-1", HWS_GRPC_UNKNOWN},
        {"999", HWS_GRPC_UNKNOWN}, {"1x", HWS_GRPC_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(hws_grpc_code_parse((const uint8_t *)rows[i].text, strlen(rows[i].text)),
                         rows[i].want);
    }
}

/* http-grpc-status-mapping.md */
static void http_statuses_map_as_documented(void **state)
{
    (void)state;
    assert_int_equal(hws_grpc_code_of_http(400), HWS_GRPC_INTERNAL);
    assert_int_equal(hws_grpc_code_of_http(401), HWS_GRPC_UNAUTHENTICATED);
    assert_int_equal(hws_grpc_code_of_http(403), HWS_GRPC_PERMISSION_DENIED);
    assert_int_equal(hws_grpc_code_of_http(404), HWS_GRPC_UNIMPLEMENTED);
    assert_int_equal(hws_grpc_code_of_http(429), HWS_GRPC_UNAVAILABLE);
    assert_int_equal(hws_grpc_code_of_http(503), HWS_GRPC_UNAVAILABLE);
    assert_int_equal(hws_grpc_code_of_http(418), HWS_GRPC_UNKNOWN);
    assert_int_equal(hws_grpc_code_to_http(HWS_GRPC_NOT_FOUND), 404);
    assert_int_equal(hws_grpc_code_to_http((enum hws_grpc_code)99), 500);
}

/* PROTOCOL-HTTP2.md, "Errors" */
static void resets_map_as_documented(void **state)
{
    (void)state;
    assert_int_equal(hws_grpc_code_of_rst(0x7), HWS_GRPC_UNAVAILABLE);
    assert_int_equal(hws_grpc_code_of_rst(0x8), HWS_GRPC_CANCELLED);
    assert_int_equal(hws_grpc_code_of_rst(0xb), HWS_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(hws_grpc_code_of_rst(0xc), HWS_GRPC_PERMISSION_DENIED);
    assert_int_equal(hws_grpc_code_of_rst(0x1), HWS_GRPC_INTERNAL);
    assert_int_equal(hws_grpc_code_of_rst(0xffff), HWS_GRPC_UNKNOWN);
    assert_int_equal(hws_grpc_code_to_rst(HWS_GRPC_CANCELLED), 0x8);
    assert_int_equal(hws_grpc_code_to_rst(HWS_GRPC_OK), 0x0);
}

static void messages_are_percent_coded(void **state)
{
    static const struct {
        const char *plain;
        const char *coded;
    } rows[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"100%", "100%25"},
        {"\t\nx\r", "%09%0Ax%0D"},
        {"\xc3\xbc", "%C3%BC"},
        {"\xf0\x9f\x98\x88", "%F0%9F%98%88"},
    };
    char got[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = hws_grpc_percent_encode(rows[i].plain, strlen(rows[i].plain), got, sizeof(got));
        assert_int_equal(n, strlen(rows[i].coded));
        assert_memory_equal(got, rows[i].coded, n);
        n = hws_grpc_percent_decode((const uint8_t *)rows[i].coded, n, got, sizeof(got));
        assert_int_equal(n, strlen(rows[i].plain));
        assert_string_equal(got, rows[i].plain);
    }
}

static void encoding_cuts_before_a_character_that_does_not_fit(void **state)
{
    char got[8];

    (void)state;
    assert_int_equal(hws_grpc_percent_encode("ab\xc3\xbc", 4, got, 7), 2);
    assert_int_equal(hws_grpc_percent_encode("ab\xc3\xbc", 4, got, 8), 8);
}

static void broken_escapes_stay_and_controls_do_not(void **state)
{
    char got[32];

    (void)state;
    (void)hws_grpc_percent_decode((const uint8_t *)"50% %zz %4", 10, got, sizeof(got));
    assert_string_equal(got, "50% %zz %4");
    (void)hws_grpc_percent_decode((const uint8_t *)"a%00b%1B", 8, got, sizeof(got));
    assert_string_equal(got, "a?b?");
    assert_int_equal(hws_grpc_percent_decode((const uint8_t *)"abcdef", 6, got, 4), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_the_numbers_of_the_specification),
        cmocka_unit_test(status_text_is_parsed_or_unknown),
        cmocka_unit_test(http_statuses_map_as_documented),
        cmocka_unit_test(resets_map_as_documented),
        cmocka_unit_test(messages_are_percent_coded),
        cmocka_unit_test(encoding_cuts_before_a_character_that_does_not_fit),
        cmocka_unit_test(broken_escapes_stay_and_controls_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
