/* hawser rollout: plan, run, status, resume, list. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/progress.h"
#include "cli/rollout_doc.h"
#include "cli/rollout_make.h"
#include "fleet/engine.h"
#include "rollout/wave.h"

#define TICK_MS 250u /* between two looks at the progress bar */

static int end_document(struct hws_cli *cli)
{
    struct hws_err err;

    return hws_out_end(&cli->out, &err) == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &err);
}

/* ---- plan ---- */

static int show_waves(struct hws_cli *cli, struct hws_out *out, const struct hws_rollout_plan *plan)
{
    uint32_t *wave_of = hws_mem_zalloc(plan->n_targets, sizeof(*wave_of));
    uint32_t n_waves = 0;
    struct hws_err err;
    int rc = HWS_EXIT_OK;

    if (wave_of == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "out of memory");
    }
    if (hws_rollout_waves(plan, wave_of, &n_waves, &err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    } else {
        hws_out_begin(out, "hawser.rollout.plan", 1, false);
        hws_cli_rollout_waves(out, plan, wave_of, n_waves);
        if (hws_out_end(out, &err) != HWS_OK) {
            rc = hws_cli_fail_err(cli, &err);
        }
    }
    hws_mem_free(wave_of);
    return rc;
}

int hws_cmd_rollout_plan(struct hws_cli *cli)
{
    struct hws_rollout_plan plan;
    int rc = hws_cli_rollout_make(cli, "unnamed", &plan);

    if (rc == HWS_EXIT_OK) {
        rc = show_waves(cli, &cli->out, &plan);
        hws_rollout_plan_deinit(&plan);
    }
    return rc;
}

/* ---- run and resume ---- */

struct run {
    struct hws_cli *cli;
    struct hws_rollout rollout;
    struct hws_fleet_journal journal;
    struct hws_fleet fleet;
    struct hws_progress progress;
    char note[160]; /* of the bar: what changed last */
    uv_timer_t tick;
    uv_signal_t interrupt;
    uint8_t *shown; /* owned: 1 + the state last shown, a member */
    struct hws_err err;
    bool finished;
    bool fresh;      /* it is begun here, not resumed */
    bool undone;     /* it was refused before anything was applied: it is not kept */
    unsigned n_open; /* fleet, journal and signal, until closed */
};

static size_t n_ended(const struct hws_rollout *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->plan.n_targets; i++) {
        const struct hws_rollout_member *m = &r->members[i];
        n += m->state == HWS_ROLLOUT_SUCCEEDED || m->state == HWS_ROLLOUT_SKIPPED ||
                     m->state == HWS_ROLLOUT_FAILED || m->given_up
                 ? 1
                 : 0;
    }
    return n;
}

static void changed(void *data, size_t member)
{
    struct run *run = data;
    const struct hws_rollout *r = &run->rollout;
    const struct hws_rollout_member *m = &r->members[member];
    uint8_t now = (uint8_t)((unsigned)m->state + 1u);

    if (run->shown[member] == now) {
        return;
    }
    run->shown[member] = now;
    if (run->cli->errors_tty) { /* the tick draws it */
        (void)hws_str_print(run->note, sizeof(run->note), "wave %" PRIu32 " of %" PRIu32 ", %s %s",
                            r->wave + 1, r->n_waves, r->plan.targets[member].host,
                            hws_rollout_member_state_name(m->state));
        return;
    }
    bool bad = m->state == HWS_ROLLOUT_FAILED || m->state == HWS_ROLLOUT_UNKNOWN;
    (void)fprintf(
        run->cli->errors, "wave %" PRIu32 "/%" PRIu32 "  %s  %s  %s%s%s\n", m->wave + 1, r->n_waves,
        r->plan.targets[member].host, m->device_id[0] != '\0' ? m->device_id : "-",
        hws_rollout_member_state_name(m->state), bad ? ": " : "", bad ? m->cause.err.msg : "");
}

static void finished(void *data, const struct hws_err *err)
{
    struct run *run = data;

    run->finished = true;
    if (err != NULL) {
        run->err = *err;
    }
}

static void interrupted(uv_signal_t *signal, int signum)
{
    struct run *run = signal->data;

    (void)signum;
    (void)fprintf(run->cli->errors,
                  "%sinterrupted: nothing new starts; what is in flight ends first\n",
                  run->cli->errors_tty ? "\n" : "");
    (void)uv_signal_stop(signal); /* the next one kills; the journal allows it */
    hws_fleet_pause(&run->fleet, "interrupted by the operator");
}

