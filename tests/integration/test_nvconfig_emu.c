/*
 * The steppers of hca, nvconfig and dump against the emulated adapter, through the command queue:
 * 64-byte entries, mailboxes, signatures. The two sides know the layouts from the same documents
 * and from nothing else in common, so each judges the other. Settings are drawn from the seed.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "card.h"
#include "dump/snapshot.h"
#include "hca/health.h"
#include "hca/identity.h"
#include "hca/reset.h"
#include "nvconfig/get.h"
#include "nvconfig/recover.h"
#include "nvconfig/reset.h"
#include "test.h"

#define PROFILE    HWS_TESTS_DIR "/../agent/emu/profiles/connectx7.yaml"
#define DEVICE     "mlx5:MT2334T00A17@0000:03:00.0"
#define N_ROUNDS   60u
#define TIMEOUT_MS 1000u

static struct card card;
static struct hws_nv_get get;
static struct hws_nv_plan plan;
static struct hws_nv_apply apply;
static struct hws_nv_recover recover;

/* The shipped profile, with `faults` in place of its empty list. */
static void open_card(const char *faults)
{
    static char text[64 * 1024];
    FILE *f = fopen(PROFILE, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 4096, f);
    assert_int_equal(fclose(f), 0);
    text[n] = '\0';
    char *at = strstr(text, "faults: []");
    assert_non_null(at);
    assert_true(snprintf(at, 4096, "faults: %s\n", faults) < 4096);
    card_open(&card, text, NULL);
    card_bring_up(&card);
}

static void answered(struct hws_ctl_call *call)
{
    *(bool *)call->data = true;
}

/* Submit, turn, until the callback has come; time moves to what the queue waits for. */
static void pump(struct hws_ctl_call *call)
{
    bool done = false;

    call->cb = answered;
    call->data = &done;
    if (hws_cmdq_submit(&card.q, call, &call->err) != HWS_OK) {
        call->err.stage = HWS_STAGE_NOT_SENT;
        return;
    }
    while (!done) {
        uint64_t next_ms = hws_cmdq_turn(&card.q, card.now_ms);
        if (!done) {
            assert_true(next_ms != UINT64_MAX);
            card.now_ms = next_ms > card.now_ms ? next_ms : card.now_ms;
        }
    }
}

#define DRIVE(step, object, next, feed)                                                            \
    do {                                                                                           \
        struct hws_ctl_call stepped = {0};                                                         \
        while (((step) = next((object), card.now_ms, &stepped)) == HWS_STEP_CALL) {                \
            pump(&stepped);                                                                        \
            feed((object), &stepped);                                                              \
        }                                                                                          \
    } while (0)

static enum hws_step run_get(void)
{
    enum hws_step step;
    assert_ok(hws_nv_get_init(&get, NULL, 0, NULL), NULL);
    DRIVE(step, &get, hws_nv_get_next, hws_nv_get_feed);
    if (step != HWS_STEP_DONE) {
        fail_msg("get: %s", get.err.msg);
    }
    return step;
}

static enum hws_step run_plan(const struct hws_nv_setting *s, size_t n)
{
    enum hws_step step;
    struct hws_err err;
    assert_ok(hws_nv_plan_init(&plan, DEVICE, s, n, &err), &err);
    DRIVE(step, &plan, hws_nv_plan_next, hws_nv_plan_feed);
    return step;
}

static enum hws_step drive_apply(void)
{
    enum hws_step step;
    apply.timeout_ms = TIMEOUT_MS;
    DRIVE(step, &apply, hws_nv_apply_next, hws_nv_apply_feed);
    return step;
}

static enum hws_step run_apply(const struct hws_nv_setting *s, size_t n)
{
    struct hws_err err;
    assert_ok(hws_nv_apply_init(&apply, DEVICE, s, n, NULL, NULL, &err), &err);
    return drive_apply();
}

