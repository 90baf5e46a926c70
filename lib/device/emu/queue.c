/*
 * The card's side of the command queue.
 *
 * Way of a command: doorbell notes the slot and when it is due -> run_due fetches the entry and
 * judges it -> fetches the input chain, checks the output chain -> planted fault? -> dispatch ->
 * output blocks, inline output, signature, and last the byte that gives the entry back -> event.
 * Failure modes: a malformed entry or chain is answered by a delivery status and not executed; an
 * entry that cannot be read or written, or is not ours, cannot be answered at all and is dropped.
 */
#include <string.h>

#include "base/barrier.h"
#include "emu/emu_priv.h"
#include "emu/incident.h"
#include "ifc/eq.h"
#include "ifc/sig.h"

static uint64_t queue_base(const struct hws_emu *e)
{
    return (uint64_t)e->queue_h << 32 | e->queue_l;
}

static uint64_t entry_addr(const struct hws_emu *e, uint32_t idx)
{
    return queue_base(e) + ((uint64_t)idx << e->profile->log_queue_stride);
}

void hws_emu__doorbell(struct hws_emu *e, uint32_t bits)
{
    uint32_t n_slots = UINT32_C(1) << e->profile->log_queue_size;

    if (e->state != HWS_EMU_QUEUE) {
        return;
    }
    if (n_slots < 32) {
        bits &= (UINT32_C(1) << n_slots) - 1;
    }
    e->lost_mask &= ~bits;
    for (uint32_t fresh = bits & ~e->pending_mask; fresh != 0; fresh &= fresh - 1) {
        uint32_t idx = (uint32_t)__builtin_ctz(fresh);
        e->slots[idx] = (struct hws_emu_slot){.fresh = true};
    }
    e->pending_mask |= bits;
}

static enum hws_delivery judge_entry(const struct hws_entry *x)
{
    if (x->type != HWS_ENTRY_TYPE_PCI) {
        return HWS_DLV_DESCRIPTOR;
    }
    if (!hws_sig_entry_ok(x)) {
        return HWS_DLV_SIGNATURE;
    }
    if (x->token == 0) {
        return HWS_DLV_TOKEN;
    }
    if (x->reserved_3e != 0 || x->reserved_01[0] != 0 || x->reserved_01[1] != 0 ||
        x->reserved_01[2] != 0) {
        return HWS_DLV_RESERVED;
    }
    uint32_t in_bytes = hws_be32_get(x->in_bytes);
    uint32_t out_bytes = hws_be32_get(x->out_bytes);
    if (in_bytes < HWS_BOX_HDR_BYTES || in_bytes > HWS_CALL_MAX_BYTES) {
        return HWS_DLV_IN_LEN;
    }
    /* ENABLE_HCA asks for 12 bytes: less than the header is fine. */
    if (out_bytes < HWS_BOX_MIN_OUT || out_bytes > HWS_CALL_MAX_BYTES) {
        return HWS_DLV_OUT_LEN;
    }
    return HWS_DLV_OK;
}

/* Brings the whole inbox into e->in and knows where the outbox goes. */
static enum hws_delivery fetch(struct hws_emu *e, const struct hws_entry *x)
{
    enum hws_delivery d = judge_entry(x);

    if (d != HWS_DLV_OK) {
        return d;
    }
    uint32_t in_bytes = hws_be32_get(x->in_bytes);
    uint32_t out_bytes = hws_be32_get(x->out_bytes);
    memcpy(e->in, x->in_inline, HWS_ENTRY_INLINE_BYTES);
    if (in_bytes > HWS_ENTRY_INLINE_BYTES) {
        d = hws_emu__chain_fetch(e, hws_be64_get(x->in_ptr), x->token,
                                 e->in + HWS_ENTRY_INLINE_BYTES, in_bytes - HWS_ENTRY_INLINE_BYTES);
    }
    if (d == HWS_DLV_OK && out_bytes > HWS_ENTRY_INLINE_BYTES) {
        d = hws_emu__chain_check(e, hws_be64_get(x->out_ptr), x->token,
                                 out_bytes - HWS_ENTRY_INLINE_BYTES);
    }
    return d;
}

