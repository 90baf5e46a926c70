/* Inboxes by hand, results judged twice, whole outboxes as rows. */
#include <stdio.h>
#include <string.h>

#include "hca/cmd.h"
#include "test.h"

static void a_register_read_is_the_bytes_of_the_documents(void **state)
{
    (void)state;
    const uint8_t want[24] = {0x08, 0x05, 0, 0, 0, 0, 0, 1, 0, 0,
                              0x90, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x80};
    const uint8_t data[8] = {0, 0, 0, 0x80};
    struct hws_hca_regio io;
    struct hws_ctl_call call = {.data = &io};

    hws_hca_regio_prepare(&io, 0x9030, false, data, 8, 1234, &call);

    assert_int_equal(call.in_bytes, 24);
    assert_int_equal(call.out_cap_bytes, 24);
    assert_memory_equal(call.in, want, 24);
    assert_int_equal(call.scope, HWS_SCOPE_DEBUG_READ);
    assert_int_equal(call.deadline_ms, 1234);
    assert_ptr_equal(call.data, &io);

    hws_hca_regio_prepare(&io, 0x9030, true, NULL, 8, 0, &call);
    assert_int_equal(call.in[7], 0);
    assert_int_equal(call.scope, HWS_SCOPE_CONFIG);
}

static void a_refusal_that_the_channel_passes_as_success_is_still_a_refusal(void **state)
{
    (void)state;
    struct hws_hca_regio io;
    struct hws_ctl_call call = {0};
    const uint8_t *data = NULL;
    struct hws_err err;
    hws_hca_regio_prepare(&io, 0x9020, false, NULL, 0xA0, 0, &call);
    call.out_bytes = 16;
    io.out[0] = 3;
    io.out[6] = 0xAB;
    io.out[7] = 0xCD;

    assert_code(hws_hca_regio_result(&io, &call, &data, &err), HWS_E_DEVICE);

    assert_int_equal(err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(err.exec_status, 3);
    assert_int_equal(err.syndrome, 0xABCD);
    assert_non_null(strstr(err.msg, "register MGIR read"));
    assert_non_null(strstr(err.msg, "BAD_PARAM"));
    assert_true(hws_hca_is_refusal(&err));
    assert_null(data);
}

static void the_channels_error_passes_with_its_stage(void **state)
{
    (void)state;
    struct hws_hca_regio io;
    struct hws_ctl_call call = {0};
    const uint8_t *data = NULL;
    struct hws_err err;
    hws_hca_regio_prepare(&io, 0x1234, true, NULL, 8, 0, &call);
    (void)hws_err_set(&call.err, HWS_E_TIMEOUT, "no completion");
    call.err.stage = HWS_STAGE_UNKNOWN;

    assert_code(hws_hca_regio_result(&io, &call, &data, &err), HWS_E_TIMEOUT);

    assert_int_equal(err.stage, HWS_STAGE_UNKNOWN);
    assert_string_equal(err.msg, "register 0x1234 write: no completion");
    assert_false(hws_hca_is_refusal(&err));
}

static void a_short_outbox_is_malformed_and_proves_nothing(void **state)
{
    (void)state;
    struct hws_hca_regio io;
    struct hws_ctl_call call = {0};
    const uint8_t *data = NULL;
    struct hws_err err;
    for (size_t n = 0; n < 24; n++) {
        hws_hca_regio_prepare(&io, 0x9030, true, NULL, 8, 0, &call);
        call.out_bytes = n;
        assert_code(hws_hca_regio_result(&io, &call, &data, &err), HWS_E_PROTO);
        assert_int_equal(err.stage, HWS_STAGE_UNKNOWN);
    }
    call.out_bytes = 24;
    assert_ok(hws_hca_regio_result(&io, &call, &data, &err), &err);
    assert_ptr_equal(data, io.out + 16);
}

struct text {
    char all[8192];
    size_t used;
};

static void put_row(void *arg, const struct hws_reg_row *row)
{
    struct text *t = arg;
    int n = snprintf(t->all + t->used, sizeof(t->all) - t->used, "%s=%s(%s)\n", row->name,
                     row->value, row->meaning);
    assert_true(n > 0 && t->used + (size_t)n < sizeof(t->all));
    t->used += (size_t)n;
}

/* The characters without their NUL. */
static void put_text(uint8_t *dst, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        dst[i] = (uint8_t)text[i];
    }
}

static void whole_outboxes_become_rows(void **state)
{
    (void)state;
    static uint8_t in[4112];
    static uint8_t out[4112];
    struct text t = {{0}, 0};
    struct hws_err err;

    hws_hca_header(in, 16, 0x100, 1); /* QUERY_HCA_CAP general, current */
    out[0x10 + 0x37] = 2;             /* num_ports */
    out[0x10 + 0xD7] = 4;             /* uctx_cap */
    out[0x10 + 0x400] = 1;            /* beyond what is known */
    assert_ok(hws_hca_decode(in, 16, out, 4112, put_row, &t, &err), &err);
    assert_non_null(strstr(t.all, "status=0x00(OK)\n"));
    assert_non_null(strstr(t.all, "num_ports=2()\n"));
    assert_non_null(strstr(t.all, "uctx_cap=0x4()\n"));
    assert_non_null(strstr(t.all, "undecoded@0x410=0x01000000()\n"));

    t.used = 0;
    assert_code(hws_hca_decode(in, 16, out, 100, put_row, &t, &err), HWS_E_PROTO);

    t.used = 0;
    hws_hca_header(in, 16, 0x101, 0); /* QUERY_ADAPTER */
    memset(out, 0, sizeof(out));
    put_text(out + 0x100, "MT_0000000834");
    assert_ok(hws_hca_decode(in, 16, out, 272, put_row, &t, &err), &err);
    assert_non_null(strstr(t.all, "psid=MT_0000000834()\n"));

    t.used = 0;
    hws_hca_header(in, 16, 0x80D, 0); /* NOP */
    out[1] = 9;
    assert_ok(hws_hca_decode(in, 16, out, 16, put_row, &t, &err), &err);
    assert_non_null(strstr(t.all, "outbox_header@0x0=0x00090000()\n"));
}

