/*
 * The rows of commands.def and registers.def as one array, and the ways to find one. Row 0 is all
 * zero and never found. The array is small (some 160 rows), so every search is a walk.
 */
#include "table/table.h"

#include <stdio.h>
#include <strings.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/str.h"
#include "table/table_priv.h"

#define HEADER_BYTES      16u    /* command header, and ACCESS_REG's before the register's data */
#define OPCODE_ACCESS_REG 0x805u /* include/linux/mlx5/mlx5_ifc.h, Linux 7.2.13 */
#define OP_MOD_WRITE      0u     /* ACCESS_REG op_mod, same source */
#define OP_MOD_READ       1u
#define NO_OP_MOD         UINT32_MAX

/* Bounds of a query whose exact lengths no source at hand names; firmware judges what is within. */
#define HWS_IN_QUERY  256u
#define HWS_OUT_QUERY 8192u

static const struct hws_table_row rows[] = {
    {.kind = HWS_KIND_NONE, .name = "", .kernel_api = "", .source = ""},

#define HWS_COMMAND(row_name, op, mod, row_scope, row_effect, in_min, in_max, out_min, out_max,    \
                    usual, api, src)                                                               \
    {.kind = HWS_KIND_MLX5,                                                                        \
     .name = #row_name,                                                                            \
     .opcode = (op),                                                                               \
     .op_mod = (mod),                                                                              \
     .scope = (row_scope),                                                                         \
     .effect = HWS_EFFECT_##row_effect,                                                            \
     .in_min_bytes = (in_min),                                                                     \
     .in_max_bytes = (in_max),                                                                     \
     .out_min_bytes = (out_min),                                                                   \
     .out_max_bytes = (out_max),                                                                   \
     .out_bytes = (usual),                                                                         \
     .kernel_api = (api),                                                                          \
     .source = (src)},
#include "table/commands.def"
#undef HWS_COMMAND

#define REGISTER(row_name, id, min, max, usual, row_effect, api, src, row_method, mod, row_scope)  \
    {.kind = HWS_KIND_MLX5,                                                                        \
     .name = #row_name,                                                                            \
     .opcode = OPCODE_ACCESS_REG,                                                                  \
     .op_mod = (mod),                                                                              \
     .register_id = (id),                                                                          \
     .method = (row_method),                                                                       \
     .scope = (row_scope),                                                                         \
     .effect = HWS_EFFECT_##row_effect,                                                            \
     .in_min_bytes = HEADER_BYTES + (min),                                                         \
     .in_max_bytes = HEADER_BYTES + (max),                                                         \
     .out_min_bytes = HEADER_BYTES + (min),                                                        \
     .out_max_bytes = HEADER_BYTES + (max),                                                        \
     .out_bytes = HEADER_BYTES + (usual),                                                          \
     .kernel_api = (api),                                                                          \
     .source = (src)},
/* The kernel's filter wants scope 1 for a register read and lets a write pass at 0. */
#define HWS_READ(name, id, min, max, usual, effect, api, src)                                      \
    REGISTER(name, id, min, max, usual, effect, api, src, HWS_REG_READ, OP_MOD_READ, 1)
#define HWS_WRITE(name, id, min, max, usual, effect, api, src)                                     \
    REGISTER(name, id, min, max, usual, effect, api, src, HWS_REG_WRITE, OP_MOD_WRITE, 0)
#include "table/registers.def"
#undef HWS_READ
#undef HWS_WRITE
#undef REGISTER
};

/* Known and refused: command rows have an opcode, register rows a register id. */
struct refusal {
    const char *name;
    uint16_t opcode;
    uint16_t register_id;
    const char *reason;
};

#define HWS_REFUSED_COMMAND(name, opcode, reason) {#name, (opcode), 0, (reason)},
#define HWS_REFUSED_REGISTER(name, id, reason)    {#name, OPCODE_ACCESS_REG, (id), (reason)},
static const struct refusal refusals[] = {
#include "table/refused.def"
};
#undef HWS_REFUSED_COMMAND
#undef HWS_REFUSED_REGISTER

#define N_REFUSALS (sizeof refusals / sizeof refusals[0])

#define N_ROWS (sizeof rows / sizeof rows[0])
_Static_assert(N_ROWS <= UINT16_MAX, "row ids are 16 bits wide");

static const char *const effect_names[] = {
    "none", "read", "read-sensitive", "config-next-reset", "config-live", "debug-write", "full",
};
_Static_assert(sizeof effect_names / sizeof effect_names[0] == HWS_N_EFFECTS, "a name each");

static const char *const kind_names[] = {"none", "mlx5", "cxl", "bnxt", "pds"};
_Static_assert(sizeof kind_names / sizeof kind_names[0] == HWS_N_KINDS, "a name each");

uint16_t hws_table_n(void)
{
    return (uint16_t)N_ROWS;
}

