/*
 * The command queue.
 *
 * Happy path of a call: submit takes a slot and two chains, writes them, signs, hands over the
 * entry, rings the doorbell -> the card runs -> turn sees the ownership bit, checks a private copy
 * of entry and blocks, copies out, frees slot and chains -> callback. Failure modes:
 * - deadline or cancel: the call ends UNKNOWN, the slot is stalled until the late completion
 * - reply with a wrong signature, token, number or link: HWS_E_PROTO, UNKNOWN; the slot is free
 * again
 * - the card is away, lost the queue (reset) or reports a fatal error: everything ends HWS_E_GONE,
 *   UNKNOWN
 * - a lost event: the entries themselves are looked at every HWS_CMDQ_CHECK_MS, those of stalled
 *   slots too, and at a deadline
 * - no slot, no mailbox: HWS_E_BUSY, NOT_SENT
 */
#include "cmdq/queue.h"

#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "cmdq/entry.h"
#include "ifc/box.h"
#include "ifc/init_seg.h"
#include "ifc/names.h"

#define TRACE(q, ...)                                                                              \
    do {                                                                                           \
        if ((q)->config.trace.line != NULL) {                                                      \
            hws_trace_emit(&(q)->config.trace, (q)->now_ms, __VA_ARGS__);                          \
        }                                                                                          \
    } while (0)

static uint32_t lowest_bit(uint32_t mask)
{
    return (uint32_t)__builtin_ctz(mask);
}

static struct hws_entry *entry_at(const struct hws_cmdq *q, uint32_t slot)
{
    return (struct hws_entry *)(void *)((uint8_t *)q->page.host + ((size_t)slot << q->log_stride));
}

static uint32_t reserved_slot(const struct hws_cmdq *q)
{
    return q->n_slots - 1;
}

/* ---- open ---- */

static enum hws_code read_sizes(struct hws_cmdq *q, struct hws_err *err)
{
    uint32_t rev = hws_bar_read32(q->bar, HWS_ISEG_CMDIF_REV);
    uint32_t init = hws_bar_read32(q->bar, HWS_ISEG_INITIALIZING);

    if (rev == HWS_ISEG_GONE || init == HWS_ISEG_GONE) {
        return hws_err_set(err, HWS_E_GONE, "the card does not answer");
    }
    if ((init & HWS_ISEG_INITIALIZING_BIT) != 0) {
        return hws_err_set(err, HWS_E_STATE, "the card is still initializing");
    }
    if (rev >> HWS_ISEG_CMDIF_REV_LSB != HWS_ISEG_CMDIF_REV_5) {
        return hws_err_set(err, HWS_E_UNSUPPORTED, "command interface revision %u, expected %u",
                           rev >> HWS_ISEG_CMDIF_REV_LSB, HWS_ISEG_CMDIF_REV_5);
    }
    uint32_t sizes = hws_bar_read32(q->bar, HWS_ISEG_CMDQ_ADDR_L);
    uint32_t log_size = sizes >> HWS_ISEG_LOG_SIZE_LSB & HWS_ISEG_LOG_MASK;
    uint32_t log_stride = sizes >> HWS_ISEG_LOG_STRIDE_LSB & HWS_ISEG_LOG_MASK;
    if (log_size < 1 || log_size > HWS_ENTRY_MAX_LOG_SIZE ||
        log_stride < HWS_ENTRY_MIN_LOG_STRIDE || log_size + log_stride > HWS_ENTRY_MAX_LOG_PAGE) {
        return hws_err_set(err, HWS_E_PROTO, "impossible queue: log size %u, log stride %u",
                           log_size, log_stride);
    }
    q->n_slots = UINT32_C(1) << log_size;
    q->log_stride = log_stride;
    q->fw_rev = hws_bar_read32(q->bar, HWS_ISEG_FW_REV);
    q->fw_subminor = (uint16_t)rev;
    return HWS_OK;
}

enum hws_code hws_cmdq_open(struct hws_cmdq *q, struct hws_bar *bar,
                            const struct hws_cmdq_config *config, uint64_t now_ms,
                            struct hws_err *err)
{
    void *data = q->data;

