/*
 * The policy in force, and how it changes.
 *
 * A new policy comes from the policy file (reload) or from a caller (push). It may be on trial: in
 * force at once, and given up for the one before it unless a caller who may do so under the new one
 * finalizes it in time. So nobody locks himself out.
 *
 * What is in force while the file says something else (a pushed policy, a trial, a reload that was
 * rolled back) is kept in STATE/policy.state and survives a restart; it counts only while the file
 * is the one that it was when that was decided: who edits the file and starts or reloads the agent
 * has the last word.
 *
 * Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_ROTATION_H
#define HWS_HAWSERD_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/digest.h"
#include "policy/policy.h"

#define HWS_ROTATION_MIN_MS 1000u
#define HWS_ROTATION_MAX_MS 3600000u

struct hws_agent;

/* What STATE/policy.state says. Texts point into the bytes it was read from. */
struct hws_rotation_state {
    struct hws_digest file;    /* of the policy file when this was written */
    bool trial;                /* tried is in force until then, then kept */
    uint64_t deadline_unix_ms; /* of the trial */
    uint64_t trial_ms;         /* its whole length */
    const uint8_t *kept;       /* the policy in force, or the one to go back to */
    size_t n_kept;
    const uint8_t *tried; /* on trial; none otherwise */
    size_t n_tried;
};

/* Its bytes; HWS_E_NOMEM. And back: HWS_E_PROTO unless they are such bytes, all of them. */
enum hws_code hws_rotation_encode(const struct hws_rotation_state *s, struct hws_buf *out)
    HWS_MUST_USE;
enum hws_code hws_rotation_decode(const uint8_t *bytes, size_t n, struct hws_rotation_state *out,
                                  struct hws_err *err) HWS_MUST_USE;

struct hws_rotation {
    struct hws_agent *agent; /* borrowed */
    struct hws_buf text;     /* of the policy in force */
    struct hws_digest file;  /* of the policy file when it was last read */
    struct hws_policy *kept; /* one reference: what a trial goes back to; NULL = no trial */
    struct hws_buf kept_text;
    uint64_t deadline_unix_ms; /* of the trial */
    uint64_t trial_ms;
    uv_timer_t timer; /* the end of the trial */
    bool timer_open;
    bool rolled_back; /* at the start, before anybody could be told */
};

/* A policy file's n bytes with the methods that this agent has; errors as hws_policy_load. */
enum hws_code hws_rotation_parse(const char *name, const uint8_t *bytes, size_t n,
                                 struct hws_policy **out, struct hws_err *err) HWS_MUST_USE;

/* At the start: chooses the policy and puts it into agent->policy. A damaged state file is logged
 * and set aside. HWS_E_INVALID and others as hws_policy_load, for the policy file. */
enum hws_code hws_rotation_start(struct hws_rotation *r, struct hws_agent *agent,
                                 struct hws_err *err) HWS_MUST_USE;

/* When loop and database are there: the trial's timer goes on, and what the start did is recorded.
 */
void hws_rotation_watch(struct hws_rotation *r);

/*
 * A new policy: the file's (bytes NULL) or these n bytes. trial_ms 0: for good, for the file only,
 * and without effect while the file is still the one that something else was put into force over.
 * HWS_E_INVALID (the policy, or trial_ms), HWS_E_STATE while another is on trial, HWS_E_IO. On
 * failure the old one stays in force.
 */
enum hws_code hws_rotation_change(struct hws_rotation *r, const uint8_t *bytes, size_t n,
                                  uint64_t trial_ms, struct hws_err *err) HWS_MUST_USE;

/* Ends the trial for good: of the policy with this hash in hex. HWS_E_STATE: none is on trial;
 * HWS_E_CONFLICT: another one is; HWS_E_IO. */
enum hws_code hws_rotation_finalize(struct hws_rotation *r, const char *hash, struct hws_err *err)
    HWS_MUST_USE;

/* Ends the trial by going back, at once. HWS_E_STATE: none is on trial. */
enum hws_code hws_rotation_roll_back(struct hws_rotation *r, const char *why, struct hws_err *err)
    HWS_MUST_USE;

/* How much of the trial is left, in milliseconds; 0 = no trial. */
uint64_t hws_rotation_left_ms(const struct hws_rotation *r);

/* "file": in force is what the policy file said when it was last read; "kept": another one. */
const char *hws_rotation_source(const struct hws_rotation *r);

/* Closes the timer; deinit frees the rest. Both accept a zeroed one. */
void hws_rotation_close(struct hws_rotation *r);
void hws_rotation_deinit(struct hws_rotation *r);

#endif
