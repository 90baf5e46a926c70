/*
 * The adapters.
 *
 * Happy path: HELLO -> attach -> announcements (on_adapter) -> identify each -> READY.
 * Failures: the process goes away (all GONE until it is back); a card cannot be identified (FAILED,
 * tried again); a command does not return (STUCK until it does).
 */
#include "hawserd/device.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "table/table.h"

#define TURNS_PER_LOOP 8 /* others get their turn after this many rounds */

HWS_STEPPER(identify, hws_hca_identify, hws_hca_identify)

static void start_identify(struct hws_adapter *a);

const char *hws_device_state_name(enum hws_device_state state)
{
    switch (state) {
    case HWS_DEVICE_READY:
        return "ready";
    case HWS_DEVICE_STARTING:
        return "starting";
    case HWS_DEVICE_STUCK:
        return "stuck";
    case HWS_DEVICE_GONE:
        return "gone";
    case HWS_DEVICE_FAILED:
        return "failed";
    }
    return "?";
}

static void changed(struct hws_adapter *a)
{
    a->version++;
    a->agent->devices.version++;
    hws_agent_adapters_changed(a->agent);
}

static void make_id(struct hws_adapter *a)
{
    const char *serial = a->known ? a->identity.serial : "?";

    hws_str_print(a->id, sizeof(a->id), "%s:%s@%s", a->port->kind, serial, a->port->pci);
}

static bool has_hung(const struct hws_adapter *a)
{
    return a->n_hung > 0 || a->sched.n_hung > 0;
}

#define UTC_BYTES 24u

static void print_utc(uint64_t unix_ms, char out[UTC_BYTES])
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm;

    if (gmtime_r(&s, &tm) == NULL || strftime(out, UTC_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        out[0] = '\0'; /* UNTESTED: a year that does not fit */
    }
}

/* Why an adapter is STUCK: since when, and what comes next or is to be done. */
static void explain_stuck(const struct hws_adapter *a, char *reason, size_t cap)
{
    char utc[UTC_BYTES];
    unsigned n = a->port->n_stalled + a->n_orphaned;

    if (n > 0) {
        bool kernel = hws_str_eq(a->port->backend, "fwctl");
        print_utc(a->stalled_unix_ms, utc);
        hws_str_print(reason, cap, "%u command%s stuck in the %s since %s; %s", n,
                      n == 1 ? " is" : "s are", kernel ? "kernel" : "card", utc,
                      kernel ? "the driver gives up after about 60 s; if it does not, reset the "
                               "card or reload its driver"
                             : "it counts as lost after 60 s or a reset of the card");
        return;
    }
    print_utc(a->hung_unix_ms, utc);
    hws_str_print(reason, cap,
                  "a command has not returned since %s; it may still take effect; the adapter is "
                  "being asked again",
                  utc);
}

/* The state as the facts have it; reason is written for all but READY. */
static enum hws_device_state judge(const struct hws_adapter *a, char *reason, size_t cap)
{
    const struct hws_ctl_ipc_adapter *p = a->port;

    reason[0] = '\0';
    if (!p->present || p->state == HWS_LINK_ADAPTER_AWAY) {
        hws_str_copy(reason, cap,
                     !p->present         ? "the device process is away"
                     : p->reason[0] != 0 ? p->reason
                                         : "the card is away");
        return HWS_DEVICE_GONE;
    }
    if (p->state == HWS_LINK_ADAPTER_FAILED) {
        hws_str_print(reason, cap, "cannot be opened: %s", p->reason);
        return HWS_DEVICE_FAILED;
    }
    if (p->n_stalled > 0 || a->n_orphaned > 0 || has_hung(a)) {
        explain_stuck(a, reason, cap);
        return HWS_DEVICE_STUCK;
    }
    if (p->n_earlier > 0) {
        hws_str_copy(reason, cap, "a command of an earlier session is still running");
        return HWS_DEVICE_STUCK;
    }
    if (a->known) {
        return HWS_DEVICE_READY;
    }
    if (a->identify_err.code != HWS_OK) {
        hws_str_print(reason, cap, "identity could not be read: %.200s", a->identify_err.msg);
        return HWS_DEVICE_FAILED;
    }
    hws_str_copy(reason, cap, "identity is being read");
    return HWS_DEVICE_STARTING;
}