static void match_fault(struct hws_emu *e, struct hws_emu_slot *slot,
                        const struct hws_emu__cmd *cmd)
{
    slot->matched = true;
    if (e->n_faults == 0) {
        return;
    }
    bool is_reg = cmd->op == HWS_OP_ACCESS_REG || cmd->op == HWS_OP_ACCESS_REGISTER_USER;
    const struct hws_emu_fault_probe probe = {
        .op = cmd->op,
        .is_reg = is_reg,
        .reg = is_reg ? hws_load_be16(cmd->in + HWS_ACCESS_REG_ID) : 0,
        .is_write = cmd->op_mod == HWS_ACCESS_REG_WRITE,
    };
    slot->fault = hws_emu_fault_match(e->faults, e->n_faults, e->fault_counts, &probe);
}

static bool has_action(const struct hws_emu_fault *f, enum hws_emu_fault_action action)
{
    return f != NULL && f->action == action;
}

static void execute(struct hws_emu *e, struct hws_emu__cmd *cmd, const struct hws_emu_fault *fault)
{
    /* At least the inline part, which goes out whole. */
    memset(cmd->out, 0,
           cmd->out_bytes > HWS_ENTRY_INLINE_BYTES ? cmd->out_bytes : HWS_ENTRY_INLINE_BYTES);
    if (has_action(fault, HWS_EMU_FAULT_STATUS)) {
        hws_emu__refuse(cmd, (enum hws_fw_status)fault->status, fault->syndrome);
    } else {
        hws_emu__dispatch(e, cmd);
    }
    if (cmd->out[HWS_BOX_STATUS] != HWS_FW_OK && cmd->out_bytes > HWS_BOX_MIN_OUT) {
        memset(cmd->out + HWS_BOX_MIN_OUT, 0, cmd->out_bytes - HWS_BOX_MIN_OUT);
    }
    if (has_action(fault, HWS_EMU_FAULT_FLIP) && fault->sign && fault->offset < cmd->out_bytes) {
        cmd->out[fault->offset] ^= fault->mask;
    }
}

/* FLIP without a new signature: what memory looks like when a bit has tipped on the way. */
static void flip(struct hws_emu *e, struct hws_entry *x, const struct hws_emu__cmd *cmd,
                 const struct hws_emu_fault *f)
{
    uint8_t byte;

    if (!has_action(f, HWS_EMU_FAULT_FLIP) || f->sign || f->offset >= cmd->out_bytes) {
        return;
    }
    if (f->offset < HWS_ENTRY_INLINE_BYTES) {
        x->out_inline[f->offset] ^= f->mask;
        return;
    }
    uint32_t at = f->offset - HWS_ENTRY_INLINE_BYTES;
    uint64_t addr = e->out_blocks[at / HWS_MBOX_DATA_BYTES] + at % HWS_MBOX_DATA_BYTES;
    if (e->config.dma.read(e->config.dma.data, addr, &byte, 1)) {
        byte ^= f->mask;
        (void)e->config.dma.write(e->config.dma.data, addr, &byte, 1);
    }
}

/* The byte that gives an entry back. */
static void give_entry(struct hws_emu *e, uint32_t idx, uint8_t status_own)
{
    const struct hws_emu_dma *dma = &e->config.dma;

    hws_barrier_release();
    (void)dma->write(dma->data, entry_addr(e, idx) + offsetof(struct hws_entry, status_own),
                     &status_own, 1);
}

static void tell(struct hws_emu *e, uint32_t idx)
{
    uint8_t data[4];

    if (e->slots[idx].by_event) {
        hws_store_be32(data, UINT32_C(1) << idx);
        hws_emu__eq_post(e, HWS_EVENT_CMD, 0, data, sizeof(data));
    }
}

