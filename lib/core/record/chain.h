/*
 * An audit record: its fields, its canonical bytes, and the hash that ties it to the record before.
 *
 *     hash = SHA-256(prev_hash || canonical)      prev_hash of the very first record: 32 zero bytes
 *
 * Canonical bytes, big endian, fixed order; anybody can make them from the fields of the public
 * API's AuditRecord (proto/hawser/v1/audit.proto):
 *
 *     offset 0   "HWR2"
 *            4   seq u64
 *           12   unix_ms u64
 *           20   intent_seq u64
 *           28   phase u8, effect u8, scope u8, count of texts u8
 *           32   n_others u32
 *           36   taint_before u64
 *           44   taint_after u64
 *           52   table_hash, policy_hash: 32 bytes each
 *          116   the texts: principal, cert_serial, peer, method, device, rule, detail, code,
 *                request_id; each as length u32, that many bytes without a NUL among them, one NUL.
 *                The empty ones at the end are left out, so that a text can be added to the list
 *                and every older record keeps its bytes.
 *
 * Texts are borrowed by the struct; a decoded record points into the bytes it was decoded from (the
 * NULs make that possible). Thread rule: pure functions, any thread.
 */
#ifndef HWS_RECORD_CHAIN_H
#define HWS_RECORD_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/digest.h"

/* One text is at most this long; hws_record_clean cuts longer ones. */
#define HWS_RECORD_TEXT_MAX_BYTES 4096u

/* No canonical form is longer. */
#define HWS_RECORD_MAX_BYTES (116u + 16u * (HWS_RECORD_TEXT_MAX_BYTES + 5u))

/* What a record stands for. The numbers are the public API's AuditPhase. */
enum hws_record_phase {
    HWS_RECORD_NO_PHASE = 0,
    HWS_RECORD_INTENT = 1,  /* durable before the effect */
    HWS_RECORD_OUTCOME = 2, /* after it */
    HWS_RECORD_READ = 3,    /* a read, allowed */
    HWS_RECORD_DENIED = 4,  /* refused by policy, fence or table */
    HWS_RECORD_NOTE = 5,    /* the agent's own: a key that changed, calls counted in one record */
    HWS_RECORD_N_PHASES
};

struct hws_record {
    uint64_t seq;          /* from 1, without gaps */
    uint64_t unix_ms;      /* wall clock at the agent */
    uint64_t intent_seq;   /* of an outcome: its intent; else 0 */
    uint8_t phase;         /* enum hws_record_phase */
    uint8_t effect;        /* effect class, the numbers of the public API's Effect */
    uint8_t scope;         /* 1 + the fwctl scope of the firmware command; 0: not about one */
    uint32_t n_others;     /* further calls like this one that have no record of their own */
    uint64_t taint_before; /* the kernel's taint mask when the call came */
    uint64_t taint_after;  /* of an outcome: when it had ended; else as before */
    struct hws_digest table_hash;  /* of the command table in force */
    struct hws_digest policy_hash; /* of the policy in force; zero if there was none */
    const char *principal;         /* all texts: borrowed; NULL means "" */
    const char *cert_serial;
    const char *peer;   /* address, or "local" */
    const char *method; /* "/hawser.v1.ConfigService/Apply" */
    const char *device; /* id, or "" */
    const char *rule;   /* the policy rule that allowed or refused */
    const char *detail; /* decoded arguments or reason, one line */
    const char *code;   /* gRPC status name of an outcome */
    const char *request_id;
    struct hws_digest prev_hash; /* of the record before */
    struct hws_digest hash;      /* over prev_hash and the canonical bytes */
};

/* Appends the canonical bytes. HWS_E_INVALID for a text over the limit or a phase or effect out of
 * range, HWS_E_NOMEM, HWS_E_BUSY over the buffer's ceiling. The hashes are not looked at. */
enum hws_code hws_record_encode(const struct hws_record *r, struct hws_buf *out) HWS_MUST_USE;

/* Reads canonical bytes, all n of them, strictly; the texts point into bytes. Hashes are left zero.
 * HWS_E_PROTO with the offset otherwise. */
enum hws_code hws_record_decode(const uint8_t *bytes, size_t n, struct hws_record *out,
                                struct hws_err *err) HWS_MUST_USE;

/* The hash of canonical bytes that follow prev. HWS_E_NOMEM. */
enum hws_code hws_record_hash(const struct hws_digest *prev, const uint8_t *bytes, size_t n,
                              struct hws_digest *out) HWS_MUST_USE;

/*
 * Makes every text fit for a record and for the wire: cut at the limit (the cut ends in "..."),
 * control bytes and bytes that are not UTF-8 become '?'. Texts that need no change stay where they
 * are; the others are copied into *store (reset first), which must live as long as the record.
 * HWS_E_NOMEM.
 */
enum hws_code hws_record_clean(struct hws_record *r, struct hws_buf *store) HWS_MUST_USE;

/* "intent", "outcome", "read", "denied", "note"; "?" otherwise. */
const char *hws_record_phase_name(unsigned phase);

#endif
