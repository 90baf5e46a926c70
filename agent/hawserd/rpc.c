/*
 * One RPC. Messages of a unary or server-streaming call are kept until the caller has half-closed;
 * those of a bidirectional one go to its handler one by one.
 */
#include "hawserd/rpc.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/task.h"

#define DETAILS_MAX_BYTES HWS_LINK_DETAILS_BYTES

/* ---- the caller ------------------------------------------------------------------------------ */

static char *dup_span(struct hws_span s)
{
    char *copy = hws_mem_alloc(s.n + 1);

    if (copy != NULL) {
        hws_str_copy_n(copy, s.n + 1, s.bytes, s.n);
    }
    return copy;
}

struct hws_caller *hws_caller_new(const char *principal, const struct hws_link_call_open *open)
{
    struct hws_caller *c = hws_mem_zalloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->n_refs = 1;
    c->transport = open->transport;
    c->principal = hws_mem_strdup(principal);
    c->serial = dup_span(open->serial);
    c->peer = dup_span(open->peer);
    if (c->principal == NULL || c->serial == NULL || c->peer == NULL) {
        hws_caller_unref(c);
        return NULL;
    }
    return c;
}

struct hws_caller *hws_caller_ref(struct hws_caller *c)
{
    c->n_refs++;
    return c;
}

