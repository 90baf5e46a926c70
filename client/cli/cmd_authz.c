/* hawser authz and hawser explain: what the policy says, an agent's or a file's. */
#include <string.h>

#include "base/str.h"
#include "cli/authz.h"
#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"

#define EFFECTS "read, read-sensitive, config-next-reset, config-live, debug-write or full"

/* ---- the question ---------------------------------------------------------------------------- */

/* A question of the command line; the request points into it. */
struct question {
    Hawser__V1__ProbeRequest request;
    char fields[1024];
    char *pointers[HWS_CLI_AUTHZ_MAX_FIELDS];
};

static int take_fields(struct hws_cli *cli, struct question *q)
{
    char *rest = NULL;

    if (!cli->args.given[HWS_OPT_FIELDS]) {
        return HWS_EXIT_OK;
    }
    if (!hws_str_copy(q->fields, sizeof(q->fields), cli->args.value[HWS_OPT_FIELDS])) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "--fields: longer than %zu bytes",
                            sizeof(q->fields) - 1);
    }
    q->request.fields = q->pointers;
    for (char *f = strtok_r(q->fields, ",", &rest); f != NULL; f = strtok_r(NULL, ",", &rest)) {
        if (q->request.n_fields == HWS_CLI_AUTHZ_MAX_FIELDS) {
            return hws_cli_fail(cli, HWS_EXIT_INVALID, "--fields: more than %u",
                                HWS_CLI_AUTHZ_MAX_FIELDS);
        }
        q->pointers[q->request.n_fields++] = f;
    }
    return HWS_EXIT_OK;
}

static int take_effect(struct hws_cli *cli, Hawser__V1__ProbeRequest *r)
{
    const char *text = cli->args.value[HWS_OPT_EFFECT];

    if (!cli->args.given[HWS_OPT_EFFECT]) {
        return cli->args.given[HWS_OPT_OBJECT]
                   ? HWS_EXIT_OK
                   : hws_cli_fail(cli, HWS_EXIT_USAGE,
                                  "--effect is missing: give " EFFECTS
                                  ", or the register or command with --object");
    }
    return hws_cli_effect_parse(text, &r->effect)
               ? HWS_EXIT_OK
               : hws_cli_fail(cli, HWS_EXIT_INVALID, "--effect %.32s: give " EFFECTS, text);
}

static int take_question(struct hws_cli *cli, struct question *q)
{
    const struct hws_cli_args *a = &cli->args;
    Hawser__V1__ProbeRequest *r = &q->request;
    struct hws_err err;

    hawser__v1__probe_request__init(r);
    if (!a->given[HWS_OPT_METHOD]) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "--method is missing: give e.g. /hawser.v1.ConfigService/Apply");
    }
    r->method = hws_cli_str(a->value[HWS_OPT_METHOD]);
    if (a->given[HWS_OPT_PRINCIPAL]) {
        r->principal = hws_cli_str(a->value[HWS_OPT_PRINCIPAL]);
    }
    if (a->given[HWS_OPT_OBJECT]) {
        r->target = hws_cli_str(a->value[HWS_OPT_OBJECT]);
    }
    if (a->given[HWS_OPT_DEVICE]) {
        r->device = hws_cli_str(a->value[HWS_OPT_DEVICE]);
    }
    if (a->given[HWS_OPT_PART]) {
        r->part = hws_cli_str(a->value[HWS_OPT_PART]);
    }
    if (a->given[HWS_OPT_PSID]) {
        r->psid = hws_cli_str(a->value[HWS_OPT_PSID]);
    }
    r->raw = a->given[HWS_OPT_BYTES];
    r->approved = a->given[HWS_OPT_APPROVED];
    r->holds_lock = a->given[HWS_OPT_HOLDS_LOCK];
    if (hws_cli_number(a, HWS_OPT_AT, UINT64_MAX, 0, &r->unix_s, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "%s", err.msg);
    }
    int rc = take_effect(cli, r);
    return rc == HWS_EXIT_OK ? take_fields(cli, q) : rc;
}

