/*
 * The memory of used warrants, and a clock that does not go backwards. The owner keeps each use as
 * a line of text, durable before the command runs:
 *
 *     <64 hex digits: the warrant's hash> <until> <used at>        (seconds since 1970)
 *
 * The time of the latest use is the least that the time can be now: a clock that was set back makes
 * no expired warrant good again, nor one that was used and forgotten. It can only have been moved
 * forward by a use, so no further than HWS_WARRANT_LIFE_S past what two persons signed.
 * Thread rule: one thread.
 */
#ifndef HWS_WARRANT_SPENT_H
#define HWS_WARRANT_SPENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"

#define HWS_SPENT_MAX        256u /* that may be unexpired at once; one more is HWS_E_BUSY */
#define HWS_SPENT_LINE_BYTES 112u /* with NUL */

struct hws_spent_use {
    struct hws_digest hash;
    uint64_t until_s;
    uint64_t at_s;
};

/* Zeroed: nothing was used yet. */
struct hws_spent {
    size_t n;
    struct hws_spent_use uses[HWS_SPENT_MAX];
    uint64_t high_s; /* the latest use */
};

/*
 * Adds the uses of n bytes of text, oldest first. A last line without its end was cut off by a
 * crash before its command ran, and counts for nothing: *out_n is where it begins. HWS_E_PROTO for
 * any other line that is not as above: what was used is not known, so nothing may be.
 */
enum hws_code hws_spent_load(struct hws_spent *s, const char *text, size_t n, size_t *out_n,
                             struct hws_err *err) HWS_MUST_USE;

/* What time it is at least, given what the clock says. */
uint64_t hws_spent_now(const struct hws_spent *s, uint64_t clock_s);

/* HWS_E_DENIED: this warrant was used before. HWS_E_BUSY: no room before one expires. */
enum hws_code hws_spent_check(const struct hws_spent *s, const struct hws_digest *hash,
                              struct hws_err *err) HWS_MUST_USE;

/* Remembers a use that check allows; expired ones are forgotten. */
void hws_spent_add(struct hws_spent *s, const struct hws_spent_use *use);

/* Takes back the use of a command that was never sent; unknown: nothing. The time stays. */
void hws_spent_forget(struct hws_spent *s, const struct hws_digest *hash);

/* The line of a use, with its end and a NUL; returns its length. */
size_t hws_spent_line(const struct hws_spent_use *use, char dst[HWS_SPENT_LINE_BYTES]);

#endif