static void log_state(const struct hws_adapter *a, enum hws_device_state before)
{
    struct hws_log_q id;
    struct hws_log_q why;

    if (a->agent->closing) {
        return;
    }
    hws_log("adapter_state", "adapter=%s from=%s to=%s reason=%s", hws_log_q(&id, a->id),
            hws_device_state_name(before), hws_device_state_name(a->state),
            hws_log_q(&why, a->reason));
}

static void update(struct hws_adapter *a)
{
    char reason[sizeof(a->reason)];
    enum hws_device_state before = a->state;
    enum hws_device_state state = judge(a, reason, sizeof(reason));

    if (state == before && hws_str_eq(reason, a->reason)) {
        return;
    }
    a->state = state;
    hws_str_copy(a->reason, sizeof(a->reason), reason);
    if (state != before) {
        a->since_ms = hws_agent_now(a->agent);
        a->agent->recover.due = true; /* it may be READY now */
        log_state(a, before);
        if (state == HWS_DEVICE_GONE || state == HWS_DEVICE_FAILED) {
            hws_sched_flush(&a->sched, HWS_E_GONE, a->reason);
        }
    }
    changed(a);
}

/* ---- identity -------------------------------------------------------------------------------- */

/* The more tries have failed, the later the next. */
static void retry_later(struct hws_adapter *a)
{
    unsigned shift = a->n_tries < HWS_DEVICE_MAX_SHIFT ? a->n_tries++ : HWS_DEVICE_MAX_SHIFT;

    a->retry_ms = a->port->present
                      ? hws_agent_now(a->agent) + ((uint64_t)HWS_DEVICE_RETRY_MS << shift)
                      : UINT64_MAX;
    hws_devices_kick(&a->agent->devices);
}

void hws_device_hung(struct hws_adapter *a)
{
    if (a->n_hung == 0) {
        a->hung_unix_ms = hws_agent_unix_ms();
    }
    a->n_hung++;
    a->agent->counters[HWS_COUNT_TIMEOUTS]++;
    retry_later(a);
}

static bool ports_differ(const struct hws_hca_identity *a, const struct hws_hca_identity *b)
{
    for (size_t i = 0; i < a->n_ports && i < b->n_ports; i++) {
        const struct hws_hca_port *p = &a->ports[i];
        const struct hws_hca_port *q = &b->ports[i];
        if (p->link != q->link || p->admin_up != q->admin_up || !hws_str_eq(p->speed, q->speed)) {
            return true;
        }
    }
    return a->n_ports != b->n_ports;
}

static void identified(struct hws_run *run)
{
    struct hws_adapter *a = run->data;
    uint64_t now_ms = hws_agent_now(a->agent);

    if (run->err.code != HWS_OK) {
        a->identify_err = run->err;
        retry_later(a);
    } else {
        bool differs = !a->known || ports_differ(&a->identity, &a->identify.identity);
        hws_err_clear(&a->identify_err);
        a->known = true;
        if (a->port->n_abandoned == 0 && a->port->n_stalled == 0) {
            a->n_hung = 0; /* it answers again */
        }
        a->n_tries = 0;
        a->identity = a->identify.identity;
        a->facts_ms = now_ms;
        a->retry_ms = UINT64_MAX;
        make_id(a);
        hws_ctl_ipc_kills_changed(a->port); /* its firmware, part or serial decide, too */
        if (differs) {
            changed(a);
        }
        if (a->n_hung == 0) {
            hws_bounds_read(&a->bounds, a);
        }
    }
    update(a);
    hws_agent_adapters_changed(a->agent); /* whoever waits for fresh facts */
}

