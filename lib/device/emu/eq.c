/*
 * Event queues: CREATE_EQ, DESTROY_EQ, entries, doorbells.
 *
 * Way of an event: post finds the queue -> entry at produced, owner byte last -> interrupt if armed
 * -> the host's doorbell moves consumed and arms again. Failure modes: ring full or not writable:
 * the event is lost, the health buffer tells; a doorbell for no queue, from another UAR, or with an
 * index the card never produced, is ignored.
 */
#include "ifc/eq.h"

#include <string.h>

#include "base/barrier.h"
#include "emu/emu_priv.h"

#define FIRST_UAR         16u /* as op_uctx.c hands out */
#define SYND_EQ_OVERRUN   0x0cu
#define SYND_EQ_INVALID   0x0eu
#define MAX_LOG_SIZE      13u
#define MAX_LOG_PAGE      8u
#define OWNER_BYTES_AFTER 1u

void hws_emu__eq_reset(struct hws_emu *e)
{
    for (uint32_t i = 0; i < HWS_EMU_MAX_EQS; i++) {
        e->eqs[i].used = false;
    }
}

/* ---- commands ---- */

static uint64_t page_bytes(const struct hws_emu_eq *q)
{
    return (uint64_t)HWS_EQ_PAGE_BYTES << q->log_page;
}

static bool uar_ok(const struct hws_emu *e, uint32_t uar)
{
    return uar >= FIRST_UAR && uar - FIRST_UAR < HWS_EMU_MAX_UARS &&
           (e->uar_mask >> (uar - FIRST_UAR) & 1) != 0;
}

/* The context and the pages behind it; refuses what the ring cannot be. */
static bool read_context(const struct hws_emu *e, struct hws_emu__cmd *cmd, struct hws_emu_eq *q)
{
    const uint8_t *ctx = cmd->in + HWS_CREATE_EQ_CTX;
    uint32_t log_size = hws_bits_get(ctx + HWS_EQ_CTX_SIZE_UAR, 24, 5);
    uint32_t log_page = hws_bits_get(ctx + HWS_EQ_CTX_PAGE_SIZE, 24, 5);
    uint32_t vector = hws_bits_get(ctx + HWS_EQ_CTX_VECTOR, 0, 12);

    q->uar = hws_bits_get(ctx + HWS_EQ_CTX_SIZE_UAR, 0, 24);
    if (!uar_ok(e, q->uar)) {
        hws_emu__refuse(cmd, HWS_FW_BAD_RES, HWS_EMU__SYND_UAR);
        return false;
    }
    if (log_size > MAX_LOG_SIZE || log_page > MAX_LOG_PAGE || vector >= HWS_EMU_MAX_VECTORS ||
        hws_bits_get(ctx + HWS_EQ_CTX_PAGE_OFFSET, 6, 6) != 0) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_EQ_CONTEXT);
        return false;
    }
    q->log_size = (uint8_t)log_size;
    q->log_page = (uint8_t)log_page;
    q->vector = (uint16_t)vector;
    for (uint32_t i = 0; i < 4; i++) {
        q->mask[i] = hws_load_be64(cmd->in + HWS_CREATE_EQ_MASK + (size_t)8 * i);
    }
    uint64_t n_pages = (((uint64_t)HWS_EQE_BYTES << log_size) + page_bytes(q) - 1) / page_bytes(q);
    if (cmd->in_bytes < HWS_CREATE_EQ_PAGES + 8 * n_pages) {
        hws_emu__refuse(cmd, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
        return false;
    }
    for (uint64_t i = 0; i < n_pages; i++) {
        q->pages[i] = hws_load_be64(cmd->in + HWS_CREATE_EQ_PAGES + 8 * i);
        if (q->pages[i] == 0 || q->pages[i] % HWS_EQ_PAGE_BYTES != 0) {
            hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_PAGE_ADDR);
            return false;
        }
    }
    return true;
}

void hws_emu__op_create_eq(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint32_t i = 0;

    while (i < HWS_EMU_MAX_EQS && e->eqs[i].used) {
        i++;
    }
    if (i == HWS_EMU_MAX_EQS) {
        hws_emu__refuse(cmd, HWS_FW_NO_RES, HWS_EMU__SYND_EQ_FULL);
        return;
    }
    struct hws_emu_eq *q = &e->eqs[i];
    memset(q, 0, sizeof(*q));
    q->used = read_context(e, cmd, q);
    if (q->used) {
        cmd->out[HWS_EQ_NUMBER] = (uint8_t)(i + 1);
        HWS_EMU__TRACE(e, "emu: eq %u of %u entries, vector %u, mask 0x%llx", i + 1,
                       1u << q->log_size, q->vector, (unsigned long long)q->mask[0]);
    }
}

