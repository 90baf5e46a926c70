/*
 * CommandService.ExecuteStream: many commands on one call, each answered with its tag.
 *
 * Reads run side by side; a write waits for all before it and holds all after it. The caller gets
 * one message of credit back for each answer that has left, so neither side queues without bound.
 * Each item takes the whole road of task.h: it is authorised (again when it has waited), recorded
 * and, if it changes something, fenced by itself. A stream remembers the adapters of the items that
 * it took: a lock of one of them ends it, with what still waits.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/command.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "hawserd/svc_exec.h"

#define STREAM_ITEMS   32u /* in progress at once; what credit allows */
#define RESPONSE_FIELD 4u  /* ExecuteStreamResponse.response */

/* One item from its message to its answer. */
struct item {
    struct hws_list link;
    struct hws_stream *stream;
    struct hws_task *task;
    bool running;
    bool waited; /* it was not its turn when it came */
};

struct hws_stream {
    struct hws_rpc *rpc;                                       /* NULL when the caller is gone */
    struct hws_list items;                                     /* in the order of their messages */
    const struct hws_adapter *adapters[HWS_LINK_MAX_ADAPTERS]; /* of items taken; borrowed */
    size_t n_adapters;
    size_t n_running;
    bool writing; /* a write runs, alone */
    bool ended;   /* the caller sent its last message */
    bool busy;    /* inside pump or detach, which look at the rest themselves */
};

/* ---- answers --------------------------------------------------------------------------------- */

static bool put_varint(struct hws_buf *out, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    do {
        bytes[n] = (uint8_t)(v & 0x7f);
        v >>= 7;
        bytes[n] |= v != 0 ? 0x80 : 0;
        n++;
    } while (v != 0);
    return hws_buf_put(out, bytes, n) == HWS_OK;
}

/* The packed ExecuteResponse goes in as a field of its own, without unpacking it again. */
static bool put_response(struct hws_buf *out, const struct hws_buf *response)
{
    return put_varint(out, RESPONSE_FIELD << 3 | 2) && put_varint(out, hws_buf_len(response)) &&
           hws_buf_put(out, hws_buf_peek(response), hws_buf_len(response)) == HWS_OK;
}

