/*
 * hawser audit export: an agent's log to JSON lines, syslog or journald, from a sequence number on.
 *
 * The checkpoint comes first, then the records up to it and beyond. What was handed over is counted
 * in the cursor file, which is replaced whole after every CURSOR_RECORDS or CURSOR_MS and at the
 * end; a repeat after a crash hands some records over twice and none never. What retention pruned
 * in between is told as a gap.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/audit_file.h"
#include "cli/audit_sink.h"
#include "cli/cli.h"
#include "cli/commands.h"

#define CURSOR_RECORDS 64u
#define CURSOR_MS      1000u

struct export
{
    struct hws_cli_host *host;
    struct hws_sink sink;
    const char *cursor; /* a file; NULL = none is kept */
    uint64_t next_seq;  /* the record that must come; 0 = any */
    uint64_t n_since;   /* handed over since the cursor was written */
    uint64_t noted_ms;  /* when it was written, by the loop's clock */
    struct hws_err err; /* why it ended */
    bool failed;
};

static enum hws_code read_cursor(const char *path, uint64_t *out_after, struct hws_err *err)
{
    char text[32] = "";
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return HWS_OK; /* the first time */
    }
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    enum hws_code rc = hws_str_to_u64(text, UINT64_MAX - 1, out_after, err);
    return rc == HWS_OK ? rc : hws_err_wrap(err, "%.200s", path);
}

static enum hws_code write_cursor(struct export *x)
{
    char text[32];

    x->n_since = 0;
    enum hws_code rc = hws_sink_flush(&x->sink, &x->err);
    if (rc != HWS_OK || x->cursor == NULL || x->next_seq == 0) {
        return rc;
    }
    (void)hws_str_print(text, sizeof(text), "%" PRIu64 "\n", x->next_seq - 1);
    return hws_audit_file_write(x->cursor, text, strlen(text), &x->err);
}

static enum hws_code put_gap(struct export *x, uint64_t last_seq)
{
    struct hws_line line = {.kind = HWS_LINE_GAP,
                            .u.gap = {.first = x->next_seq, .last = last_seq}};
    enum hws_code rc = hws_sink_put(&x->sink, &line, &x->err);

    if (rc == HWS_OK) {
        x->next_seq = last_seq + 1;
        x->host->last_seq = last_seq;
    }
    return rc;
}

static bool copy_hash(ProtobufCBinaryData from, struct hws_digest *to)
{
    if (from.len != sizeof(to->b)) {
        return false;
    }
    memcpy(to->b, from.data, sizeof(to->b));
    return true;
}

static enum hws_code put_record(struct export *x, const Hawser__V1__AuditRecord *r)
{
    struct hws_line line = {.kind = HWS_LINE_RECORD,
                            .u.record = {.seq = r->seq,
                                         .unix_ms = r->unix_ms,
                                         .intent_seq = r->intent_seq,
                                         .phase = (uint8_t)r->phase,
                                         .effect = (uint8_t)r->effect,
                                         .scope = (uint8_t)r->scope_plus_one,
                                         .n_others = r->n_others,
                                         .taint_before = r->taint_before,
                                         .taint_after = r->taint_after,
                                         .principal = r->principal,
                                         .cert_serial = r->cert_serial,
                                         .peer = r->peer,
                                         .method = r->method,
                                         .device = r->device,
                                         .rule = r->rule,
                                         .detail = r->detail,
                                         .code = r->code,
                                         .request_id = r->request_id}};
    struct hws_record *to = &line.u.record;

    if (!copy_hash(r->table_hash, &to->table_hash) ||
        !copy_hash(r->policy_hash, &to->policy_hash) || !copy_hash(r->prev_hash, &to->prev_hash) ||
        !copy_hash(r->hash, &to->hash)) {
        return hws_err_set(&x->err, HWS_E_PROTO, "record %" PRIu64 " has a hash of wrong length",
                           r->seq);
    }
    enum hws_code rc = HWS_OK;
    if (x->next_seq != 0 && r->seq > x->next_seq) {
        rc = put_gap(x, r->seq - 1);
    }
    rc = rc == HWS_OK ? hws_sink_put(&x->sink, &line, &x->err) : rc;
    if (rc == HWS_OK) {
        x->next_seq = r->seq + 1;
        x->host->last_seq = r->seq;
        rc = ++x->n_since >= CURSOR_RECORDS ? write_cursor(x) : HWS_OK;
    }
    return rc;
}

static struct export s_export; /* one host, one run */

static void came(struct hws_client_call *call, const ProtobufCMessage *message)
{
    const Hawser__V1__TailResponse *m = (const Hawser__V1__TailResponse *)message;
    struct export *x = &s_export;
    enum hws_code rc = HWS_OK;

    x->host->streamed = true;
    if (x->failed) {
        return;
    }
    if (m->gap != NULL && m->gap->last_seq >= x->next_seq) {
        rc = put_gap(x, m->gap->last_seq);
    } else if (m->record != NULL) {
        rc = put_record(x, m->record);
    }
    uint64_t now_ms = uv_now(&x->host->cli->loop);
    if (rc == HWS_OK && x->n_since > 0 && now_ms - x->noted_ms >= CURSOR_MS) {
        x->noted_ms = now_ms;
        rc = write_cursor(x);
    }
    if (rc != HWS_OK) {
        x->failed = true;
        x->host->resume = NULL;
        hws_client_cancel(call);
    }
}

