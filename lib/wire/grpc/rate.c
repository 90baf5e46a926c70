/* A token bucket. */
#include "grpc/rate.h"

#define MILLI 1000u

void hws_grpc_rate_init(struct hws_grpc_rate *r, uint32_t burst, uint32_t per_s, uint64_t now_ms)
{
    *r = (struct hws_grpc_rate){burst, per_s, (uint64_t)burst * MILLI, now_ms};
}

static uint64_t tokens_at(const struct hws_grpc_rate *r, uint64_t now_ms)
{
    uint64_t full = (uint64_t)r->burst * MILLI;
    uint64_t gone_ms = now_ms - r->at_ms;

    /* Longer than it takes to fill from empty is as good as that long; keeps the product small. */
    uint64_t fill_ms = r->per_s == 0 ? 0 : full / r->per_s + 1;
    uint64_t tokens = r->milli_tokens + (gone_ms < fill_ms ? gone_ms : fill_ms) * r->per_s;
    return tokens > full ? full : tokens;
}

bool hws_grpc_rate_take_n(struct hws_grpc_rate *r, uint32_t n, uint64_t now_ms)
{
    r->milli_tokens = tokens_at(r, now_ms);
    r->at_ms = now_ms;
    if (r->milli_tokens < (uint64_t)n * MILLI) {
        return false;
    }
    r->milli_tokens -= (uint64_t)n * MILLI;
    return true;
}

bool hws_grpc_rate_take(struct hws_grpc_rate *r, uint64_t now_ms)
{
    return hws_grpc_rate_take_n(r, 1, now_ms);
}

bool hws_grpc_rate_full(const struct hws_grpc_rate *r, uint64_t now_ms)
{
    return tokens_at(r, now_ms) == (uint64_t)r->burst * MILLI;
}
