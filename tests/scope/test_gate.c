/*
 * Every opcode and every register, judged by hawserd's own path (table, then policy) and again by
 * the device process's gate, against expected.txt: what is listed passes, in its lowest scope and
 * for the profiles named there, and nothing else does.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "common/file.h"
#include "expected.h"
#include "gate/gate.h"
#include "hawserd/authorize.h"
#include "hawserd/exec.h"
#include "link/methods.h"
#include "policy/policy.h"
#include "table/table.h"
#include "test.h"

#define N_SCOPES 4u

struct tally {
    uint64_t judged;
    uint64_t allowed;
    uint64_t mismatches;
};

static const struct expect *expected;
static struct hws_policy *policy;
static struct tally keeper;        /* hawserd's table and policy */
static struct tally gate;          /* the device process */
static struct tally top;           /* its ceiling alone, whatever row is claimed */
static struct tally unsigned_ones; /* what it runs without a warrant */

/* op_mod 0..15, every listed value and its neighbours, 0xFFFF. */
static uint16_t op_mods[16 + 3 * EXPECT_MAX_VALUES + 1];
static size_t n_op_mods;

static void add_op_mod(uint32_t v)
{
    for (size_t i = 0; i < n_op_mods; i++) {
        if (op_mods[i] == v) {
            return;
        }
    }
    if (v <= UINT16_MAX) {
        op_mods[n_op_mods++] = (uint16_t)v;
    }
}

static void load_policy(void)
{
    static struct hws_policy_method known[HWS_N_METHODS];
    struct hws_buf text;
    struct hws_err err;

    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        known[i].path = hws_method_at(i)->path;
        known[i].permission = hws_method_at(i)->permission;
    }
    hws_buf_init(&text, 0);
    assert_ok(hws_file_read(HWS_TESTS_DIR "/../docs/examples/profiles.yaml", HWS_POLICY_MAX_BYTES,
                            &text, &err),
              &err);
    assert_ok(hws_policy_load(hws_buf_peek(&text), hws_buf_len(&text), "profiles.yaml", known,
                              HWS_N_METHODS, &policy, &err),
              &err);
    hws_buf_deinit(&text);
}

