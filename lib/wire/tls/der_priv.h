/*
 * A strict reader of DER, just enough for certificate extensions: one-byte tags, definite minimal
 * lengths. A reader is a span that shrinks from the front.
 */
#ifndef HWS_TLS_DER_PRIV_H
#define HWS_TLS_DER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define HWS_DER_BOOLEAN      0x01u
#define HWS_DER_BIT_STRING   0x03u
#define HWS_DER_OCTET_STRING 0x04u
#define HWS_DER_OID          0x06u
#define HWS_DER_SEQUENCE     0x30u
#define HWS_DER_CONTEXT      0x80u /* | n: primitive context tag n */

/* Takes the next element: its tag and content. False for broken DER; *r is then unchanged. */
bool hws_tls__der_next(struct hws_span *r, uint8_t *out_tag, struct hws_span *out_content);

/* As next, and the tag must be `tag`. */
bool hws_tls__der_take(struct hws_span *r, uint8_t tag, struct hws_span *out_content);

/* Is the content of an OID equal to these n bytes? */
bool hws_tls__der_is(struct hws_span content, const uint8_t *bytes, size_t n);

#endif
