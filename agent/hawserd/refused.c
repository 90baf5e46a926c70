/* Token buckets by principal. */
#include "hawserd/refused.h"

#include <string.h>

#include "base/str.h"

#define FULL_MILLI (HWS_REFUSED_BURST * UINT64_C(1000))

static void refill(struct hws_refused_slot *s, uint64_t now_ms)
{
    uint64_t gained = (now_ms - s->filled_ms) * HWS_REFUSED_PER_S; /* milliseconds times 1/s */

    s->filled_ms = now_ms;
    s->tokens_milli = FULL_MILLI - s->tokens_milli < gained ? FULL_MILLI : s->tokens_milli + gained;
}

static void take(struct hws_refused_slot *s, const char *principal, uint64_t now_ms)
{
    (void)hws_str_copy(s->principal, sizeof(s->principal), principal);
    s->tokens_milli = FULL_MILLI;
    s->filled_ms = now_ms;
    hws_refused_told(s);
}

/* The principal's place: its own, a free one, one whose owner has been quiet, or the last. */
static struct hws_refused_slot *slot_of(struct hws_refused *r, const char *principal,
                                        uint64_t now_ms)
{
    char name[HWS_REFUSED_TEXT_BYTES];
    struct hws_refused_slot *found = NULL;

    (void)hws_str_copy(name, sizeof(name), principal);
    for (size_t i = 0; i + 1 < HWS_REFUSED_PRINCIPALS; i++) {
        struct hws_refused_slot *s = &r->slots[i];
        if (hws_str_eq(s->principal, name) && name[0] != '\0') {
            refill(s, now_ms);
            return s;
        }
        if (found == NULL && s->n == 0) {
            refill(s, now_ms);
            found = s->principal[0] == '\0' || s->tokens_milli == FULL_MILLI ? s : NULL;
        }
    }
    if (found != NULL) {
        take(found, name[0] == '\0' ? "(nobody)" : name, now_ms);
        return found;
    }
    struct hws_refused_slot *last = &r->slots[HWS_REFUSED_PRINCIPALS - 1];
    if (last->principal[0] == '\0') {
        take(last, "(others)", now_ms);
    }
    refill(last, now_ms);
    return last;
}

const char *hws_refusal_name(enum hws_refusal why)
{
    static const char *const names[HWS_N_REFUSALS] = {
#define HWS_REFUSAL(name, text) [HWS_REFUSAL_##name] = (text),
#include "hawserd/refusals.def"
#undef HWS_REFUSAL
    };

    return (unsigned)why < HWS_N_REFUSALS ? names[why] : "?";
}

static void count(struct hws_refused_slot *s, const struct hws_refused_call *call, uint64_t now_ms)
{
    if (s->n == 0) {
        s->first_ms = now_ms;
    }
    if (s->n < UINT32_MAX) {
        s->n++;
        s->n_by_why[call->why]++;
    }
    s->status = call->status;
    (void)hws_str_copy(s->last, sizeof(s->last), call->text);
}

bool hws_refused_admit(struct hws_refused *r, const struct hws_refused_call *call, uint64_t now_ms)
{
    struct hws_refused_slot *s = slot_of(r, call->principal, now_ms);

    if (s->tokens_milli >= 1000) {
        s->tokens_milli -= 1000;
        return true;
    }
    count(s, call, now_ms);
    return false;
}

void hws_refused_count(struct hws_refused *r, const struct hws_refused_call *call, uint64_t now_ms)
{
    count(slot_of(r, call->principal, now_ms), call, now_ms);
}

struct hws_refused_slot *hws_refused_due(struct hws_refused *r, uint64_t now_ms, bool all)
{
    for (size_t i = 0; i < HWS_REFUSED_PRINCIPALS; i++) {
        struct hws_refused_slot *s = &r->slots[i];
        if (s->n > 0 && (all || now_ms - s->first_ms >= HWS_REFUSED_TELL_MS)) {
            return s;
        }
    }
    return NULL;
}

void hws_refused_reasons(const struct hws_refused_slot *s, char *dst, size_t cap)
{
    size_t used = 0;

    dst[0] = '\0';
    for (unsigned i = 0; i < HWS_N_REFUSALS && used < cap; i++) {
        if (s->n_by_why[i] > 0) {
            (void)hws_str_print(dst + used, cap - used, "%s%u %s", used == 0 ? "" : ", ",
                                s->n_by_why[i], hws_refusal_name((enum hws_refusal)i));
            used += strlen(dst + used);
        }
    }
}

void hws_refused_told(struct hws_refused_slot *s)
{
    s->n = 0;
    memset(s->n_by_why, 0, sizeof(s->n_by_why));
}

bool hws_refused_waits(const struct hws_refused *r)
{
    for (size_t i = 0; i < HWS_REFUSED_PRINCIPALS; i++) {
        if (r->slots[i].n > 0) {
            return true;
        }
    }
    return false;
}