static int setup(void **state)
{
    (void)state;
    expected = expect_load();
    load_policy();
    for (uint32_t v = 0; v < 16; v++) {
        add_op_mod(v);
    }
    for (size_t i = 0; i < expected->n_op_mods; i++) {
        add_op_mod(expected->op_mods[i] - 1u);
        add_op_mod(expected->op_mods[i]);
        add_op_mod(expected->op_mods[i] + 1u);
    }
    add_op_mod(UINT16_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_policy_unref(policy);
    return 0;
}

/* One set of bytes and what expected.txt says of it. */
struct subject {
    uint16_t opcode;
    uint16_t op_mod;
    uint16_t register_id;
    const struct expect_row *row; /* NULL: never */
    uint8_t in[EXPECT_MAX_BYTES];
    size_t in_bytes;
    size_t out_bytes;
};

static void make(struct subject *s, uint16_t opcode, uint16_t op_mod, uint16_t id)
{
    s->opcode = opcode;
    s->op_mod = op_mod;
    s->register_id = id;
    s->row = expect_of(expected, opcode, op_mod, id);
    s->in_bytes = s->row != NULL ? s->row->in_bytes : 16;
    s->out_bytes = s->row != NULL ? s->row->out_bytes : 16;
    expect_inbox(expected, opcode, op_mod, id, s->in, s->in_bytes);
}

static void count(struct tally *t, const struct subject *s, bool allowed, bool should,
                  const char *what)
{
    t->judged++;
    t->allowed += allowed ? 1u : 0u;
    if (allowed == should) {
        return;
    }
    if (t->mismatches++ < 20) {
        print_message("%s: opcode 0x%04x op_mod 0x%04x register 0x%04x: %s, expected.txt says %s\n",
                      what, s->opcode, s->op_mod, s->register_id, allowed ? "allowed" : "refused",
                      should ? "allowed" : "refused");
    }
}

/* hawserd: the row of the bytes, then the policy for each profile. The scope is the row's: a caller
 * that wishes another one has no way to say so, so another scope counts as refused. */
static void judge_keeper(const struct subject *s)
{
    static const struct hws_method *method;
    struct hws_exec x = {0};
    char number[16];
    struct hws_exec_command q = {.command = number,
                                 .op_mod = s->op_mod,
                                 .inbox = s->in,
                                 .n_inbox = s->in_bytes,
                                 .out_bytes = (uint32_t)s->out_bytes};

    method = hws_method_at(HWS_METHOD_COMMAND_EXECUTE);
    (void)snprintf(number, sizeof number, "0x%x", s->opcode);
    bool has_row = hws_exec_raw(&x, HWS_KIND_MLX5, &q, NULL) == HWS_OK;
    for (size_t p = 0; p < EXPECT_PROFILES; p++) {
        struct hws_policy_decision d = {.allowed = false};
        char principal[64];

        if (has_row) {
            struct hws_authorize_what what = {.device.id = "",
                                              .device.pci = "",
                                              .device.serial = "",
                                              .effect = x.row->effect,
                                              .target = x.row->name,
                                              .target_method = hws_reg_method_name(x.row->method)};
            (void)snprintf(principal, sizeof principal, "spiffe://hawser.example/%s/one",
                           expected->profiles[p].name);
            hws_authorize(policy, method, principal, &what, &d);
        }
        for (unsigned scope = 0; scope < N_SCOPES; scope++) {
            bool should = s->row != NULL && s->row->scope == scope &&
                          expect_profile_may(&expected->profiles[p], s->row);

            count(&keeper, s, has_row && d.allowed && x.row->scope == scope, should,
                  expected->profiles[p].name);
        }
    }
    hws_exec_deinit(&x);
}

/* The device process: with the row that hawserd would name, and with one it would not. */
static void judge_gate(const struct subject *s)
{
    const struct hws_table_row *row = hws_table_of_inbox(HWS_KIND_MLX5, s->in, s->in_bytes);
    uint16_t rows[2] = {row != NULL ? hws_table_id(row) : 0,
                        (uint16_t)(1 + (s->opcode ^ s->register_id) % (hws_table_n() - 1))};

    for (size_t i = 0; i < 2; i++) {
        for (unsigned scope = 0; scope < N_SCOPES; scope++) {
            struct hws_gate_ask ask = {.kind = HWS_KIND_MLX5,
                                       .row = rows[i],
                                       .scope = (uint8_t)scope,
                                       .in = s->in,
                                       .in_bytes = s->in_bytes,
                                       .out_cap_bytes = s->out_bytes};
            bool should =
                s->row != NULL && s->row->scope == scope && (i == 0 || rows[1] == rows[0]);

            count(&gate, s, hws_gate_judge(&ask, NULL) == HWS_OK, should, "gate");
        }
    }
}

static void judge_ceiling(const struct subject *s)
{
    uint8_t lowest = 0xff;
    bool allowed = hws_gate_ceiling(s->in, s->in_bytes, &lowest, NULL) == HWS_OK;

    for (unsigned scope = 0; scope < N_SCOPES; scope++) {
        count(&top, s, allowed && lowest == scope, s->row != NULL && s->row->scope == scope,
              "ceiling");
    }
}

/* What needs a warrant: everything but what expected.txt calls a read or configuration. */
static void judge_warrant(const struct subject *s)
{
    bool without = !hws_gate_needs_warrant(HWS_KIND_MLX5, s->in, s->in_bytes);

    count(&unsigned_ones, s, without, s->row != NULL && !expect_is_dangerous(s->row),
          "without a warrant");
}

static void judge(const struct subject *s)
{
    judge_keeper(s);
    judge_warrant(s);
    judge_gate(s);
    judge_ceiling(s);
}

static void report(const char *what, const struct tally *t)
{
    print_message("%s: %llu judged, %llu allowed, %llu mismatches\n", what,
                  (unsigned long long)t->judged, (unsigned long long)t->allowed,
                  (unsigned long long)t->mismatches);
    assert_int_equal(t->mismatches, 0);
    assert_true(t->allowed > 0);
    memset((struct tally *)t, 0, sizeof *t);
}

static void every_opcode_is_judged_as_expected(void **state)
{
    static struct subject s;

    (void)state;
    for (unsigned opcode = 0; opcode <= UINT16_MAX; opcode++) {
        for (size_t i = 0; i < n_op_mods; i++) {
            make(&s, (uint16_t)opcode, op_mods[i], 0);
            judge(&s);
        }
    }
    print_message("%u opcodes x %zu op_mods x %u scopes x %u profiles; %zu commands listed\n",
                  65536u, n_op_mods, N_SCOPES, EXPECT_PROFILES, expected->n_commands);
    report("hawserd", &keeper);
    report("device process", &gate);
    report("its ceiling alone", &top);
    report("without a warrant", &unsigned_ones);
}

static void every_register_is_judged_as_expected(void **state)
{
    static const uint16_t opcodes[] = {0x0805, 0x0b0c}; /* ACCESS_REG and its user flavour */
    static const uint16_t methods[] = {0, 1, 2, 0x100, 0x101, UINT16_MAX};
    static struct subject s;

    (void)state;
    for (unsigned id = 0; id <= UINT16_MAX; id++) {
        for (size_t o = 0; o < 2; o++) {
            for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++) {
                make(&s, opcodes[o], methods[m], (uint16_t)id);
                judge(&s);
            }
        }
    }
    print_message("65536 registers x 2 opcodes x 6 op_mods x %u scopes x %u profiles; %zu rows "
                  "listed\n",
                  N_SCOPES, EXPECT_PROFILES, expected->n_registers);
    report("hawserd", &keeper);
    report("device process", &gate);
    report("its ceiling alone", &top);
    report("without a warrant", &unsigned_ones);
}