static void identity_health_and_reset_are_those_of_the_profile(void **state)
{
    (void)state;
    struct hws_hca_identify id;
    struct hws_hca_health health;
    struct hws_hca_reset reset;
    enum hws_step step;
    open_card("[]");

    hws_hca_identify_init(&id);
    DRIVE(step, &id, hws_hca_identify_next, hws_hca_identify_feed);
    if (step != HWS_STEP_DONE) {
        fail_msg("%s", id.err.msg);
    }
    assert_string_equal(id.identity.device_name, "ConnectX-7");
    assert_string_equal(id.identity.part_number, "MCX755106AS-HEAT");
    assert_string_equal(id.identity.product_name,
                        "ConnectX-7 HHHL adapter, 200GbE, dual-port QSFP112, PCIe 5.0 x16");
    assert_string_equal(id.identity.serial, "MT2334T00A17");
    assert_string_equal(id.identity.revision, "A7");
    assert_string_equal(id.identity.psid, "MT_0000000834");
    assert_string_equal(id.identity.fw_version, "28.43.2006");
    assert_true(id.identity.base_mac == UINT64_C(0xa088c2104e02));
    assert_int_equal(id.identity.n_ports, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(id.identity.ports[i].link, HWS_HCA_LINK_UP);
        assert_true(id.identity.ports[i].admin_up);
        assert_string_equal(id.identity.ports[i].speed, "200G x4");
        assert_string_equal(id.identity.ports[i].reason, "");
    }

    hws_hca_health_init(&health);
    DRIVE(step, &health, hws_hca_health_next, hws_hca_health_feed);
    assert_int_equal(step, HWS_STEP_DONE);
    assert_int_equal(health.temperature_mc, 54500);
    assert_int_equal(health.threshold_mc, 105000);

    hws_hca_reset_init(&reset);
    DRIVE(step, &reset, hws_hca_reset_next, hws_hca_reset_feed);
    assert_int_equal(step, HWS_STEP_DONE);
    assert_int_equal(reset.state, 0);
    card_close(&card);
}

static void a_new_card_shows_every_parameter_at_its_default(void **state)
{
    (void)state;
    size_t n_supported = 0;
    open_card("[]");

    (void)run_get();

    for (size_t i = 0; i < get.n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(&get, i, &v);
        n_supported += v.supported;
        assert_string_equal(v.default_value, v.next_boot);
        assert_string_equal(v.default_value, v.running);
        assert_false(v.pending);
    }
    /* The profile has all but the records of an adapter with its own processor. */
    assert_int_equal(n_supported, hws_nv_param_count() - 5);
    card_close(&card);
}

/* ---- settings drawn from the seed ---------------------------------------------------------------
 */

#define MAX_DRAWN 6u

struct drawn {
    size_t n;
    struct hws_nv_setting settings[MAX_DRAWN];
    const char *names[MAX_DRAWN];
    char values[MAX_DRAWN][HWS_NV_VALUE_BYTES];
};

/* One to six different parameters that the card has, each with any value its table allows. */
static void draw(struct drawn *d, uint64_t *rng)
{
    d->n = 0;
    size_t want = 1 + hws_test_rand(rng) % MAX_DRAWN;
    while (d->n < want) {
        struct hws_nv_value v;
        size_t idx = hws_test_rand(rng) % hws_nv_param_count();
        hws_nv_get_value(&get, idx, &v);
        bool again = false;
        for (size_t i = 0; i < d->n; i++) {
            again = again || strcmp(d->names[i], v.param->name) == 0;
        }
        /* NUM_PF_MSIX_VALID takes NUM_PF_MSIX out of force: refused by the plan when both are
         * drawn. */
        if (!v.supported || v.read_only || again ||
            strcmp(v.param->name, "NUM_PF_MSIX_VALID") == 0) {
            continue;
        }
        uint64_t span = (uint64_t)v.max - v.param->min + 1;
        uint32_t value = v.param->min + (uint32_t)(hws_test_rand(rng) % (span < 40 ? span : 40));
        hws_nv_param_format(v.param, value, d->values[d->n], HWS_NV_VALUE_BYTES);
        d->names[d->n] = v.param->name;
        d->settings[d->n] = (struct hws_nv_setting){v.param->name, d->values[d->n]};
        d->n++;
    }
}

struct shown {
    char next[HWS_NV_MAX_PARAMS][HWS_NV_VALUE_BYTES];
    char running[HWS_NV_MAX_PARAMS][HWS_NV_VALUE_BYTES];
    struct hws_digest revision;
};

static void show(struct shown *s)
{
    (void)run_get();
    s->revision = get.revision;
    for (size_t i = 0; i < get.n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(&get, i, &v);
        memcpy(s->next[i], v.next_boot, HWS_NV_VALUE_BYTES);
        memcpy(s->running[i], v.running, HWS_NV_VALUE_BYTES);
    }
}

