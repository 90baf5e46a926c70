/* The health gate: a settle time without a break, before a deadline. */
#include "rollout/gate.h"

void hws_rollout_gate_start(struct hws_rollout_gate *gate, uint32_t settle_ms, uint32_t timeout_ms,
                            uint64_t now_ms)
{
    uint32_t every = settle_ms / 4;

    if (every < HWS_ROLLOUT_GATE_MIN_EVERY_MS) {
        every = HWS_ROLLOUT_GATE_MIN_EVERY_MS;
    }
    if (every > HWS_ROLLOUT_GATE_MAX_EVERY_MS) {
        every = HWS_ROLLOUT_GATE_MAX_EVERY_MS;
    }
    *gate = (struct hws_rollout_gate){
        .settle_ms = settle_ms,
        .every_ms = every,
        .deadline_ms = now_ms + settle_ms + timeout_ms,
        .next_ms = now_ms,
    };
}

static enum hws_rollout_verdict healthy_reading(struct hws_rollout_gate *gate, uint64_t now_ms)
{
    if (!gate->healthy) {
        gate->healthy = true;
        gate->ok_since_ms = now_ms;
    }
    uint64_t done_ms = gate->ok_since_ms + gate->settle_ms;
    if (now_ms >= done_ms) {
        return HWS_ROLLOUT_VERDICT_PASS;
    }
    gate->next_ms = now_ms + gate->every_ms < done_ms ? now_ms + gate->every_ms : done_ms;
    return HWS_ROLLOUT_VERDICT_WAIT;
}

enum hws_rollout_verdict hws_rollout_gate_feed(struct hws_rollout_gate *gate,
                                               enum hws_rollout_health health, uint64_t now_ms)
{
    if (health == HWS_ROLLOUT_HEALTH_OTHER_VALUE) {
        return HWS_ROLLOUT_VERDICT_FAIL;
    }
    if (health == HWS_ROLLOUT_HEALTH_OK) {
        return healthy_reading(gate, now_ms);
    }
    gate->healthy = false;
    if (now_ms >= gate->deadline_ms) {
        return HWS_ROLLOUT_VERDICT_FAIL;
    }
    gate->next_ms = now_ms + gate->every_ms;
    return HWS_ROLLOUT_VERDICT_WAIT;
}

const char *hws_rollout_health_name(enum hws_rollout_health health)
{
    static const char *const names[HWS_N_ROLLOUT_HEALTHS] = {"ok", "unreachable", "not-ready",
                                                             "other-value"};

    return (unsigned)health < HWS_N_ROLLOUT_HEALTHS ? names[health] : "?";
}