/* Writes the entry's reply half and, after everything else, the byte that gives it back. */
static void give_back(struct hws_emu *e, uint32_t idx, const struct hws_entry *x)
{
    uint64_t addr = entry_addr(e, idx);
    const struct hws_emu_dma *dma = &e->config.dma;
    bool lost = has_action(e->slots[idx].fault, HWS_EMU_FAULT_DROP);

    if (dma->write(dma->data, addr + offsetof(struct hws_entry, out_inline), x->out_inline,
                   sizeof(x->out_inline)) &&
        dma->write(dma->data, addr + offsetof(struct hws_entry, token), &x->token, 2) && !lost) {
        give_entry(e, idx, x->status_own);
    }
    e->pending_mask &= ~(UINT32_C(1) << idx);
    if (lost || has_action(e->slots[idx].fault, HWS_EMU_FAULT_DROP_EVENT)) {
        e->slots[idx].status_own = x->status_own;
        e->lost_mask |= UINT32_C(1) << idx;
    } else {
        tell(e, idx);
    }
}

void hws_emu__give_lost(struct hws_emu *e)
{
    uint32_t mask = e->state == HWS_EMU_QUEUE ? e->lost_mask : 0;

    e->lost_mask = 0;
    for (; mask != 0; mask &= mask - 1) {
        uint32_t idx = (uint32_t)__builtin_ctz(mask);
        give_entry(e, idx, e->slots[idx].status_own);
        tell(e, idx);
    }
}

static void reply(struct hws_emu *e, uint32_t idx, struct hws_entry *x, enum hws_delivery d,
                  const struct hws_emu__cmd *cmd, const struct hws_emu_fault *fault)
{
    if (has_action(fault, HWS_EMU_FAULT_BAD_TOKEN)) {
        x->token = (uint8_t)(x->token == UINT8_MAX ? 1 : x->token + 1);
    }
    if (d == HWS_DLV_OK && cmd->out_bytes > HWS_ENTRY_INLINE_BYTES &&
        !hws_emu__chain_store(e, x->token, cmd->out + HWS_ENTRY_INLINE_BYTES,
                              cmd->out_bytes - HWS_ENTRY_INLINE_BYTES)) {
        d = HWS_DLV_FW;
    }
    if (d == HWS_DLV_OK) {
        memcpy(x->out_inline, cmd->out, sizeof(x->out_inline));
    }
    x->status_own = (uint8_t)(d << 1);
    hws_sig_entry_set(x);
    if (has_action(fault, HWS_EMU_FAULT_BAD_SIGNATURE)) {
        x->sig = (uint8_t)~x->sig;
    }
    if (d == HWS_DLV_OK) {
        flip(e, x, cmd, fault);
    }
    give_back(e, idx, x);
}

/* Reads the entry; false, and the slot is forgotten, if it is unreadable or not ours. */
static bool load(struct hws_emu *e, uint32_t idx, struct hws_entry *x, struct hws_emu__cmd *cmd)
{
    if (!e->config.dma.read(e->config.dma.data, entry_addr(e, idx), x, sizeof(*x)) ||
        (x->status_own & HWS_ENTRY_OWNER_HW) == 0) {
        HWS_EMU__TRACE(e, "emu: slot %u entry not readable or not ours", idx);
        e->pending_mask &= ~(UINT32_C(1) << idx);
        return false;
    }
    /* Before it runs: a command that creates the queue is itself still polled for. */
    e->slots[idx].by_event = hws_emu__eq_has(e, HWS_EVENT_CMD);
    *cmd = (struct hws_emu__cmd){
        .in = e->in,
        .out = e->out,
        .in_bytes = hws_be32_get(x->in_bytes),
        .out_bytes = hws_be32_get(x->out_bytes),
        .op = hws_box_opcode(x->in_inline),
        .op_mod = hws_box_op_mod(x->in_inline),
        .uid = hws_load_be16(x->in_inline + HWS_BOX_UID),
    };
    return true;
}

/*
 * Looks the faults up, once per command, and lets the one that acts do what comes before the
 * execution. True: the command does not go on, now or ever.
 */
