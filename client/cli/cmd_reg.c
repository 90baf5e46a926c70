/* hawser reg and hawser cmd: registers and raw commands. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/cmd_batch.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/signed.h"

#define MAX_FIELDS      32
#define FIELD_BYTES     96
#define MAX_INBOX_BYTES ((size_t)2 * 1024 * 1024)
#define HEX_LINE_BYTES  16u

/* ---- the answer ---- */

static const struct hws_column field_columns[] = {
    {"host", "HOST", 0}, {"field", "FIELD", 0}, {"value", "VALUE", 0}, {"meaning", "MEANING", 0}};

static const struct hws_column request_columns[] = {
    {"host", "HOST", 0}, {"field", "REQUEST", 0}, {"value", "VALUE", 0}, {"meaning", "MEANING", 0}};

static const struct hws_column answer_columns[] = {
    {"host", "HOST", 0},          {"command", "COMMAND", 0},         {"stage", "STAGE", 0},
    {"status", "STATUS", 0},      {"syndrome", "SYNDROME", 0},       {"effect", "EFFECT", 0},
    {"scope", "SCOPE", 0},        {"kernel_api", "KERNEL-API", 0},   {"status_code", NULL, 0},
    {"delivery_status", NULL, 0}, {"delivery_status_name", NULL, 0}, {"repeated_request", NULL, 0},
    {"taint_before", NULL, 0},    {"taint_after", NULL, 0},
};

static const struct hws_column outbox_columns[] = {
    {"host", "HOST", 0}, {"offset", "OFFSET", 0}, {"bytes", "OUTBOX", 0}};

static bool is_ok(const Hawser__V1__CommandStatus *s)
{
    return s != NULL && s->stage == HAWSER__V1__STAGE__STAGE_EXECUTED && s->status == 0;
}

static void answer_row(struct hws_out *out, const char *host, const Hawser__V1__ExecuteResponse *r)
{
    const Hawser__V1__CommandStatus none = HAWSER__V1__COMMAND_STATUS__INIT;
    const Hawser__V1__CommandStatus *s = r->status != NULL ? r->status : &none;
    bool rejected = s->stage == HAWSER__V1__STAGE__STAGE_REJECTED;
    const struct hws_cell cells[] = {
        hws_cell_text(host),
        hws_cell_text(r->name),
        hws_cell_text(hws_cli_stage(s->stage)),
        hws_cell_tone(rejected ? s->delivery_status_name : s->status_name,
                      is_ok(s) ? HWS_TONE_GOOD : HWS_TONE_BAD),
        hws_cell_hex(s->syndrome),
        hws_cell_text(hws_cli_effect(r->effect)),
        hws_cell_uint(r->scope),
        hws_cell_text(r->kernel_api),
        hws_cell_uint(s->status),
        hws_cell_uint(s->delivery_status),
        hws_cell_text(s->delivery_status_name),
        hws_cell_bool(r->repeated_request),
        hws_cell_hex(r->taint_before),
        hws_cell_hex(r->taint_after),
    };

    hws_out_row(out, cells);
}

/* The bytes in lines; a run of equal lines is one line and a star in text, whole in JSON. */
static void outbox_rows(struct hws_out *out, const char *host, ProtobufCBinaryData box)
{
    bool starred = false;

    for (size_t at = 0; at < box.len; at += HEX_LINE_BYTES) {
        char hex[2 * HEX_LINE_BYTES + 1];
        size_t n = box.len - at < HEX_LINE_BYTES ? box.len - at : HEX_LINE_BYTES;
        bool repeats = at > 0 && n == HEX_LINE_BYTES &&
                       memcmp(box.data + at, box.data + at - HEX_LINE_BYTES, n) == 0;
        if (repeats && !hws_out_is_json(out)) {
            const struct hws_cell star[] = {hws_cell_text(host), hws_cell_text("*"),
                                            hws_cell_text("the same")};
            if (!starred) {
                hws_out_row(out, star);
            }
            starred = true;
            continue;
        }
        starred = false;
        hws_hex_encode(box.data + at, n, hex);
        const struct hws_cell cells[] = {hws_cell_text(host), hws_cell_hex(at), hws_cell_text(hex)};
        hws_out_row(out, cells);
    }
}