static void send_item(struct hws_rpc *rpc, uint64_t tag, const struct hws_err *err,
                      const struct hws_buf *response)
{
    Hawser__V1__ExecuteStreamResponse r = HAWSER__V1__EXECUTE_STREAM_RESPONSE__INIT;
    struct hws_buf bytes;
    char message[HWS_ERR_MSG_BYTES];

    hws_buf_init(&bytes, HWS_LINK_CALL_MAX_MESSAGE);
    hws_str_copy(message, sizeof(message), err->code == HWS_OK ? "" : err->msg);
    r.tag = tag;
    r.code = (int32_t)hws_convert_code(err->code, err->stage);
    r.message = message;
    r.stage = (Hawser__V1__Stage)err->stage; /* the same numbers */
    bool whole = hws_svc_pack(&r.base, &bytes) == HWS_OK &&
                 (response == NULL || put_response(&bytes, response));
    if (!whole || hws_rpc_send(rpc, &bytes) != HWS_OK) {
        struct hws_err nomem;
        hws_buf_deinit(&bytes);
        hws_err_set(&nomem, HWS_E_NOMEM, "out of memory for an answer");
        hws_rpc_end(rpc, &nomem, NULL);
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Frees the stream when nothing refers to it. */
static void maybe_end(struct hws_stream *s)
{
    if (!hws_list_empty(&s->items)) {
        return;
    }
    if (s->rpc != NULL && s->ended) {
        struct hws_rpc *rpc = s->rpc;
        rpc->stream = NULL;
        s->rpc = NULL;
        hws_rpc_end_ok(rpc);
    }
    if (s->rpc == NULL) {
        hws_mem_free(s);
    }
}

static void drop_item(struct item *item)
{
    hws_list_remove(&item->link);
    hws_task_discard(item->task);
    hws_mem_free(item);
}

/* The call is over: what waits is dropped, what runs is told. */
static void detach(struct hws_stream *s)
{
    s->busy = true;
    s->rpc->stream = NULL;
    s->rpc = NULL;
    HWS_LIST_FOREACH (it, tmp, &s->items) {
        struct item *item = hws_container_of(it, struct item, link);
        if (item->running) {
            hws_task_orphan(item->task);
            continue;
        }
        drop_item(item);
    }
    s->busy = false;
    maybe_end(s);
}

/* Starts what may run now: in order, reads together, a write alone. */
static struct item *next_item(struct hws_stream *s)
{
    HWS_LIST_FOREACH (it, tmp, &s->items) {
        struct item *item = hws_container_of(it, struct item, link);
        if (item->running) {
            continue;
        }
        bool write = hws_task_mutates(item->task);
        bool free_now = write ? s->n_running == 0 : !s->writing;
        return free_now ? item : NULL;
    }
    return NULL;
}

/* It is the item's turn. */
static void start(struct hws_stream *s, struct item *item)
{
    struct hws_err err;

    if (item->waited && hws_task_recheck(item->task, &err) != HWS_OK) {
        send_item(s->rpc, item->task->tag, &err, NULL);
        drop_item(item);
        return;
    }
    item->running = true;
    s->n_running++;
    s->writing = hws_task_mutates(item->task);
    hws_task_go(item->task); /* may end, and free item, at once */
}

/* May free the stream. */
static void pump(struct hws_stream *s)
{
    struct item *item;

    if (s->busy) {
        return;
    }
    s->busy = true;
    while (s->rpc != NULL && !s->rpc->ended && (item = next_item(s)) != NULL) {
        start(s, item);
    }
    s->busy = false;
    if (s->rpc != NULL && s->rpc->ended) {
        detach(s);
        return;
    }
    HWS_LIST_FOREACH (it, tmp, &s->items) {
        struct item *waiting = hws_container_of(it, struct item, link);
        waiting->waited = !waiting->running;
    }
    maybe_end(s);
}

/* An item's operation has ended; it is freed after this. */
static void item_ended(struct hws_task *task)
{
    struct item *item = task->data;
    struct hws_stream *s = item->stream;

    if (s->rpc != NULL) {
        send_item(s->rpc, task->tag, &task->err, task->err.code == HWS_OK ? &task->answer : NULL);
    }
    hws_list_remove(&item->link);
    hws_mem_free(item);
    s->n_running--;
    if (s->n_running == 0) {
        s->writing = false;
    }
    pump(s);
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct hws_stream *stream_of(struct hws_rpc *rpc)
{
    if (rpc->stream == NULL) {
        rpc->stream = hws_mem_zalloc(1, sizeof(*rpc->stream));
        if (rpc->stream != NULL) {
            rpc->stream->rpc = rpc;
            hws_list_init(&rpc->stream->items);
        }
    }
    return rpc->stream;
}

/* There are no more adapters than places: none is forgotten while the agent lives. */
static void note_adapter(struct hws_stream *s, const struct hws_adapter *a)
{
    for (size_t i = 0; i < s->n_adapters; i++) {
        if (s->adapters[i] == a) {
            return;
        }
    }
    if (s->n_adapters < HWS_LINK_MAX_ADAPTERS) {
        s->adapters[s->n_adapters++] = a;
    }
}

static enum hws_code add_item(struct hws_stream *s, Hawser__V1__ExecuteStreamRequest *q,
                              struct hws_err *err)
{
    struct item *item = hws_mem_zalloc(1, sizeof(*item));

    if (item == NULL) {
        hws_err_set(err, HWS_E_NOMEM, "out of memory");
        hws_audit_refused_call(s->rpc, HWS_REFUSAL_LIMIT, err->code, err->msg);
        return err->code;
    }
    Hawser__V1__ExecuteRequest *request = q->request;
    q->request = NULL; /* now the operation's */
    item->stream = s;
    item->task = hws_task_item(s->rpc, request, err);
    if (item->task == NULL) {
        hws_mem_free(item);
        return err->code;
    }
    if (request->timeout_ms != 0) { /* from here, not from when its turn comes */
        uint64_t at_ms = hws_agent_now(s->rpc->agent) + request->timeout_ms;
        item->task->deadline_ms = at_ms < item->task->deadline_ms ? at_ms : item->task->deadline_ms;
    }
    item->task->ended = item_ended;
    item->task->data = item;
    item->task->tag = q->tag;
    note_adapter(s, item->task->want.adapter);
    hws_list_push(&s->items, &item->link);
    return HWS_OK;
}

static void on_message(struct hws_rpc *rpc, const uint8_t *bytes, size_t n)
{
    struct hws_stream *s = stream_of(rpc);
    struct hws_err err;
    void *message = NULL;

    if (s == NULL || hws_svc_unpack(&hawser__v1__execute_stream_request__descriptor, bytes, n,
                                    &message, &err) != HWS_OK) {
        if (s == NULL) {
            hws_err_set(&err, HWS_E_NOMEM, "out of memory");
        }
        hws_audit_refused_call(rpc, err.code == HWS_E_NOMEM ? HWS_REFUSAL_LIMIT : HWS_REFUSAL_FORM,
                               err.code, err.msg);
        hws_rpc_end(rpc, &err, NULL);
        if (s != NULL) {
            pump(s);
        }
        return;
    }
    Hawser__V1__ExecuteStreamRequest *q = message;
    if (q->request == NULL) {
        hws_err_set(&err, HWS_E_INVALID, "request is required");
        hws_audit_refused_call(rpc, HWS_REFUSAL_REQUEST, err.code, err.msg);
        send_item(rpc, q->tag, &err, NULL);
    } else if (add_item(s, q, &err) != HWS_OK) {
        send_item(rpc, q->tag, &err, NULL);
    }
    hws_svc_free(message);
    pump(s);
}

static void on_end(struct hws_rpc *rpc)
{
    struct hws_stream *s = stream_of(rpc);

    if (s == NULL) {
        hws_rpc_end_ok(rpc);
        return;
    }
    s->ended = true;
    maybe_end(s);
}

static void on_sent(struct hws_rpc *rpc)
{
    hws_rpc_give(rpc);
}

static void on_stop(struct hws_rpc *rpc)
{
    detach(rpc->stream);
}

static const struct hws_adapter *adapter_at(const struct hws_rpc *rpc, size_t i)
{
    const struct hws_stream *s = rpc->stream;

    return s != NULL && i < s->n_adapters ? s->adapters[i] : NULL;
}

const struct hws_handler hws_handler_COMMAND_EXECUTE_STREAM = {
    .request = &hawser__v1__execute_stream_request__descriptor,
    .prepare = hws_svc_exec_prepare,
    .allow = hws_svc_exec_allow,
    .run = hws_svc_exec_run,
    .drop = hws_svc_exec_drop,
    .item = on_message,
    .item_end = on_end,
    .item_sent = on_sent,
    .item_stop = on_stop,
    .item_adapter = adapter_at,
    .repeated_field = HWS_SVC_EXEC_REPEATED_FIELD,
};