const struct hws_table_row *hws_table_at(uint16_t id)
{
    return id > 0 && id < N_ROWS ? &rows[id] : NULL;
}

uint16_t hws_table_id(const struct hws_table_row *row)
{
    hws_assert(row > rows && row < rows + N_ROWS);
    return (uint16_t)(row - rows);
}

static bool takes(const struct hws_table_row *row, uint32_t op_mod)
{
    return row->op_mod == HWS_OP_MOD_ANY || row->op_mod == op_mod;
}

/* ACCESS_REG's op_mod for a method; one that no row takes for none. */
static uint32_t op_mod_of(enum hws_reg_method method)
{
    static const uint32_t of[] = {
        [HWS_REG_NONE] = NO_OP_MOD, [HWS_REG_READ] = OP_MOD_READ, [HWS_REG_WRITE] = OP_MOD_WRITE};

    return of[method];
}

/* The row of a header; register_id is 0 for a command. */
static const struct hws_table_row *find(enum hws_kind kind, uint16_t opcode, uint32_t op_mod,
                                        uint16_t register_id)
{
    for (size_t i = 1; i < N_ROWS; i++) {
        const struct hws_table_row *row = &rows[i];

        if (row->kind == kind && row->opcode == opcode && row->register_id == register_id &&
            takes(row, op_mod)) {
            return row;
        }
    }
    return NULL;
}

const struct hws_table_row *hws_table_command(enum hws_kind kind, uint16_t opcode, uint16_t op_mod)
{
    return find(kind, opcode, op_mod, 0);
}

const struct hws_table_row *hws_table_register(enum hws_kind kind, uint16_t register_id,
                                               enum hws_reg_method method)
{
    return find(kind, OPCODE_ACCESS_REG, op_mod_of(method), register_id);
}

const char *hws_table_refused(uint16_t opcode, uint16_t register_id)
{
    for (size_t i = 0; i < N_REFUSALS; i++) {
        if (refusals[i].opcode == opcode && refusals[i].register_id == register_id) {
            return refusals[i].reason;
        }
    }
    return "";
}

/* Why the command or register of that name is refused; "" if it is not listed. */
static const char *refused_by_name(const char *name, bool is_register)
{
    for (size_t i = 0; i < N_REFUSALS; i++) {
        if (strcasecmp(refusals[i].name, name) == 0 &&
            (refusals[i].register_id != 0) == is_register) {
            return refusals[i].reason;
        }
    }
    return "";
}

/* HWS_E_DENIED with the reviewed reason, HWS_E_NOT_FOUND where there is none. */
static enum hws_code no_row(const char *what, const char *text, const char *reason,
                            struct hws_err *err)
{
    if (reason[0] != '\0') {
        return hws_err_set(err, HWS_E_DENIED, "%s \"%.64s\" is never run: %s", what, text, reason);
    }
    return hws_err_set(err, HWS_E_NOT_FOUND, "%s \"%.64s\" has no row in the command table", what,
                       text);
}

/* The number that text spells, if it looks like one. */
static enum hws_code number_of(const char *text, bool *out_is_number, uint16_t *out,
                               struct hws_err *err)
{
    uint64_t v;
    enum hws_code code;

    *out_is_number = text[0] >= '0' && text[0] <= '9';
    if (!*out_is_number) {
        return HWS_OK;
    }
    code = hws_str_to_u64(text, UINT16_MAX, &v, err);
    if (code == HWS_OK) {
        *out = (uint16_t)v;
    }
    return code;
}

/* The row of a command, or of a register with that op_mod, by its name, ignoring case. */
static const struct hws_table_row *named(enum hws_kind kind, const char *name, bool is_register,
                                         uint32_t op_mod)
{
    for (size_t i = 1; i < N_ROWS; i++) {
        const struct hws_table_row *row = &rows[i];

        if (row->kind == kind && (row->method != HWS_REG_NONE) == is_register &&
            strcasecmp(row->name, name) == 0 && takes(row, op_mod)) {
            return row;
        }
    }
    return NULL;
}

enum hws_code hws_table_find_command(enum hws_kind kind, const char *text, uint16_t op_mod,
                                     const struct hws_table_row **out, struct hws_err *err)
{
    const struct hws_table_row *row;
    uint16_t opcode = 0;
    bool is_number;
    enum hws_code code;

    code = number_of(text, &is_number, &opcode, err);
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "command");
        return code;
    }
    if (is_number && opcode == OPCODE_ACCESS_REG) {
        return hws_err_set(err, HWS_E_DENIED,
                           "command 0x%03x: registers are accessed by name or number of the "
                           "register, not as a raw command",
                           OPCODE_ACCESS_REG);
    }
    row = is_number ? hws_table_command(kind, opcode, op_mod) : named(kind, text, false, op_mod);
    if (row == NULL) {
        return no_row("command", text,
                      is_number ? hws_table_refused(opcode, 0) : refused_by_name(text, false), err);
    }
    *out = row;
    return HWS_OK;
}