/* A firmware refusal is an answer; for the exit code it is a failure of that host. */
static void judge(struct hws_cli_host *h)
{
    const Hawser__V1__ExecuteResponse *r = hws_cli_answer(h, ExecuteResponse);

    if (h->failed || is_ok(r->status)) {
        return;
    }
    const Hawser__V1__CommandStatus none = HAWSER__V1__COMMAND_STATUS__INIT;
    const Hawser__V1__CommandStatus *s = r->status != NULL ? r->status : &none;
    bool rejected = s->stage == HAWSER__V1__STAGE__STAGE_REJECTED;
    bool bare = h->cli->args.n_args == 1 && hws_str_eq(h->cli->args.command->area, "reg");
    hws_cli_host_fail(h, HWS_CLIENT_FAILED_PRECONDITION, "%s: %s by the device: %s%s", r->name,
                      rejected ? "rejected" : "refused",
                      rejected ? s->delivery_status_name : s->status_name,
                      bare ? "; a register with an index needs it, e.g. local_port=1" : "");
    (void)hws_str_copy(h->status.reason, sizeof(h->status.reason), "E_DEVICE");
    h->status.stage = s->stage;
    h->status.fw_status = s->status;
    h->status.syndrome = s->syndrome;
    h->status.delivery_status = s->delivery_status;
    h->shown = true;
}

/* True of a host whose answer is shown: a refusal by the device is one, too. */
static bool has_answer(const struct hws_cli_host *h)
{
    return !h->failed || h->shown;
}

static void field_rows(struct hws_cli *cli, bool request)
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ExecuteResponse *r = hws_cli_answer(h, ExecuteResponse);
        if (!has_answer(h)) {
            continue;
        }
        size_t n = request ? r->n_request : r->n_fields;
        for (size_t k = 0; k < n; k++) {
            const Hawser__V1__FieldValue *f = request ? r->request[k] : r->fields[k];
            const struct hws_cell cells[] = {hws_cell_text(h->name), hws_cell_text(f->name),
                                             hws_cell_text(f->value), hws_cell_text(f->meaning)};
            hws_out_row(&cli->out, cells);
        }
    }
}

void hws_cli_print_answers(struct hws_cli *cli, const char *schema, bool with_outbox)
{
    struct hws_out *out = &cli->out;

    for (size_t i = 0; i < cli->n_hosts; i++) {
        judge(&cli->hosts[i]);
    }
    hws_out_begin(out, schema, 1, false);
    hws_out_table(out, "answers", answer_columns, HWS_CLI_N_OF(answer_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (has_answer(&cli->hosts[i])) {
            answer_row(out, cli->hosts[i].name, hws_cli_answer(&cli->hosts[i], ExecuteResponse));
        }
    }
    if (cli->args.given[HWS_OPT_SHOW_REQUEST]) {
        hws_out_table(out, "request", request_columns, HWS_CLI_N_OF(request_columns));
        field_rows(cli, true);
    }
    hws_out_table(out, "fields", field_columns, HWS_CLI_N_OF(field_columns));
    field_rows(cli, false);
    hws_out_table(out, "outbox", outbox_columns, HWS_CLI_N_OF(outbox_columns));
    for (size_t i = 0; i < cli->n_hosts && with_outbox; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (has_answer(h)) {
            outbox_rows(out, h->name, hws_cli_answer(h, ExecuteResponse)->outbox);
        }
    }
}

/* ---- registers ---- */

struct fields {
    char names[MAX_FIELDS][FIELD_BYTES];
    Hawser__V1__FieldValue items[MAX_FIELDS];
    Hawser__V1__FieldValue *pointers[MAX_FIELDS];
    size_t n;
};

static int parse_fields(struct hws_cli *cli, struct fields *f)
{
    f->n = 0;
    for (int i = 1; i < cli->args.n_args; i++) {
        const char *value = hws_cli_split(cli->args.args[i], f->names[f->n], FIELD_BYTES);
        if (value == NULL || value[0] == '\0') {
            return hws_cli_fail(cli, HWS_EXIT_INVALID,
                                "\"%.64s\": give FIELD=VALUE, e.g. local_port=1",
                                cli->args.args[i]);
        }
        hawser__v1__field_value__init(&f->items[f->n]);
        f->items[f->n].name = f->names[f->n];
        f->items[f->n].value = hws_cli_str(value);
        f->pointers[f->n] = &f->items[f->n];
        f->n++;
    }
    return HWS_EXIT_OK;
}

static void ask_register(struct hws_cli *cli, struct fields *f, struct hws_cli_mutation *m)
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__RegisterAccess access = HAWSER__V1__REGISTER_ACCESS__INIT;
        Hawser__V1__ExecuteRequest r = HAWSER__V1__EXECUTE_REQUEST__INIT;
        access.register_ = cli->args.args[0];
        access.write = m != NULL;
        access.fields = f->pointers;
        access.n_fields = f->n;
        r.device = cli->hosts[i].device;
        r.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
        r.register_ = &access;
        r.mutation = m != NULL ? &m->mutation : NULL;
        r.show_request = cli->args.given[HWS_OPT_SHOW_REQUEST];
        hws_cli_ask(&cli->hosts[i], &hws_client_method_command_execute, &r.base);
    }
    hws_cli_wait(cli);
}

