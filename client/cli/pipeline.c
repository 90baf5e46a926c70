/*
 * Commands on their way.
 *
 * Happy path: queued -> sent as soon as a stream takes it -> answered, with its tag.
 * Where it goes wrong is in pipeline.h; whose word counts: the agent's answer, then the stream's
 * end, then this side's clock.
 */
#include "cli/pipeline.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define RETRY_MIN_MS  50u
#define RETRY_MAX_MS  2000u
#define CLOSE_WAIT_MS 1000u

static struct hws_cli_slot *slot_at(struct hws_cli_pipeline *p, size_t i)
{
    return &p->slots[(p->first + i) % HWS_CLI_PIPELINE_WINDOW];
}

static uint64_t now_of(const struct hws_cli_pipeline *p)
{
    return uv_now(&p->cli->loop);
}

const char *hws_cli_outcome_name(enum hws_cli_outcome outcome)
{
    static const char *const names[] = {"",         "ok",      "refused", "unknown",
                                        "not-sent", "skipped", "invalid"};

    return (unsigned)outcome < HWS_CLI_N_OF(names) ? names[outcome] : "?";
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void drop_request(struct hws_cli_slot *slot)
{
    if (slot->to_send != NULL) {
        protobuf_c_message_free_unpacked(&slot->to_send->base, NULL);
        slot->to_send = NULL;
    }
}

void hws_cli_pipeline_end(struct hws_cli_slot *slot, enum hws_cli_outcome outcome,
                          enum hws_client_code code, const char *message)
{
    slot->outcome = outcome;
    slot->code = code;
    (void)hws_str_copy(slot->message, sizeof(slot->message), message);
    drop_request(slot);
}

struct hws_cli_slot *hws_cli_pipeline_add(struct hws_cli_pipeline *p)
{
    if (p->n == HWS_CLI_PIPELINE_WINDOW) {
        return NULL;
    }
    struct hws_cli_slot *slot = slot_at(p, p->n++);
    memset(slot, 0, sizeof(*slot));
    return slot;
}

/* A copy of a message; NULL without memory. */
static void *copy_of(const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = hws_mem_alloc(n + 1);

    if (bytes == NULL) {
        return NULL;
    }
    (void)protobuf_c_message_pack(m, bytes);
    void *copy = protobuf_c_message_unpack(m->descriptor, NULL, n, bytes);
    hws_mem_free(bytes);
    return copy;
}

void hws_cli_pipeline_queue(struct hws_cli_pipeline *p, struct hws_cli_slot *slot,
                            Hawser__V1__ExecuteRequest *request, uint32_t timeout_ms)
{
    Hawser__V1__ExecuteStreamRequest item = HAWSER__V1__EXECUTE_STREAM_REQUEST__INIT;

    if (p->gone[0] != '\0') {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_NOT_SENT, p->gone_code, p->gone);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        item.tag = slot_at(p, i) == slot ? p->next_tag + i : item.tag;
    }
    request->timeout_ms = timeout_ms;
    item.request = request;
    slot->to_send = copy_of(&item.base);
    uv_update_time(&p->cli->loop);
    slot->deadline_ms = now_of(p) + timeout_ms;
    if (slot->to_send == NULL) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_NOT_SENT, HWS_CLIENT_RESOURCE_EXHAUSTED,
                             "out of memory");
    }
}

struct hws_cli_slot *hws_cli_pipeline_head(struct hws_cli_pipeline *p)
{
    return p->n > 0 && slot_at(p, 0)->outcome != HWS_CLI_OUTCOME_NONE ? slot_at(p, 0) : NULL;
}

void hws_cli_pipeline_pop(struct hws_cli_pipeline *p)
{
    struct hws_cli_slot *slot = slot_at(p, 0);

    drop_request(slot);
    if (slot->answer != NULL) {
        protobuf_c_message_free_unpacked(&slot->answer->base, NULL);
    }
    hws_mem_free(slot->tag);
    json_decref(slot->asked);
    memset(slot, 0, sizeof(*slot));
    p->first = (p->first + 1) % HWS_CLI_PIPELINE_WINDOW;
    p->n--;
    p->next_tag++;
}

