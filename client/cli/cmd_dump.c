/*
 * hawser dump: sources, pull.
 *
 * A pull that loses its connection goes on where it was, by dump id and offset; if the agent does
 * not know the dump any more it begins anew. What does not verify is thrown away.
 */
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/dumpfile.h"
#include "cli/names.h"
#include "cli/progress.h"

#define MAX_IDLE_RESUMES 10 /* in a row without a new byte */
#define MAX_RESTARTS     3

int hws_cmd_dump_sources(struct hws_cli *cli)
{
    static const struct hws_column columns[] = {
        {"host", "HOST", 0},
        {"name", "NAME", 0},
        {"estimated_bytes", "EST-BYTES", 0},
        {"sensitive", "SENSITIVE", 0},
        {"description", "DESCRIPTION", 0},
    };
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__ListSourcesRequest r = HAWSER__V1__LIST_SOURCES_REQUEST__INIT;
        r.device = cli->hosts[i].device;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_dump_list_sources, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.dump.sources", 1, false);
    hws_out_table(&cli->out, "sources", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListSourcesResponse *r = hws_cli_answer(h, ListSourcesResponse);
        for (size_t k = 0; !h->failed && k < r->n_sources; k++) {
            const Hawser__V1__Source *s = r->sources[k];
            const struct hws_cell cells[] = {
                hws_cell_text(h->name), hws_cell_text(s->name), hws_cell_uint(s->estimated_bytes),
                hws_cell_bool(s->sensitive), hws_cell_text(s->description)};
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

/* ---- pull ---- */

struct pull {
    struct hws_cli *cli;
    struct hws_dumpfile file;
    struct hws_progress progress;
    struct hws_err err; /* a failure of this side; code HWS_OK: none */
    char device_id[HWS_CLI_DEVICE_BYTES];
    char format[64];
    char firmware[64];
    uint64_t taken_unix_ms;
};

static void take_manifest(struct pull *p, const Hawser__V1__Manifest *m)
{
    bool first = p->file.dump_id[0] == '\0';

    if (hws_dumpfile_manifest(&p->file, m->dump_id, m->total_bytes, m->sha256, &p->err) != HWS_OK ||
        !first) {
        return;
    }
    (void)hws_str_copy(p->device_id, sizeof(p->device_id), m->device_id);
    (void)hws_str_copy(p->format, sizeof(p->format), m->format);
    (void)hws_str_copy(p->firmware, sizeof(p->firmware), m->firmware_version);
    p->taken_unix_ms = m->taken_unix_ms;
    p->progress.total = m->total_bytes;
}

static void pulled(struct hws_client_call *call, const ProtobufCMessage *message)
{
    struct pull *p = call->data;
    const Hawser__V1__PullResponse *r = (const Hawser__V1__PullResponse *)message;
    enum hws_code rc = HWS_OK;

    if (r->what_case == HAWSER__V1__PULL_RESPONSE__WHAT_MANIFEST) {
        take_manifest(p, r->manifest);
        rc = p->err.code;
    } else if (r->what_case == HAWSER__V1__PULL_RESPONSE__WHAT_CHUNK) {
        rc = hws_dumpfile_chunk(&p->file, r->chunk->offset, r->chunk->data.data, r->chunk->data.len,
                                r->chunk->crc32c, &p->err);
        hws_progress_show(&p->progress, p->file.offset, NULL, uv_now(&p->cli->loop));
    } else if (r->what_case == HAWSER__V1__PULL_RESPONSE__WHAT_END) {
        rc = hws_dumpfile_end(&p->file, r->end->total_bytes, r->end->sha256, &p->err);
    }
    if (rc != HWS_OK) {
        hws_client_cancel(call);
    }
}

static void pull_once(struct pull *p, struct hws_cli_host *h)
{
    Hawser__V1__PullRequest r = HAWSER__V1__PULL_REQUEST__INIT;

    hws_err_clear(&p->err);
    r.device = h->device;
    r.source = hws_cli_str(p->cli->args.given[HWS_OPT_SOURCE] ? p->cli->args.value[HWS_OPT_SOURCE]
                                                              : "registers");
    r.dump_id = p->file.dump_id;
    r.offset = p->file.offset;
    hws_client_call_deinit(&h->call);
    h->call = (struct hws_client_call){.method = &hws_client_method_dump_pull,
                                       .request = &r.base,
                                       .message = pulled,
                                       .data = p,
                                       .timeout_ms =
                                           p->cli->args.given[HWS_OPT_TIMEOUT] ? 0 : UINT32_MAX};
    (void)hws_client_run(h->client, &h->call);
}

/* Pulls until the dump is there or cannot be had. */
static int pull_all(struct pull *p, struct hws_cli_host *h)
{
    unsigned n_idle = 0;
    unsigned n_restarts = 0;

    for (;;) {
        uint64_t before = p->file.offset;
        pull_once(p, h);
        const struct hws_client_status *s = &h->call.status;
        bool forgotten = before > 0 && s->code == HWS_CLIENT_NOT_FOUND;
        bool lost = s->code == HWS_CLIENT_UNAVAILABLE && p->file.dump_id[0] != '\0';
        if (p->file.done) {
            return HWS_EXIT_OK;
        }
        if (p->err.code == HWS_E_CONFLICT || forgotten) {
            if (++n_restarts > MAX_RESTARTS || hws_dumpfile_restart(&p->file, &p->err) != HWS_OK) {
                return hws_cli_fail(p->cli, HWS_EXIT_UNAVAILABLE,
                                    "%s: the dump was lost by the agent %u times; try again",
                                    h->name, n_restarts);
            }
            continue;
        }
        if (p->err.code != HWS_OK) {
            return hws_cli_fail_err(p->cli, &p->err);
        }
        n_idle = p->file.offset > before ? 0 : n_idle + 1;
        if (s->code == HWS_CLIENT_OK) {
            return hws_cli_fail(p->cli, HWS_EXIT_DIGEST, "%s: the dump ended before its end",
                                h->name);
        }
        if (!lost || n_idle > MAX_IDLE_RESUMES) {
            return hws_cli_fail_status(p->cli, h->name, s);
        }
    }
}

static int print_pull(struct hws_cli *cli, const struct pull *p, const struct hws_cli_host *h)
{
    struct hws_out *out = &cli->out;
    struct hws_err err;
    char taken[HWS_CLI_TIME_BYTES];

    hws_cli_time(p->taken_unix_ms, taken);
    hws_out_begin(out, "hawser.dump.pull", 1, false);
    hws_out_fact(out, "file", "file", hws_cell_text(p->file.path));
    hws_out_fact(out, "host", "host", hws_cell_text(h->name));
    hws_out_fact(out, "device", "device", hws_cell_text(p->device_id));
    hws_out_fact(out, "dump_id", "dump id", hws_cell_text(p->file.dump_id));
    hws_out_fact(out, "bytes", "bytes", hws_cell_uint(p->file.total));
    hws_out_fact(out, "sha256", "sha256", hws_cell_text(p->file.sha256));
    hws_out_fact(out, "format", "format", hws_cell_text(p->format));
    hws_out_fact(out, "firmware_version", "firmware", hws_cell_text(p->firmware));
    hws_out_fact(out, "taken", "taken", hws_cell_text(taken));
    hws_out_fact(out, "verified", "verified", hws_cell_bool(true));
    return hws_out_end(out, &err) == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &err);
}

int hws_cmd_dump_pull(struct hws_cli *cli)
{
    struct pull p;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (cli->n_hosts != 1) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "dump pull writes one file: give one host, not %zu", cli->n_hosts);
    }
    hws_cli_devices(cli);
    if (cli->hosts[0].failed) {
        return hws_cli_fail_status(cli, cli->hosts[0].name, &cli->hosts[0].status);
    }
    memset(&p, 0, sizeof(p));
    p.cli = cli;
    if (hws_dumpfile_open(&p.file, cli->args.args[0], &p.err) != HWS_OK) {
        return hws_cli_fail_err(cli, &p.err);
    }
    hws_progress_start(&p.progress, cli->errors, cli->errors_tty, cli->args.args[0], true, 0,
                       uv_now(&cli->loop));
    rc = pull_all(&p, &cli->hosts[0]);
    hws_progress_end(&p.progress);
    if (rc == HWS_EXIT_OK) {
        rc = print_pull(cli, &p, &cli->hosts[0]);
    }
    hws_dumpfile_close(&p.file);
    return rc;
}
