/*
 * hawser cmd --batch and hawser reg --batch: commands and register accesses from JSON lines on one
 * adapter, many on their way at once (pipeline.h). Each line of input has exactly one line of
 * output, in order, whatever becomes of the connection or of us: what surely did not run is
 * "not-sent", what may have run is "unknown".
 */
#include "cli/cmd_batch.h"

#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/pipeline.h"
#include "table/table.h"

#define MAX_FIELDS      64u
#define MAX_INBOX_BYTES ((size_t)2 * 1024 * 1024)
#define NUMBER_BYTES    24u
#define MAX_TIMEOUT_MS  60000u /* the agent's, of one command */

/* One line as a request; it points into the line. */
struct step {
    Hawser__V1__ExecuteRequest request;
    Hawser__V1__RegisterAccess access;
    Hawser__V1__RawCommand raw;
    Hawser__V1__FieldValue fields[MAX_FIELDS];
    Hawser__V1__FieldValue *pointers[MAX_FIELDS];
    char numbers[MAX_FIELDS][NUMBER_BYTES]; /* of values that are given as numbers */
    struct hws_cli_mutation mutation;
    uint32_t timeout_ms;
    uint8_t *bytes; /* owned: inbox or register data */
};

/* One run. */
struct batch {
    struct hws_cli *cli;
    struct hws_cli_pipeline pipe;
    struct hws_cli_batch in;
    uv_poll_t poll; /* of input that may make us wait */
    bool pollable;
    bool polling;
    bool poll_open;
    int flags; /* of the input's file, which libuv makes non-blocking; others may share it */
    bool only_registers; /* hawser reg */
    bool over;           /* no more input */
    bool failed;         /* a line did not do what it was to do */
    uint32_t timeout_ms;
    size_t n_failed;
    size_t n_unknown;
};

static const struct hws_column columns[] = {
    {"line", "LINE", 0},
    {"tag", "TAG", 0},
    {"outcome", "OUTCOME", 0},
    {"code", "CODE", 0},
    {"message", "MESSAGE", 0},
    {"name", "NAME", 0},
    {"stage", "STAGE", 0},
    {"status", "STATUS", 0},
    {"syndrome", "SYNDROME", 0},
    {"delivery_status", NULL, 0},
    {"effect", "EFFECT", 0},
    {"scope", NULL, 0},
    {"asked", NULL, 0},
    {"fields", "FIELDS", 0},
    {"meanings", NULL, 0},
    {"outbox", "OUTBOX", 0},
    {"repeated_request", NULL, 0},
    {"request_id", NULL, 0},
};

/* ---- a line ---------------------------------------------------------------------------------- */

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

/* A value as text: JSON numbers may stand without quotes. NULL if it is neither. */
static const char *value_of(const json_t *value, char *number)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        (void)hws_str_print(number, NUMBER_BYTES, "%lld", (long long)json_integer_value(value));
        return number;
    }
    return json_string_value(value);
}

static enum hws_code take_bytes(const json_t *line, const char *key, struct step *s, size_t *out_n,
                                struct hws_err *err)
{
    const char *hex = text_of(line, key);
    size_t cap = strlen(hex) / 2 + 1;

    if (cap > MAX_INBOX_BYTES || (s->bytes = hws_mem_alloc(cap)) == NULL ||
        hws_hex_decode(hex, s->bytes, cap, out_n) != HWS_OK) {
        return hws_err_set(err, HWS_E_INVALID, "%s: an even count of hex digits, at most %zu bytes",
                           key, MAX_INBOX_BYTES);
    }
    return HWS_OK;
}

static enum hws_code take_register(json_t *line, struct step *s, struct hws_err *err)
{
    const char *name;
    json_t *value;
    size_t n_data = 0;