/* Nothing is sent any more. */
static void give_up(struct hws_cli_pipeline *p, enum hws_client_code code, const char *why)
{
    if (p->gone[0] == '\0') {
        (void)hws_str_copy(p->gone, sizeof(p->gone), why[0] == '\0' ? "the stream ended" : why);
        p->gone_code = code;
    }
    for (size_t i = 0; i < p->n; i++) {
        struct hws_cli_slot *slot = slot_at(p, i);
        if (slot->to_send != NULL && !slot->sent) {
            hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_NOT_SENT, p->gone_code, p->gone);
        }
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum hws_cli_outcome outcome_of(enum hws_client_code code, Hawser__V1__Stage stage)
{
    bool not_sent = stage == HAWSER__V1__STAGE__STAGE_NOT_SENT;
    bool timed = code == HWS_CLIENT_DEADLINE_EXCEEDED || code == HWS_CLIENT_CANCELLED;

    if (stage == HAWSER__V1__STAGE__STAGE_UNKNOWN || (timed && !not_sent)) {
        return HWS_CLI_OUTCOME_UNKNOWN;
    }
    bool busy = code == HWS_CLIENT_UNAVAILABLE || code == HWS_CLIENT_RESOURCE_EXHAUSTED;
    return timed || busy || (code == HWS_CLIENT_INTERNAL && not_sent) ? HWS_CLI_OUTCOME_NOT_SENT
                                                                      : HWS_CLI_OUTCOME_REFUSED;
}

static void take_answer(struct hws_cli_slot *slot, const Hawser__V1__ExecuteStreamResponse *m)
{
    enum hws_client_code code =
        (unsigned)m->code < HWS_CLIENT_N_CODES ? (enum hws_client_code)m->code : HWS_CLIENT_UNKNOWN;

    if (code != HWS_CLIENT_OK) {
        slot->stage = m->stage;
        hws_cli_pipeline_end(slot, outcome_of(code, m->stage), code, m->message);
        return;
    }
    slot->answer = m->response == NULL ? NULL : copy_of(&m->response->base);
    const Hawser__V1__CommandStatus *s = slot->answer == NULL ? NULL : slot->answer->status;
    if (s == NULL) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_UNKNOWN, HWS_CLIENT_INTERNAL,
                             "its answer could not be read");
        return;
    }
    slot->stage = s->stage;
    bool rejected = s->stage == HAWSER__V1__STAGE__STAGE_REJECTED;
    if (s->stage == HAWSER__V1__STAGE__STAGE_EXECUTED && s->status == 0) {
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_OK, code, "");
        return;
    }
    char text[160];
    (void)hws_str_print(text, sizeof(text), "%s by the device: %.100s",
                        rejected ? "rejected" : "refused",
                        rejected ? s->delivery_status_name : s->status_name);
    hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_REFUSED, code, text);
}

static void on_message(struct hws_client_call *call, const ProtobufCMessage *message)
{
    const Hawser__V1__ExecuteStreamResponse *m = (const Hawser__V1__ExecuteStreamResponse *)message;
    struct hws_cli_pipeline *p = call->data;

    p->retry_ms = 0;
    if (m->tag < p->next_tag || m->tag - p->next_tag >= p->n) {
        return; /* of one that has been given up */
    }
    struct hws_cli_slot *slot = slot_at(p, (size_t)(m->tag - p->next_tag));
    if (slot->sent && slot->outcome == HWS_CLI_OUTCOME_NONE) {
        take_answer(slot, m);
    }
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* What was sent and not answered. */
static void settle(struct hws_cli_pipeline *p, const struct hws_client_status *status)
{
    bool unseen = status->unprocessed || status->stage == HAWSER__V1__STAGE__STAGE_NOT_SENT;
    char text[HWS_CLIENT_MESSAGE_BYTES];

    (void)hws_str_print(text, sizeof(text), "it may have run: %.900s",
                        status->code == HWS_CLIENT_OK ? "the agent ended the stream without a word"
                                                      : status->message);
    for (size_t i = 0; i < p->n; i++) {
        struct hws_cli_slot *slot = slot_at(p, i);
        if (!slot->sent || slot->outcome != HWS_CLI_OUTCOME_NONE) {
            continue;
        }
        if (unseen) {
            slot->sent = false;
            continue;
        }
        slot->stage = HAWSER__V1__STAGE__STAGE_UNKNOWN;
        hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_UNKNOWN, status->code, text);
    }
}