/* A change may be a long time coming (settling): the bar is drawn without one, too. */
static void ticked(uv_timer_t *tick)
{
    struct run *run = tick->data;

    hws_progress_show(&run->progress, n_ended(&run->rollout), run->note, uv_now(&run->cli->loop));
}

static void part_closed(void *data)
{
    struct run *run = data;

    run->n_open--;
}

static void handle_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

/* Ctrl-C, and the bar's time. Without them the rollout goes as well. */
static void open_handles(struct run *run)
{
    struct hws_cli *cli = run->cli;

    if (uv_signal_init(&cli->loop, &run->interrupt) == 0) {
        run->interrupt.data = run;
        run->n_open++;
        (void)uv_signal_start(&run->interrupt, interrupted, SIGINT);
    }
    if (cli->errors_tty && uv_timer_init(&cli->loop, &run->tick) == 0) {
        run->tick.data = run;
        run->n_open++;
        (void)uv_timer_start(&run->tick, ticked, TICK_MS, TICK_MS);
    }
    hws_progress_start(&run->progress, cli->errors, cli->errors_tty, run->rollout.plan.name, false,
                       run->rollout.plan.n_targets, uv_now(&cli->loop));
}

static void close_handles(struct run *run)
{
    hws_progress_end(&run->progress);
    if (run->interrupt.data != NULL) {
        uv_close((uv_handle_t *)&run->interrupt, handle_closed);
    }
    if (run->tick.data != NULL) {
        uv_close((uv_handle_t *)&run->tick, handle_closed);
    }
}

/* Drives the rollout to its end. The journal is attached, the rollout started or resumed. */
static int drive(struct run *run)
{
    struct hws_cli *cli = run->cli;
    uint32_t timeout_ms = 0;
    int rc = hws_cli_timeout(cli, &timeout_ms);
    const struct hws_fleet_options options = {
        .loop = &cli->loop,
        .rollout = &run->rollout,
        .journal = &run->journal,
        .creds = cli->creds,
        .server_identity = cli->args.value[HWS_OPT_SERVER_IDENTITY],
        .reason = cli->args.value[HWS_OPT_REASON],
        .call_timeout_ms = timeout_ms,
        .changed = changed,
        .finished = finished,
        .data = run,
    };

    run->shown = hws_mem_zalloc(run->rollout.plan.n_targets, 1);
    if (rc != HWS_EXIT_OK || run->shown == NULL) {
        return rc != HWS_EXIT_OK ? rc : hws_cli_fail(cli, HWS_EXIT_INTERNAL, "out of memory");
    }
    if (hws_fleet_open(&run->fleet, &options, &run->err) != HWS_OK) {
        return hws_cli_fail_err(cli, &run->err);
    }
    run->n_open++;
    open_handles(run);
    while (!run->finished) {
        (void)uv_run(&cli->loop, UV_RUN_ONCE);
    }
    close_handles(run);
    hws_fleet_close(&run->fleet, part_closed, run);
    while (run->n_open > 0) {
        (void)uv_run(&cli->loop, UV_RUN_ONCE);
    }
    return run->err.code == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(cli, &run->err);
}

static int verdict(struct hws_cli *cli, const struct hws_rollout *r)
{
    if (r->state == HWS_ROLLOUT_PAUSED) {
        return hws_cli_fail(cli, HWS_EXIT_STATE,
                            "rollout %s is paused: go on with hawser rollout resume %s",
                            r->plan.name, r->plan.name);
    }
    if (r->state == HWS_ROLLOUT_STOPPED) {
        return hws_cli_fail(cli, HWS_EXIT_PARTIAL,
                            "rollout %s stopped: %s; see hawser rollout status %s, then resume it "
                            "with --retry",
                            r->plan.name, r->reason, r->plan.name);
    }
    uint32_t n_bad = r->tally.n_failed + r->tally.n_unknown;
    if (n_bad > 0) {
        return hws_cli_fail(cli, HWS_EXIT_PARTIAL,
                            "rollout %s succeeded within its budget: %" PRIu32
                            " adapters failed or are unknown",
                            r->plan.name, n_bad);
    }
    return HWS_EXIT_OK;
}

/* The member whose settings, or adapter, its agent does not know, in a rollout that stopped before
 * anything was applied anywhere; NULL: it did not stop, or for other reasons, too. */
