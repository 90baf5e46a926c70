/* The gate: what passes, and every single disagreement that must not. */
#include <string.h>

#include "gate/gate.h"
#include "table/table.h"
#include "test.h"

struct inbox {
    uint8_t bytes[512];
    struct hws_gate_ask ask;
};

/* A register access with the table's own row, scope and usual lengths: passes as it stands. */
static void register_ask(struct inbox *b, uint16_t id, enum hws_reg_method method)
{
    const struct hws_table_row *row = hws_table_register(HWS_KIND_MLX5, id, method);

    assert_non_null(row);
    memset(b, 0, sizeof *b);
    b->bytes[0] = 0x08;
    b->bytes[1] = 0x05;
    b->bytes[7] = method == HWS_REG_READ ? 1 : 0;
    b->bytes[10] = (uint8_t)(id >> 8);
    b->bytes[11] = (uint8_t)id;
    b->ask = (struct hws_gate_ask){.kind = HWS_KIND_MLX5,
                                   .row = hws_table_id(row),
                                   .scope = method == HWS_REG_READ ? 1 : 0,
                                   .in = b->bytes,
                                   .in_bytes = row->out_bytes,
                                   .out_cap_bytes = row->out_bytes};
}

static void assert_passes(const struct hws_gate_ask *ask)
{
    struct hws_err err;

    assert_ok(hws_gate_judge(ask, &err), &err);
}

static void assert_refused(const struct hws_gate_ask *ask, const char *why)
{
    struct hws_err err;

    assert_code(hws_gate_judge(ask, &err), HWS_E_DENIED);
    assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    if (strstr(err.msg, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
    }
}

static void matching_command_passes(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    assert_passes(&b.ask);
    register_ask(&b, 0x9024, HWS_REG_WRITE);
    assert_passes(&b.ask);
}

static void every_row_of_the_table_passes_the_ceiling(void **state)
{
    (void)state;
    for (uint16_t i = 1; i < hws_table_n(); i++) {
        const struct hws_table_row *row = hws_table_at(i);
        static uint8_t in[8192];
        struct hws_gate_ask ask = {.kind = HWS_KIND_MLX5,
                                   .row = i,
                                   .scope = row->scope,
                                   .in = in,
                                   .in_bytes = row->in_max_bytes,
                                   .out_cap_bytes = row->out_bytes};

        assert_true(row->in_max_bytes <= sizeof in);
        memset(in, 0, sizeof in);
        in[0] = (uint8_t)(row->opcode >> 8);
        in[1] = (uint8_t)row->opcode;
        in[7] = row->method == HWS_REG_READ ? 1 : 0;
        in[10] = (uint8_t)(row->register_id >> 8);
        in[11] = (uint8_t)row->register_id;
        in[8] = row->opcode == 0x109 ? 0x80 : 0; /* SET_HCA_CAP: of another function */
        assert_passes(&ask);
    }
}

/* With a made-up claim of any row, an opcode that has none never passes. */
static void opcode_without_a_row_never_passes(void **state)
{
    unsigned n_passed = 0;

    (void)state;
    for (unsigned opcode = 0; opcode <= 0xffff; opcode++) {
        const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, (uint16_t)opcode, 0);
        uint8_t in[16] = {(uint8_t)(opcode >> 8), (uint8_t)opcode};
        struct hws_gate_ask ask = {.kind = HWS_KIND_MLX5, .in = in, .in_bytes = 16};

        ask.row = row != NULL ? hws_table_id(row) : 1;
        ask.scope = row != NULL ? row->scope : 0;
        ask.out_cap_bytes = 16;
        n_passed += hws_gate_judge(&ask, NULL) == HWS_OK ? 1u : 0u;
    }
    assert_int_equal(n_passed, 91); /* 92 opcodes, and SET_HCA_CAP needs a longer inbox */
}

static void only_the_lowest_scope_passes(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.ask.scope = 0;
    assert_refused(&b.ask, "the lowest is 1");
    b.ask.scope = 2;
    assert_refused(&b.ask, "the lowest is 1");
    register_ask(&b, 0x9024, HWS_REG_WRITE);
    b.ask.scope = 1;
    assert_refused(&b.ask, "the lowest is 0");
}