static void on_end(struct hws_client_call *call)
{
    struct hws_cli_pipeline *p = call->data;
    const struct hws_client_status *s = &call->status;
    bool may_return = s->code == HWS_CLIENT_UNAVAILABLE || s->code == HWS_CLIENT_OK;

    p->streaming = false;
    settle(p, s);
    if (!may_return || (s->unprocessed && !s->from_agent && !p->ever)) {
        give_up(p, s->code, s->message);
        return;
    }
    p->retry_ms = p->retry_ms == 0 ? RETRY_MIN_MS : p->retry_ms * 2;
    p->retry_ms = p->retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms;
    p->not_before = now_of(p) + p->retry_ms;
}

static void begin(struct hws_cli_pipeline *p)
{
    hws_client_call_deinit(&p->call);
    p->call = (struct hws_client_call){
        .method = &hws_client_method_command_execute_stream,
        .message = on_message,
        .done = on_end,
        .data = p,
        .timeout_ms = UINT32_MAX, /* each command has its own */
    };
    if (hws_client_start(p->host->client, &p->call) != HWS_CLIENT_OK) {
        give_up(p, p->call.status.code, p->call.status.message);
        return;
    }
    p->streaming = true;
}

static void send_waiting(struct hws_cli_pipeline *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct hws_cli_slot *slot = slot_at(p, i);
        if (slot->sent || slot->to_send == NULL) {
            continue;
        }
        if (!p->streaming) {
            if (now_of(p) >= p->not_before) {
                begin(p);
            }
            return; /* it takes messages when it is connected */
        }
        if (hws_client_send(&p->call, &slot->to_send->base) != HWS_CLIENT_OK) {
            return; /* not connected yet, or enough is on its way */
        }
        slot->sent = true;
        p->ever = true;
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

static void expire(struct hws_cli_pipeline *p)
{
    uint64_t now_ms = now_of(p);

    for (size_t i = 0; i < p->n; i++) {
        struct hws_cli_slot *slot = slot_at(p, i);
        if (slot->outcome != HWS_CLI_OUTCOME_NONE) {
            continue;
        }
        if (slot->sent && now_ms >= slot->deadline_ms + HWS_CLI_PIPELINE_GRACE_MS) {
            slot->stage = HAWSER__V1__STAGE__STAGE_UNKNOWN;
            hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_UNKNOWN, HWS_CLIENT_DEADLINE_EXCEEDED,
                                 "it may have run: no answer before its deadline");
        } else if (!slot->sent && now_ms >= slot->deadline_ms) {
            hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_NOT_SENT, HWS_CLIENT_DEADLINE_EXCEEDED,
                                 "it could not be sent before its deadline");
            if (!p->streaming || p->call.inside == NULL) {
                give_up(p, HWS_CLIENT_UNAVAILABLE, "the agent was not to be reached any more");
            }
        }
    }
}

