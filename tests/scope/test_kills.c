/*
 * Every row of expected.txt, killed: hawserd refuses it and no other, and so does the device
 * process by itself, told over the link, when hawserd hands it the command all the same.
 */
#include <string.h>
#include <time.h>

#include "expected.h"
#include "gate/serve.h"
#include "hawserd/barred.h"
#include "hawserd/device.h"
#include "held_ctl.h"
#include "no_files.h"
#include "table/table.h"
#include "test.h"

#define PCI "0000:81:00.0"

static const struct expect *expected;
static struct hws_barred barred; /* hawserd's */
static struct hws_ctl_ipc_adapter port = {.kind = "mlx5", .pci = PCI};
static struct hws_adapter adapter = {.id = "mlx5:S@" PCI, .port = &port, .known = true};
static struct hws_serve serve; /* the device process's */
static struct hws_held_ctl held;
static uint8_t done[HWS_LINK_MAX_BYTES]; /* its last packet */
static size_t n_done;

static enum hws_code io_send(void *data, const uint8_t *bytes, size_t n)
{
    (void)data;
    memcpy(done, bytes, n);
    n_done = n;
    return HWS_OK;
}

/* Two persons have signed whatever comes: what is refused here is refused for the kill. */
static enum hws_code io_authorize(void *data, const struct hws_serve_danger *d, struct hws_err *err)
{
    (void)data;
    (void)d;
    hws_err_clear(err);
    return HWS_OK;
}

static void io_note(void *data, const char *device, const char *text)
{
    (void)data;
    assert_string_equal(device, PCI);
    assert_true(text[0] != '\0');
}

static void tell(const struct hws_link_packet *p)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_err err;
    size_t n = 0;

    assert_ok(hws_link_encode(p, bytes, sizeof bytes, &n, &err), &err);
    assert_ok(hws_serve_feed(&serve, bytes, n, -1, 1000, &err), &err);
}

static void tell_kills(void)
{
    static uint8_t rows[HWS_LINK_MAX_KILLS * HWS_LINK_KILL_BYTES];
    struct hws_link_packet p = {.type = HWS_LINK_KILLS, .u.kills.rows = rows};

    p.u.kills.n = hws_barred_kills(&barred, &adapter, rows);
    tell(&p);
}

static int setup(void **state)
{
    const struct hws_serve_io io = {
        io_send, hws_no_file_read, hws_no_file_write, hws_no_file_close, io_authorize, io_note,
        NULL};
    const struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                          .state = HWS_LINK_ADAPTER_UP,
                                          .depth = 1,
                                          .pci = PCI,
                                          .node = "",
                                          .backend = "queue",
                                          .reason = ""};
    struct hws_link_packet hello = {
        .type = HWS_LINK_HELLO,
        .u.hello = {.role = HWS_LINK_ROLE_KEEPER, .version = HWS_LINK_VERSION, .generation = 1}};
    struct hws_serve_adapter *a;

    (void)state;
    expected = expect_load();
    assert_ok(hws_bars_init(&barred.bars), NULL);
    hws_held_init(&held);
    hws_serve_init(&serve, &io, "hawser-emu", "1", 7, 42);
    assert_ok(hws_serve_add(&serve, &held.ctl, &facts, &a, NULL), NULL);
    hws_serve_connected(&serve);
    (void)hws_serve_turn(&serve, 1000);
    tell(&hello);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_serve_deinit(&serve);
    hws_bars_deinit(&barred.bars);
    return 0;
}

/* What hawserd would send for a row: bytes that pass both judges if it is not killed. */
static void make_command(uint16_t id, struct hws_link_packet *p)
{
    static uint8_t in[EXPECT_MAX_BYTES];
    const struct hws_table_row *row = hws_table_at(id);
    uint16_t op_mod = row->op_mod == HWS_OP_MOD_ANY ? 0 : (uint16_t)row->op_mod;

    if (row->method != HWS_REG_NONE) {
        op_mod = row->method == HWS_REG_WRITE ? 0 : 1;
    }
    const struct expect_row *e = expect_of(expected, row->opcode, op_mod, row->register_id);
    assert_non_null(e);
    expect_inbox(expected, row->opcode, op_mod, row->register_id, in, e->in_bytes);
    p->type = HWS_LINK_CMD;
    p->u.cmd = (struct hws_link_cmd){.row = id,
                                     .scope = row->scope,
                                     .deadline_ms = 1000,
                                     .in_bytes = e->in_bytes,
                                     .out_cap = e->out_bytes,
                                     .in = {in, e->in_bytes}};
}