    s->request.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    s->request.register_ = &s->access;
    s->access.register_ = hws_cli_str(text_of(line, "register"));
    s->access.write = json_is_true(json_object_get(line, "write"));
    s->access.fields = s->pointers;
    json_object_foreach(json_object_get(line, "fields"), name, value)
    {
        size_t n = s->access.n_fields;
        if (n == MAX_FIELDS) {
            return hws_err_set(err, HWS_E_INVALID, "fields: at most %u", MAX_FIELDS);
        }
        const char *text = value_of(value, s->numbers[n]);
        if (text == NULL) {
            return hws_err_set(err, HWS_E_INVALID, "fields: %.60s: a text or a number was expected",
                               name);
        }
        hawser__v1__field_value__init(&s->fields[n]);
        s->fields[n].name = hws_cli_str(name);
        s->fields[n].value = hws_cli_str(text);
        s->pointers[n] = &s->fields[n];
        s->access.n_fields++;
    }
    enum hws_code code = take_bytes(line, "data", s, &n_data, err);
    s->access.data = (ProtobufCBinaryData){n_data, s->bytes};
    return code;
}

static enum hws_code take_raw(const json_t *line, struct step *s, struct hws_err *err)
{
    size_t n = 0;
    enum hws_code code = take_bytes(line, "in", s, &n, err);

    s->request.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW;
    s->request.raw = &s->raw;
    s->raw.command = hws_cli_str(text_of(line, "command"));
    s->raw.inbox = (ProtobufCBinaryData){n, s->bytes};
    if (code == HWS_OK) {
        code = number_of(line, "op_mod", UINT16_MAX, &s->raw.op_mod, err);
    }
    return code == HWS_OK ? number_of(line, "out_bytes", MAX_INBOX_BYTES, &s->raw.out_bytes, err)
                          : code;
}

static bool has(const json_t *line, const char *key)
{
    return json_object_get(line, key) != NULL;
}

/* Keys that belong to the other kind of line. */
static enum hws_code check_kind(const struct batch *x, const json_t *line, struct hws_err *err)
{
    static const char *const of_register[] = {"write", "fields", "data"};
    static const char *const of_command[] = {"in", "op_mod", "out_bytes"};
    bool is_register = has(line, "register");
    const char *const *others = is_register ? of_command : of_register;

    if (x->only_registers && !is_register) {
        return hws_err_set(err, HWS_E_INVALID,
                           "register is missing: hawser reg takes registers, hawser cmd commands, "
                           "too");
    }
    if (is_register == has(line, "command")) {
        return hws_err_set(err, HWS_E_INVALID, "give either register or command");
    }
    for (size_t i = 0; i < HWS_CLI_N_OF(of_register); i++) {
        if (has(line, others[i])) {
            return hws_err_set(err, HWS_E_INVALID, "%s: not with %s", others[i],
                               is_register ? "register" : "command");
        }
    }
    return HWS_OK;
}

static enum hws_code step_of(const struct batch *x, json_t *line, struct step *s,
                             struct hws_err *err)
{
    static const struct hws_cli_batch_key keys[] = {
        {"tag", JSON_STRING},        {"register", JSON_STRING},    {"write", JSON_TRUE},
        {"fields", JSON_OBJECT},     {"data", JSON_STRING},        {"command", JSON_STRING},
        {"in", JSON_STRING},         {"op_mod", JSON_INTEGER},     {"out_bytes", JSON_INTEGER},
        {"request_id", JSON_STRING}, {"timeout_ms", JSON_INTEGER}, {"approval", JSON_STRING},
    };
    enum hws_code code = hws_cli_batch_check(line, keys, HWS_CLI_N_OF(keys), err);

