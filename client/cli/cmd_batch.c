/*
 * hawser cmd --batch: commands and register accesses from JSON lines, one after the other on one
 * adapter. Each line of input has exactly one line of output, in order, whatever becomes of the
 * connection: what the agent surely never saw is "not-sent", what may have run is "unknown".
 */
#include "cli/cmd_batch.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "table/table.h"

#define MAX_FIELDS      64u
#define MAX_INBOX_BYTES ((size_t)2 * 1024 * 1024)

/* One line as a request; it points into the line. */
struct step {
    Hawser__V1__ExecuteRequest request;
    Hawser__V1__RegisterAccess access;
    Hawser__V1__RawCommand raw;
    Hawser__V1__FieldValue fields[MAX_FIELDS];
    Hawser__V1__FieldValue *pointers[MAX_FIELDS];
    struct hws_cli_mutation mutation;
    uint8_t *inbox; /* owned */
};

static const struct hws_column columns[] = {
    {"line", "LINE", 0},     {"tag", "TAG", 0},         {"outcome", "OUTCOME", 0},
    {"code", "CODE", 0},     {"message", "MESSAGE", 0}, {"name", "NAME", 0},
    {"stage", "STAGE", 0},   {"status", "STATUS", 0},   {"syndrome", "SYNDROME", 0},
    {"effect", "EFFECT", 0}, {"fields", "FIELDS", 0},   {"outbox", "OUTBOX", 0},
    {"request_id", NULL, 0},
};

static const char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return text == NULL ? "" : text;
}

static enum hws_code number_of(const json_t *line, const char *key, uint32_t max, uint32_t *out,
                               struct hws_err *err)
{
    json_int_t n = json_integer_value(json_object_get(line, key));

    if (n < 0 || n > (json_int_t)max) {
        return hws_err_set(err, HWS_E_INVALID, "%s: 0 to %u", key, max);
    }
    *out = (uint32_t)n;
    return HWS_OK;
}

static enum hws_code take_fields(json_t *line, struct step *s, struct hws_err *err)
{
    const char *name;
    json_t *value;

    s->access.fields = s->pointers;
    json_object_foreach(json_object_get(line, "fields"), name, value)
    {
        size_t n = s->access.n_fields;
        if (n == MAX_FIELDS || !json_is_string(value)) {
            return hws_err_set(err, HWS_E_INVALID, "fields: at most %u texts by name", MAX_FIELDS);
        }
        hawser__v1__field_value__init(&s->fields[n]);
        s->fields[n].name = hws_cli_str(name);
        s->fields[n].value = hws_cli_str(json_string_value(value));
        s->pointers[n] = &s->fields[n];
        s->access.n_fields++;
    }
    return HWS_OK;
}

static enum hws_code take_raw(const json_t *line, struct step *s, struct hws_err *err)
{
    const char *hex = text_of(line, "in");
    size_t cap = strlen(hex) / 2 + 1;
    size_t n = 0;

    if (cap > MAX_INBOX_BYTES || (s->inbox = hws_mem_alloc(cap)) == NULL ||
        hws_hex_decode(hex, s->inbox, cap, &n) != HWS_OK) {
        return hws_err_set(err, HWS_E_INVALID, "in: an even count of hex digits, at most %zu bytes",
                           MAX_INBOX_BYTES);
    }
    s->raw.command = hws_cli_str(text_of(line, "command"));
    s->raw.inbox = (ProtobufCBinaryData){n, s->inbox};
    enum hws_code code = number_of(line, "op_mod", UINT16_MAX, &s->raw.op_mod, err);
    return code == HWS_OK ? number_of(line, "out_bytes", MAX_INBOX_BYTES, &s->raw.out_bytes, err)
                          : code;
}

static enum hws_code step_of(json_t *line, struct step *s, struct hws_err *err)
{
    static const struct hws_cli_batch_key keys[] = {
        {"tag", JSON_STRING},     {"register", JSON_STRING},   {"write", JSON_TRUE},
        {"fields", JSON_OBJECT},  {"command", JSON_STRING},    {"in", JSON_STRING},
        {"op_mod", JSON_INTEGER}, {"out_bytes", JSON_INTEGER}, {"request_id", JSON_STRING},
    };
    bool is_register = json_object_get(line, "register") != NULL;
    enum hws_code code = hws_cli_batch_check(line, keys, HWS_CLI_N_OF(keys), err);

