/*
 * The key that signs the audit log's checkpoints: STATE/audit.key (ECDSA P-256, PEM, mode 0600),
 * made at the first start of a host. It changes through STATE/audit.key.next, which
 * `hawserd --new-audit-key` makes (entry.h): at the next reload or start the log goes on with it,
 * vouched for by the old one, and the file takes the old one's place. A crash at any moment between
 * leaves files and log so that the next start goes on.
 *
 * Thread rule: the loop thread; the store's thread signs with what is in use.
 */
#ifndef HWS_HAWSERD_AUDIT_KEY_H
#define HWS_HAWSERD_AUDIT_KEY_H

#include <stdbool.h>

#include "base/err.h"
#include "crypt/sign.h"
#include "hawserd/config.h"
#include "store/audit.h"

#define HWS_AUDIT_KEY_PATH_BYTES (HWS_CONFIG_PATH_BYTES + 32u)

struct hws_agent;

struct hws_audit_keys {
    struct hws_signer slots[2]; /* one in use, one to change to */
    unsigned used;              /* which */
    bool has_next;              /* the other slot holds audit.key.next */
    bool rotating;              /* the store is asked to change */
    struct hws_store_rotate rotate;
    char path[HWS_AUDIT_KEY_PATH_BYTES];
    char next_path[HWS_AUDIT_KEY_PATH_BYTES];
};

/* Reads the key, and the next one if there is one; makes the first one if may_create. HWS_E_PROTO:
 * the key is missing or no key. HWS_E_IO, HWS_E_NOMEM. */
enum hws_code hws_audit_keys_open(struct hws_audit_keys *k, const char *state_dir, bool may_create,
                                  struct hws_err *err) HWS_MUST_USE;

/* For the store's options. */
const struct hws_signer *hws_audit_keys_used(const struct hws_audit_keys *k);
const struct hws_signer *hws_audit_keys_next(const struct hws_audit_keys *k);

/* After the store was opened: puts files in order if its log goes on with the next key already,
 * else begins a change that is due. */
void hws_audit_keys_settle(struct hws_agent *agent);

/* Begins a change if audit.key.next is there; its end is logged. */
void hws_audit_keys_reload(struct hws_agent *agent);

void hws_audit_keys_deinit(struct hws_audit_keys *k);

#endif
