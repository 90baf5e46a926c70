/* Used warrants. */
#include "warrant/spent.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

uint64_t hws_spent_now(const struct hws_spent *s, uint64_t clock_s)
{
    return clock_s > s->high_s ? clock_s : s->high_s;
}

static void forget_expired(struct hws_spent *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (s->uses[i].until_s >= s->high_s) {
            s->uses[n++] = s->uses[i];
        }
    }
    s->n = n;
}

enum hws_code hws_spent_check(const struct hws_spent *s, const struct hws_digest *hash,
                              struct hws_err *err)
{
    size_t n_live = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (hws_digest_eq(&s->uses[i].hash, hash)) {
            return hws_err_set(err, HWS_E_DENIED, "warrant: replayed: it was used before");
        }
        n_live += s->uses[i].until_s >= s->high_s ? 1u : 0u;
    }
    if (n_live == HWS_SPENT_MAX) {
        return hws_err_set(err, HWS_E_BUSY, "warrant: %u used ones have not expired; wait for one",
                           HWS_SPENT_MAX);
    }
    return HWS_OK;
}

void hws_spent_add(struct hws_spent *s, const struct hws_spent_use *use)
{
    s->high_s = use->at_s > s->high_s ? use->at_s : s->high_s;
    forget_expired(s);
    hws_assert(s->n < HWS_SPENT_MAX);
    s->uses[s->n++] = *use;
}

void hws_spent_forget(struct hws_spent *s, const struct hws_digest *hash)
{
    for (size_t i = 0; i < s->n; i++) {
        if (hws_digest_eq(&s->uses[i].hash, hash)) {
            s->uses[i] = s->uses[--s->n];
            return;
        }
    }
}

size_t hws_spent_line(const struct hws_spent_use *use, char dst[HWS_SPENT_LINE_BYTES])
{
    char hex[HWS_DIGEST_HEX_BYTES];

    hws_digest_hex(&use->hash, hex);
    (void)hws_str_print(dst, HWS_SPENT_LINE_BYTES, "%s %llu %llu\n", hex,
                        (unsigned long long)use->until_s, (unsigned long long)use->at_s);
    return strlen(dst);
}

/* One line of n bytes, its end included. */
static bool read_line(const char *text, size_t n, struct hws_spent_use *out)
{
    char line[HWS_SPENT_LINE_BYTES];
    char again[HWS_SPENT_LINE_BYTES];

    if (!hws_str_copy_n(line, sizeof(line), text, n - 1)) {
        return false;
    }
    char *until = strchr(line, ' ');
    char *at = until == NULL ? NULL : strchr(until + 1, ' ');
    if (at == NULL) {
        return false;
    }
    *until++ = '\0';
    *at++ = '\0';
    return hws_digest_from_hex(line, &out->hash) == HWS_OK &&
           hws_str_to_u64(until, UINT64_MAX, &out->until_s, NULL) == HWS_OK &&
           hws_str_to_u64(at, UINT64_MAX, &out->at_s, NULL) == HWS_OK &&
           out->at_s <= out->until_s && hws_spent_line(out, again) == n &&
           memcmp(again, text, n) == 0;
}

enum hws_code hws_spent_load(struct hws_spent *s, const char *text, size_t n, size_t *out_n,
                             struct hws_err *err)
{
    size_t at = 0;

    for (unsigned number = 1; at < n; number++) {
        const char *stop = memchr(text + at, '\n', n - at);
        size_t length = stop == NULL ? 0 : (size_t)(stop - (text + at)) + 1;
        struct hws_spent_use use;

        if (stop == NULL) {
            break;
        }
        if (!read_line(text + at, length, &use)) {
            return hws_err_set(err, HWS_E_PROTO, "used warrants: line %u is malformed", number);
        }
        if (s->n == HWS_SPENT_MAX) {
            forget_expired(s);
        }
        if (s->n == HWS_SPENT_MAX) {
            return hws_err_set(err, HWS_E_PROTO, "used warrants: more than %u unexpired ones",
                               HWS_SPENT_MAX);
        }
        hws_spent_add(s, &use);
        at += length;
    }
    forget_expired(s); /* a line may be older than the one before it */
    *out_n = at;
    return HWS_OK;
}
