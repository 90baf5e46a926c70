/* Inboxes from a command line, and back to people. */
#include "cli/box.h"

#include <string.h>

#include "base/str.h"
#include "hca/cmd.h"
#include "hca/reg.h"
#include "table/table.h"

#define MAX_FIELDS  32
#define FIELD_BYTES 96
#define HEX_BYTES   16u /* a line */

static int fail(struct hws_cli *cli, const struct hws_err *err)
{
    return hws_cli_fail_err(cli, err);
}

static int register_box(struct hws_cli *cli, struct hws_cli_box *out)
{
    char names[MAX_FIELDS][FIELD_BYTES];
    struct hws_reg_assign fields[MAX_FIELDS];
    struct hws_err err;
    size_t n = 0;

    if (hws_table_find_register(HWS_KIND_MLX5, cli->args.args[0], HWS_REG_WRITE, &out->row, &err) !=
        HWS_OK) {
        return fail(cli, &err);
    }
    const struct hws_reg *reg = hws_reg_by_id(out->row->register_id);
    if (reg == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "register %s has no layout here: use hawser cmd",
                            out->row->name);
    }
    for (int i = 1; i < cli->args.n_args && n < MAX_FIELDS; i++, n++) {
        fields[n].name = names[n];
        fields[n].value = hws_cli_split(cli->args.args[i], names[n], FIELD_BYTES);
        if (fields[n].value == NULL) {
            return hws_cli_fail(cli, HWS_EXIT_INVALID,
                                "\"%.64s\": give FIELD=VALUE, e.g. local_port=1",
                                cli->args.args[i]);
        }
    }
    out->n =
        hws_hca_access_reg(out->bytes, sizeof(out->bytes), reg->id, true, NULL, reg->size_bytes);
    if (hws_reg_encode(reg, true, fields, n, out->bytes + HWS_ACCESS_REG_DATA, reg->size_bytes,
                       &err) != HWS_OK) {
        return fail(cli, &err);
    }
    return HWS_EXIT_OK;
}

static int command_box(struct hws_cli *cli, struct hws_cli_box *out)
{
    const char *hex = cli->args.value[HWS_OPT_IN];
    uint64_t op_mod = 0;
    struct hws_err err;

    if (hws_cli_number(&cli->args, HWS_OPT_OP_MOD, UINT16_MAX, 0, &op_mod, &err) != HWS_OK) {
        return fail(cli, &err);
    }
    if (hex != NULL) {
        if (hws_hex_decode(hex, out->bytes, sizeof(out->bytes), &out->n) != HWS_OK) {
            return hws_cli_fail(cli, HWS_EXIT_INVALID,
                                "--in: give an even count of hex digits, at most %u bytes",
                                HWS_CLI_BOX_BYTES);
        }
        out->row = hws_cli_box_row(out->bytes, out->n);
        return out->row != NULL
                   ? HWS_EXIT_OK
                   : hws_cli_fail(cli, HWS_EXIT_INVALID, "--in: no command of the table");
    }
    if (hws_table_find_command(HWS_KIND_MLX5, cli->args.args[0], (uint16_t)op_mod, &out->row,
                               &err) != HWS_OK) {
        return fail(cli, &err);
    }
    out->n = out->row->in_min_bytes;
    hws_hca_header(out->bytes, out->n, out->row->opcode, (uint16_t)op_mod);
    return HWS_EXIT_OK;
}

int hws_cli_box_make(struct hws_cli *cli, struct hws_cli_box *out)
{
    memset(out, 0, sizeof(*out));
    return hws_str_eq(cli->args.command->area, "reg") ? register_box(cli, out)
                                                      : command_box(cli, out);
}

const struct hws_table_row *hws_cli_box_row(const uint8_t *bytes, size_t n)
{
    return hws_table_of_inbox(HWS_KIND_MLX5, bytes, n);
}

static void on_field(void *arg, const struct hws_reg_row *row)
{
    const struct hws_cell cells[] = {hws_cell_text(row->name), hws_cell_text(row->value),
                                     hws_cell_text(row->meaning)};

    hws_out_row(arg, cells);
}

/* Every byte once more as it is: what the rows above do not name is in here, too. */
static void hex_rows(struct hws_cli *cli, const uint8_t *bytes, size_t n)
{
    for (size_t at = 0; at < n; at += HEX_BYTES) {
        char name[24];
        char hex[2 * HEX_BYTES + 1];

        (void)hws_str_print(name, sizeof(name), "inbox@0x%zx", at);
        hws_hex_encode(bytes + at, n - at < HEX_BYTES ? n - at : HEX_BYTES, hex);
        on_field(&cli->out, &(struct hws_reg_row){name, hex, ""});
    }
}

void hws_cli_box_show(struct hws_cli *cli, const uint8_t *bytes, size_t n)
{
    static const struct hws_column columns[] = {
        {"field", "FIELD", 0}, {"value", "VALUE", 0}, {"meaning", "MEANING", 0}};

    hws_out_table(&cli->out, "fields", columns, HWS_CLI_N_OF(columns));
    /* What does not decode is in the bytes below. */
    (void)!hws_hca_decode_request(bytes, n, on_field, &cli->out, NULL);
    hex_rows(cli, bytes, n);
}
