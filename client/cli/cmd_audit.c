/* hawser audit tail, checkpoint and verify. Export: cmd_audit_export.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/audit_file.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "record/log.h"
#include "store/offline.h"

/* ---- audit tail ---- */

#define AUDIT_LAST     20u    /* records shown when nothing is said */
#define AUDIT_MAX_LAST 10000u /* audit.proto: TailRequest.last */

static const struct hws_column audit_columns[] = {
    {"host", "HOST", 14},
    {"seq", "SEQ", 5},
    {"time", "TIME", 24},
    {"phase", "PHASE", 7},
    {"principal", "PRINCIPAL", 40},
    {"method", "METHOD", 25},
    {"device", "DEVICE", 31},
    {"code", "CODE", 17},
    {"rule", "RULE", 20},
    {"detail", "DETAIL", 0},
    {"effect", NULL, 0},
    {"peer", NULL, 0},
    {"cert_serial", NULL, 0},
    {"request_id", NULL, 0},
    {"intent_seq", NULL, 0},
    {"scope", NULL, 0},
    {"n_others", NULL, 0},
    {"taint_before", NULL, 0},
    {"taint_after", NULL, 0},
    {"table_hash", NULL, 0},
    {"policy_hash", NULL, 0},
    {"prev_hash", NULL, 0},
    {"hash", NULL, 0},
};

#define HASH_CHARS 65

/* 64 digits, or nothing for bytes that are no SHA-256. */
static const char *hex_of(ProtobufCBinaryData b, char *dst)
{
    dst[0] = '\0';
    if (b.len == (HASH_CHARS - 1) / 2) {
        hws_hex_encode(b.data, b.len, dst);
    }
    return dst;
}

static enum hws_tone phase_tone(Hawser__V1__AuditPhase phase)
{
    return phase == HAWSER__V1__AUDIT_PHASE__AUDIT_PHASE_DENIED ? HWS_TONE_BAD : HWS_TONE_PLAIN;
}

static void tailed(struct hws_client_call *call, const ProtobufCMessage *message)
{
    struct hws_cli_host *h = call->data;
    const Hawser__V1__TailResponse *m = (const Hawser__V1__TailResponse *)message;
    const Hawser__V1__AuditRecord *r = m->record;
    char time[HWS_CLI_TIME_BYTES];
    char hashes[4][HASH_CHARS];

    h->streamed = true;
    h->last_seq = r == NULL ? h->last_seq : r->seq;
    if (m->gap != NULL) {
        h->last_seq = m->gap->last_seq;
        (void)fprintf(h->cli->errors,
                      "hawser: %s: audit records %" PRIu64 " to %" PRIu64
                      " had been pruned before they could be read\n",
                      h->name, m->gap->first_seq, m->gap->last_seq);
    }
    if (r == NULL || (h->cli->args.given[HWS_OPT_CHANGES] &&
                      r->phase == HAWSER__V1__AUDIT_PHASE__AUDIT_PHASE_READ)) {
        return;
    }
    hws_cli_time(r->unix_ms, time);
    const struct hws_cell cells[] = {
        hws_cell_text(h->name),
        hws_cell_uint(r->seq),
        hws_cell_text(time),
        hws_cell_tone(hws_cli_phase(r->phase), phase_tone(r->phase)),
        hws_cell_text(r->principal),
        hws_cell_text(hws_str_starts(r->method, "/hawser.v1.") ? r->method + 11 : r->method),
        hws_cell_text(r->device),
        hws_cell_text(r->code),
        hws_cell_text(r->rule),
        hws_cell_text(r->detail),
        hws_cell_text(hws_cli_effect(r->effect)),
        hws_cell_text(r->peer),
        hws_cell_text(r->cert_serial),
        hws_cell_text(r->request_id),
        r->intent_seq != 0 ? hws_cell_uint(r->intent_seq) : hws_cell_none(),
        r->scope_plus_one != 0 ? hws_cell_uint(r->scope_plus_one - 1) : hws_cell_none(),
        hws_cell_uint(r->n_others),
        hws_cell_hex(r->taint_before),
        hws_cell_hex(r->taint_after),
        hws_cell_text(hex_of(r->table_hash, hashes[0])),
        hws_cell_text(hex_of(r->policy_hash, hashes[1])),
        hws_cell_text(hex_of(r->prev_hash, hashes[2])),
        hws_cell_text(hex_of(r->hash, hashes[3])),
    };
    hws_out_row(&h->cli->out, cells);
}