int hws_cmd_reg_get(struct hws_cli *cli)
{
    struct fields f;
    int rc = parse_fields(cli, &f);

    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    ask_register(cli, &f, NULL);
    hws_cli_print_answers(cli, "hawser.reg.get", false);
    return hws_cli_finish(cli);
}

int hws_cmd_reg_set(struct hws_cli *cli)
{
    struct hws_cli_mutation m;
    struct fields f;

    if (hws_cli_is_signed(cli)) {
        return hws_cli_signed(cli, "hawser.reg.set");
    }
    int rc = parse_fields(cli, &f);
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_mutation(cli, &m);
    }
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    char question[160];
    (void)hws_str_print(question, sizeof(question), "Write register %.40s on %zu host%s (%.60s%s)?",
                        cli->args.args[0], cli->n_hosts, cli->n_hosts == 1 ? "" : "s",
                        cli->hosts[0].name, cli->n_hosts == 1 ? "" : ", ...");
    if (!hws_cli_confirm(cli, question, &rc)) {
        return rc;
    }
    hws_cli_devices(cli);
    ask_register(cli, &f, &m);
    hws_cli_print_answers(cli, "hawser.reg.set", false);
    return hws_cli_finish(cli);
}

static const struct hws_column row_columns[] = {
    {"host", "HOST", 0},     {"name", "NAME", 0},
    {"opcode", "OPCODE", 0}, {"register_id", "REGISTER", 0},
    {"method", "METHOD", 0}, {"scope", "SCOPE", 0},
    {"effect", "EFFECT", 0}, {"kernel_api", "KERNEL-API", 0},
    {"source", NULL, 0},
};

static void row_cells(struct hws_out *out, const char *host, const Hawser__V1__CommandRow *r)
{
    const struct hws_cell cells[] = {
        hws_cell_text(host),
        hws_cell_text(r->name),
        hws_cell_hex(r->opcode),
        r->register_id != 0 ? hws_cell_hex(r->register_id) : hws_cell_none(),
        hws_cell_text(r->method),
        hws_cell_uint(r->scope),
        hws_cell_text(hws_cli_effect(r->effect)),
        hws_cell_text(r->kernel_api),
        hws_cell_text(r->source),
    };

    hws_out_row(out, cells);
}