enum hws_code hws_table_find_register(enum hws_kind kind, const char *text,
                                      enum hws_reg_method method, const struct hws_table_row **out,
                                      struct hws_err *err)
{
    enum hws_reg_method other = method == HWS_REG_READ ? HWS_REG_WRITE : HWS_REG_READ;
    const struct hws_table_row *row;
    const struct hws_table_row *unasked;
    uint16_t id = 0;
    bool is_number;
    enum hws_code code;

    code = number_of(text, &is_number, &id, err);
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "register");
        return code;
    }
    if (is_number) {
        row = hws_table_register(kind, id, method);
        unasked = hws_table_register(kind, id, other);
    } else {
        row = named(kind, text, true, op_mod_of(method));
        unasked = named(kind, text, true, op_mod_of(other));
    }
    if (row == NULL && unasked != NULL) {
        return hws_err_set(err, HWS_E_DENIED, "register %s has no row for method %s", unasked->name,
                           hws_reg_method_name(method));
    }
    if (row == NULL) {
        return no_row("register", text,
                      is_number ? hws_table_refused(OPCODE_ACCESS_REG, id)
                                : refused_by_name(text, true),
                      err);
    }
    *out = row;
    return HWS_OK;
}

const struct hws_table_row *hws_table_of_inbox(enum hws_kind kind, const uint8_t *in, size_t n)
{
    uint16_t opcode;
    uint16_t op_mod;

    if (n < HEADER_BYTES) {
        return NULL;
    }
    opcode = hws_load_be16(in);
    op_mod = hws_load_be16(in + 6);
    if (opcode != OPCODE_ACCESS_REG) {
        return hws_table_command(kind, opcode, op_mod);
    }
    if (op_mod != OP_MOD_READ && op_mod != OP_MOD_WRITE) {
        return NULL;
    }
    return hws_table_register(kind, hws_load_be16(in + 10),
                              op_mod == OP_MOD_READ ? HWS_REG_READ : HWS_REG_WRITE);
}

static enum hws_code row_text(const struct hws_table_row *row, struct hws_buf *out)
{
    char op_mod[8] = "any";
    enum hws_code code;

    if (row->op_mod != HWS_OP_MOD_ANY) {
        (void)hws_str_print(op_mod, sizeof op_mod, "0x%04x", row->op_mod);
    }
    code = hws_buf_printf(
        out, "%s %s opcode=0x%04x op_mod=%s register=0x%04x method=%s scope=%u effect=%s",
        kind_names[row->kind], row->name, row->opcode, op_mod, row->register_id,
        hws_reg_method_name(row->method), row->scope, effect_names[row->effect]);
    if (code != HWS_OK) {
        return code;
    }
    return hws_buf_printf(out, " in=%u..%u out=%u..%u usual=%u\n", row->in_min_bytes,
                          row->in_max_bytes, row->out_min_bytes, row->out_max_bytes,
                          row->out_bytes);
}

enum hws_code hws_table_text(struct hws_buf *out)
{
    enum hws_code code = HWS_OK;

    for (size_t i = 1; i < N_ROWS && code == HWS_OK; i++) {
        code = row_text(&rows[i], out);
    }
    if (code == HWS_OK) {
        code = hws_table__fields_text(out);
    }
    for (size_t i = 0; i < N_REFUSALS && code == HWS_OK; i++) {
        code = hws_buf_printf(out, "mlx5 %s opcode=0x%04x register=0x%04x refused: %s\n",
                              refusals[i].name, refusals[i].opcode, refusals[i].register_id,
                              refusals[i].reason);
    }
    return code;
}

const char *hws_effect_name(enum hws_effect effect)
{
    return (unsigned)effect < HWS_N_EFFECTS ? effect_names[effect] : "?";
}

enum hws_effect hws_effect_from_name(const char *name)
{
    for (unsigned i = 1; i < HWS_N_EFFECTS; i++) {
        if (hws_str_eq(name, effect_names[i])) {
            return (enum hws_effect)i;
        }
    }
    return HWS_EFFECT_NONE;
}

bool hws_effect_mutates(enum hws_effect effect)
{
    return effect != HWS_EFFECT_READ && effect != HWS_EFFECT_READ_SENSITIVE;
}

const char *hws_kind_name(enum hws_kind kind)
{
    return (unsigned)kind < HWS_N_KINDS ? kind_names[kind] : "?";
}

enum hws_kind hws_kind_from_name(const char *name)
{
    for (unsigned i = 1; i < HWS_N_KINDS; i++) {
        if (hws_str_eq(name, kind_names[i])) {
            return (enum hws_kind)i;
        }
    }
    return HWS_KIND_NONE;
}

const char *hws_reg_method_name(enum hws_reg_method method)
{
    static const char *const names[] = {"", "read", "write"};

    return (unsigned)method < sizeof names / sizeof names[0] ? names[method] : "?";
}