/* ---- an agent's answer ----------------------------------------------------------------------- */

static const struct hws_column answer_columns[] = {
    {"host", "HOST", 0}, {"allowed", "ALLOWED", 0}, {"rule", "RULE", 0},
    {"line", "LINE", 0}, {"reason", "REASON", 0},
};
static const struct hws_column rule_columns[] = {
    {"host", "HOST", 0},         {"line", "LINE", 0},       {"rule", "RULE", 0},
    {"decision", "DECISION", 0}, {"matches", "MATCHES", 0}, {"why", "WHY", 0},
};

static void answer_row(struct hws_cli *cli, const char *host, const Hawser__V1__ProbeResponse *a)
{
    struct hws_cell allowed = hws_cell_bool(a->allowed);
    allowed.tone = a->allowed ? HWS_TONE_GOOD : HWS_TONE_BAD;
    const struct hws_cell cells[] = {hws_cell_text(host), allowed, hws_cell_text(a->rule),
                                     a->line == 0 ? hws_cell_none() : hws_cell_uint(a->line),
                                     hws_cell_text(a->reason)};

    hws_out_row(&cli->out, cells);
}

static void rule_row(struct hws_cli *cli, const char *host, const struct hws_policy_verdict *v)
{
    struct hws_cell matches = hws_cell_bool(v->matches);
    matches.tone = !v->matches ? HWS_TONE_PLAIN : v->deny ? HWS_TONE_BAD : HWS_TONE_GOOD;
    const struct hws_cell cells[] = {hws_cell_text(host),
                                     hws_cell_uint(v->line),
                                     hws_cell_text(v->rule),
                                     hws_cell_text(v->deny ? "deny" : "allow"),
                                     matches,
                                     hws_cell_text(v->why)};

    hws_out_row(&cli->out, cells);
}

static void agent_rules(struct hws_cli *cli, const char *host, const Hawser__V1__ProbeResponse *a)
{
    for (size_t i = 0; i < a->n_rules; i++) {
        const Hawser__V1__RuleVerdict *r = a->rules[i];
        struct hws_policy_verdict v = {
            .rule = r->rule, .line = r->line, .deny = r->deny, .matches = r->matches};
        (void)hws_str_copy(v.why, sizeof(v.why), r->why);
        rule_row(cli, host, &v);
    }
}

