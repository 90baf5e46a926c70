/*
 * The keeper: everything of one hawserd, and its loop. One struct, no process-global state.
 * Thread rule: the loop thread; the store's thread is behind store.h.
 */
#ifndef HWS_HAWSERD_AGENT_H
#define HWS_HAWSERD_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "common/notify.h"
#include "crypt/digest.h"
#include "hawserd/audit_key.h"
#include "hawserd/barred.h"
#include "hawserd/children.h"
#include "hawserd/config.h"
#include "hawserd/danger.h"
#include "hawserd/device.h"
#include "hawserd/door.h"
#include "hawserd/late.h"
#include "hawserd/options.h"
#include "hawserd/rates.h"
#include "hawserd/recover.h"
#include "hawserd/refused.h"
#include "hawserd/rotation.h"
#include "hawserd/spool.h"
#include "hawserd/wire_channel.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"
#include "store/store.h"

/* SIGTERM: callers are told, and what they send before they know is taken; at most this long. Their
 * connections end after the limit drain_notice_ms, which is shorter by default. */
#define HWS_AGENT_NOTICE_MS 2500u
#define HWS_AGENT_DRAIN_MS  24000u /* running work gets this long, */
#define HWS_AGENT_ANSWER_MS 8000u  /* of it requests to come whole and answers to leave, */
#define HWS_AGENT_STOP_MS   5000u  /* then the other processes get this long before SIGKILL */

enum hws_agent_state {
    HWS_AGENT_SERVING,
    HWS_AGENT_DRAINING, /* callers are told to go; ends when the work is done */
    HWS_AGENT_SAFE,     /* no trustworthy database: reads only */
    HWS_AGENT_N_STATES
};

/* Counted since the start; shown by AgentService.Info. */
enum hws_counter {
    HWS_COUNT_CALLS,     /* rpcs opened */
    HWS_COUNT_OK,        /* ended OK */
    HWS_COUNT_FAILED,    /* ended otherwise */
    HWS_COUNT_DENIED,    /* refused with PERMISSION_DENIED */
    HWS_COUNT_MUTATIONS, /* intents stored */
    HWS_COUNT_REPEATED,  /* repeated requests answered from the ledger */
    HWS_COUNT_COMMANDS,  /* firmware commands handed to the device process */
    HWS_COUNT_TIMEOUTS,  /* commands that did not return in time */
    HWS_COUNT_DUMPS,     /* dumps spooled */
    HWS_COUNT_SECOND,    /* commands that we passed on and the device process refused: its gate, a
                            kill, a warrant. 0 while both judge alike */
    HWS_N_COUNTERS
};

struct hws_agent {
    uv_loop_t loop;
    struct hws_config config;
    const struct hws_options *options; /* borrowed from main */
    uint64_t generation;               /* random, drawn at start */
    char build_id[48];
    uint64_t started_ms;
    int state;                         /* enum hws_agent_state */
    char state_reason[256];            /* why SAFE, or "" */
    struct hws_sandbox_report sandbox; /* how far our own walls go */
    struct hws_digest table_hash;
    struct hws_policy *policy; /* one reference; which one is the rotation's */
    struct hws_rotation rotation;
    struct hws_barred barred;
    struct hws_store *store; /* owned; NULL in SAFE state without a database */
    struct hws_audit_keys audit_keys;
    bool store_watched; /* store_poll is open */
    bool store_closed;
    uv_poll_t store_poll;
    uv_prepare_t prepare; /* before each wait: devices turn, channel flush */
    uv_signal_t signals[3];
    uv_timer_t drain_timer;
    uv_timer_t refused_timer; /* tells of refusals that were only counted */
    struct hws_refused refused;
    struct hws_rates rates;
    int listener;             /* the door's, passed by the service manager; -1 = we make it */
    struct hws_notify notify; /* of the service manager */
    uv_timer_t alive;         /* tells it that the loop lives */
    bool draining;
    uint64_t drain_started_ms;
    uint64_t last_worked_ms;  /* of a drain: an operation was under way */
    bool stopping_others;     /* the other processes were told to end */
    uint64_t stop_started_ms; /* when */
    struct hws_door door;
    struct hws_wire wire;
    struct hws_devices devices;
    struct hws_children children;
    struct hws_spool spool;
    struct hws_recover recover;
    struct hws_late late;
    struct hws_danger danger;
    struct hws_list ops; /* struct hws_task: live operations */
    size_t n_ops;
    uint64_t counters[HWS_N_COUNTERS];
    uint64_t refusals[HWS_N_REFUSALS]; /* counted since the start, by reason */
    int lock_fd;                       /* RUN/hawserd.lock */
    bool handles_open;                 /* there is something to close */
    bool closing;                      /* handles are being closed */
    bool adapters_news;  /* adapters changed: followers hear of it before the next wait */
    bool audit_news;     /* records became durable: likewise */
    bool audit_losing;   /* records were lost, and the log does not tell of them yet */
    bool stop_followers; /* a drain began: streams that follow end before the next wait */
};

/* The loop's clock, in milliseconds: steady within one loop turn. */
uint64_t hws_agent_now(const struct hws_agent *agent);

/* Wall clock, milliseconds since 1970. */
uint64_t hws_agent_unix_ms(void);

/* SIGTERM: no new work, finish the old, stop the other processes, end. */
void hws_agent_drain(struct hws_agent *agent);

/* Adapters changed: tells the calls that follow them. */
void hws_agent_adapters_changed(struct hws_agent *agent);

/* Reads the policy file again, then the TLS files. A bad policy is refused with line and reason,
 * and the old stays. */
enum hws_code hws_agent_reload(struct hws_agent *agent, struct hws_err *err) HWS_MUST_USE;

/* Changes are refused from now on; why goes into the refusals. */
void hws_agent_be_safe(struct hws_agent *agent, const char *why);

/* "serving", "draining", "safe". */
const char *hws_agent_state_name(int state);

/* False once a drain has begun to stop the other processes: what hawser-wire accepts until then is
 * done. */
bool hws_agent_takes_calls(const struct hws_agent *agent);

/* HWS_OK if changes are accepted now; HWS_E_STATE or HWS_E_GONE saying what to do. */
enum hws_code hws_agent_may_change(const struct hws_agent *agent, struct hws_err *err) HWS_MUST_USE;

#endif
