/* Starting and adopting processes; child.c says when. */
#include "hawserd/children.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "sock/sock.h"

static void turn(struct hws_children *c);
static enum hws_code open_spawner(struct hws_children *c, struct hws_err *err);

/* ---- programs and arguments ------------------------------------------------------------------ */

/* Where the other programs are: --bin-dir, or beside our own executable. */
static bool bin_dir(const struct hws_options *options, char *dst, size_t cap)
{
    if (options->bin_dir != NULL) {
        return hws_str_copy(dst, cap, options->bin_dir);
    }
    ssize_t n = readlink("/proc/self/exe", dst, cap - 1);
    if (n <= 0) {
        return false;
    }
    dst[n] = '\0';
    char *slash = strrchr(dst, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

bool hws_children_program(const struct hws_options *options, const char *name, char *dst,
                          size_t cap)
{
    char dir[HWS_CHILDREN_PATH_BYTES];

    return bin_dir(options, dir, sizeof(dir)) && hws_str_print(dst, cap, "%s/%s", dir, name);
}

static void wire_args(struct hws_children *c, const struct hws_config *cfg)
{
    const char **a = c->wire.args;

    *a++ = c->wire.program;
    *a++ = "--hawserd-socket";
    *a++ = c->socket;
    *a++ = "--lock";
    *a++ = c->wire.lock;
    *a++ = "--local-socket";
    *a++ = c->local;
    *a++ = "--run-dir";
    *a++ = c->wire_dir;
    if (cfg->listen[0] != '\0') {
        *a++ = "--listen";
        *a++ = cfg->listen;
        *a++ = "--cert";
        *a++ = cfg->tls_cert;
        *a++ = "--key";
        *a++ = cfg->tls_key;
        *a++ = "--ca";
        *a++ = cfg->tls_ca;
        if (cfg->tls_crl[0] != '\0') {
            *a++ = "--crl";
            *a++ = cfg->tls_crl;
        }
        if (cfg->tls_deny[0] != '\0') {
            *a++ = "--deny";
            *a++ = cfg->tls_deny;
        }
        for (size_t i = 0; i < cfg->n_tls_trust; i++) {
            *a++ = "--trust";
            *a++ = cfg->tls_trust[i];
        }
        *a++ = "--records";
        *a++ = cfg->tls_records;
    }
    for (size_t i = 0; i < cfg->n_limits; i++) {
        *a++ = "--limit";
        *a++ = cfg->limits[i];
    }
    *a = NULL;
}

static void device_args(struct hws_children *c, const struct hws_config *cfg)
{
    const char **a = c->device.args;

    *a++ = c->device.program;
    *a++ = "--socket";
    *a++ = c->socket;
    *a++ = "--lock";
    *a++ = c->device.lock;
    if (cfg->trust[0] != '\0') {
        *a++ = "--trust";
        *a++ = cfg->trust;
        *a++ = "--memory";
        *a++ = cfg->memory;
    }
    if (cfg->backend == HWS_BACKEND_EMU) {
        *a++ = "--state-dir";
        *a++ = cfg->state_dir;
        *a++ = "--control";
        *a++ = c->control;
        for (size_t i = 0; i < cfg->n_profiles; i++) {
            *a++ = "--profile";
            *a++ = cfg->profiles[i];
        }
    }
    *a = NULL;
}

enum hws_code hws_children_open(struct hws_children *c, struct hws_agent *agent,
                                struct hws_err *err)
{
    const struct hws_config *cfg = &agent->config;
    const struct hws_options *options = agent->options;
    uint64_t now_ms = hws_agent_now(agent);
    bool emu = cfg->backend == HWS_BACKEND_EMU;

    c->agent = agent;
    c->wire.name = "hawser-wire";
    c->wire.role = HWS_LINK_ROLE_WIRE;
    c->wire.all = c;
    c->device.name = emu ? "hawser-emu" : "hawser-dev";
    c->device.role = HWS_LINK_ROLE_DEVICE;
    c->device.number = 1;
    c->device.all = c;
    if (!hws_children_program(options, c->wire.name, c->wire.program, sizeof(c->wire.program)) ||
        !hws_children_program(options, c->device.name, c->device.program,
                              sizeof(c->device.program)) ||
        !hws_str_print(c->socket, sizeof(c->socket), "%s/hawserd.sock", cfg->run_dir) ||
        !hws_str_print(c->wire_dir, sizeof(c->wire_dir), "%s/wire", cfg->run_dir) ||
        !hws_str_print(c->local, sizeof(c->local), "%s/wire/hawser.sock", cfg->run_dir) ||
        !hws_str_print(c->control, sizeof(c->control), "%s/emu.control", cfg->run_dir) ||
        !hws_str_print(c->wire.lock, sizeof(c->wire.lock), "%s/wire/wire.lock", cfg->run_dir) ||
        !hws_str_print(c->device.lock, sizeof(c->device.lock), "%s/dev.lock", cfg->run_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "a path of the other programs is too long");
    }
    wire_args(c, cfg);
    device_args(c, cfg);
    hws_child_init(&c->wire.child, agent->options->no_spawn, now_ms);
    hws_child_init(&c->device.child, agent->options->no_spawn, now_ms);
    return open_spawner(c, err);
}

/* ---- spawning -------------------------------------------------------------------------------- */

static void failed(struct hws_process *p, const char *reason)
{
    struct hws_log_q q;

    hws_log("start_failed", "name=%s reason=%s", p->name, hws_log_q(&q, reason));
    p->spawned = false;
    hws_child_exited(&p->child, hws_agent_now(p->all->agent));
}

static void spawn(struct hws_process *p)
{
    struct hws_err err;

    hws_child_spawned(&p->child, hws_agent_now(p->all->agent));
    p->spawned = true;
    p->pid = 0;
    if (hws_spawner_start(&p->all->spawner, p->number, &err) != HWS_OK) {
        failed(p, err.msg);
    }
}

static void ended(struct hws_process *p, const struct hws_spawner_event *e)
{
    if (!p->all->stopping) {
        hws_log("process_ended", "name=%s pid=%d status=%d signal=%d", p->name, p->pid, e->value,
                e->signal);
    }
    p->spawned = false;
    p->pid = 0;
    hws_devices_process_ended(&p->all->agent->devices);
    hws_child_exited(&p->child, hws_agent_now(p->all->agent));
}

/* The end of one that was left to the kernel concerns nobody: another one runs in its place. */
static void forget(struct hws_process *p, int pid)
{
    for (size_t i = 0; i < HWS_CHILDREN_MAX_LEFT; i++) {
        if (p->left[i] == pid) {
            p->left[i] = 0;
            hws_devices_process_ended(&p->all->agent->devices);
        }
    }
}

static void on_event(struct hws_children *c, const struct hws_spawner_event *e)
{
    struct hws_process *p = e->program == c->wire.number ? &c->wire : &c->device;

    if (e->news == HWS_SPAWNER_STARTED) {
        p->pid = e->pid;
        hws_log("process_started", "name=%s pid=%d", p->name, p->pid);
    } else if (e->news == HWS_SPAWNER_FAILED) {
        failed(p, strerror(e->value));
    } else if (e->program < HWS_SPAWNER_PROGRAMS && p->spawned && p->pid == e->pid) {
        ended(p, e);
    } else {
        forget(&c->wire, e->pid);
        forget(&c->device, e->pid);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct hws_children *c = poll->data;
    struct hws_spawner_event e;
    enum hws_code code;
    (void)status;
    (void)events;

    while ((code = hws_spawner_next(&c->spawner, &e)) == HWS_OK) {
        on_event(c, &e);
    }
    if (code == HWS_E_GONE) {
        hws_log("spawner_gone", "pid=%d", (int)c->spawner.pid);
        (void)uv_poll_stop(poll);
        c->wire.spawned = false;
        c->device.spawned = false;
        if (!c->stopping) {
            /* Nothing could be started any more. The next hawserd has a spawner, and adopts what
             * runs. */
            _exit(HWS_EXIT_FAILED);
        }
    }
    turn(c);
}

static enum hws_code open_spawner(struct hws_children *c, struct hws_err *err)
{
    const char *const *const argv[HWS_SPAWNER_PROGRAMS] = {c->wire.args, c->device.args};
    struct hws_agent *agent = c->agent;

    c->spawner.fd = -1;
    if (!agent->options->no_spawn) {
        enum hws_code code = hws_spawner_open(&c->spawner, argv, err);
        if (code != HWS_OK) {
            return code;
        }
        if (uv_poll_init(&agent->loop, &c->poll, c->spawner.fd) != 0) {
            hws_spawner_close(&c->spawner);
            return hws_err_set(err, HWS_E_IO, "cannot watch the spawner");
        }
        c->poll.data = c;
        (void)uv_poll_start(&c->poll, UV_READABLE, on_poll);
        uv_unref((uv_handle_t *)&c->poll);
    }
    (void)uv_timer_init(&agent->loop, &c->timer);
    c->timer.data = c;
    c->open = true;
    return HWS_OK;
}

static void kill_process(const struct hws_process *p, int signal)
{
    /* The connection proves that the pid is still that process. */
    if (hws_child_connected(&p->child)) {
        (void)uv_kill((int)p->child.pid, signal);
    } else if (p->spawned) {
        hws_spawner_kill(&p->all->spawner, p->number, signal);
    }
}

/*
 * A process whose thread the kernel does not let go has no end to be reaped although its connection
 * and its lock are gone: it is left to the kernel, and another one may start. Its exit, should it
 * come, concerns nobody.
 */
static void leave_behind(struct hws_process *p, uint64_t now_ms)
{
    size_t i = 0;

    if (p->child.state != HWS_CHILD_AWAY || !p->spawned ||
        now_ms - p->child.since_ms < HWS_CHILDREN_REAP_MS ||
        hws_sock_lock_free(p->lock, NULL) != HWS_OK) {
        return;
    }
    while (i < HWS_CHILDREN_MAX_LEFT && p->left[i] != 0) {
        i++;
    }
    if (i < HWS_CHILDREN_MAX_LEFT) {
        hws_log("process_left_behind", "name=%s pid=%d reason=\"a thread is stuck in the kernel\"",
                p->name, p->pid);
        p->left[i] = p->pid;
        p->spawned = false;
        p->pid = 0;
    }
}

/* One child: does what its state machine says; returns when to look again. */
static uint64_t turn_one(struct hws_process *p, uint64_t now_ms)
{
    uint64_t next_ms;

    leave_behind(p, now_ms);
    /* One that we started is also reaped first: its connection may end before its exit is seen. */
    bool is_free = p->child.state == HWS_CHILD_AWAY && !p->spawned &&
                   hws_sock_lock_free(p->lock, NULL) == HWS_OK;

    switch (hws_child_turn(&p->child, is_free, now_ms, &next_ms)) {
    case HWS_CHILD_SPAWN:
        spawn(p);
        return now_ms + HWS_CHILD_POLL_MS;
    case HWS_CHILD_KILL:
        hws_log("process_silent", "name=%s", p->name);
        kill_process(p, SIGKILL);
        hws_child_exited(&p->child, now_ms);
        return now_ms + HWS_CHILD_POLL_MS;
    case HWS_CHILD_WAIT:
        break;
    }
    return next_ms;
}

/* Whether an adopted process is there that is not the connected one. Its exit status is another's;
 * that its number belongs to nobody of our user any more tells its end. */
static bool foreign_lingers(const struct hws_process *p)
{
    bool connected = hws_child_connected(&p->child) && (int)p->child.pid == p->foreign;

    return p->foreign != 0 && !connected && uv_kill(p->foreign, 0) == 0;
}

/* Looks for the end of an adopted process; returns when to look again. */
static uint64_t turn_foreign(struct hws_process *p, uint64_t now_ms)
{
    if (p->foreign == 0 || (hws_child_connected(&p->child) && (int)p->child.pid == p->foreign)) {
        return UINT64_MAX;
    }
    if (foreign_lingers(p)) {
        return now_ms + HWS_CHILD_POLL_MS;
    }
    hws_log("process_ended", "name=%s pid=%d adopted=yes", p->name, p->foreign);
    p->foreign = 0;
    hws_devices_process_ended(&p->all->agent->devices);
    return UINT64_MAX;
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static void turn(struct hws_children *c)
{
    if (!c->open || c->stopping) {
        return;
    }
    uint64_t now_ms = hws_agent_now(c->agent);
    uint64_t a = turn_one(&c->wire, now_ms);
    uint64_t b = turn_one(&c->device, now_ms);
    uint64_t f = turn_foreign(&c->device, now_ms);
    uint64_t next_ms = a < b ? a : b;

    next_ms = f < next_ms ? f : next_ms;
    if (next_ms == UINT64_MAX) {
        (void)uv_timer_stop(&c->timer);
        return;
    }
    (void)uv_timer_start(&c->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 1, 0);
}

void hws_children_start(struct hws_children *c)
{
    turn(c);
}

/* ---- what happens to them -------------------------------------------------------------------- */

static struct hws_process *by_role(struct hws_children *c, enum hws_link_role role)
{
    return role == HWS_LINK_ROLE_WIRE ? &c->wire : &c->device;
}

void hws_children_hello(struct hws_children *c, const struct hws_link_hello *hello)
{
    struct hws_process *p = by_role(c, (enum hws_link_role)hello->role);
    bool ours = p->spawned && p->pid == (int)hello->pid;

    p->foreign = ours ? p->foreign : (int)hello->pid;
    hws_child_hello(&p->child, hello->pid, hello->generation, hws_agent_now(c->agent));
    hws_log("process_connected", "name=%s pid=%u generation=%016llx adopted=%s running=%u", p->name,
            hello->pid, (unsigned long long)hello->generation, ours ? "no" : "yes",
            hello->n_running);
    turn(c);
}

void hws_children_lost(struct hws_children *c, enum hws_link_role role, const struct hws_err *why)
{
    struct hws_process *p = by_role(c, role);

    if (!c->stopping) {
        struct hws_log_q q;
        hws_log("process_lost", "name=%s pid=%u reason=%s", p->name, p->child.pid,
                hws_log_q(&q, why == NULL ? "" : why->msg));
    }
    hws_child_lost(&p->child, hws_agent_now(c->agent));
    turn(c);
}

bool hws_children_device_is_watched(const struct hws_children *c)
{
    return c->device.spawned || c->device.foreign != 0;
}

bool hws_children_device_lingers(const struct hws_children *c)
{
    const struct hws_process *p = &c->device;
    bool lingers = (p->spawned && p->child.state == HWS_CHILD_AWAY) || foreign_lingers(p);

    for (size_t i = 0; i < HWS_CHILDREN_MAX_LEFT; i++) {
        lingers = lingers || p->left[i] != 0;
    }
    return lingers;
}

void hws_children_stop(struct hws_children *c)
{
    c->stopping = true;
    if (c->open) {
        (void)uv_timer_stop(&c->timer);
    }
}

/* Until it is reaped where it is our child: it frees its lock a little before its end. */
static bool runs(const struct hws_process *p)
{
    return p->spawned || hws_sock_lock_free(p->lock, NULL) != HWS_OK;
}

bool hws_children_running(const struct hws_children *c)
{
    return runs(&c->wire) || runs(&c->device);
}

void hws_children_reload(struct hws_children *c)
{
    if (hws_child_connected(&c->wire.child)) {
        kill_process(&c->wire, SIGHUP);
    }
}

void hws_children_kill(struct hws_children *c, int signal)
{
    kill_process(&c->wire, signal);
    kill_process(&c->device, signal);
}

void hws_children_close(struct hws_children *c)
{
    if (!c->open) {
        return;
    }
    c->open = false;
    if (c->spawner.fd >= 0) {
        uv_close((uv_handle_t *)&c->poll, NULL);
        hws_spawner_close(&c->spawner);
    }
    uv_close((uv_handle_t *)&c->timer, NULL);
}
