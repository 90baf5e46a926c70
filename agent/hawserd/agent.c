/*
 * The keeper's life.
 *
 * Happy path: folders and lock -> policy -> database -> door -> start or adopt the other processes
 * -> serve -> SIGTERM -> drain -> stop the others -> close everything -> 0.
 * Failures: configuration or policy (exit 3, no restart can help); a database that is damaged or
 * missing on an enrolled host (SAFE: reads only); a database that fails while serving (exit 4: the
 * next start opens it again and reads the cards).
 */
#include "hawserd/agent.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/build.h"
#include "common/file.h"
#include "common/log.h"
#include "hawserd/audit.h"
#include "hawserd/entry.h"
#include "hawserd/task.h"
#include "hawserd/user.h"
#include "hawserd/walls.h"
#include "sock/sock.h"
#include "store/offline.h"
#include "table/table.h"

#define TURNS_PER_WAIT 4
#define DRAIN_TICK_MS  20u

uint64_t hws_agent_now(const struct hws_agent *agent)
{
    return uv_now(&agent->loop);
}

uint64_t hws_agent_unix_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *hws_agent_state_name(int state)
{
    static const char *const names[HWS_AGENT_N_STATES] = {"serving", "draining", "safe"};

    return (unsigned)state < HWS_AGENT_N_STATES ? names[state] : "?";
}

bool hws_agent_takes_calls(const struct hws_agent *agent)
{
    return !agent->stopping_others;
}

enum hws_code hws_agent_may_change(const struct hws_agent *agent, struct hws_err *err)
{
    switch (agent->state) {
    case HWS_AGENT_SERVING:
        return HWS_OK;
    case HWS_AGENT_DRAINING:
        if (hws_agent_takes_calls(agent) && agent->state_reason[0] == '\0') {
            return HWS_OK;
        }
        return hws_err_set(err, HWS_E_GONE, "the agent is stopping");
    default:
        return hws_err_set(err, HWS_E_STATE, "changes are refused in state safe: %.210s",
                           agent->state_reason);
    }
}

void hws_agent_be_safe(struct hws_agent *agent, const char *why)
{
    struct hws_log_q q;

    hws_str_copy(agent->state_reason, sizeof(agent->state_reason), why);
    if (agent->state == HWS_AGENT_SERVING) {
        agent->state = HWS_AGENT_SAFE;
    }
    hws_log("state_safe", "reason=%s", hws_log_q(&q, why));
}

void hws_agent_adapters_changed(struct hws_agent *agent)
{
    agent->adapters_news = true;
}

/* ---- policy ---------------------------------------------------------------------------------- */

enum hws_code hws_agent_reload(struct hws_agent *agent, struct hws_err *err)
{
    enum hws_code trusted = hws_danger_read_trust(&agent->danger, err);
    if (trusted != HWS_OK) {
        struct hws_log_q q;
        hws_log("trust_refused", "reason=%s", hws_log_q(&q, err->msg));
        return trusted;
    }
    enum hws_code code = hws_rotation_change(&agent->rotation, NULL, 0, 0, err);

    if (code == HWS_OK || code == HWS_E_STATE) {
        /* A policy on trial keeps no certificate from being renewed. */
        hws_children_reload(&agent->children);
    }
    hws_audit_keys_reload(agent);
    return code;
}

/* ---- database -------------------------------------------------------------------------------- */

static void on_audit(void *data, uint64_t head_seq)
{
    struct hws_agent *agent = data;
    (void)head_seq;

    agent->audit_news = true;
}

/* Says in the journal when records begin to be lost and when the log tells of them. */
static void log_lost(struct hws_agent *agent, const struct hws_store_stats *stats)
{
    bool losing = stats->n_untold > 0;

    if (losing != agent->audit_losing) {
        agent->audit_losing = losing;
        hws_log(losing ? "audit_records_lost" : "audit_loss_recorded", "lost=%llu",
                (unsigned long long)stats->n_lost);
    }
}