static void row_must_be_that_of_the_bytes(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.ask.row = 0;
    assert_refused(&b.ask, "row 0 does not exist");
    b.ask.row = UINT16_MAX;
    assert_refused(&b.ask, "does not exist");
    b.ask.row = hws_table_id(hws_table_register(HWS_KIND_MLX5, 0x9021, HWS_REG_READ));
    assert_refused(&b.ask, "the bytes are");
    b.ask.row = hws_table_id(hws_table_command(HWS_KIND_MLX5, 0x80d, 0));
    assert_refused(&b.ask, "is NOP, the bytes are");
    register_ask(&b, 0x9024, HWS_REG_READ);
    b.bytes[7] = 0; /* a write, claimed to be the read */
    assert_refused(&b.ask, "the bytes are");
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.ask.kind = HWS_KIND_NONE;
    assert_refused(&b.ask, "the bytes are");
}

/* The table may be wrong one day: each fact of a row is held against the bytes and the ceiling. */
static void a_wrong_row_is_refused(void **state)
{
    const struct hws_table_row *right = hws_table_register(HWS_KIND_MLX5, 0x9024, HWS_REG_WRITE);
    const struct hws_gate_seen seen = {
        .opcode = 0x805, .is_register = true, .is_write = true, .register_id = 0x9024};
    struct hws_table_row wrong[] = {*right, *right, *right, *right, *right, *right, *right};
    struct inbox b;
    struct hws_err err;

    (void)state;
    register_ask(&b, 0x9024, HWS_REG_WRITE);
    wrong[0].kind = HWS_KIND_CXL;
    wrong[1].opcode = 0xb0c;
    wrong[2].op_mod = 1;
    wrong[3].register_id = 0x9028;
    wrong[4].method = HWS_REG_READ; /* what writes, called a read */
    wrong[5].method = HWS_REG_NONE;
    wrong[6].scope = 1;
    assert_ok(hws_gate_agree(right, &seen, 0, &b.ask, &err), &err);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_code(hws_gate_agree(&wrong[i], &seen, 0, &b.ask, &err), HWS_E_DENIED);
    }
    assert_string_equal(err.msg, "MNVDA: asked for scope 0; the lowest is 0 by the ceiling, 1 by "
                                 "the command table");
    /* A row with all methods, but for a command: the bytes still say which they are. */
    wrong[2].op_mod = HWS_OP_MOD_ANY;
    wrong[2].method = HWS_REG_READ;
    assert_code(hws_gate_agree(&wrong[2], &seen, 0, &b.ask, &err), HWS_E_DENIED);
}

static void only_what_the_lists_call_harmless_runs_without_a_warrant(void **state)
{
    static const struct {
        uint8_t opcode[2];
        uint8_t op_mod;
        uint8_t id[2];
        bool needed;
    } rows[] = {
        {{0x07, 0x31}, 0, {0, 0}, true},        /* DELEGATE_VHCA_MANAGEMENT */
        {{0x08, 0x20}, 0, {0, 0}, true},        /* SET_DIAGNOSTIC_PARAMS */
        {{0x08, 0x05}, 0, {0x90, 0x28}, true},  /* MFRL write: a reset */
        {{0x08, 0x05}, 1, {0x90, 0x28}, false}, /* MFRL read */
        {{0x08, 0x05}, 0, {0x90, 0x43}, true},  /* MTRC_CTRL write */
        {{0x08, 0x05}, 0, {0x90, 0x24}, false}, /* MNVDA write: after the next reset */
        {{0x08, 0x0d}, 0, {0, 0}, false},       /* NOP */
        {{0x01, 0x09}, 0, {0, 0}, false},       /* SET_HCA_CAP: at once, of another function */
        {{0x02, 0x01}, 0, {0, 0}, false},       /* QUERY_MKEY: sensitive */
        {{0x08, 0x05}, 2, {0x90, 0x20}, true},  /* neither read nor write */
        {{0x08, 0x05}, 0, {0x90, 0x20}, true},  /* MGIR write: no row */
        {{0x05, 0x00}, 0, {0, 0}, true},        /* CREATE_QP: no row */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t in[16] = {[0] = rows[i].opcode[0],
                          [1] = rows[i].opcode[1],
                          [7] = rows[i].op_mod,
                          [10] = rows[i].id[0],
                          [11] = rows[i].id[1]};

        if (hws_gate_needs_warrant(HWS_KIND_MLX5, in, sizeof in) != rows[i].needed) {
            fail_msg("row %zu", i);
        }
        assert_true(hws_gate_needs_warrant(HWS_KIND_MLX5, in, sizeof in - 1)); /* no header */
        assert_true(hws_gate_needs_warrant(HWS_KIND_CXL, in, sizeof in));
    }
}