static void start_identify(struct hws_adapter *a)
{
    struct hws_stepper s = {identify_next, identify_feed, &a->identify.err, &a->identify};
    uint64_t now_ms = hws_agent_now(a->agent);
    struct hws_err err;

    if (a->identify_run.state != HWS_RUN_IDLE) {
        return;
    }
    hws_hca_identify_init(&a->identify);
    a->identify.timeout_ms = HWS_DEVICE_IDENTIFY_MS / 2;
    a->identify_run.done = identified;
    a->identify_run.data = a;
    a->identify_run.deadline_ms = now_ms + HWS_DEVICE_IDENTIFY_MS;
    a->identify_run.queue_deadline_ms = a->identify_run.deadline_ms;
    a->retry_ms = UINT64_MAX;
    enum hws_code code =
        hws_sched_breaker_open(&a->sched) || a->n_hung > 0
            ? hws_run_probe(&a->identify_run, a, &s, &err)
            : hws_run_start(&a->identify_run, a, HWS_SCHED_READ, "hawserd", &s, &err);
    if (code != HWS_OK) {
        a->identify_err = err;
        retry_later(a);
    }
}

bool hws_device_refresh(struct hws_adapter *a)
{
    if (a->state != HWS_DEVICE_READY) {
        return false;
    }
    start_identify(a);
    return hws_device_refreshing(a);
}

bool hws_device_refreshing(const struct hws_adapter *a)
{
    return a->identify_run.state != HWS_RUN_IDLE;
}

/* ---- announcements --------------------------------------------------------------------------- */

static struct hws_adapter *find_port(struct hws_devices *d, const struct hws_ctl_ipc_adapter *port)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->adapters[i]->port == port) {
            return d->adapters[i];
        }
    }
    return NULL;
}

static struct hws_adapter *add(struct hws_devices *d, struct hws_ctl_ipc_adapter *port)
{
    struct hws_sched_options opt = {0};

    if (d->n == HWS_LINK_MAX_ADAPTERS) {
        return NULL;
    }
    struct hws_adapter *a = hws_mem_zalloc(1, sizeof(*a));
    if (a == NULL) {
        return NULL;
    }
    /* One slot of our own queue is kept for a writer; a kernel driver's are not ours to fill. */
    uint32_t ours = port->depth > 1 ? port->depth - 1u : 1u;
    bool kernel = hws_str_eq(port->backend, "fwctl");
    opt.max_reads = kernel && ours > HWS_SCHED_KERNEL_READS ? HWS_SCHED_KERNEL_READS : ours;
    opt.hang_ms = HWS_DEVICE_TURN_MS;
    a->agent = d->agent;
    a->port = port;
    a->state = HWS_DEVICE_STARTING;
    a->since_ms = hws_agent_now(d->agent);
    a->retry_ms = UINT64_MAX;
    hws_list_init(&a->lingering);
    hws_sched_init(&a->sched, &opt);
    make_id(a);
    d->adapters[d->n++] = a;
    a->recovering = hws_recover_concerns(&d->agent->recover, a);
    return a;
}

/* What it was waited for has come back: it is asked at once whether it goes on. */
static void ask_soon(struct hws_adapter *a)
{
    if (a->n_hung > 0) {
        a->n_tries = 0;
        a->retry_ms = hws_agent_now(a->agent);
    }
}

/* The breaker stays open while the device process waits for a command that we have given up; when
 * the last has come back, the adapter is asked at once. */
static void take_stalled(struct hws_adapter *a)
{
    bool before = hws_sched_breaker_open(&a->sched);

    if (a->port->n_stalled > 0 && a->n_orphaned == 0) {
        a->stalled_unix_ms = hws_agent_unix_ms() - a->port->stalled_ms;
    }
    hws_sched_set_stalled(&a->sched, a->port->n_stalled + a->n_orphaned);
    if (before && !hws_sched_breaker_open(&a->sched)) {
        ask_soon(a);
    }
}