static void on_store(uv_poll_t *poll, int status, int events)
{
    struct hws_agent *agent = poll->data;
    struct hws_store_stats stats;
    struct hws_err why;
    (void)status;
    (void)events;

    hws_store_turn(agent->store);
    if (agent->store_closed) {
        return;
    }
    hws_store_stats(agent->store, &stats);
    log_lost(agent, &stats);
    if (hws_store_failed(agent->store, &why)) {
        struct hws_log_q q;
        unsigned long long n_lost = stats.n_untold;
        n_lost += stats.n_on_loan;
        hws_log("database_failed", "reason=%s lost=%llu action=exit", hws_log_q(&q, why.msg),
                n_lost);
        /* What is on disk is in doubt: the next start opens it anew and reads the cards. */
        _exit(HWS_EXIT_FAILED);
    }
}

/* The marker that says: this host had a database once. */
static bool is_enrolled(const struct hws_agent *agent, char *marker, size_t cap)
{
    return hws_str_print(marker, cap, "%s/enrolled", agent->config.state_dir) &&
           access(marker, F_OK) == 0;
}

static enum hws_code open_database(struct hws_agent *agent, struct hws_err *err)
{
    char path[HWS_CONFIG_PATH_BYTES + 16];
    char marker[HWS_CONFIG_PATH_BYTES + 16];
    struct hws_store_options o = {
        .path = path,
        .audit_cb = on_audit,
        .data = agent,
        .host = agent->config.host,
        .max_audit_rows = agent->config.audit_max_records,
        .max_audit_bytes = agent->config.audit_max_bytes,
        .max_audit_ms = agent->config.audit_max_age_ms,
        .sign_records = agent->config.audit_sign_records,
        .sign_ms = agent->config.audit_sign_ms,
    };
    struct stat st;

    bool enrolled = is_enrolled(agent, marker, sizeof(marker));
    hws_str_print(path, sizeof(path), "%s/hawser.db", agent->config.state_dir);
    if (enrolled && stat(path, &st) != 0) {
        return hws_err_set(err, HWS_E_PROTO, "the database is missing on an enrolled host");
    }
    /* Before the key, which an earlier version had none of: that is not what is wrong. */
    enum hws_code code = hws_store_check_schema(path, err);
    if (code != HWS_OK) {
        return code;
    }
    code = hws_audit_keys_open(&agent->audit_keys, agent->config.state_dir, !enrolled, err);
    if (code != HWS_OK) {
        return code;
    }
    o.signer = hws_audit_keys_used(&agent->audit_keys);
    o.next_signer = hws_audit_keys_next(&agent->audit_keys);
    code = hws_store_open(&o, &agent->store, err);
    if (code != HWS_OK) {
        agent->store = NULL;
        return code;
    }
    hws_audit_keys_settle(agent);
    if (!enrolled) {
        code = hws_file_replace(marker, "1\n", 2, err);
    }
    return code;
}

static enum hws_code watch_database(struct hws_agent *agent, struct hws_err *err)
{
    agent->store_poll.data = agent;
    if (uv_poll_init(&agent->loop, &agent->store_poll, hws_store_fd(agent->store)) != 0 ||
        uv_poll_start(&agent->store_poll, UV_READABLE, on_store) != 0) {
        return hws_err_set(err, HWS_E_IO, "cannot watch the database");
    }
    agent->store_watched = true;
    return HWS_OK;
}

/* A database that cannot be trusted leaves the agent SAFE; one in use by another process ends it.
 */
static enum hws_code start_database(struct hws_agent *agent, struct hws_err *err)
{
    enum hws_code code = open_database(agent, err);

    if (code == HWS_OK) {
        code = watch_database(agent, err);
        hws_danger_load(&agent->danger);
        return code == HWS_OK ? hws_recover_start(&agent->recover, agent, err) : code;
    }
    char why[HWS_ERR_MSG_BYTES];
    if (code == HWS_E_UNSUPPORTED) {
        hws_str_print(
            why, sizeof(why),
            "%.110s; go back to that version, or move hawser.db* (the -wal file with it), "
            "audit.key and `enrolled` to an archive to begin anew",
            err->msg);
        hws_agent_be_safe(agent, why);
        return HWS_OK;
    }
    if (code == HWS_E_BUSY) {
        hws_str_print(why, sizeof(why), "%.110s; free some disk space, then restart", err->msg);
        hws_agent_be_safe(agent, why);
        return HWS_OK;
    }
    if (code == HWS_E_PROTO || code == HWS_E_IO || code == HWS_E_CONFLICT) {
        hws_str_print(
            why, sizeof(why),
            "%.110s; restore hawser.db and audit.key, or move them and the file `enrolled` "
            "away to begin anew",
            err->msg);
        hws_agent_be_safe(agent, why);
        return HWS_OK;
    }
    return code;
}