/* Hands it to the device process, whatever hawserd's own judge says; true if it ran. */
static bool device_runs(uint16_t id)
{
    static uint64_t command;
    struct hws_link_packet p = {.id = ++command};
    struct hws_link_packet answer;

    make_command(id, &p);
    held.n_calls = 0;
    tell(&p);
    if (held.n_calls == 1) {
        hws_held_ok(&held, 0, 0, 16);
    }
    (void)hws_serve_turn(&serve, 1000);
    assert_ok(hws_link_decode(done, n_done, &answer, NULL), NULL);
    assert_int_equal(answer.id, p.id);
    assert_int_equal(answer.u.done.code, held.n_calls == 1 ? HWS_OK : HWS_E_DENIED);
    assert_true(held.n_calls == 1 || answer.u.done.stage == HWS_STAGE_NOT_SENT);
    return held.n_calls == 1;
}

static bool keeper_runs(uint16_t id)
{
    struct hws_err err;

    return hws_barred_check(&barred, &adapter, hws_table_at(id), &err) == HWS_OK;
}

static uint64_t kill_row(uint16_t id)
{
    const struct hws_table_row *row = hws_table_at(id);
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    struct hws_bar bar = {.kind = HWS_BAR_ROW,
                          .object = "*",
                          .reason = "test",
                          .who = "spiffe://d/o/olga",
                          .until_unix_ms = now_ms + HWS_BAR_MAX_MS};
    struct hws_err err;
    uint64_t bar_id = 0;

    assert_true(hws_str_print(bar.row, sizeof bar.row, "%s%s%s", row->name,
                              row->method == HWS_REG_NONE ? "" : ":",
                              hws_reg_method_name(row->method)));
    assert_ok(hws_bars_add(&barred.bars, &bar, now_ms, &bar_id, &err), &err);
    return bar_id;
}

/* Every row against the one that is killed; counts those that the device process refuses. */
static unsigned judge_all(uint16_t killed)
{
    unsigned n_refused = 0;

    for (uint16_t id = 1; id < hws_table_n(); id++) {
        bool keeper = keeper_runs(id);
        bool device = device_runs(id);

        if (keeper != (id != killed) || device != (id != killed)) {
            fail_msg("row %u is killed; row %u, %s: run by hawserd %d, by the device process %d",
                     killed, id, hws_table_at(id)->name, keeper, device);
        }
        n_refused += device ? 0u : 1u;
    }
    return n_refused;
}

static void killed_row_and_no_other_is_refused_by_both(void **state)
{
    unsigned n_refused = 0;

    (void)state;
    for (uint16_t killed = 1; killed < hws_table_n(); killed++) {
        uint64_t bar = kill_row(killed);

        tell_kills();
        n_refused += judge_all(killed);
        hws_bars_remove(&barred.bars, bar);
    }
    tell_kills();
    assert_int_equal(judge_all(0), 0); /* all are lifted */
    print_message("%u rows killed one by one, %u refused by both\n", hws_table_n() - 1u, n_refused);
    assert_int_equal(n_refused, hws_table_n() - 1);
    assert_int_equal(n_refused, expected->n_commands + expected->n_registers);
}

static void all_rows_killed_at_once_fit_one_list(void **state)
{
    (void)state;
    for (uint16_t id = 1; id < hws_table_n(); id++) {
        (void)kill_row(id);
    }
    tell_kills();
    for (uint16_t id = 1; id < hws_table_n(); id++) {
        assert_false(keeper_runs(id) || device_runs(id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_row_and_no_other_is_refused_by_both),
        cmocka_unit_test(all_rows_killed_at_once_fit_one_list),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
