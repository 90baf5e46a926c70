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

/* ---- programs and arguments ------------------------------------------------------------------ */

/* Where the other programs are: --bin-dir, or beside our own executable. */
static bool bin_dir(const struct hws_agent *agent, char *dst, size_t cap)
{
    if (agent->options->bin_dir != NULL) {
        return hws_str_copy(dst, cap, agent->options->bin_dir);
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
    *a++ = cfg->run_dir;
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
    char dir[HWS_CHILDREN_PATH_BYTES];
    uint64_t now_ms = hws_agent_now(agent);
    bool emu = cfg->backend == HWS_BACKEND_EMU;

    c->agent = agent;
    c->wire.name = "hawser-wire";
    c->wire.role = HWS_LINK_ROLE_WIRE;
    c->wire.all = c;
    c->device.name = emu ? "hawser-emu" : "hawser-dev";
    c->device.role = HWS_LINK_ROLE_DEVICE;
    c->device.all = c;
    if (!bin_dir(agent, dir, sizeof(dir)) ||
        !hws_str_print(c->wire.program, sizeof(c->wire.program), "%s/%s", dir, c->wire.name) ||
        !hws_str_print(c->device.program, sizeof(c->device.program), "%s/%s", dir,
                       c->device.name) ||
        !hws_str_print(c->socket, sizeof(c->socket), "%s/hawserd.sock", cfg->run_dir) ||
        !hws_str_print(c->local, sizeof(c->local), "%s/hawser.sock", cfg->run_dir) ||
        !hws_str_print(c->control, sizeof(c->control), "%s/emu.control", cfg->run_dir) ||
        !hws_str_print(c->wire.lock, sizeof(c->wire.lock), "%s/wire.lock", cfg->run_dir) ||
        !hws_str_print(c->device.lock, sizeof(c->device.lock), "%s/dev.lock", cfg->run_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "a path of the other programs is too long");
    }
    wire_args(c, cfg);
    device_args(c, cfg);
    hws_child_init(&c->wire.child, agent->options->no_spawn, now_ms);
    hws_child_init(&c->device.child, agent->options->no_spawn, now_ms);
    (void)uv_timer_init(&agent->loop, &c->timer);
    c->timer.data = c;
    c->open = true;
    return HWS_OK;
}

/* ---- spawning -------------------------------------------------------------------------------- */

static void free_process(uv_handle_t *handle)
{
    hws_mem_free(handle);
}

static void on_exit_cb(uv_process_t *process, int64_t status, int signal)
{
    struct hws_process *p = process->data;

    uv_close((uv_handle_t *)process, free_process);
    if (p == NULL) {
        return; /* the agent is closing */
    }
    for (size_t i = 0; i < HWS_CHILDREN_MAX_LEFT; i++) {
        if (p->left[i] == process) {
            p->left[i] = NULL;
            hws_devices_process_ended(&p->all->agent->devices);
            return; /* another one runs in its place */
        }
    }
    p->spawned = NULL;
    hws_devices_process_ended(&p->all->agent->devices);
    if (!p->all->stopping) {
        hws_log("process_ended", "name=%s pid=%d status=%lld signal=%d", p->name,
                (int)uv_process_get_pid(process), (long long)status, signal);
    }
    hws_child_exited(&p->child, hws_agent_now(p->all->agent));
    turn(p->all);
}

static void spawn(struct hws_process *p)
{
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t o = {
        .exit_cb = on_exit_cb,
        .file = p->program,
        .args = (char **)p->args,
        .flags = UV_PROCESS_DETACHED, /* a signal to our terminal's group is ours alone */
        .stdio_count = 3,
        .stdio = stdio,
    };
    uint64_t now_ms = hws_agent_now(p->all->agent);

    hws_child_spawned(&p->child, now_ms);
    uv_process_t *process = hws_mem_zalloc(1, sizeof(*process));
    int rc = process == NULL ? UV_ENOMEM : uv_spawn(&p->all->agent->loop, process, &o);
    if (rc != 0) {
        struct hws_log_q q;
        hws_log("start_failed", "name=%s reason=%s", p->name, hws_log_q(&q, uv_strerror(rc)));
        if (process != NULL) {
            uv_close((uv_handle_t *)process, free_process);
        }
        hws_child_exited(&p->child, now_ms);
        return;
    }
    process->data = p;
    uv_unref((uv_handle_t *)process);
    p->spawned = process;
    hws_log("process_started", "name=%s pid=%d", p->name, (int)uv_process_get_pid(process));
}

static void kill_process(const struct hws_process *p, int signal)
{
    /* The connection proves that the pid is still that process. */
    if (hws_child_connected(&p->child)) {
        (void)uv_kill((int)p->child.pid, signal);
    } else if (p->spawned != NULL) {
        (void)uv_process_kill(p->spawned, signal);
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

    if (p->child.state != HWS_CHILD_AWAY || p->spawned == NULL ||
        now_ms - p->child.since_ms < HWS_CHILDREN_REAP_MS ||
        hws_sock_lock_free(p->lock, NULL) != HWS_OK) {
        return;
    }
    while (i < HWS_CHILDREN_MAX_LEFT && p->left[i] != NULL) {
        i++;
    }
    if (i < HWS_CHILDREN_MAX_LEFT) {
        hws_log("process_left_behind", "name=%s pid=%d reason=\"a thread is stuck in the kernel\"",
                p->name, (int)uv_process_get_pid(p->spawned));
        p->left[i] = p->spawned;
        p->spawned = NULL;
    }
}

/* One child: does what its state machine says; returns when to look again. */
static uint64_t turn_one(struct hws_process *p, uint64_t now_ms)
{
    uint64_t next_ms;

    leave_behind(p, now_ms);
    /* One that we started is also reaped first: its connection may end before its exit is seen. */
    bool is_free = p->child.state == HWS_CHILD_AWAY && p->spawned == NULL &&
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
    uint64_t next_ms = a < b ? a : b;

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
    bool ours = p->spawned != NULL && uv_process_get_pid(p->spawned) == (int)hello->pid;

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

bool hws_children_device_lingers(const struct hws_children *c)
{
    const struct hws_process *p = &c->device;
    bool lingers = p->spawned != NULL && p->child.state == HWS_CHILD_AWAY;

    for (size_t i = 0; i < HWS_CHILDREN_MAX_LEFT; i++) {
        lingers = lingers || p->left[i] != NULL;
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
    return p->spawned != NULL || hws_sock_lock_free(p->lock, NULL) != HWS_OK;
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

static void close_handle(uv_process_t **handle)
{
    if (*handle != NULL) {
        (*handle)->data = NULL;
        uv_close((uv_handle_t *)*handle, free_process);
        *handle = NULL;
    }
}

static void close_process(struct hws_process *p)
{
    close_handle(&p->spawned);
    for (size_t i = 0; i < HWS_CHILDREN_MAX_LEFT; i++) {
        close_handle(&p->left[i]);
    }
}

void hws_children_close(struct hws_children *c)
{
    if (!c->open) {
        return;
    }
    c->open = false;
    close_process(&c->wire);
    close_process(&c->device);
    uv_close((uv_handle_t *)&c->timer, NULL);
}
