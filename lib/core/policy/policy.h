/*
 * Who may do what: a policy file as text in, decisions out. README.md has the file's shape.
 *
 * Deny by default; a deny rule that matches wins over every allow rule. A policy is immutable once
 * loaded: a reload makes a new one, calls under way keep theirs by reference. It knows the agent's
 * methods only as strings given by the owner.
 *
 * Thread rule: any thread may judge; ref and unref belong to the owner's thread.
 */
#ifndef HWS_POLICY_POLICY_H
#define HWS_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"
#include "table/row.h"

#define HWS_POLICY_MAX_BYTES      ((size_t)256 * 1024) /* of a file */
#define HWS_POLICY_MAX_RULES      512u
#define HWS_POLICY_MAX_ITEMS      256u  /* entries of one list, and of `local` */
#define HWS_POLICY_TEXT_MAX_BYTES 2048u /* of one principal, method, device or target */
#define HWS_POLICY_NAME_MAX_BYTES 64u   /* of a rule's name */
#define HWS_POLICY_REASON_BYTES   512u

struct hws_policy;

/* A method the agent has. Rules may name it by path or by permission. */
struct hws_policy_method {
    const char *path;       /* "/hawser.v1.ConfigService/Apply" */
    const char *permission; /* "config.apply" */
};

/* An adapter by all that a selector may name it by. All texts borrowed; NULL or "" is not known,
 * and only "*" selects that. */
struct hws_policy_card {
    const char *id;     /* "mlx5:SERIAL@PCI"; "" if it is not about one adapter */
    const char *pci;    /* "0000:81:00.0" */
    const char *serial; /* of the board */
    const char *part;   /* number, as MSGI gives it: "MCX755106AS-HEAT" */
    const char *psid;   /* of the firmware's parameter set, as MGIR gives it: "MT_0000000834" */
};

/* What somebody wants to do. All texts borrowed; NULL means "". */
struct hws_policy_request {
    const char *principal;  /* "spiffe://domain/path", "dns:name" or "unix:uid:N" */
    const char *path;       /* the method's, as in its row */
    const char *permission; /* the same row's */
    struct hws_policy_card device;
    enum hws_effect effect;    /* NONE is always refused */
    const char *target;        /* register or command name of a raw command; "" if it is none */
    const char *target_method; /* "read" or "write" for a register; "" for a command */
    /* What conditions look at. */
    const char *const *fields; /* names of the register's fields that the call gives */
    size_t n_fields;
    bool raw;        /* bytes instead of fields: any field may be meant */
    uint64_t unix_s; /* the time of day, seconds since 1970 UTC; 0 = unknown */
    bool approved;   /* a second principal has approved this very request */
    bool holds_lock; /* the principal has locked the device or the host for itself */
};

struct hws_policy_decision {
    bool allowed;
    const char *rule; /* the rule that decided, borrowed from the policy; "" if no rule did */
    unsigned line;    /* of that rule in the file, from 1; 0 if no rule did */
    char reason[HWS_POLICY_REASON_BYTES]; /* one line for people: why */
};

/*
 * Reads a policy file of n bytes; file is its name for messages. known lists all methods of the
 * agent (n_known of them): a rule that names none of them is refused, since it would silently do
 * nothing. On success *out has one reference. HWS_E_INVALID: "policy.yaml:12:5: rule operators:
 * unknown key
 * \"metods\"; known are ..."; HWS_E_BUSY over a limit; HWS_E_NOMEM.
 */
enum hws_code hws_policy_load(const void *bytes, size_t n, const char *file,
                              const struct hws_policy_method *known, size_t n_known,
                              struct hws_policy **out, struct hws_err *err) HWS_MUST_USE;

/* One more reference; returns p. */
struct hws_policy *hws_policy_ref(struct hws_policy *p);

/* Drops a reference; the last one frees. NULL is allowed. */
void hws_policy_unref(struct hws_policy *p);

/* SHA-256 of the file's bytes. */
const struct hws_digest *hws_policy_hash(const struct hws_policy *p);

/* Decides. Never fails, allocates nothing. */
void hws_policy_judge(const struct hws_policy *p, const struct hws_policy_request *req,
                      struct hws_policy_decision *out);

/* What one rule says of a request, whatever the others say. */
struct hws_policy_verdict {
    const char *rule; /* borrowed from the policy */
    unsigned line;    /* of the file, from 1 */
    bool deny;        /* what it does where it matches */
    bool matches;
    char why[HWS_POLICY_REASON_BYTES]; /* why it does not match; "" where it does */
};

/* The number of rules; verdicts are asked for by 0..n-1, in file order. */
size_t hws_policy_n_rules(const struct hws_policy *p);

/* Judges one rule by itself: for explaining a decision. Never fails; idx must be in range. */
void hws_policy_verdict(const struct hws_policy *p, size_t idx,
                        const struct hws_policy_request *req, struct hws_policy_verdict *out);

/*
 * Reads "MGIR", "MGIR:write" or "QUERY_ADAPTER" into the request's target, target_method and, where
 * the request has none yet, effect, by the command table; the name is written to name[cap] (at
 * least 65 bytes), which the request then borrows. A register without a method is read. "" leaves
 * the request as it is. HWS_E_INVALID: no such name in the table, or no effect and no target.
 */
enum hws_code hws_policy_object(const char *object, char *name, size_t cap,
                                struct hws_policy_request *req, struct hws_err *err) HWS_MUST_USE;

/* Texts of a device that is known by its id only, "mlx5:SERIAL@PCI", for a request to borrow. */
struct hws_policy_device {
    char pci[64];
    char serial[128];
};

/* Takes an id apart into *out and puts it into the request. What is no such id gives "" for both.
 */
void hws_policy_device(const char *id, struct hws_policy_device *out,
                       struct hws_policy_request *req);

/* The principal that the file's `local` section gives to a Unix user; "unix:uid:N" written into
 * buf[cap] (at least 32 bytes) if it gives none. The result is borrowed from the policy or is buf.
 */
const char *hws_policy_local(const struct hws_policy *p, uint32_t uid, char *buf, size_t cap);

/* The names of the rules that mention this principal, in file order: at most cap of them into names
 * (borrowed from the policy). Returns how many there are in all. */
size_t hws_policy_rules_of(const struct hws_policy *p, const char *principal, const char **names,
                           size_t cap);

#endif
