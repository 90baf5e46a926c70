/* A port without a card. */
#include "fake_bar.h"

#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "ifc/init_seg.h"
#include "ifc/sig.h"
#include "test.h"

static struct fake_bar *fake_of(struct hws_bar *bar)
{
    return hws_container_of(bar, struct fake_bar, bar);
}

static uint32_t fake_read32(struct hws_bar *bar, uint32_t offset)
{
    return fake_of(bar)->regs[offset / 4];
}

static void fake_write32(struct hws_bar *bar, uint32_t offset, uint32_t value)
{
    struct fake_bar *f = fake_of(bar);

    if (offset == HWS_ISEG_DOORBELL) {
        f->doorbells |= value;
        f->n_rings++;
    } else if (offset == HWS_ISEG_CMDQ_ADDR_L) {
        f->regs[offset / 4] = (f->regs[offset / 4] & 0xff) | (value & ~UINT32_C(0xff));
    } else {
        f->regs[offset / 4] = value;
    }
}

static enum hws_code fake_dma_alloc(struct hws_bar *bar, size_t bytes, size_t align,
                                    struct hws_dma *out, struct hws_err *err)
{
    struct fake_bar *f = fake_of(bar);

    for (unsigned i = 0; i < FAKE_BAR_PIECES; i++) {
        if (f->pieces[i].host != NULL) {
            continue;
        }
        void *host = hws_mem_zalloc(1, bytes);
        if (host == NULL) {
            return hws_err_set(err, HWS_E_NOMEM, "fake: out of memory");
        }
        f->next_addr = (f->next_addr + align - 1) / align * align;
        f->pieces[i] = (struct hws_dma){.host = host, .dev_addr = f->next_addr, .bytes = bytes};
        f->next_addr += bytes + 4096;
        f->n_live++;
        *out = f->pieces[i];
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_BUSY, "fake: too many pieces");
}

static void fake_dma_free(struct hws_bar *bar, struct hws_dma *dma)
{
    struct fake_bar *f = fake_of(bar);

    for (unsigned i = 0; i < FAKE_BAR_PIECES; i++) {
        if (dma->host != NULL && f->pieces[i].host == dma->host) {
            hws_mem_free(dma->host);
            f->pieces[i] = (struct hws_dma){0};
            f->n_live--;
        }
    }
    *dma = (struct hws_dma){0};
}

static void fake_write_barrier(struct hws_bar *bar)
{
    (void)bar;
}

static const struct hws_bar_ops fake_ops = {
    .read32 = fake_read32,
    .write32 = fake_write32,
    .dma_alloc = fake_dma_alloc,
    .dma_free = fake_dma_free,
    .write_barrier = fake_write_barrier,
};

void fake_bar_init(struct fake_bar *f, unsigned log_size, unsigned log_stride)
{
    memset(f, 0, sizeof(*f));
    f->bar.ops = &fake_ops;
    f->next_addr = UINT64_C(0x700000000);
    f->regs[HWS_ISEG_CMDIF_REV / 4] = HWS_ISEG_CMDIF_REV_5 << HWS_ISEG_CMDIF_REV_LSB;
    f->regs[HWS_ISEG_CMDQ_ADDR_L / 4] = log_size << 4 | log_stride;
}

void *fake_bar_at(struct fake_bar *f, uint64_t addr)
{
    for (unsigned i = 0; i < FAKE_BAR_PIECES; i++) {
        const struct hws_dma *d = &f->pieces[i];
        if (d->host != NULL && addr >= d->dev_addr && addr - d->dev_addr < d->bytes) {
            return (uint8_t *)d->host + (addr - d->dev_addr);
        }
    }
    return NULL;
}

struct hws_entry *fake_bar_entry(struct fake_bar *f, unsigned slot)
{
    uint32_t low = f->regs[HWS_ISEG_CMDQ_ADDR_L / 4];
    uint64_t base =
        (uint64_t)f->regs[HWS_ISEG_CMDQ_ADDR_H / 4] << 32 | (low & HWS_ISEG_ADDR_L_MASK);
    return fake_bar_at(f, base + ((uint64_t)slot << (low & HWS_ISEG_LOG_MASK)));
}

void fake_bar_complete(struct fake_bar *f, unsigned slot, uint8_t delivery)
{
    struct hws_entry *e = fake_bar_entry(f, slot);

    e->status_own = (uint8_t)(delivery << 1);
    hws_sig_entry_set(e);
}

void fake_bar_fill(struct fake_bar *f, unsigned slot, const uint8_t *out, size_t n)
{
    struct hws_entry *e = fake_bar_entry(f, slot);
    uint64_t addr = hws_be64_get(e->out_ptr);

    memcpy(e->out_inline, out, n < 16 ? n : 16);
    for (size_t at = 16; at < n; at += 512) {
        struct hws_mbox *m = fake_bar_at(f, addr);
        assert_non_null(m);
        memcpy(m->data, out + at, n - at < 512 ? n - at : 512);
        hws_sig_mbox_set(m);
        addr = hws_be64_get(m->next);
    }
}