    *q = (struct hws_cmdq){.bar = bar, .now_ms = now_ms, .next_token = 1, .data = data};
    hws_list_init(&q->done);
    if (config != NULL) {
        q->config = *config;
    }
    q->config.n_blocks = q->config.n_blocks != 0 ? q->config.n_blocks : HWS_CMDQ_DEFAULT_BLOCKS;
    q->config.poll_ms = q->config.poll_ms != 0 ? q->config.poll_ms : HWS_CMDQ_POLL_MS;
    q->config.close_wait_ms =
        q->config.close_wait_ms != 0 ? q->config.close_wait_ms : HWS_CMDQ_CLOSE_WAIT_MS;

    if (bar->ops->turn != NULL) {
        (void)bar->ops->turn(bar,
                             now_ms); /* a card in virtual time comes up only when time passes */
    }
    enum hws_code rc = read_sizes(q, err);
    if (rc != HWS_OK) {
        (void)hws_err_wrap(err, "command queue");
        return rc;
    }
    rc = bar->ops->dma_alloc(bar, HWS_ENTRY_QUEUE_BYTES, HWS_ENTRY_QUEUE_BYTES, &q->page, err);
    if (rc != HWS_OK) {
        (void)hws_err_wrap(err, "command queue page");
        return rc;
    }
    rc = hws_cmdq_pool_open(&q->pool, bar, q->config.n_blocks, err);
    if (rc != HWS_OK) {
        bar->ops->dma_free(bar, &q->page);
        (void)hws_err_wrap(err, "command queue");
        return rc;
    }
    rc = q->config.events ? hws_cmdq_events_open(&q->events, bar, err) : HWS_OK;
    if (rc != HWS_OK) {
        hws_cmdq_pool_deinit(&q->pool);
        bar->ops->dma_free(bar, &q->page);
        (void)hws_err_wrap(err, "command queue");
        return rc;
    }
    bar->ops->write_barrier(bar);
    hws_bar_write32(bar, HWS_ISEG_CMDQ_ADDR_H, (uint32_t)(q->page.dev_addr >> 32));
    hws_bar_write32(bar, HWS_ISEG_CMDQ_ADDR_L, (uint32_t)q->page.dev_addr & HWS_ISEG_ADDR_L_MASK);
    q->state = HWS_CMDQ_OPEN;
    q->check_ms = now_ms + HWS_CMDQ_CHECK_MS;
    TRACE(q, "cmdq: open slots=%u stride=%u", q->n_slots, 1u << q->log_stride);
    return HWS_OK;
}

void hws_cmdq_deinit(struct hws_cmdq *q)
{
    hws_assert(q->busy_mask == 0);
    if (q->page.host != NULL) {
        q->bar->ops->dma_free(q->bar, &q->page);
    }
    hws_cmdq_pool_deinit(&q->pool);
    hws_cmdq_events_deinit(&q->events);
    q->state = HWS_CMDQ_CLOSED;
    q->stalled_mask = 0;
}

/* ---- submit ---- */

uint8_t hws_cmdq_fatal_syndrome(struct hws_bar *bar)
{
    uint32_t flags = hws_bar_read32(bar, HWS_ISEG_HEALTH_FLAGS);

    if ((flags & HWS_ISEG_HEALTH_RESET_BIT) == 0 || flags == HWS_ISEG_GONE) {
        return 0;
    }
    return (uint8_t)(hws_bar_read32(bar, HWS_ISEG_HEALTH_SYND) >> HWS_ISEG_HEALTH_SYND_LSB);
}

enum hws_code hws_cmdq_why_gone(const struct hws_cmdq *q, struct hws_err *err)
{
    if (q->fatal_synd != 0) {
        return hws_err_set(err, HWS_E_GONE, "the card reports a fatal error, health syndrome 0x%x",
                           q->fatal_synd);
    }
    return hws_err_set(err, HWS_E_GONE, "the card is away or was reset");
}

/* Back from a reset the card has no queue address; off the bus it has no registers at all; after a
 * fatal error it executes nothing any more. False: the queue is GONE. */
static bool card_is_there(struct hws_cmdq *q)
{
    uint32_t init = hws_bar_read32(q->bar, HWS_ISEG_INITIALIZING);
    bool has_queue =
        (init & HWS_ISEG_INITIALIZING_BIT) == 0 &&
        hws_bar_read32(q->bar, HWS_ISEG_CMDQ_ADDR_H) == (uint32_t)(q->page.dev_addr >> 32);

    q->fatal_synd = has_queue ? hws_cmdq_fatal_syndrome(q->bar) : 0;
    if (has_queue && q->fatal_synd == 0) {
        return true;
    }
    TRACE(q, "cmdq: gone");
    q->state = HWS_CMDQ_GONE;
    return false;
}

