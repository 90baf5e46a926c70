/*
 * What the keeper knows about dangerous commands: whose keys are trusted, which grants there are,
 * which warrants were left for a second person, and which were used. Everything but the keys is in
 * the store (namespaces "grant", "approval", "used-warrant") and read whole at the start.
 *
 * Changes are made in memory at once and durable when the put's callback has come; what a use
 * needs durable is waited for before the command is sent. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_DANGER_H
#define HWS_HAWSERD_DANGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/kv.h"
#include "warrant/grant.h"
#include "warrant/spent.h"
#include "warrant/trust.h"
#include "warrant/warrant.h"

#define HWS_DANGER_NS_GRANT      "grant"    /* of the store; keys are 20 digits of the id */
#define HWS_DANGER_NS_APPROVAL   "approval" /* keys are the hash in hex, as of the next */
#define HWS_DANGER_NS_USE        "used-warrant"
#define HWS_DANGER_MAX_GRANTS    64u   /* unexpired at once */
#define HWS_DANGER_MAX_APPROVALS 64u   /* unexpired at once */
#define HWS_DANGER_INBOX_BYTES   4096u /* of a dangerous command; the table's are shorter */
#define HWS_DANGER_KEY_BYTES     65u   /* of a store key, with NUL: the hash, or the id */

struct hws_agent;
struct hws_config;
struct hws_task;

/* A grant as kept. The texts of g are in bytes. */
struct hws_danger_grant {
    uint64_t id;
    struct hws_grant g;
    const char *rows[HWS_GRANT_MAX_ROWS];
    char *bytes; /* owned; as stored */
    size_t n_bytes;
    bool revoked; /* covers nothing; forgotten when the store has it */
};

/* A warrant as kept. */
struct hws_danger_approval {
    char hash[HWS_DIGEST_HEX_BYTES];
    struct hws_warrant w;
    uint8_t *inbox; /* owned */
    size_t n_inbox;
};

struct hws_danger {
    struct hws_agent *agent;        /* borrowed */
    struct hws_trust trust;         /* zeroed: dangerous commands are off */
    char broken[HWS_ERR_MSG_BYTES]; /* why what is stored cannot be trusted, or "" */
    struct hws_danger_grant *grants[HWS_DANGER_MAX_GRANTS]; /* owned */
    size_t n_grants;
    uint64_t last_grant_id;
    struct hws_danger_approval *approvals[HWS_DANGER_MAX_APPROVALS]; /* owned */
    size_t n_approvals;
    struct hws_spent spent;
};

/* Reads the trust file that the configuration names, if it names one. On an error the keys stay as
 * they were. HWS_E_INVALID, HWS_E_DENIED (somebody but root can write it), HWS_E_IO. */
enum hws_code hws_danger_read_trust(struct hws_danger *d, struct hws_err *err) HWS_MUST_USE;

/* The same for `hawserd --check`: judges the file. */
enum hws_code hws_danger_check_trust(const struct hws_config *config, struct hws_err *err)
    HWS_MUST_USE;

/* Reads what is stored; blocks, at the start only. What is damaged turns dangerous commands off. */
void hws_danger_load(struct hws_danger *d);

void hws_danger_deinit(struct hws_danger *d);

/* The time for grants and warrants, in seconds since 1970: it does not go back. */
uint64_t hws_danger_now(const struct hws_danger *d);

/* HWS_E_DENIED when dangerous commands are off, saying what to do. */
enum hws_code hws_danger_is_on(const struct hws_danger *d, struct hws_err *err) HWS_MUST_USE;

/* Adds a grant: copies it. *out is what to store. HWS_E_BUSY, HWS_E_NOMEM. */
enum hws_code hws_danger_add_grant(struct hws_danger *d, const struct hws_grant *g,
                                   struct hws_danger_grant **out, struct hws_err *err) HWS_MUST_USE;

/* The grant with this id, revoked or not; NULL if there is none. It lives until it is dropped or
 * has expired for an hour: not across a wait. */
const struct hws_danger_grant *hws_danger_grant_by_id(const struct hws_danger *d, uint64_t id);

/* From here on it covers nothing. False if there is none. */
bool hws_danger_revoke_grant(struct hws_danger *d, uint64_t id);

/* What is stored in place of a revoked grant: the greatest id ever given has to stay known. */
struct hws_span hws_danger_revoked(void);

/* Forgets one. False if there is none. */
bool hws_danger_drop_grant(struct hws_danger *d, uint64_t id);

/* The grant that covers this, else HWS_E_DENIED naming the nearest miss. */
enum hws_code hws_danger_find_grant(const struct hws_danger *d, const struct hws_grant_ask *ask,
                                    const struct hws_danger_grant **out, struct hws_err *err)
    HWS_MUST_USE;

/* Keeps a warrant with its inbox, in place of one of the same hash. HWS_E_BUSY, HWS_E_NOMEM. */
enum hws_code hws_danger_keep(struct hws_danger *d, const struct hws_warrant *w,
                              const uint8_t *inbox, size_t n_inbox,
                              struct hws_danger_approval **out, struct hws_err *err) HWS_MUST_USE;

/* A warrant on its way to the store. */
struct hws_danger_put {
    char hash[HWS_DIGEST_HEX_BYTES];
    struct hws_buf value; /* owned; what to store */
    bool added;           /* it was not kept before */
};

/*
 * A warrant of w->in_bytes of inbox comes in: *put (zeroed) is what to store under put->hash. What
 * is kept in memory changes when hws_danger_settle says that it is stored; only one that was not
 * known is kept at once, without its approver, so that its place is taken. HWS_E_BUSY, HWS_E_NOMEM:
 * then nothing has changed.
 */
enum hws_code hws_danger_propose(struct hws_danger *d, const struct hws_warrant *w,
                                 const uint8_t *inbox, struct hws_danger_put *put,
                                 struct hws_err *err) HWS_MUST_USE;

/* The store has it. Errors as hws_danger_keep, where it was forgotten meanwhile. */
enum hws_code hws_danger_settle(struct hws_danger *d, const struct hws_warrant *w,
                                const struct hws_danger_put *put, struct hws_err *err) HWS_MUST_USE;

/* The store does not have it: memory is as it was before hws_danger_propose. */
void hws_danger_withdraw(struct hws_danger *d, const struct hws_danger_put *put);

/* The warrant with this hash in hex; NULL if there is none. */
struct hws_danger_approval *hws_danger_find(const struct hws_danger *d, const char *hash);

/* True if it was used. */
bool hws_danger_is_used(const struct hws_danger *d, const struct hws_danger_approval *a);

/* The value to store for a warrant: its text, a NUL, its inbox. HWS_E_NOMEM. */
enum hws_code hws_danger_pack(const struct hws_danger_approval *a, struct hws_buf *out,
                              struct hws_err *err) HWS_MUST_USE;

/* A durable put (value) or removal (value.bytes NULL): job is on loan until its job.cb, set before
 * as job.data, is called with the result in job->job.err. ns, key and value are borrowed until
 * then. HWS_E_BUSY, HWS_E_GONE, HWS_E_STATE: then it is not called. */
enum hws_code hws_danger_store(struct hws_danger *d, struct hws_store_kv *job, const char *ns,
                               const char *key, struct hws_span value, struct hws_err *err)
    HWS_MUST_USE;

#endif
