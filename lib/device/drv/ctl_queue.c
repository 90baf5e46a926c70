/*
 * The queue channel as a state machine; see ctl_queue.h.
 *
 *   WAITING -> STARTING -> UP                      the happy way
 *   STARTING -> LEAVING -> WAITING (after a pause)  a bring-up command failed
 *   UP -> LEAVING -> WAITING                        the card was reset, went away or reported a
 *                                                   fatal error (it is then reset in WAITING)
 *   UP -> STOPPING -> LEAVING -> CLOSED             close
 * advance makes one move; turn makes moves until none is due.
 */
#include "drv/ctl_queue.h"

#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "ifc/box.h"
#include "ifc/init_seg.h"

#define MAX_MOVES 256u /* per turn; bring-up takes some 20 */

static const uint32_t moves[] = {
    [HWS_CTL_QUEUE_CLOSED] = HWS_FSM_TO(HWS_CTL_QUEUE_WAITING),
    [HWS_CTL_QUEUE_WAITING] = HWS_FSM_TO(HWS_CTL_QUEUE_STARTING) | HWS_FSM_TO(HWS_CTL_QUEUE_CLOSED),
    [HWS_CTL_QUEUE_STARTING] = HWS_FSM_TO(HWS_CTL_QUEUE_UP) | HWS_FSM_TO(HWS_CTL_QUEUE_LEAVING),
    [HWS_CTL_QUEUE_UP] = HWS_FSM_TO(HWS_CTL_QUEUE_STOPPING) | HWS_FSM_TO(HWS_CTL_QUEUE_LEAVING),
    [HWS_CTL_QUEUE_STOPPING] = HWS_FSM_TO(HWS_CTL_QUEUE_LEAVING),
    [HWS_CTL_QUEUE_LEAVING] = HWS_FSM_TO(HWS_CTL_QUEUE_WAITING) | HWS_FSM_TO(HWS_CTL_QUEUE_CLOSED),
};

static const struct hws_ctl_ops ops;

static struct hws_ctl_queue *self(struct hws_ctl *ctl)
{
    return hws_container_of(ctl, struct hws_ctl_queue, ctl);
}

static void move(struct hws_ctl_queue *c, enum hws_ctl_queue_state to)
{
    int state = (int)c->state;

    hws_fsm_move(moves, &state, (int)to);
    c->state = to;
}

static void tell(struct hws_ctl_queue *c)
{
    if (c->on_state != NULL) {
        c->on_state(c);
    }
}

void hws_ctl_queue_init(struct hws_ctl_queue *c, struct hws_bar *bar,
                        const struct hws_cmdq_config *config,
                        void (*on_state)(struct hws_ctl_queue *c), void *data)
{
    memset(c, 0, sizeof *c);
    c->ctl.ops = &ops;
    c->ctl.data = data;
    c->bar = bar;
    if (config != NULL) {
        c->config = *config;
    }
    c->on_state = on_state;
    c->give_up_ms = UINT64_MAX;
    hws_err_set(&c->why, HWS_E_STATE, "the card is starting");
    move(c, HWS_CTL_QUEUE_WAITING);
}

void hws_ctl_queue_deinit(struct hws_ctl_queue *c)
{
    hws_assert(c->state == HWS_CTL_QUEUE_CLOSED);
    memset(c, 0, sizeof *c);
}

bool hws_ctl_queue_is_up(const struct hws_ctl_queue *c)
{
    return c->state == HWS_CTL_QUEUE_UP && c->q.state == HWS_CMDQ_OPEN;
}

static void queue_closed(struct hws_cmdq *q)
{
    struct hws_ctl_queue *c = q->data;

    c->queue_closed = true;
}

/* Closes the queue; what follows is decided when it has closed. */
static uint64_t leave(struct hws_ctl_queue *c, uint64_t now_ms)
{
    move(c, HWS_CTL_QUEUE_LEAVING);
    c->queue_closed = false;
    hws_cmdq_close(&c->q, queue_closed);
    return now_ms;
}

/* ---- waiting for the card ---- */

/* Remembers why the card is not up, says so once, and pauses. */
static uint64_t pause_after(struct hws_ctl_queue *c, const struct hws_err *why, uint64_t now_ms)
{
    bool told = c->failed;

    c->why = *why;
    c->failed = true;
    c->retry_ms = now_ms + HWS_CTL_QUEUE_RETRY_MS;
    c->give_up_ms = UINT64_MAX;
    if (!told) {
        tell(c);
    }
    return c->retry_ms;
}