static enum hws_code pick_slot(const struct hws_cmdq *q, uint16_t op, uint32_t *out_slot,
                               struct hws_err *err)
{
    uint32_t last = UINT32_C(1) << reserved_slot(q);
    uint32_t allowed = op == HWS_OP_MANAGE_PAGES ? last : last - 1;
    uint32_t free_mask = allowed & ~(q->busy_mask | q->stalled_mask);

    if (free_mask != 0) {
        *out_slot = lowest_bit(free_mask);
        return HWS_OK;
    }
    if ((q->stalled_mask & allowed) == allowed) {
        return hws_err_set(err, HWS_E_BUSY, "all stalled: %d slots wait for late completions",
                           __builtin_popcount(allowed));
    }
    return hws_err_set(err, HWS_E_BUSY, "%d commands in flight, %d slots stalled",
                       __builtin_popcount(q->busy_mask & allowed),
                       __builtin_popcount(q->stalled_mask & allowed));
}

static enum hws_code check_call(struct hws_cmdq *q, const struct hws_ctl_call *call,
                                struct hws_err *err)
{
    if (q->state == HWS_CMDQ_OPEN && q->busy_mask == 0) {
        (void)card_is_there(q);
    }
    if (q->state == HWS_CMDQ_GONE) {
        return hws_cmdq_why_gone(q, err);
    }
    if (q->state != HWS_CMDQ_OPEN) {
        return hws_err_set(err, HWS_E_STATE, "the command queue is closed");
    }
    if (call->in_bytes < HWS_CALL_MIN_BYTES || call->in_bytes > HWS_CALL_MAX_BYTES ||
        call->out_cap_bytes < HWS_CALL_MIN_BYTES || call->out_cap_bytes > HWS_CALL_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "%zu bytes in, %zu out: allowed are %u..%u",
                           call->in_bytes, call->out_cap_bytes, HWS_CALL_MIN_BYTES,
                           HWS_CALL_MAX_BYTES);
    }
    return HWS_OK;
}

/* Takes a slot and both chains: all or nothing. */
static enum hws_code take_slot(struct hws_cmdq *q, struct hws_ctl_call *call, uint32_t *out_slot,
                               struct hws_err *err)
{
    uint16_t op = hws_box_opcode(call->in);
    uint32_t n_in = hws_mbox_n_blocks(call->in_bytes);
    uint32_t n_out = hws_mbox_n_blocks(call->out_cap_bytes);
    uint32_t idx = 0;
    enum hws_code rc = pick_slot(q, op, &idx, err);

    if (rc != HWS_OK) {
        return rc;
    }
    struct hws_cmdq_slot *s = &q->slots[idx];
    if (n_in + n_out > q->pool.n_free || !hws_cmdq_pool_take(&q->pool, n_in, &s->in_head) ||
        !hws_cmdq_pool_take(&q->pool, n_out, &s->out_head)) {
        return hws_err_set(err, HWS_E_BUSY, "mailbox pool: %u blocks wanted, %u of %u free",
                           n_in + n_out, q->pool.n_free, q->pool.n_blocks);
    }
    s->call = call;
    s->n_in = n_in;
    s->n_out = n_out;
    s->op = op;
    s->token = q->next_token;
    q->next_token = q->next_token == UINT8_MAX ? 1 : (uint8_t)(q->next_token + 1);
    q->busy_mask |= UINT32_C(1) << idx;
    *out_slot = idx;
    return HWS_OK;
}

static void hand_over(struct hws_cmdq *q, uint32_t idx)
{
    const struct hws_cmdq_slot *s = &q->slots[idx];
    const struct hws_ctl_call *call = s->call;
    const struct hws_cmdq_cmd cmd = {
        .in = call->in,
        .in_bytes = (uint32_t)call->in_bytes,
        .out_bytes = (uint32_t)call->out_cap_bytes,
        .in_ptr = hws_cmdq_block_addr(&q->pool, s->in_head),
        .out_ptr = hws_cmdq_block_addr(&q->pool, s->out_head),
        .uid = q->uid,
        .token = s->token,
    };
    struct hws_entry e;

    hws_cmdq_chain_write(&q->pool, s->in_head, s->token, call->in + HWS_ENTRY_INLINE_BYTES,
                         call->in_bytes - HWS_ENTRY_INLINE_BYTES);
    hws_cmdq_chain_write(&q->pool, s->out_head, s->token, NULL, 0);
    hws_cmdq_entry_encode(&e, &cmd);
    memcpy(entry_at(q, idx), &e, sizeof(e));
    q->bar->ops->write_barrier(q->bar);
    hws_bar_write32(q->bar, HWS_ISEG_DOORBELL, UINT32_C(1) << idx);
    q->submitted = true;
}