static const struct hws_rollout_member *refused(const struct hws_rollout *r)
{
    const struct hws_rollout_member *found = NULL;

    for (size_t i = 0; i < r->plan.n_targets; i++) {
        const struct hws_rollout_member *m = &r->members[i];
        bool mistake = m->cause.step == HWS_ROLLOUT_STEP_PLAN &&
                       (m->cause.err.code == HWS_E_INVALID || m->cause.err.code == HWS_E_NOT_FOUND);
        if (m->attempt > 0 || (m->state == HWS_ROLLOUT_FAILED && !mistake)) {
            return NULL;
        }
        found = found == NULL && m->state == HWS_ROLLOUT_FAILED ? m : found;
    }
    return r->state == HWS_ROLLOUT_STOPPED ? found : NULL;
}

/* A mistake on the command line uses up no name, and there is nothing to resume. */
static int give_back(struct run *run, const struct hws_rollout_member *m)
{
    const struct hws_rollout *r = &run->rollout;

    run->undone = true;
    return hws_cli_fail(
        run->cli, m->cause.err.code == HWS_E_NOT_FOUND ? HWS_EXIT_NOT_FOUND : HWS_EXIT_INVALID,
        "rollout %s was refused before anything was applied, and is not kept: host "
        "%s: %s; put it right and run it again",
        r->plan.name, r->plan.targets[m - r->members].host, m->cause.err.msg);
}

static void close_journal(struct run *run)
{
    if (run->journal.store == NULL) {
        return;
    }
    run->n_open += run->journal.poll_open ? 1 : 0;
    hws_fleet_journal_close(&run->journal, part_closed, run);
    while (run->n_open > 0) {
        (void)uv_run(&run->cli->loop, UV_RUN_ONCE);
    }
}

/* From a rollout that may run to its verdict; run->rollout and run->journal are closed. */
static int run_it(struct run *run)
{
    struct hws_cli *cli = run->cli;
    int rc = HWS_EXIT_OK;

    if (hws_fleet_journal_attach(&run->journal, &cli->loop, &run->err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &run->err);
    } else {
        rc = drive(run);
    }
    const struct hws_rollout_member *mistaken =
        rc == HWS_EXIT_OK && run->fresh ? refused(&run->rollout) : NULL;
    if (mistaken != NULL) {
        return give_back(run, mistaken);
    }
    if (rc == HWS_EXIT_OK) {
        hws_cli_rollout_doc(&cli->out, "hawser.rollout.run", &run->rollout, NULL);
        rc = end_document(cli);
    }
    if (rc == HWS_EXIT_OK) {
        rc = verdict(cli, &run->rollout);
    }
    return rc;
}

static void end_run(struct run *run)
{
    close_journal(run);
    hws_rollout_deinit(&run->rollout);
    hws_mem_free(run->shown);
}

static uint64_t unix_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int prepare_for(struct hws_cli *cli, const struct hws_rollout_plan *plan)
{
    bool tcp = false;

    for (size_t i = 0; i < plan->n_targets; i++) {
        tcp = tcp || hws_cli_is_tcp(plan->targets[i].target);
    }
    return hws_cli_prepare(cli, tcp);
}

static bool ask_first(struct hws_cli *cli, const struct hws_rollout_plan *plan, int *rc)
{
    if (!cli->args.given[HWS_OPT_YES] && cli->input_tty) {
        struct hws_out shown;
        hws_out_init(&shown, false, cli->errors, false);
        *rc = show_waves(cli, &shown, plan);
        hws_out_deinit(&shown);
    }
    return *rc == HWS_EXIT_OK && hws_cli_confirm(cli, "Start the rollout?", rc);
}

static int run_plan(struct run *run, struct hws_rollout_plan *plan, const char *dir)
{
    struct hws_cli *cli = run->cli;

    run->fresh = true;
    if (hws_fleet_journal_open(&run->journal, dir, plan->name, true, &run->err) != HWS_OK ||
        hws_rollout_init(&run->rollout, plan, &run->err) != HWS_OK ||
        hws_rollout_start(&run->rollout, uv_now(&cli->loop), unix_ms(), &run->err) != HWS_OK) {
        return hws_cli_fail_err(cli, &run->err);
    }
    return run_it(run);
}

int hws_cmd_rollout_run(struct hws_cli *cli)
{
    char dir[HWS_FLEET_PATH_BYTES];
    struct hws_rollout_plan plan;
    struct run run;
    int rc = hws_cli_rollout_make(cli, NULL, &plan);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    memset(&run, 0, sizeof(run));
    run.cli = cli;
    rc = hws_cli_state_dir(cli, dir, sizeof(dir));
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_rollout_name_it(cli, &plan);
    }
    if (rc == HWS_EXIT_OK) {
        rc = prepare_for(cli, &plan);
    }
    if (rc == HWS_EXIT_OK && ask_first(cli, &plan, &rc)) {
        rc = run_plan(&run, &plan, dir);
    }
    char name[HWS_ROLLOUT_NAME_BYTES];
    (void)hws_str_copy(name, sizeof(name), run.rollout.plan.name);
    end_run(&run);
    if (run.undone && hws_fleet_journal_remove(dir, name, &run.err) != HWS_OK) {
        (void)fprintf(cli->errors, "hawser: %s\n", run.err.msg);
    }
    hws_rollout_plan_deinit(&plan);
    return rc;
}

