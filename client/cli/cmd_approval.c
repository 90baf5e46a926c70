/* hawser grant and hawser approval: who may ask for dangerous commands, and the second signature.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/box.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/signed.h"
#include "rollout/plan.h"

#define DEFAULT_GRANT_S 1800u
#define MAX_GRANT_S     3600u
#define TARGETS_BYTES   256

/* ---- grant ----------------------------------------------------------------------------------- */

static const struct hws_column grant_columns[] = {
    {"host", "HOST", 0},     {"id", "GRANT", 0},      {"principal", "PRINCIPAL", 0},
    {"device", "DEVICE", 0}, {"effect", "EFFECT", 0}, {"targets", "TARGETS", 0},
    {"until", "UNTIL", 0},   {"granted_by", "BY", 0}, {"reason", "REASON", 0},
};

static void grant_row(struct hws_out *out, const char *host, const Hawser__V1__GrantInfo *g)
{
    char until[HWS_CLI_TIME_BYTES];
    char targets[TARGETS_BYTES] = "";
    size_t n = 0;

    for (size_t i = 0; i < g->n_targets && n + 1 < sizeof(targets); i++) {
        (void)hws_str_print(targets + n, sizeof(targets) - n, "%s%s", i > 0 ? " " : "",
                            g->targets[i]);
        n = strlen(targets);
    }
    hws_cli_time(g->until_unix_s * 1000, until);
    const struct hws_cell cells[] = {
        hws_cell_text(host),
        hws_cell_uint(g->id),
        hws_cell_text(g->principal),
        hws_cell_text(g->device),
        hws_cell_text(hws_cli_effect(g->effect)),
        hws_cell_text(n == 0 ? "all" : targets),
        hws_cell_text(until),
        hws_cell_text(g->granted_by),
        hws_cell_text(g->reason),
    };
    hws_out_row(out, cells);
}

static int grant_request(struct hws_cli *cli, Hawser__V1__GrantRequest *q)
{
    uint32_t life_ms = DEFAULT_GRANT_S * 1000;
    struct hws_err err;

    hawser__v1__grant_request__init(q);
    q->principal = cli->args.args[0];
    if (!hws_cli_effect_parse(cli->args.args[1], &q->effect)) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "\"%.32s\": give debug-write or full",
                            cli->args.args[1]);
    }
    q->targets = cli->args.args + 2;
    q->n_targets = (size_t)cli->args.n_args - 2;
    q->device = hws_cli_str(cli->args.given[HWS_OPT_DEVICE] ? cli->args.value[HWS_OPT_DEVICE] : "");
    if (cli->args.given[HWS_OPT_FOR] &&
        hws_rollout_parse_ms(cli->args.value[HWS_OPT_FOR], &life_ms, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--for: %s", err.msg);
    }
    if (life_ms < 1000 || life_ms / 1000 > MAX_GRANT_S) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "--for: 1s to 60m");
    }
    q->seconds = life_ms / 1000;
    if (q->device[0] == '\0') {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--device is missing: an adapter, or \"*\"");
    }
    if (!cli->args.given[HWS_OPT_REASON]) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--reason is missing: say why, for the record");
    }
    return HWS_EXIT_OK;
}

