/* Plans from files and options. */
#include "cli/rollout_make.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/str.h"
#include "client/file.h"

static int from_file(struct hws_cli *cli, struct hws_rollout_plan *plan)
{
    const char *path = cli->args.value[HWS_OPT_FILE];
    struct hws_buf text;
    struct hws_err err;
    int rc = HWS_EXIT_OK;

    hws_rollout_plan_init(plan);
    if (!cli->args.given[HWS_OPT_FILE]) {
        return HWS_EXIT_OK;
    }
    hws_buf_init(&text, HWS_ROLLOUT_MAX_YAML_BYTES + 1);
    if (hws_file_read(path, &text, &err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    } else if (hws_rollout_plan_from_yaml(plan, (const char *)hws_buf_peek(&text),
                                          hws_buf_len(&text), true, &err) != HWS_OK) {
        (void)hws_err_wrap(&err, "%.100s", path);
        rc = hws_cli_fail_err(cli, &err);
    }
    hws_buf_deinit(&text);
    return rc;
}

/* A --set wins over the file's setting of that name: takes it out of the first *n_file. */
static void drop_from_file(struct hws_rollout_plan *plan, size_t *n_file, const char *name)
{
    for (size_t i = 0; i < *n_file; i++) {
        if (hws_str_eq(plan->settings[i].name, name)) {
            memmove(&plan->settings[i], &plan->settings[i + 1],
                    (plan->n_settings - i - 1) * sizeof(*plan->settings));
            plan->n_settings--;
            (*n_file)--;
            return;
        }
    }
}

static int take_sets(struct hws_cli *cli, struct hws_rollout_plan *plan)
{
    size_t n_file = plan->n_settings;
    struct hws_err err;

    for (size_t i = 0; i < cli->args.n_sets; i++) {
        char name[HWS_ROLLOUT_SETTING_BYTES];
        const char *value = hws_cli_split(cli->args.sets[i], name, sizeof(name));
        if (value == NULL) {
            return hws_cli_fail(cli, HWS_EXIT_INVALID,
                                "--set \"%.64s\": give NAME=VALUE, e.g. NUM_OF_VFS=16",
                                cli->args.sets[i]);
        }
        drop_from_file(plan, &n_file, name);
        if (hws_rollout_plan_set(plan, name, value, &err) != HWS_OK) {
            return hws_cli_fail(cli, HWS_EXIT_INVALID, "--set: %s", err.msg);
        }
    }
    return HWS_EXIT_OK;
}

/* A number option into *out; what the file said stays if it was not given. */
static enum hws_code number(struct hws_cli *cli, enum hws_cli_option option, uint32_t max,
                            uint32_t *out, struct hws_err *err)
{
    uint64_t v = 0;
    enum hws_code rc = hws_cli_number(&cli->args, option, max, *out, &v, err);

    *out = rc == HWS_OK ? (uint32_t)v : *out;
    return rc;
}

static enum hws_code time_option(struct hws_cli *cli, enum hws_cli_option option, const char *name,
                                 uint32_t *out, struct hws_err *err)
{
    if (!cli->args.given[option]) {
        return HWS_OK;
    }
    enum hws_code rc = hws_rollout_parse_ms(cli->args.value[option], out, err);
    return rc == HWS_OK ? HWS_OK : hws_err_wrap(err, "--%s", name);
}

static int take_limits(struct hws_cli *cli, struct hws_rollout_plan *plan)
{
    const struct hws_cli_args *a = &cli->args;
    struct hws_err err;
    enum hws_code rc = number(cli, HWS_OPT_CANARY, HWS_ROLLOUT_MAX_MEMBERS, &plan->canary, &err);

    if (rc == HWS_OK) {
        rc = number(cli, HWS_OPT_BUDGET, HWS_ROLLOUT_MAX_MEMBERS, &plan->budget, &err);
    }
    if (rc == HWS_OK) {
        rc = number(cli, HWS_OPT_IN_FLIGHT, HWS_ROLLOUT_MAX_IN_FLIGHT, &plan->in_flight, &err);
    }
    if (rc == HWS_OK) {
        rc = time_option(cli, HWS_OPT_SETTLE, "settle", &plan->settle_ms, &err);
    }
    if (rc == HWS_OK) {
        rc = time_option(cli, HWS_OPT_GATE_TIMEOUT, "gate-timeout", &plan->gate_timeout_ms, &err);
    }
    if (rc == HWS_OK && a->given[HWS_OPT_WAVE]) {
        rc = hws_rollout_plan_wave(plan, a->value[HWS_OPT_WAVE], &err);
    }
    if (rc == HWS_OK && a->given[HWS_OPT_NAME] &&
        !hws_str_copy(plan->name, sizeof(plan->name), a->value[HWS_OPT_NAME])) {
        rc = hws_err_set(&err, HWS_E_INVALID, "--name is longer than %d characters",
                         HWS_ROLLOUT_NAME_BYTES - 1);
    }
    return rc == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &err);
}

