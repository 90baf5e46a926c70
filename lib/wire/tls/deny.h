/*
 * The deny-list: who is kept out whatever the certificate says, at once and without a CA's help. A
 * text of lines, "#" begins a comment:
 *
 *     principal spiffe://fleet.example/operator/olga    exactly this one
 *     principal spiffe://fleet.example/controller/      every one below
 *     serial 7f0102                                     of a leaf, as `openssl x509 -serial` shows
 * it sha256 <64 hex digits>                            of a leaf's DER
 *
 * An entry is brought into the form that a peer has (hex and host names in lower case, serials
 * without leading zero bytes); one that no peer can have is refused.
 *
 * Pure; any thread.
 */
#ifndef HWS_TLS_DENY_H
#define HWS_TLS_DENY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "tls/peer.h"

#define HWS_TLS_DENY_MAX_ENTRIES    4096u
#define HWS_TLS_DENY_MAX_LINE_BYTES (HWS_TLS_PRINCIPAL_MAX_BYTES + 32u)

struct hws_tls_deny;

/* HWS_E_INVALID naming line and reason, HWS_E_BUSY for too many lines, HWS_E_NOMEM. An empty text
 * is a list without entries. */
enum hws_code hws_tls_deny_parse(struct hws_span text, struct hws_tls_deny **out,
                                 struct hws_err *err) HWS_MUST_USE;

/* NULL is allowed. */
void hws_tls_deny_free(struct hws_tls_deny *deny);

/* Does an entry name this peer? NULL is an empty list. */
bool hws_tls_deny_has(const struct hws_tls_deny *deny, const struct hws_tls_peer *peer);

#endif