    if (code == HWS_OK) {
        code = check_kind(x, line, err);
    }
    if (code == HWS_OK) {
        code = number_of(line, "timeout_ms", MAX_TIMEOUT_MS, &s->timeout_ms, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    s->timeout_ms = s->timeout_ms == 0 ? x->timeout_ms : s->timeout_ms;
    s->request.approval = hws_cli_str(text_of(line, "approval"));
    return has(line, "register") ? take_register(line, s, err) : take_raw(line, s, err);
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
               : s->raw.inbox.len > 0;
}

/* ---- its answer ------------------------------------------------------------------------------ */

/* {"name": "value", ...} of the answer's fields, or of their meanings; NULL if there are none. */
static json_t *fields_of(const Hawser__V1__ExecuteResponse *r, bool meanings)
{
    json_t *fields = NULL;

    for (size_t i = 0; i < r->n_fields; i++) {
        const Hawser__V1__FieldValue *f = r->fields[i];
        if (meanings && f->meaning[0] == '\0') {
            continue;
        }
        fields = fields == NULL ? json_object() : fields;
        (void)json_object_set_new(fields, f->name, json_string(meanings ? f->meaning : f->value));
    }
    return fields;
}

static void say(struct batch *x, const struct hws_cli_slot *s)
{
    static const Hawser__V1__ExecuteResponse none = HAWSER__V1__EXECUTE_RESPONSE__INIT;
    static const Hawser__V1__CommandStatus no_status = HAWSER__V1__COMMAND_STATUS__INIT;
    const Hawser__V1__ExecuteResponse *r = s->answer == NULL ? &none : s->answer;
    const Hawser__V1__CommandStatus *status = r->status == NULL ? &no_status : r->status;
    bool told = s->outcome == HWS_CLI_OUTCOME_SKIPPED; /* no code is to blame */
    bool staged = s->stage != HAWSER__V1__STAGE__STAGE_UNSPECIFIED;
    char *hex = r->outbox.len == 0 ? NULL : hws_mem_alloc(2 * r->outbox.len + 1);
    json_t *fields = fields_of(r, false);
    json_t *meanings = fields_of(r, true);

    if (hex != NULL) {
        hws_hex_encode(r->outbox.data, r->outbox.len, hex);
    }
    const struct hws_cell cells[] = {
        hws_cell_uint(s->line),
        hws_cell_text(s->tag),
        hws_cell_text(hws_cli_outcome_name(s->outcome)),
        told ? hws_cell_none() : hws_cell_text(hws_client_code_name(s->code)),
        s->message[0] == '\0' ? hws_cell_none() : hws_cell_text(s->message),
        s->answer == NULL ? hws_cell_none() : hws_cell_text(r->name),
        staged ? hws_cell_text(hws_cli_stage(s->stage)) : hws_cell_none(),
        s->answer == NULL ? hws_cell_none() : hws_cell_text(status->status_name),
        s->answer == NULL ? hws_cell_none() : hws_cell_hex(status->syndrome),
        s->answer == NULL ? hws_cell_none() : hws_cell_text(status->delivery_status_name),
        s->answer == NULL ? hws_cell_none() : hws_cell_text(hws_cli_effect(r->effect)),
        s->answer == NULL ? hws_cell_none() : hws_cell_uint(r->scope),
        hws_cell_json(s->asked),
        hws_cell_json(fields),
        hws_cell_json(meanings),
        hws_cell_text(hex),
        s->answer == NULL ? hws_cell_none() : hws_cell_bool(r->repeated_request),
        s->request_id[0] == '\0' ? hws_cell_none() : hws_cell_text(s->request_id),
    };
    _Static_assert(HWS_CLI_N_OF(cells) == HWS_CLI_N_OF(columns), "a cell for each column");
    hws_out_row(&x->cli->out, cells);
    hws_mem_free(hex);
    json_decref(fields);
    json_decref(meanings);
}

static void say_ended(struct batch *x)
{
    struct hws_cli_slot *s;

    while ((s = hws_cli_pipeline_head(&x->pipe)) != NULL) {
        say(x, s);
        x->failed = x->failed || s->outcome != HWS_CLI_OUTCOME_OK;
        x->n_failed += s->outcome != HWS_CLI_OUTCOME_OK ? 1 : 0;
        x->n_unknown += s->outcome == HWS_CLI_OUTCOME_UNKNOWN ? 1 : 0;
        hws_cli_pipeline_pop(&x->pipe);
    }
}

/* ---- lines in -------------------------------------------------------------------------------- */

static enum hws_code begin_step(struct batch *x, json_t *line, struct step *s, struct hws_err *err)
{
    hawser__v1__execute_request__init(&s->request);
    hawser__v1__register_access__init(&s->access);
    hawser__v1__raw_command__init(&s->raw);
    if (hws_cli_mutation(x->cli, &s->mutation) != HWS_EXIT_OK) {
        return hws_err_set(err, HWS_E_IO, "no random numbers");
    }
    enum hws_code code = step_of(x, line, s, err);
    if (code == HWS_OK && changes(s) && !x->cli->args.given[HWS_OPT_YES]) {
        code = hws_err_set(err, HWS_E_INVALID, "it does more than read: give --yes");
    }
    const char *id = text_of(line, "request_id");
    if (id[0] != '\0') {
        s->mutation.mutation.request_id = hws_cli_str(id);
    }
    return code;
}

/* A line that is to run. */
static void queue_line(struct batch *x, json_t *line, struct hws_cli_slot *slot)
{
    struct step *s = hws_mem_zalloc(1, sizeof(*s));
    struct hws_err err;

    if (s == NULL) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_NOT_SENT, HWS_CLIENT_RESOURCE_EXHAUSTED,
                             "out of memory");
        return;
    }
    if (begin_step(x, line, s, &err) != HWS_OK) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_INVALID, HWS_CLIENT_INVALID_ARGUMENT, err.msg);
    } else {
        s->request.device = x->pipe.host->device;
        s->request.mutation = &s->mutation.mutation;
        (void)hws_str_copy(slot->request_id, sizeof(slot->request_id),
                           s->mutation.mutation.request_id);
        hws_cli_pipeline_queue(&x->pipe, slot, &s->request, s->timeout_ms);
    }
    hws_mem_free(s->bytes);
    hws_mem_free(s);
}

