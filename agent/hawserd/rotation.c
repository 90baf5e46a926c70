/*
 * Changing the policy.
 *
 * Happy path: a policy is parsed; with a trial the state file says what to go back to, then the new
 * one is in force; a caller finalizes it, and the state file says so or goes away.
 * Failures: a policy that does not parse or a state file that cannot be written leave the old one
 * in force; the trial's end, also one that passed while the agent was down, goes back.
 */
#include "hawserd/rotation.h"

#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/sealed.h"
#include "hawserd/task.h"
#include "link/methods.h"

#define MAGIC "hawser-policy-state-1"

static void state_path(const struct hws_rotation *r, char *dst, size_t cap)
{
    (void)hws_str_print(dst, cap, "%s/policy.state", r->agent->config.state_dir);
}

static bool is_file(const struct hws_rotation *r)
{
    return memcmp(hws_policy_hash(r->agent->policy), &r->file, sizeof(r->file)) == 0;
}

const char *hws_rotation_source(const struct hws_rotation *r)
{
    return is_file(r) ? "file" : "kept";
}

enum hws_code hws_rotation_parse(const char *name, const uint8_t *bytes, size_t n,
                                 struct hws_policy **out, struct hws_err *err)
{
    struct hws_policy_method known[HWS_N_METHODS];

    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        known[i].path = hws_method_at(i)->path;
        known[i].permission = hws_method_at(i)->permission;
    }
    return hws_policy_load(bytes, n, name, known, HWS_N_METHODS, out, err);
}

/* ---- the state file -------------------------------------------------------------------------- */

/* Says on disk what is in force and, on trial, what to go back to; or that the file is. */
static enum hws_code save(const struct hws_rotation *r, struct hws_err *err)
{
    char path[HWS_CONFIG_PATH_BYTES + 16];
    struct hws_buf bytes;

    state_path(r, path, sizeof(path));
    if (r->kept == NULL && is_file(r)) {
        (void)unlink(path); /* what stays is for another file, and is passed over */
        return HWS_OK;
    }
    const struct hws_buf *kept = r->kept == NULL ? &r->text : &r->kept_text;
    struct hws_rotation_state s = {
        .file = r->file,
        .trial = r->kept != NULL,
        .deadline_unix_ms = r->deadline_unix_ms,
        .trial_ms = r->trial_ms,
        .kept = hws_buf_peek(kept),
        .n_kept = hws_buf_len(kept),
        .tried = r->kept == NULL ? NULL : hws_buf_peek(&r->text),
        .n_tried = r->kept == NULL ? 0 : hws_buf_len(&r->text),
    };
    hws_buf_init(&bytes, 0);
    enum hws_code code = hws_rotation_encode(&s, &bytes);
    code = code == HWS_OK
               ? hws_sealed_write(path, MAGIC, hws_buf_peek(&bytes), hws_buf_len(&bytes), err)
               : hws_err_set(err, code, "out of memory");
    hws_buf_deinit(&bytes);
    return code;
}

static void log_policy(const struct hws_rotation *r, const char *event)
{
    char hex[HWS_DIGEST_HEX_BYTES];

    hws_digest_hex(hws_policy_hash(r->agent->policy), hex);
    hws_log(event, "sha256=%s source=%s trial_ms=%llu", hex, hws_rotation_source(r),
            (unsigned long long)hws_rotation_left_ms(r));
}

/* What nobody asked for at this moment goes on record under the agent's own name. */
static void note(const struct hws_rotation *r, const char *why)
{
    char hex[HWS_DIGEST_HEX_BYTES];
    char detail[256];

    hws_digest_hex(hws_policy_hash(r->agent->policy), hex);
    (void)hws_str_print(detail, sizeof(detail), "policy rolled back to %s: %s", hex, why);
    hws_audit_note(r->agent, hws_method_at(HWS_METHOD_AGENT_RELOAD)->path, detail);
}

/* ---- the trial ------------------------------------------------------------------------------- */