static bool struck(struct hws_emu *e, uint32_t idx, const struct hws_emu__cmd *cmd)
{
    struct hws_emu_slot *slot = &e->slots[idx];

    if (slot->matched) {
        return false;
    }
    match_fault(e, slot, cmd);
    const struct hws_emu_fault *f = slot->fault;
    if (f == NULL) {
        return false;
    }
    HWS_EMU__TRACE(e, "emu: slot %u fault %s", idx, hws_emu_fault_action_name(f->action));
    switch (f->action) {
    case HWS_EMU_FAULT_DELAY:
        slot->due_ms = e->now_ms + f->delay_ms;
        return slot->due_ms > e->now_ms;
    case HWS_EMU_FAULT_HANG:
        hws_emu_hang(e, f->delay_ms);
        return true;
    case HWS_EMU_FAULT_HEALTH:
        hws_emu_health_raise(e, (uint8_t)f->syndrome, false);
        return false;
    case HWS_EMU_FAULT_FATAL:
        hws_emu_health_raise(e, (uint8_t)f->syndrome, true);
        return true;
    case HWS_EMU_FAULT_RESET:
        hws_emu_firmware_reset(e);
        return true;
    case HWS_EMU_FAULT_UNPLUG:
        hws_emu_unplug(e, f->delay_ms);
        return true;
    case HWS_EMU_FAULT_NONE:
    case HWS_EMU_FAULT_STATUS: /* these are for the execution and the reply */
    case HWS_EMU_FAULT_DELIVERY:
    case HWS_EMU_FAULT_DROP:
    case HWS_EMU_FAULT_DROP_EVENT:
    case HWS_EMU_FAULT_FLIP:
    case HWS_EMU_FAULT_BAD_TOKEN:
    case HWS_EMU_FAULT_BAD_SIGNATURE:
    case HWS_EMU_FAULT_N_ACTIONS:
        break;
    }
    return false;
}

static void run_slot(struct hws_emu *e, uint32_t idx)
{
    struct hws_entry x;
    struct hws_emu__cmd cmd;

    if (!load(e, idx, &x, &cmd)) {
        return;
    }
    enum hws_delivery d = fetch(e, &x);
    if (d == HWS_DLV_OK && struck(e, idx, &cmd)) {
        return;
    }
    const struct hws_emu_fault *fault = e->slots[idx].fault;
    if (d == HWS_DLV_OK && has_action(fault, HWS_EMU_FAULT_DELIVERY)) {
        d = (enum hws_delivery)fault->status;
    }
    if (d != HWS_DLV_OK) {
        HWS_EMU__TRACE(e, "emu: slot %u not executed: %s", idx, hws_ifc_delivery_text((uint8_t)d));
        reply(e, idx, &x, d, &cmd, NULL);
        return;
    }
    execute(e, &cmd, fault);
    HWS_EMU__TRACE(e, "emu: slot %u %s op_mod=0x%x uid=%u status=0x%x syndrome=0x%x", idx,
                   hws_ifc_op_name(cmd.op), cmd.op_mod, cmd.uid, hws_box_status(cmd.out),
                   hws_box_syndrome(cmd.out));
    reply(e, idx, &x, d, &cmd, fault);
}

void hws_emu__run_due(struct hws_emu *e)
{
    /* A command may take the queue away from those after it (reset, disable, a hang): look at the
     * state each time. */
    for (uint32_t mask = e->pending_mask;
         mask != 0 && e->state == HWS_EMU_QUEUE && e->hung_until_ms <= e->now_ms;
         mask &= mask - 1) {
        uint32_t idx = (uint32_t)__builtin_ctz(mask);
        struct hws_emu_slot *slot = &e->slots[idx];
        if (slot->fresh) { /* the doorbell does not know the time: it starts with this turn */
            slot->fresh = false;
            slot->due_ms = e->now_ms + e->profile->latency_ms;
        }
        if (slot->due_ms <= e->now_ms) {
            run_slot(e, idx);
        }
    }
}

uint64_t hws_emu__next_due(const struct hws_emu *e)
{
    uint64_t next_ms = UINT64_MAX;

    for (uint32_t mask = e->pending_mask; mask != 0; mask &= mask - 1) {
        uint64_t due_ms = e->slots[__builtin_ctz(mask)].due_ms;
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}
