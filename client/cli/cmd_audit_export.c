/*
 * hawser audit export: an agent's log to JSON lines, syslog or journald, from a sequence number on.
 *
 * A file begins with the log's signing keys; then come its records, and each checkpoint behind the
 * record that it names, also those that are signed while it is followed. How far it came is read
 * from the file itself, so that no record is in it twice or left out, wherever the export was cut
 * off. Of a socket, and of a file that was rotated away, the cursor tells, which is replaced whole
 * after every CURSOR_MS, of a socket also after every CURSOR_RECORDS, and at the end: there some
 * records may be handed over twice after a crash, and none never. What retention pruned in between
 * is told as a gap.
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
    const char *cursor;            /* a file; NULL = none is kept */
    uint64_t next_seq;             /* the record that must come */
    uint64_t n_since;              /* handed over since the cursor was written */
    uint64_t noted_ms;             /* when it was written, by the loop's clock */
    struct hws_export_end end;     /* of what was exported before */
    struct hws_log_check keys;     /* the signing keys told of */
    struct hws_checkpoint last;    /* the last checkpoint told of; seq 0 = none */
    struct hws_checkpoint waiting; /* for the record that it names; seq 0 = none */
    struct hws_err err;            /* why it ended */
    bool failed;
};

/* ---- the cursor: "SEQ INODE", of the last record and the file that it is in (0: no file) ---- */

struct cursor {
    uint64_t seq;
    uint64_t inode;
};

static enum hws_code read_cursor(const char *path, struct cursor *out, struct hws_err *err)
{
    char text[64] = "";
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return HWS_OK; /* the first time */
    }
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    char *inode = strchr(text, ' ');
    if (inode != NULL) {
        *inode++ = '\0';
    }
    enum hws_code rc = hws_str_to_u64(text, UINT64_MAX - 1, &out->seq, err);
    if (rc == HWS_OK && inode != NULL) {
        rc = hws_str_to_u64(inode, UINT64_MAX, &out->inode, err);
    }
    return rc == HWS_OK ? rc : hws_err_wrap(err, "%.200s", path);
}

static enum hws_code write_cursor(struct export *x)
{
    char text[64];

    x->n_since = 0;
    enum hws_code rc = hws_sink_flush(&x->sink, &x->err);
    if (rc != HWS_OK || x->cursor == NULL) {
        return rc;
    }
    (void)hws_str_print(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", x->next_seq - 1,
                        x->sink.file.regular ? (uint64_t)x->sink.file.inode : 0);
    return hws_audit_file_write(x->cursor, text, strlen(text), &x->err);
}

/* ---- lines ---- */

static enum hws_code put_keys(struct export *x)
{
    size_t n = hws_buf_len(&x->keys.keys) / sizeof(struct hws_key_step);
    const struct hws_key_step *keys = (const void *)hws_buf_peek(&x->keys.keys);
    enum hws_code rc = HWS_OK;

    for (size_t i = 0; i < n && rc == HWS_OK; i++) {
        struct hws_line line = {.kind = HWS_LINE_KEY, .u.key = keys[i]};
        rc = hws_sink_put(&x->sink, &line, &x->err);
    }
    return rc;
}

/* The cursor names a file before a record goes into it: wherever this is cut off, the file that
 * holds the newest record is the one at the path or the one that the cursor names. */
static enum hws_code begin_file(struct export *x)
{
    enum hws_code rc = write_cursor(x);

    return rc == HWS_OK ? put_keys(x) : rc;
}

/* The file was moved away. */
static enum hws_code begin_next_file(struct export *x)
{
    struct hws_export_end end;
    enum hws_code rc = hws_sink_flush(&x->sink, &x->err);

    if (rc == HWS_OK) {
        const char *path = x->sink.file.path;
        hws_export_file_close(&x->sink.file);
        rc = hws_export_file_open(&x->sink.file, path, &end, &x->err);
    }
    if (rc == HWS_OK && end.seq != 0) {
        rc = hws_err_set(&x->err, HWS_E_STATE,
                         "%.200s was replaced by a file that goes to record %" PRIu64 " already",
                         x->sink.file.path, end.seq);
    }
    return rc == HWS_OK ? begin_file(x) : rc;
}

static enum hws_code put_line(struct export *x, const struct hws_line *line)
{
    enum hws_code rc = hws_export_file_moved(&x->sink.file) ? begin_next_file(x) : HWS_OK;

    return rc == HWS_OK ? hws_sink_put(&x->sink, line, &x->err) : rc;
}

