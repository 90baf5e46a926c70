/*
 * Bounded reading and writing of a packet's bytes. Both cursors latch the first failure: the caller
 * writes or reads every field in order and asks once, at the end, whether it all fitted.
 */
#ifndef HWS_LINK_CURSOR_PRIV_H
#define HWS_LINK_CURSOR_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* What bytes a text field may hold. */
enum hws_link__text {
    HWS_LINK__BYTES, /* anything */
    HWS_LINK__TEXT,  /* anything but NUL */
    HWS_LINK__TOKEN  /* printable ASCII without space */
};

struct hws_link__writer {
    uint8_t *bytes;
    size_t cap;
    size_t n;
    bool full;       /* something did not fit */
    const char *bad; /* name of the first field out of its range, or NULL */
};

struct hws_link__reader {
    const uint8_t *bytes;
    size_t n;
    size_t at;
    const char *bad; /* name of the first field that is wrong, or NULL */
};

void hws_link__put_u8(struct hws_link__writer *w, uint8_t v);
void hws_link__put_u16(struct hws_link__writer *w, uint16_t v);
void hws_link__put_u32(struct hws_link__writer *w, uint32_t v);
void hws_link__put_u64(struct hws_link__writer *w, uint64_t v);
void hws_link__put_raw(struct hws_link__writer *w, struct hws_span s);

/* A 16-bit length and the bytes; checks them as the reader will. */
void hws_link__put_text(struct hws_link__writer *w, const char *field, struct hws_span s,
                        size_t max, enum hws_link__text kind);

/* Notes the field as bad unless ok. */
void hws_link__need(struct hws_link__writer *w, const char *field, bool ok);

uint8_t hws_link__get_u8(struct hws_link__reader *r, const char *field);
uint16_t hws_link__get_u16(struct hws_link__reader *r, const char *field);
uint32_t hws_link__get_u32(struct hws_link__reader *r, const char *field);
uint64_t hws_link__get_u64(struct hws_link__reader *r, const char *field);

/* Exactly n bytes. */
struct hws_span hws_link__get_raw(struct hws_link__reader *r, const char *field, size_t n);

/* All the bytes that are left. */
struct hws_span hws_link__get_rest(struct hws_link__reader *r);

struct hws_span hws_link__get_text(struct hws_link__reader *r, const char *field, size_t max,
                                   enum hws_link__text kind);

/* Notes the field as bad unless ok. */
void hws_link__want(struct hws_link__reader *r, const char *field, bool ok);

/* True if s holds only what kind allows. */
bool hws_link__text_ok(struct hws_span s, enum hws_link__text kind);

#endif
