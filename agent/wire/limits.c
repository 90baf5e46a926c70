/* Limits of connections and of log lines. */
#include "limits.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

static const struct {
    const char *name;
    size_t offset; /* of a uint32_t in struct hws_wire_limits */
} s_names[] = {
#define HWS_NET_LIMIT(field, value) {#field, offsetof(struct hws_wire_limits, listener.field)},
#include "net/limits.def"
#undef HWS_NET_LIMIT
#define HWS_GRPC_LIMIT(field, server, client)                                                      \
    {#field, offsetof(struct hws_wire_limits, conn.field)},
#include "grpc/limits.def"
#undef HWS_GRPC_LIMIT
};

#define N_NAMES (sizeof(s_names) / sizeof(s_names[0]))

void hws_limits_default(struct hws_wire_limits *out)
{
    hws_grpc_limits_server(&out->conn);
    hws_net_limits_default(&out->listener);
    out->conn.max_age_ms = (uint32_t)HWS_LIMITS_MAX_AGE_MS;
    out->conn.max_age_grace_ms = HWS_LIMITS_AGE_GRACE_MS;
}

enum hws_code hws_limits_set(struct hws_wire_limits *l, const char *text, struct hws_err *err)
{
    const char *equals = strchr(text, '=');
    uint64_t value = 0;

    if (equals == NULL || hws_str_to_u64(equals + 1, UINT32_MAX, &value, NULL) != HWS_OK) {
        return hws_err_set(err, HWS_E_INVALID, "limit \"%.60s\" is not NAME=0..4294967295", text);
    }
    size_t n = (size_t)(equals - text);
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strlen(s_names[i].name) == n && memcmp(s_names[i].name, text, n) == 0) {
            uint32_t v = (uint32_t)value;
            memcpy((char *)l + s_names[i].offset, &v, sizeof(v));
            return HWS_OK;
        }
    }
    return hws_err_set(err, HWS_E_INVALID, "no limit \"%.*s\"; hawser-wire --limits lists them",
                       (int)(n < 60 ? n : 60), text);
}

void hws_limits_each(const struct hws_wire_limits *l,
                     void (*fn)(void *data, const char *name, uint32_t value), void *data)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        uint32_t v;
        memcpy(&v, (const char *)l + s_names[i].offset, sizeof(v));
        fn(data, s_names[i].name, v);
    }
}

void hws_limits_fill(struct hws_grpc_limits *out, uint64_t not_after_s, uint64_t now_s)
{
    if (not_after_s == UINT64_MAX) {
        return;
    }
    uint64_t left_s = not_after_s > now_s ? not_after_s - now_s : 1;
    if (out->max_age_ms == 0 || left_s < out->max_age_ms / 1000) {
        out->max_age_ms = left_s < UINT32_MAX / 1000 ? (uint32_t)left_s * 1000 : UINT32_MAX;
    }
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
