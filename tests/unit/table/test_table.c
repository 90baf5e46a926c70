/* The command table: every opcode of the kernel's filter with its scope, the registers, the ways to
 * find a row, and what has none. */
#include <string.h>

#include "table/table.h"
#include "test.h"

/* The kernel's filter, typed here once more (drivers/fwctl/mlx5/main.c, Linux 7.2.13). */
static const uint16_t from_scope_0[] = {0x100, 0x101, 0x109, 0x10e, 0x731, 0x740,
                                        0x760, 0x762, 0x823, 0xb22, 0xb2e};
static const uint16_t from_scope_1[] = {
    0x107, 0x10a, 0x10c, 0x111, 0x117, 0x201,  0x203,  0x303, 0x402, 0x50b, 0x512, 0x602,
    0x702, 0x707, 0x713, 0x716, 0x719, 0x722,  0x725,  0x727, 0x728, 0x730, 0x732, 0x750,
    0x752, 0x754, 0x764, 0x765, 0x76f, 0x770,  0x773,  0x781, 0x784, 0x80b, 0x80d, 0x813,
    0x819, 0x821, 0x822, 0x824, 0x826, 0x82a,  0x831,  0x842, 0x903, 0x907, 0x90b, 0x90f,
    0x911, 0x915, 0x919, 0x932, 0x935, 0x937,  0x93b,  0x93f, 0x942, 0x962, 0x964, 0x971,
    0x981, 0xa02, 0xa05, 0xa09, 0xb02, 0xb03,  0xb05,  0xb07, 0xb08, 0xb0a, 0xb0d, 0xb0f,
    0xb13, 0xb14, 0xb28, 0xb2a, 0xb2f, 0x8000, 0x8001, 0x8006};
static const uint16_t from_scope_2[] = {0x820};

static uint8_t filter_scope(unsigned opcode)
{
    for (size_t i = 0; i < sizeof from_scope_0 / sizeof from_scope_0[0]; i++) {
        if (from_scope_0[i] == opcode) {
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof from_scope_1 / sizeof from_scope_1[0]; i++) {
        if (from_scope_1[i] == opcode) {
            return 1;
        }
    }
    return from_scope_2[0] == opcode ? 2 : 0xff;
}

static void commands_are_those_of_the_kernels_filter(void **state)
{
    unsigned n = 0;

    (void)state;
    for (unsigned opcode = 0; opcode <= 0xffff; opcode++) {
        const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, (uint16_t)opcode, 0);
        uint8_t scope = filter_scope(opcode);

        if ((row != NULL) != (scope != 0xff) || (row != NULL && row->scope != scope)) {
            fail_msg("opcode 0x%x", opcode);
        }
        n += row != NULL ? 1u : 0u;
    }
    assert_int_equal(n, 92);
}

static void row_zero_is_never_found(void **state)
{
    (void)state;
    assert_null(hws_table_at(0));
    assert_null(hws_table_at(hws_table_n()));
    assert_null(hws_table_command(HWS_KIND_NONE, 0, 0));
    assert_null(hws_table_register(HWS_KIND_NONE, 0, HWS_REG_NONE));
    assert_null(hws_table_register(HWS_KIND_MLX5, 0, HWS_REG_READ));
    assert_null(hws_table_register(HWS_KIND_MLX5, 0x9020, HWS_REG_NONE));
    assert_null(hws_table_command(HWS_KIND_MLX5, 0x805, 1));
}

static void every_row_is_filled_and_unique(void **state)
{
    (void)state;
    for (uint16_t i = 1; i < hws_table_n(); i++) {
        const struct hws_table_row *row = hws_table_at(i);

        assert_int_equal(hws_table_id(row), i);
        assert_true(row->name[0] != 0 && row->source[0] != 0 && row->kernel_api != NULL);
        assert_true(row->effect > HWS_EFFECT_NONE && row->effect < HWS_N_EFFECTS);
        assert_true(row->scope <= 2);
        assert_true(row->in_min_bytes >= 16 && row->in_min_bytes <= row->in_max_bytes);
        assert_true(row->out_min_bytes >= 16 && row->out_min_bytes <= row->out_bytes);
        assert_true(row->out_bytes <= row->out_max_bytes && row->out_max_bytes <= 2u << 20);
        if (row->method == HWS_REG_NONE) {
            assert_ptr_equal(hws_table_command(row->kind, row->opcode, 3), row);
        } else {
            assert_ptr_equal(hws_table_register(row->kind, row->register_id, row->method), row);
        }
        if (row->method == HWS_REG_READ) {
            assert_false(hws_effect_mutates(row->effect));
        }
        if (row->method == HWS_REG_WRITE) {
            assert_true(hws_effect_mutates(row->effect));
        }
    }
}

