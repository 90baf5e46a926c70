/*
 * Calls over the connections of a name.
 *
 * Happy path: start -> waiting -> (dial, up) -> placed on the next ready connection -> on_close.
 * Where it goes wrong: nothing ready (wait, or end when every address rests), the connection goes
 * before the server saw the call (placed again), the server refuses (again, as A6 allows), time.
 */
#include "grpc/channel.h"

#include <string.h>

#include "base/str.h"
#include "channel_priv.h"

#define NEVER          UINT64_MAX
#define GROW_NUMERATOR 16u /* 1.6 */
#define GROW_DIVISOR   10u

void hws_grpc_channel_init(struct hws_grpc_channel *ch,
                           const struct hws_grpc_channel_config *config)
{
    memset(ch, 0, sizeof(*ch));
    ch->config = *config;
    if (ch->config.backoff_min_ms == 0) {
        ch->config.backoff_min_ms = HWS_GRPC_CHANNEL_BACKOFF_MIN_MS;
    }
    if (ch->config.backoff_max_ms == 0) {
        ch->config.backoff_max_ms = HWS_GRPC_CHANNEL_BACKOFF_MAX_MS;
    }
    if (ch->config.throttle_tokens == 0) {
        ch->config.throttle_tokens = HWS_GRPC_CHANNEL_TOKENS;
    }
    if (ch->config.throttle_tokens > HWS_GRPC_CHANNEL_MAX_TOKENS) {
        ch->config.throttle_tokens = HWS_GRPC_CHANNEL_MAX_TOKENS;
    }
    if (ch->config.throttle_milli == 0) {
        ch->config.throttle_milli = HWS_GRPC_CHANNEL_TOKEN_MILLI;
    }
    ch->milli_tokens = ch->config.throttle_tokens * HWS_GRPC__TOKEN;
    hws_list_init(&ch->waiting);
    hws_list_init(&ch->running);
    (void)hws_str_copy(ch->why, sizeof(ch->why), "not resolved yet");
}

static void wake(struct hws_grpc_channel *ch)
{
    ch->again = ch->again || ch->turning; /* the turn that runs says so itself */
    if (!ch->woken && !ch->turning) {
        ch->woken = true;
        ch->config.on_wake(ch->config.data);
    }
}

static void take_time(struct hws_grpc_channel *ch, uint64_t now_ms)
{
    ch->now_ms = now_ms > ch->now_ms ? now_ms : ch->now_ms;
}

/* ---- addresses ---- */

static void say_why(struct hws_grpc_channel *ch, const char *why)
{
    (void)hws_str_copy(ch->why, sizeof(ch->why), why);
}

void hws_grpc_channel_set_addresses(struct hws_grpc_channel *ch, uint32_t n, const char *why)
{
    uint32_t was[HWS_GRPC_CHANNEL_ADDRESSES];

    for (uint32_t i = 0; i < HWS_GRPC_CHANNEL_ADDRESSES; i++) {
        was[i] = HWS_GRPC_CHANNEL_NEW;
    }
    hws_grpc_channel_move_addresses(ch, n, was);
    if (n == 0) {
        ch->unresolved = ++ch->n_failures;
        say_why(ch, why);
    }
}

void hws_grpc_channel_move_addresses(struct hws_grpc_channel *ch, uint32_t n, const uint32_t *was)
{
    struct hws_grpc_channel_address old[HWS_GRPC_CHANNEL_ADDRESSES];

    memcpy(old, ch->addresses, sizeof(old));
    memset(ch->addresses, 0, sizeof(ch->addresses));
    if (!ch->resolved || ch->unresolved > 0) {
        say_why(ch, "not connected yet");
    }
    ch->resolved = true;
    ch->unresolved = 0;
    ch->next = 0;
    uint32_t n_old = ch->n_addresses;
    ch->n_addresses = n < HWS_GRPC_CHANNEL_ADDRESSES ? n : HWS_GRPC_CHANNEL_ADDRESSES;
    for (uint32_t i = 0; i < ch->n_addresses; i++) {
        if (was[i] < n_old) {
            ch->addresses[i] = old[was[i]];
        }
    }
    wake(ch);
}

void hws_grpc_channel_up(struct hws_grpc_channel *ch, uint32_t idx, struct hws_grpc_conn *conn)
{
    if (idx < ch->n_addresses && !ch->closed) {
        struct hws_grpc_channel_address *a = &ch->addresses[idx];
        a->state = HWS_GRPC_ADDRESS_READY; /* the rests begin anew when its SETTINGS are here */
        a->conn = conn;
        wake(ch);
    }
}

