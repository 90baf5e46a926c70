/* client/status: what a wire status and its details become. */
#include <string.h>

#include "base/buf.h"
#include "client/status_priv.h"
#include "test.h"

/* google.rpc.Status by hand: code 9, "no", ErrorInfo{E_DEVICE, hawser, {stage: executed, status:
 * 0x3, syndrome: 0x1234}} as protoc --encode writes it. */
static size_t put(uint8_t *at, uint8_t tag, const void *bytes, size_t n)
{
    at[0] = tag;
    at[1] = (uint8_t)n;
    memcpy(at + 2, bytes, n);
    return n + 2;
}

static size_t entry(uint8_t *at, const char *key, const char *value)
{
    uint8_t e[64];
    size_t n = put(e, 0x0a, key, strlen(key));

    n += put(e + n, 0x12, value, strlen(value));
    return put(at, 0x1a, e, n);
}

static size_t any(uint8_t *at, const char *type, const uint8_t *bytes, size_t n)
{
    uint8_t a[128];
    size_t k = put(a, 0x0a, type, strlen(type));

    k += put(a + k, 0x12, bytes, n);
    return put(at, 0x1a, a, k);
}

static void firmware_status_and_syndrome_are_read(void **state)
{
    uint8_t info[128];
    uint8_t status[256] = {0x08, 9, 0x12, 2, 'n', 'o'};
    struct hws_client_status s;
    (void)state;
    size_t n = put(info, 0x0a, "E_DEVICE", 8);
    n += put(info + n, 0x12, "hawser", 6);
    n += entry(info + n, "stage", "executed");
    n += entry(info + n, "status", "0x3");
    n += entry(info + n, "syndrome", "0x1234");
    size_t total = 6 + any(status + 6, "type.googleapis.com/google.rpc.ErrorInfo", info, n);

    hws_client__from_wire(&s, HWS_CLIENT_FAILED_PRECONDITION, "no", status, total);

    assert_true(s.from_agent);
    assert_string_equal(s.reason, "E_DEVICE");
    assert_int_equal(s.stage, HAWSER__V1__STAGE__STAGE_EXECUTED);
    assert_int_equal(s.fw_status, 3);
    assert_int_equal(s.syndrome, 0x1234);
}

static void field_and_retry_are_read(void **state)
{
    static const uint8_t violation[] = {0x0a, 2, 'a', 'b', 0x12, 1, 'd'};
    static const uint8_t delay[] = {0x08, 2, 0x10, 0xc0, 0x84, 0x3d}; /* 2 s, 1,000,000 ns */
    uint8_t bad[32];
    uint8_t retry[32];
    uint8_t status[256];
    struct hws_client_status s;
    (void)state;
    size_t n_bad = put(bad, 0x0a, violation, sizeof(violation));
    size_t n_retry = put(retry, 0x0a, delay, sizeof(delay));
    size_t n = any(status, "x/google.rpc.BadRequest", bad, n_bad);
    n += any(status + n, "x/google.rpc.RetryInfo", retry, n_retry);

    hws_client__from_wire(&s, HWS_CLIENT_INVALID_ARGUMENT, "m", status, n);

    assert_string_equal(s.field, "ab");
    assert_int_equal(s.retry_ms, 2001);
}

static void broken_details_leave_code_and_text(void **state)
{
    static const uint8_t junk[] = {0x1a, 0x7f, 1, 2, 3};
    struct hws_client_status s;
    (void)state;

    hws_client__from_wire(&s, HWS_CLIENT_NOT_FOUND, "gone", junk, sizeof(junk));

    assert_int_equal(s.code, HWS_CLIENT_NOT_FOUND);
    assert_string_equal(s.message, "gone");
    assert_string_equal(s.reason, "");
}

static void control_characters_never_reach_a_terminal(void **state)
{
    struct hws_client_status s;
    (void)state;

    hws_client__from_wire(&s, HWS_CLIENT_UNKNOWN, "a\nb\x1b[31m", NULL, 0);

    assert_string_equal(s.message, "a?b?[31m");
}

static void unknown_numbers_become_unknown(void **state)
{
    struct hws_client_status s;
    (void)state;

    hws_client__from_wire(&s, (enum hws_client_code)99, "x", NULL, 0);

    assert_int_equal(s.code, HWS_CLIENT_UNKNOWN);
    assert_string_equal(hws_client_code_name(HWS_CLIENT_ABORTED), "ABORTED");
    assert_string_equal(hws_client_code_name((enum hws_client_code)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_status_and_syndrome_are_read),
        cmocka_unit_test(field_and_retry_are_read),
        cmocka_unit_test(broken_details_leave_code_and_text),
        cmocka_unit_test(control_characters_never_reach_a_terminal),
        cmocka_unit_test(unknown_numbers_become_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