static void an_effect_that_nobody_knows_is_dangerous(void **state)
{
    (void)state;
    for (int effect = -1; effect <= HWS_N_EFFECTS; effect++) {
        bool harmless = effect >= HWS_EFFECT_READ && effect <= HWS_EFFECT_CONFIG_LIVE;

        assert_int_equal(hws_gate_is_dangerous((enum hws_effect)effect), !harmless);
    }
}

static void register_that_no_list_names_is_above_the_ceiling(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.bytes[11] = 0xfe;
    assert_refused(&b.ask, "reading register 0x90fe is above the ceiling");
    b.bytes[7] = 0;
    assert_refused(&b.ask, "writing register 0x90fe is above the ceiling");
}

static void ceiling_alone_refuses_what_has_no_header(void **state)
{
    const uint8_t in[15] = {0x08, 0x0d};
    uint8_t lowest = 77;

    (void)state;
    assert_code(hws_gate_ceiling(in, sizeof in, &lowest, NULL), HWS_E_DENIED);
    assert_int_equal(lowest, 77);
}

static void banned_registers_never_pass(void **state)
{
    static const uint16_t banned[] = {0x9010, 0x9011, 0x9012, 0x905c, 0xc010,
                                      0x9063, 0x505e, 0x9053, 0x9055, 0x9182};

    (void)state;
    for (size_t i = 0; i < sizeof banned / sizeof banned[0]; i++) {
        struct inbox b;

        register_ask(&b, 0x9020, HWS_REG_READ);
        b.bytes[10] = (uint8_t)(banned[i] >> 8);
        b.bytes[11] = (uint8_t)banned[i];
        assert_refused(&b.ask, "is banned");
        b.bytes[7] = 0;
        assert_refused(&b.ask, "is banned");
    }
}

static void read_that_clears_counters_is_refused(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x5008, HWS_REG_READ);
    assert_passes(&b.ask);
    b.bytes[16 + 4] = 0x80;
    assert_refused(&b.ask, "resets counters");
    register_ask(&b, 0x900a, HWS_REG_READ);
    b.bytes[16 + 8] = 0x40;
    assert_refused(&b.ask, "clears the maximum");
}

static void every_bit_of_the_ceiling_is_refused(void **state)
{
    static const struct {
        uint16_t id;
        enum hws_reg_method method;
        uint8_t offset;
        uint32_t mask;
    } bits[] = {
        {0x5008, HWS_REG_READ, 20, 0x80000000u},  {0x9051, HWS_REG_READ, 20, 0x80000000u},
        {0x900a, HWS_REG_READ, 24, 0x40000000u},  {0x9014, HWS_REG_READ, 16, 0x80000000u},
        {0xc000, HWS_REG_READ, 48, 0xffffffffu},  {0xc000, HWS_REG_READ, 56, 0xffffffffu},
        {0xc000, HWS_REG_READ, 60, 0xffffffffu},  {0x9024, HWS_REG_WRITE, 16, 0x30c00000u},
        {0x9033, HWS_REG_WRITE, 16, 0xfffffe08u}, {0x9033, HWS_REG_WRITE, 20, 0xffffffffu},
        {0x9028, HWS_REG_WRITE, 16, 0xffffffffu},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            struct inbox b;

            register_ask(&b, bits[i].id, bits[i].method);
            b.bytes[bits[i].offset + 3 - bit / 8] = (uint8_t)(1u << bit % 8);
            if ((bits[i].mask >> bit & 1) != 0) {
                assert_code(hws_gate_judge(&b.ask, NULL), HWS_E_DENIED);
            } else {
                assert_passes(&b.ask);
            }
        }
    }
}

