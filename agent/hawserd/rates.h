/*
 * How many calls of an effect class a principal may make: so many at once, and as many again over
 * each minute. A runaway controller meets its own limit before it wears out a card's flash or keeps
 * its queue busy; nobody else's share changes. Reads have no limit unless the configuration gives
 * one: turns at the adapter keep them fair. Pure: now_ms comes in. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_RATES_H
#define HWS_HAWSERD_RATES_H

#include <stdint.h>

#include "base/err.h"
#include "table/table.h"

/* Calls a minute by default: more changes than a rollout makes of one host, and few enough that a
 * loop gone wild shows at once. */
#define HWS_RATES_CONFIG_PER_MIN    6000u
#define HWS_RATES_DANGEROUS_PER_MIN 600u
#define HWS_RATES_MAX_PER_MIN       1000000u

#define HWS_RATES_PRINCIPALS                                                                       \
    128u /* of more, the one that has been quiet for longest is forgotten */
#define HWS_RATES_TEXT_BYTES 256u /* principals that agree so far share a place */

struct hws_rates_slot {
    char principal[HWS_RATES_TEXT_BYTES]; /* "" = free */
    uint64_t used_ms;
    uint64_t paid_us[HWS_N_EFFECTS]; /* until when the calls so far have used up the rate */
};

struct hws_rates {
    uint32_t per_min[HWS_N_EFFECTS]; /* 0 = no limit */
    struct hws_rates_slot slots[HWS_RATES_PRINCIPALS];
};

/* The defaults into per_min. */
void hws_rates_defaults(uint32_t per_min[HWS_N_EFFECTS]);

/* Starts empty. */
void hws_rates_init(struct hws_rates *r, const uint32_t per_min[HWS_N_EFFECTS]);

/* Takes one call. HWS_E_BUSY, and nothing is taken, when the principal has used up its calls of
 * that effect: names principal, effect, limit and when the next is allowed, which is retry_ms, too.
 */
enum hws_code hws_rates_take(struct hws_rates *r, const char *principal, enum hws_effect effect,
                             uint64_t now_ms, uint32_t *retry_ms, struct hws_err *err) HWS_MUST_USE;

#endif
