/* hawser agent reload and finalize: the policy of agents, changed. */
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "client/file.h"
#include "policy/policy.h"
#include "rollout/plan.h"

static int take_policy(struct hws_cli *cli, struct hws_buf *text, Hawser__V1__ReloadRequest *r)
{
    const struct hws_cli_args *a = &cli->args;
    struct hws_err err;

    if (a->given[HWS_OPT_TRIAL] &&
        hws_rollout_parse_ms(a->value[HWS_OPT_TRIAL], &r->trial_ms, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--trial: %s", err.msg);
    }
    if (!a->given[HWS_OPT_POLICY]) {
        return HWS_EXIT_OK;
    }
    if (!a->given[HWS_OPT_TRIAL]) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "--trial is missing: a pushed policy is tried first, e.g. for 60s");
    }
    if (hws_file_read(a->value[HWS_OPT_POLICY], text, &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    r->policy = (ProtobufCBinaryData){hws_buf_len(text), (uint8_t *)hws_buf_peek(text)};
    return r->policy.len > 0 ? HWS_EXIT_OK
                             : hws_cli_fail(cli, HWS_EXIT_INVALID, "--policy: an empty file");
}

static int reload(struct hws_cli *cli, Hawser__V1__ReloadRequest *r)
{
    static const struct hws_column columns[] = {{"host", "HOST", 0},
                                                {"policy_hash", "POLICY-HASH", 0},
                                                {"policy_source", "SOURCE", 0},
                                                {"trial_left_ms", "TRIAL-MS", 0},
                                                {"certificate_serial", "CERTIFICATE", 0},
                                                {"certificate_ends_s", NULL, 0},
                                                {"repeated_request", NULL, 0}};
    struct hws_cli_mutation m;
    int rc = hws_cli_mutation(cli, &m);

    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    r->mutation = &m.mutation;
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_agent_reload, &r->base);
    }
    hws_cli_wait(cli);
    r->mutation = NULL;
    hws_out_begin(&cli->out, "hawser.agent.reload", 1, false);
    hws_out_table(&cli->out, "agents", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ReloadResponse *a = hws_cli_answer(h, ReloadResponse);
        if (!h->failed) {
            const struct hws_cell cells[] = {
                hws_cell_text(h->name),
                hws_cell_text(a->policy_hash),
                hws_cell_text(a->policy_source),
                a->trial_left_ms == 0 ? hws_cell_none() : hws_cell_uint(a->trial_left_ms),
                a->certificate_serial[0] == '\0' ? hws_cell_none()
                                                 : hws_cell_text(a->certificate_serial),
                a->certificate_ends_s == 0 ? hws_cell_none() : hws_cell_uint(a->certificate_ends_s),
                hws_cell_bool(a->repeated_request)};
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_agent_reload(struct hws_cli *cli)
{
    Hawser__V1__ReloadRequest r = HAWSER__V1__RELOAD_REQUEST__INIT;
    struct hws_buf text;

    hws_buf_init(&text, HWS_POLICY_MAX_BYTES);
    int rc = take_policy(cli, &text, &r);
    if (rc == HWS_EXIT_OK) {
        rc = reload(cli, &r);
    }
    hws_buf_deinit(&text);
    return rc;
}

int hws_cmd_agent_finalize(struct hws_cli *cli)
{
    static const struct hws_column columns[] = {
        {"host", "HOST", 0}, {"policy_hash", "POLICY-HASH", 0}, {"repeated_request", NULL, 0}};
    Hawser__V1__FinalizeRequest r = HAWSER__V1__FINALIZE_REQUEST__INIT;
    struct hws_cli_mutation m;

    r.roll_back = cli->args.given[HWS_OPT_ROLL_BACK];
    if (cli->args.given[HWS_OPT_POLICY_HASH]) {
        r.policy_hash = hws_cli_str(cli->args.value[HWS_OPT_POLICY_HASH]);
    } else if (!r.roll_back) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "--policy-hash is missing: hawser agent reload printed it; or give "
                            "--roll-back");
    }
    int rc = hws_cli_mutation(cli, &m);
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    r.mutation = &m.mutation;
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_agent_finalize, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.agent.finalize", 1, false);
    hws_out_table(&cli->out, "agents", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__FinalizeResponse *a = hws_cli_answer(h, FinalizeResponse);
        if (!h->failed) {
            const struct hws_cell cells[] = {hws_cell_text(h->name), hws_cell_text(a->policy_hash),
                                             hws_cell_bool(a->repeated_request)};
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}
