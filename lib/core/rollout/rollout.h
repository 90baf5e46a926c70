/*
 * One rollout as a pure state machine: results and now_ms come in; actions, journal records and the
 * next deadline go out. The caller (client/fleet, the simulator, a test) does the calls and keeps
 * the journal.
 *
 * The happy path of one adapter, and of the rollout:
 *     PENDING -> PLANNING -> APPLYING -> SETTLING -> SUCCEEDED     (nothing to change: SKIPPED)
 *     RUNNING -> DONE
 * Where it goes wrong:
 *   - a plan or apply is refused, a setting reads back as something else, or health does not come
 *     back: FAILED;
 *   - an apply whose outcome is not known (link lost, deadline, conflict with an earlier one):
 *     UNKNOWN; the adapter is read back, never written again blindly. Read back as wanted it goes
 *     on to SETTLING; otherwise it is PENDING for one more attempt, then FAILED; not readable it
 *     stays UNKNOWN, and after the gate timeout looking is given up;
 *   - failed + unknown over the budget (0 in the canary wave): the rollout is STOPPED. Nothing new
 *     starts; what is in flight ends and is recorded.
 *
 * The journal: every transition appends a record, and hws_rollout_next hands out the records before
 * any action that follows from them. A caller that makes each JOURNAL action durable before it asks
 * for the next one can be killed at any moment; hws_rollout_load of the bytes plus
 * hws_rollout_resume goes on. An adapter that was APPLYING is read back first.
 *
 * The caller's loop: feed results with the *_result functions, call hws_rollout_next until it says
 * NONE, wait for a result or hws_rollout_deadline, repeat. After an error of any function the
 * journal is the truth: drop the object, load it again.
 *
 * Thread rule: one thread at a time. Ownership: the object owns its plan and members, and must not
 * be moved in memory.
 */
#ifndef HWS_ROLLOUT_ROLLOUT_H
#define HWS_ROLLOUT_ROLLOUT_H

#include "base/list.h"
#include "rollout/budget.h"
#include "rollout/gate.h"
#include "rollout/plan.h"

#define HWS_ROLLOUT_MAX_ATTEMPTS      2u  /* applies to one adapter, cut off ones aside */
#define HWS_ROLLOUT_HASH_BYTES        65  /* with NUL: hex SHA-256 */
#define HWS_ROLLOUT_REQUEST_ID_BYTES  48  /* with NUL */
#define HWS_ROLLOUT_REASON_BYTES      512 /* with NUL */
#define HWS_ROLLOUT_MAX_JOURNAL_BYTES ((size_t)64 * 1024 * 1024)

/* Final names; operators see them in lower case. */
enum hws_rollout_member_state {
    HWS_ROLLOUT_PENDING,   /* not touched */
    HWS_ROLLOUT_PLANNING,  /* asking the agent what would change; reads only */
    HWS_ROLLOUT_APPLYING,  /* the change is on its way or running */
    HWS_ROLLOUT_SETTLING,  /* changed; at the health gate */
    HWS_ROLLOUT_SUCCEEDED, /* changed, read back, healthy for the settle time */
    HWS_ROLLOUT_SKIPPED,   /* already as wanted; nothing written */
    HWS_ROLLOUT_FAILED,    /* cause says where and why */
    HWS_ROLLOUT_UNKNOWN,   /* the change may or may not have taken effect; being read back, or given
                              up */
    HWS_N_ROLLOUT_MEMBER_STATES
};

enum hws_rollout_state {
    HWS_ROLLOUT_NEW, /* never started */
    HWS_ROLLOUT_RUNNING,
    HWS_ROLLOUT_PAUSED,  /* by the operator: nothing new starts until resumed */
    HWS_ROLLOUT_STOPPED, /* over the budget: nothing new starts until an operator decides */
    HWS_ROLLOUT_DONE,    /* every adapter has ended within the budget; shown as "succeeded" */
    HWS_N_ROLLOUT_STATES
};

/* Which step a failure belongs to. */
enum hws_rollout_step {
    HWS_ROLLOUT_STEP_NONE,
    HWS_ROLLOUT_STEP_PLAN,
    HWS_ROLLOUT_STEP_APPLY,
    HWS_ROLLOUT_STEP_READ_BACK,
    HWS_ROLLOUT_STEP_GATE,
    HWS_N_ROLLOUT_STEPS
};