static void take_line(struct batch *x, enum hws_code parsed, const struct hws_err *err)
{
    struct hws_cli_slot *slot = hws_cli_pipeline_add(&x->pipe);
    json_t *line = x->in.line;

    if (slot == NULL) {
        return; /* fill takes a line only while there is room */
    }
    slot->line = x->in.n_line;
    slot->tag = line == NULL || !has(line, "tag") ? NULL : hws_mem_strdup(text_of(line, "tag"));
    slot->asked = line == NULL ? NULL : json_incref(line);
    if (x->pipe.n_interrupts > 0) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_SKIPPED, HWS_CLIENT_CANCELLED, "interrupted");
    } else if (x->failed && x->cli->args.given[HWS_OPT_STOP_ON_ERROR]) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_SKIPPED, HWS_CLIENT_CANCELLED,
                             "a line before it failed");
    } else if (parsed != HWS_OK) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_INVALID, HWS_CLIENT_INVALID_ARGUMENT, err->msg);
    } else {
        queue_line(x, line, slot);
    }
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    (void)poll; /* it only ends the wait */
    (void)status;
    (void)events;
}

/* Waits for input, too, while there is room for it. */
static void watch(struct batch *x, bool on)
{
    if (!x->pollable || x->polling == on) {
        return;
    }
    x->polling = on;
    (void)(on ? uv_poll_start(&x->poll, UV_READABLE | UV_DISCONNECT, on_input)
              : uv_poll_stop(&x->poll));
}

/* Takes lines while there is room. With --stop-on-error one at a time: nothing may run after one
 * that failed. */
static void fill(struct batch *x)
{
    size_t room = x->cli->args.given[HWS_OPT_STOP_ON_ERROR] ? 1 : HWS_CLI_PIPELINE_WINDOW;
    enum hws_code code = HWS_OK;
    struct hws_err err;

    while (!x->over && x->pipe.n < room) {
        if (!hws_cli_batch_ready(&x->in)) {
            x->over = x->pipe.n_interrupts > 0; /* what may still come was never asked for */
            break;
        }
        if (!hws_cli_batch_next(&x->in, &code, &err)) {
            x->over = true;
            break;
        }
        take_line(x, code, &err);
        say_ended(x);
    }
    watch(x, !x->over && x->pipe.n < room);
}

