/*
 * The primitives of the rollout's stored form: big-endian numbers and short texts with a 16-bit
 * length. Readers never pass the end; after the first fault everything reads as zero and `bad`
 * stays set, so a decoder checks once.
 */
#ifndef HWS_ROLLOUT_WIRE_PRIV_H
#define HWS_ROLLOUT_WIRE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct hws_rollout__writer {
    struct hws_buf *out; /* borrowed */
    enum hws_code code;  /* the first failure */
};

struct hws_rollout__reader {
    const uint8_t *p;
    size_t n;
    bool bad;
};

void hws_rollout__put_u8(struct hws_rollout__writer *w, uint8_t v);
void hws_rollout__put_u32(struct hws_rollout__writer *w, uint32_t v);
void hws_rollout__put_u64(struct hws_rollout__writer *w, uint64_t v);
void hws_rollout__put_text(struct hws_rollout__writer *w, const char *s);

uint8_t hws_rollout__get_u8(struct hws_rollout__reader *r);
uint32_t hws_rollout__get_u32(struct hws_rollout__reader *r);
uint64_t hws_rollout__get_u64(struct hws_rollout__reader *r);

/* Into dst[cap] with a NUL; a text that does not fit or holds a NUL is bad. */
void hws_rollout__get_text(struct hws_rollout__reader *r, char *dst, size_t cap);

#endif