static int ask_agents(struct hws_cli *cli, struct question *q, const char *schema)
{
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (!cli->args.given[HWS_OPT_PRINCIPAL]) {
        if (cli->creds == NULL) {
            return hws_cli_fail(cli, HWS_EXIT_USAGE,
                                "--principal is missing: over a Unix socket the agent decides who "
                                "we are; hawser agent whoami says who");
        }
        q->request.principal = hws_cli_str(hws_client_creds_principal(cli->creds));
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_agent_probe, &q->request.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, schema, 1, false);
    hws_out_table(&cli->out, "answers", answer_columns, HWS_CLI_N_OF(answer_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (!cli->hosts[i].failed) {
            answer_row(cli, cli->hosts[i].name, hws_cli_answer(&cli->hosts[i], ProbeResponse));
        }
    }
    if (q->request.explain) {
        hws_out_table(&cli->out, "rules", rule_columns, HWS_CLI_N_OF(rule_columns));
    }
    for (size_t i = 0; q->request.explain && i < cli->n_hosts; i++) {
        if (!cli->hosts[i].failed) {
            agent_rules(cli, cli->hosts[i].name, hws_cli_answer(&cli->hosts[i], ProbeResponse));
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_authz_probe(struct hws_cli *cli)
{
    struct question q = {0};
    int rc = take_question(cli, &q);

    return rc == HWS_EXIT_OK ? ask_agents(cli, &q, "hawser.authz.probe") : rc;
}

/* ---- a file's answer ------------------------------------------------------------------------- */

static int load(struct hws_cli *cli, struct hws_policy **out)
{
    struct hws_err err;

    if (!cli->args.given[HWS_OPT_POLICY]) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--policy is missing: give a policy file");
    }
    return hws_cli_authz_load(cli->args.value[HWS_OPT_POLICY], out, &err) == HWS_OK
               ? HWS_EXIT_OK
               : hws_cli_fail_err(cli, &err);
}

static int answer_here(struct hws_cli *cli, const struct hws_policy *policy,
                       const struct hws_cli_authz *ask, bool explain)
{
    const char *file = cli->args.value[HWS_OPT_POLICY];
    struct hws_policy_decision d;
    struct hws_err err;

    hws_policy_judge(policy, &ask->req, &d);
    Hawser__V1__ProbeResponse a = HAWSER__V1__PROBE_RESPONSE__INIT;
    a.allowed = d.allowed;
    a.rule = hws_cli_str(d.rule);
    a.line = d.line;
    a.reason = d.reason;
    hws_out_begin(&cli->out, explain ? "hawser.explain" : "hawser.authz.test", 1, false);
    hws_out_table(&cli->out, "answers", answer_columns, HWS_CLI_N_OF(answer_columns));
    answer_row(cli, file, &a);
    if (explain) {
        hws_out_table(&cli->out, "rules", rule_columns, HWS_CLI_N_OF(rule_columns));
    }
    for (size_t i = 0; explain && i < hws_policy_n_rules(policy); i++) {
        struct hws_policy_verdict v;
        hws_policy_verdict(policy, i, &ask->req, &v);
        rule_row(cli, file, &v);
    }
    return hws_out_end(&cli->out, &err) == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &err);
}

static int test_one(struct hws_cli *cli, const struct hws_policy *policy, bool explain)
{
    struct hws_cli_authz ask;
    struct question q = {0};
    struct hws_err err;
    int rc = take_question(cli, &q);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    return hws_cli_authz_ask(&q.request, &ask, &err) == HWS_OK
               ? answer_here(cli, policy, &ask, explain)
               : hws_cli_fail_err(cli, &err);
}

/* ---- a file's answers to many ---------------------------------------------------------------- */

static char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return hws_cli_str(text == NULL ? "" : text);
}

static bool truth_of(const json_t *line, const char *key)
{
    return json_is_true(json_object_get(line, key));
}

static enum hws_code fields_of(const json_t *line, struct question *q, struct hws_err *err)
{
    const json_t *list = json_object_get(line, "fields");

    q->request.fields = q->pointers;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL || i == HWS_CLI_AUTHZ_MAX_FIELDS) {
            return hws_err_set(err, HWS_E_INVALID, "fields: a list of at most %u names",
                               HWS_CLI_AUTHZ_MAX_FIELDS);
        }
        q->pointers[q->request.n_fields++] = hws_cli_str(name);
    }
    return HWS_OK;
}

static enum hws_code question_of(json_t *line, struct question *q, struct hws_err *err)
{
    static const struct hws_cli_batch_key keys[] = {
        {"principal", JSON_STRING}, {"method", JSON_STRING}, {"device", JSON_STRING},
        {"effect", JSON_STRING},    {"object", JSON_STRING}, {"fields", JSON_ARRAY},
        {"bytes", JSON_TRUE},       {"at", JSON_INTEGER},    {"approved", JSON_TRUE},
        {"holds_lock", JSON_TRUE},  {"part", JSON_STRING},   {"psid", JSON_STRING},
    };
    Hawser__V1__ProbeRequest *r = &q->request;
    enum hws_code rc = hws_cli_batch_check(line, keys, HWS_CLI_N_OF(keys), err);

