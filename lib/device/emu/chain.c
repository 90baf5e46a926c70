/*
 * Mailbox chains as the card sees them: addresses to follow, through memory that anybody may have
 * written.
 *
 * Both walks stop by length, never by a zero link: a chain may be longer than its command needs.
 * Every block is fetched once into a private copy and judged there. What is wrong becomes a
 * delivery status.
 */
#include <string.h>

#include "base/assert.h"
#include "emu/emu_priv.h"
#include "ifc/sig.h"

static enum hws_delivery judge(const struct hws_emu *e, const struct hws_mbox *m, uint32_t idx,
                               uint8_t token)
{
    /* The control signature covers what is judged here; the data of an output block is not input.
     */
    if (e->checksums && !hws_sig_mbox_ctl_ok(m)) {
        return HWS_DLV_SIGNATURE;
    }
    if (m->token != token) {
        return HWS_DLV_TOKEN;
    }
    return hws_be32_get(m->block_idx) == idx ? HWS_DLV_OK : HWS_DLV_BLOCK_NUM;
}

/* The first address comes from the entry (512-byte aligned), the others from blocks (1024). */
static bool aligned(uint64_t addr, uint32_t idx)
{
    uint64_t align = idx == 0 ? HWS_ENTRY_PTR_ALIGN : HWS_MBOX_ALIGN;
    return addr != 0 && addr % align == 0;
}

enum hws_delivery hws_emu__chain_fetch(struct hws_emu *e, uint64_t addr, uint8_t token,
                                       uint8_t *dst, uint32_t n_bytes)
{
    struct hws_mbox m;

    for (uint32_t idx = 0; n_bytes > 0; idx++) {
        if (!aligned(addr, idx)) {
            return HWS_DLV_IN_ALIGN;
        }
        if (!e->config.dma.read(e->config.dma.data, addr, &m, sizeof(m))) {
            return HWS_DLV_FW;
        }
        enum hws_delivery d = judge(e, &m, idx, token);
        if (d == HWS_DLV_OK && e->checksums && !hws_sig_mbox_ok(&m)) {
            d = HWS_DLV_SIGNATURE;
        }
        if (d != HWS_DLV_OK) {
            return d;
        }
        uint32_t n = n_bytes < HWS_MBOX_DATA_BYTES ? n_bytes : HWS_MBOX_DATA_BYTES;
        memcpy(dst, m.data, n);
        dst += n;
        n_bytes -= n;
        addr = hws_be64_get(m.next);
    }
    return HWS_DLV_OK;
}

enum hws_delivery hws_emu__chain_check(struct hws_emu *e, uint64_t addr, uint8_t token,
                                       uint32_t n_bytes)
{
    uint32_t n_blocks = (n_bytes + HWS_MBOX_DATA_BYTES - 1) / HWS_MBOX_DATA_BYTES;
    const uint32_t n_ctl = HWS_MBOX_BYTES - HWS_MBOX_CTL_OFFSET;
    struct hws_mbox m;

    hws_assert(n_blocks <= HWS_MBOX_MAX_BLOCKS);
    for (uint32_t idx = 0; idx < n_blocks; idx++) {
        if (!aligned(addr, idx)) {
            return HWS_DLV_OUT_ALIGN;
        }
        if (!e->config.dma.read(e->config.dma.data, addr + HWS_MBOX_CTL_OFFSET, m.reserved_200,
                                n_ctl)) {
            return HWS_DLV_FW;
        }
        enum hws_delivery d = judge(e, &m, idx, token);
        if (d != HWS_DLV_OK) {
            return d;
        }
        e->out_blocks[idx] = addr;
        addr = hws_be64_get(m.next);
    }
    return HWS_DLV_OK;
}

bool hws_emu__chain_store(struct hws_emu *e, uint8_t token, const uint8_t *src, uint32_t n_bytes)
{
    uint32_t n_blocks = (n_bytes + HWS_MBOX_DATA_BYTES - 1) / HWS_MBOX_DATA_BYTES;

    for (uint32_t idx = 0; idx < n_blocks; idx++) {
        uint32_t n = n_bytes < HWS_MBOX_DATA_BYTES ? n_bytes : HWS_MBOX_DATA_BYTES;
        struct hws_mbox m;
        memcpy(m.data, src, n);
        memset(m.data + n, 0, sizeof(m) - n);
        m.next = hws_be64_of(idx + 1 < n_blocks ? e->out_blocks[idx + 1] : 0);
        m.block_idx = hws_be32_of(idx);
        m.token = token;
        hws_sig_mbox_set(&m);
        if (!e->config.dma.write(e->config.dma.data, e->out_blocks[idx], &m, sizeof(m))) {
            return false;
        }
        src += n;
        n_bytes -= n;
    }
    return true;
}