int hws_cmd_grant_add(struct hws_cli *cli)
{
    Hawser__V1__GrantRequest q;
    struct hws_cli_mutation m;
    int rc = grant_request(cli, &q);

    rc = rc == HWS_EXIT_OK ? hws_cli_mutation(cli, &m) : rc;
    rc = rc == HWS_EXIT_OK ? hws_cli_connect(cli) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    q.mutation = &m.mutation;
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_approval_grant, &q.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.grant.add", 1, false);
    hws_out_table(&cli->out, "grants", grant_columns, HWS_CLI_N_OF(grant_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (!h->failed && hws_cli_answer(h, GrantResponse)->grant != NULL) {
            grant_row(&cli->out, h->name, hws_cli_answer(h, GrantResponse)->grant);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_grant_list(struct hws_cli *cli)
{
    const Hawser__V1__ListGrantsRequest q = HAWSER__V1__LIST_GRANTS_REQUEST__INIT;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_approval_list_grants, &q.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.grant.list", 1, false);
    hws_out_table(&cli->out, "grants", grant_columns, HWS_CLI_N_OF(grant_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListGrantsResponse *r = hws_cli_answer(h, ListGrantsResponse);
        for (size_t k = 0; !h->failed && k < r->n_grants; k++) {
            grant_row(&cli->out, h->name, r->grants[k]);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_grant_revoke(struct hws_cli *cli)
{
    Hawser__V1__RevokeRequest q = HAWSER__V1__REVOKE_REQUEST__INIT;
    struct hws_cli_mutation m;
    struct hws_err err;

    if (hws_str_to_u64(cli->args.args[0], UINT64_MAX, &q.id, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%.32s: give a grant's number",
                            cli->args.args[0]);
    }
    int rc = hws_cli_mutation(cli, &m);
    rc = rc == HWS_EXIT_OK ? hws_cli_one_host(cli) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    q.mutation = &m.mutation;
    hws_cli_ask(&cli->hosts[0], &hws_client_method_approval_revoke, &q.base);
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.grant.revoke", 1, false);
    if (!cli->hosts[0].failed) {
        hws_out_fact(&cli->out, "revoked", "revoked", hws_cell_uint(q.id));
    }
    return hws_cli_finish(cli);
}

/* ---- approval -------------------------------------------------------------------------------- */

int hws_cmd_approval_key(struct hws_cli *cli)
{
    struct hws_signer key = {0};
    struct hws_public public;
    char hex[HWS_PUBLIC_HEX_BYTES];
    struct hws_err err;
    int rc = hws_cli_sign_key(cli, &key);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    enum hws_code code = hws_signer_public(&key, &public, &err);
    hws_signer_deinit(&key);
    if (code != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    hws_public_hex(&public, hex);
    hws_out_begin(&cli->out, "hawser.approval.key", 1, false);
    hws_out_fact(&cli->out, "public", "public key", hws_cell_text(hex));
    return hws_cli_finish(cli);
}

static const char *state_of(const Hawser__V1__ApprovalInfo *a, const struct hws_warrant *w)
{
    return a->used ? "used" : w->has_approver ? "approved" : "waiting";
}

int hws_cmd_approval_list(struct hws_cli *cli)
{
    static const struct hws_column columns[] = {
        {"host", "HOST", 0},         {"hash", "WARRANT", 0},  {"state", "STATE", 0},
        {"operator", "OPERATOR", 0}, {"device", "DEVICE", 0}, {"until", "UNTIL", 0},
        {"reason", "REASON", 0},
    };
    const Hawser__V1__ListApprovalsRequest q = HAWSER__V1__LIST_APPROVALS_REQUEST__INIT;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_approval_list, &q.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.approval.list", 1, false);
    hws_out_table(&cli->out, "warrants", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListApprovalsResponse *r = hws_cli_answer(h, ListApprovalsResponse);
        for (size_t k = 0; !h->failed && k < r->n_approvals; k++) {
            const Hawser__V1__ApprovalInfo *a = r->approvals[k];
            char until[HWS_CLI_TIME_BYTES];
            struct hws_warrant w;
            if (hws_warrant_parse(a->warrant, strlen(a->warrant), &w, NULL) != HWS_OK) {
                continue;
            }
            hws_cli_time(w.until_s * 1000, until);
            const struct hws_cell cells[] = {
                hws_cell_text(h->name),         hws_cell_text(a->hash),
                hws_cell_text(state_of(a, &w)), hws_cell_text(w.operator_id),
                hws_cell_text(a->device),       hws_cell_text(until),
                hws_cell_text(w.reason)};
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_approval_show(struct hws_cli *cli)
{
    ProtobufCBinaryData inbox = {0, NULL};
    struct hws_warrant w;
    int rc = hws_cli_one_host(cli);

    rc = rc == HWS_EXIT_OK ? hws_cli_fetch(cli, cli->args.args[0], &w, &inbox) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.approval.show", 1, false);
    hws_cli_warrant_facts(cli, cli->args.args[0], &w, inbox.data, inbox.len);
    hws_cli_box_show(cli, inbox.data, inbox.len);
    return hws_cli_finish(cli);
}

static int send_signed(struct hws_cli *cli, const struct hws_warrant *w)
{
    Hawser__V1__SignApprovalRequest q = HAWSER__V1__SIGN_APPROVAL_REQUEST__INIT;
    struct hws_cli_mutation m;
    struct hws_buf text;
    struct hws_err err;

    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    if (hws_warrant_format(w, &text, &err) != HWS_OK || hws_buf_cstr(&text) == NULL) {
        hws_buf_deinit(&text);
        return hws_cli_fail_err(cli, &err);
    }
    int rc = hws_cli_mutation(cli, &m);
    q.hash = cli->args.args[0];
    q.warrant = (char *)hws_buf_peek(&text);
    q.mutation = &m.mutation;
    if (rc == HWS_EXIT_OK) {
        hws_cli_ask(&cli->hosts[0], &hws_client_method_approval_sign, &q.base);
        hws_cli_wait(cli);
    }
    hws_buf_deinit(&text);
    if (rc == HWS_EXIT_OK && cli->hosts[0].failed) {
        rc = hws_cli_fail_status(cli, cli->hosts[0].name, &cli->hosts[0].status);
    }
    return rc;
}

/* What is signed is shown first, read from the bytes by this program; then it asks. */
int hws_cmd_approval_sign(struct hws_cli *cli)
{
    char principal[HWS_WARRANT_PRINCIPAL_BYTES];
    struct hws_signer key = {0};
    ProtobufCBinaryData inbox = {0, NULL};
    struct hws_warrant w;
    char question[160];
    struct hws_err err;
    int rc = hws_cli_one_host(cli);

    rc = rc == HWS_EXIT_OK ? hws_cli_principal(cli, principal) : rc;
    rc = rc == HWS_EXIT_OK ? hws_cli_fetch(cli, cli->args.args[0], &w, &inbox) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.approval.sign", 1, false);
    hws_cli_warrant_facts(cli, cli->args.args[0], &w, inbox.data, inbox.len);
    hws_cli_box_show(cli, inbox.data, inbox.len);
    const struct hws_table_row *row = hws_cli_box_row(inbox.data, inbox.len);
    (void)hws_str_print(question, sizeof(question),
                        "Approve %s on %s %s for %.60s (hawser approval show has all of it)?",
                        row == NULL ? "an unknown command" : row->name, w.host, w.device,
                        w.operator_id);
    if (!hws_cli_confirm(cli, question, &rc)) {
        return rc;
    }
    rc = hws_cli_sign_key(cli, &key);
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    enum hws_code code = hws_warrant_sign(&w, HWS_WARRANT_APPROVER, principal, &key, &err);
    hws_signer_deinit(&key);
    rc = code == HWS_OK ? send_signed(cli, &w) : hws_cli_fail_err(cli, &err);
    return rc == HWS_EXIT_OK ? hws_cli_finish(cli) : rc;
}