static void rest(struct hws_grpc_channel *ch, struct hws_grpc_channel_address *a)
{
    uint64_t ms = a->backoff_ms == 0 ? ch->config.backoff_min_ms
                                     : (uint64_t)a->backoff_ms * GROW_NUMERATOR / GROW_DIVISOR;

    a->backoff_ms = (uint32_t)(ms < ch->config.backoff_max_ms ? ms : ch->config.backoff_max_ms);
    a->state = HWS_GRPC_ADDRESS_RESTING;
    a->conn = NULL;
    a->failure = ++ch->n_failures;
    a->rest_until_ms = ch->now_ms + hws_grpc__channel_jittered(ch, a->backoff_ms);
}

/* A connection that served has ended: another may be made at once. */
static void ended(struct hws_grpc_channel_address *a)
{
    *a = (struct hws_grpc_channel_address){.state = HWS_GRPC_ADDRESS_IDLE};
}

void hws_grpc_channel_failed(struct hws_grpc_channel *ch, uint32_t idx,
                             const struct hws_grpc_conn *conn, uint64_t now_ms, const char *why)
{
    take_time(ch, now_ms);
    if (idx >= ch->n_addresses) {
        return;
    }
    struct hws_grpc_channel_address *a = &ch->addresses[idx];
    if (conn == NULL ? a->state == HWS_GRPC_ADDRESS_CONNECTING : a->conn == conn) {
        say_why(ch, why);
        rest(ch, a);
    }
    wake(ch);
}

void hws_grpc_channel_down(struct hws_grpc_channel *ch, uint32_t idx,
                           const struct hws_grpc_conn *conn, uint64_t now_ms, const char *why)
{
    if (conn == NULL) {
        hws_grpc_channel_failed(ch, idx, NULL, now_ms, why);
        return;
    }
    take_time(ch, now_ms);
    if (idx < ch->n_addresses && ch->addresses[idx].conn == conn) {
        say_why(ch, why);
        ended(&ch->addresses[idx]);
    }
    wake(ch);
}

/* The connection takes no more calls. One whose peer never spoke was a failed attempt. */
static void leave(struct hws_grpc_channel *ch, struct hws_grpc_channel_address *a)
{
    const char *why = NULL;

    if (a->conn->settled) {
        ended(a);
    } else {
        (void)hws_grpc_conn_end(a->conn, &why);
        say_why(ch, why);
        rest(ch, a);
    }
}

/* Forgets connections that drain, and lets rested addresses try again. */
static void refresh(struct hws_grpc_channel *ch)
{
    for (uint32_t i = 0; i < ch->n_addresses; i++) {
        struct hws_grpc_channel_address *a = &ch->addresses[i];
        if (a->state == HWS_GRPC_ADDRESS_READY && a->conn->state != HWS_GRPC_CONN_OPEN) {
            leave(ch, a);
        } else if (a->state == HWS_GRPC_ADDRESS_RESTING && a->rest_until_ms <= ch->now_ms) {
            a->state = HWS_GRPC_ADDRESS_IDLE;
        }
    }
}

static void dial_idle(struct hws_grpc_channel *ch)
{
    for (uint32_t i = 0; i < ch->n_addresses; i++) {
        if (ch->addresses[i].state == HWS_GRPC_ADDRESS_IDLE) {
            ch->addresses[i].state = HWS_GRPC_ADDRESS_CONNECTING;
            ch->config.dial(ch->config.data, i);
        }
    }
}

/* True when there is nothing to wait for: no address, or each has failed and rests. A call that
 * waits for an attempt of its own counts what failed since it began. */
static bool hopeless(const struct hws_grpc_channel *ch, const struct hws_grpc_channel_call *call)
{
    uint64_t before = call->wait_for_attempt ? call->failures_before : 0;

    for (uint32_t i = 0; i < ch->n_addresses; i++) {
        const struct hws_grpc_channel_address *a = &ch->addresses[i];
        if (a->state != HWS_GRPC_ADDRESS_RESTING || a->failure <= before) {
            return false;
        }
    }
    return ch->resolved && (ch->n_addresses > 0 || ch->unresolved > before);
}

/* ---- the end of a call ---- */