    if (code != HWS_OK) {
        return code;
    }
    if (is_register == (json_object_get(line, "command") != NULL)) {
        return hws_err_set(err, HWS_E_INVALID, "give either register or command");
    }
    if (!is_register) {
        s->request.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW;
        s->request.raw = &s->raw;
        return take_raw(line, s, err);
    }
    s->request.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    s->request.register_ = &s->access;
    s->access.register_ = hws_cli_str(text_of(line, "register"));
    s->access.write = json_is_true(json_object_get(line, "write"));
    return take_fields(line, s, err);
}

/* True if the table knows that it does more than read. What it does not know the agent refuses. */
static bool changes(const struct step *s)
{
    const struct hws_table_row *row = NULL;

    if (s->request.what_case == HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER) {
        return s->access.write != 0;
    }
    return hws_table_find_command(HWS_KIND_MLX5, s->raw.command, (uint16_t)s->raw.op_mod, &row,
                                  NULL) == HWS_OK
               ? hws_effect_mutates(row->effect)
               : s->inbox != NULL && s->raw.inbox.len > 0;
}

/* {"name": "value", ...} of the answer's fields, as text; the caller frees it with jansson's free.
 */
static json_t *fields_of(const Hawser__V1__ExecuteResponse *r)
{
    json_t *fields = json_object();

    for (size_t i = 0; fields != NULL && i < r->n_fields; i++) {
        json_object_set_new(fields, r->fields[i]->name, json_string(r->fields[i]->value));
    }
    return fields;
}

/* What is said of one line. */
struct said {
    size_t line;
    const char *tag;
    const char *outcome; /* ok, refused, unknown, not-sent, skipped, invalid */
    const char *code;
    const char *message;
    const char *request_id;
    const Hawser__V1__ExecuteResponse *answer; /* NULL: there is none */
};

static void say(struct hws_cli *cli, const struct said *s)
{
    static const Hawser__V1__ExecuteResponse none = HAWSER__V1__EXECUTE_RESPONSE__INIT;
    static const Hawser__V1__CommandStatus no_status = HAWSER__V1__COMMAND_STATUS__INIT;
    const Hawser__V1__ExecuteResponse *r = s->answer == NULL ? &none : s->answer;
    const Hawser__V1__CommandStatus *status = r->status == NULL ? &no_status : r->status;
    char *hex = r->outbox.len == 0 ? NULL : hws_mem_alloc(2 * r->outbox.len + 1);
    json_t *fields = r->n_fields == 0 ? NULL : fields_of(r);

    if (hex != NULL) {
        hws_hex_encode(r->outbox.data, r->outbox.len, hex);
    }
    const struct hws_cell cells[] = {
        hws_cell_uint(s->line),
        hws_cell_text(s->tag),
        hws_cell_text(s->outcome),
        hws_cell_text(s->code),
        hws_cell_text(s->message),
        hws_cell_text(r->name),
        r->status == NULL ? hws_cell_none() : hws_cell_text(hws_cli_stage(status->stage)),
        hws_cell_text(status->status_name),
        r->status == NULL ? hws_cell_none() : hws_cell_hex(status->syndrome),
        s->answer == NULL ? hws_cell_none() : hws_cell_text(hws_cli_effect(r->effect)),
        hws_cell_json(fields),
        hws_cell_text(hex),
        hws_cell_text(s->request_id),
    };
    hws_out_row(&cli->out, cells);
    hws_mem_free(hex);
    json_decref(fields);
}