enum hws_code hws_cmdq_submit(struct hws_cmdq *q, struct hws_ctl_call *call, struct hws_err *err)
{
    uint32_t idx = 0;
    enum hws_code rc = check_call(q, call, err);

    if (rc == HWS_OK) {
        rc = take_slot(q, call, &idx, err);
    }
    if (rc != HWS_OK) {
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        return rc;
    }
    call->out_bytes = 0;
    call->id = idx;
    hws_list_init(&call->link);
    hand_over(q, idx);
    TRACE(q, "cmdq: slot %u submit %s in=%zu out=%zu token=%u", idx,
          hws_ifc_op_name(q->slots[idx].op), call->in_bytes, call->out_cap_bytes,
          q->slots[idx].token);
    return HWS_OK;
}

void hws_cmdq_cancel(struct hws_cmdq *q, struct hws_ctl_call *call)
{
    if (call->id < q->n_slots && q->slots[call->id].call == call) {
        q->cancel_mask |= UINT32_C(1) << call->id;
    }
}

/* ---- turn ---- */

static void free_slot(struct hws_cmdq *q, uint32_t idx)
{
    struct hws_cmdq_slot *s = &q->slots[idx];

    hws_cmdq_pool_give(&q->pool, s->out_head, s->n_out);
    hws_cmdq_pool_give(&q->pool, s->in_head, s->n_in);
    *s = (struct hws_cmdq_slot){0};
    q->busy_mask &= ~(UINT32_C(1) << idx);
    q->stalled_mask &= ~(UINT32_C(1) << idx);
    q->cancel_mask &= ~(UINT32_C(1) << idx);
}

/* Ends the call but not the slot: the card still has the entry. */
static void stall_slot(struct hws_cmdq *q, uint32_t idx, enum hws_code code, const char *why)
{
    struct hws_cmdq_slot *s = &q->slots[idx];
    struct hws_ctl_call *call = s->call;

    TRACE(q, "cmdq: slot %u stalled %s %s", idx, hws_ifc_op_name(s->op), hws_code_name(code));
    hws_err_set(&call->err, code, "%s: slot %u: %s", hws_ifc_op_name(s->op), idx, why);
    hws_err_at(&call->err, HWS_STAGE_UNKNOWN);
    s->call = NULL;
    s->stalled_ms = q->now_ms;
    q->busy_mask &= ~(UINT32_C(1) << idx);
    q->cancel_mask &= ~(UINT32_C(1) << idx);
    q->stalled_mask |= UINT32_C(1) << idx;
    hws_list_push(&q->done, &call->link);
}

static void stall_all(struct hws_cmdq *q, uint32_t mask, enum hws_code code, const char *why)
{
    for (; mask != 0; mask &= mask - 1) {
        stall_slot(q, lowest_bit(mask), code, why);
    }
}

/* Fills the call's results from a private copy of the completed entry. */
static void settle(struct hws_cmdq *q, const struct hws_cmdq_slot *s, const struct hws_entry *e)
{
    struct hws_ctl_call *call = s->call;
    enum hws_code rc = hws_cmdq_entry_judge(e, s->token, &call->err);

    if (rc != HWS_OK) {
        return;
    }
    rc = hws_cmdq_chain_read(&q->pool, s->out_head, s->token, call->out + HWS_ENTRY_INLINE_BYTES,
                             call->out_cap_bytes - HWS_ENTRY_INLINE_BYTES, &call->err);
    if (rc != HWS_OK) {
        hws_err_at(&call->err, HWS_STAGE_UNKNOWN);
        return;
    }
    memcpy(call->out, e->out_inline, sizeof(e->out_inline));
    call->out_bytes = call->out_cap_bytes;
    if (hws_cmdq_out_judge(call->out, call->in, &call->err) == HWS_OK) {
        hws_err_clear(&call->err);
    }
}

