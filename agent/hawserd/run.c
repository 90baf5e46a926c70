/*
 * Driving a stepper.
 *
 * Happy path: enter the queue; granted: ask the stepper; submit its call; the callback feeds the
 * result and asks again; the stepper ends: leave the queue, done.
 * Failures: refused at the door; the deadline passes in the queue; a submit is refused (fed to the
 * stepper as NOT_SENT); a command is given up (the turn lingers until it has really returned).
 */
#include "hawserd/run.h"

#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/device.h"
#include "table/table.h"

static const uint32_t moves[HWS_RUN_N_STATES] = {
    [HWS_RUN_IDLE] = HWS_FSM_TO(HWS_RUN_WAITING),
    [HWS_RUN_WAITING] = HWS_FSM_TO(HWS_RUN_CALLING) | HWS_FSM_TO(HWS_RUN_IDLE),
    [HWS_RUN_CALLING] = HWS_FSM_TO(HWS_RUN_IDLE) | HWS_FSM_TO(HWS_RUN_HELD),
    [HWS_RUN_HELD] = HWS_FSM_TO(HWS_RUN_CALLING) | HWS_FSM_TO(HWS_RUN_IDLE),
};

void hws_run_release(struct hws_lease *lease)
{
    struct hws_adapter *a = lease->ticket.data;

    if (!lease->unqueued) {
        hws_sched_leave(&a->sched, &lease->ticket);
    }
    hws_list_remove(&lease->link);
    hws_mem_free(lease);
    hws_devices_kick(&a->agent->devices);
}

/* Gives the turn back, or lets it linger behind a command that has not returned. */
static void give_back(struct hws_run *run)
{
    struct hws_lease *lease = run->lease;
    struct hws_adapter *a = run->adapter;

    run->lease = NULL;
    lease->run = NULL;
    if (!lease->unqueued && run->unanswered && (a->port->n_abandoned > 0 || a->n_hung > 0)) {
        hws_list_push(&a->lingering, &lease->link);
        return;
    }
    hws_run_release(lease);
}

static void finish(struct hws_run *run, const struct hws_err *err)
{
    run->err = *err;
    if (run->keeps_turn && err->code == HWS_OK) {
        hws_fsm_move(moves, &run->state, HWS_RUN_HELD);
    } else {
        run->keeps_turn = false;
        give_back(run);
        hws_fsm_move(moves, &run->state, HWS_RUN_IDLE);
    }
    run->done(run);
}

static void call_done(struct hws_ctl_call *call);

/* Whatever wants it, for whomever: a killed row does not run. */
static enum hws_code check_kills(struct hws_run *run)
{
    const struct hws_adapter *a = run->adapter;
    const struct hws_barred *b = &a->agent->barred;

    if (b->bars.n == 0) {
        return HWS_OK;
    }
    enum hws_kind kind = hws_kind_from_name(a->port->kind);
    enum hws_code code = hws_barred_check(
        b, a, hws_table_of_inbox(kind, run->call.in, run->call.in_bytes), &run->call.err);
    if (code != HWS_OK) {
        hws_audit_count_refusal(a->agent, HWS_REFUSAL_KILL, code);
    }
    return code;
}

/* Asks the stepper until a call is on its way or it has ended. */
static void step(struct hws_run *run)
{
    struct hws_agent *agent = run->adapter->agent;
    struct hws_ctl *ctl = &run->adapter->port->ctl;
    struct hws_err ok;

    for (;;) {
        enum hws_step next = run->stepper.next(run->stepper.self, hws_agent_now(agent), &run->call);
        if (next == HWS_STEP_DONE) {
            hws_err_clear(&ok);
            finish(run, &ok);
            return;
        }
        if (next == HWS_STEP_FAILED) {
            finish(run, run->stepper.err);
            return;
        }
        if (run->call.deadline_ms > run->deadline_ms) {
            run->call.deadline_ms = run->deadline_ms;
        }
        run->call.cb = call_done;
        run->call.data = run;
        hws_err_clear(&run->call.err);
        run->call.out_bytes = 0;
        enum hws_code code = check_kills(run);
        code = code == HWS_OK ? ctl->ops->submit(ctl, &run->call, &run->call.err) : code;
        hws_devices_kick(&agent->devices);
        if (code == HWS_OK) {
            run->started = true;
            return;
        }
        hws_err_at(&run->call.err, HWS_STAGE_NOT_SENT);
        run->stepper.feed(run->stepper.self, &run->call);
    }
}

static void call_done(struct hws_ctl_call *call)
{
    struct hws_run *run = call->data;
    enum hws_code code = call->err.code;

    /* The card's own refusal is E_DEVICE. */
    run->adapter->agent->counters[HWS_COUNT_SECOND] += code == HWS_E_DENIED ? 1 : 0;
    run->unanswered =
        call->err.stage == HWS_STAGE_UNKNOWN && (code == HWS_E_TIMEOUT || code == HWS_E_CANCELED);
    if (run->unanswered && code == HWS_E_TIMEOUT) {
        hws_device_hung(run->adapter);
    }
    if (run->canceled) {
        /* The stepper stays where it is: nobody asks it any more. */
        struct hws_err err = call->err;
        if (code == HWS_OK) {
            hws_err_set(&err, HWS_E_CANCELED, "canceled");
        }
        finish(run, &err);
        return;
    }
    run->stepper.feed(run->stepper.self, call);
    step(run);
}

