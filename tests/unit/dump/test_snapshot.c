/* The register snapshot: every line is JSON (jansson judges), every refusal a line, every lost
 * channel an end. */
#include <jansson.h>
#include <string.h>

#include "dump/snapshot.h"
#include "fake_ctl.h"
#include "test.h"

static struct hws_fake_ctl card;
static uint8_t mgir[0xA0];
static uint8_t mtcap[0x10];
static uint8_t mtmp[0x20];
static uint8_t last[0x10];
static uint8_t not_last[0x10];
static uint8_t first_index[4];
static uint8_t second_index[4];
static uint8_t mcqi[0x94];
static struct hws_buf text;

/* The characters without their NUL. */
static void put_text(uint8_t *dst, const char *chars)
{
    for (size_t i = 0; chars[i] != '\0'; i++) {
        dst[i] = (uint8_t)chars[i];
    }
}

static void set_up(void)
{
    hws_fake_init(&card);
    memset(mgir, 0, sizeof(mgir));
    put_text(mgir + 0x30, "MT_\"\\834");
    mgir[0x0A] = 0x02;
    mgir[0x0B] = 0x18;
    mtcap[0xF] = 0x05; /* sensors 0 and 2 */
    second_index[3] = 1;
    not_last[3] = 0;
    last[0] = 0x80;
    last[3] = 1;
    hws_fake_add_reg(&card, 0x9020, mgir, sizeof(mgir));
    hws_fake_add_reg(&card, 0x9009, mtcap, sizeof(mtcap));
    hws_fake_add_reg(&card, 0x900A, mtmp, sizeof(mtmp));
    hws_fake_add_indexed_reg(&card, 0x9060, first_index, 4, not_last, sizeof(not_last));
    hws_fake_add_indexed_reg(&card, 0x9060, second_index, 4, last, sizeof(last));
    hws_fake_add_reg(&card, 0x9061, mcqi, sizeof(mcqi));
}

static enum hws_step run(struct hws_dump_snapshot *snap, uint8_t n_ports)
{
    struct hws_ctl_call call = {0};
    struct hws_err err;
    enum hws_step step;

    hws_buf_init(&text, 0);
    assert_ok(
        hws_dump_snapshot_init(snap, "mlx5:MT1@0000:81:00.0", "28.43.2006", n_ports, &text, &err),
        &err);
    while ((step = hws_dump_snapshot_next(snap, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(&card, &call);
        hws_dump_snapshot_feed(snap, &call);
    }
    return step;
}

/* The lines as a JSON array. */
static json_t *lines(void)
{
    json_t *all = json_array();
    const char *at = hws_buf_cstr(&text);
    assert_non_null(at);
    while (*at != '\0') {
        const char *end = strchr(at, '\n');
        json_error_t jerr;
        assert_non_null(end);
        json_t *one = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, &jerr);
        if (one == NULL) {
            fail_msg("%s: %.200s", jerr.text, at);
        }
        assert_int_equal(json_array_append_new(all, one), 0);
        at = end + 1;
    }
    hws_buf_deinit(&text);
    return all;
}

static const char *string_of(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));
    return s == NULL ? "" : s;
}

static size_t count(json_t *all, const char *reg, const char *status)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        n += strcmp(string_of(one, "register"), reg) == 0 &&
             strcmp(string_of(one, "status"), status) == 0;
    }
    return n;
}

static void every_read_is_a_line_and_refusals_tell_their_status(void **state)
{
    (void)state;
    struct hws_dump_snapshot snap;
    set_up();

    assert_int_equal(run(&snap, 2), HWS_STEP_DONE);

    json_t *all = lines();
    size_t n = json_array_size(all);
    const json_t *head = json_array_get(all, 0);
    const json_t *end = json_array_get(all, n - 1);
    assert_string_equal(string_of(head, "schema"), "hawser.registers.v1");
    assert_int_equal(json_integer_value(json_object_get(head, "ports")), 2);
    assert_int_equal(n, card.n_calls + 2);
    assert_int_equal(json_integer_value(json_object_get(end, "answered")), snap.n_answered);
    assert_int_equal(snap.n_answered + snap.n_refused, card.n_calls);
    assert_int_equal(count(all, "MGIR", "ok"), 1);
    assert_int_equal(count(all, "MTMP", "ok"), 2);
    assert_int_equal(count(all, "MCQS", "ok"), 2);
    assert_int_equal(count(all, "MCQI", "ok"), 6);
    assert_int_equal(count(all, "PAOS", "refused"), 2);
    assert_int_equal(count(all, "PPCNT", "refused"), 20);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(all, i);
        if (strcmp(string_of(one, "status"), "refused") == 0) {
            assert_string_equal(string_of(one, "fw_status_name"), "BAD_SYS_STATE");
            assert_string_equal(string_of(one, "syndrome"), "0x00001234");
        }
    }
    json_decref(all);
}

