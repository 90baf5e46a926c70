/* Starting calls, judging responses, and unary calls in one struct. */
#include "grpc/client.h"

#include <string.h>

#include "base/str.h"
#include "session_priv.h"

bool hws_grpc_client_ready(const struct hws_grpc_conn *conn)
{
    return conn->cfg.server == NULL && conn->state == HWS_GRPC_CONN_OPEN && !conn->ending &&
           conn->n_calls < conn->cfg.limits.max_calls;
}

static enum hws_code check_start(const struct hws_grpc_conn *conn,
                                 const struct hws_grpc_start *start, struct hws_err *err)
{
    if (conn->cfg.server != NULL ||
        !hws_grpc_path_ok((const uint8_t *)start->path, strlen(start->path))) {
        return hws_err_set(err, HWS_E_INVALID, "path \"%.80s\" is not /package.Service/Method",
                           start->path);
    }
    if (start->meta != NULL && start->meta->n_entries > HWS_GRPC_META_SENT_FIELDS) {
        return hws_err_set(err, HWS_E_INVALID, "%u metadata fields, at most %u",
                           start->meta->n_entries, HWS_GRPC_META_SENT_FIELDS);
    }
    if (conn->state != HWS_GRPC_CONN_OPEN || conn->ending) {
        return hws_err_set(err, HWS_E_GONE, "connection takes no new calls");
    }
    if (conn->n_calls >= conn->cfg.limits.max_calls) {
        return hws_err_set(err, HWS_E_BUSY, "%u calls are open", conn->n_calls);
    }
    return HWS_OK;
}

enum hws_code hws_grpc_client_start(struct hws_grpc_conn *conn, const struct hws_grpc_start *start,
                                    uint64_t now_ms, struct hws_grpc_call **out_call,
                                    struct hws_err *err)
{
    enum hws_code code = check_start(conn, start, err);

    if (code != HWS_OK) {
        return code;
    }
    if (now_ms > conn->now_ms) {
        conn->now_ms = now_ms;
    }
    uint64_t n_over = conn->stats->over_account;
    struct hws_grpc_call *call = hws_grpc__call_new(conn, -1);
    if (call == NULL) {
        return conn->stats->over_account == n_over
                   ? hws_err_set(err, HWS_E_NOMEM, "call")
                   : hws_err_set(err, HWS_E_BUSY, "an account has its most calls open");
    }
    call->path = start->path;
    call->kind = start->kind;
    call->compress = start->encoding;
    call->data = start->data;
    hws_grpc__head_begin(call);
    code = hws_grpc__head_send_request(call, start->meta, start->timeout_ms);
    if (code != HWS_OK) {
        hws_grpc__call_undo(call);
        return hws_err_set(err, code, "request headers");
    }
    call->ops = start->ops;
    if (start->timeout_ms > 0 && start->timeout_ms < HWS_GRPC_NEVER - conn->now_ms) {
        call->deadline_ms = conn->now_ms + start->timeout_ms;
        if (call->deadline_ms < conn->call_due_ms) {
            conn->call_due_ms = call->deadline_ms;
        }
    }
    *out_call = call;
    hws_grpc__conn_wake(conn);
    return HWS_OK;
}

/* ---- a response's headers or trailers are complete ---- */

static void take_trailers(struct hws_grpc_call *call)
{
    const struct hws_grpc_head *head = &call->head;

    call->from_peer = head->have_status;
    if (!head->have_status && head->http_status != 0 && head->http_status != 200) {
        char text[64];
        (void)hws_str_print(text, sizeof(text), "HTTP status %u", head->http_status);
        hws_grpc__call_set_end(call, hws_grpc_code_of_http(head->http_status), text);
        call->from_peer = true; /* all that the peer has to say */
    } else if (!head->have_status) {
        hws_grpc__call_set_end(call, HWS_GRPC_UNKNOWN, "response has no grpc-status");
        call->from_peer = true;
    }
}

void hws_grpc__client_headers(struct hws_grpc_call *call, bool end_stream)
{
    const struct hws_grpc_head *head = &call->head;

    if (head->over || head->no_memory) {
        call->conn->stats->over_header_limit += head->over ? 1 : 0;
        hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED,
                            head->over ? "too many or too large header fields" : "out of memory");
        return;
    }
    if (end_stream) {
        if (!call->headers_in) { /* trailers-only */
            struct hws_grpc_meta swap = call->peer_trailers;
            call->peer_trailers = call->peer_meta;
            call->peer_meta = swap;
        }
        take_trailers(call);
        if (head->bad_meta) {
            hws_grpc__call_fail(call, HWS_GRPC_INTERNAL, "malformed base64 in metadata");
        }
        return; /* the end of the stream does the rest */
    }
    if (call->headers_in) {
        return;
    }
    if (head->http_status >= 100 && head->http_status < 200) {
        hws_grpc_meta_reset(&call->peer_meta);
        return;
    }
    if (head->http_status != 200 || !head->content_type_ok || head->bad_meta) {
        char text[64];
        (void)hws_str_print(text, sizeof(text), "not a gRPC response: HTTP status %u",
                            head->http_status);
        enum hws_grpc_code code =
            head->http_status == 200 ? HWS_GRPC_UNKNOWN : hws_grpc_code_of_http(head->http_status);
        hws_grpc__call_fail(call, head->bad_meta ? HWS_GRPC_INTERNAL : code,
                            head->bad_meta ? "malformed base64 in metadata" : text);
        return;
    }
    call->headers_in = true;
    call->encoding = head->encoding;
    if (call->ops != NULL && call->ops->on_headers != NULL) {
        call->ops->on_headers(call);
    }
}

/* ---- unary ---- */

static void unary_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct hws_grpc_unary *unary = hws_grpc_call_data(call);

    if (hws_buf_put(&unary->response, bytes, n) != HWS_OK) {
        hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    }
}

static void unary_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct hws_grpc_unary *unary = hws_grpc_call_data(call);
    struct hws_buf response = unary->response;

    /* cb may reuse or free the struct: what is freed afterwards is ours alone. */
    unary->call = NULL;
    unary->cb(unary, outcome);
    hws_buf_deinit(&response);
}

static const struct hws_grpc_call_ops unary_ops = {
    .on_message = unary_message,
    .on_close = unary_close,
};

enum hws_code hws_grpc_unary_start(struct hws_grpc_conn *conn, struct hws_grpc_unary *unary,
                                   uint64_t now_ms, struct hws_err *err)
{
    const struct hws_grpc_start start = {
        .path = unary->path,
        .kind = HWS_GRPC_UNARY,
        .timeout_ms = unary->timeout_ms,
        .meta = unary->meta,
        .ops = NULL, /* set when the request is queued: an error here may call nothing */
        .data = unary,
    };
    struct hws_grpc_call *call = NULL;
    enum hws_code code = hws_grpc_client_start(conn, &start, now_ms, &call, err);

    if (code != HWS_OK) {
        return code;
    }
    hws_buf_init(&unary->response, 0);
    code = hws_grpc_call_send(call, unary->request, unary->n_request, err);
    if (code != HWS_OK) {
        hws_grpc_call_cancel(call);
        return code;
    }
    hws_grpc_call_set_ops(call, &unary_ops);
    unary->call = call;
    return HWS_OK;
}