/* Why a message could not be sent, as a status. */
static enum hws_grpc_code code_of(enum hws_code code)
{
    return code == HWS_E_INVALID ? HWS_GRPC_INTERNAL : HWS_GRPC_RESOURCE_EXHAUSTED;
}

static const char *text_of(enum hws_code code)
{
    return code == HWS_E_INVALID ? "a message is larger than max_send_message_bytes"
                                 : "out of memory";
}

static void queue(struct hws_grpc_channel_call *call, uint64_t not_before_ms)
{
    struct hws_grpc_channel *ch = call->channel;

    hws_list_remove(&call->link);
    hws_list_push(&ch->waiting, &call->link);
    ch->n_waiting++;
    call->inner = NULL;
    hws_grpc__channel_rewind(call);
    call->not_before_ms = not_before_ms;
    wake(ch);
}

/* The last that a call hears. */
static void close_call(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome)
{
    hws_list_remove(&call->link);
    call->inner = NULL;
    call->over = true;
    hws_buf_deinit(&call->kept);
    call->on_close(call, outcome);
}

/* Ends a waiting call for a reason of this side. */
static void end_waiting(struct hws_grpc_channel_call *call, enum hws_grpc_code code,
                        const char *message)
{
    const struct hws_grpc_meta none = {0};
    const struct hws_grpc_outcome outcome = {
        .code = code, .message = message, .trailers = &none, .unprocessed = !call->seen};

    call->channel->n_waiting--;
    close_call(call, &outcome);
}

static void inner_close(struct hws_grpc_call *inner, const struct hws_grpc_outcome *outcome)
{
    struct hws_grpc_channel_call *call = hws_grpc_call_data(inner);
    struct hws_grpc_channel *ch = call->channel;
    bool may = !call->cancelled && !ch->closed;

    take_time(ch, hws_grpc_call_conn(inner)->now_ms);
    if (call->unsendable != HWS_OK && outcome->code == HWS_GRPC_CANCELLED) {
        const struct hws_grpc_outcome ours = {.code = code_of(call->unsendable),
                                              .message = text_of(call->unsendable),
                                              .trailers = outcome->trailers};
        close_call(call, &ours);
        return;
    }
    if (may && hws_grpc__channel_again_unseen(call, outcome)) {
        call->n_attempts--;
        queue(call, 0);
        return;
    }
    hws_grpc__channel_count_tokens(ch, outcome);
    struct hws_grpc_outcome last = *outcome;
    call->seen = call->seen || !outcome->unprocessed;
    last.unprocessed = !call->seen;
    uint64_t pause_ms = may ? hws_grpc__channel_pause(call, outcome) : NEVER;
    if (pause_ms != NEVER && ch->now_ms + pause_ms < call->deadline_ms) {
        queue(call, ch->now_ms + pause_ms);
        return;
    }
    if (ch->n_waiting > 0) {
        wake(ch); /* there may be room for another */
    }
    close_call(call, &last);
}

static void inner_headers(struct hws_grpc_call *inner)
{
    struct hws_grpc_channel_call *call = hws_grpc_call_data(inner);

    hws_grpc__channel_commit(call);
    if (call->on_headers != NULL) {
        call->on_headers(call, hws_grpc_call_peer_meta(inner));
    }
}

static void inner_message(struct hws_grpc_call *inner, const uint8_t *bytes, size_t n)
{
    struct hws_grpc_channel_call *call = hws_grpc_call_data(inner);

    if (call->on_message != NULL) {
        call->on_message(call, bytes, n);
    }
}

static void inner_writable(struct hws_grpc_call *inner)
{
    struct hws_grpc_channel_call *call = hws_grpc_call_data(inner);
    enum hws_code code = hws_grpc__channel_flush(call, NULL);

    if (code == HWS_OK) {
        hws_grpc__channel_tell_writable(call);
    } else {
        call->unsendable = code;
        hws_grpc_call_cancel(inner);
    }
}

static const struct hws_grpc_call_ops inner_ops = {.on_headers = inner_headers,
                                                   .on_message = inner_message,
                                                   .on_writable = inner_writable,
                                                   .on_close = inner_close};

/* ---- placing ---- */

#define ATTEMPTS_BYTES 128u /* of the field that says how often, with what it counts for itself */

/* The caller's metadata, however much he allowed himself, and how often the call was tried before.
 */
static enum hws_code metadata(const struct hws_grpc_channel_call *call, struct hws_grpc_meta *out,
                              struct hws_err *err)
{
    char text[12];
    enum hws_code code = HWS_OK;

