/* Limits of connections and of log lines. */
#include "limits.h"

void hws_limits_fill(struct hws_grpc_limits *out, uint64_t not_after_s, uint64_t now_s)
{
    uint64_t age_ms = HWS_LIMITS_MAX_AGE_MS;

    hws_grpc_limits_server(out);
    if (not_after_s != UINT64_MAX) {
        uint64_t left_s = not_after_s > now_s ? not_after_s - now_s : 1;
        age_ms = left_s < age_ms / 1000 ? left_s * 1000 : age_ms;
    }
    out->max_age_ms = (uint32_t)age_ms;
    out->max_age_grace_ms = HWS_LIMITS_AGE_GRACE_MS;
}

bool hws_limits_may_log(struct hws_limits_log *l, uint64_t now_ms, uint32_t *out_dropped)
{
    *out_dropped = 0;
    if (l->n_lines == 0 || now_ms - l->since_ms >= HWS_LIMITS_LOG_WINDOW_MS) {
        *out_dropped = l->n_dropped;
        l->since_ms = now_ms;
        l->n_lines = 1;
        l->n_dropped = 0;
        return true;
    }
    if (l->n_lines < HWS_LIMITS_LOG_LINES) {
        l->n_lines++;
        return true;
    }
    l->n_dropped++;
    return false;
}