static enum hws_code put_gap(struct export *x, uint64_t last_seq)
{
    struct hws_line line = {.kind = HWS_LINE_GAP,
                            .u.gap = {.first = x->next_seq, .last = last_seq}};
    enum hws_code rc = put_line(x, &line);

    if (rc == HWS_OK) {
        x->next_seq = last_seq + 1;
        x->host->last_seq = last_seq;
    }
    return rc;
}

/* A checkpoint, unless it waits for its record or says nothing that the last one did not. */
static enum hws_code put_checkpoint(struct export *x, const struct hws_checkpoint *c)
{
    struct hws_line line = {.kind = HWS_LINE_CHECKPOINT, .u.checkpoint = *c};

    if (c->seq >= x->next_seq) {
        x->waiting = *c;
        return HWS_OK;
    }
    if (c->seq < x->last.seq || (c->seq == x->last.seq && c->horizon_seq <= x->last.horizon_seq)) {
        return HWS_OK;
    }
    x->last = *c;
    return put_line(x, &line);
}

/* A key that this run has not told of. */
static enum hws_code put_key(struct export *x, const Hawser__V1__AuditKey *from)
{
    struct hws_line line = {.kind = HWS_LINE_KEY};
    size_t n = hws_buf_len(&x->keys.keys);
    enum hws_code rc = hws_audit_take_key(from, &x->keys, &line.u.key, &x->err);

    return rc == HWS_OK && hws_buf_len(&x->keys.keys) > n ? put_line(x, &line) : rc;
}

/* A file tells by itself how far it came, so it need not be on disk that often. */
static enum hws_code note_if_many(struct export *x)
{
    x->n_since++;
    return x->n_since >= CURSOR_RECORDS && x->cursor != NULL && !x->sink.file.regular
               ? write_cursor(x)
               : HWS_OK;
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
    if (r->seq < x->next_seq) {
        return hws_err_set(&x->err, HWS_E_PROTO,
                           "the agent sent record %" PRIu64 " where %" PRIu64 " must come", r->seq,
                           x->next_seq);
    }
    enum hws_code rc = r->seq > x->next_seq ? put_gap(x, r->seq - 1) : HWS_OK;
    rc = rc == HWS_OK ? put_line(x, &line) : rc;
    if (rc == HWS_OK) {
        x->next_seq = r->seq + 1;
        x->host->last_seq = r->seq;
        rc = note_if_many(x);
    }
    if (rc == HWS_OK && x->waiting.seq != 0 && x->waiting.seq <= r->seq) {
        struct hws_checkpoint c = x->waiting;
        x->waiting.seq = 0;
        rc = put_checkpoint(x, &c);
    }
    return rc;
}

static enum hws_code put_message(struct export *x, const Hawser__V1__TailResponse *m)
{
    struct hws_checkpoint c;

    if (m->gap != NULL) {
        return m->gap->last_seq >= x->next_seq ? put_gap(x, m->gap->last_seq) : HWS_OK;
    }
    if (m->record != NULL) {
        return put_record(x, m->record);
    }
    if (m->key != NULL) {
        return put_key(x, m->key);
    }
    if (m->checkpoint == NULL) {
        return HWS_OK;
    }
    enum hws_code rc = hws_audit_copy_checkpoint(m->checkpoint, &c, &x->err);
    return rc == HWS_OK ? put_checkpoint(x, &c) : rc;
}

static struct export s_export; /* one host, one run */

static void came(struct hws_client_call *call, const ProtobufCMessage *message)
{
    const Hawser__V1__TailResponse *m = (const Hawser__V1__TailResponse *)message;
    struct export *x = &s_export;

    x->host->streamed = true;
    if (x->failed) {
        return;
    }
    enum hws_code rc = put_message(x, m);
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
    r.signatures = s_export.sink.format == HWS_SINK_JSONL;
    return &r.base;
}

/* A log that ends before what was handed over, or holds another record there, is not the one that
 * was exported. The record is asked for by itself: a host whose disk is full has newer ones than it
 * could sign. */