void hws_run_resume(struct hws_run *run, const struct hws_stepper *stepper)
{
    run->stepper = *stepper;
    run->keeps_turn = false;
    hws_fsm_move(moves, &run->state, HWS_RUN_CALLING);
    step(run);
}

void hws_run_give_up(struct hws_run *run)
{
    run->keeps_turn = false;
    give_back(run);
    hws_fsm_move(moves, &run->state, HWS_RUN_IDLE);
}

/* The run ends without a turn at the adapter. */
static void never_granted(struct hws_lease *lease, enum hws_code code, const char *why)
{
    struct hws_run *run = lease->run;

    hws_err_set(&run->err, code, "%s", why);
    hws_err_at(&run->err, HWS_STAGE_NOT_SENT);
    run->lease = NULL;
    run->keeps_turn = false;
    hws_list_remove(&lease->link);
    hws_mem_free(lease);
    hws_fsm_move(moves, &run->state, HWS_RUN_IDLE);
    run->done(run);
}

static void granted(struct hws_ticket *t, enum hws_code code, const struct hws_err *err)
{
    struct hws_lease *lease = hws_container_of(t, struct hws_lease, ticket);
    struct hws_run *run = lease->run;

    if (code != HWS_OK) {
        never_granted(lease, code, err == NULL ? hws_code_text(code) : err->msg);
        return;
    }
    hws_fsm_move(moves, &run->state, HWS_RUN_CALLING);
    struct hws_err gone;
    if (run->adapter->state == HWS_DEVICE_GONE &&
        hws_device_usable(run->adapter, &gone) != HWS_OK) {
        finish(run, &gone);
        return;
    }
    step(run);
}

void hws_run_due(struct hws_lease *lease)
{
    struct hws_run *run = lease->run;

    if (run->canceled) {
        never_granted(lease, HWS_E_CANCELED, "canceled while waiting for the adapter");
        return;
    }
    hws_fsm_move(moves, &run->state, HWS_RUN_CALLING);
    step(run);
}

static struct hws_lease *new_lease(struct hws_run *run, struct hws_adapter *adapter,
                                   const char *principal)
{
    size_t n = strlen(principal);
    struct hws_lease *lease = hws_mem_zalloc(1, sizeof(*lease) + n + 1);

    if (lease != NULL) {
        memcpy(lease->owner, principal, n + 1);
        hws_list_init(&lease->link);
        lease->run = run;
        lease->ticket.owner = lease->owner;
        lease->ticket.cb = granted;
        lease->ticket.data = adapter;
    }
    return lease;
}

static void begin(struct hws_run *run, struct hws_adapter *adapter, struct hws_lease *lease,
                  const struct hws_stepper *stepper)
{
    run->adapter = adapter;
    run->stepper = *stepper;
    run->lease = lease;
    run->canceled = false;
    run->started = false;
    run->unanswered = false;
    hws_err_clear(&run->err);
    hws_fsm_move(moves, &run->state, HWS_RUN_WAITING);
    hws_devices_kick(&adapter->agent->devices);
}

enum hws_code hws_run_probe(struct hws_run *run, struct hws_adapter *adapter,
                            const struct hws_stepper *stepper, struct hws_err *err)
{
    struct hws_lease *lease = new_lease(run, adapter, "hawserd");

    hws_assert(run->state == HWS_RUN_IDLE);
    if (lease == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    lease->unqueued = true;
    hws_list_push(&adapter->agent->devices.dropped, &lease->link);
    begin(run, adapter, lease, stepper);
    return HWS_OK;
}

enum hws_code hws_run_start(struct hws_run *run, struct hws_adapter *adapter,
                            enum hws_sched_kind kind, const char *principal,
                            const struct hws_stepper *stepper, struct hws_err *err)
{
    struct hws_lease *lease = new_lease(run, adapter, principal);

    hws_assert(run->state == HWS_RUN_IDLE);
    if (lease == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    lease->ticket.kind = kind;
    lease->ticket.deadline_ms = run->queue_deadline_ms;
    enum hws_code code =
        hws_sched_enter(&adapter->sched, &lease->ticket, hws_agent_now(adapter->agent), err);
    if (code != HWS_OK) {
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        hws_mem_free(lease);
        return code;
    }
    begin(run, adapter, lease, stepper);
    return HWS_OK;
}

void hws_run_cancel(struct hws_run *run)
{
    if (run->state == HWS_RUN_IDLE || run->state == HWS_RUN_HELD || run->canceled) {
        return;
    }
    run->canceled = true;
    if (run->state == HWS_RUN_WAITING) {
        /* Out of the queue now, but done must not run inside cancel. */
        if (!run->lease->unqueued) {
            hws_sched_drop(&run->adapter->sched, &run->lease->ticket);
            hws_list_push(&run->adapter->agent->devices.dropped, &run->lease->link);
        }
        hws_devices_kick(&run->adapter->agent->devices);
        return;
    }
    struct hws_ctl *ctl = &run->adapter->port->ctl;
    ctl->ops->cancel(ctl, &run->call);
    hws_devices_kick(&run->adapter->agent->devices);
}