/* Every adapter of every host, as the agents list them now. */
static int add_all_adapters(struct hws_cli *cli, struct hws_rollout_plan *plan)
{
    const Hawser__V1__ListDevicesRequest all = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
    struct hws_err err;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_device_list, &all.base);
    }
    hws_cli_wait(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListDevicesResponse *list = hws_cli_answer(h, ListDevicesResponse);
        if (h->failed) {
            return hws_cli_fail_status(cli, h->name, &h->status);
        }
        for (size_t k = 0; k < list->n_devices; k++) {
            if (hws_rollout_plan_add(plan, h->name, h->target, list->devices[k]->id, &err) !=
                HWS_OK) {
                return hws_cli_fail_err(cli, &err);
            }
        }
    }
    return HWS_EXIT_OK;
}

static int add_targets(struct hws_cli *cli, struct hws_rollout_plan *plan)
{
    const char *given = cli->args.value[HWS_OPT_DEVICE];
    bool named = cli->args.n_targets > 0 || cli->args.given[HWS_OPT_INVENTORY];
    struct hws_err err;

    if (plan->n_targets > 0 && !named) {
        return HWS_EXIT_OK; /* the file names them */
    }
    if (plan->n_targets > 0) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "hosts are given in --file and again by -t or --inventory");
    }
    if (given != NULL && hws_str_eq(given, "all")) {
        return add_all_adapters(cli, plan);
    }
    int rc = hws_cli_find_hosts(cli);
    for (size_t i = 0; i < cli->n_hosts && rc == HWS_EXIT_OK; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (hws_rollout_plan_add(plan, h->name, h->target, given != NULL ? given : h->device,
                                 &err) != HWS_OK) {
            rc = hws_cli_fail_err(cli, &err);
        }
    }
    return rc;
}

int hws_cli_rollout_make(struct hws_cli *cli, const char *unnamed, struct hws_rollout_plan *plan)
{
    struct hws_err err;
    int rc = from_file(cli, plan);

    if (rc == HWS_EXIT_OK) {
        rc = take_sets(cli, plan);
    }
    if (rc == HWS_EXIT_OK) {
        rc = take_limits(cli, plan);
    }
    if (plan->name[0] == '\0' && unnamed != NULL) {
        (void)hws_str_copy(plan->name, sizeof(plan->name), unnamed);
    }
    if (rc == HWS_EXIT_OK && plan->name[0] == '\0') {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE, "the rollout needs a name: give --name");
    }
    if (rc == HWS_EXIT_OK && plan->n_settings == 0) {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE, "nothing to set: give --set NAME=VALUE");
    }
    if (rc == HWS_EXIT_OK) {
        rc = add_targets(cli, plan);
    }
    if (rc == HWS_EXIT_OK && hws_rollout_plan_check(plan, false, &err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    }
    if (rc != HWS_EXIT_OK) {
        hws_rollout_plan_deinit(plan);
    }
    return rc;
}

int hws_cli_rollout_name_it(struct hws_cli *cli, struct hws_rollout_plan *plan)
{
    uint8_t random[(HWS_ROLLOUT_ID_BYTES - 1) / 2];
    struct hws_cli_mutation m;
    int rc = hws_cli_mutation(cli, &m);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "no random numbers");
    }
    hws_hex_encode(random, sizeof(random), plan->id);
    plan->election = m.fence.election_low;
    return HWS_EXIT_OK;
}

int hws_cli_state_dir(struct hws_cli *cli, char *dst, size_t cap)
{
    const char *given = cli->args.value[HWS_OPT_STATE_DIR];
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    bool fits = false;

    if (given != NULL) {
        fits = hws_str_copy(dst, cap, given);
    } else if (xdg != NULL && xdg[0] == '/') {
        fits = hws_str_print(dst, cap, "%s/hawser/rollouts", xdg);
    } else if (home != NULL && home[0] == '/') {
        fits = hws_str_print(dst, cap, "%s/.local/state/hawser/rollouts", home);
    } else {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "no home folder: give --state-dir");
    }
    return fits ? HWS_EXIT_OK
                : hws_cli_fail(cli, HWS_EXIT_USAGE, "the state folder's name is too long");
}