static void a_refused_command_shows_status_and_syndrome_only(void **state)
{
    (void)state;
    uint8_t in[32];
    uint8_t out[32] = {4, 0, 0, 0, 0, 1, 2, 3};
    struct text t = {{0}, 0};
    struct hws_err err;
    assert_int_equal(hws_hca_access_reg(in, sizeof(in), 0x5006, false, NULL, 16), 32);

    assert_ok(hws_hca_decode(in, 32, out, 32, put_row, &t, &err), &err);

    assert_non_null(strstr(t.all, "status=0x04(BAD_SYS_STATE)\nsyndrome=0x00010203()\n"));
    assert_null(strstr(t.all, "local_port"));
}

static void a_register_asked_for_short_shows_what_it_has(void **state)
{
    (void)state;
    uint8_t in[40];
    uint8_t out[40] = {0};
    struct text t = {{0}, 0};
    struct hws_err err;
    assert_int_equal(hws_hca_access_reg(in, sizeof(in), 0x9024, true, NULL, 24), 40);
    out[16 + 7] = 0x80;
    out[16 + 12 + 3] = 7;

    assert_ok(hws_hca_decode(in, 40, out, 40, put_row, &t, &err), &err);

    assert_non_null(strstr(t.all, "type=128()\n"));
    assert_non_null(strstr(t.all, "undecoded@0xc=0x00000007()\n"));
    assert_code(hws_hca_decode(in, 40, out, 39, put_row, &t, &err), HWS_E_PROTO);
}

static void what_has_no_layout_says_so(void **state)
{
    (void)state;
    uint8_t in[24];
    const uint8_t out[24] = {0};
    struct text t = {{0}, 0};
    struct hws_err err;

    (void)hws_hca_access_reg(in, sizeof(in), 0x1234, false, NULL, 8);
    assert_code(hws_hca_decode(in, 24, out, 24, put_row, &t, &err), HWS_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "0x1234"));
    hws_hca_header(in, 16, 0x302, 0);
    assert_code(hws_hca_decode(in, 16, out, 24, put_row, &t, &err), HWS_E_UNSUPPORTED);
    assert_code(hws_hca_decode(in, 15, out, 24, put_row, &t, &err), HWS_E_PROTO);
    assert_int_equal(hws_hca_access_reg(in, 23, 0x1234, false, NULL, 8), 0);
}

static void a_request_is_told_by_name(void **state)
{
    (void)state;
    uint8_t in[32];
    struct text t = {{0}, 0};
    struct hws_err err;

    assert_int_equal(hws_hca_access_reg(in, sizeof(in), 0x5006, true, NULL, 16), 32);
    in[0x0F] = 7;      /* the argument */
    in[16 + 1] = 3;    /* local_port */
    in[16 + 2] = 0x02; /* admin_status */
    assert_ok(hws_hca_decode_request(in, 32, put_row, &t, &err), &err);
    assert_non_null(strstr(t.all, "inbox.opcode=0x805(ACCESS_REG)\n"));
    assert_non_null(strstr(t.all, "inbox.op_mod=0x0(write)\n"));
    assert_non_null(strstr(t.all, "inbox.register_id=0x5006(PAOS)\n"));
    assert_non_null(strstr(t.all, "inbox.argument=0x7()\n"));
    assert_non_null(strstr(t.all, "local_port=3("));
    assert_non_null(strstr(t.all, "admin_status=2("));

    /* A register that is not whole, and one without a layout: the header alone. */
    t.used = 0;
    assert_ok(hws_hca_decode_request(in, 31, put_row, &t, &err), &err);
    assert_true(strstr(t.all, "inbox.argument=0x7()\n") == t.all + t.used - 21);
    t.used = 0;
    assert_int_equal(hws_hca_access_reg(in, sizeof(in), 0x1234, false, NULL, 16), 32);
    assert_ok(hws_hca_decode_request(in, 32, put_row, &t, &err), &err);
    assert_non_null(strstr(t.all, "inbox.op_mod=0x1(read)\ninbox.register_id=0x1234()\n"));

    t.used = 0;
    hws_hca_header(in, 32, 0x100, 0x41);
    in[3] = 9; /* uid */
    assert_ok(hws_hca_decode_request(in, 32, put_row, &t, &err), &err);
    assert_string_equal(t.all, "inbox.opcode=0x100(QUERY_HCA_CAP)\ninbox.uid=0x9()\n"
                               "inbox.op_mod=0x41()\n");
    assert_code(hws_hca_decode_request(in, 15, put_row, &t, &err), HWS_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_register_read_is_the_bytes_of_the_documents),
        cmocka_unit_test(a_refusal_that_the_channel_passes_as_success_is_still_a_refusal),
        cmocka_unit_test(the_channels_error_passes_with_its_stage),
        cmocka_unit_test(a_short_outbox_is_malformed_and_proves_nothing),
        cmocka_unit_test(whole_outboxes_become_rows),
        cmocka_unit_test(a_refused_command_shows_status_and_syndrome_only),
        cmocka_unit_test(a_register_asked_for_short_shows_what_it_has),
        cmocka_unit_test(what_has_no_layout_says_so),
        cmocka_unit_test(a_request_is_told_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
