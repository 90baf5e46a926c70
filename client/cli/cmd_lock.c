/* hawser lock and hawser kill: what agents refuse for a while. */
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "rollout/plan.h"

#define DEFAULT_FOR_S 3600u

static int take_for(struct hws_cli *cli, uint32_t *out_s)
{
    uint32_t for_ms = 0;
    struct hws_err err;

    *out_s = DEFAULT_FOR_S;
    if (!cli->args.given[HWS_OPT_FOR]) {
        return HWS_EXIT_OK;
    }
    if (hws_rollout_parse_ms(cli->args.value[HWS_OPT_FOR], &for_ms, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--for: %s", err.msg);
    }
    *out_s = (for_ms + 999) / 1000;
    return HWS_EXIT_OK;
}

static int take_reason(struct hws_cli *cli, char **out)
{
    if (!cli->args.given[HWS_OPT_REASON]) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--reason is missing: say why");
    }
    *out = hws_cli_str(cli->args.value[HWS_OPT_REASON]);
    return HWS_EXIT_OK;
}

static int take_id(struct hws_cli *cli, uint64_t *out)
{
    struct hws_err err;

    return hws_str_to_u64(cli->args.args[0], UINT64_MAX, out, &err) == HWS_OK
               ? HWS_EXIT_OK
               : hws_cli_fail(cli, HWS_EXIT_INVALID, "ID: %s", err.msg);
}

/* Asks every host; the mutation is the caller's and outlives the calls. */
static int ask_all(struct hws_cli *cli, const struct hws_client_method *method,
                   const ProtobufCMessage *request)
{
    int rc = hws_cli_connect(cli);

    for (size_t i = 0; rc == HWS_EXIT_OK && i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], method, request);
    }
    if (rc == HWS_EXIT_OK) {
        hws_cli_wait(cli);
    }
    return rc;
}

/* ---- locks ----------------------------------------------------------------------------------- */

static const struct hws_column lock_columns[] = {
    {"host", "HOST", 0},   {"id", "ID", 0},  {"kind", "KIND", 0},  {"object", "WHAT", 0},
    {"until", "UNTIL", 0}, {"who", "BY", 0}, {"reason", "WHY", 0}, {"since", NULL, 0},
};

static const char *kind_name(Hawser__V1__LockKind kind)
{
    static const char *const names[] = {"?", "principal", "device", "host"};

    return (unsigned)kind < HWS_CLI_N_OF(names) ? names[kind] : "?";
}

static void lock_row(struct hws_cli *cli, const char *host, const Hawser__V1__Lock *l)
{
    char until[HWS_CLI_TIME_BYTES];
    char since[HWS_CLI_TIME_BYTES];

    hws_cli_time(l->until_unix_ms, until);
    hws_cli_time(l->since_unix_ms, since);
    const struct hws_cell cells[] = {
        hws_cell_text(host),      hws_cell_uint(l->id), hws_cell_text(kind_name(l->kind)),
        hws_cell_text(l->object), hws_cell_text(until), hws_cell_text(l->who),
        hws_cell_text(l->reason), hws_cell_text(since)};
    hws_out_row(&cli->out, cells);
}

static int take_kind(struct hws_cli *cli, Hawser__V1__AddLockRequest *r)
{
    const struct hws_cli_args *a = &cli->args;

    for (int kind = 1; kind <= 3; kind++) {
        if (hws_str_eq(a->args[0], kind_name((Hawser__V1__LockKind)kind))) {
            r->kind = (Hawser__V1__LockKind)kind;
        }
    }
    if (r->kind == 0) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "\"%.32s\": give principal, device or host",
                            a->args[0]);
    }
    bool needs = r->kind != HAWSER__V1__LOCK_KIND__LOCK_KIND_HOST;
    if (needs != (a->n_args == 2)) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            needs ? "say which %s" : "a lock of the host needs no more words",
                            a->args[0]);
    }
    r->object = a->n_args == 2 ? a->args[1] : r->object;
    return HWS_EXIT_OK;
}

