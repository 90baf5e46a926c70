/* Audit records as JSON lines, syslog and journal entries. */
#include "cli/audit_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

/* RFC 5424, 6.2.1: facility 13 (log audit), severity 5 (notice) and 4 (warning). */
#define PRI_NOTICE  (13u * 8u + 5u)
#define PRI_WARNING (13u * 8u + 4u)

/* The enterprise number of examples (RFC 5612): no number is registered for this project. */
#define SD_ID "hawser@32473"

#define MESSAGE_ID                                                                                 \
    "5b1c7f1d2d6a4c0f9a3e8d4b7a60c1e5" /* ours, random: journalctl MESSAGE_ID=...                  \
                                        */

static const struct {
    const char *name;
    const char *to;
} s_formats[HWS_N_SINK_FORMATS] = {
    [HWS_SINK_JSONL] = {"jsonl", NULL},
    [HWS_SINK_SYSLOG] = {"syslog", "/dev/log"},
    [HWS_SINK_JOURNALD] = {"journald", "/run/systemd/journal/socket"}};

enum hws_code hws_sink_format_of(const char *name, enum hws_sink_format *out, struct hws_err *err)
{
    for (unsigned i = 0; i < HWS_N_SINK_FORMATS; i++) {
        if (hws_str_eq(name, s_formats[i].name)) {
            *out = (enum hws_sink_format)i;
            return HWS_OK;
        }
    }
    return hws_err_set(err, HWS_E_INVALID, "--format must be jsonl, syslog or journald");
}

static enum hws_code open_socket(struct hws_sink *s, const char *path, struct hws_err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (!hws_str_copy(to.sun_path, sizeof(to.sun_path), path)) {
        return hws_err_set(err, HWS_E_INVALID, "%.120s: path too long for a socket", path);
    }
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        return hws_err_set(err, HWS_E_IO, "%.120s: %s", path, strerror(errno));
    }
    return HWS_OK;
}

enum hws_code hws_sink_open(struct hws_sink *s, enum hws_sink_format format, const char *to,
                            const char *host, struct hws_export_end *out_end, struct hws_err *err)
{
    memset(s, 0, sizeof(*s));
    *out_end = (struct hws_export_end){0};
    s->format = format;
    s->fd = -1;
    s->file.fd = -1;
    (void)hws_str_copy(s->host, sizeof(s->host), host);
    if (format != HWS_SINK_JSONL) {
        return open_socket(s, to != NULL ? to : s_formats[format].to, err);
    }
    return hws_export_file_open(&s->file, to, out_end, err);
}

