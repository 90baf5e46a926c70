/* Calls of a principal by effect class, each paid for with its share of a minute. */
#include "hawserd/rates.h"

#include <string.h>

#include "base/str.h"

#define MINUTE_US UINT64_C(60000000)

void hws_rates_defaults(uint32_t per_min[HWS_N_EFFECTS])
{
    memset(per_min, 0, HWS_N_EFFECTS * sizeof(per_min[0]));
    per_min[HWS_EFFECT_CONFIG_NEXT_RESET] = HWS_RATES_CONFIG_PER_MIN;
    per_min[HWS_EFFECT_CONFIG_LIVE] = HWS_RATES_CONFIG_PER_MIN;
    per_min[HWS_EFFECT_DEBUG_WRITE] = HWS_RATES_DANGEROUS_PER_MIN;
    per_min[HWS_EFFECT_FULL] = HWS_RATES_DANGEROUS_PER_MIN;
}

void hws_rates_init(struct hws_rates *r, const uint32_t per_min[HWS_N_EFFECTS])
{
    memset(r, 0, sizeof(*r));
    memcpy(r->per_min, per_min, sizeof(r->per_min));
}

/* The principal's place: its own, or a free one, or that of who has been quiet for longest. */
static struct hws_rates_slot *slot_of(struct hws_rates *r, const char *principal)
{
    char name[HWS_RATES_TEXT_BYTES];
    struct hws_rates_slot *oldest = &r->slots[0];

    (void)hws_str_copy(name, sizeof(name), principal);
    for (size_t i = 0; i < HWS_RATES_PRINCIPALS; i++) {
        struct hws_rates_slot *s = &r->slots[i];
        if (hws_str_eq(s->principal, name)) {
            return s;
        }
        if (oldest->principal[0] != '\0' &&
            (s->principal[0] == '\0' || s->used_ms < oldest->used_ms)) {
            oldest = s;
        }
    }
    memset(oldest, 0, sizeof(*oldest));
    (void)hws_str_copy(oldest->principal, sizeof(oldest->principal), name);
    return oldest;
}

enum hws_code hws_rates_take(struct hws_rates *r, const char *principal, enum hws_effect effect,
                             uint64_t now_ms, uint32_t *retry_ms, struct hws_err *err)
{
    uint64_t now_us = now_ms * 1000;
    uint32_t per_min = r->per_min[effect];

    if (per_min == 0) {
        return HWS_OK;
    }
    struct hws_rates_slot *s = slot_of(r, principal);
    uint64_t from_us = s->paid_us[effect] > now_us ? s->paid_us[effect] : now_us;
    uint64_t paid_us = from_us + MINUTE_US / per_min;
    s->used_ms = now_ms;
    if (paid_us > now_us + MINUTE_US) {
        uint32_t wait_ms = (uint32_t)((paid_us - now_us - MINUTE_US + 999) / 1000); /* < 2 min */
        *retry_ms = wait_ms;
        return hws_err_set(
            err, HWS_E_BUSY,
            "%.160s has made its calls of effect %s, %u a minute (rates); the next is "
            "allowed in %u ms",
            principal, hws_effect_name(effect), per_min, wait_ms);
    }
    s->paid_us[effect] = paid_us;
    return HWS_OK;
}