/* When to look again, if nothing happens before. */
static uint64_t next_look(struct hws_cli_pipeline *p)
{
    uint64_t at_ms = UINT64_MAX;

    for (size_t i = 0; i < p->n; i++) {
        const struct hws_cli_slot *slot = slot_at(p, i);
        if (slot->outcome != HWS_CLI_OUTCOME_NONE) {
            continue;
        }
        uint64_t end_ms = slot->deadline_ms + (slot->sent ? HWS_CLI_PIPELINE_GRACE_MS : 0);
        at_ms = end_ms < at_ms ? end_ms : at_ms;
        if (!slot->sent && !p->streaming && p->not_before < at_ms) {
            at_ms = p->not_before;
        }
    }
    return at_ms;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* it only ends the wait */
}

void hws_cli_pipeline_turn(struct hws_cli_pipeline *p)
{
    uv_update_time(&p->cli->loop);
    expire(p);
    send_waiting(p);
    if (hws_cli_pipeline_head(p) != NULL) {
        return;
    }
    uint64_t at_ms = next_look(p);
    if (at_ms == UINT64_MAX) {
        (void)uv_timer_stop(&p->timer);
    } else {
        uint64_t now_ms = now_of(p);
        (void)uv_timer_start(&p->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
    }
    (void)uv_run(&p->cli->loop, UV_RUN_ONCE);
}

/* ---- Ctrl-C, open, close --------------------------------------------------------------------- */

static size_t n_on_their_way(struct hws_cli_pipeline *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        n += slot_at(p, i)->sent && slot_at(p, i)->outcome == HWS_CLI_OUTCOME_NONE ? 1 : 0;
    }
    return n;
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct hws_cli_pipeline *p = signal->data;
    size_t n = n_on_their_way(p);
    (void)number;

    p->n_interrupts++;
    if (p->n_interrupts == 1) {
        give_up(p, HWS_CLIENT_CANCELLED, "interrupted before it was sent");
    }
    if (p->n_interrupts == 1 && n > 0) {
        (void)fprintf(p->cli->errors,
                      "%shawser: interrupted: nothing more is sent; waiting for the %zu that were "
                      "(again: give up on them, they may have run)\n",
                      p->cli->errors_tty ? "\n" : "", n);
        return;
    }
    if (p->streaming) {
        hws_client_cancel(&p->call);
    }
}

int hws_cli_pipeline_open(struct hws_cli_pipeline *p, struct hws_cli_host *host)
{
    memset(p, 0, sizeof(*p));
    p->cli = host->cli;
    p->host = host;
    p->next_tag = 1;
    if (uv_timer_init(&p->cli->loop, &p->timer) != 0) {
        return hws_cli_fail(p->cli, HWS_EXIT_INTERNAL, "no timer");
    }
    p->timer.data = p;
    p->n_handles = 1;
    if (uv_signal_init(&p->cli->loop, &p->signal) == 0) {
        p->signal.data = p;
        p->n_handles++;
        (void)uv_signal_start(&p->signal, on_signal, SIGINT);
    }
    return HWS_EXIT_OK;
}

static void handle_closed(uv_handle_t *handle)
{
    struct hws_cli_pipeline *p = handle->data;

    p->n_handles--;
}

void hws_cli_pipeline_close(struct hws_cli_pipeline *p)
{
    if (p->cli == NULL) {
        return;
    }
    if (p->streaming) {
        hws_client_half_close(&p->call);
        (void)uv_timer_start(&p->timer, on_timer, p->ever ? CLOSE_WAIT_MS : 0, 0);
    }
    while (p->streaming) {
        (void)uv_run(&p->cli->loop, UV_RUN_ONCE);
        if (uv_is_active((uv_handle_t *)&p->timer) == 0) {
            hws_client_cancel(&p->call);
        }
    }
    hws_client_call_deinit(&p->call);
    bool both = p->n_handles == 2;
    uv_close((uv_handle_t *)&p->timer, handle_closed);
    if (both) {
        uv_close((uv_handle_t *)&p->signal, handle_closed);
    }
    while (p->n_handles > 0) {
        (void)uv_run(&p->cli->loop, UV_RUN_ONCE);
    }
    memset(p, 0, sizeof(*p));
}