static void register_read_needs_scope_1_and_write_scope_0(void **state)
{
    const struct hws_table_row *read = hws_table_register(HWS_KIND_MLX5, 0x9024, HWS_REG_READ);
    const struct hws_table_row *write = hws_table_register(HWS_KIND_MLX5, 0x9024, HWS_REG_WRITE);

    (void)state;
    assert_int_equal(read->scope, 1);
    assert_int_equal(read->op_mod, 1);
    assert_int_equal(read->effect, HWS_EFFECT_READ);
    assert_int_equal(write->scope, 0);
    assert_int_equal(write->op_mod, 0);
    assert_int_equal(write->effect, HWS_EFFECT_CONFIG_NEXT_RESET);
}

static void flash_registers_have_no_row(void **state)
{
    static const uint16_t banned[] = {0x9010, 0x9011, 0x9012, 0x905c, 0x9063, 0xc010};

    (void)state;
    for (size_t i = 0; i < sizeof banned / sizeof banned[0]; i++) {
        assert_null(hws_table_register(HWS_KIND_MLX5, banned[i], HWS_REG_READ));
        assert_null(hws_table_register(HWS_KIND_MLX5, banned[i], HWS_REG_WRITE));
    }
}

static void rows_are_found_by_name_or_number(void **state)
{
    const struct hws_table_row *row = NULL;
    struct hws_err err;

    (void)state;
    assert_ok(hws_table_find_command(HWS_KIND_MLX5, "query_adapter", 0, &row, &err), &err);
    assert_string_equal(row->name, "QUERY_ADAPTER");
    assert_ok(hws_table_find_command(HWS_KIND_MLX5, "0x101", 0, &row, &err), &err);
    assert_string_equal(row->name, "QUERY_ADAPTER");
    assert_ok(hws_table_find_command(HWS_KIND_MLX5, "257", 0, &row, &err), &err);
    assert_string_equal(row->name, "QUERY_ADAPTER");
    assert_ok(hws_table_find_register(HWS_KIND_MLX5, "MGIR", HWS_REG_READ, &row, &err), &err);
    assert_int_equal(row->register_id, 0x9020);
    assert_ok(hws_table_find_register(HWS_KIND_MLX5, "0x9020", HWS_REG_READ, &row, &err), &err);
    assert_string_equal(row->name, "MGIR");
}

static void what_is_not_found_is_named(void **state)
{
    const struct hws_table_row *row = NULL;
    struct hws_err err;

    (void)state;
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "CREATE_QP", 0, &row, &err), HWS_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "CREATE_QP"));
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "0x10000", 0, &row, &err), HWS_E_INVALID);
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "0x805", 1, &row, &err), HWS_E_DENIED);
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "MGIR", 0, &row, &err), HWS_E_NOT_FOUND);
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "0x1234", HWS_REG_READ, &row, &err),
                HWS_E_NOT_FOUND);
    assert_string_equal(err.msg, "register \"0x1234\" has no row in the command table");
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "MGIR", HWS_REG_WRITE, &row, &err),
                HWS_E_DENIED);
    assert_string_equal(err.msg, "register MGIR has no row for method write");
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "NOP", HWS_REG_READ, &row, &err),
                HWS_E_NOT_FOUND);
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "*", HWS_REG_READ, &row, &err),
                HWS_E_NOT_FOUND);
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "", 0, &row, &err), HWS_E_NOT_FOUND);
    /* A name is of one kind of device only. */
    assert_code(hws_table_find_command(HWS_KIND_CXL, "NOP", 0, &row, &err), HWS_E_NOT_FOUND);
    assert_code(hws_table_find_register(HWS_KIND_CXL, "MGIR", HWS_REG_READ, &row, &err),
                HWS_E_NOT_FOUND);
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "9x", HWS_REG_WRITE, &row, NULL),
                HWS_E_INVALID);
    assert_null(row);
}

static void what_review_refused_says_why(void **state)
{
    static const char *const flash = "is never run: raw flash: it bypasses";
    const struct hws_table_row *row = NULL;
    struct hws_err err;

    (void)state;
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "mfba", HWS_REG_READ, &row, &err),
                HWS_E_DENIED);
    assert_non_null(strstr(err.msg, flash));
    assert_code(hws_table_find_register(HWS_KIND_MLX5, "0x9012", HWS_REG_WRITE, &row, &err),
                HWS_E_DENIED);
    assert_non_null(strstr(err.msg, flash));
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "0xb0c", 1, &row, &err), HWS_E_DENIED);
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "ACCESS_REGISTER_USER", 1, &row, &err),
                HWS_E_DENIED);
    assert_non_null(strstr(err.msg, "through ACCESS_REG"));
    assert_code(hws_table_find_command(HWS_KIND_MLX5, "MFBA", 0, &row, &err), HWS_E_NOT_FOUND);
    assert_string_equal(hws_table_refused(0x101, 0), "");
    /* What was refused has no row. */
    for (unsigned id = 0; id <= 0xffff; id++) {
        if (hws_table_refused(0x805, (uint16_t)id)[0] != '\0') {
            assert_null(hws_table_register(HWS_KIND_MLX5, (uint16_t)id, HWS_REG_READ));
            assert_null(hws_table_register(HWS_KIND_MLX5, (uint16_t)id, HWS_REG_WRITE));
        }
        if (hws_table_refused((uint16_t)id, 0)[0] != '\0') {
            assert_null(hws_table_command(HWS_KIND_MLX5, (uint16_t)id, 0));
        }
    }
    assert_null(row);
}