static void reap_slot(struct hws_cmdq *q, uint32_t idx)
{
    struct hws_cmdq_slot *s = &q->slots[idx];
    struct hws_entry e;

    memcpy(&e, entry_at(q, idx), sizeof(e));
    if (s->call == NULL) {
        TRACE(q, "cmdq: slot %u late completion %s, free", idx, hws_ifc_op_name(s->op));
    } else {
        struct hws_ctl_call *call = s->call;
        settle(q, s, &e);
        TRACE(q, "cmdq: slot %u done %s %s stage=%s status=0x%x syndrome=0x%x delivery=0x%x", idx,
              hws_ifc_op_name(s->op), hws_code_name(call->err.code),
              hws_stage_name(call->err.stage), call->err.exec_status, call->err.syndrome,
              call->err.delivery_status);
        hws_list_push(&q->done, &call->link);
    }
    free_slot(q, idx);
}

/* Acquire: what the card wrote before it gave the entry back is seen after this load. */
static bool is_back(const struct hws_cmdq *q, uint32_t idx)
{
    const _Atomic uint8_t *own = (const _Atomic uint8_t *)&entry_at(q, idx)->status_own;

    return (atomic_load_explicit(own, memory_order_acquire) & HWS_ENTRY_OWNER_HW) == 0;
}

static void reap(struct hws_cmdq *q, uint32_t among)
{
    for (uint32_t mask = among & (q->busy_mask | q->stalled_mask); mask != 0; mask &= mask - 1) {
        uint32_t idx = lowest_bit(mask);
        if (is_back(q, idx)) {
            reap_slot(q, idx);
        }
    }
}

static void expire(struct hws_cmdq *q)
{
    for (uint32_t mask = q->busy_mask; mask != 0; mask &= mask - 1) {
        uint32_t idx = lowest_bit(mask);
        if (q->slots[idx].call->deadline_ms > q->now_ms) {
            continue;
        }
        if (is_back(q, idx)) { /* its event is lost, or late */
            reap_slot(q, idx);
        } else {
            stall_slot(q, idx, HWS_E_TIMEOUT, "no completion before the deadline");
        }
    }
}

/* The slots that call for a look from time to time. Polling reaps stalled ones in every turn; in
 * event mode a late completion whose event is lost is seen by looking only. */
static uint32_t watched(const struct hws_cmdq *q)
{
    if (q->state != HWS_CMDQ_OPEN) {
        return 0;
    }
    return q->events.on ? q->busy_mask | q->stalled_mask : q->busy_mask;
}

static void check_card(struct hws_cmdq *q)
{
    if (watched(q) == 0 || q->now_ms < q->check_ms) {
        return;
    }
    q->check_ms = q->now_ms + HWS_CMDQ_CHECK_MS;
    reap(q, UINT32_MAX);
    if (!card_is_there(q)) {
        struct hws_err why;
        enum hws_code code = hws_cmdq_why_gone(q, &why);
        stall_all(q, q->busy_mask, code, why.msg);
    }
}

static void run_callbacks(struct hws_cmdq *q)
{
    struct hws_list batch; /* a callback's own submit must not be reaped in the same walk */

    hws_list_init(&batch);
    for (struct hws_list *l = hws_list_pop(&q->done); l != NULL; l = hws_list_pop(&q->done)) {
        hws_list_push(&batch, l);
    }
    for (struct hws_list *l = hws_list_pop(&batch); l != NULL; l = hws_list_pop(&batch)) {
        struct hws_ctl_call *call = hws_container_of(l, struct hws_ctl_call, link);
        call->id = UINT64_MAX;
        call->cb(call);
    }
}

/* The only place that ends a close: no call on loan, and no slot that the card may still write to.
 */
static bool maybe_closed(struct hws_cmdq *q)
{
    if (q->state != HWS_CMDQ_CLOSING || q->busy_mask != 0) {
        return false;
    }
    if (q->stalled_mask != 0 && q->now_ms < q->close_deadline_ms) {
        return false;
    }
    if (q->stalled_mask != 0) {
        TRACE(q, "cmdq: close leaves %d stalled slots", __builtin_popcount(q->stalled_mask));
    }
    hws_bar_write32(q->bar, HWS_ISEG_CMDQ_ADDR_L, HWS_ISEG_NIC_DISABLED << HWS_ISEG_NIC_IFC_LSB);
    hws_cmdq_deinit(q);
    TRACE(q, "cmdq: closed");
    void (*closed)(struct hws_cmdq *) = q->closed;
    q->closed = NULL;
    if (closed != NULL) {
        closed(q);
    }
    return true;
}

