/* What main() calls: the keeper from its configuration to its exit status. */
#ifndef HWS_HAWSERD_ENTRY_H
#define HWS_HAWSERD_ENTRY_H

#include <stddef.h>

#include "base/err.h"
#include "hawserd/config.h"
#include "hawserd/options.h"

#define HWS_AGENT_MAX_FILE_BYTES ((size_t)256 * 1024) /* a certificate, key or profile */

/* Judges what the configuration names, without serving anything: the policy is parsed, profiles are
 * read, certificate, key, CAs, revocation and deny lists are judged by `hawser-wire --check`, the
 * user could be become. HWS_E_INVALID, HWS_E_NOT_FOUND, HWS_E_IO with the key and the file; those
 * of hws_user_check. */
enum hws_code hws_agent_check(const struct hws_config *config, const struct hws_options *options,
                              struct hws_err *err) HWS_MUST_USE;

#define HWS_AGENT_KEY_BYTES 67u /* a public key in hex and a NUL */

/* Makes the audit key that the log changes to at the next reload or start (STATE/audit.key.next);
 * key gets its public half. HWS_E_EXISTS: one waits already. HWS_E_NOT_FOUND: this host has none
 * yet. HWS_E_IO, HWS_E_NOMEM. */
enum hws_code hws_agent_new_audit_key(const struct hws_config *config, char *key,
                                      struct hws_err *err) HWS_MUST_USE;

/* Runs the keeper to its end; returns the exit status for main. */
int hws_agent_run(const struct hws_config *config, const struct hws_options *options);

#endif
