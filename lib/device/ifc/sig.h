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
    uint64_t wide = 0;
    size_t i = 0;

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