/* ---- signals and drain ----------------------------------------------------------------------- */

static void close_all(struct hws_agent *agent);

/* Is there something that a drain waits for? */
static bool is_working(struct hws_agent *agent, uint64_t now_ms)
{
    if (agent->n_ops > 0) {
        agent->last_worked_ms = now_ms;
        return true;
    }
    return hws_wire_attached(&agent->wire) &&
           (now_ms - agent->drain_started_ms < HWS_AGENT_NOTICE_MS ||
            (hws_wire_owes(&agent->wire) && now_ms - agent->last_worked_ms < HWS_AGENT_ANSWER_MS));
}

static void on_drain_tick(uv_timer_t *timer)
{
    struct hws_agent *agent = timer->data;
    uint64_t now_ms = hws_agent_now(agent);
    uint64_t age_ms = now_ms - agent->drain_started_ms;

    if (!agent->stopping_others) {
        if (is_working(agent, now_ms) && age_ms < HWS_AGENT_DRAIN_MS) {
            agent->stop_followers = true; /* also those that came meanwhile */
            return;
        }
        agent->stopping_others = true;
        hws_ctl_ipc_drain(&agent->devices.ipc);
        hws_devices_kick(&agent->devices);
        agent->stop_started_ms = now_ms;
        if (!agent->options->no_spawn) {
            hws_children_kill(&agent->children, SIGTERM);
        }
        return;
    }
    uint64_t stopped_ms = now_ms - agent->stop_started_ms;
    /* The end of the device process's connection ends the commands it had, so that is awaited, too.
     */
    bool away =
        !hws_children_running(&agent->children) && !hws_ctl_ipc_attached(&agent->devices.ipc);
    if (!away && !agent->options->no_spawn) {
        if (stopped_ms > HWS_AGENT_STOP_MS) {
            hws_children_kill(&agent->children, SIGKILL);
        }
        if (stopped_ms < 2 * (uint64_t)HWS_AGENT_STOP_MS) {
            return;
        }
    }
    close_all(agent);
}

void hws_agent_drain(struct hws_agent *agent)
{
    if (agent->draining) {
        return;
    }
    hws_log("draining", "operations=%zu", agent->n_ops);
    agent->draining = true;
    agent->state = HWS_AGENT_DRAINING;
    agent->drain_started_ms = hws_agent_now(agent);
    agent->last_worked_ms = agent->drain_started_ms;
    hws_children_stop(&agent->children);
    hws_wire_drain(&agent->wire);
    agent->stop_followers = true;
    (void)uv_timer_start(&agent->drain_timer, on_drain_tick, 0, DRAIN_TICK_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct hws_agent *agent = handle->data;

    if (number == SIGHUP) {
        struct hws_err err;
        (void)!hws_agent_reload(agent, &err); /* logged there */
        return;
    }
    hws_agent_drain(agent);
}

static void watch_signals(struct hws_agent *agent)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)uv_signal_init(&agent->loop, &agent->signals[i]);
        agent->signals[i].data = agent;
        (void)uv_signal_start(&agent->signals[i], on_signal, numbers[i]);
        sigaddset(&set, numbers[i]);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    sigaddset(&set, SIGCHLD); /* libuv's own; without it no child is ever reaped */
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* the supervisor keeps them blocked until now */
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void spread_news(struct hws_agent *agent)
{
    if (agent->recover.due) {
        hws_recover_turn(&agent->recover);
    }
    if (agent->adapters_news) {
        agent->adapters_news = false;
        hws_task_news(agent, HWS_FOLLOW_ADAPTERS);
    }
    if (agent->audit_news) {
        agent->audit_news = false;
        hws_task_news(agent, HWS_FOLLOW_AUDIT);
    }
    if (agent->stop_followers) {
        agent->stop_followers = false;
        hws_task_stop_followers(agent);
    }
}