static enum hws_code is_the_same(const Hawser__V1__CheckpointResponse *a,
                                 const struct hws_checkpoint *now, struct export *x)
{
    uint64_t after = x->next_seq - 1;

    if (x->end.has_hash && x->end.seq == after && a->at_hash.len == HWS_DIGEST_BYTES &&
        memcmp(a->at_hash.data, x->end.hash.b, HWS_DIGEST_BYTES) != 0) {
        return hws_err_set(&x->err, HWS_E_PROTO,
                           "record %" PRIu64 " of %.100s differs from the one that was exported: "
                           "another log, or a rewritten one; export it to another file",
                           after, x->host->name);
    }
    if (after <= now->seq || a->at_hash.len != 0) {
        return HWS_OK;
    }
    return hws_err_set(&x->err, HWS_E_PROTO,
                       "the export came to record %" PRIu64 ", but the log of %.100s ends at "
                       "%" PRIu64
                       ": an older one was restored or a new one begun; look at what was "
                       "lost, then export it anew with --after 0 to another file",
                       after, x->host->name, now->seq);
}

/* Keys first; the checkpoint when its record has come. */
static enum hws_code begin(struct export *x)
{
    const Hawser__V1__CheckpointResponse *a = hws_cli_answer(x->host, CheckpointResponse);
    struct hws_checkpoint now;
    enum hws_code rc = hws_audit_take_checkpoint(a, &x->keys, &now, &x->err);

    rc = rc == HWS_OK ? is_the_same(a, &now, x) : rc;
    rc = rc == HWS_OK ? begin_file(x) : rc;
    return rc == HWS_OK ? put_checkpoint(x, &now) : rc;
}

static int stream(struct hws_cli *cli, struct export *x)
{
    Hawser__V1__CheckpointRequest r = HAWSER__V1__CHECKPOINT_REQUEST__INIT;

    r.at_seq = x->next_seq - 1;
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
    if (begin(x) != HWS_OK) {
        return hws_cli_fail_err(cli, &x->err);
    }
    if (cli->args.given[HWS_OPT_FOLLOW]) {
        hws_cli_follow(x->host, &hws_client_method_audit_tail, request, came);
    } else {
        /* However long it takes: a log is as large as it is. */
        hws_cli_stream(x->host, &hws_client_method_audit_tail, request(x->host), came, true);
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

/* The file holds no record, so the one before it tells, which the cursor names. If that one is
 * gone, or it is this one and was emptied, the cursor's word may be old. */
static enum hws_code find_rotated(struct hws_cli *cli, struct export *x,
                                  const struct cursor *cursor)
{
    const struct hws_export_file *file = &x->sink.file;

    if (!file->regular || cursor->inode == 0) {
        return HWS_OK;
    }
    if (cursor->inode != file->inode) {
        enum hws_code rc =
            hws_export_file_rotated(file->path, (ino_t)cursor->inode, &x->end, &x->err);
        if (rc != HWS_E_NOT_FOUND) {
            return rc;
        }
    }
    if (cursor->seq != 0) {
        (void)fprintf(cli->errors,
                      "hawser: %s: the file before it is gone, so the cursor alone counts: records "
                      "after %" PRIu64 " may have been in it, too\n",
                      file->path, cursor->seq);
    }
    return HWS_OK;
}

/* Where the export goes on: by the file, else by --after, else by the cursor. */
static enum hws_code find_place(struct hws_cli *cli, struct export *x, uint64_t after)
{
    struct cursor cursor = {0};
    bool given = cli->args.given[HWS_OPT_AFTER];
    enum hws_code rc = HWS_OK;

    if (x->end.seq != 0 && given && after != x->end.seq) {
        return hws_err_set(&x->err, HWS_E_INVALID,
                           "%.200s goes to record %" PRIu64
                           " already: leave out --after, or export to another file",
                           x->sink.file.path, x->end.seq);
    }
    if (x->end.seq == 0 && !given && x->cursor != NULL) {
        rc = read_cursor(x->cursor, &cursor, &x->err);
        rc = rc == HWS_OK ? find_rotated(cli, x, &cursor) : rc;
        after = cursor.seq;
    }
    x->next_seq = (x->end.seq != 0 ? x->end.seq : after) + 1;
    x->host->last_seq = x->next_seq - 1;
    x->last = x->end.has_checkpoint ? x->end.checkpoint : (struct hws_checkpoint){0};
    return rc;
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
        hws_cli_number(a, HWS_OPT_AFTER, UINT64_MAX - 1, 0, &after, &err) != HWS_OK) {
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
    hws_log_check_init(&x->keys);
    if (hws_sink_open(&x->sink, format, a->given[HWS_OPT_TO] ? a->value[HWS_OPT_TO] : NULL,
                      x->host->name, &x->end, &x->err) != HWS_OK ||
        find_place(cli, x, after) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &x->err);
    } else {
        rc = stream(cli, x);
    }
    hws_sink_close(&x->sink);
    hws_log_check_deinit(&x->keys);
    return rc;
}