static const ProtobufCMessage *request(struct hws_cli_host *host)
{
    static Hawser__V1__TailRequest r = HAWSER__V1__TAIL_REQUEST__INIT;

    r.after_seq = host->last_seq;
    r.follow = host->cli->args.given[HWS_OPT_FOLLOW];
    return &r.base;
}

/* A log that ends before what was handed over is not the one that the cursor is of. The record is
 * asked for by itself: a host whose disk is full has newer ones than it could sign. */
static enum hws_code reaches(const Hawser__V1__CheckpointResponse *a,
                             const struct hws_checkpoint *now, uint64_t after, struct export *x)
{
    if (after <= now->seq || a->at_hash.len != 0) {
        return HWS_OK;
    }
    return hws_err_set(&x->err, HWS_E_PROTO,
                       "the export came to record %" PRIu64 ", but the log of %.100s ends at "
                       "%" PRIu64
                       ": an older one was restored or a new one begun; look at what was "
                       "lost, then export it anew with --after 0",
                       after, x->host->name, now->seq);
}

/* Keys and a checkpoint, from which whoever holds the export can verify it. */
static enum hws_code put_checkpoint(struct export *x, uint64_t after)
{
    const Hawser__V1__CheckpointResponse *a = hws_cli_answer(x->host, CheckpointResponse);
    struct hws_log_check check;
    struct hws_checkpoint now;

    hws_log_check_init(&check);
    enum hws_code rc = hws_audit_take_checkpoint(a, &check, &now, &x->err);
    rc = rc == HWS_OK ? reaches(a, &now, after, x) : rc;
    size_t n = hws_buf_len(&check.keys) / sizeof(struct hws_key_step);
    const struct hws_key_step *keys = (const void *)hws_buf_peek(&check.keys);
    for (size_t i = 0; i < n && rc == HWS_OK; i++) {
        struct hws_line line = {.kind = HWS_LINE_KEY, .u.key = keys[i]};
        rc = hws_sink_put(&x->sink, &line, &x->err);
    }
    if (rc == HWS_OK) {
        struct hws_line line = {.kind = HWS_LINE_CHECKPOINT, .u.checkpoint = now};
        rc = hws_sink_put(&x->sink, &line, &x->err);
    }
    hws_log_check_deinit(&check);
    if (rc == HWS_OK) {
        x->next_seq = after != 0 ? after + 1 : now.horizon_seq;
        x->host->last_seq = x->next_seq - 1;
    }
    return rc;
}

static int stream(struct hws_cli *cli, struct export *x, uint64_t after)
{
    Hawser__V1__CheckpointRequest r = HAWSER__V1__CHECKPOINT_REQUEST__INIT;

    r.at_seq = after;
    hws_cli_ask(x->host, &hws_client_method_audit_checkpoint, &r.base);
    hws_cli_wait(cli);
    if (x->host->failed && x->host->status.code == HWS_CLIENT_NOT_FOUND) {
        /* An empty log; this very call became its first record. */
        x->host->failed = false;
        hws_cli_ask(x->host, &hws_client_method_audit_checkpoint, &r.base);
        hws_cli_wait(cli);
    }
    if (x->host->failed) {
        return hws_cli_fail_status(cli, x->host->name, &x->host->status);
    }
    if (put_checkpoint(x, after) != HWS_OK) {
        return hws_cli_fail_err(cli, &x->err);
    }
    if (cli->args.given[HWS_OPT_FOLLOW]) {
        hws_cli_follow(x->host, &hws_client_method_audit_tail, request, came);
    } else {
        hws_cli_stream(x->host, &hws_client_method_audit_tail, request(x->host), came, false);
    }
    hws_cli_wait(cli);
    if (!x->failed) {
        x->failed = write_cursor(x) != HWS_OK;
    }
    if (x->failed) {
        return hws_cli_fail_err(cli, &x->err);
    }
    return x->host->failed ? hws_cli_fail_status(cli, x->host->name, &x->host->status)
                           : HWS_EXIT_OK;
}

int hws_cmd_audit_export(struct hws_cli *cli)
{
    const struct hws_cli_args *a = &cli->args;
    struct export *x = &s_export;
    enum hws_sink_format format = HWS_SINK_JSONL;
    uint64_t after = 0;
    struct hws_err err;

    x->cursor = a->given[HWS_OPT_CURSOR] ? a->value[HWS_OPT_CURSOR] : NULL;
    if ((a->given[HWS_OPT_FORMAT] &&
         hws_sink_format_of(a->value[HWS_OPT_FORMAT], &format, &err) != HWS_OK) ||
        hws_cli_number(a, HWS_OPT_AFTER, UINT64_MAX - 1, 0, &after, &err) != HWS_OK ||
        (x->cursor != NULL && !a->given[HWS_OPT_AFTER] &&
         read_cursor(x->cursor, &after, &err) != HWS_OK)) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%s", err.msg);
    }
    int rc = hws_cli_connect(cli);
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (cli->n_hosts != 1) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "export one host at a time: each log is a chain");
    }
    x->host = &cli->hosts[0];
    if (hws_sink_open(&x->sink, format, a->given[HWS_OPT_TO] ? a->value[HWS_OPT_TO] : NULL,
                      x->host->name, &err) != HWS_OK) {
        hws_sink_close(&x->sink);
        return hws_cli_fail_err(cli, &err);
    }
    rc = stream(cli, x, after);
    hws_sink_close(&x->sink);
    return rc;
}
