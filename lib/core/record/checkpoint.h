/*
 * What is signed about an audit log: checkpoints, and the steps from one signing key to the next.
 *
 * A checkpoint says: the log of this host ends (or ended) with record `seq`, whose hash is `hash`,
 * and what is kept begins with record `horizon_seq`, which follows `horizon_prev`. Kept elsewhere
 * it makes a cut tail and a rewritten log visible; kept beside the log it makes pruning by
 * retention tell itself from tampering.
 *
 * The first key of a log vouches for itself, every later one is vouched for by the one before.
 *
 * Signed bytes, big endian:
 *     checkpoint  "HWC1" seq u64, unix_ms u64, horizon_seq u64, hash[32], horizon_prev[32],
 *                 key[33], the host: length u32 and bytes
 *     key step    "HWK1" from_seq u64, unix_ms u64, key[33], by[33]
 * Thread rule: pure functions, any thread; a signer is its owner's.
 */
#ifndef HWS_RECORD_CHECKPOINT_H
#define HWS_RECORD_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/digest.h"
#include "crypt/sign.h"

#define HWS_CHECKPOINT_HOST_BYTES 128u /* with NUL */
#define HWS_CHECKPOINT_MAX_BYTES                                                                   \
    (4u + 24u + 64u + HWS_PUBLIC_BYTES + 4u + HWS_CHECKPOINT_HOST_BYTES)
#define HWS_KEY_STEP_BYTES (4u + 16u + 2u * HWS_PUBLIC_BYTES)

struct hws_checkpoint {
    uint64_t seq;         /* the newest record */
    uint64_t unix_ms;     /* when it was signed */
    uint64_t horizon_seq; /* the oldest record kept */
    struct hws_digest hash;
    struct hws_digest horizon_prev; /* of the oldest record kept: the hash before it */
    struct hws_public key;          /* whose signature it is */
    char host[HWS_CHECKPOINT_HOST_BYTES];
    struct hws_signature signature;
};

struct hws_key_step {
    uint64_t from_seq; /* checkpoints from this record on may be the key's */
    uint64_t unix_ms;
    struct hws_public key;
    struct hws_public by; /* whose signature it is: the key before, or the key itself if it is the
                             first */
    struct hws_signature signature;
};

/* Sets key and signature. HWS_E_NOMEM. */
enum hws_code hws_checkpoint_sign(struct hws_checkpoint *c, const struct hws_signer *signer,
                                  struct hws_err *err) HWS_MUST_USE;

/* HWS_OK if the signature is the key's: HWS_E_DENIED, HWS_E_INVALID for a key that is none,
 * HWS_E_NOMEM. */
enum hws_code hws_checkpoint_check(const struct hws_checkpoint *c, struct hws_err *err)
    HWS_MUST_USE;

/* Sets by and signature. HWS_E_NOMEM. */
enum hws_code hws_key_step_sign(struct hws_key_step *k, const struct hws_signer *by,
                                struct hws_err *err) HWS_MUST_USE;
enum hws_code hws_key_step_check(const struct hws_key_step *k, struct hws_err *err) HWS_MUST_USE;

/* Appends the signed bytes; and reads them back (strictly, signature left zero): HWS_E_PROTO. */
enum hws_code hws_checkpoint_encode(const struct hws_checkpoint *c, struct hws_buf *out)
    HWS_MUST_USE;
enum hws_code hws_checkpoint_decode(const uint8_t *bytes, size_t n, struct hws_checkpoint *out)
    HWS_MUST_USE;
enum hws_code hws_key_step_encode(const struct hws_key_step *k, struct hws_buf *out) HWS_MUST_USE;
enum hws_code hws_key_step_decode(const uint8_t *bytes, size_t n, struct hws_key_step *out)
    HWS_MUST_USE;

#endif
