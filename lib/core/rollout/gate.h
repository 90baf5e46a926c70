/*
 * The health gate an adapter passes after its change: its agent answers, the adapter is READY,
 * every setting reads back as wanted, and that stays so for the settle time without a break. A
 * setting that reads back as something else fails at once; everything else may still recover until
 * the deadline. Pure: health readings and now_ms in, a verdict and the time of the next reading
 * out. Allocates nothing.
 */
#ifndef HWS_ROLLOUT_GATE_H
#define HWS_ROLLOUT_GATE_H

#include <stdbool.h>
#include <stdint.h>

#define HWS_ROLLOUT_GATE_MIN_EVERY_MS 200u /* between two readings */
#define HWS_ROLLOUT_GATE_MAX_EVERY_MS 5000u

/* What one look at an adapter found; the worst that applies. */
enum hws_rollout_health {
    HWS_ROLLOUT_HEALTH_OK,          /* reachable, READY, every setting as wanted */
    HWS_ROLLOUT_HEALTH_UNREACHABLE, /* the host's agent did not answer */
    HWS_ROLLOUT_HEALTH_NOT_READY,   /* the adapter is starting, stuck, gone or failed */
    HWS_ROLLOUT_HEALTH_OTHER_VALUE, /* a setting is not as wanted */
    HWS_N_ROLLOUT_HEALTHS
};

enum hws_rollout_verdict {
    HWS_ROLLOUT_VERDICT_WAIT,
    HWS_ROLLOUT_VERDICT_PASS,
    HWS_ROLLOUT_VERDICT_FAIL
};

struct hws_rollout_gate {
    uint32_t settle_ms;
    uint32_t every_ms;    /* between two readings */
    uint64_t deadline_ms; /* fails if not passed by then */
    uint64_t ok_since_ms; /* meaningful while healthy */
    uint64_t next_ms;     /* when the next reading is due */
    bool healthy;         /* the latest reading was OK */
};

/* Starts the gate: the first reading is due at once. */
void hws_rollout_gate_start(struct hws_rollout_gate *gate, uint32_t settle_ms, uint32_t timeout_ms,
                            uint64_t now_ms);

/* Judges one reading taken at now_ms. */
enum hws_rollout_verdict hws_rollout_gate_feed(struct hws_rollout_gate *gate,
                                               enum hws_rollout_health health, uint64_t now_ms);

/* "ok", "unreachable", "not-ready", "other-value". */
const char *hws_rollout_health_name(enum hws_rollout_health health);

#endif