static void a_query_that_clears_or_writes_to_memory_is_refused(void **state)
{
    static const struct {
        uint16_t opcode;
        size_t offset;
        uint32_t mask;
    } bits[] = {
        {0x0770, 24, 0x80000000u}, {0x0773, 24, 0x80000000u}, {0x0826, 8, 0x80000000u},
        {0x0964, 8, 0x80000000u},  {0x093b, 12, 0xffffffffu}, {0x093b, 16, 0xffffffffu},
        {0x093b, 20, 0xffffffffu}, {0x093b, 24, 0xc0000000u},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            enum hws_code wanted = (bits[i].mask >> bit & 1) != 0 ? HWS_E_DENIED : HWS_OK;
            uint8_t in[64] = {(uint8_t)(bits[i].opcode >> 8), (uint8_t)bits[i].opcode};
            size_t at = bits[i].offset + 3 - bit / 8;
            uint8_t lowest = 0;

            in[at] = (uint8_t)(1u << bit % 8);
            assert_code(hws_gate_ceiling(in, sizeof in, &lowest, NULL), wanted);
            if (at >= 16) { /* an inbox that ends within the dword carries the bit as well */
                assert_code(hws_gate_ceiling(in, at + 1, &lowest, NULL), wanted);
                assert_code(hws_gate_ceiling(in, at, &lowest, NULL), HWS_OK);
            }
        }
    }
}

static void capabilities_are_set_of_other_functions_only(void **state)
{
    static uint8_t in[4112] = {0x01, 0x09};
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x109, 0);
    struct hws_gate_ask ask = {.kind = HWS_KIND_MLX5,
                               .row = hws_table_id(row),
                               .in = in,
                               .in_bytes = sizeof in,
                               .out_cap_bytes = 16};

    (void)state;
    assert_refused(&ask, "only of another function");
    in[8] = 0x80;
    assert_passes(&ask);
}

static void foreign_user_id_is_refused(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.bytes[3] = 1;
    assert_refused(&b.ask, "uid 1");
}

static void strange_register_method_is_refused(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.bytes[7] = 2;
    assert_refused(&b.ask, "no read or write");
    b.bytes[7] = 1;
    b.bytes[6] = 1; /* op_mod 0x101 */
    assert_refused(&b.ask, "no read or write");
}

static void user_register_opcode_is_above_the_ceiling(void **state)
{
    struct inbox b;

    (void)state;
    register_ask(&b, 0x9020, HWS_REG_READ);
    b.bytes[0] = 0x0b;
    b.bytes[1] = 0x0c;
    assert_refused(&b.ask, "above the ceiling");
}

static void wrong_lengths_are_refused(void **state)
{
    struct inbox b;
    struct hws_err err;

    (void)state;
    register_ask(&b, 0x9030, HWS_REG_READ);
    b.ask.in_bytes++;
    assert_code(hws_gate_judge(&b.ask, &err), HWS_E_INVALID);
    assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    register_ask(&b, 0x9030, HWS_REG_READ);
    b.ask.out_cap_bytes--;
    assert_code(hws_gate_judge(&b.ask, &err), HWS_E_INVALID);
    b.ask.in_bytes = 15;
    assert_refused(&b.ask, "no whole header");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching_command_passes),
        cmocka_unit_test(every_row_of_the_table_passes_the_ceiling),
        cmocka_unit_test(opcode_without_a_row_never_passes),
        cmocka_unit_test(only_the_lowest_scope_passes),
        cmocka_unit_test(row_must_be_that_of_the_bytes),
        cmocka_unit_test(a_wrong_row_is_refused),
        cmocka_unit_test(only_what_the_lists_call_harmless_runs_without_a_warrant),
        cmocka_unit_test(an_effect_that_nobody_knows_is_dangerous),
        cmocka_unit_test(register_that_no_list_names_is_above_the_ceiling),
        cmocka_unit_test(ceiling_alone_refuses_what_has_no_header),
        cmocka_unit_test(banned_registers_never_pass),
        cmocka_unit_test(read_that_clears_counters_is_refused),
        cmocka_unit_test(every_bit_of_the_ceiling_is_refused),
        cmocka_unit_test(a_query_that_clears_or_writes_to_memory_is_refused),
        cmocka_unit_test(capabilities_are_set_of_other_functions_only),
        cmocka_unit_test(foreign_user_id_is_refused),
        cmocka_unit_test(strange_register_method_is_refused),
        cmocka_unit_test(user_register_opcode_is_above_the_ceiling),
        cmocka_unit_test(wrong_lengths_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