    if (call->meta != NULL) {
        out->max_entries = call->meta->n_entries + 1;
        out->max_bytes = call->meta->used_bytes + ATTEMPTS_BYTES;
    }
    for (uint32_t i = 0; call->meta != NULL && i < call->meta->n_entries && code == HWS_OK; i++) {
        struct hws_span name;
        struct hws_span value;
        hws_grpc_meta_at(call->meta, i, &name, &value);
        code = hws_grpc_meta_add(out, (const char *)name.bytes, value.bytes, value.n, err);
    }
    if (code == HWS_OK && call->n_attempts > 0) {
        (void)hws_str_print(text, sizeof(text), "%u", (unsigned)call->n_attempts);
        code = hws_grpc_meta_add_text(out, "grpc-previous-rpc-attempts", text, err);
    }
    return code;
}

static enum hws_code place_on(struct hws_grpc_channel_call *call, struct hws_grpc_conn *conn,
                              struct hws_err *err)
{
    struct hws_grpc_channel *ch = call->channel;
    struct hws_grpc_meta meta = {0};
    struct hws_grpc_start start = {
        .path = call->path,
        .kind = call->kind,
        .timeout_ms = call->deadline_ms == NEVER ? 0 : call->deadline_ms - ch->now_ms,
        .meta = &meta,
        .encoding = call->encoding,
        .data = call,
    };
    enum hws_code code = metadata(call, &meta, err);

    if (code == HWS_OK) {
        code = hws_grpc_client_start(conn, &start, ch->now_ms, &call->inner, err);
    }
    hws_grpc_meta_deinit(&meta);
    if (code != HWS_OK) {
        return code;
    }
    if (call->limited) {
        hws_grpc_call_set_credit(call->inner, call->credit);
    }
    code = hws_grpc__channel_flush(call, err);
    if (code != HWS_OK) {
        hws_grpc_call_cancel(call->inner); /* it has no callbacks yet */
        call->inner = NULL;
        return code;
    }
    hws_grpc_call_set_ops(call->inner, &inner_ops);
    hws_list_remove(&call->link);
    hws_list_push(&ch->running, &call->link);
    ch->n_waiting--;
    call->n_attempts++;
    hws_grpc__channel_tell_writable(call);
    return HWS_OK;
}

/* On the next ready connection that takes it. HWS_E_GONE: there is none. */
static enum hws_code place(struct hws_grpc_channel *ch, struct hws_grpc_channel_call *call,
                           struct hws_err *err)
{
    for (uint32_t tried = 0; tried < ch->n_addresses; tried++) {
        struct hws_grpc_channel_address *a = &ch->addresses[ch->next++ % ch->n_addresses];
        if (a->state != HWS_GRPC_ADDRESS_READY || !hws_grpc_client_ready(a->conn)) {
            continue;
        }
        enum hws_code code = place_on(call, a->conn, err);
        if (code != HWS_E_GONE && code != HWS_E_BUSY) {
            return code;
        }
    }
    return HWS_E_GONE;
}

/* The deadline of a call came while it waited. */
static void end_late(struct hws_grpc_channel_call *call)
{
    char text[HWS_GRPC_CHANNEL_WHY_BYTES + 32];

    (void)hws_str_print(text, sizeof(text), "no connection in time: %s", call->channel->why);
    end_waiting(call, HWS_GRPC_DEADLINE_EXCEEDED, text);
}

/* Its turn has come: placed, ended, or left. True: it wants connections, of which there may be more
 * than the one that carries it. */
static bool try_now(struct hws_grpc_channel *ch, struct hws_grpc_channel_call *call)
{
    struct hws_err err;
    enum hws_code code = place(ch, call, &err);

    if (code == HWS_OK) {
        return true;
    }
    if (code != HWS_E_GONE) {
        end_waiting(call, code_of(code), code == HWS_E_INVALID ? err.msg : text_of(code));
    } else if (!call->wait_for_ready && hopeless(ch, call)) {
        end_waiting(call, HWS_GRPC_UNAVAILABLE, ch->why);
    } else {
        return true;
    }
    return false;
}

/* One waiting call; as try_now. */
static bool judge(struct hws_grpc_channel *ch, struct hws_grpc_channel_call *call)
{
    if (call->cancelled || ch->closed) {
        end_waiting(call, HWS_GRPC_CANCELLED, "cancelled by the caller");
    } else if (call->deadline_ms <= ch->now_ms) {
        end_late(call);
    } else if (call->not_before_ms <= ch->now_ms) {
        return try_now(ch, call);
    }
    return false;
}