static void on_end(uv_timer_t *timer)
{
    struct hws_rotation *r = timer->data;
    struct hws_err err;

    (void)!hws_rotation_roll_back(r, "it was not finalized in time", &err);
}

static void arm(struct hws_rotation *r)
{
    if (r->timer_open && r->kept != NULL) {
        (void)uv_timer_start(&r->timer, on_end, hws_rotation_left_ms(r), 0);
    }
}

static void end_trial(struct hws_rotation *r)
{
    if (r->timer_open) {
        (void)uv_timer_stop(&r->timer);
    }
    hws_policy_unref(r->kept);
    r->kept = NULL;
    hws_buf_deinit(&r->kept_text);
    hws_buf_init(&r->kept_text, 0);
}

/* The policy to go back to is in force again. */
static void go_back(struct hws_rotation *r)
{
    struct hws_buf text = r->text;

    hws_policy_unref(r->agent->policy);
    r->agent->policy = r->kept;
    r->kept = NULL;
    r->text = r->kept_text;
    r->kept_text = text; /* freed by end_trial */
    end_trial(r);
}

enum hws_code hws_rotation_roll_back(struct hws_rotation *r, const char *why, struct hws_err *err)
{
    struct hws_err io;

    if (r->kept == NULL) {
        return hws_err_set(err, HWS_E_STATE, "no policy is on trial");
    }
    go_back(r);
    if (save(r, &io) != HWS_OK) {
        /* The file says that a trial is on: a restart after its end goes back, too. */
        struct hws_log_q q;
        hws_log("policy_state_unwritten", "reason=%s", hws_log_q(&q, io.msg));
    }
    note(r, why);
    log_policy(r, "policy_rolled_back");
    hws_task_rejudge(r->agent);
    return HWS_OK;
}

enum hws_code hws_rotation_finalize(struct hws_rotation *r, const char *hash, struct hws_err *err)
{
    char hex[HWS_DIGEST_HEX_BYTES];

    if (r->kept == NULL) {
        return hws_err_set(err, HWS_E_STATE, "no policy is on trial");
    }
    hws_digest_hex(hws_policy_hash(r->agent->policy), hex);
    if (!hws_str_eq(hash, hex)) {
        return hws_err_set(err, HWS_E_CONFLICT, "the policy on trial is %s", hex);
    }
    struct hws_policy *kept = r->kept;
    r->kept = NULL;
    enum hws_code code = save(r, err);
    r->kept = kept;
    if (code != HWS_OK) {
        return code;
    }
    end_trial(r);
    log_policy(r, "policy_finalized");
    return HWS_OK;
}

/* ---- a new policy ---------------------------------------------------------------------------- */

static enum hws_code check_change(const struct hws_rotation *r, bool pushed, uint64_t trial_ms,
                                  struct hws_err *err)
{
    if (r->kept != NULL) {
        return hws_err_set(err, HWS_E_STATE,
                           "a policy is on trial for another %llu ms: finalize it or wait",
                           (unsigned long long)hws_rotation_left_ms(r));
    }
    if (pushed && trial_ms == 0) {
        return hws_err_set(err, HWS_E_INVALID, "trial_ms is required for a pushed policy");
    }
    if (trial_ms != 0 && (trial_ms < HWS_ROTATION_MIN_MS || trial_ms > HWS_ROTATION_MAX_MS)) {
        return hws_err_set(err, HWS_E_INVALID, "trial_ms is %u to %u, or 0 for no trial",
                           HWS_ROTATION_MIN_MS, HWS_ROTATION_MAX_MS);
    }
    return HWS_OK;
}

/* Puts a policy into force; on failure everything is as it was. Takes policy and text. */
static enum hws_code enforce(struct hws_rotation *r, struct hws_policy *policy,
                             struct hws_buf *text, uint64_t trial_ms, struct hws_err *err)
{
    struct hws_policy *before = r->agent->policy;
    struct hws_buf before_text = r->text;