/* Asks and says what came of it. True if the line did what it was to do. */
static bool run_step(struct hws_cli *cli, struct step *s, struct said *said)
{
    struct hws_cli_host *h = &cli->hosts[0];
    const struct hws_client_status *status = &h->status;

    h->failed = false;
    s->request.device = h->device;
    s->request.mutation = &s->mutation.mutation;
    said->request_id = s->mutation.mutation.request_id;
    hws_cli_ask(h, &hws_client_method_command_execute, &s->request.base);
    hws_cli_wait(cli);
    s->request.mutation = NULL;
    if (!h->failed) {
        said->answer = hws_cli_answer(h, ExecuteResponse);
        bool ok = said->answer->status != NULL &&
                  said->answer->status->stage == HAWSER__V1__STAGE__STAGE_EXECUTED &&
                  said->answer->status->status == 0;
        said->outcome = ok ? "ok" : "refused";
        said->code = "OK";
        say(cli, said);
        return ok;
    }
    bool heard = status->from_agent && status->stage != HAWSER__V1__STAGE__STAGE_UNKNOWN &&
                 status->code != HWS_CLIENT_DEADLINE_EXCEEDED;
    said->outcome = status->unprocessed ? "not-sent" : heard ? "refused" : "unknown";
    said->code = hws_client_code_name(status->code);
    said->message = status->message;
    say(cli, said);
    return false;
}

/* One line: parsed, asked for, said. True if it did what it was to do. */
static bool do_line(struct hws_cli *cli, struct hws_cli_batch *b, enum hws_code parsed,
                    struct hws_err *err)
{
    struct said said = {.line = b->n_line, .outcome = "invalid", .code = "INVALID_ARGUMENT"};
    struct step *s = hws_mem_zalloc(1, sizeof(*s));
    bool done = false;

    said.message = err->msg;
    said.tag = b->line == NULL ? "" : text_of(b->line, "tag");
    if (s == NULL || hws_cli_mutation(cli, &s->mutation) != HWS_EXIT_OK) {
        hws_err_set(err, HWS_E_NOMEM, "no memory");
        parsed = HWS_E_NOMEM;
    } else {
        hawser__v1__execute_request__init(&s->request);
        hawser__v1__register_access__init(&s->access);
        hawser__v1__raw_command__init(&s->raw);
    }
    if (parsed == HWS_OK) {
        parsed = step_of(b->line, s, err);
    }
    if (parsed == HWS_OK && changes(s) && !cli->args.given[HWS_OPT_YES]) {
        parsed = hws_err_set(err, HWS_E_INVALID, "it does more than read: give --yes");
    }
    if (parsed != HWS_OK) {
        say(cli, &said);
    } else {
        const char *id = text_of(b->line, "request_id");
        if (id[0] != '\0') {
            s->mutation.mutation.request_id = hws_cli_str(id);
        }
        said.message = "";
        done = run_step(cli, s, &said);
    }
    if (s != NULL) {
        hws_mem_free(s->inbox);
    }
    hws_mem_free(s);
    return done;
}

static size_t do_lines(struct hws_cli *cli, struct hws_cli_batch *b)
{
    size_t n_failed = 0;
    enum hws_code code = HWS_OK;
    struct hws_err err;

    while (hws_cli_batch_next(b, &code, &err)) {
        if (n_failed > 0 && cli->args.given[HWS_OPT_STOP_ON_ERROR]) {
            const struct said said = {.line = b->n_line,
                                      .tag = b->line == NULL ? "" : text_of(b->line, "tag"),
                                      .outcome = "skipped",
                                      .message = "a line before it failed"};
            say(cli, &said);
            n_failed++;
            continue;
        }
        n_failed += do_line(cli, b, code, &err) ? 0 : 1;
    }
    return n_failed;
}

int hws_cli_batch_run(struct hws_cli *cli)
{
    struct hws_cli_batch b;
    struct hws_err err;
    int rc = hws_cli_connect(cli);

    if (rc == HWS_EXIT_OK && cli->n_hosts != 1) {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE,
                          "a batch is for one host: give one -t, not %zu hosts", cli->n_hosts);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    if (cli->hosts[0].failed) {
        return hws_cli_finish(cli);
    }
    if (hws_cli_batch_open(&b, cli->args.value[HWS_OPT_BATCH], &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    cli->out.ops = &hws_out_json; /* lines in, lines out */
    hws_out_begin(&cli->out, "hawser.cmd.batch", 1, true);
    hws_out_table(&cli->out, "answers", columns, HWS_CLI_N_OF(columns));
    size_t n_failed = do_lines(cli, &b);
    hws_cli_batch_close(&b);
    if (hws_out_end(&cli->out, &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    return n_failed == 0 ? HWS_EXIT_OK
                         : hws_cli_fail(cli, HWS_EXIT_PARTIAL,
                                        "%zu lines did not run, were refused, or may have run: "
                                        "their outcomes say which",
                                        n_failed);
}