static void bits_that_change_the_meaning_are_refused(void **state)
{
    const struct hws_table_row *read = hws_table_register(HWS_KIND_MLX5, 0x5008, HWS_REG_READ);
    const struct hws_table_row *set = hws_table_command(HWS_KIND_MLX5, 0x109, 0);
    const struct hws_table_row *dump = hws_table_register(HWS_KIND_MLX5, 0xc000, HWS_REG_READ);
    uint8_t in[272] = {0};
    struct hws_err err;

    (void)state;
    assert_ok(hws_table_check_fields(read, in, sizeof in, &err), &err);
    in[20] = 0x80;
    assert_code(hws_table_check_fields(read, in, sizeof in, &err), HWS_E_DENIED);
    assert_string_equal(err.msg, "PPCNT read: clr must be 0: it resets the counters");
    assert_code(hws_table_check_fields(read, in, 21, &err), HWS_E_DENIED); /* the bit is there */
    assert_ok(hws_table_check_fields(read, in, 20, &err), &err);
    assert_code(hws_table_check_fields(set, in, sizeof in, &err), HWS_E_DENIED);
    in[8] = 0x80;
    assert_ok(hws_table_check_fields(set, in, sizeof in, &err), &err);
    in[63] = 1; /* the last byte of an address */
    assert_code(hws_table_check_fields(dump, in, sizeof in, &err), HWS_E_DENIED);
}

static void a_query_that_clears_or_writes_to_memory_is_refused(void **state)
{
    static const struct {
        uint16_t opcode;
        size_t offset;
        uint32_t mask;
    } bits[] = {
        {0x770, 24, 0x80000000u}, {0x773, 24, 0x80000000u}, {0x826, 8, 0x80000000u},
        {0x964, 8, 0x80000000u},  {0x93b, 12, 0xffffffffu}, {0x93b, 16, 0xffffffffu},
        {0x93b, 20, 0xffffffffu}, {0x93b, 24, 0xc0000000u},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, bits[i].opcode, 0);

        for (unsigned bit = 0; bit < 32; bit++) {
            bool set = (bits[i].mask >> bit & 1) != 0;
            size_t at = bits[i].offset + 3 - bit / 8;
            uint8_t in[64] = {0};

            in[at] = (uint8_t)(1u << bit % 8);
            assert_code(hws_table_check_fields(row, in, sizeof in, NULL),
                        set ? HWS_E_DENIED : HWS_OK);
            assert_code(hws_table_check_fields(row, in, at + 1, NULL), set ? HWS_E_DENIED : HWS_OK);
            assert_code(hws_table_check_fields(row, in, at, NULL), HWS_OK);
        }
    }
}

static void inbox_leads_to_its_row(void **state)
{
    uint8_t in[16] = {0x08, 0x05, 0, 0, 0, 0, 0, 1, 0, 0, 0x90, 0x20};

    (void)state;
    assert_string_equal(hws_table_of_inbox(HWS_KIND_MLX5, in, sizeof in)->name, "MGIR");
    assert_null(hws_table_of_inbox(HWS_KIND_MLX5, in, 15));
    in[7] = 2; /* neither read nor write */
    assert_null(hws_table_of_inbox(HWS_KIND_MLX5, in, sizeof in));
    in[7] = 0; /* MGIR cannot be written */
    assert_null(hws_table_of_inbox(HWS_KIND_MLX5, in, sizeof in));
    in[1] = 0x0d;
    assert_string_equal(hws_table_of_inbox(HWS_KIND_MLX5, in, sizeof in)->name, "NOP");
    assert_null(hws_table_of_inbox(HWS_KIND_NONE, in, sizeof in));
}

