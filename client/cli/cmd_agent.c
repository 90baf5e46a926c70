/* hawser agent and version. */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"

/* ---- agent info ---- */

static const struct hws_column info_columns[] = {
    {"host", "HOST", 0},           {"name", "NAME", 0},
    {"version", "VERSION", 0},     {"state", "STATE", 0},
    {"state_reason", "REASON", 0}, {"uptime_ms", "UPTIME-MS", 0},
    {"audit_seq", "AUDIT-SEQ", 0}, {"build_id", NULL, 0},
    {"policy_hash", NULL, 0},      {"table_hash", NULL, 0},
    {"lockdown", "LOCKDOWN", 0},   {"secure_boot", "SECURE-BOOT", 0},
    {"taint_fwctl", "TAINT-J", 0}, {"kernel_taint", NULL, 0},
    {"policy_source", NULL, 0},    {"policy_trial_left_ms", NULL, 0},
    {"locks_hash", NULL, 0},
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
        hws_cell_text(r->secure_boot),
        hws_cell_tone(r->taint_fwctl ? "yes" : "no",
                      r->taint_fwctl ? HWS_TONE_WARN : HWS_TONE_GOOD),
        hws_cell_hex(r->kernel_taint),
        hws_cell_text(r->policy_source),
        hws_cell_uint(r->policy_trial_left_ms),
        hws_cell_text(r->locks_hash),
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

/* ---- version ---- */

int hws_cmd_version(struct hws_cli *cli)
{
    struct hws_err err;

    hws_out_begin(&cli->out, "hawser.version", 1, false);
    hws_out_fact(&cli->out, "hawser", "hawser", hws_cell_text(HWS_VERSION));
    hws_out_fact(&cli->out, "api", "api", hws_cell_text("hawser.v1"));
    return hws_out_end(&cli->out, &err) == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &err);
}