/* A firmware that has reported a fatal error executes nothing until it is reset: as the driver does
 * (core/health.c mlx5_error_sw_reset, Linux 7.2.13), where the card takes that request. */
static void reset_if_dead(struct hws_ctl_queue *c)
{
    uint32_t init = hws_bar_read32(c->bar, HWS_ISEG_INITIALIZING);

    if (init != HWS_ISEG_GONE && (init & HWS_ISEG_SW_RESET_BIT) != 0 &&
        hws_cmdq_fatal_syndrome(c->bar) != 0) {
        hws_bar_write32(c->bar, HWS_ISEG_CMDQ_ADDR_L,
                        HWS_ISEG_NIC_SW_RESET << HWS_ISEG_NIC_IFC_LSB);
    }
}

static uint64_t do_waiting(struct hws_ctl_queue *c, uint64_t now_ms)
{
    struct hws_err err;
    uint64_t card_ms = UINT64_MAX;
    enum hws_code code;

    if (c->closing) {
        move(c, HWS_CTL_QUEUE_CLOSED);
        return now_ms;
    }
    if (c->bar->ops->turn != NULL) {
        card_ms = c->bar->ops->turn(c->bar, now_ms);
    }
    if (now_ms < c->retry_ms) {
        return card_ms < c->retry_ms ? card_ms : c->retry_ms;
    }
    if (c->give_up_ms == UINT64_MAX) {
        c->give_up_ms = now_ms + HWS_ISEG_READY_TIMEOUT_MS;
    }
    reset_if_dead(c);
    c->q.data = c;
    code = hws_cmdq_open(&c->q, c->bar, &c->config, now_ms, &err);
    if (code == HWS_E_STATE && now_ms < c->give_up_ms) {
        return card_ms != UINT64_MAX && card_ms > now_ms ? card_ms
                                                         : now_ms + HWS_ISEG_READY_POLL_MS;
    }
    if (code != HWS_OK) {
        return pause_after(c, &err, now_ms);
    }
    c->q.data = c;
    hws_cmdq_bringup_init(&c->bringup, c->bar, c->config.events ? &c->q.events : NULL,
                          HWS_UCTX_CAP_TOOLS, HWS_CTL_QUEUE_STEP_MS);
    c->step_out = false;
    move(c, HWS_CTL_QUEUE_STARTING);
    return now_ms;
}

/* ---- bring-up and teardown ---- */

static void step_ended(struct hws_ctl_call *call)
{
    struct hws_ctl_queue *c = call->data;

    c->step_out = false;
    hws_cmdq_bringup_feed(&c->bringup, call);
}

static uint64_t steps_ended(struct hws_ctl_queue *c, bool ok, uint64_t now_ms)
{
    if (c->state == HWS_CTL_QUEUE_STARTING && ok && !c->closing) {
        hws_cmdq_set_uid(&c->q, c->bringup.card.uid);
        c->failed = false;
        c->retry_ms = 0;
        move(c, HWS_CTL_QUEUE_UP);
        tell(c);
        return now_ms;
    }
    if (c->state == HWS_CTL_QUEUE_STARTING && !ok) {
        (void)pause_after(c, &c->bringup.err, now_ms);
    }
    return leave(c, now_ms);
}

static uint64_t do_steps(struct hws_ctl_queue *c, uint64_t now_ms)
{
    uint64_t next_ms;

    if (!c->step_out) {
        enum hws_step step = hws_cmdq_bringup_next(&c->bringup, now_ms, &c->step);

        if (step != HWS_STEP_CALL) {
            return steps_ended(c, step == HWS_STEP_DONE, now_ms);
        }
        c->step.cb = step_ended;
        c->step.data = c;
        if (hws_cmdq_submit(&c->q, &c->step, &c->step.err) != HWS_OK) {
            c->step.out_bytes = 0;
            hws_cmdq_bringup_feed(&c->bringup, &c->step);
            return now_ms;
        }
        c->step_out = true;
    }
    next_ms = hws_cmdq_turn(&c->q, now_ms);
    return c->step_out ? next_ms : now_ms;
}

/* ---- up, and leaving ---- */

