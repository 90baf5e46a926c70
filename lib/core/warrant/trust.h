/*
 * The trust file: which host this is, and whose keys sign dangerous commands here. Lines of words:
 *
 *     # comment
 *     host host-a
 *     key spiffe://domain/operator/olga 02a5...   (66 hex digits: hawser approval key)
 *     lockdown debug-write
 *     scope full
 *
 * "lockdown", if it is there: commands of fwctl's scope 2, which its header (uapi/fwctl/fwctl.h)
 * calls compatible with lockdown, may be run with their warrant while the kernel is locked down;
 * without it they are refused then. Scope 3 always is. "scope full": the kernel may be asked for
 * scope 3 at all, for which a device process keeps CAP_SYS_RAWIO if it was started with it.
 *
 * A principal may have several keys (old and new, while one is rotated); a key belongs to one
 * principal. Pure data; any thread.
 */
#ifndef HWS_WARRANT_TRUST_H
#define HWS_WARRANT_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "crypt/sign.h"
#include "warrant/warrant.h"

#define HWS_TRUST_MAX_BYTES ((size_t)64 * 1024)
#define HWS_TRUST_MAX_KEYS  64u

struct hws_trust_key {
    char principal[HWS_WARRANT_PRINCIPAL_BYTES];
    struct hws_public key;
};

/* Zeroed: nobody is trusted. */
struct hws_trust {
    char host[HWS_WARRANT_HOST_BYTES];
    bool debug_write_under_lockdown;
    bool full_scope;
    size_t n_keys;
    struct hws_trust_key keys[HWS_TRUST_MAX_KEYS];
};

/* Reads n bytes of text; name is the file's, for messages. HWS_E_INVALID: "NAME:LINE: reason";
 * HWS_E_BUSY over a limit. */
enum hws_code hws_trust_parse(const void *text, size_t n, const char *name, struct hws_trust *out,
                              struct hws_err *err) HWS_MUST_USE;

#endif