/* Before each wait: everything that is due is done, and what is to leave leaves. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct hws_agent *agent = prepare->data;

    for (int i = 0; i < TURNS_PER_WAIT; i++) {
        hws_devices_turn(&agent->devices);
        spread_news(agent);
        hws_wire_turn(&agent->wire);
        if (!agent->devices.kicked && !agent->adapters_news && !agent->audit_news) {
            return;
        }
    }
    hws_devices_again(&agent->devices);
}

static void closed_store(void *data)
{
    struct hws_agent *agent = data;

    agent->store_closed = true;
    uv_close((uv_handle_t *)&agent->store_poll, NULL);
}

static void close_all(struct hws_agent *agent)
{
    if (agent->closing) {
        return;
    }
    agent->closing = true;
    hws_door_close(&agent->door);
    hws_children_close(&agent->children);
    hws_wire_close(&agent->wire);
    hws_devices_close(&agent->devices);
    hws_rotation_close(&agent->rotation);
    hws_barred_close(&agent->barred);
    hws_late_close(&agent->late);
    uv_close((uv_handle_t *)&agent->prepare, NULL);
    uv_close((uv_handle_t *)&agent->drain_timer, NULL);
    uv_close((uv_handle_t *)&agent->refused_timer, NULL);
    hws_audit_tell_refused(agent, true);
    uv_close((uv_handle_t *)&agent->alive, NULL);
    for (size_t i = 0; i < sizeof(agent->signals) / sizeof(agent->signals[0]); i++) {
        uv_close((uv_handle_t *)&agent->signals[i], NULL);
    }
    if (agent->store != NULL && agent->store_watched) {
        hws_store_close(agent->store, closed_store, agent);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

static enum hws_code take_folders(struct hws_agent *agent, struct hws_err *err)
{
    char lock[HWS_CONFIG_PATH_BYTES + 16];
    enum hws_code code = hws_file_make_dir(agent->config.run_dir, err);

    if (code == HWS_OK) {
        code = hws_file_make_dir(agent->config.state_dir, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    hws_str_print(lock, sizeof(lock), "%s/hawserd.lock", agent->config.run_dir);
    code = hws_sock_lock(lock, &agent->lock_fd, err);
    return code == HWS_OK ? HWS_OK : hws_err_wrap(err, "%s", agent->config.run_dir);
}

static enum hws_code hash_table(struct hws_agent *agent, struct hws_err *err)
{
    struct hws_buf text;

    hws_buf_init(&text, 0);
    enum hws_code code = hws_table_text(&text);
    if (code == HWS_OK) {
        code = hws_sha256_of(hws_buf_peek(&text), hws_buf_len(&text), &agent->table_hash);
    }
    hws_buf_deinit(&text);
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "out of memory");
}

static void on_alive(uv_timer_t *timer)
{
    const struct hws_agent *agent = timer->data;

    hws_notify_say(&agent->notify, "WATCHDOG=1");
}

static void tell_ready(struct hws_agent *agent)
{
    hws_notify_say(&agent->notify, "READY=1");
    if (agent->notify.watchdog_ms > 0) {
        (void)uv_timer_start(&agent->alive, on_alive, agent->notify.watchdog_ms,
                             agent->notify.watchdog_ms);
        uv_unref((uv_handle_t *)&agent->alive);
    }
}

static enum hws_code start(struct hws_agent *agent, struct hws_err *err)
{
    enum hws_code code;

    agent->danger.agent = agent;
    if ((code = take_folders(agent, err)) != HWS_OK || (code = hash_table(agent, err)) != HWS_OK ||
        (code = hws_rotation_start(&agent->rotation, agent, err)) != HWS_OK) {
        return code;
    }
    (void)uv_prepare_init(&agent->loop, &agent->prepare);
    agent->prepare.data = agent;
    (void)uv_timer_init(&agent->loop, &agent->drain_timer);
    agent->drain_timer.data = agent;
    (void)uv_timer_init(&agent->loop, &agent->refused_timer);
    agent->refused_timer.data = agent;
    (void)uv_timer_init(&agent->loop, &agent->alive);
    agent->alive.data = agent;
    hws_late_open(&agent->late, agent);
    hws_wire_open(&agent->wire, agent);
    watch_signals(agent);
    agent->handles_open = true;
    /* The spawner is forked before the walls stand; the store's thread is started behind them. */
    if ((code = hws_children_open(&agent->children, agent, err)) != HWS_OK ||
        (code = hws_walls_enter(agent, err)) != HWS_OK ||
        (code = hws_devices_open(&agent->devices, agent, err)) != HWS_OK ||
        (code = hws_spool_open(&agent->spool, agent->config.state_dir, err)) != HWS_OK ||
        (code = hws_barred_open(&agent->barred, agent, err)) != HWS_OK ||
        (code = start_database(agent, err)) != HWS_OK ||
        (code = hws_door_open(&agent->door, agent, agent->children.socket, agent->listener, err)) !=
            HWS_OK ||
        (code = hws_sandbox_settle(HWS_SANDBOX_KEEPER, err)) != HWS_OK) {
        return code;
    }
    hws_rotation_watch(&agent->rotation);
    (void)uv_prepare_start(&agent->prepare, on_prepare);
    hws_children_start(&agent->children);
    tell_ready(agent);
    char hex[HWS_DIGEST_HEX_BYTES];
    hws_digest_hex(hws_policy_hash(agent->policy), hex);
    hws_log("started", "sha256=%s", hex);
    return HWS_OK;
}