    r->kept = trial_ms != 0 ? before : NULL;
    r->kept_text = before_text;
    r->agent->policy = policy;
    r->text = *text;
    r->trial_ms = trial_ms;
    r->deadline_unix_ms = hws_agent_unix_ms() + trial_ms;
    enum hws_code code = save(r, err);
    if (code != HWS_OK) {
        r->kept = NULL;
        r->agent->policy = before;
        r->text = before_text;
        hws_buf_init(&r->kept_text, 0);
        return code;
    }
    if (trial_ms == 0) {
        hws_policy_unref(before);
        hws_buf_deinit(&r->kept_text);
        hws_buf_init(&r->kept_text, 0);
    }
    hws_buf_init(text, 0);
    arm(r);
    return HWS_OK;
}

/* Reads and parses what is to be in force. */
static enum hws_code fetch(const struct hws_rotation *r, const uint8_t *bytes, size_t n,
                           struct hws_buf *text, struct hws_policy **policy, struct hws_err *err)
{
    const char *name = bytes == NULL ? r->agent->config.policy : "the pushed policy";
    enum hws_code code = bytes == NULL ? hws_file_read(name, HWS_POLICY_MAX_BYTES, text, err)
                                       : hws_buf_put(text, bytes, n);

    return code == HWS_OK
               ? hws_rotation_parse(name, hws_buf_peek(text), hws_buf_len(text), policy, err)
               : code;
}

/* The policy file is still the one that something else was put into force over. */
static bool is_passed_over(const struct hws_rotation *r, const struct hws_policy *policy)
{
    return !is_file(r) && memcmp(hws_policy_hash(policy), &r->file, sizeof(r->file)) == 0;
}

enum hws_code hws_rotation_change(struct hws_rotation *r, const uint8_t *bytes, size_t n,
                                  uint64_t trial_ms, struct hws_err *err)
{
    struct hws_digest file = r->file;
    struct hws_policy *policy = NULL;
    struct hws_buf text;

    hws_buf_init(&text, 0);
    enum hws_code code = check_change(r, bytes != NULL, trial_ms, err);
    if (code == HWS_OK) {
        code = fetch(r, bytes, n, &text, &policy, err);
    }
    bool idle = code == HWS_OK && bytes == NULL && trial_ms == 0 && is_passed_over(r, policy);
    if (code == HWS_OK && !idle) {
        r->file = bytes == NULL ? *hws_policy_hash(policy) : file;
        code = enforce(r, policy, &text, trial_ms, err);
    }
    hws_buf_deinit(&text);
    if (code != HWS_OK || idle) {
        r->file = file;
        hws_policy_unref(policy);
    }
    if (code != HWS_OK) {
        struct hws_log_q q;
        hws_log("policy_refused", "reason=%s", hws_log_q(&q, err->msg));
        return code;
    }
    log_policy(r, idle ? "policy_kept" : "policy_loaded");
    hws_task_rejudge(r->agent);
    return HWS_OK;
}

/* ---- start ----------------------------------------------------------------------------------- */

static enum hws_code take(const char *name, const uint8_t *bytes, size_t n,
                          struct hws_policy **policy, struct hws_buf *text, struct hws_err *err)
{
    enum hws_code code = hws_rotation_parse(name, bytes, n, policy, err);

