/* Codes and stages as gRPC statuses, and the details that go with them. */
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "hawserd/convert.h"
#include "test.h"

static void every_code_at_every_stage_has_the_documented_status(void **state)
{
    static const struct {
        enum hws_code code;
        enum hws_rpc_code by_stage[HWS_N_STAGES]; /* none, not-sent, rejected, executed, unknown */
    } rows[] = {
        {HWS_OK, {0, 0, 0, 0, 0}},
        {HWS_E_INVALID, {3, 3, 3, 3, 3}},
        {HWS_E_NOT_FOUND, {5, 5, 5, 5, 5}},
        {HWS_E_EXISTS, {6, 6, 6, 6, 6}},
        {HWS_E_DENIED, {7, 7, 7, 7, 7}},
        {HWS_E_STATE, {9, 9, 9, 9, 9}},
        {HWS_E_CONFLICT, {10, 10, 10, 10, 10}},
        {HWS_E_BUSY, {8, 8, 8, 8, 8}},
        {HWS_E_NOMEM, {8, 8, 8, 8, 8}},
        {HWS_E_TIMEOUT, {4, 4, 4, 4, 4}},
        {HWS_E_CANCELED, {1, 1, 1, 1, 1}},
        {HWS_E_UNSUPPORTED, {12, 12, 12, 12, 12}},
        {HWS_E_PROTO, {13, 13, 13, 13, 13}},
        {HWS_E_DEVICE, {13, 13, 13, 9, 2}},
        {HWS_E_GONE, {14, 14, 14, 14, 2}},
        {HWS_E_IO, {13, 13, 13, 13, 13}},
    };
    (void)state;

    assert_int_equal(sizeof(rows) / sizeof(rows[0]), HWS_N_CODES);
    for (size_t i = 0; i < HWS_N_CODES; i++) {
        assert_int_equal(rows[i].code, i);
        for (unsigned stage = 0; stage < HWS_N_STAGES; stage++) {
            assert_int_equal(hws_convert_code(rows[i].code, (enum hws_stage)stage),
                             rows[i].by_stage[stage]);
        }
    }
}

static void status_names_are_grpcs(void **state)
{
    (void)state;

    assert_string_equal(hws_convert_name(HWS_RPC_OK), "OK");
    assert_string_equal(hws_convert_name(HWS_RPC_PERMISSION_DENIED), "PERMISSION_DENIED");
    assert_string_equal(hws_convert_name(HWS_RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(hws_convert_name((enum hws_rpc_code)99), "?");
}

static Google__Rpc__Status *details_in(const struct hws_err *err, const char *field,
                                       uint32_t retry_ms)
{
    struct hws_buf out;

    hws_buf_init(&out, 8192);
    assert_code(hws_convert_details(err, field, retry_ms, &out), HWS_OK);
    Google__Rpc__Status *s =
        google__rpc__status__unpack(NULL, hws_buf_len(&out), hws_buf_peek(&out));
    hws_buf_deinit(&out);
    assert_non_null(s);
    return s;
}

static Google__Rpc__Status *details_of(const struct hws_err *err, const char *field)
{
    return details_in(err, field, 0);
}

static void bad_argument_names_the_field(void **state)
{
    struct hws_err err;
    (void)state;
    hws_err_set(&err, HWS_E_INVALID, "NUM_OF_VFS: 200 is over 127");

    Google__Rpc__Status *s = details_of(&err, "settings[0].value");

    assert_int_equal(s->code, 3);
    assert_string_equal(s->message, err.msg);
    assert_int_equal(s->n_details, 2);
    assert_string_equal(s->details[1]->type_url, "type.googleapis.com/google.rpc.BadRequest");
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, s->details[1]->value.len, s->details[1]->value.data);
    assert_string_equal(bad->field_violations[0]->field, "settings[0].value");
    google__rpc__bad_request__free_unpacked(bad, NULL);
    google__rpc__status__free_unpacked(s, NULL);
}

static void firmware_refusal_carries_status_and_syndrome(void **state)
{
    struct hws_err err;
    (void)state;
    hws_err_set(&err, HWS_E_DEVICE, "register MNVDA: refused");
    hws_err_at(&err, HWS_STAGE_EXECUTED);
    err.exec_status = 3;
    err.syndrome = 0xabcd;

    Google__Rpc__Status *s = details_of(&err, NULL);

    assert_int_equal(s->code, 9);
    Google__Rpc__ErrorInfo *info =
        google__rpc__error_info__unpack(NULL, s->details[0]->value.len, s->details[0]->value.data);
    assert_string_equal(info->reason, "E_DEVICE");
    assert_string_equal(info->domain, "hawser");
    assert_int_equal(info->n_metadata, 3);
    assert_string_equal(info->metadata[0]->value, "executed");
    assert_string_equal(info->metadata[1]->value, "0x3");
    assert_string_equal(info->metadata[2]->value, "0xabcd");
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(s, NULL);
}

static void only_retriable_errors_advise_a_retry(void **state)
{
    struct hws_err err;
    (void)state;
    hws_err_set(&err, HWS_E_GONE, "the device process is away");

    Google__Rpc__Status *s = details_of(&err, NULL);

    assert_int_equal(s->code, 14);
    assert_int_equal(s->n_details, 2);
    assert_string_equal(s->details[1]->type_url, "type.googleapis.com/google.rpc.RetryInfo");
    google__rpc__status__free_unpacked(s, NULL);
    assert_int_equal(hws_convert_retry_ms(HWS_E_GONE, HWS_STAGE_UNKNOWN), 0);
    assert_int_equal(hws_convert_retry_ms(HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN), 0);
}

static void a_known_time_is_the_advice(void **state)
{
    struct hws_err err;
    (void)state;
    hws_err_set(&err, HWS_E_BUSY, "the next is allowed in 59003 ms");

    Google__Rpc__Status *s = details_in(&err, NULL, 59003);

    assert_int_equal(s->n_details, 2);
    Google__Rpc__RetryInfo *retry =
        google__rpc__retry_info__unpack(NULL, s->details[1]->value.len, s->details[1]->value.data);
    assert_int_equal(retry->retry_delay->seconds, 59);
    assert_int_equal(retry->retry_delay->nanos, 3000000);
    google__rpc__retry_info__free_unpacked(retry, NULL);
    google__rpc__status__free_unpacked(s, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_at_every_stage_has_the_documented_status),
        cmocka_unit_test(status_names_are_grpcs),
        cmocka_unit_test(bad_argument_names_the_field),
        cmocka_unit_test(firmware_refusal_carries_status_and_syndrome),
        cmocka_unit_test(only_retriable_errors_advise_a_retry),
        cmocka_unit_test(a_known_time_is_the_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