static void deinit(struct hws_agent *agent)
{
    hws_devices_deinit(&agent->devices);
    hws_spool_deinit(&agent->spool);
    hws_recover_deinit(&agent->recover);
    hws_late_deinit(&agent->late);
    hws_rotation_deinit(&agent->rotation);
    hws_danger_deinit(&agent->danger);
    hws_barred_deinit(&agent->barred);
    hws_policy_unref(agent->policy);
    hws_audit_keys_deinit(&agent->audit_keys);
    hws_sock_close(&agent->lock_fd);
}

static int serve(struct hws_agent *agent)
{
    struct hws_err err;
    int status = HWS_EXIT_OK;

    if (start(agent, &err) != HWS_OK) {
        struct hws_log_q q;
        hws_log("start_failed", "reason=%s", hws_log_q(&q, err.msg));
        status = HWS_EXIT_CONFIG;
        if (agent->handles_open) {
            close_all(agent);
        }
    }
    (void)uv_run(&agent->loop, UV_RUN_DEFAULT);
    if (agent->n_ops > 0) {
        /* Work that did not end in time still refers to what deinit would free. */
        hws_log("stopped", "status=%d unfinished=%zu", status, agent->n_ops);
        _exit(status);
    }
    hws_notify_close(&agent->notify);
    deinit(agent);
    hws_log("stopped", "status=%d unfinished=0", status);
    return status;
}

int hws_agent_run(const struct hws_config *config, const struct hws_options *options)
{
    struct hws_agent *agent = hws_mem_zalloc(1, sizeof(*agent));
    struct hws_err err;
    int status = HWS_EXIT_FAILED;

    if (agent == NULL) {
        return status;
    }
    agent->config = *config;
    hws_rates_init(&agent->rates, config->rates_per_min);
    agent->options = options;
    agent->lock_fd = -1;
    agent->door.fd = -1;
    hws_list_init(&agent->ops);
    hws_notify_open(&agent->notify);
    agent->listener = hws_notify_listener();
    hws_common_build_id(agent->build_id, sizeof(agent->build_id));
    if (hws_sandbox_no_rings(&err) != HWS_OK) {
        struct hws_log_q q;
        hws_log("start_failed", "reason=%s", hws_log_q(&q, err.msg));
    } else if (uv_loop_init(&agent->loop) == 0) {
        agent->started_ms = hws_agent_now(agent);
        if (getrandom(&agent->generation, sizeof(agent->generation), 0) > 0 &&
            agent->generation != 0) {
            status = serve(agent);
        }
        (void)uv_loop_close(&agent->loop);
    }
    hws_mem_free(agent);
    return status;
}