static void on_adapter(void *data, struct hws_ctl_ipc_adapter *port)
{
    struct hws_devices *d = data;
    struct hws_adapter *a = find_port(d, port);

    if (a == NULL) {
        a = add(d, port);
        if (a == NULL) {
            struct hws_log_q q;
            hws_log("adapter_refused", "pci=%s reason=limit", hws_log_q(&q, port->pci));
            return;
        }
        changed(a);
    }
    bool up = port->present && port->state == HWS_LINK_ADAPTER_UP;
    if (!up && a->was_up) {
        hws_bounds_forget(&a->bounds);
        a->known = false; /* what comes back may have restarted: its facts are read again */
        a->n_hung = 0;
        a->n_tries = 0;
        hws_err_clear(&a->identify_err);
    }
    if (!port->present && a->sched.n_stalled > a->n_orphaned &&
        hws_children_device_is_watched(&d->agent->children)) {
        a->n_orphaned = a->sched.n_stalled; /* the process is gone, what it waited for is not */
    }
    take_stalled(a);
    make_id(a); /* its kind may only be known by now */
    bool came = up && !a->was_up;
    a->was_up = up;
    update(a);
    if (came) {
        start_identify(a);
    }
    hws_devices_kick(d);
}

void hws_devices_process_ended(struct hws_devices *d)
{
    if (hws_children_device_lingers(&d->agent->children)) {
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        struct hws_adapter *a = d->adapters[i];
        if (a->n_orphaned > 0) {
            a->n_orphaned = 0;
            take_stalled(a);
            update(a);
        }
    }
    hws_devices_kick(d);
}

static void on_end(void *data, const struct hws_err *why)
{
    struct hws_devices *d = data;

    hws_children_lost(&d->agent->children, HWS_LINK_ROLE_DEVICE, why);
    hws_devices_kick(d);
}

static uint16_t row_of(void *data, const struct hws_ctl_ipc_adapter *port,
                       const struct hws_ctl_call *call)
{
    struct hws_devices *d = data;
    const struct hws_table_row *row =
        hws_table_of_inbox(hws_kind_from_name(port->kind), call->in, call->in_bytes);

    d->agent->counters[HWS_COUNT_COMMANDS]++;
    return row == NULL ? 0 : hws_table_id(row);
}

static uint16_t kills_of(void *data, const struct hws_ctl_ipc_adapter *port, uint8_t *rows)
{
    struct hws_devices *d = data;
    const struct hws_adapter *a = find_port(d, port);

    return a == NULL ? 0 : hws_barred_kills(&d->agent->barred, a, rows);
}

