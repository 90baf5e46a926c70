/* hawser config: list, get, plan, apply, reset. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"

#define MAX_SETTINGS 64
#define NAME_BYTES   65

/* ---- list ---- */

static const struct hws_column list_columns[] = {
    {"host", "HOST", 0},
    {"name", "NAME", 0},
    {"type", "TYPE", 0},
    {"allowed", "ALLOWED", 0},
    {"reset", "RESET", 0},
    {"supported", "SUPPORTED", 0},
    {"unit", NULL, 0},
    {"description", "DESCRIPTION", 0},
    {"unsupported_reason", NULL, 0},
};

/* "0..127", "False, True", or the names of an enumeration. */
static void allowed_of(const Hawser__V1__Parameter *p, char *dst, size_t cap)
{
    size_t n = 0;

    if (p->type == HAWSER__V1__PARAMETER_TYPE__PARAMETER_TYPE_BOOL) {
        (void)hws_str_print(dst, cap, "False, True");
        return;
    }
    if (p->n_values == 0) {
        (void)hws_str_print(dst, cap, "%" PRIu64 "..%" PRIu64, p->min, p->max);
        return;
    }
    dst[0] = '\0';
    for (size_t i = 0; i < p->n_values && n < cap; i++) {
        (void)hws_str_print(dst + n, cap - n, "%s%s", i > 0 ? ", " : "", p->values[i]->name);
        n = strlen(dst);
    }
}