static void fields_and_raw_bytes_stand_side_by_side(void **state)
{
    (void)state;
    struct hws_dump_snapshot snap;
    set_up();
    assert_int_equal(run(&snap, 1), HWS_STEP_DONE);

    json_t *all = lines();
    const json_t *one = json_array_get(all, 1);
    const json_t *fields = json_object_get(one, "fields");
    bool psid = false;
    bool device = false;
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *f = json_array_get(fields, i);
        psid = psid || (strcmp(string_of(f, "name"), "fw_info.psid") == 0 &&
                        strcmp(string_of(f, "value"), "MT_\\x22\\x5c834") == 0);
        device = device || strcmp(string_of(f, "meaning"), "ConnectX-7") == 0;
    }
    assert_true(psid && device);
    assert_int_equal(strlen(string_of(one, "raw")), 2 * 0xA0);
    assert_string_equal(string_of(one, "id"), "0x9020");
    json_decref(all);
}

static void a_lost_channel_or_unknown_fate_ends_it_and_anything_else_is_a_line(void **state)
{
    (void)state;
    for (int fault = HWS_FAKE_NOT_SENT; fault <= HWS_FAKE_SHORT; fault++) {
        for (size_t k = 0; k < 12; k++) {
            struct hws_dump_snapshot snap;
            set_up();
            card.fault = (enum hws_fake_fault)fault;
            card.fail_at = k;
            card.n_fail = 1;
            bool ends = fault == HWS_FAKE_NOT_SENT || fault == HWS_FAKE_UNKNOWN ||
                        fault == HWS_FAKE_UNKNOWN_DONE;

            enum hws_step step = run(&snap, 1);

            assert_int_equal(step, ends ? HWS_STEP_FAILED : HWS_STEP_DONE);
            assert_true(!ends || (snap.err.code != HWS_OK && card.n_calls == k + 1));
            json_decref(lines());
        }
    }
}

static void a_card_that_never_ends_its_list_is_cut_off(void **state)
{
    (void)state;
    struct hws_dump_snapshot snap;
    set_up();
    card.n_regs = 0;
    hws_fake_add_reg(&card, 0x9060, not_last, sizeof(not_last));

    assert_int_equal(run(&snap, 1), HWS_STEP_DONE);

    json_t *all = lines();
    assert_int_equal(count(all, "MCQS", "ok"), 32);
    assert_int_equal(count(all, "MCQI", "refused"), 96);
    json_decref(all);
}

static void the_estimate_covers_what_comes(void **state)
{
    (void)state;
    for (uint8_t ports = 1; ports <= 4; ports++) {
        struct hws_dump_snapshot snap;
        set_up();
        assert_int_equal(run(&snap, ports), HWS_STEP_DONE);
        assert_true(hws_buf_len(&text) <= hws_dump_snapshot_estimate_bytes(ports));
        hws_buf_deinit(&text);
    }
}

static void bad_port_counts_and_full_buffers_are_refused(void **state)
{
    (void)state;
    struct hws_dump_snapshot snap;
    struct hws_buf small;
    struct hws_ctl_call call = {0};
    struct hws_err err;
    hws_buf_init(&small, 300);

    assert_code(hws_dump_snapshot_init(&snap, "d", "f", 0, &small, &err), HWS_E_INVALID);
    assert_code(hws_dump_snapshot_init(&snap, "d", "f", 5, &small, &err), HWS_E_INVALID);
    set_up();
    assert_ok(hws_dump_snapshot_init(&snap, "d", "f", 1, &small, &err), &err);
    assert_int_equal(hws_dump_snapshot_next(&snap, 0, &call), HWS_STEP_CALL);
    hws_fake_answer(&card, &call);
    hws_dump_snapshot_feed(&snap, &call);
    assert_int_equal(hws_dump_snapshot_next(&snap, 0, &call), HWS_STEP_FAILED);
    assert_code(snap.err.code, HWS_E_BUSY);
    hws_buf_deinit(&small);
}

static enum hws_code scenario(void *arg)
{
    struct hws_dump_snapshot snap;
    struct hws_ctl_call call = {0};
    enum hws_step step = HWS_STEP_FAILED;
    struct hws_buf out;

    (void)arg;
    hws_buf_init(&out, 0);
    card.n_calls = 0;
    enum hws_code rc = hws_dump_snapshot_init(&snap, "d", "f", 1, &out, NULL);
    while (rc == HWS_OK && (step = hws_dump_snapshot_next(&snap, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(&card, &call);
        hws_dump_snapshot_feed(&snap, &call);
    }
    if (rc == HWS_OK && step == HWS_STEP_FAILED) {
        rc = snap.err.code;
    }
    hws_buf_deinit(&out);
    return rc;
}

static void it_survives_any_failed_allocation(void **state)
{
    (void)state;
    set_up();
    assert_true(hws_test_oom_sweep(scenario, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_read_is_a_line_and_refusals_tell_their_status),
        cmocka_unit_test(fields_and_raw_bytes_stand_side_by_side),
        cmocka_unit_test(a_lost_channel_or_unknown_fate_ends_it_and_anything_else_is_a_line),
        cmocka_unit_test(a_card_that_never_ends_its_list_is_cut_off),
        cmocka_unit_test(the_estimate_covers_what_comes),
        cmocka_unit_test(bad_port_counts_and_full_buffers_are_refused),
        cmocka_unit_test(it_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
