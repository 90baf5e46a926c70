/*
 * Small durable values: key/value pairs and append-only logs, each in a namespace, each row with
 * its own digest. For the agent's own settings and for tools that need a journal (the rollout
 * journal).
 */
#ifndef HWS_STORE_KV_H
#define HWS_STORE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define HWS_STORE_KEY_MAX_BYTES   256u /* namespace and key: each */
#define HWS_STORE_VALUE_MAX_BYTES (1u << 20)

enum hws_store_kv_verb {
    HWS_STORE_KV_PUT,    /* sets key to value */
    HWS_STORE_KV_SWAP,   /* sets it only if it is now `expect` (NULL bytes: absent); else
                            HWS_E_CONFLICT   and out has what is there */
    HWS_STORE_KV_GET,    /* HWS_E_NOT_FOUND */
    HWS_STORE_KV_DELETE, /* HWS_OK if it was absent, too */
    HWS_STORE_KV_LIST,   /* all pairs of the namespace whose key is above `key`, by key */
    HWS_STORE_KV_APPEND, /* appends value to the log `key`; out_seq is its number, from 1 */
    HWS_STORE_KV_LOG,    /* the rows of the log `key` with a number above after_seq */
    HWS_N_STORE_KV_VERBS
};

/* A pair, or a row of a log. */
struct hws_store_pair {
    const char *key; /* NUL-terminated; NULL for a row of a log */
    uint64_t seq;    /* of a row of a log */
    struct hws_span value;
};

/* HWS_E_PROTO when a row does not match its digest; the text names it. HWS_E_INVALID for a bad
 * length. */
struct hws_store_kv {
    struct hws_store_job job;
    enum hws_store_kv_verb verb;  /* in */
    const char *ns;               /* in: 1..256 bytes; borrowed until cb, as all that follow */
    const char *key;              /* in: 1..256 bytes; LIST takes "" */
    struct hws_span value;        /* in */
    struct hws_span expect;       /* in: SWAP */
    uint64_t after_seq;           /* in: LOG */
    uint32_t limit;               /* in: LIST and LOG, at most 1000 rows; 0 = 1000 */
    struct hws_store_pair *pairs; /* out: GET and SWAP's conflict give one; owned by the request */
    size_t n_pairs;
    uint64_t out_seq; /* out: APPEND */
    void *bytes;      /* the store's: what the pairs point into */
};

/* Zeroes the request and sets verb, namespace and key. */
void hws_store_kv_init(struct hws_store_kv *r, enum hws_store_kv_verb verb, const char *ns,
                       const char *key);

#endif