int hws_cmd_config_list(struct hws_cli *cli)
{
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__ListParametersRequest r = HAWSER__V1__LIST_PARAMETERS_REQUEST__INIT;
        r.device = cli->hosts[i].device;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_config_list_parameters, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.config.list", 1, false);
    hws_out_table(&cli->out, "parameters", list_columns, HWS_CLI_N_OF(list_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListParametersResponse *r = hws_cli_answer(h, ListParametersResponse);
        for (size_t k = 0; !h->failed && k < r->n_parameters; k++) {
            const Hawser__V1__Parameter *p = r->parameters[k];
            char allowed[256];
            allowed_of(p, allowed, sizeof(allowed));
            const struct hws_cell cells[] = {
                hws_cell_text(h->name),
                hws_cell_text(p->name),
                hws_cell_text(hws_cli_type(p->type)),
                hws_cell_text(allowed),
                hws_cell_text(hws_cli_reset(p->reset)),
                hws_cell_bool(p->supported),
                hws_cell_text(p->unit),
                hws_cell_text(p->description),
                hws_cell_text(p->unsupported_reason),
            };
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

/* ---- values ---- */

static const struct hws_column value_columns[] = {
    {"host", "HOST", 0},       {"name", "NAME", 0},           {"default", "DEFAULT", 0},
    {"stored", "STORED", 0},   {"next_boot", "NEXT-BOOT", 0}, {"running", "RUNNING", 0},
    {"pending", "PENDING", 0},
};

static void value_rows(struct hws_out *out, const char *host,
                       Hawser__V1__ParameterValue *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Hawser__V1__ParameterValue *v = values[i];
        const struct hws_cell pending = hws_cell_bool(v->pending);
        const struct hws_cell cells[] = {
            hws_cell_text(host),
            hws_cell_text(v->name),
            hws_cell_text(v->default_value),
            hws_cell_text(v->stored),
            hws_cell_tone(v->next_boot, v->pending ? HWS_TONE_WARN : HWS_TONE_PLAIN),
            hws_cell_text(v->running),
            pending,
        };
        hws_out_row(out, cells);
    }
}

int hws_cmd_config_get(struct hws_cli *cli)
{
    static const struct hws_column revision_columns[] = {{"host", NULL, 0}, {"revision", NULL, 0}};
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__GetConfigRequest r = HAWSER__V1__GET_CONFIG_REQUEST__INIT;
        r.device = cli->hosts[i].device;
        r.names = cli->args.args;
        r.n_names = (size_t)cli->args.n_args;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_config_get, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.config.get", 1, false);
    hws_out_table(&cli->out, "values", value_columns, HWS_CLI_N_OF(value_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__GetConfigResponse *r = hws_cli_answer(h, GetConfigResponse);
        if (!h->failed) {
            value_rows(&cli->out, h->name, r->values, r->n_values);
        }
    }
    hws_out_table(&cli->out, "revisions", revision_columns, HWS_CLI_N_OF(revision_columns));
    for (size_t i = 0; i < cli->n_hosts && cli->args.json; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__GetConfigResponse *r = hws_cli_answer(h, GetConfigResponse);
        const struct hws_cell cells[] = {hws_cell_text(h->name),
                                         hws_cell_text(h->failed ? NULL : r->revision)};
        hws_out_row(&cli->out, cells);
    }
    return hws_cli_finish(cli);
}

/* ---- settings and plans ---- */

struct settings {
    char names[MAX_SETTINGS][NAME_BYTES];
    Hawser__V1__Setting items[MAX_SETTINGS];
    Hawser__V1__Setting *pointers[MAX_SETTINGS];
    size_t n;
};

static int parse_settings(struct hws_cli *cli, struct settings *s)
{
    s->n = 0;
    for (int i = 0; i < cli->args.n_args; i++) {
        const char *value = hws_cli_split(cli->args.args[i], s->names[s->n], NAME_BYTES);
        if (value == NULL || value[0] == '\0') {
            return hws_cli_fail(cli, HWS_EXIT_INVALID,
                                "\"%.64s\": give NAME=VALUE, e.g. NUM_OF_VFS=16",
                                cli->args.args[i]);
        }
        hawser__v1__setting__init(&s->items[s->n]);
        s->items[s->n].name = s->names[s->n];
        s->items[s->n].value = hws_cli_str(value);
        s->pointers[s->n] = &s->items[s->n];
        s->n++;
    }
    return HWS_EXIT_OK;
}

static void ask_plans(struct hws_cli *cli, struct settings *s)
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__PlanConfigRequest r = HAWSER__V1__PLAN_CONFIG_REQUEST__INIT;
        r.device = cli->hosts[i].device;
        r.settings = s->pointers;
        r.n_settings = s->n;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_config_plan, &r.base);
    }
    hws_cli_wait(cli);
}

static const struct hws_column change_columns[] = {
    {"host", "HOST", 0},           {"name", "NAME", 0},     {"running", "RUNNING", 0},
    {"next_boot", "NEXT-BOOT", 0}, {"wanted", "WANTED", 0}, {"changes", "CHANGES", 0},
    {"reset", "RESET", 0},
};

static const struct hws_column plan_columns[] = {
    {"host", "HOST", 0},   {"device", "DEVICE", 0},       {"n_writes", "WRITES", 0},
    {"reset", "RESET", 0}, {"plan_hash", "PLAN-HASH", 0}, {"revision", NULL, 0},
};

static void print_plan(struct hws_out *out, const struct hws_cli_host *h,
                       const Hawser__V1__PlanConfigResponse *p)
{
    for (size_t k = 0; k < p->n_changes; k++) {
        const Hawser__V1__Change *c = p->changes[k];
        const struct hws_cell cells[] = {
            hws_cell_text(h->name),
            hws_cell_text(c->name),
            hws_cell_text(c->running),
            hws_cell_text(c->next_boot),
            hws_cell_tone(c->wanted, c->changes ? HWS_TONE_WARN : HWS_TONE_PLAIN),
            hws_cell_bool(c->changes),
            hws_cell_text(hws_cli_reset(c->reset)),
        };
        hws_out_row(out, cells);
    }
}

/* The two tables of the plans that the hosts hold in `kept`. */
static void print_plans(struct hws_cli *cli, struct hws_out *out)
{
    hws_out_table(out, "changes", change_columns, HWS_CLI_N_OF(change_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (h->kept != NULL) {
            print_plan(out, h, (const Hawser__V1__PlanConfigResponse *)h->kept);
        }
    }
    hws_out_table(out, "plans", plan_columns, HWS_CLI_N_OF(plan_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__PlanConfigResponse *p = (const Hawser__V1__PlanConfigResponse *)h->kept;
        if (p == NULL) {
            continue;
        }
        const struct hws_cell cells[] = {
            hws_cell_text(h->name),      hws_cell_text(h->device),
            hws_cell_uint(p->n_writes),  hws_cell_text(hws_cli_reset(p->reset)),
            hws_cell_text(p->plan_hash), hws_cell_text(p->revision),
        };
        hws_out_row(out, cells);
    }
}

static void keep_answers(struct hws_cli *cli)
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        struct hws_cli_host *h = &cli->hosts[i];
        if (!h->failed) {
            h->kept = h->call.response;
            h->call.response = NULL;
        }
    }
}

int hws_cmd_config_plan(struct hws_cli *cli)
{
    struct settings s;
    int rc = parse_settings(cli, &s);

    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    ask_plans(cli, &s);
    keep_answers(cli);
    hws_out_begin(&cli->out, "hawser.config.plan", 1, false);
    print_plans(cli, &cli->out);
    return hws_cli_finish(cli);
}

/* ---- apply ---- */

static const struct hws_column result_columns[] = {
    {"host", "HOST", 0},          {"result", "RESULT", 0},
    {"reset", "RESET-NEEDED", 0}, {"operation_id", "OPERATION", 0},
    {"revision", NULL, 0},        {"repeated_request", NULL, 0},
};

static void ask_apply(struct hws_cli_host *h, struct settings *s, struct hws_cli_mutation *m)
{
    Hawser__V1__ApplyConfigRequest r = HAWSER__V1__APPLY_CONFIG_REQUEST__INIT;
    const Hawser__V1__PlanConfigResponse *p = (const Hawser__V1__PlanConfigResponse *)h->kept;

    if (p != NULL && p->n_writes == 0) {
        return; /* already as wanted: nothing to send */
    }
    r.device = h->device;
    r.settings = s->pointers;
    r.n_settings = s->n;
    r.plan_hash = p != NULL ? p->plan_hash : hws_cli_str(h->cli->args.value[HWS_OPT_PLAN_HASH]);
    r.expected_revision = p != NULL ? p->revision : r.expected_revision;
    r.mutation = &m->mutation;
    hws_cli_ask(h, &hws_client_method_config_apply, &r.base);
}

/* What the plan's values still wait for when nothing has to be written: NONE if they run. */
static Hawser__V1__ResetLevel waits_for(const Hawser__V1__PlanConfigResponse *p)
{
    Hawser__V1__ResetLevel level = HAWSER__V1__RESET_LEVEL__RESET_LEVEL_NONE;

    for (size_t k = 0; p != NULL && k < p->n_changes; k++) {
        const Hawser__V1__Change *c = p->changes[k];
        if (!hws_str_eq(c->running, c->wanted) && c->reset > level) {
            level = c->reset;
        }
    }
    return level;
}

/* True if this host was sent a change and said yes. */
static bool was_applied(const struct hws_cli_host *h)
{
    return !h->failed && h->call.response != NULL &&
           h->call.response->descriptor == &hawser__v1__apply_config_response__descriptor;
}

static void print_results(struct hws_cli *cli)
{
    struct hws_out *out = &cli->out;

    hws_out_table(out, "values", value_columns, HWS_CLI_N_OF(value_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ApplyConfigResponse *r = hws_cli_answer(h, ApplyConfigResponse);
        if (was_applied(h)) {
            value_rows(out, h->name, r->values, r->n_values);
        }
    }
    hws_out_table(out, "results", result_columns, HWS_CLI_N_OF(result_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ApplyConfigResponse *r = hws_cli_answer(h, ApplyConfigResponse);
        bool applied = was_applied(h);
        if (h->failed) {
            continue;
        }
        Hawser__V1__ResetLevel reset =
            applied ? r->reset : waits_for((const Hawser__V1__PlanConfigResponse *)h->kept);
        bool waits = reset > HAWSER__V1__RESET_LEVEL__RESET_LEVEL_NONE;
        const char *result = !applied && waits     ? "already stored, not running yet"
                             : !applied            ? "already as wanted"
                             : r->repeated_request ? "applied before (same request id)"
                                                   : "applied, read back";
        const struct hws_cell cells[] = {
            hws_cell_text(h->name),
            hws_cell_tone(result, HWS_TONE_GOOD),
            hws_cell_text(hws_cli_reset(reset)),
            hws_cell_text(applied ? r->operation_id : NULL),
            hws_cell_text(applied ? r->revision : NULL),
            applied ? hws_cell_bool(r->repeated_request) : hws_cell_none(),
        };
        hws_out_row(out, cells);
    }
}

/* Plans, shows and asks. False: *rc is what to return. */
static bool plan_first(struct hws_cli *cli, struct settings *s, int *rc)
{
    size_t n_good = 0;

    ask_plans(cli, s);
    keep_answers(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        n_good += cli->hosts[i].failed ? 0 : 1;
    }
    if (n_good == 0) {
        hws_out_begin(&cli->out, "hawser.config.apply", 1, false);
        *rc = hws_cli_finish(cli);
        return false;
    }
    if (cli->args.given[HWS_OPT_YES]) {
        return true;
    }
    struct hws_out shown;
    struct hws_err err;
    hws_out_init(&shown, false, cli->errors, false);
    hws_out_begin(&shown, "", 0, false);
    if (cli->input_tty) {
        print_plans(cli, &shown);
    }
    enum hws_code code = hws_out_end(&shown, &err);
    hws_out_deinit(&shown);
    if (code != HWS_OK) {
        *rc = hws_cli_fail_err(cli, &err);
        return false;
    }
    return hws_cli_confirm(cli, "Apply?", rc);
}

int hws_cmd_config_apply(struct hws_cli *cli)
{
    struct hws_cli_mutation m;
    struct settings s;
    bool by_hash = cli->args.given[HWS_OPT_PLAN_HASH];
    int rc = parse_settings(cli, &s);

    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_mutation(cli, &m);
    }
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (by_hash && cli->n_hosts != 1) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "--plan-hash names the plan of one host, and %zu "
                            "are given",
                            cli->n_hosts);
    }
    hws_cli_devices(cli);
    if (!by_hash && !plan_first(cli, &s, &rc)) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        ask_apply(&cli->hosts[i], &s, &m);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.config.apply", 1, false);
    if (!by_hash) {
        print_plans(cli, &cli->out);
    }
    print_results(cli);
    return hws_cli_finish(cli);
}