int hws_cmd_reg_list(struct hws_cli *cli)
{
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__DescribeRequest r = HAWSER__V1__DESCRIBE_REQUEST__INIT;
        r.name = cli->args.n_args > 0 ? cli->args.args[0] : r.name;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_command_describe, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.reg.list", 1, false);
    hws_out_table(&cli->out, "rows", row_columns, HWS_CLI_N_OF(row_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__DescribeResponse *r = hws_cli_answer(h, DescribeResponse);
        for (size_t k = 0; !h->failed && k < r->n_rows; k++) {
            row_cells(&cli->out, h->name, r->rows[k]);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_reg_batch(struct hws_cli *cli)
{
    return cli->args.given[HWS_OPT_BATCH]
               ? hws_cli_batch_run(cli)
               : hws_cli_fail(cli, HWS_EXIT_USAGE,
                              "hawser reg: give one of get, set, list, or a file of them with "
                              "--batch");
}

/* ---- raw commands ---- */

struct raw {
    uint8_t *inbox; /* owned */
    size_t n_inbox;
    uint64_t op_mod;
    uint64_t out_bytes;
};

static int parse_raw(struct hws_cli *cli, struct raw *raw)
{
    const char *hex = cli->args.value[HWS_OPT_IN];
    struct hws_err err;
    int rc = HWS_EXIT_OK;

    memset(raw, 0, sizeof(*raw));
    if (hws_cli_number(&cli->args, HWS_OPT_OP_MOD, UINT16_MAX, 0, &raw->op_mod, &err) != HWS_OK ||
        hws_cli_number(&cli->args, HWS_OPT_OUT_BYTES, MAX_INBOX_BYTES, 0, &raw->out_bytes, &err) !=
            HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%s", err.msg);
    }
    if (hex == NULL) {
        return HWS_EXIT_OK;
    }
    size_t cap = strlen(hex) / 2 + 1;
    raw->inbox = cap > MAX_INBOX_BYTES ? NULL : hws_mem_alloc(cap);
    if (raw->inbox == NULL || hws_hex_decode(hex, raw->inbox, cap, &raw->n_inbox) != HWS_OK) {
        rc = hws_cli_fail(cli, HWS_EXIT_INVALID,
                          "--in: give an even count of hex digits, at most %zu bytes",
                          MAX_INBOX_BYTES);
    }
    return rc;
}

static void ask_raw(struct hws_cli *cli, const struct raw *raw, struct hws_cli_mutation *m)
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__RawCommand command = HAWSER__V1__RAW_COMMAND__INIT;
        Hawser__V1__ExecuteRequest r = HAWSER__V1__EXECUTE_REQUEST__INIT;
        command.command = cli->args.args[0];
        command.inbox = (ProtobufCBinaryData){raw->n_inbox, raw->inbox};
        command.op_mod = (uint32_t)raw->op_mod;
        command.out_bytes = (uint32_t)raw->out_bytes;
        r.device = cli->hosts[i].device;
        r.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW;
        r.raw = &command;
        r.show_request = cli->args.given[HWS_OPT_SHOW_REQUEST];
        r.mutation = &m->mutation; /* needed when the row is more than a read */
        hws_cli_ask(&cli->hosts[i], &hws_client_method_command_execute, &r.base);
    }
    hws_cli_wait(cli);
}

/* True if the command does more than read on one of the hosts. A host that does not know it is
 * asked to run it all the same: the command's own refusal is the one to show. */
static bool changes_something(struct hws_cli *cli)
{
    bool changes = false;

    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__DescribeRequest r = HAWSER__V1__DESCRIBE_REQUEST__INIT;
        r.name = cli->args.args[0];
        hws_cli_ask(&cli->hosts[i], &hws_client_method_command_describe, &r.base);
    }
    hws_cli_wait(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__DescribeResponse *r = hws_cli_answer(h, DescribeResponse);
        enum hws_exit why = hws_cli_exit_of(&h->status);
        if (h->failed && (why == HWS_EXIT_NOT_FOUND || why == HWS_EXIT_INVALID)) {
            h->failed = false;
            continue;
        }
        for (size_t k = 0; !h->failed && k < r->n_rows; k++) {
            changes = changes || r->rows[k]->effect > HAWSER__V1__EFFECT__EFFECT_READ_SENSITIVE;
        }
    }
    return changes;
}

static bool may_run(struct hws_cli *cli, int *rc)
{
    char question[160];

    if (cli->args.given[HWS_OPT_YES] || !changes_something(cli)) {
        return true;
    }
    (void)hws_str_print(question, sizeof(question),
                        "%.40s does more than read. Run it on %zu host%s?", cli->args.args[0],
                        cli->n_hosts, cli->n_hosts == 1 ? "" : "s");
    return hws_cli_confirm(cli, question, rc);
}

int hws_cmd_raw(struct hws_cli *cli)
{
    struct hws_cli_mutation m;
    struct raw raw;

    if (cli->args.given[HWS_OPT_BATCH] == (cli->args.n_args == 1)) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "give a command, or a file of them with --batch");
    }
    if (cli->args.given[HWS_OPT_BATCH]) {
        return hws_cli_batch_run(cli);
    }
    if (hws_cli_is_signed(cli)) {
        return hws_cli_signed(cli, "hawser.cmd");
    }
    int rc = parse_raw(cli, &raw);
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_mutation(cli, &m);
    }
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc == HWS_EXIT_OK && may_run(cli, &rc)) {
        hws_cli_devices(cli);
        ask_raw(cli, &raw, &m);
        hws_cli_print_answers(cli, "hawser.cmd", true);
        rc = hws_cli_finish(cli);
    }
    hws_mem_free(raw.inbox);
    return rc;
}
