/*
 * A lying card against the command queue: the input is a script of what it does to the entries and
 * blocks while commands come and go. Each call must end exactly once, whatever it finds.
 *
 * Script, per byte b: b & 7 chooses the act, the bytes after it are its operands.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cmdq/queue.h"
#include "fake_bar.h"
#include "ifc/init_seg.h"
#include "ifc/sig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct req {
    struct hws_ctl_call call;
    uint8_t in[1600];
    uint8_t out[1600];
    bool on_loan;
};

static struct fake_bar fake;
static struct hws_cmdq q;
static struct req reqs[8];

static void on_done(struct hws_ctl_call *call)
{
    struct req *r = call->data;

    hws_assert(r->on_loan);
    hws_assert(call->out_bytes == 0 || call->out_bytes == call->out_cap_bytes);
    r->on_loan = false;
}

struct script {
    const uint8_t *bytes;
    size_t n;
};

static uint8_t next(struct script *s)
{
    if (s->n == 0) {
        return 0;
    }
    s->n--;
    return *s->bytes++;
}

static void submit(struct script *s, uint64_t now_ms)
{
    struct req *r = &reqs[next(s) % 8];
    size_t sizes = next(s);

    if (r->on_loan) {
        return;
    }
    r->call = (struct hws_ctl_call){.in = r->in,
                                    .in_bytes = 16 + (sizes & 15) * 100,
                                    .out = r->out,
                                    .out_cap_bytes = 16 + (sizes >> 4) * 100,
                                    .deadline_ms = now_ms + next(s),
                                    .cb = on_done,
                                    .data = r};
    r->on_loan = hws_cmdq_submit(&q, &r->call, NULL) == HWS_OK;
}

/* Xors a byte of an entry or of a block in the pool; signs again or not. */
static void spoil(struct script *s)
{
    uint8_t slot = next(s) & 31;
    uint8_t where = next(s);
    uint8_t at = next(s);
    uint8_t mask = next(s);
    struct hws_entry *e = fake_bar_entry(&fake, slot);

    if (e == NULL || q.pool.mem.host == NULL) {
        return;
    }
    if ((where & 1) == 0) {
        ((uint8_t *)e)[at & 63] ^= mask;
        if ((where & 2) != 0) {
            hws_sig_entry_set(e);
        }
        return;
    }
    uint32_t block = (where >> 2) % q.pool.n_blocks;
    struct hws_mbox *m =
        (struct hws_mbox *)(void *)((uint8_t *)q.pool.mem.host + (size_t)block * HWS_MBOX_ALIGN);
    ((uint8_t *)m)[0x1c0 + (at & 0x7f)] ^= mask;
    if ((where & 2) != 0) {
        hws_sig_mbox_set(m);
    }
}

/* Off the bus, dead, or events as it likes. */
static void misbehave(struct script *s)
{
    uint8_t what = next(s);

    if (what < 16) {
        fake.regs[HWS_ISEG_INITIALIZING / 4] = HWS_ISEG_GONE;
    } else if (what < 24) {
        fake.regs[HWS_ISEG_HEALTH_FLAGS / 4] = HWS_ISEG_HEALTH_RESET_BIT;
        fake.regs[HWS_ISEG_HEALTH_SYND / 4] = (uint32_t)what << HWS_ISEG_HEALTH_SYND_LSB;
    } else if (q.events.ring.host != NULL) {
        size_t at = (size_t)next(s) << 8 | next(s);
        ((uint8_t *)q.events.ring.host)[at % q.events.ring.bytes] = next(s);
    }
}

static bool act(struct script *s, uint64_t *now_ms)
{
    switch (next(s) & 7) {
    case 0:
    case 1:
        submit(s, *now_ms);
        return true;
    case 2: {
        uint8_t slot = next(s) & 31;
        uint8_t delivery = next(s);
        if (fake_bar_entry(&fake, slot) != NULL) {
            fake_bar_complete(&fake, slot, delivery & 0x80 ? delivery & 0x7f : 0);
        }
        return true;
    }
    case 3:
        *now_ms += next(s);
        (void)hws_cmdq_turn(&q, *now_ms);
        return true;
    case 4:
    case 5:
        spoil(s);
        return true;
    case 6:
        hws_cmdq_cancel(&q, &reqs[next(s) % 8].call);
        return true;
    default:
        misbehave(s);
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script s = {.bytes = data, .n = size};
    struct hws_cmdq_config config = {.n_blocks = 32, .events = (size & 2) != 0};
    uint64_t now_ms = 0;

    memset(reqs, 0, sizeof(reqs));
    fake_bar_init(&fake, (size & 1) != 0 ? 5 : 3, 6);
    if (hws_cmdq_open(&q, &fake.bar, &config, 0, NULL) != HWS_OK) {
        return 0;
    }
    if (config.events) {
        q.events.uar = 1;
        hws_cmdq_events_start(&q.events, 1);
    }
    while (s.n > 0 && act(&s, &now_ms)) {
    }
    hws_cmdq_close(&q, NULL);
    (void)hws_cmdq_turn(&q, now_ms);
    for (unsigned i = 0; i < 8; i++) {
        hws_assert(!reqs[i].on_loan);
    }
    (void)hws_cmdq_turn(&q, now_ms + 10000);
    hws_assert(q.state == HWS_CMDQ_CLOSED && fake.n_live == 0);
    return 0;
}