/* ---- reset ---- */

static void print_reset(struct hws_cli *cli)
{
    struct hws_out *out = &cli->out;

    hws_out_begin(out, "hawser.config.reset", 1, false);
    hws_out_table(out, "values", value_columns, HWS_CLI_N_OF(value_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ResetConfigResponse *r = hws_cli_answer(h, ResetConfigResponse);
        if (!h->failed) {
            value_rows(out, h->name, r->values, r->n_values);
        }
    }
    hws_out_table(out, "results", result_columns, HWS_CLI_N_OF(result_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ResetConfigResponse *r = hws_cli_answer(h, ResetConfigResponse);
        if (h->failed) {
            continue;
        }
        const struct hws_cell cells[] = {
            hws_cell_text(h->name),
            hws_cell_tone("back to defaults", HWS_TONE_GOOD),
            hws_cell_text(hws_cli_reset(r->reset)),
            hws_cell_text(r->operation_id),
            hws_cell_text(r->revision),
            hws_cell_bool(r->repeated_request),
        };
        hws_out_row(out, cells);
    }
}

int hws_cmd_config_reset(struct hws_cli *cli)
{
    struct hws_cli_mutation m;
    int rc = hws_cli_mutation(cli, &m);

    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_connect(cli);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    char question[160];
    (void)hws_str_print(
        question, sizeof(question), "Reset %s to %s on one adapter of each of %zu host%s (%s%s)?",
        cli->args.n_args == 0 ? "ALL parameters" : "these parameters",
        cli->args.n_args == 1 ? "its default" : "their defaults", cli->n_hosts,
        cli->n_hosts == 1 ? "" : "s", cli->hosts[0].name, cli->n_hosts == 1 ? "" : ", ...");
    if (!hws_cli_confirm(cli, question, &rc)) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__ResetConfigRequest r = HAWSER__V1__RESET_CONFIG_REQUEST__INIT;
        r.device = cli->hosts[i].device;
        r.names = cli->args.args;
        r.n_names = (size_t)cli->args.n_args;
        r.mutation = &m.mutation;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_config_reset, &r.base);
    }
    hws_cli_wait(cli);
    print_reset(cli);
    return hws_cli_finish(cli);
}