    if (code == HWS_OK && hws_buf_put(text, bytes, n) != HWS_OK) {
        hws_policy_unref(*policy);
        *policy = NULL;
        code = hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    return code;
}

/* The state as it was saved goes on, or its trial has ended meanwhile. */
static enum hws_code resume(struct hws_rotation *r, const struct hws_rotation_state *s,
                            const char *path, struct hws_err *err)
{
    uint64_t now_ms = hws_agent_unix_ms();
    bool ended = s->trial && now_ms >= s->deadline_unix_ms;

    if (!s->trial || ended) {
        enum hws_code code = take(path, s->kept, s->n_kept, &r->agent->policy, &r->text, err);
        if (code == HWS_OK && ended) {
            struct hws_err io;
            r->rolled_back = true;
            /* Unsaved it ends once more at the next start; the tried policy is not the way out. */
            if (save(r, &io) != HWS_OK) {
                struct hws_log_q q;
                hws_log("policy_state_unwritten", "reason=%s", hws_log_q(&q, io.msg));
            }
        }
        return code;
    }
    /* A clock that was set back does not lengthen it. */
    uint64_t left_ms = s->deadline_unix_ms - now_ms;
    r->trial_ms = s->trial_ms;
    r->deadline_unix_ms = now_ms + (left_ms < s->trial_ms ? left_ms : s->trial_ms);
    enum hws_code code = take(path, s->kept, s->n_kept, &r->kept, &r->kept_text, err);
    return code == HWS_OK ? take(path, s->tried, s->n_tried, &r->agent->policy, &r->text, err)
                          : code;
}

/* True if a saved state is for this very file and is in force now. */
static bool resumed(struct hws_rotation *r)
{
    char path[HWS_CONFIG_PATH_BYTES + 16];
    struct hws_rotation_state s;
    struct hws_buf bytes;
    struct hws_err err;

    state_path(r, path, sizeof(path));
    hws_buf_init(&bytes, 0);
    enum hws_code code = hws_sealed_read(path, MAGIC, &bytes, &err);
    if (code == HWS_OK) {
        code = hws_rotation_decode(hws_buf_peek(&bytes), hws_buf_len(&bytes), &s, &err);
    }
    bool ours = code == HWS_OK && memcmp(&s.file, &r->file, sizeof(s.file)) == 0;
    if (ours) {
        code = resume(r, &s, path, &err);
    }
    if (code != HWS_OK && code != HWS_E_NOT_FOUND) {
        struct hws_log_q q;
        hws_log("policy_state_unread", "reason=%s action=file", hws_log_q(&q, err.msg));
        end_trial(r);
        hws_policy_unref(r->agent->policy);
        r->agent->policy = NULL;
        ours = false;
    }
    hws_buf_deinit(&bytes);
    return ours;
}

enum hws_code hws_rotation_start(struct hws_rotation *r, struct hws_agent *agent,
                                 struct hws_err *err)
{
    struct hws_buf text;

    r->agent = agent;
    hws_buf_init(&r->text, 0);
    hws_buf_init(&r->kept_text, 0);
    hws_buf_init(&text, 0);
    enum hws_code code = hws_file_read(agent->config.policy, HWS_POLICY_MAX_BYTES, &text, err);
    if (code == HWS_OK &&
        hws_sha256_of(hws_buf_peek(&text), hws_buf_len(&text), &r->file) != HWS_OK) {
        code = hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    if (code != HWS_OK || resumed(r)) {
        hws_buf_deinit(&text);
        return code;
    }
    hws_buf_deinit(&r->text);
    r->text = text; /* owned by the rotation from here on */
    return hws_rotation_parse(agent->config.policy, hws_buf_peek(&r->text), hws_buf_len(&r->text),
                              &agent->policy, err);
}

void hws_rotation_watch(struct hws_rotation *r)
{
    (void)uv_timer_init(&r->agent->loop, &r->timer);
    r->timer.data = r;
    r->timer_open = true;
    arm(r);
    if (r->rolled_back) {
        r->rolled_back = false;
        note(r, "its trial ended while the agent was down");
        log_policy(r, "policy_rolled_back");
    }
}

uint64_t hws_rotation_left_ms(const struct hws_rotation *r)
{
    uint64_t now_ms = hws_agent_unix_ms();

    if (r->kept == NULL) {
        return 0;
    }
    uint64_t left_ms = r->deadline_unix_ms > now_ms ? r->deadline_unix_ms - now_ms : 0;
    left_ms = left_ms > r->trial_ms ? r->trial_ms : left_ms;
    return left_ms == 0 ? 1 : left_ms;
}

void hws_rotation_close(struct hws_rotation *r)
{
    if (r->timer_open) {
        r->timer_open = false;
        uv_close((uv_handle_t *)&r->timer, NULL);
    }
}

void hws_rotation_deinit(struct hws_rotation *r)
{
    hws_policy_unref(r->kept);
    r->kept = NULL;
    hws_buf_deinit(&r->text);
    hws_buf_deinit(&r->kept_text);
}