void hws_caller_unref(struct hws_caller *c)
{
    if (c == NULL || --c->n_refs > 0) {
        return;
    }
    hws_mem_free(c->principal);
    hws_mem_free(c->serial);
    hws_mem_free(c->peer);
    hws_mem_free(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct hws_rpc *hws_rpc_new(struct hws_wire *wire, uint64_t id, const struct hws_method *row)
{
    struct hws_rpc *rpc = hws_mem_zalloc(1, sizeof(*rpc));

    if (rpc == NULL) {
        return NULL;
    }
    hws_list_init(&rpc->link);
    hws_list_init(&rpc->ready);
    hws_list_init(&rpc->out);
    hws_link_call_init(&rpc->call, id, HWS_LINK_SERVER, HWS_LINK_CALL_MAX_MESSAGE);
    hws_buf_init(&rpc->request, HWS_LINK_CALL_MAX_MESSAGE);
    hws_buf_init(&rpc->details, DETAILS_MAX_BYTES);
    rpc->agent = wire->agent;
    rpc->wire = wire;
    rpc->row = row;
    rpc->deadline_ms = UINT64_MAX;
    rpc->expire_ms = UINT64_MAX;
    return rpc;
}

static void free_out(struct hws_rpc *rpc, struct hws_rpc_out *out)
{
    rpc->wire->out_bytes -= hws_buf_len(&out->bytes);
    rpc->n_out--;
    hws_buf_deinit(&out->bytes);
    hws_mem_free(out);
}

/* What has not left will not leave; a message cut off in the middle ends with the call. */
static void drop_messages(struct hws_rpc *rpc)
{
    struct hws_list *it;

    while ((it = hws_list_pop(&rpc->out)) != NULL) {
        free_out(rpc, hws_container_of(it, struct hws_rpc_out, link));
    }
    rpc->sending = false;
}

void hws_rpc_free(struct hws_rpc *rpc)
{
    drop_messages(rpc);
    hws_list_remove(&rpc->link);
    hws_list_remove(&rpc->ready);
    hws_link_call_deinit(&rpc->call);
    hws_buf_deinit(&rpc->request);
    hws_buf_deinit(&rpc->details);
    hws_caller_unref(rpc->caller);
    hws_mem_free(rpc);
}

/* ---- out ------------------------------------------------------------------------------------- */

enum hws_code hws_rpc_send(struct hws_rpc *rpc, struct hws_buf *bytes)
{
    struct hws_rpc_out *out = rpc->ended ? NULL : hws_mem_zalloc(1, sizeof(*out));

    if (out == NULL) {
        hws_buf_deinit(bytes);
        return rpc->ended ? HWS_OK : HWS_E_NOMEM;
    }
    out->bytes = *bytes;
    memset(bytes, 0, sizeof(*bytes));
    hws_list_push(&rpc->out, &out->link);
    rpc->n_out++;
    rpc->wire->out_bytes += hws_buf_len(&out->bytes);
    hws_wire_ready(rpc->wire, rpc);
    return HWS_OK;
}

bool hws_rpc_has_room(struct hws_rpc *rpc)
{
    size_t n_unpaid = rpc->n_out - (rpc->sending ? 1 : 0);

    if (rpc->ended || rpc->n_out >= HWS_RPC_MAX_OUT || n_unpaid >= rpc->call.credit.send) {
        return false;
    }
    rpc->wire->starved = rpc->wire->starved || rpc->wire->out_bytes >= HWS_RPC_MAX_OUT_BYTES;
    return rpc->wire->out_bytes < HWS_RPC_MAX_OUT_BYTES;
}

void hws_rpc_resume(struct hws_rpc *rpc)
{
    if (rpc->task != NULL && rpc->task->state == HWS_TASK_RUNNING &&
        rpc->row->kind == HWS_METHOD_KIND_SERVER_STREAM && rpc->handler->resume != NULL) {
        rpc->handler->resume(rpc->task);
    }
}

void hws_rpc_sent(struct hws_rpc *rpc)
{
    free_out(rpc, hws_container_of(hws_list_pop(&rpc->out), struct hws_rpc_out, link));
    rpc->sending = false;
    hws_rpc_resume(rpc);
    if (rpc->stream != NULL) {
        rpc->handler->item_sent(rpc);
    }
}

void hws_rpc_give(struct hws_rpc *rpc)
{
    rpc->give++;
    hws_wire_ready(rpc->wire, rpc);
}

void hws_rpc_end_status(struct hws_rpc *rpc, uint8_t status, const char *message,
                        const void *details, size_t n_details)
{
    if (rpc->ended) {
        return;
    }
    rpc->ended = true;
    rpc->status = status;
    hws_str_copy(rpc->message, sizeof(rpc->message), message);
    if (hws_buf_put(&rpc->details, details, n_details) != HWS_OK) {
        hws_buf_reset(&rpc->details); /* code and message stand without details */
    }
    rpc->agent->counters[status == HWS_RPC_OK ? HWS_COUNT_OK : HWS_COUNT_FAILED]++;
    hws_wire_ready(rpc->wire, rpc);
}

void hws_rpc_end_ok(struct hws_rpc *rpc)
{
    hws_rpc_end_status(rpc, HWS_RPC_OK, "", NULL, 0);
}

void hws_rpc_end(struct hws_rpc *rpc, const struct hws_err *err, const char *field)
{
    struct hws_buf details;

    if (err->code == HWS_OK) {
        hws_rpc_end_ok(rpc);
        return;
    }
    hws_buf_init(&details, DETAILS_MAX_BYTES);
    if (hws_convert_details(err, field, rpc->retry_ms, &details) != HWS_OK) {
        hws_buf_reset(&details);
    }
    hws_rpc_end_status(rpc, (uint8_t)hws_convert_code(err->code, err->stage), err->msg,
                       hws_buf_peek(&details), hws_buf_len(&details));
    hws_buf_deinit(&details);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void refuse(struct hws_rpc *rpc, enum hws_code code, const char *why)
{
    struct hws_err err;

    hws_err_set(&err, code, "%s", why);
    hws_audit_refused_call(rpc, code == HWS_E_NOMEM ? HWS_REFUSAL_LIMIT : HWS_REFUSAL_FORM, code,
                           why);
    hws_rpc_end(rpc, &err, NULL);
}

static size_t most_request_bytes(const struct hws_method *row)
{
    if (row->kind != HWS_METHOD_KIND_UNARY) {
        return HWS_RPC_STREAM_REQUEST_BYTES;
    }
    return row == hws_method_at(HWS_METHOD_AGENT_RELOAD) ? HWS_RPC_POLICY_REQUEST_BYTES
                                                         : HWS_RPC_REQUEST_BYTES;
}

/* True, and the rpc ends: the message is larger than a request may be. */
static bool is_too_large(struct hws_rpc *rpc, size_t n)
{
    char why[96];

    if (n <= most_request_bytes(rpc->row)) {
        return false;
    }
    (void)hws_str_print(why, sizeof(why), "a request of %zu bytes, of this method at most %zu", n,
                        most_request_bytes(rpc->row));
    refuse(rpc, HWS_E_BUSY, why);
    if (rpc->stream != NULL) {
        rpc->handler->item_stop(rpc);
    }
    return true;
}

void hws_rpc_message(struct hws_rpc *rpc, const uint8_t *bytes, size_t n)
{
    if (rpc->ended || is_too_large(rpc, n)) {
        return;
    }
    if (rpc->row->kind == HWS_METHOD_KIND_BIDI) {
        rpc->handler->item(rpc, bytes, n);
        return;
    }
    if (rpc->has_request) {
        refuse(rpc, HWS_E_UNSUPPORTED, "this method takes one request message");
        return;
    }
    rpc->has_request = true;
    if (hws_buf_put(&rpc->request, bytes, n) != HWS_OK) {
        refuse(rpc, HWS_E_NOMEM, "out of memory");
    }
}

void hws_rpc_half_close(struct hws_rpc *rpc)
{
    rpc->half_closed = true;
    if (rpc->ended) {
        return;
    }
    if (rpc->row->kind == HWS_METHOD_KIND_BIDI) {
        rpc->handler->item_end(rpc);
        return;
    }
    if (!rpc->has_request) {
        refuse(rpc, HWS_E_UNSUPPORTED, "this method takes one request message");
        return;
    }
    hws_task_begin(rpc, hws_buf_peek(&rpc->request), hws_buf_len(&rpc->request));
    hws_buf_deinit(&rpc->request); /* what is needed of it was unpacked */
}

void hws_rpc_abandon(struct hws_rpc *rpc, enum hws_code why)
{
    struct hws_task *task = rpc->task;

    if (!rpc->ended && !rpc->half_closed && rpc->row->kind != HWS_METHOD_KIND_BIDI) {
        bool cut = rpc->cut != HWS_OK;
        hws_audit_refused_call(rpc, HWS_REFUSAL_FORM, cut ? rpc->cut : why,
                               cut ? "refused before its request was whole"
                                   : "given up before its request was whole");
    }
    if (why == HWS_E_TIMEOUT && !rpc->ended) {
        struct hws_err err;
        bool changing = task != NULL && hws_task_mutates(task) && task->state != HWS_TASK_CHECKING;
        hws_err_set(&err, HWS_E_TIMEOUT, "%s",
                    changing ? "the deadline has passed; the change goes on and its outcome is "
                               "UNKNOWN to you: repeat the same request_id to learn it"
                             : "the deadline has passed");
        hws_err_at(&err, changing ? HWS_STAGE_UNKNOWN : HWS_STAGE_NONE);
        hws_rpc_end(rpc, &err, NULL);
        drop_messages(rpc);
    }
    rpc->task = NULL;
    if (task != NULL) {
        hws_task_orphan(task);
    }
    if (rpc->stream != NULL) {
        rpc->handler->item_stop(rpc);
    }
}