/* The wanted text of a parameter, or what it was. */
static const char *wanted(const struct drawn *d, size_t idx, const struct shown *before)
{
    for (size_t i = 0; i < d->n; i++) {
        if (strcmp(d->names[i], hws_nv_param_at(idx)->name) == 0) {
            return d->values[i];
        }
    }
    return before->next[idx];
}

static void drawn_settings_land_wholly_or_not_at_all(void **state)
{
    (void)state;
    static struct shown before;
    static struct shown after;
    struct drawn d;
    uint64_t rng = hws_test_seed();
    size_t n_applied = 0;
    size_t n_refused = 0;
    open_card("[]");
    show(&before);

    for (unsigned round = 0; round < N_ROUNDS; round++) {
        struct hws_err err;
        draw(&d, &rng);
        assert_int_equal(run_plan(d.settings, d.n), HWS_STEP_DONE);
        assert_true(hws_digest_eq(&plan.revision, &before.revision));
        assert_ok(
            hws_nv_apply_init(&apply, DEVICE, d.settings, d.n, &plan.hash, &plan.revision, &err),
            &err);

        enum hws_step step = drive_apply();

        show(&after);
        if (step == HWS_STEP_DONE) {
            n_applied++;
            assert_int_equal(apply.outcome, HWS_NV_APPLIED);
            assert_true(hws_digest_eq(&apply.revision, &after.revision));
        } else {
            /* The card knows narrower ranges than the table, and says so with a status. */
            n_refused++;
            assert_code(apply.err.code, HWS_E_DEVICE);
            assert_int_equal(apply.err.exec_status, 3);
            assert_true(apply.err.syndrome != 0);
            assert_int_equal(apply.outcome, HWS_NV_RESTORED);
            assert_true(hws_digest_eq(&before.revision, &after.revision));
        }
        for (size_t i = 0; i < hws_nv_param_count(); i++) {
            assert_string_equal(after.running[i], before.running[i]);
            assert_string_equal(after.next[i],
                                step == HWS_STEP_DONE ? wanted(&d, i, &before) : before.next[i]);
        }
        before = after;
    }
    print_message("%zu applied, %zu refused by the card\n", n_applied, n_refused);
    assert_true(n_applied > N_ROUNDS / 4);
    card_close(&card);
}

static void a_reset_takes_back_what_was_named_and_then_everything(void **state)
{
    (void)state;
    static struct shown factory;
    static struct shown before;
    static struct shown after;
    static const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "16"},
                                              {"SRIOV_EN", "True"},
                                              {"LINK_TYPE_P2", "IB"},
                                              {"CQE_COMPRESSION", "AGGRESSIVE"},
                                              {"WOL_MAGIC_EN", "True"}};
    static const char *const names[] = {"SRIOV_EN", "LINK_TYPE_P2"};
    struct hws_err err;
    open_card("[]");
    show(&factory);
    assert_int_equal(run_apply(s, 5), HWS_STEP_DONE);
    show(&before);

    assert_ok(hws_nv_reset_init(&apply, DEVICE, names, 2, NULL, NULL, &err), &err);
    assert_int_equal(drive_apply(), HWS_STEP_DONE);
    show(&after);
    for (size_t i = 0; i < hws_nv_param_count(); i++) {
        const char *name = hws_nv_param_at(i)->name;
        bool named = strcmp(name, names[0]) == 0 || strcmp(name, names[1]) == 0;
        assert_string_equal(after.next[i], named ? factory.next[i] : before.next[i]);
    }

    assert_ok(hws_nv_reset_init(&apply, DEVICE, NULL, 0, NULL, NULL, &err), &err);
    assert_int_equal(drive_apply(), HWS_STEP_DONE);
    show(&after);
    assert_true(hws_digest_eq(&after.revision, &factory.revision));
    card_close(&card);
}

/* A setting that the card takes only beside another needs them written in the right order, forth
 * and back. */