/* The other door: a register by number and method, as `hawser reg` asks. */
/* By number and method, as `hawser reg` asks. */
static bool runs_by_number(uint16_t id, bool write, const struct expect_row *row)
{
    static const uint8_t data[EXPECT_MAX_BYTES];
    const struct hws_table_row *found = NULL;
    struct hws_exec_access q = {.data = data, .n_data = row->there ? row->in_bytes - 16 : 16};
    struct hws_exec x = {0};
    char number[16];

    (void)snprintf(number, sizeof number, "0x%x", id);
    if (hws_table_find_register(HWS_KIND_MLX5, number, write ? HWS_REG_WRITE : HWS_REG_READ, &found,
                                NULL) != HWS_OK) {
        return false;
    }
    bool runs = hws_exec_register(&x, found, &q, NULL) == HWS_OK;
    hws_exec_deinit(&x);
    return runs;
}

static void every_register_by_number_is_as_expected(void **state)
{
    unsigned n_allowed = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * 65536u; i++) {
        const struct expect_row *row = &expected->registers[i / 2][i % 2];
        bool runs = runs_by_number((uint16_t)(i / 2), i % 2 == 1, row);

        if (runs != row->there) {
            fail_msg("register 0x%04x %s", i / 2, i % 2 == 1 ? "write" : "read");
        }
        n_allowed += runs ? 1u : 0u;
    }
    assert_int_equal(n_allowed, expected->n_registers);
}

/* A `needs` line's command with one of its bits the other way: each of the three refuses it. */
static void needed_bit_the_other_way(const struct expect_needs *need, unsigned bit)
{
    static struct subject s;
    char number[16];
    struct hws_exec x = {0};
    struct hws_exec_command q = {.command = number, .inbox = s.in, .out_bytes = 16};
    struct hws_gate_ask ask = {.kind = HWS_KIND_MLX5, .in = s.in, .out_cap_bytes = 16};
    uint8_t lowest = 0;

    make(&s, need->opcode, 0, 0);
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, need->opcode, 0);
    if (s.in_bytes < need->offset + 4) {
        s.in_bytes = need->offset + 4;
        expect_inbox(expected, need->opcode, 0, 0, s.in, s.in_bytes);
    }
    (void)snprintf(number, sizeof number, "0x%x", need->opcode);
    q.n_inbox = s.in_bytes;
    ask.row = hws_table_id(row);
    ask.scope = s.row->scope;
    ask.in_bytes = s.in_bytes;
    assert_code(hws_exec_raw(&x, HWS_KIND_MLX5, &q, NULL), HWS_OK);
    hws_exec_deinit(&x);
    assert_code(hws_gate_judge(&ask, NULL), HWS_OK);

    s.in[need->offset + 3 - bit / 8] ^= (uint8_t)(1u << bit % 8);
    x = (struct hws_exec){0};
    assert_code(hws_exec_raw(&x, HWS_KIND_MLX5, &q, NULL), HWS_E_DENIED);
    hws_exec_deinit(&x);
    assert_code(hws_gate_judge(&ask, NULL), HWS_E_DENIED);
    assert_code(hws_gate_ceiling(s.in, s.in_bytes, &lowest, NULL), HWS_E_DENIED);
}

static void every_needed_bit_is_held_by_both(void **state)
{
    unsigned n_bits = 0;

    (void)state;
    for (size_t i = 0; i < expected->n_needs; i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            if ((expected->needs[i].mask >> bit & 1) != 0) {
                needed_bit_the_other_way(&expected->needs[i], bit);
                n_bits++;
            }
        }
    }
    assert_true(n_bits > expected->n_needs);
}

static void names_and_effects_are_as_expected(void **state)
{
    size_t n = 0;

    (void)state;
    for (uint16_t i = 1; i < hws_table_n(); i++) {
        const struct hws_table_row *row = hws_table_at(i);
        const struct expect_row *e =
            row->method == HWS_REG_NONE
                ? &expected->commands[row->opcode]
                : &expected->registers[row->register_id][row->method == HWS_REG_WRITE];

        assert_true(e->there);
        assert_string_equal(row->name, e->name);
        assert_string_equal(hws_effect_name(row->effect), e->effect);
        n++;
    }
    assert_int_equal(n, expected->n_commands + expected->n_registers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_effects_are_as_expected),
        cmocka_unit_test(every_needed_bit_is_held_by_both),
        cmocka_unit_test(every_register_by_number_is_as_expected),
        cmocka_unit_test(every_register_is_judged_as_expected),
        cmocka_unit_test(every_opcode_is_judged_as_expected),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