static uint64_t do_up(struct hws_ctl_queue *c, uint64_t now_ms)
{
    uint64_t next_ms = hws_cmdq_turn(&c->q, now_ms);

    if (c->q.state == HWS_CMDQ_GONE) {
        (void)hws_cmdq_why_gone(&c->q, &c->why);
        (void)leave(c, now_ms);
        tell(c);
        return now_ms;
    }
    if (c->closing) {
        hws_cmdq_set_uid(&c->q, 0); /* bring-up and teardown are the driver's own */
        hws_cmdq_bringup_down(&c->bringup);
        move(c, HWS_CTL_QUEUE_STOPPING);
        return now_ms;
    }
    return next_ms;
}

static uint64_t do_leaving(struct hws_ctl_queue *c, uint64_t now_ms)
{
    uint64_t next_ms = c->queue_closed ? now_ms : hws_cmdq_turn(&c->q, now_ms);

    if (!c->queue_closed) {
        return next_ms;
    }
    hws_cmdq_deinit(&c->q);
    hws_cmdq_bringup_deinit(&c->bringup);
    move(c, c->closing ? HWS_CTL_QUEUE_CLOSED : HWS_CTL_QUEUE_WAITING);
    return now_ms;
}

static uint64_t advance(struct hws_ctl_queue *c, uint64_t now_ms)
{
    switch (c->state) {
    case HWS_CTL_QUEUE_WAITING:
        return do_waiting(c, now_ms);
    case HWS_CTL_QUEUE_STARTING:
    case HWS_CTL_QUEUE_STOPPING:
        return do_steps(c, now_ms);
    case HWS_CTL_QUEUE_UP:
        return do_up(c, now_ms);
    case HWS_CTL_QUEUE_LEAVING:
        return do_leaving(c, now_ms);
    case HWS_CTL_QUEUE_CLOSED:
    default:
        return UINT64_MAX;
    }
}

/* ---- the channel ---- */

static enum hws_code op_submit(struct hws_ctl *ctl, struct hws_ctl_call *call, struct hws_err *err)
{
    struct hws_ctl_queue *c = self(ctl);

    if (c->state != HWS_CTL_QUEUE_UP || c->closing) {
        hws_err_set(err, HWS_E_GONE, "the card is not up: %.200s", c->why.msg);
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        return HWS_E_GONE;
    }
    return hws_cmdq_submit(&c->q, call, err);
}

static void op_cancel(struct hws_ctl *ctl, struct hws_ctl_call *call)
{
    struct hws_ctl_queue *c = self(ctl);

    if (c->state != HWS_CTL_QUEUE_CLOSED && c->state != HWS_CTL_QUEUE_WAITING) {
        hws_cmdq_cancel(&c->q, call);
    }
}

static int op_fd(struct hws_ctl *ctl)
{
    (void)ctl;
    return -1;
}

static uint64_t op_turn(struct hws_ctl *ctl, uint64_t now_ms)
{
    struct hws_ctl_queue *c = self(ctl);
    uint64_t next_ms = now_ms;

    for (unsigned i = 0; i < MAX_MOVES && next_ms <= now_ms; i++) {
        next_ms = advance(c, now_ms);
    }
    if (c->state == HWS_CTL_QUEUE_CLOSED && c->closed != NULL) {
        void (*closed)(struct hws_ctl *) = c->closed;

        c->closed = NULL;
        closed(ctl);
    }
    return next_ms;
}

static void op_close(struct hws_ctl *ctl, void (*closed)(struct hws_ctl *ctl))
{
    struct hws_ctl_queue *c = self(ctl);

    if (c->closing || c->state == HWS_CTL_QUEUE_CLOSED) {
        return;
    }
    c->closing = true;
    c->closed = closed;
    for (uint32_t i = 0; i < HWS_ENTRY_MAX_SLOTS && c->state == HWS_CTL_QUEUE_UP; i++) {
        if (c->q.slots[i].call != NULL) {
            hws_cmdq_cancel(&c->q, c->q.slots[i].call);
        }
    }
}

static unsigned op_stalled(const struct hws_ctl *ctl, uint64_t *out_since_ms)
{
    const struct hws_ctl_queue *c = hws_container_of(ctl, const struct hws_ctl_queue, ctl);

    return hws_cmdq_waited_for(&c->q, out_since_ms);
}

static const struct hws_ctl_ops ops = {
    .submit = op_submit,
    .cancel = op_cancel,
    .fd = op_fd,
    .turn = op_turn,
    .close = op_close,
    .stalled = op_stalled,
};