/* Why an adapter failed or is unknown. */
struct hws_rollout_cause {
    enum hws_rollout_step step;
    char setting[HWS_ROLLOUT_SETTING_BYTES]; /* empty if it is about none in particular */
    struct hws_err err;                      /* code, stage, firmware status, syndrome, text */
};

/* What the caller shall do. JOURNAL comes first and covers everything handed out after it. */
enum hws_rollout_do {
    HWS_ROLLOUT_DO_NONE,    /* nothing before the deadline or the next result */
    HWS_ROLLOUT_DO_JOURNAL, /* make bytes[n_bytes] durable at the end of the journal, before the
                               next call */
    HWS_ROLLOUT_DO_PLAN,    /* ask the agent of `member` for a plan; then hws_rollout_plan_result */
    HWS_ROLLOUT_DO_APPLY,   /* apply plan_hash under request_id; then hws_rollout_apply_result */
    HWS_ROLLOUT_DO_CHECK,   /* look at the adapter; then hws_rollout_check_result */
    HWS_ROLLOUT_DO_FINISHED /* nothing is in flight and nothing will start; said once per start or
                               resume */
};

struct hws_rollout_member {
    enum hws_rollout_member_state state;
    uint32_t wave;
    uint32_t attempt; /* applies sent so far; the number in the request_id of the latest */
    char device_id[HWS_ROLLOUT_DEVICE_BYTES]; /* as the agent named it in the plan; empty before */
    char plan_hash[HWS_ROLLOUT_HASH_BYTES];   /* of the latest plan; empty before */
    struct hws_rollout_cause cause;           /* of the latest trouble; step NONE: none so far */
    uint64_t changed_unix_ms;                 /* when it came into this state */
    bool given_up;                            /* UNKNOWN and not looked at any more */
    /* inside */
    uint32_t
        base_attempt; /* applies that do not count: before a retry, or cut off by our own stop */
    struct hws_rollout_gate gate;
    struct hws_list link;            /* in rollout.flight while in flight */
    enum hws_rollout_do queued;      /* to be handed out; NONE: nothing, or by the gate's time */
    enum hws_rollout_do with_caller; /* handed out, no result yet; NONE: nothing */
};

struct hws_rollout_action {
    enum hws_rollout_do what;
    const uint8_t *bytes; /* JOURNAL: borrowed until the next call on this object */
    size_t n_bytes;
    size_t member; /* PLAN, APPLY, CHECK: index into plan.targets and members */
    char request_id[HWS_ROLLOUT_REQUEST_ID_BYTES]; /* APPLY: the same after a restart */
};

struct hws_rollout {
    enum hws_rollout_state state;
    struct hws_rollout_plan plan;       /* owned */
    struct hws_rollout_member *members; /* owned; plan.n_targets of them */
    uint32_t n_waves;
    uint32_t wave; /* the one that may be touched now */
    uint64_t changed_unix_ms;
    uint64_t created_unix_ms;
    char reason[HWS_ROLLOUT_REASON_BYTES]; /* why it is stopped or paused; empty otherwise */
    struct hws_rollout_tally tally;
    /* inside */
    uint64_t unix_offset_ms; /* unix time minus now_ms, modulo 2^64 */
    uint32_t n_in_flight;    /* PLANNING + APPLYING + SETTLING + UNKNOWN not given up */
    uint32_t n_open;         /* members of the waves so far that have not ended */
    size_t next_start;       /* no PENDING member of these waves before this index */
    size_t last_bad;         /* the latest member that failed or was given up */
    struct hws_buf out;      /* records not yet handed out, after `handed` bytes that are */
    size_t handed;
    struct hws_list flight;
    bool said_finished;
};

/* Takes the plan over (on success only; *plan is then empty) and makes the rollout NEW. The plan
 * must pass hws_rollout_plan_check with an id. HWS_E_INVALID, HWS_E_NOMEM. */
enum hws_code hws_rollout_init(struct hws_rollout *r, struct hws_rollout_plan *plan,
                               struct hws_err *err) HWS_MUST_USE;

/* Frees everything; accepts a zeroed one. */
void hws_rollout_deinit(struct hws_rollout *r);

