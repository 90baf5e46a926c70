/* hawser agent, audit and version. */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"

/* ---- agent info ---- */

static const struct hws_column info_columns[] = {
    {"host", "HOST", 0},           {"name", "NAME", 0},           {"version", "VERSION", 0},
    {"state", "STATE", 0},         {"state_reason", "REASON", 0}, {"uptime_ms", "UPTIME-MS", 0},
    {"audit_seq", "AUDIT-SEQ", 0}, {"build_id", NULL, 0},         {"policy_hash", NULL, 0},
    {"table_hash", NULL, 0},       {"lockdown", "LOCKDOWN", 0},   {"taint_fwctl", "TAINT-J", 0},
    {"kernel_taint", NULL, 0},     {"policy_source", NULL, 0},    {"policy_trial_left_ms", NULL, 0},
};
static const struct hws_column process_columns[] = {
    {"host", "HOST", 0},           {"process", "PROCESS", 0},   {"pid", "PID", 0},
    {"connected", "CONNECTED", 0}, {"restarts", "RESTARTS", 0}, {"generation", NULL, 0},
    {"confined", "CONFINED", 0},   {"sandbox", "SANDBOX", 0},   {"capabilities", NULL, 0},
};
static const struct hws_column counter_columns[] = {
    {"host", "HOST", 0}, {"counter", "COUNTER", 0}, {"value", "VALUE", 0}};

static void info_row(struct hws_out *out, const char *host, const Hawser__V1__InfoResponse *r)
{
    bool serving = hws_str_eq(r->state, "serving");
    const struct hws_cell cells[] = {
        hws_cell_text(host),
        hws_cell_text(r->host),
        hws_cell_text(r->version),
        hws_cell_tone(r->state, serving ? HWS_TONE_GOOD : HWS_TONE_WARN),
        hws_cell_text(r->state_reason),
        hws_cell_uint(r->uptime_ms),
        hws_cell_uint(r->audit_seq),
        hws_cell_text(r->build_id),
        hws_cell_text(r->policy_hash),
        hws_cell_text(r->table_hash),
        hws_cell_text(r->lockdown),
        hws_cell_tone(r->taint_fwctl ? "yes" : "no",
                      r->taint_fwctl ? HWS_TONE_WARN : HWS_TONE_GOOD),
        hws_cell_hex(r->kernel_taint),
        hws_cell_text(r->policy_source),
        hws_cell_uint(r->policy_trial_left_ms),
    };

    hws_out_row(out, cells);
}

static void process_rows(struct hws_out *out, const char *host, const Hawser__V1__InfoResponse *r)
{
    for (size_t i = 0; i < r->n_processes; i++) {
        const Hawser__V1__ProcessInfo *p = r->processes[i];
        const struct hws_cell cells[] = {
            hws_cell_text(host),         hws_cell_text(p->name),     hws_cell_uint(p->pid),
            hws_cell_bool(p->connected), hws_cell_uint(p->restarts), hws_cell_hex(p->generation),
            hws_cell_bool(p->confined),  hws_cell_text(p->sandbox),  hws_cell_hex(p->capabilities)};
        hws_out_row(out, cells);
    }
}

static void counter_rows(struct hws_out *out, const char *host, const Hawser__V1__InfoResponse *r)
{
    for (size_t i = 0; i < r->n_counters; i++) {
        const struct hws_cell cells[] = {hws_cell_text(host), hws_cell_text(r->counters[i]->name),
                                         hws_cell_uint(r->counters[i]->value)};
        hws_out_row(out, cells);
    }
}

/* One of the three tables: fn for each host that answered. */
static void info_table(struct hws_cli *cli,
                       void (*fn)(struct hws_out *, const char *, const Hawser__V1__InfoResponse *))
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (!cli->hosts[i].failed) {
            fn(&cli->out, cli->hosts[i].name, hws_cli_answer(&cli->hosts[i], InfoResponse));
        }
    }
}

int hws_cmd_agent_info(struct hws_cli *cli)
{
    const Hawser__V1__InfoRequest r = HAWSER__V1__INFO_REQUEST__INIT;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_agent_info, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.agent.info", 1, false);
    hws_out_table(&cli->out, "agents", info_columns, HWS_CLI_N_OF(info_columns));
    info_table(cli, info_row);
    hws_out_table(&cli->out, "processes", process_columns, HWS_CLI_N_OF(process_columns));
    info_table(cli, process_rows);
    hws_out_table(&cli->out, "counters", counter_columns, HWS_CLI_N_OF(counter_columns));
    info_table(cli, counter_rows);
    return hws_cli_finish(cli);
}

/* ---- agent whoami ---- */

int hws_cmd_agent_whoami(struct hws_cli *cli)
{
    static const struct hws_column columns[] = {
        {"host", "HOST", 0}, {"principal", "PRINCIPAL", 0}, {"cert_serial", "CERTIFICATE", 0},
        {"peer", "PEER", 0}, {"rules", "RULES", 0},
    };
    const Hawser__V1__WhoAmIRequest r = HAWSER__V1__WHO_AM_IREQUEST__INIT;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_agent_who_am_i, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.agent.whoami", 1, false);
    hws_out_table(&cli->out, "identities", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__WhoAmIResponse *a = hws_cli_answer(h, WhoAmIResponse);
        char rules[512] = "";
        size_t n = 0;
        for (size_t k = 0; !h->failed && k < a->n_rules && n < sizeof(rules); k++) {
            (void)hws_str_print(rules + n, sizeof(rules) - n, "%s%s", k > 0 ? ", " : "",
                                a->rules[k]);
            n = strlen(rules);
        }
        if (!h->failed) {
            const struct hws_cell cells[] = {hws_cell_text(h->name), hws_cell_text(a->principal),
                                             hws_cell_text(a->cert_serial), hws_cell_text(a->peer),
                                             hws_cell_text(rules)};
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

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
    const Hawser__V1__AuditRecord *r = ((const Hawser__V1__TailResponse *)message)->record;
    char time[HWS_CLI_TIME_BYTES];
    char hashes[4][HASH_CHARS];

    h->streamed = true;
    h->last_seq = r == NULL ? h->last_seq : r->seq;
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

/* ---- version ---- */

int hws_cmd_version(struct hws_cli *cli)
{
    struct hws_err err;

    hws_out_begin(&cli->out, "hawser.version", 1, false);
    hws_out_fact(&cli->out, "hawser", "hawser", hws_cell_text(HWS_VERSION));
    hws_out_fact(&cli->out, "api", "api", hws_cell_text("hawser.v1"));
    return hws_out_end(&cli->out, &err) == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &err);
}