static void settings_that_gate_each_other_go_in_order_and_come_back_in_order(void **state)
{
    (void)state;
    static const struct hws_nv_setting on[] = {{"MAX_ACC_OUT_READ", "32"},
                                               {"ADVANCED_PCI_SETTINGS", "True"}};
    static const struct hws_nv_setting off[] = {{"MAX_ACC_OUT_READ", "0"},
                                                {"ADVANCED_PCI_SETTINGS", "False"},
                                                {"SAFE_MODE_THRESHOLD", "3"}};
    static struct shown before;
    static struct shown after;
    open_card("[{opcode: ACCESS_REG, register: MNVDA, access: write, countdown: 5, action: status, "
              "status: BAD_PARAM, syndrome: 0x1234}]");

    assert_int_equal(run_apply(on, 2), HWS_STEP_DONE);
    show(&before);

    assert_int_equal(run_apply(off, 3), HWS_STEP_FAILED);

    assert_int_equal(apply.outcome, HWS_NV_RESTORED);
    assert_int_equal(apply.err.syndrome, 0x1234);
    show(&after);
    assert_true(hws_digest_eq(&before.revision, &after.revision));
    card_close(&card);
}

static void a_lost_completion_is_read_back_and_counts_if_it_landed(void **state)
{
    (void)state;
    static const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "16"},
                                              {"CQE_COMPRESSION", "AGGRESSIVE"}};
    open_card("[{opcode: ACCESS_REG, register: MNVDA, access: write, countdown: 1, action: drop}]");

    assert_int_equal(run_apply(s, 2), HWS_STEP_DONE);

    assert_int_equal(apply.outcome, HWS_NV_APPLIED);
    assert_false(apply.late_write);
    (void)run_get();
    assert_true(hws_digest_eq(&apply.revision, &get.revision));
    card_close(&card);
}

static void a_status_on_any_write_leaves_the_old_values(void **state)
{
    (void)state;
    static const struct hws_nv_setting s[] = {
        {"NUM_OF_VFS", "16"}, {"CQE_COMPRESSION", "AGGRESSIVE"}, {"LINK_TYPE_P1", "IB"}};
    static struct shown before;
    static struct shown after;

    for (unsigned k = 1; k <= 3; k++) {
        char fault[256];
        (void)snprintf(
            fault, sizeof(fault),
            "[{opcode: ACCESS_REG, register: MNVDA, access: write, countdown: %u, action: "
            "status, status: BAD_RES_STATE, syndrome: 0xabcd}]",
            k);
        open_card(fault);
        show(&before);

        assert_int_equal(run_apply(s, 3), HWS_STEP_FAILED);

        assert_int_equal(apply.outcome, HWS_NV_RESTORED);
        assert_int_equal(apply.err.stage, HWS_STAGE_EXECUTED);
        assert_int_equal(apply.err.exec_status, 9);
        assert_int_equal(apply.err.syndrome, 0xabcd);
        show(&after);
        assert_true(hws_digest_eq(&before.revision, &after.revision));
        card_close(&card);
    }
}

static void an_apply_cut_off_between_two_writes_is_recovered(void **state)
{
    (void)state;
    static const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "16"}, {"LINK_TYPE_P1", "IB"}};
    static uint8_t intent[HWS_NV_INTENT_MAX_BYTES];
    static struct shown before;
    static struct shown after;
    struct hws_ctl_call call = {0};
    struct hws_err err;
    enum hws_step step;
    open_card("[]");
    show(&before);
    assert_int_equal(run_plan(s, 2), HWS_STEP_DONE);
    size_t n = hws_nv_intent_encode(&plan, intent);
    assert_ok(hws_nv_apply_init(&apply, DEVICE, s, 2, NULL, NULL, &err), &err);
    for (bool wrote = false; !wrote;) {
        assert_int_equal(hws_nv_apply_next(&apply, card.now_ms, &call), HWS_STEP_CALL);
        wrote = call.scope == HWS_SCOPE_CONFIG;
        pump(&call);
        hws_nv_apply_feed(&apply, &call);
    }

    assert_ok(hws_nv_recover_init(&recover, intent, n, &err), &err);
    DRIVE(step, &recover, hws_nv_recover_next, hws_nv_recover_feed);

    assert_int_equal(step, HWS_STEP_DONE);
    assert_int_equal(recover.outcome, HWS_NV_RESTORED);
    show(&after);
    assert_true(hws_digest_eq(&before.revision, &after.revision));
    card_close(&card);
}

/* ---- the snapshot -------------------------------------------------------------------------------
 */