    if (rc != HWS_OK) {
        return rc;
    }
    memset(q, 0, sizeof(*q));
    hawser__v1__probe_request__init(r);
    r->principal = text_of(line, "principal");
    r->method = text_of(line, "method");
    r->device = text_of(line, "device");
    r->part = text_of(line, "part");
    r->psid = text_of(line, "psid");
    r->target = text_of(line, "object");
    r->raw = truth_of(line, "bytes");
    r->approved = truth_of(line, "approved");
    r->holds_lock = truth_of(line, "holds_lock");
    r->unix_s = (uint64_t)json_integer_value(json_object_get(line, "at"));
    if (json_object_get(line, "effect") != NULL &&
        !hws_cli_effect_parse(text_of(line, "effect"), &r->effect)) {
        return hws_err_set(err, HWS_E_INVALID, "effect: give " EFFECTS);
    }
    return fields_of(line, q, err);
}

/* One line of input, one of output. False if it was no question. */
static bool judge_line(struct hws_cli *cli, const struct hws_policy *policy, json_t *line,
                       struct hws_err *err)
{
    struct hws_policy_decision d;
    struct hws_cli_authz ask;
    struct question q;

    if (line == NULL || question_of(line, &q, err) != HWS_OK ||
        hws_cli_authz_ask(&q.request, &ask, err) != HWS_OK) {
        const struct hws_cell refused[] = {hws_cell_none(), hws_cell_none(), hws_cell_none(),
                                           hws_cell_none(), hws_cell_text(err->msg)};
        hws_out_row(&cli->out, refused);
        return false;
    }
    hws_policy_judge(policy, &ask.req, &d);
    const struct hws_cell cells[] = {hws_cell_bool(d.allowed), hws_cell_text(d.rule),
                                     d.line == 0 ? hws_cell_none() : hws_cell_uint(d.line),
                                     hws_cell_text(d.reason), hws_cell_none()};
    hws_out_row(&cli->out, cells);
    return true;
}

static int test_many(struct hws_cli *cli, const struct hws_policy *policy)
{
    static const struct hws_column columns[] = {
        {"allowed", "ALLOWED", 0}, {"rule", "RULE", 0},   {"line", "LINE", 0},
        {"reason", "REASON", 0},   {"error", "ERROR", 0},
    };
    struct hws_cli_batch batch;
    enum hws_code code = HWS_OK;
    bool all_well = true;
    struct hws_err err;

    if (hws_cli_batch_open(&batch, cli->args.value[HWS_OPT_BATCH], &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    cli->out.ops = &hws_out_json; /* lines in, lines out */
    hws_out_begin(&cli->out, "hawser.authz.test", 1, true);
    hws_out_table(&cli->out, "answers", columns, HWS_CLI_N_OF(columns));
    while (hws_cli_batch_next(&batch, &code, &err)) {
        all_well = judge_line(cli, policy, batch.line, &err) && all_well;
    }
    enum hws_code ended = hws_cli_batch_ended(&batch, &err);
    hws_cli_batch_close(&batch);
    if (ended != HWS_OK || hws_out_end(&cli->out, &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    return all_well ? HWS_EXIT_OK
                    : hws_cli_fail(cli, HWS_EXIT_INVALID,
                                   "some lines are no question; their answers say why");
}

int hws_cmd_authz_test(struct hws_cli *cli)
{
    struct hws_policy *policy = NULL;
    int rc = load(cli, &policy);

    if (rc == HWS_EXIT_OK) {
        rc = cli->args.given[HWS_OPT_BATCH] ? test_many(cli, policy) : test_one(cli, policy, false);
    }
    hws_policy_unref(policy);
    return rc;
}

int hws_cmd_explain(struct hws_cli *cli)
{
    struct hws_policy *policy = NULL;

    if (!cli->args.given[HWS_OPT_POLICY]) {
        struct question q = {0};
        int rc = take_question(cli, &q);
        q.request.explain = true;
        return rc == HWS_EXIT_OK ? ask_agents(cli, &q, "hawser.explain") : rc;
    }
    int rc = load(cli, &policy);
    if (rc == HWS_EXIT_OK) {
        rc = test_one(cli, policy, true);
    }
    hws_policy_unref(policy);
    return rc;
}