static uint64_t next_deadline(const struct hws_cmdq *q, uint64_t card_ms)
{
    bool close_now = q->state == HWS_CMDQ_CLOSING && (q->busy_mask != 0 || q->stalled_mask == 0 ||
                                                      q->close_deadline_ms == UINT64_MAX);

    if (q->submitted || q->cancel_mask != 0 || close_now) {
        return q->now_ms;
    }
    uint64_t next_ms = card_ms;
    if (watched(q) != 0 && q->check_ms < next_ms) {
        next_ms = q->check_ms;
    }
    for (uint32_t mask = q->busy_mask; mask != 0; mask &= mask - 1) {
        uint64_t deadline_ms = q->slots[lowest_bit(mask)].call->deadline_ms;
        next_ms = deadline_ms < next_ms ? deadline_ms : next_ms;
    }
    if (q->state == HWS_CMDQ_CLOSING) {
        next_ms = q->close_deadline_ms < next_ms ? q->close_deadline_ms : next_ms;
        next_ms = q->now_ms + q->config.poll_ms < next_ms ? q->now_ms + q->config.poll_ms : next_ms;
    }
    return next_ms;
}

uint64_t hws_cmdq_turn(struct hws_cmdq *q, uint64_t now_ms)
{
    uint64_t card_ms = UINT64_MAX;

    q->now_ms = now_ms;
    if (q->state == HWS_CMDQ_CLOSED) {
        return UINT64_MAX;
    }
    if (q->state == HWS_CMDQ_CLOSING) {
        q->cancel_mask = q->busy_mask;
        if (q->close_deadline_ms == UINT64_MAX) {
            q->close_deadline_ms = now_ms + q->config.close_wait_ms;
        }
    }
    stall_all(q, q->cancel_mask, HWS_E_CANCELED, "cancelled while the card had it");
    if (q->bar->ops->turn != NULL) {
        q->submitted = false;
        card_ms = q->bar->ops->turn(q->bar, now_ms);
    }
    uint32_t told = q->events.on ? hws_cmdq_events_take(&q->events) : UINT32_MAX;
    /* A close asks the entries themselves: an event may have been lost. */
    reap(q, q->state == HWS_CMDQ_CLOSING ? UINT32_MAX : told);
    check_card(q);
    expire(q);
    run_callbacks(q);
    if (maybe_closed(q)) {
        return UINT64_MAX; /* the owner may be gone */
    }
    if (q->bar->ops->turn == NULL) {
        q->submitted = false;
        card_ms = (q->busy_mask | q->stalled_mask) != 0 ? now_ms + q->config.poll_ms : UINT64_MAX;
    }
    return next_deadline(q, card_ms);
}

void hws_cmdq_close(struct hws_cmdq *q, void (*closed)(struct hws_cmdq *q))
{
    if (q->state == HWS_CMDQ_CLOSED || q->state == HWS_CMDQ_CLOSING) {
        return;
    }
    /* A card that is gone gives no entry back: nothing to wait for. Else the wait starts with the
     * next turn. */
    q->close_deadline_ms = q->state == HWS_CMDQ_GONE ? 0 : UINT64_MAX;
    q->state = HWS_CMDQ_CLOSING;
    q->closed = closed;
    TRACE(q, "cmdq: close");
}

void hws_cmdq_set_uid(struct hws_cmdq *q, uint16_t uid)
{
    q->uid = uid;
}

uint32_t hws_cmdq_depth(const struct hws_cmdq *q)
{
    return q->n_slots == 0 ? 0 : q->n_slots - 1;
}

uint32_t hws_cmdq_n_stalled(const struct hws_cmdq *q)
{
    return (uint32_t)__builtin_popcount(q->stalled_mask);
}

unsigned hws_cmdq_waited_for(const struct hws_cmdq *q, uint64_t *out_since_ms)
{
    unsigned n = 0;

    for (uint32_t mask = q->stalled_mask; mask != 0; mask &= mask - 1) {
        uint64_t since_ms = q->slots[lowest_bit(mask)].stalled_ms;

        if (q->now_ms - since_ms < HWS_CMDQ_GIVE_UP_MS) {
            *out_since_ms = n == 0 || since_ms < *out_since_ms ? since_ms : *out_since_ms;
            n++;
        }
    }
    return n;
}