static void the_snapshot_is_lines_of_json_with_the_cards_facts(void **state)
{
    (void)state;
    struct hws_dump_snapshot snap;
    struct hws_buf out;
    struct hws_err err;
    enum hws_step step;
    size_t n_lines = 0;
    open_card("[]");
    hws_buf_init(&out, 0);
    assert_ok(hws_dump_snapshot_init(&snap, DEVICE, "28.43.2006", 2, &out, &err), &err);

    DRIVE(step, &snap, hws_dump_snapshot_next, hws_dump_snapshot_feed);

    assert_int_equal(step, HWS_STEP_DONE);
    const char *text = hws_buf_cstr(&out);
    assert_non_null(text);
    for (const char *at = text; *at != '\0';) {
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        json_t *line = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(line);
        json_decref(line);
        n_lines++;
        at = end + 1;
    }
    assert_int_equal(n_lines, snap.n_answered + snap.n_refused + 2);
    assert_non_null(strstr(text, "MT2334T00A17"));
    assert_non_null(strstr(text, "\"meaning\":\"200G x4\""));
    assert_true(hws_buf_len(&out) <= hws_dump_snapshot_estimate_bytes(2));
    print_message("%zu bytes, %" PRIu32 " answered, %" PRIu32 " refused\n", hws_buf_len(&out),
                  snap.n_answered, snap.n_refused);
    assert_true(snap.n_answered > snap.n_refused);
    hws_buf_deinit(&out);
    card_close(&card);
}

/* ---- a lying card -------------------------------------------------------------------------------
 */

static void put_row(void *arg, const struct hws_reg_row *row)
{
    struct hws_buf *b = arg;
    assert_ok(hws_buf_printf(b, "%s=%s(%s)\n", row->name, row->value, row->meaning), NULL);
}

/* MGIR's rows as the card's reply gives them, or the error. */
static void mgir_rows(struct hws_buf *out)
{
    static uint8_t in[16 + 0xA0];
    static uint8_t reply[16 + 0xA0];
    struct hws_err err;
    struct hws_ctl_call call = {.in = in,
                                .in_bytes = sizeof(in),
                                .out = reply,
                                .out_cap_bytes = sizeof(reply),
                                .scope = HWS_SCOPE_DEBUG_READ,
                                .deadline_ms = card.now_ms + TIMEOUT_MS};

    assert_int_equal(hws_hca_access_reg(in, sizeof(in), 0x9020, false, NULL, 0xA0), sizeof(in));
    pump(&call);
    if (hws_hca_result(&call, sizeof(reply), &err) == HWS_OK) {
        assert_ok(hws_hca_decode(in, sizeof(in), reply, call.out_bytes, put_row, out, &err), &err);
    } else {
        assert_ok(hws_buf_printf(out, "error: %s\n", err.msg), NULL);
    }
}

static void every_flipped_byte_of_a_reply_changes_or_breaks_what_is_shown(void **state)
{
    (void)state;
    struct hws_buf honest;
    struct hws_buf lied;
    hws_buf_init(&honest, 0);
    hws_buf_init(&lied, 0);
    open_card("[]");
    mgir_rows(&honest);
    card_close(&card);

    for (unsigned offset = 0; offset < 16 + 0xA0; offset += 3) {
        char fault[160];
        (void)snprintf(fault, sizeof(fault),
                       "[{opcode: ACCESS_REG, register: MGIR, action: flip, offset: %u, mask: "
                       "0x10, sign: true}]",
                       offset);
        open_card(fault);
        hws_buf_reset(&lied);
        mgir_rows(&lied);
        if (strcmp(hws_buf_cstr(&honest), hws_buf_cstr(&lied)) == 0) {
            fail_msg("byte %u of the reply can change unseen", offset);
        }
        card_close(&card);
    }
    hws_buf_deinit(&honest);
    hws_buf_deinit(&lied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_health_and_reset_are_those_of_the_profile),
        cmocka_unit_test(a_new_card_shows_every_parameter_at_its_default),
        cmocka_unit_test(drawn_settings_land_wholly_or_not_at_all),
        cmocka_unit_test(a_reset_takes_back_what_was_named_and_then_everything),
        cmocka_unit_test(settings_that_gate_each_other_go_in_order_and_come_back_in_order),
        cmocka_unit_test(a_lost_completion_is_read_back_and_counts_if_it_landed),
        cmocka_unit_test(a_status_on_any_write_leaves_the_old_values),
        cmocka_unit_test(an_apply_cut_off_between_two_writes_is_recovered),
        cmocka_unit_test(the_snapshot_is_lines_of_json_with_the_cards_facts),
        cmocka_unit_test(every_flipped_byte_of_a_reply_changes_or_breaks_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
