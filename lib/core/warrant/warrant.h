/*
 * A warrant: one dangerous command, asked for by one operator, signed by him and by a second
 * person. It is text with one spelling, a line a field:
 *
 *     hawser-warrant-1
 *     host: host-a
 *     device: 0000:3b:00.0
 *     serial: MT2231X01001
 *     inbox: 80 <SHA-256 of the inbox, 64 hex digits>
 *     request: <request_id>
 *     from: <seconds since 1970>
 *     until: <seconds since 1970>
 *     operator: spiffe://domain/operator/olga
 *     reason: why
 *     operator-signature: <128 hex digits>
 *     approver: spiffe://domain/operator/otto
 *     approver-signature: <128 hex digits>
 *
 * The last three are there when they are given: none, the first, or all. The hash of a warrant is
 * the SHA-256 of the first ten lines; it is the request's name. What is signed is a text of the
 * signer's part ("operator", "approver"), that hash and the signer's principal, so neither
 * signature stands for the other. Pure data; any thread.
 */
#ifndef HWS_WARRANT_WARRANT_H
#define HWS_WARRANT_WARRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/digest.h"
#include "crypt/sign.h"

#define HWS_WARRANT_HOST_BYTES      65u /* with NUL, as all that follow */
#define HWS_WARRANT_DEVICE_BYTES    33u
#define HWS_WARRANT_SERIAL_BYTES    65u
#define HWS_WARRANT_REQUEST_BYTES   65u
#define HWS_WARRANT_PRINCIPAL_BYTES 161u
#define HWS_WARRANT_REASON_BYTES    257u
#define HWS_WARRANT_MAX_BYTES       1600u /* of the text; over the sum of the largest fields */
#define HWS_WARRANT_LIFE_S          3600u /* the longest time from `from` to `until` */

struct hws_trust;

enum hws_warrant_part { HWS_WARRANT_OPERATOR, HWS_WARRANT_APPROVER };

struct hws_warrant {
    char host[HWS_WARRANT_HOST_BYTES];
    char device[HWS_WARRANT_DEVICE_BYTES]; /* PCI address */
    char serial[HWS_WARRANT_SERIAL_BYTES];
    uint32_t in_bytes;
    struct hws_digest inbox;
    char request_id[HWS_WARRANT_REQUEST_BYTES];
    uint64_t from_s; /* seconds since 1970, as until_s */
    uint64_t until_s;
    char operator_id[HWS_WARRANT_PRINCIPAL_BYTES];
    char reason[HWS_WARRANT_REASON_BYTES]; /* printable ASCII */
    bool has_operator;                     /* the operator's signature is there */
    struct hws_signature operator_sig;
    bool has_approver; /* approver and signature are there */
    char approver_id[HWS_WARRANT_PRINCIPAL_BYTES];
    struct hws_signature approver_sig;
};

/* What is about to happen, by the judge's own knowledge. */
struct hws_warrant_use {
    const char *device; /* PCI address */
    const char *serial; /* NULL: this judge does not know it */
    const uint8_t *in;
    size_t in_bytes;
    uint64_t now_s;
};

/* Who has signed, by the judge's trust: for records. */
struct hws_warrant_signers {
    struct hws_digest hash;
    struct hws_public operator_key;
    struct hws_public approver_key;
};

/* Reads n bytes of text. HWS_E_PROTO naming the line that is not as above; what is read writes as
 * the same bytes. */
enum hws_code hws_warrant_parse(const void *text, size_t n, struct hws_warrant *out,
                                struct hws_err *err) HWS_MUST_USE;

/* Appends the text. HWS_E_INVALID naming a field that the text cannot carry; HWS_E_NOMEM. */
enum hws_code hws_warrant_format(const struct hws_warrant *w, struct hws_buf *out,
                                 struct hws_err *err) HWS_MUST_USE;

/* The hash of what is signed, whether it is or not. Errors as format. */
enum hws_code hws_warrant_hash(const struct hws_warrant *w, struct hws_digest *out,
                               struct hws_err *err) HWS_MUST_USE;

/* Puts the inbox's length and digest into w. HWS_E_NOMEM. */
enum hws_code hws_warrant_bind(struct hws_warrant *w, const uint8_t *in, size_t n,
                               struct hws_err *err) HWS_MUST_USE;

/* Signs w as its operator, or as an approver (principal names him; the operator must have signed:
 * HWS_E_STATE). Errors as format and hws_sign. */
enum hws_code hws_warrant_sign(struct hws_warrant *w, enum hws_warrant_part part,
                               const char *principal, const struct hws_signer *key,
                               struct hws_err *err) HWS_MUST_USE;

/*
 * The operator's part alone: times, and that he has signed it with a key of the list. HWS_E_DENIED
 * with what is wrong: another host's, expired, future-dated, valid for too long, not signed, no
 * key of the principal, not the key's signature.
 */
enum hws_code hws_warrant_judge_request(const struct hws_warrant *w, const struct hws_trust *trust,
                                        uint64_t now_s, struct hws_warrant_signers *out,
                                        struct hws_err *err) HWS_MUST_USE;

/*
 * Everything: the above, that it is for this adapter and exactly these bytes, and that a second
 * person, with another key, has signed the same. HWS_E_DENIED with what is wrong. Whether it was
 * used before is spent.h's.
 */
enum hws_code hws_warrant_judge(const struct hws_warrant *w, const struct hws_trust *trust,
                                const struct hws_warrant_use *use, struct hws_warrant_signers *out,
                                struct hws_err *err) HWS_MUST_USE;

#endif