/* "2026-11-28T02:13:00.123Z" */
static enum hws_code put_time(struct hws_buf *out, uint64_t unix_ms)
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm = {0};
    char text[32] = "-";

    if (gmtime_r(&s, &tm) != NULL) {
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    return hws_buf_printf(out, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
}

/* name="value" with '"', '\' and ']' escaped (RFC 5424, 6.3.3). */
static enum hws_code put_param(struct hws_buf *out, const char *name, const char *value)
{
    enum hws_code rc = hws_buf_printf(out, " %s=\"", name);

    for (const char *p = value; rc == HWS_OK && *p != '\0'; p++) {
        if (*p == '"' || *p == '\\' || *p == ']') {
            rc = hws_buf_put(out, "\\", 1);
        }
        rc = rc == HWS_OK ? hws_buf_put(out, p, 1) : rc;
    }
    return rc == HWS_OK ? hws_buf_put(out, "\"", 1) : rc;
}

static enum hws_code put_number(struct hws_buf *out, const char *name, uint64_t v)
{
    return hws_buf_printf(out, " %s=\"%" PRIu64 "\"", name, v);
}

/* The fields of a record by name, for both protocols. */
struct named {
    const char *name;
    const char *text; /* NULL: the number */
    uint64_t number;
};

#define N_NAMED 20

struct hex {
    char table[HWS_DIGEST_HEX_BYTES];
    char policy[HWS_DIGEST_HEX_BYTES];
    char hash[HWS_DIGEST_HEX_BYTES];
};

static size_t name_fields(const struct hws_record *r, struct hex *hex, struct named *out)
{
    hws_digest_hex(&r->table_hash, hex->table);
    hws_digest_hex(&r->policy_hash, hex->policy);
    hws_digest_hex(&r->hash, hex->hash);
    const struct named all[] = {
        {"seq", NULL, r->seq},
        {"phase", hws_record_phase_name(r->phase), 0},
        {"principal", r->principal, 0},
        {"cert_serial", r->cert_serial, 0},
        {"peer", r->peer, 0},
        {"method", r->method, 0},
        {"device", r->device, 0},
        {"effect", NULL, r->effect},
        {"scope_plus_one", NULL, r->scope},
        {"rule", r->rule, 0},
        {"code", r->code, 0},
        {"intent_seq", NULL, r->intent_seq},
        {"request_id", r->request_id, 0},
        {"n_others", NULL, r->n_others},
        {"taint_before", NULL, r->taint_before},
        {"taint_after", NULL, r->taint_after},
        {"table_hash", hex->table, 0},
        {"policy_hash", hex->policy, 0},
        {"hash", hex->hash, 0},
    };

    _Static_assert(sizeof(all) / sizeof(all[0]) <= N_NAMED, "room for every field");
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

static bool warns(const struct hws_line *line)
{
    return line->kind == HWS_LINE_GAP || line->u.record.phase == HWS_RECORD_DENIED;
}

/* What a person reads. */
static enum hws_code put_message(struct hws_buf *out, const struct hws_line *line)
{
    const struct hws_record *r = &line->u.record;

    if (line->kind == HWS_LINE_GAP) {
        return hws_buf_printf(out,
                              "audit records %" PRIu64 " to %" PRIu64
                              " had been pruned before they could be exported",
                              line->u.gap.first, line->u.gap.last);
    }
    return hws_buf_printf(out, "%s %s %s %s %s", hws_record_phase_name(r->phase), r->principal,
                          r->method, r->code, r->detail);
}

static enum hws_code syslog_text(const struct hws_sink *s, const struct hws_line *line,
                                 struct hws_buf *out)
{
    bool is_gap = line->kind == HWS_LINE_GAP;
    struct named fields[N_NAMED] = {{NULL, NULL, 0}};
    struct hex hex;
    size_t n = is_gap ? 0 : name_fields(&line->u.record, &hex, fields);
    enum hws_code rc = hws_buf_printf(out, "<%u>1 ", warns(line) ? PRI_WARNING : PRI_NOTICE);

    if (rc == HWS_OK) {
        rc = is_gap ? hws_buf_put(out, "-", 1) : put_time(out, line->u.record.unix_ms);
    }
    if (rc == HWS_OK) {
        rc = hws_buf_printf(out, " %s hawser - %s [" SD_ID, s->host[0] == '\0' ? "-" : s->host,
                            is_gap ? "gap" : hws_record_phase_name(line->u.record.phase));
    }
    for (size_t i = 0; i < n && rc == HWS_OK; i++) {
        rc = fields[i].text == NULL ? put_number(out, fields[i].name, fields[i].number)
                                    : put_param(out, fields[i].name, fields[i].text);
    }
    if (rc == HWS_OK && is_gap) {
        rc = hws_buf_printf(out, " first=\"%" PRIu64 "\" last=\"%" PRIu64 "\"", line->u.gap.first,
                            line->u.gap.last);
    }
    /* The mark says that the message is UTF-8 (RFC 5424, 6.4). */
    rc = rc == HWS_OK ? hws_buf_printf(out, "] \xef\xbb\xbf") : rc;
    return rc == HWS_OK ? put_message(out, line) : rc;
}

/* HAWSER_NAME=value */
static enum hws_code put_entry(struct hws_buf *out, const struct named *f)
{
    char name[32];
    size_t len = 0;

    for (const char *p = f->name; *p != '\0' && len + 1 < sizeof(name); p++) {
        name[len++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    }
    name[len] = '\0';
    return f->text == NULL ? hws_buf_printf(out, "HAWSER_%s=%" PRIu64 "\n", name, f->number)
                           : hws_buf_printf(out, "HAWSER_%s=%s\n", name, f->text);
}

/* NAME=value lines; no value holds a newline, since records are cleaned of control characters. */
static enum hws_code journald_text(const struct hws_sink *s, const struct hws_line *line,
                                   struct hws_buf *out)
{
    bool is_gap = line->kind == HWS_LINE_GAP;
    struct named fields[N_NAMED] = {{NULL, NULL, 0}};
    struct hex hex;
    size_t n = is_gap ? 0 : name_fields(&line->u.record, &hex, fields);
    enum hws_code rc = hws_buf_printf(out,
                                      "PRIORITY=%u\nSYSLOG_FACILITY=13\nSYSLOG_IDENTIFIER=hawser\n"
                                      "MESSAGE_ID=" MESSAGE_ID "\nHAWSER_HOST=%s\n",
                                      warns(line) ? 4u : 5u, s->host);

    for (size_t i = 0; i < n && rc == HWS_OK; i++) {
        rc = put_entry(out, &fields[i]);
    }
    rc = rc == HWS_OK ? hws_buf_printf(out, "MESSAGE=") : rc;
    rc = rc == HWS_OK ? put_message(out, line) : rc;
    return rc == HWS_OK ? hws_buf_put(out, "\n", 1) : rc;
}

enum hws_code hws_sink_text(const struct hws_sink *s, const struct hws_line *line,
                            struct hws_buf *out)
{
    switch (s->format) {
    case HWS_SINK_SYSLOG:
        return syslog_text(s, line, out);
    case HWS_SINK_JOURNALD:
        return journald_text(s, line, out);
    case HWS_SINK_JSONL:
    case HWS_N_SINK_FORMATS:
        break;
    }
    return hws_line_print(line, out);
}

static enum hws_code deliver(struct hws_sink *s, struct hws_err *err)
{
    const uint8_t *p = hws_buf_peek(&s->text);
    size_t n = hws_buf_len(&s->text);
    ssize_t sent;

    if (s->format == HWS_SINK_JSONL) {
        return hws_export_file_put(&s->file, p, n, err);
    }
    do {
        sent = send(s->fd, p, n, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)n
               ? HWS_OK
               : hws_err_set(err, HWS_E_IO, "the log socket took no record: %s", strerror(errno));
}

enum hws_code hws_sink_put(struct hws_sink *s, const struct hws_line *line, struct hws_err *err)
{
    bool is_signed = line->kind == HWS_LINE_KEY || line->kind == HWS_LINE_CHECKPOINT;

    if (is_signed && s->format != HWS_SINK_JSONL) {
        return HWS_OK;
    }
    hws_buf_reset(&s->text);
    enum hws_code rc = hws_sink_text(s, line, &s->text);
    return rc == HWS_OK ? deliver(s, err) : hws_err_set(err, rc, "%s", hws_code_text(rc));
}

enum hws_code hws_sink_flush(struct hws_sink *s, struct hws_err *err)
{
    return s->format == HWS_SINK_JSONL ? hws_export_file_sync(&s->file, err) : HWS_OK;
}

void hws_sink_close(struct hws_sink *s)
{
    if (s->format == HWS_SINK_JSONL) {
        hws_export_file_close(&s->file);
    }
    if (s->format != HWS_SINK_JSONL && s->fd >= 0) {
        (void)close(s->fd);
    }
    hws_buf_deinit(&s->text);
    memset(s, 0, sizeof(*s));
    s->fd = -1;
    s->file.fd = -1;
}
