/*
 * XOR-8 signatures of entries and mailbox blocks: the stored byte is the complement of the xor of
 * the others, so that the xor over the signed range is 0xff. Source: xor8_buf, calc_block_sig and
 * verify_block_sig of core/cmd.c, Linux 7.2.13.
 */
#ifndef HWS_IFC_SIG_H
#define HWS_IFC_SIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ifc/entry.h"
#include "ifc/mailbox.h"

/* The xor of n bytes. */
static inline uint8_t hws_sig_xor(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t lanes[4] = {0}; /* independent of each other: they are xored at once */
    size_t i = 0;

    for (; i + sizeof(lanes) <= n; i += sizeof(lanes)) {
        uint64_t words[4];
        memcpy(words, p + i, sizeof(words));
        lanes[0] ^= words[0];
        lanes[1] ^= words[1];
        lanes[2] ^= words[2];
        lanes[3] ^= words[3];
    }
    uint64_t wide = lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
    for (; i + sizeof(wide) <= n; i += sizeof(wide)) {
        uint64_t word;
        memcpy(&word, p + i, sizeof(word));
        wide ^= word;
    }
    wide ^= wide >> 32;
    wide ^= wide >> 16;
    wide ^= wide >> 8;
    uint8_t x = (uint8_t)wide;
    for (; i < n; i++) {
        x ^= p[i];
    }
    return x;
}

/* Fills the entry's signature over all its other bytes. */
static inline void hws_sig_entry_set(struct hws_entry *e)
{
    e->sig = 0;
    e->sig = (uint8_t)~hws_sig_xor(e, sizeof(*e));
}

static inline bool hws_sig_entry_ok(const struct hws_entry *e)
{
    return hws_sig_xor(e, sizeof(*e)) == 0xff;
}

/* Fills both signatures of a block. */
static inline void hws_sig_mbox_set(struct hws_mbox *m)
{
    const uint8_t *ctl = (const uint8_t *)m + HWS_MBOX_CTL_OFFSET;

    m->ctl_sig =
        (uint8_t)~hws_sig_xor(ctl, offsetof(struct hws_mbox, ctl_sig) - HWS_MBOX_CTL_OFFSET);
    m->sig = (uint8_t)~hws_sig_xor(m, offsetof(struct hws_mbox, sig));
}

/* The same for a block whose data are all zero: they do not change a xor. */
static inline void hws_sig_mbox_set_empty(struct hws_mbox *m)
{
    const uint8_t *ctl = (const uint8_t *)m + HWS_MBOX_CTL_OFFSET;

    m->ctl_sig =
        (uint8_t)~hws_sig_xor(ctl, offsetof(struct hws_mbox, ctl_sig) - HWS_MBOX_CTL_OFFSET);
    m->sig = (uint8_t)~hws_sig_xor(ctl, offsetof(struct hws_mbox, sig) - HWS_MBOX_CTL_OFFSET);
}

static inline bool hws_sig_mbox_ctl_ok(const struct hws_mbox *m)
{
    const uint8_t *ctl = (const uint8_t *)m + HWS_MBOX_CTL_OFFSET;
    return hws_sig_xor(ctl, offsetof(struct hws_mbox, sig) - HWS_MBOX_CTL_OFFSET) == 0xff;
}

static inline bool hws_sig_mbox_ok(const struct hws_mbox *m)
{
    return hws_sig_mbox_ctl_ok(m) && hws_sig_xor(m, sizeof(*m)) == 0xff;
}

#endif