/* ---- looking at a kept one ---- */

/* Rebuilds run->rollout from a journal's bytes. */
static enum hws_code rebuild(struct run *run, const struct hws_buf *bytes, const char *name)
{
    size_t used = 0;

    if (hws_buf_len(bytes) == 0) {
        return hws_err_set(&run->err, HWS_E_NOT_FOUND,
                           "rollout %s was interrupted before it began: nothing was done", name);
    }
    return hws_rollout_load(&run->rollout, hws_buf_peek(bytes), hws_buf_len(bytes), &used,
                            &run->err);
}

/* Opens and loads; the caller ends with end_run. */
static int load(struct run *run, const char *dir, const char *name)
{
    struct hws_buf bytes;

    hws_buf_init(&bytes, HWS_ROLLOUT_MAX_JOURNAL_BYTES);
    enum hws_code rc = hws_fleet_journal_open(&run->journal, dir, name, false, &run->err);
    if (rc == HWS_OK) {
        rc = hws_fleet_journal_read(&run->journal, &bytes, &run->err);
    }
    if (rc == HWS_OK) {
        rc = rebuild(run, &bytes, name);
    }
    hws_buf_deinit(&bytes);
    return rc == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(run->cli, &run->err);
}

/* Loads for looking only, also while another process drives it: then *out_active. */
static int look(struct run *run, const char *dir, const char *name, bool *out_active)
{
    struct hws_buf bytes;

    hws_buf_init(&bytes, HWS_ROLLOUT_MAX_JOURNAL_BYTES);
    enum hws_code rc = hws_fleet_journal_open(&run->journal, dir, name, false, &run->err);
    *out_active = rc == HWS_E_STATE;
    if (rc == HWS_OK) {
        rc = hws_fleet_journal_read(&run->journal, &bytes, &run->err);
    } else if (*out_active) {
        rc = hws_fleet_journal_peek(dir, name, &bytes, &run->err);
    }
    if (rc == HWS_OK) {
        rc = rebuild(run, &bytes, name);
    }
    hws_buf_deinit(&bytes);
    return rc == HWS_OK ? HWS_EXIT_OK : hws_cli_fail_err(run->cli, &run->err);
}

/* What to tell about who drives it; NULL: nobody needs to. */
static const char *controller_of(const struct hws_rollout *r, bool active)
{
    if (active) {
        return "active";
    }
    return r->state == HWS_ROLLOUT_RUNNING || r->state == HWS_ROLLOUT_NEW
               ? "none: it was interrupted; go on with hawser rollout resume"
               : NULL;
}

static int check_name(struct hws_cli *cli, const char *name)
{
    bool bad = name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
               strlen(name) >= HWS_ROLLOUT_NAME_BYTES;

    return !bad ? HWS_EXIT_OK
                : hws_cli_fail(cli, HWS_EXIT_INVALID, "\"%.40s\" is no rollout's name", name);
}

int hws_cmd_rollout_status(struct hws_cli *cli)
{
    char dir[HWS_FLEET_PATH_BYTES];
    struct run run;
    bool active = false;
    int rc = check_name(cli, cli->args.args[0]);

    memset(&run, 0, sizeof(run));
    run.cli = cli;
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_state_dir(cli, dir, sizeof(dir));
    }
    if (rc == HWS_EXIT_OK) {
        rc = look(&run, dir, cli->args.args[0], &active);
    }
    if (rc == HWS_EXIT_OK) {
        hws_cli_rollout_doc(&cli->out, "hawser.rollout.status", &run.rollout,
                            controller_of(&run.rollout, active));
        rc = end_document(cli);
    }
    end_run(&run);
    return rc;
}

static int resume_loaded(struct run *run)
{
    struct hws_cli *cli = run->cli;
    enum hws_rollout_retry retry =
        cli->args.given[HWS_OPT_RETRY] ? HWS_ROLLOUT_RETRY_YES : HWS_ROLLOUT_RETRY_NO;
    int rc = prepare_for(cli, &run->rollout.plan);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (hws_rollout_resume(&run->rollout, retry, uv_now(&cli->loop), unix_ms(), &run->err) !=
        HWS_OK) {
        if (run->rollout.state != HWS_ROLLOUT_STOPPED) {
            return hws_cli_fail_err(cli, &run->err);
        }
        return hws_cli_fail(cli, HWS_EXIT_STATE,
                            "rollout %s is stopped: %s; put it right, then resume with --retry",
                            run->rollout.plan.name, run->rollout.reason);
    }
    return run_it(run);
}