static void run_lines(struct batch *x)
{
    for (;;) {
        fill(x);
        say_ended(x);
        if (x->pipe.n == 0 && x->over) {
            return;
        }
        hws_cli_pipeline_turn(&x->pipe);
        say_ended(x);
    }
}

/* ---- the run --------------------------------------------------------------------------------- */

static void poll_closed(uv_handle_t *handle)
{
    ((struct batch *)handle->data)->poll_open = false;
}

static void close_batch(struct batch *x)
{
    if (x->poll_open) {
        uv_close((uv_handle_t *)&x->poll, poll_closed);
    }
    while (x->poll_open) {
        (void)uv_run(&x->cli->loop, UV_RUN_ONCE);
    }
    if (x->pollable && x->flags >= 0) {
        (void)fcntl(x->in.fd, F_SETFL, x->flags);
    }
    hws_cli_pipeline_close(&x->pipe);
    hws_cli_batch_close(&x->in);
}

static int verdict(struct batch *x)
{
    if (x->n_unknown > 0) {
        return hws_cli_fail(x->cli, HWS_EXIT_UNKNOWN,
                            "%zu lines may have run and %zu in all did not end well: their "
                            "outcomes say which; read back before a retry, or repeat a write with "
                            "its request_id",
                            x->n_unknown, x->n_failed);
    }
    return x->n_failed == 0 ? HWS_EXIT_OK
                            : hws_cli_fail(x->cli, HWS_EXIT_PARTIAL,
                                           "%zu lines did not run or were refused: their outcomes "
                                           "say which",
                                           x->n_failed);
}

static int run_batch(struct batch *x)
{
    struct hws_out *out = &x->cli->out;
    struct hws_err err;
    int rc = hws_cli_pipeline_open(&x->pipe, &x->cli->hosts[0]);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    /* epoll takes no regular file: its lines are always there. */
    x->flags = fcntl(x->in.fd, F_GETFL);
    x->pollable = uv_poll_init(&x->cli->loop, &x->poll, x->in.fd) == 0;
    x->poll.data = x;
    x->poll_open = x->pollable;
    out->ops = &hws_out_json; /* lines in, lines out */
    hws_out_begin(out, x->only_registers ? "hawser.reg.batch" : "hawser.cmd.batch", 1, true);
    hws_out_table(out, "answers", columns, HWS_CLI_N_OF(columns));
    run_lines(x);
    if (hws_out_end(out, &err) != HWS_OK || hws_cli_batch_ended(&x->in, &err) != HWS_OK) {
        return hws_cli_fail_err(x->cli, &err);
    }
    return verdict(x);
}

int hws_cli_batch_run(struct hws_cli *cli)
{
    struct batch *x = hws_mem_zalloc(1, sizeof(*x));
    struct hws_err err;
    int rc = HWS_EXIT_OK;

    if (x == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "out of memory");
    }
    x->cli = cli;
    x->only_registers = hws_str_eq(cli->args.command->area, "reg");
    if (hws_cli_batch_open(&x->in, cli->args.value[HWS_OPT_BATCH], &err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    }
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_timeout(cli, &x->timeout_ms);
    }
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc == HWS_EXIT_OK && cli->n_hosts != 1) {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE,
                          "a batch is for one host: give one -t, not %zu hosts", cli->n_hosts);
    }
    if (rc == HWS_EXIT_OK) {
        hws_cli_devices(cli);
        rc = cli->hosts[0].failed ? hws_cli_finish(cli) : run_batch(x);
    }
    close_batch(x);
    hws_mem_free(x);
    return rc;
}
