/*
 * Refused calls on record without a flood of them pushing everything else out of the log: each
 * principal has some single records, refilled over time; what comes above is counted, and one
 * record says how many of whom. Pure: now_ms comes in. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_REFUSED_H
#define HWS_HAWSERD_REFUSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HWS_REFUSED_BURST      20u   /* single records of one principal at once */
#define HWS_REFUSED_PER_S      2u    /* and so many more each second */
#define HWS_REFUSED_TELL_MS    1000u /* counted ones are told so long after the first */
#define HWS_REFUSED_PRINCIPALS 64u   /* more at once share the last place */
#define HWS_REFUSED_TEXT_BYTES 256u

/* Why a call is refused. */
enum hws_refusal {
#define HWS_REFUSAL(name, text) HWS_REFUSAL_##name,
#include "hawserd/refusals.def"
#undef HWS_REFUSAL
    HWS_N_REFUSALS
};

/* A refused call. */
struct hws_refused_call {
    const char *principal;
    enum hws_refusal why;
    const char *status; /* the gRPC status it came to; static */
    const char *text;   /* method and reason */
};

/* One principal. */
struct hws_refused_slot {
    char principal[HWS_REFUSED_TEXT_BYTES]; /* "" = free; "(others)" in the last place */
    char last[HWS_REFUSED_TEXT_BYTES];      /* method and reason of the latest counted one */
    uint64_t tokens_milli;                  /* single records left, in thousandths */
    uint64_t filled_ms;                     /* when they were reckoned last */
    uint64_t first_ms;                      /* when counting began */
    uint32_t n;                             /* counted, not told yet */
    uint32_t n_by_why[HWS_N_REFUSALS];      /* the same by reason */
    const char *status;                     /* of the latest counted one */
};

struct hws_refused {
    struct hws_refused_slot slots[HWS_REFUSED_PRINCIPALS];
};

/* "form", "request", "policy", ... */
const char *hws_refusal_name(enum hws_refusal why);

/* True if this call gets a record of its own; otherwise it was counted. */
bool hws_refused_admit(struct hws_refused *r, const struct hws_refused_call *call, uint64_t now_ms);

/* Counts a call that was to have a record of its own and could not get it. */
void hws_refused_count(struct hws_refused *r, const struct hws_refused_call *call, uint64_t now_ms);

/* A principal whose count is to be told now (all: however young); NULL if there is none. The owner
 * writes the record and then calls hws_refused_told. */
struct hws_refused_slot *hws_refused_due(struct hws_refused *r, uint64_t now_ms, bool all);

/* "3 policy, 1 request" into dst. */
void hws_refused_reasons(const struct hws_refused_slot *s, char *dst, size_t cap);

/* Its count begins again. */
void hws_refused_told(struct hws_refused_slot *s);

/* True if something is counted and not told. */
bool hws_refused_waits(const struct hws_refused *r);

#endif