static void lengths_outside_the_row_are_named(void **state)
{
    const struct hws_table_row *row = hws_table_register(HWS_KIND_MLX5, 0x9024, HWS_REG_WRITE);
    struct hws_err err;

    (void)state;
    assert_ok(hws_table_check_lengths(row, 16 + 24, 16 + 24, &err), &err);
    assert_ok(hws_table_check_lengths(row, 16 + 0x10c, 16 + 0x10c, &err), &err);
    assert_code(hws_table_check_lengths(row, 16 + 0x10d, 16 + 0x10c, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "MNVDA write: inbox of 285 bytes, allowed are 32..284");
    assert_code(hws_table_check_lengths(row, 40, 31, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "MNVDA write: outbox of 31 bytes, allowed are 32..284");
    assert_code(hws_table_check_lengths(row, 31, 40, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "MNVDA write: inbox of 31 bytes, allowed are 32..284");
    row = hws_table_command(HWS_KIND_MLX5, 0x101, 0);
    assert_code(hws_table_check_lengths(row, 17, 272, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "QUERY_ADAPTER: inbox of 17 bytes, allowed are 16..16");
    assert_code(hws_table_check_lengths(row, 16, 273, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "QUERY_ADAPTER: outbox of 273 bytes, allowed are 16..272");
}

static enum hws_code text_once(void *arg)
{
    struct hws_buf buf;
    enum hws_code code;

    (void)arg;
    hws_buf_init(&buf, 0);
    code = hws_table_text(&buf);
    hws_buf_deinit(&buf);
    return code;
}

static void text_has_a_line_a_row_field_and_refusal(void **state)
{
    struct hws_buf buf;
    unsigned n_lines = 0;

    (void)state;
    hws_buf_init(&buf, 0);
    assert_code(hws_table_text(&buf), HWS_OK);
    for (size_t i = 0; i < hws_buf_len(&buf); i++) {
        n_lines += hws_buf_peek(&buf)[i] == '\n' ? 1u : 0u;
    }
    assert_int_equal(n_lines, hws_table_n() - 1 + 22 + 11); /* rows, fields.def, refused.def */
    assert_non_null(strstr(hws_buf_cstr(&buf),
                           "mlx5 MNVDA opcode=0x0805 op_mod=0x0000 register=0x9024 method=write "
                           "scope=0 effect=config-next-reset in=32..284 out=32..284 usual=284\n"));
    hws_buf_deinit(&buf);
    assert_true(hws_test_oom_sweep(text_once, NULL) > 0);
}

/* What is hashed is the whole table or nothing, wherever the room ends. */
static void text_that_does_not_fit_is_an_error(void **state)
{
    struct hws_buf whole;

    (void)state;
    hws_buf_init(&whole, 0);
    assert_code(hws_table_text(&whole), HWS_OK);
    for (size_t max = 1; max < hws_buf_len(&whole); max += 61) {
        struct hws_buf buf;

        hws_buf_init(&buf, max);
        assert_code(hws_table_text(&buf), HWS_E_BUSY);
        hws_buf_deinit(&buf);
    }
    hws_buf_deinit(&whole);
}

static void names_go_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 1; i < HWS_N_EFFECTS; i++) {
        assert_int_equal(hws_effect_from_name(hws_effect_name((enum hws_effect)i)), i);
    }
    assert_int_equal(hws_effect_from_name("none"), HWS_EFFECT_NONE);
    assert_string_equal(hws_effect_name(HWS_N_EFFECTS), "?");
    assert_int_equal(hws_kind_from_name("mlx5"), HWS_KIND_MLX5);
    assert_int_equal(hws_kind_from_name("pds"), HWS_KIND_PDS);
    assert_int_equal(hws_kind_from_name("cxl"), HWS_KIND_CXL);
    assert_int_equal(hws_kind_from_name("bnxt"), HWS_KIND_BNXT);
    assert_int_equal(hws_kind_from_name("efa"), HWS_KIND_NONE);
    assert_string_equal(hws_kind_name(HWS_N_KINDS), "?");
    assert_string_equal(hws_reg_method_name(HWS_REG_WRITE), "write");
    assert_string_equal(hws_reg_method_name((enum hws_reg_method)3), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_those_of_the_kernels_filter),
        cmocka_unit_test(row_zero_is_never_found),
        cmocka_unit_test(every_row_is_filled_and_unique),
        cmocka_unit_test(register_read_needs_scope_1_and_write_scope_0),
        cmocka_unit_test(flash_registers_have_no_row),
        cmocka_unit_test(rows_are_found_by_name_or_number),
        cmocka_unit_test(what_is_not_found_is_named),
        cmocka_unit_test(what_review_refused_says_why),
        cmocka_unit_test(bits_that_change_the_meaning_are_refused),
        cmocka_unit_test(a_query_that_clears_or_writes_to_memory_is_refused),
        cmocka_unit_test(inbox_leads_to_its_row),
        cmocka_unit_test(lengths_outside_the_row_are_named),
        cmocka_unit_test(text_has_a_line_a_row_field_and_refusal),
        cmocka_unit_test(text_that_does_not_fit_is_an_error),
        cmocka_unit_test(names_go_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