void hws_devices_kills_changed(struct hws_devices *d)
{
    for (size_t i = 0; i < d->n; i++) {
        hws_ctl_ipc_kills_changed(d->adapters[i]->port);
    }
    hws_devices_kick(d);
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* Commands given up earlier have returned, and the card answers: their turns end. */
static void release_lingering(struct hws_adapter *a)
{
    if (a->port->n_abandoned > 0 || a->port->n_stalled > 0 || a->n_orphaned > 0 || a->n_hung > 0) {
        return;
    }
    HWS_LIST_FOREACH (it, tmp, &a->lingering) {
        hws_run_release(hws_container_of(it, struct hws_lease, link));
    }
}

static uint64_t turn_adapter(struct hws_adapter *a, uint64_t now_ms)
{
    bool waits = a->port->n_abandoned > 0;

    if (a->waited && !waits) {
        ask_soon(a);
    }
    a->waited = waits;
    release_lingering(a);
    uint64_t next = hws_sched_turn(&a->sched, now_ms);
    update(a);
    if (a->retry_ms <= now_ms) {
        a->retry_ms = UINT64_MAX;
        if (a->port->n_stalled > 0) {
            retry_later(a); /* a probe would only fill another place below */
        } else if (a->was_up && (!a->known || a->n_hung > 0)) {
            start_identify(a);
        }
    }
    return a->retry_ms < next ? a->retry_ms : next;
}

static void on_timer(uv_timer_t *timer)
{
    hws_devices_kick(timer->data);
}

static void arm(struct hws_devices *d, uint64_t next_ms, uint64_t now_ms)
{
    if (next_ms == UINT64_MAX) {
        (void)uv_timer_stop(&d->timer);
        return;
    }
    (void)uv_timer_start(&d->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void do_dropped(struct hws_devices *d)
{
    struct hws_list *it;

    while ((it = hws_list_pop(&d->dropped)) != NULL) {
        hws_run_due(hws_container_of(it, struct hws_lease, link));
    }
}

void hws_devices_turn(struct hws_devices *d)
{
    uint64_t now_ms = hws_agent_now(d->agent);
    uint64_t next_ms = UINT64_MAX;

    if (!d->kicked || !d->open) {
        return;
    }
    for (int i = 0; i < TURNS_PER_LOOP && d->kicked; i++) {
        d->kicked = false;
        next_ms = hws_ctl_ipc_turn(&d->ipc, now_ms);
        do_dropped(d);
        for (size_t k = 0; k < d->n; k++) {
            uint64_t t = turn_adapter(d->adapters[k], now_ms);
            next_ms = t < next_ms ? t : next_ms;
        }
    }
    arm(d, d->kicked ? now_ms : next_ms, now_ms);
}

void hws_devices_again(struct hws_devices *d)
{
    if (d->open) {
        (void)uv_timer_start(&d->timer, on_timer, 0, 0);
    }
}

void hws_devices_kick(struct hws_devices *d)
{
    d->kicked = true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    hws_devices_kick(poll->data);
}

/* ---- open and close -------------------------------------------------------------------------- */

enum hws_code hws_devices_open(struct hws_devices *d, struct hws_agent *agent, struct hws_err *err)
{
    struct hws_ctl_ipc_config config = {
        .generation = agent->generation,
        .name = "hawserd",
        .build_id = agent->build_id,
        .row_of = row_of,
        .kills_of = kills_of,
        .on_adapter = on_adapter,
        .on_end = on_end,
        .data = d,
    };

    d->agent = agent;
    hws_list_init(&d->dropped);
    enum hws_code code = hws_ctl_ipc_init(&d->ipc, &config, err);
    if (code != HWS_OK) {
        return code;
    }
    d->poll.data = d;
    d->timer.data = d;
    (void)uv_timer_init(&agent->loop, &d->timer);
    if (uv_poll_init(&agent->loop, &d->poll, hws_ctl_ipc_fd(&d->ipc)) != 0 ||
        uv_poll_start(&d->poll, UV_READABLE, on_readable) != 0) {
        hws_ctl_ipc_deinit(&d->ipc);
        return hws_err_set(err, HWS_E_IO, "cannot watch the device channel");
    }
    d->open = true;
    return HWS_OK;
}

void hws_devices_close(struct hws_devices *d)
{
    if (!d->open) {
        return;
    }
    d->open = false;
    uv_close((uv_handle_t *)&d->poll, NULL);
    uv_close((uv_handle_t *)&d->timer, NULL);
}

void hws_devices_deinit(struct hws_devices *d)
{
    hws_ctl_ipc_deinit(&d->ipc);
    for (size_t i = 0; i < d->n; i++) {
        struct hws_adapter *a = d->adapters[i];
        hws_sched_flush(&a->sched, HWS_E_CANCELED, "the agent ends");
        HWS_LIST_FOREACH (it, tmp, &a->lingering) {
            hws_run_release(hws_container_of(it, struct hws_lease, link));
        }
        hws_mem_free(a);
    }
    d->n = 0;
}

enum hws_code hws_devices_attach(struct hws_devices *d, int sock_fd,
                                 const struct hws_link_hello *hello, struct hws_err *err)
{
    enum hws_code code = hws_ctl_ipc_attach(&d->ipc, sock_fd, hello, err);

    if (code == HWS_OK) {
        d->greeted = true;
        d->n_promised = hello->n_adapters;
    }
    hws_devices_kick(d);
    return code;
}
