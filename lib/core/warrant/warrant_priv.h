/* What warrant.c (text, signing) and judge.c share. */
#ifndef HWS_WARRANT_WARRANT_PRIV_H
#define HWS_WARRANT_WARRANT_PRIV_H

#include "warrant/warrant.h"

#define HWS_WARRANT__SIGNED_BYTES 320u /* part, hash, principal */

/* The text that a signature is over, NUL-terminated, into dst[cap]; its length, 0 if it does not
 * fit. */
size_t hws_warrant__signed(const struct hws_digest *hash, enum hws_warrant_part part,
                           const char *principal, char *dst, size_t cap);

#endif
