/*
 * Where exported audit records go: JSON lines into a file, RFC 5424 syslog or journald's native
 * protocol over a Unix datagram socket. Sending blocks: who reads slowly slows down the export, and
 * with it the stream, never the agent's work.
 */
#ifndef HWS_CLI_AUDIT_SINK_H
#define HWS_CLI_AUDIT_SINK_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/export_file.h"
#include "record/line.h"

enum hws_sink_format { HWS_SINK_JSONL, HWS_SINK_SYSLOG, HWS_SINK_JOURNALD, HWS_N_SINK_FORMATS };

struct hws_sink {
    enum hws_sink_format format;
    struct hws_export_file file; /* JSONL */
    int fd;                      /* else: a connected datagram socket, owned; -1 = none */
    char host[64];
    struct hws_buf text;
};

/* The format of a name; HWS_E_INVALID naming those there are. */
enum hws_code hws_sink_format_of(const char *name, enum hws_sink_format *out, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Opens the place: a file to append to (NULL: stdout), or a socket (NULL: /dev/log or journald's).
 * host is who the records are of. *out_end is how far the file came already (zero for a socket).
 * HWS_E_IO saying what and why; of a file also as hws_export_file_open.
 */
enum hws_code hws_sink_open(struct hws_sink *s, enum hws_sink_format format, const char *to,
                            const char *host, struct hws_export_end *out_end, struct hws_err *err)
    HWS_MUST_USE;

/* Hands over one line: a record, a gap; keys and checkpoints go to JSON lines only. HWS_E_IO: not
 * handed over. */
enum hws_code hws_sink_put(struct hws_sink *s, const struct hws_line *line, struct hws_err *err)
    HWS_MUST_USE;

/* Makes sure that what was handed over is on disk, where it is a file. HWS_E_IO. */
enum hws_code hws_sink_flush(struct hws_sink *s, struct hws_err *err) HWS_MUST_USE;

/* Accepts a zeroed one. */
void hws_sink_close(struct hws_sink *s);

/* The text of one datagram (RFC 5424, or journald's fields), appended. HWS_E_NOMEM. For tests. */
enum hws_code hws_sink_text(const struct hws_sink *s, const struct hws_line *line,
                            struct hws_buf *out) HWS_MUST_USE;

#endif
