/*
 * Whether a channel's call is placed again when its attempt has ended, and when (grpc proposal A6):
 * transparent retries, retries by status, the server's push-back, throttling.
 */
#include "channel_priv.h"

#define NEVER          UINT64_MAX
#define JITTER_PERCENT 20u

uint64_t hws_grpc__channel_jittered(const struct hws_grpc_channel *ch, uint64_t ms)
{
    uint64_t span = ms * 2 * JITTER_PERCENT / 100;

    return ms - span / 2 + (span == 0 ? 0 : ch->config.random(ch->config.data) % (span + 1));
}

/* The decimal number that the text is, without zeros in front; else, and beyond 31 bits, NEVER. */
static uint64_t decimal(struct hws_span text)
{
    uint64_t v = 0;

    if (text.n == 0 || text.n > 10 || (text.n > 1 && text.bytes[0] == '0')) {
        return NEVER;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return NEVER;
        }
        v = v * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    return v <= INT32_MAX ? v : NEVER;
}

/* The server's word on another attempt, if it has one: after *out_ms, or NEVER. Text that is no
 * number of milliseconds forbids it. */
static bool pushed_back(const struct hws_grpc_outcome *outcome, uint64_t *out_ms)
{
    struct hws_span text;

    if (!hws_grpc_meta_get(outcome->trailers, "grpc-retry-pushback-ms", 0, &text)) {
        return false;
    }
    *out_ms = decimal(text);
    return true;
}

void hws_grpc__channel_count_tokens(struct hws_grpc_channel *ch,
                                    const struct hws_grpc_outcome *outcome)
{
    uint32_t all = ch->config.throttle_tokens * HWS_GRPC__TOKEN;
    uint64_t ms = 0;

    if (outcome->code == HWS_GRPC_OK) {
        uint32_t room = all - ch->milli_tokens;
        ch->milli_tokens += ch->config.throttle_milli < room ? ch->config.throttle_milli : room;
    } else if (outcome->code == HWS_GRPC_UNAVAILABLE ||
               (pushed_back(outcome, &ms) && ms == NEVER)) {
        ch->milli_tokens -= ch->milli_tokens < HWS_GRPC__TOKEN ? ch->milli_tokens : HWS_GRPC__TOKEN;
    }
}

uint64_t hws_grpc__channel_pause(struct hws_grpc_channel_call *call,
                                 const struct hws_grpc_outcome *outcome)
{
    uint32_t attempts = call->max_attempts < HWS_GRPC_CHANNEL_ATTEMPTS ? call->max_attempts
                                                                       : HWS_GRPC_CHANNEL_ATTEMPTS;
    const struct hws_grpc_channel *ch = call->channel;
    bool throttled = ch->milli_tokens <= ch->config.throttle_tokens * HWS_GRPC__TOKEN / 2;
    uint64_t ms = HWS_GRPC_CHANNEL_RETRY_MIN_MS;

    if (outcome->code != HWS_GRPC_UNAVAILABLE || call->committed || throttled ||
        call->n_attempts >= attempts) {
        return NEVER;
    }
    if (pushed_back(outcome, &ms)) {
        call->n_pauses = 0;
        return ms;
    }
    for (uint32_t i = 0; i < call->n_pauses && ms < HWS_GRPC_CHANNEL_RETRY_MAX_MS; i++) {
        ms *= 2;
    }
    call->n_pauses++;
    return hws_grpc__channel_jittered(
        ch, ms < HWS_GRPC_CHANNEL_RETRY_MAX_MS ? ms : HWS_GRPC_CHANNEL_RETRY_MAX_MS);
}

bool hws_grpc__channel_again_unseen(struct hws_grpc_channel_call *call,
                                    const struct hws_grpc_outcome *outcome)
{
    if (!outcome->unprocessed || call->committed) {
        return false;
    }
    if (outcome->unsent) {
        return call->n_transparent++ < HWS_GRPC_CHANNEL_TRANSPARENT;
    }
    bool first = !call->turned_away;
    call->turned_away = true;
    return first;
}