static Hawser__V1__TailRequest tail_request = HAWSER__V1__TAIL_REQUEST__INIT;

/* The first time as asked for, then from the record after the latest one. */
static const ProtobufCMessage *tail_from_here(struct hws_cli_host *host)
{
    static Hawser__V1__TailRequest next = HAWSER__V1__TAIL_REQUEST__INIT;

    next = tail_request;
    if (host->last_seq != 0) {
        next.after_seq = host->last_seq;
        next.last = 0;
    }
    return &next.base;
}

int hws_cmd_audit_tail(struct hws_cli *cli)
{
    Hawser__V1__TailRequest r = HAWSER__V1__TAIL_REQUEST__INIT;
    struct hws_err err;
    uint64_t last = 0;
    bool changes = cli->args.given[HWS_OPT_CHANGES];
    uint64_t fallback = cli->args.given[HWS_OPT_AFTER] ? 0 : changes ? AUDIT_MAX_LAST : AUDIT_LAST;

    if (hws_cli_number(&cli->args, HWS_OPT_AFTER, UINT64_MAX, 0, &r.after_seq, &err) != HWS_OK ||
        hws_cli_number(&cli->args, HWS_OPT_LAST, AUDIT_MAX_LAST, fallback, &last, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%s", err.msg);
    }
    r.last = (uint32_t)last;
    r.follow = cli->args.given[HWS_OPT_FOLLOW];
    tail_request = r;
    int rc = hws_cli_connect(cli);
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.audit.tail", 1, r.follow != 0);
    hws_out_table(&cli->out, "records", audit_columns, HWS_CLI_N_OF(audit_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (r.follow) {
            hws_cli_follow(&cli->hosts[i], &hws_client_method_audit_tail, tail_from_here, tailed);
        } else {
            hws_cli_stream(&cli->hosts[i], &hws_client_method_audit_tail, &r.base, tailed, false);
            hws_cli_wait(cli); /* host by host, in order */
        }
    }
    hws_cli_wait(cli);
    return hws_cli_finish(cli);
}

/* ---- audit checkpoint ---- */

static const struct hws_column checkpoint_columns[] = {
    {"host", "HOST", 0},        {"seq", "SEQ", 0},           {"time", "TIME", 0},
    {"horizon_seq", "FROM", 0}, {"hash", "HASH", 0},         {"keys", "KEYS", 0},
    {"key", "KEY", 0},          {"pinned_seq", "PINNED", 0}, {"signature", NULL, 0},
};

/* What is checked and kept of one host. */
struct pin {
    struct hws_checkpoint kept; /* of last time; seq 0: none */
    struct hws_log_check check;
    struct hws_checkpoint now;
    char path[1024];
};

static bool copy_bytes(ProtobufCBinaryData from, uint8_t *to, size_t n)
{
    if (from.len != n) {
        return false;
    }
    memcpy(to, from.data, n);
    return true;
}

enum hws_code hws_audit_take_key(const Hawser__V1__AuditKey *from, struct hws_log_check *check,
                                 struct hws_key_step *out, struct hws_err *err)
{
    *out = (struct hws_key_step){.from_seq = from->from_seq, .unix_ms = from->unix_ms};
    return copy_bytes(from->key, out->key.b, sizeof(out->key.b)) &&
                   copy_bytes(from->by, out->by.b, sizeof(out->by.b)) &&
                   copy_bytes(from->signature, out->signature.b, sizeof(out->signature.b))
               ? hws_log_check_key(check, out, err)
               : hws_err_set(err, HWS_E_PROTO, "a signing key has the wrong length");
}

enum hws_code hws_audit_copy_checkpoint(const Hawser__V1__AuditCheckpoint *c,
                                        struct hws_checkpoint *out, struct hws_err *err)
{
    struct hws_checkpoint now = {0};

    if (c == NULL || !hws_str_copy(now.host, sizeof(now.host), c->host) ||
        !copy_bytes(c->hash, now.hash.b, sizeof(now.hash.b)) ||
        !copy_bytes(c->horizon_prev, now.horizon_prev.b, sizeof(now.horizon_prev.b)) ||
        !copy_bytes(c->key, now.key.b, sizeof(now.key.b)) ||
        !copy_bytes(c->signature, now.signature.b, sizeof(now.signature.b))) {
        return hws_err_set(err, HWS_E_PROTO, "the answer holds no checkpoint");
    }
    now.seq = c->seq;
    now.unix_ms = c->unix_ms;
    now.horizon_seq = c->horizon_seq;
    *out = now;
    return HWS_OK;
}

enum hws_code hws_audit_take_checkpoint(const Hawser__V1__CheckpointResponse *a,
                                        struct hws_log_check *check, struct hws_checkpoint *out,
                                        struct hws_err *err)
{
    struct hws_checkpoint now;
    struct hws_key_step key;
    enum hws_code rc = HWS_OK;

    for (size_t i = 0; i < a->n_keys && rc == HWS_OK; i++) {
        rc = hws_audit_take_key(a->keys[i], check, &key, err);
    }
    rc = rc == HWS_OK ? hws_audit_copy_checkpoint(a->checkpoint, &now, err) : rc;
    rc = rc == HWS_OK ? hws_log_check_checkpoint(check, &now, err) : rc;
    if (rc == HWS_OK) {
        *out = now;
    }
    return rc;
}

/* Does the log still hold what was kept of it? */
static enum hws_code compare(const Hawser__V1__CheckpointResponse *a, struct pin *p,
                             struct hws_err *err)
{
    if (p->kept.seq == 0) {
        return HWS_OK;
    }
    enum hws_code rc = hws_log_check_pin(&p->check, &p->kept, err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (p->now.seq < p->kept.seq) {
        return hws_err_set(err, HWS_E_PROTO,
                           "the log ends at record %" PRIu64 " but once went to %" PRIu64
                           ": its tail was cut off",
                           p->now.seq, p->kept.seq);
    }
    if (p->kept.seq >= p->now.horizon_seq &&
        (a->at_hash.len != HWS_DIGEST_BYTES ||
         memcmp(a->at_hash.data, p->kept.hash.b, HWS_DIGEST_BYTES) != 0)) {
        return hws_err_set(err, HWS_E_PROTO,
                           "record %" PRIu64 " differs from the checkpoint that was kept: the log "
                           "was rewritten",
                           p->kept.seq);
    }
    return HWS_OK;
}

static enum hws_code keep(struct pin *p, struct hws_err *err)
{
    struct hws_buf text = {0};
    enum hws_code rc = HWS_OK;
    size_t n = hws_buf_len(&p->check.keys) / sizeof(struct hws_key_step);
    const struct hws_key_step *keys = (const void *)hws_buf_peek(&p->check.keys);

    for (size_t i = 0; i < n && rc == HWS_OK; i++) {
        struct hws_line line = {.kind = HWS_LINE_KEY, .u.key = keys[i]};
        rc = hws_line_print(&line, &text);
    }
    if (rc == HWS_OK) {
        struct hws_line line = {.kind = HWS_LINE_CHECKPOINT, .u.checkpoint = p->now};
        rc = hws_line_print(&line, &text);
    }
    if (rc != HWS_OK) {
        (void)hws_err_set(err, rc, "%s", hws_code_text(rc));
    } else {
        rc = hws_audit_file_write(p->path, hws_buf_peek(&text), hws_buf_len(&text), err);
    }
    hws_buf_deinit(&text);
    return rc;
}

static void show_checkpoint(struct hws_cli_host *h, struct pin *p, bool pinning)
{
    const Hawser__V1__CheckpointResponse *a = hws_cli_answer(h, CheckpointResponse);
    char time[HWS_CLI_TIME_BYTES];
    char hash[HWS_DIGEST_HEX_BYTES];
    char key[HWS_PUBLIC_HEX_BYTES];
    char signature[2 * HWS_SIGNATURE_BYTES + 1];
    struct hws_err err;

    if (hws_audit_take_checkpoint(a, &p->check, &p->now, &err) != HWS_OK ||
        compare(a, p, &err) != HWS_OK || (pinning && keep(p, &err) != HWS_OK)) {
        hws_cli_host_fail(h, err.code == HWS_E_PROTO ? HWS_CLIENT_DATA_LOSS : HWS_CLIENT_INTERNAL,
                          "%s", err.msg);
        return;
    }
    hws_cli_time(p->now.unix_ms, time);
    hws_digest_hex(&p->now.hash, hash);
    hws_public_hex(&p->now.key, key);
    hws_hex_encode(p->now.signature.b, sizeof(p->now.signature.b), signature);
    const struct hws_cell cells[] = {
        hws_cell_text(h->name),   hws_cell_uint(p->now.seq),
        hws_cell_text(time),      hws_cell_uint(p->now.horizon_seq),
        hws_cell_text(hash),      hws_cell_uint(a->n_keys),
        hws_cell_text(key),       p->kept.seq == 0 ? hws_cell_none() : hws_cell_uint(p->kept.seq),
        hws_cell_text(signature),
    };
    hws_out_row(&h->cli->out, cells);
}

/* What was kept of the host last time; false if the file is there and cannot be read. */
static bool read_pin(struct hws_cli_host *h, const char *folder, struct pin *p)
{
    struct hws_err err;

    if (!hws_str_print(p->path, sizeof(p->path), "%s/%s.jsonl", folder, h->name) ||
        strchr(h->name, '/') != NULL) {
        hws_cli_host_fail(h, HWS_CLIENT_INVALID_ARGUMENT, "no file name can be made of \"%s\"",
                          h->name);
        return false;
    }
    enum hws_code rc = hws_audit_file_checkpoint(p->path, &p->kept, &err);
    if (rc != HWS_OK && rc != HWS_E_NOT_FOUND) {
        hws_cli_host_fail(h, HWS_CLIENT_DATA_LOSS, "%s", err.msg);
        return false;
    }
    return true;
}

int hws_cmd_audit_checkpoint(struct hws_cli *cli)
{
    const char *folder = cli->args.given[HWS_OPT_PIN] ? cli->args.value[HWS_OPT_PIN] : NULL;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    struct pin *pins = hws_mem_zalloc(cli->n_hosts + 1, sizeof(*pins));
    if (pins == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "out of memory");
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__CheckpointRequest r = HAWSER__V1__CHECKPOINT_REQUEST__INIT;
        hws_log_check_init(&pins[i].check);
        if (folder == NULL || read_pin(&cli->hosts[i], folder, &pins[i])) {
            r.at_seq = pins[i].kept.seq;
            hws_cli_ask(&cli->hosts[i], &hws_client_method_audit_checkpoint, &r.base);
        }
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.audit.checkpoint", 1, false);
    hws_out_table(&cli->out, "checkpoints", checkpoint_columns, HWS_CLI_N_OF(checkpoint_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (!cli->hosts[i].failed) {
            show_checkpoint(&cli->hosts[i], &pins[i], folder != NULL);
        }
        hws_log_check_deinit(&pins[i].check);
    }
    hws_mem_free(pins);
    return hws_cli_finish(cli);
}

/* ---- audit verify ---- */

static int show_verdict(struct hws_cli *cli, const char *path, const struct hws_log_check *c,
                        const struct hws_err *err)
{
    struct hws_out *out = &cli->out;
    struct hws_err ignored;
    bool sound = err->code == HWS_OK;
    const struct hws_public *signer = hws_log_check_signer(c);
    char key[HWS_PUBLIC_HEX_BYTES] = "";
    uint64_t n_unsigned = c->last_seq > c->signed_seq ? c->last_seq - c->signed_seq : 0;

    if (signer != NULL) {
        hws_public_hex(signer, key);
    }
    hws_out_begin(out, "hawser.audit.verify", 1, false);
    hws_out_fact(out, "file", "file", hws_cell_text(path));
    hws_out_fact(out, "sound", "sound", hws_cell_bool(sound));
    if (!sound) {
        hws_out_fact(out, "bad_seq", "first bad record", hws_cell_uint(c->bad_seq));
        hws_out_fact(out, "fault", "fault", hws_cell_text(c->fault == NULL ? "" : c->fault));
        hws_out_fact(out, "reason", "reason", hws_cell_text(err->msg));
    }
    hws_out_fact(out, "first_seq", "from record", hws_cell_uint(c->first_seq));
    hws_out_fact(out, "last_seq", "to record", hws_cell_uint(c->last_seq));
    hws_out_fact(out, "records", "records", hws_cell_uint(c->n_records));
    hws_out_fact(out, "signed_seq", "signed up to", hws_cell_uint(c->signed_seq));
    hws_out_fact(out, "unsigned", "chained only", hws_cell_uint(n_unsigned));
    hws_out_fact(out, "gaps", "pruned unseen", hws_cell_uint(c->n_gaps));
    hws_out_fact(out, "pinned", "kept checkpoint", hws_cell_bool(c->pinned));
    hws_out_fact(out, "key", "signed by key",
                 signer == NULL ? hws_cell_none() : hws_cell_text(key));
    hws_out_fact(out, "key_required", "key asked for", hws_cell_bool(c->has_key));
    (void)!hws_out_end(out, &ignored);
    return sound ? HWS_EXIT_OK : hws_cli_fail_err(cli, err);
}

/* What the caller knows of the log's writer. */
static enum hws_code take_demands(const struct hws_cli_args *a, struct hws_log_check *c,
                                  struct hws_err *err)
{
    c->has_key = a->given[HWS_OPT_AUDIT_KEY];
    if (c->has_key && hws_public_from_hex(a->value[HWS_OPT_AUDIT_KEY], &c->must_be_by) != HWS_OK) {
        return hws_err_set(
            err, HWS_E_INVALID,
            "--audit-key: not a public key, which is %u hex digits as \"hawser audit "
            "checkpoint -o json\" shows them",
            2 * HWS_PUBLIC_BYTES);
    }
    return hws_cli_number(a, HWS_OPT_MAX_UNSIGNED, UINT64_MAX, 0, &c->max_unsigned, err);
}

int hws_cmd_audit_verify(struct hws_cli *cli)
{
    const char *path = cli->args.args[0];
    struct hws_checkpoint pin;
    struct hws_log_check c;
    struct hws_err err;
    uint64_t after = 0;
    bool pinned = cli->args.given[HWS_OPT_CHECKPOINT];

    hws_err_clear(&err);
    if (hws_cli_number(&cli->args, HWS_OPT_AFTER, UINT64_MAX - 1, 0, &after, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%s", err.msg);
    }
    if (pinned &&
        hws_audit_file_checkpoint(cli->args.value[HWS_OPT_CHECKPOINT], &pin, &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    hws_log_check_init(&c);
    if (take_demands(&cli->args, &c, &err) != HWS_OK) {
        hws_log_check_deinit(&c);
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%s", err.msg);
    }
    bool database = hws_audit_file_is_database(path);
    enum hws_code rc = database ? hws_store_check_file(path, pinned ? &pin : NULL, &c, &err)
                                : hws_audit_file_check(path, after, pinned ? &pin : NULL, &c, &err);
    int status = rc == HWS_OK || rc == HWS_E_PROTO ? show_verdict(cli, path, &c, &err)
                                                   : hws_cli_fail_err(cli, &err);
    hws_log_check_deinit(&c);
    return status;
}
