/* The driver's half of an event queue; see event.h. Layout and source: ifc/eq.h. */
#include "cmdq/event.h"

#include <stdatomic.h>
#include <string.h>

#include "base/bits.h"
#include "ifc/eq.h"

#define N_ENTRIES (UINT32_C(1) << HWS_CMDQ_LOG_EVENTS)

_Static_assert(N_ENTRIES *HWS_EQE_BYTES == HWS_EQ_PAGE_BYTES, "the ring is one page");

enum hws_code hws_cmdq_events_open(struct hws_cmdq_events *ev, struct hws_bar *bar,
                                   struct hws_err *err)
{
    *ev = (struct hws_cmdq_events){.bar = bar};
    enum hws_code rc =
        bar->ops->dma_alloc(bar, HWS_EQ_PAGE_BYTES, HWS_EQ_PAGE_BYTES, &ev->ring, err);
    if (rc != HWS_OK) {
        return hws_err_wrap(err, "event queue");
    }
    for (uint32_t i = 0; i < N_ENTRIES; i++) { /* none is the card's of lap 0 */
        ((uint8_t *)ev->ring.host)[(size_t)i * HWS_EQE_BYTES + HWS_EQE_OWNER] = 1;
    }
    return HWS_OK;
}

static void ring_doorbell(const struct hws_cmdq_events *ev)
{
    hws_bar_write32(ev->bar, ev->uar * HWS_UAR_PAGE_BYTES + HWS_UAR_EQ_DB_ARM,
                    (uint32_t)ev->number << HWS_EQ_DB_NUM_LSB | (ev->consumed & HWS_EQ_DB_CI_MASK));
}

void hws_cmdq_events_start(struct hws_cmdq_events *ev, uint8_t number)
{
    ev->number = number;
    ev->on = true;
    ring_doorbell(ev);
}

void hws_cmdq_events_stop(struct hws_cmdq_events *ev)
{
    ev->on = false;
}

/* The entry after the last one read, if the card has posted it; else NULL. */
static const uint8_t *next_entry(const struct hws_cmdq_events *ev)
{
    const uint8_t *e =
        (const uint8_t *)ev->ring.host + (size_t)(ev->consumed & (N_ENTRIES - 1)) * HWS_EQE_BYTES;
    /* Acquire: what the card wrote before it gave the entry away is seen after this load. */
    uint8_t owner =
        atomic_load_explicit((const _Atomic uint8_t *)(e + HWS_EQE_OWNER), memory_order_acquire);

    return (owner & 1u) == (ev->consumed >> HWS_CMDQ_LOG_EVENTS & 1u) ? e : NULL;
}

uint32_t hws_cmdq_events_take(struct hws_cmdq_events *ev)
{
    uint32_t slots = 0;
    uint32_t n = 0;

    /* At most a ring: a card that writes as fast as we read must not keep us here. */
    for (const uint8_t *e = next_entry(ev); e != NULL && n < N_ENTRIES; e = next_entry(ev)) {
        if (e[HWS_EQE_TYPE] == HWS_EVENT_CMD) {
            slots |= hws_load_be32(e + HWS_EQE_DATA);
        }
        ev->consumed++;
        n++;
    }
    if (n > 0) {
        ring_doorbell(ev);
    }
    return slots;
}

void hws_cmdq_events_deinit(struct hws_cmdq_events *ev)
{
    if (ev->ring.host != NULL) {
        ev->bar->ops->dma_free(ev->bar, &ev->ring);
    }
    *ev = (struct hws_cmdq_events){0};
}