/* NULL if there is no such queue. */
static struct hws_emu_eq *find(struct hws_emu *e, uint32_t number)
{
    if (number == 0 || number > HWS_EMU_MAX_EQS || !e->eqs[number - 1].used) {
        return NULL;
    }
    return &e->eqs[number - 1];
}

void hws_emu__op_destroy_eq(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    struct hws_emu_eq *q = find(e, cmd->in[HWS_EQ_NUMBER]);

    if (q == NULL) {
        hws_emu__refuse(cmd, HWS_FW_BAD_RES, HWS_EMU__SYND_EQ);
        return;
    }
    q->used = false;
}

/* ---- events ---- */

static struct hws_emu_eq *queue_of(struct hws_emu *e, uint8_t event)
{
    for (uint32_t i = 0; i < HWS_EMU_MAX_EQS; i++) {
        if (e->eqs[i].used && (e->eqs[i].mask[event / 64] >> (event % 64) & 1) != 0) {
            return &e->eqs[i];
        }
    }
    return NULL;
}

bool hws_emu__eq_has(struct hws_emu *e, uint8_t event)
{
    return queue_of(e, event) != NULL;
}

static void interrupt(struct hws_emu *e, struct hws_emu_eq *q)
{
    q->armed = false;
    if (e->config.interrupt != NULL) {
        e->config.interrupt(e->config.data, q->vector);
    }
}

/* The entry without its owner byte, then that byte: the host must never see half an entry. */
static bool write_entry(struct hws_emu *e, const struct hws_emu_eq *q, const uint8_t *eqe)
{
    const struct hws_emu_dma *dma = &e->config.dma;
    uint64_t at = (uint64_t)(q->produced & ((UINT32_C(1) << q->log_size) - 1)) * HWS_EQE_BYTES;
    uint64_t addr = q->pages[at / page_bytes(q)] + at % page_bytes(q);

    if (!dma->write(dma->data, addr, eqe, HWS_EQE_BYTES - OWNER_BYTES_AFTER)) {
        return false;
    }
    hws_barrier_release();
    return dma->write(dma->data, addr + HWS_EQE_OWNER, eqe + HWS_EQE_OWNER, OWNER_BYTES_AFTER);
}

void hws_emu__eq_post(struct hws_emu *e, uint8_t event, uint8_t sub_type, const uint8_t *data,
                      size_t n)
{
    struct hws_emu_eq *q = queue_of(e, event);
    uint8_t eqe[HWS_EQE_BYTES] = {0};

    if (q == NULL) {
        return;
    }
    if (q->produced - q->consumed >= UINT32_C(1) << q->log_size) {
        HWS_EMU__TRACE(e, "emu: event 0x%x lost, the ring is full", event);
        hws_emu_health_raise(e, SYND_EQ_OVERRUN, false);
        return;
    }
    eqe[HWS_EQE_TYPE] = event;
    eqe[HWS_EQE_SUB_TYPE] = sub_type;
    memcpy(eqe + HWS_EQE_DATA, data, n < HWS_EQE_DATA_BYTES ? n : HWS_EQE_DATA_BYTES);
    eqe[HWS_EQE_OWNER] = (uint8_t)(q->produced >> q->log_size & 1);
    if (!write_entry(e, q, eqe)) {
        HWS_EMU__TRACE(e, "emu: event 0x%x lost, its ring is not in host memory", event);
        hws_emu_health_raise(e, SYND_EQ_INVALID, false);
        return;
    }
    q->produced++;
    if (q->armed) {
        interrupt(e, q);
    }
}

/* ---- doorbells ---- */

void hws_emu__eq_doorbell(struct hws_emu *e, uint32_t offset, uint32_t value)
{
    uint32_t in_page = offset % HWS_UAR_PAGE_BYTES;
    struct hws_emu_eq *q = find(e, value >> HWS_EQ_DB_NUM_LSB);

    if (q == NULL || q->uar != offset / HWS_UAR_PAGE_BYTES ||
        (in_page != HWS_UAR_EQ_DB_ARM && in_page != HWS_UAR_EQ_DB_INDEX)) {
        return;
    }
    uint32_t behind = (q->produced - value) & HWS_EQ_DB_CI_MASK;
    if (behind > q->produced - q->consumed) {
        HWS_EMU__TRACE(e, "emu: consumer index 0x%x is not of this ring", value);
        return;
    }
    q->consumed = q->produced - behind;
    if (in_page == HWS_UAR_EQ_DB_ARM) {
        q->armed = true;
        if (behind > 0) {
            interrupt(e, q);
        }
    }
}