/* NEW -> RUNNING. unix_ms: the wall clock at now_ms, for the records. HWS_E_STATE, HWS_E_NOMEM. */
enum hws_code hws_rollout_start(struct hws_rollout *r, uint64_t now_ms, uint64_t unix_ms,
                                struct hws_err *err) HWS_MUST_USE;

/*
 * Rebuilds a rollout (initialised by this call) from journal bytes, for looking at or for resume.
 * Bytes after the last whole record are an interrupted write: they are left out and *out_n_used
 * tells how many were good. HWS_E_PROTO if the first record is not whole or a whole record is
 * wrong, HWS_E_NOMEM; on failure *r is deinitialised.
 */
enum hws_code hws_rollout_load(struct hws_rollout *r, const uint8_t *bytes, size_t n,
                               size_t *out_n_used, struct hws_err *err) HWS_MUST_USE;

/* What resume does about adapters that FAILED or whose UNKNOWN was given up. */
enum hws_rollout_retry {
    HWS_ROLLOUT_RETRY_NO, /* leave them; a rollout that STOPPED is refused with HWS_E_STATE */
    HWS_ROLLOUT_RETRY_YES /* FAILED start anew, UNKNOWN are read back */
};

/* Goes on with a loaded rollout: RUNNING, PAUSED or (with RETRY_YES) STOPPED. HWS_E_STATE with the
 * reason if it is finished or stopped, HWS_E_NOMEM. */
enum hws_code hws_rollout_resume(struct hws_rollout *r, enum hws_rollout_retry retry,
                                 uint64_t now_ms, uint64_t unix_ms, struct hws_err *err)
    HWS_MUST_USE;

/* Nothing new starts; what is in flight ends. No effect unless RUNNING. reason is cut. HWS_E_NOMEM.
 */
enum hws_code hws_rollout_pause(struct hws_rollout *r, const char *reason, uint64_t now_ms,
                                struct hws_err *err) HWS_MUST_USE;

/* The next action. HWS_E_NOMEM. */
enum hws_code hws_rollout_next(struct hws_rollout *r, uint64_t now_ms,
                               struct hws_rollout_action *out, struct hws_err *err) HWS_MUST_USE;

/* When to call hws_rollout_next again without a result; UINT64_MAX: only a result moves it. */
uint64_t hws_rollout_deadline(const struct hws_rollout *r);

/* A plan as the agent answered. */
struct hws_rollout_planned {
    const char *device_id; /* which adapter that is */
    const char *plan_hash;
    uint32_t n_writes; /* 0: already as wanted */
};

/*
 * The answer to DO_PLAN: planned, or cause (exactly one is not NULL). The result functions return
 * HWS_E_STATE when no such action is with the caller, HWS_E_INVALID for over-long texts,
 * HWS_E_NOMEM.
 */
enum hws_code hws_rollout_plan_result(struct hws_rollout *r, size_t member,
                                      const struct hws_rollout_planned *planned,
                                      const struct hws_rollout_cause *cause, uint64_t now_ms,
                                      struct hws_err *err) HWS_MUST_USE;

/* The answer to DO_APPLY: cause NULL = applied. A cause whose err.stage is UNKNOWN makes the
 * adapter UNKNOWN: callers set that stage for a lost connection and a passed deadline, too. */
enum hws_code hws_rollout_apply_result(struct hws_rollout *r, size_t member,
                                       const struct hws_rollout_cause *cause, uint64_t now_ms,
                                       struct hws_err *err) HWS_MUST_USE;

/* The answer to DO_CHECK. cause says what was seen; NULL only with HEALTH_OK. */
enum hws_code hws_rollout_check_result(struct hws_rollout *r, size_t member,
                                       enum hws_rollout_health health,
                                       const struct hws_rollout_cause *cause, uint64_t now_ms,
                                       struct hws_err *err) HWS_MUST_USE;

/* Lower-case names: "pending" ... ; "running", "succeeded" ... ; "plan", "apply", "read-back",
 * "gate". */
const char *hws_rollout_member_state_name(enum hws_rollout_member_state state);
const char *hws_rollout_state_name(enum hws_rollout_state state);
const char *hws_rollout_step_name(enum hws_rollout_step step);

#endif