int hws_cmd_lock_add(struct hws_cli *cli)
{
    Hawser__V1__AddLockRequest r = HAWSER__V1__ADD_LOCK_REQUEST__INIT;
    struct hws_cli_mutation m;
    int rc = take_kind(cli, &r);

    rc = rc == HWS_EXIT_OK ? take_for(cli, &r.for_s) : rc;
    rc = rc == HWS_EXIT_OK ? take_reason(cli, &r.reason) : rc;
    rc = rc == HWS_EXIT_OK ? hws_cli_mutation(cli, &m) : rc;
    r.mutation = &m.mutation;
    rc = rc == HWS_EXIT_OK ? ask_all(cli, &hws_client_method_lock_add, &r.base) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.lock.add", 1, false);
    hws_out_table(&cli->out, "locks", lock_columns, HWS_CLI_N_OF(lock_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (!h->failed) {
            lock_row(cli, h->name, hws_cli_answer(h, AddLockResponse)->lock);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_lock_list(struct hws_cli *cli)
{
    const Hawser__V1__ListLocksRequest r = HAWSER__V1__LIST_LOCKS_REQUEST__INIT;
    int rc = ask_all(cli, &hws_client_method_lock_list, &r.base);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.lock.list", 1, false);
    hws_out_table(&cli->out, "locks", lock_columns, HWS_CLI_N_OF(lock_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListLocksResponse *a = hws_cli_answer(h, ListLocksResponse);
        for (size_t k = 0; !h->failed && k < a->n_locks; k++) {
            lock_row(cli, h->name, a->locks[k]);
        }
    }
    return hws_cli_finish(cli);
}

/* ---- kills ----------------------------------------------------------------------------------- */

static const struct hws_column kill_columns[] = {
    {"host", "HOST", 0},
    {"id", "ID", 0},
    {"row", "ROW", 0},
    {"object", "ADAPTERS", 0},
    {"firmware_from", "FROM", 0},
    {"firmware_to", "TO", 0},
    {"until", "UNTIL", 0},
    {"who", "BY", 0},
    {"reason", "WHY", 0},
    {"since", NULL, 0},
};

static void kill_row(struct hws_cli *cli, const char *host, const Hawser__V1__Kill *k)
{
    char until[HWS_CLI_TIME_BYTES];
    char since[HWS_CLI_TIME_BYTES];

    hws_cli_time(k->until_unix_ms, until);
    hws_cli_time(k->since_unix_ms, since);
    const struct hws_cell cells[] = {hws_cell_text(host),
                                     hws_cell_uint(k->id),
                                     hws_cell_text(k->row),
                                     hws_cell_text(k->object),
                                     hws_cell_text(k->firmware_from),
                                     hws_cell_text(k->firmware_to),
                                     hws_cell_text(until),
                                     hws_cell_text(k->who),
                                     hws_cell_text(k->reason),
                                     hws_cell_text(since)};
    hws_out_row(&cli->out, cells);
}

/* "28.40.0000..28.43.2006", "..28.43.2006", "28.40.0000..". */
static int take_firmware(struct hws_cli *cli, char *from, size_t cap, Hawser__V1__AddKillRequest *r)
{
    const char *text = cli->args.value[HWS_OPT_FIRMWARE];
    const char *dots = text == NULL ? NULL : strstr(text, "..");

    if (text == NULL) {
        return HWS_EXIT_OK;
    }
    if (dots == NULL || !hws_str_copy_n(from, cap, text, (size_t)(dots - text))) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID,
                            "--firmware %.64s: give FIRST..LAST; either may be left out", text);
    }
    r->firmware_from = from;
    r->firmware_to = hws_cli_str(dots + 2);
    return HWS_EXIT_OK;
}

int hws_cmd_kill_add(struct hws_cli *cli)
{
    Hawser__V1__AddKillRequest r = HAWSER__V1__ADD_KILL_REQUEST__INIT;
    struct hws_cli_mutation m;
    char from[32];
    int rc = take_firmware(cli, from, sizeof(from), &r);

    r.row = cli->args.args[0];
    r.object = cli->args.n_args > 1 ? cli->args.args[1] : r.object;
    rc = rc == HWS_EXIT_OK ? take_for(cli, &r.for_s) : rc;
    rc = rc == HWS_EXIT_OK ? take_reason(cli, &r.reason) : rc;
    rc = rc == HWS_EXIT_OK ? hws_cli_mutation(cli, &m) : rc;
    r.mutation = &m.mutation;
    rc = rc == HWS_EXIT_OK ? ask_all(cli, &hws_client_method_kill_add, &r.base) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.kill.add", 1, false);
    hws_out_table(&cli->out, "kills", kill_columns, HWS_CLI_N_OF(kill_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (!h->failed) {
            kill_row(cli, h->name, hws_cli_answer(h, AddKillResponse)->kill);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_kill_list(struct hws_cli *cli)
{
    const Hawser__V1__ListKillsRequest r = HAWSER__V1__LIST_KILLS_REQUEST__INIT;
    int rc = ask_all(cli, &hws_client_method_kill_list, &r.base);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.kill.list", 1, false);
    hws_out_table(&cli->out, "kills", kill_columns, HWS_CLI_N_OF(kill_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListKillsResponse *a = hws_cli_answer(h, ListKillsResponse);
        for (size_t k = 0; !h->failed && k < a->n_kills; k++) {
            kill_row(cli, h->name, a->kills[k]);
        }
    }
    return hws_cli_finish(cli);
}

/* ---- both ------------------------------------------------------------------------------------ */

static int removed(struct hws_cli *cli, const char *schema)
{
    static const struct hws_column columns[] = {{"host", "HOST", 0}, {"removed", "REMOVED", 0}};

    hws_out_begin(&cli->out, schema, 1, false);
    hws_out_table(&cli->out, "hosts", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (!cli->hosts[i].failed) {
            const struct hws_cell cells[] = {hws_cell_text(cli->hosts[i].name),
                                             hws_cell_text(cli->args.args[0])};
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

int hws_cmd_lock_remove(struct hws_cli *cli)
{
    Hawser__V1__RemoveLockRequest r = HAWSER__V1__REMOVE_LOCK_REQUEST__INIT;
    struct hws_cli_mutation m;
    int rc = take_id(cli, &r.id);

    rc = rc == HWS_EXIT_OK ? hws_cli_mutation(cli, &m) : rc;
    r.mutation = &m.mutation;
    rc = rc == HWS_EXIT_OK ? ask_all(cli, &hws_client_method_lock_remove, &r.base) : rc;
    return rc == HWS_EXIT_OK ? removed(cli, "hawser.lock.remove") : rc;
}

int hws_cmd_kill_remove(struct hws_cli *cli)
{
    Hawser__V1__RemoveKillRequest r = HAWSER__V1__REMOVE_KILL_REQUEST__INIT;
    struct hws_cli_mutation m;
    int rc = take_id(cli, &r.id);

    rc = rc == HWS_EXIT_OK ? hws_cli_mutation(cli, &m) : rc;
    r.mutation = &m.mutation;
    rc = rc == HWS_EXIT_OK ? ask_all(cli, &hws_client_method_kill_remove, &r.base) : rc;
    return rc == HWS_EXIT_OK ? removed(cli, "hawser.kill.remove") : rc;
}