static uint64_t next_due(const struct hws_grpc_channel *ch)
{
    uint64_t at_ms = NEVER;

    for (const struct hws_list *it = ch->waiting.next; it != &ch->waiting; it = it->next) {
        const struct hws_grpc_channel_call *call =
            hws_container_of(it, const struct hws_grpc_channel_call, link);
        uint64_t due_ms =
            call->not_before_ms > ch->now_ms && call->not_before_ms < call->deadline_ms
                ? call->not_before_ms
                : call->deadline_ms;
        at_ms = due_ms < at_ms ? due_ms : at_ms;
    }
    for (uint32_t i = 0; ch->n_waiting > 0 && i < ch->n_addresses; i++) {
        const struct hws_grpc_channel_address *a = &ch->addresses[i];
        if (a->state == HWS_GRPC_ADDRESS_RESTING && a->rest_until_ms < at_ms) {
            at_ms = a->rest_until_ms;
        }
    }
    return at_ms;
}

uint64_t hws_grpc_channel_turn(struct hws_grpc_channel *ch, uint64_t now_ms)
{
    struct hws_list batch;
    bool wanted = false;

    ch->woken = false;
    take_time(ch, now_ms);
    ch->turning = true;
    ch->again = false;
    refresh(ch);
    /* Calls that callbacks start meanwhile wait for the next turn. */
    hws_list_init(&batch);
    for (struct hws_list *it = hws_list_pop(&ch->waiting); it != NULL;
         it = hws_list_pop(&ch->waiting)) {
        hws_list_push(&batch, it);
    }
    while (!hws_list_empty(&batch)) {
        struct hws_grpc_channel_call *call =
            hws_container_of(batch.next, struct hws_grpc_channel_call, link);
        bool wants = judge(ch, call);
        wanted = wanted || wants;
        if (batch.next == &call->link) { /* it stays */
            hws_list_remove(&call->link);
            hws_list_push(&ch->waiting, &call->link);
        }
    }
    if (wanted && !ch->closed) {
        dial_idle(ch);
    }
    ch->turning = false;
    return ch->again ? ch->now_ms : next_due(ch);
}

/* ---- the caller's side ---- */

enum hws_code hws_grpc_channel_start(struct hws_grpc_channel *ch,
                                     struct hws_grpc_channel_call *call, uint64_t now_ms,
                                     struct hws_err *err)
{
    if (ch->closed) {
        return hws_err_set(err, HWS_E_STATE, "the channel is closed");
    }
    if (ch->n_waiting >= HWS_GRPC_CHANNEL_WAITING) {
        return hws_err_set(err, HWS_E_BUSY, "%u calls wait: %s", ch->n_waiting, ch->why);
    }
    take_time(ch, now_ms);
    call->channel = ch;
    call->inner = NULL;
    call->deadline_ms = call->timeout_ms == 0 || call->timeout_ms > NEVER - ch->now_ms
                            ? NEVER
                            : ch->now_ms + call->timeout_ms;
    call->n_attempts = 0;
    call->n_transparent = 0;
    call->n_pauses = 0;
    call->turned_away = false;
    call->seen = false;
    call->failures_before = ch->n_failures;
    hws_buf_init(&call->kept, 0);
    call->credit = 0;
    call->limited = false;
    call->half_closed = false;
    call->full = false;
    call->committed = false;
    call->cancelled = false;
    call->over = false;
    call->unsendable = HWS_OK;
    hws_list_init(&call->link);
    queue(call, 0);
    return HWS_OK;
}

void hws_grpc_channel_cancel(struct hws_grpc_channel_call *call)
{
    if (call->over) {
        return;
    }
    call->cancelled = true;
    if (call->inner != NULL) {
        hws_grpc_call_cancel(call->inner);
    } else {
        wake(call->channel);
    }
}

void hws_grpc_channel_close(struct hws_grpc_channel *ch)
{
    ch->closed = true;
    HWS_LIST_FOREACH (it, tmp, &ch->waiting) {
        hws_container_of(it, struct hws_grpc_channel_call, link)->cancelled = true;
    }
    HWS_LIST_FOREACH (it, tmp, &ch->running) {
        hws_grpc_channel_cancel(hws_container_of(it, struct hws_grpc_channel_call, link));
    }
    wake(ch);
}