int hws_cmd_rollout_resume(struct hws_cli *cli)
{
    char dir[HWS_FLEET_PATH_BYTES];
    struct run run;
    int rc = check_name(cli, cli->args.args[0]);

    memset(&run, 0, sizeof(run));
    run.cli = cli;
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_state_dir(cli, dir, sizeof(dir));
    }
    if (rc == HWS_EXIT_OK) {
        rc = load(&run, dir, cli->args.args[0]);
    }
    if (rc == HWS_EXIT_OK) {
        rc = resume_loaded(&run);
    }
    end_run(&run);
    return rc;
}

/* ---- list ---- */

static const struct hws_column list_columns[] = {
    {"name", "NAME", 0},         {"state", "STATE", 0},     {"active", "ACTIVE", 0},
    {"adapters", "ADAPTERS", 0}, {"ended", "ENDED", 0},     {"failed", "FAILED", 0},
    {"unknown", "UNKNOWN", 0},   {"created", "CREATED", 0}, {"changed", "CHANGED", 0},
    {"reason", "REASON", 0},
};

/* One that cannot be looked at now says why in place of its state. */
static void list_row(struct hws_cli *cli, const char *dir, const char *name)
{
    char created[HWS_CLI_TIME_BYTES] = "";
    char last[HWS_CLI_TIME_BYTES] = "";
    struct hws_cli quiet = {.error_told = true}; /* its errors are rows here */
    struct run run;

    memset(&run, 0, sizeof(run));
    run.cli = &quiet;
    bool active = false;
    bool ok = look(&run, dir, name, &active) == HWS_EXIT_OK;
    const struct hws_rollout *r = &run.rollout;
    if (ok) {
        hws_cli_time(r->created_unix_ms, created);
        hws_cli_time(r->changed_unix_ms, last);
    }
    const struct hws_cell cells[] = {
        hws_cell_text(name),
        hws_cell_text(ok ? hws_rollout_state_name(r->state) : "unreadable"),
        hws_cell_bool(active),
        ok ? hws_cell_uint(r->plan.n_targets) : hws_cell_none(),
        ok ? hws_cell_uint(n_ended(r)) : hws_cell_none(),
        ok ? hws_cell_uint(r->tally.n_failed) : hws_cell_none(),
        ok ? hws_cell_uint(r->tally.n_unknown) : hws_cell_none(),
        hws_cell_text(created),
        hws_cell_text(last),
        hws_cell_text(ok ? r->reason : run.err.msg),
    };
    hws_out_row(&cli->out, cells);
    end_run(&run);
}

#define MAX_LISTED 1024

struct name {
    char text[HWS_ROLLOUT_NAME_BYTES];
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* The names of the journals in a folder, sorted; at most MAX_LISTED. */
static size_t find_names(DIR *folder, struct name *names)
{
    size_t n = 0;

    for (struct dirent *e = readdir(folder); e != NULL && n < MAX_LISTED; e = readdir(folder)) {
        size_t len = strlen(e->d_name);
        if (len > 3 && e->d_name[0] != '.' && hws_str_eq(e->d_name + len - 3, ".db") &&
            hws_str_copy_n(names[n].text, sizeof(names[n].text), e->d_name, len - 3)) {
            n++;
        }
    }
    qsort(names, n, sizeof(*names), by_name);
    return n;
}

int hws_cmd_rollout_list(struct hws_cli *cli)
{
    char dir[HWS_FLEET_PATH_BYTES];
    struct name *names = NULL;
    size_t n = 0;
    int rc = hws_cli_state_dir(cli, dir, sizeof(dir));

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    DIR *folder = opendir(dir);
    if (folder == NULL && errno != ENOENT) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "cannot read %s: %s", dir, strerror(errno));
    }
    if (folder != NULL) {
        names = hws_mem_zalloc(MAX_LISTED, sizeof(*names));
        n = names == NULL ? 0 : find_names(folder, names);
        (void)closedir(folder);
    }
    hws_out_begin(&cli->out, "hawser.rollout.list", 1, false);
    hws_out_table(&cli->out, "rollouts", list_columns, HWS_CLI_N_OF(list_columns));
    for (size_t i = 0; i < n; i++) {
        list_row(cli, dir, names[i].text);
    }
    hws_mem_free(names);
    return end_document(cli);
}
