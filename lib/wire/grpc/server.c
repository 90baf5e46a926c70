/*
 * The method table, and the judgement of a request's headers.
 *
 * Order of the checks: limits, HTTP (method, content type), path, te, encoding, timeout, metadata.
 * The first that fails answers trailers-only; the application never hears of the call.
 */
#include "grpc/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "session_priv.h"

void hws_grpc_server_init(struct hws_grpc_server *server)
{
    *server = (struct hws_grpc_server){0};
}

void hws_grpc_server_deinit(struct hws_grpc_server *server)
{
    hws_mem_free(server->routes);
    *server = (struct hws_grpc_server){0};
}

static bool path_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static bool part_ok(const uint8_t *part, size_t n)
{
    if (n == 0 || part[0] == '.' || part[n - 1] == '.') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!path_char(part[i]) || (part[i] == '.' && part[i + 1] == '.')) {
            return false;
        }
    }
    return true;
}

bool hws_grpc_path_ok(const uint8_t *path, size_t n)
{
    if (n < 4 || path[0] != '/') {
        return false;
    }
    const uint8_t *slash = memchr(path + 1, '/', n - 1);
    if (slash == NULL) {
        return false;
    }
    size_t n_service = (size_t)(slash - path) - 1;
    return part_ok(path + 1, n_service) && part_ok(slash + 1, n - n_service - 2);
}

static int compare_text(const char *have, const uint8_t *path, size_t n)
{
    int order = strncmp(have, (const char *)path, n);
    return order != 0 ? order : have[n] == '\0' ? 0 : 1;
}

const struct hws_grpc_route *hws_grpc_server_find(const struct hws_grpc_server *server,
                                                  const uint8_t *path, size_t n)
{
    size_t low = 0;
    size_t high = server->n_routes;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare_text(server->routes[mid].method.path, path, n);
        if (order == 0) {
            return &server->routes[mid];
        }
        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

static int compare_routes(const void *a, const void *b)
{
    const struct hws_grpc_route *left = a;
    const struct hws_grpc_route *right = b;
    return strcmp(left->method.path, right->method.path);
}

enum hws_code hws_grpc_server_add(struct hws_grpc_server *server,
                                  const struct hws_grpc_method *methods, size_t n,
                                  const struct hws_grpc_call_ops *ops, void *data,
                                  struct hws_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *path = (const uint8_t *)methods[i].path;
        size_t len = strlen(methods[i].path);
        if (!hws_grpc_path_ok(path, len)) {
            return hws_err_set(err, HWS_E_INVALID, "path \"%.80s\" is not /package.Service/Method",
                               methods[i].path);
        }
        bool taken = hws_grpc_server_find(server, path, len) != NULL;
        for (size_t k = 0; k < i; k++) {
            taken = taken || strcmp(methods[k].path, methods[i].path) == 0;
        }
        if (taken) {
            return hws_err_set(err, HWS_E_EXISTS, "the server has %.80s already", methods[i].path);
        }
    }
    if (server->cap_routes - server->n_routes < n) {
        size_t cap = server->n_routes + n;
        struct hws_grpc_route *routes = hws_mem_realloc(server->routes, cap * sizeof(*routes));
        if (routes == NULL) {
            return hws_err_set(err, HWS_E_NOMEM, "method table");
        }
        server->routes = routes;
        server->cap_routes = cap;
    }
    for (size_t i = 0; i < n; i++) {
        server->routes[server->n_routes++] = (struct hws_grpc_route){
            .method = methods[i], .method_idx = i, .ops = ops, .data = data};
    }
    if (server->n_routes > 0) {
        qsort(server->routes, server->n_routes, sizeof(server->routes[0]), compare_routes);
    }
    return HWS_OK;
}

/* ---- a request's headers are complete ---- */

/* Answers without the application. */
static void reject(struct hws_grpc_call *call, unsigned http_status, enum hws_grpc_code code,
                   const char *message)
{
    hws_grpc__call_set_end(call, code, message);
    hws_grpc__call_move(call, HWS_GRPC_CALL_FINISHING);
    if (hws_grpc__head_send_status(call, http_status) != HWS_OK) {
        hws_grpc__call_reset(call, NGHTTP2_ENHANCE_YOUR_CALM); /* the want of memory, in HTTP/2 */
    }
}

/* A browser, or a person with curl, is told in words; the same limits hold as for any answer. */
static void reject_get(struct hws_grpc_call *call)
{
    static const char words[] = "This port speaks gRPC: POST with content-type application/grpc.\n";
    struct hws_grpc_conn *conn = call->conn;
    uint8_t *space = NULL;

    if (hws_grpc_outq_reserve(&call->tx, &conn->spares->chunks, sizeof(words) - 1, &space) !=
            HWS_OK ||
        hws_grpc__head_send_words(call, 405) != HWS_OK) {
        reject(call, 405, HWS_GRPC_UNKNOWN, "method is not POST");
        return;
    }
    memcpy(space, words, sizeof(words) - 1);
    hws_grpc_outq_commit(&call->tx, sizeof(words) - 1);
    conn->unsent_bytes += sizeof(words) - 1;
    hws_grpc__call_set_end(call, HWS_GRPC_UNKNOWN, "method is not POST");
    hws_grpc__call_move(call, HWS_GRPC_CALL_FINISHING);
    hws_grpc__call_progress(call, 0);
}

/* What is wrong with the block: true, and the call is answered. */
static bool rejected(struct hws_grpc_call *call)
{
    const struct hws_grpc_head *head = &call->head;
    struct hws_grpc_stats *stats = call->conn->stats;

    if (head->over) {
        stats->over_header_limit++;
        reject(call, 200, HWS_GRPC_RESOURCE_EXHAUSTED, "too many or too large header fields");
        return true;
    }
    if (!head->post || !head->content_type_ok) {
        stats->calls_bad_request++;
        call->not_grpc = true;
        if (head->get) {
            reject_get(call);
        } else {
            reject(call, head->post ? 415 : 405, HWS_GRPC_UNKNOWN,
                   head->post ? "content-type is not application/grpc" : "method is not POST");
        }
        return true;
    }
    if (call->route == NULL) {
        stats->calls_unknown++;
        reject(call, 200, HWS_GRPC_UNIMPLEMENTED, "unknown method");
        return true;
    }
    if (head->encoding == HWS_GRPC_N_ENCODINGS) {
        stats->calls_bad_request++;
        reject(call, 200, HWS_GRPC_UNIMPLEMENTED,
               "grpc-encoding is not one of " HWS_GRPC_ACCEPT_ENCODING);
        return true;
    }
    const char *why = !head->te_ok        ? "te: trailers is missing"
                      : head->bad_timeout ? "malformed grpc-timeout"
                      : head->bad_meta    ? "malformed base64 in metadata"
                                          : NULL;
    if (why != NULL) {
        stats->calls_bad_request++;
        reject(call, 200, HWS_GRPC_INTERNAL, why);
        return true;
    }
    if (head->no_memory) {
        reject(call, 200, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return true;
    }
    return false;
}

static void set_deadline(struct hws_grpc_call *call)
{
    const struct hws_grpc_limits *l = &call->conn->cfg.limits;
    uint64_t timeout_ms = call->head.timeout_ms;

    if (!call->route->method.long_lived) {
        if (timeout_ms == HWS_GRPC_NEVER && l->default_deadline_ms > 0) {
            timeout_ms = l->default_deadline_ms;
        }
        if (l->max_deadline_ms > 0 && timeout_ms > l->max_deadline_ms) {
            timeout_ms = l->max_deadline_ms;
        }
    }
    if (timeout_ms >= HWS_GRPC_NEVER - call->conn->now_ms) {
        return;
    }
    call->deadline_ms = call->conn->now_ms + timeout_ms;
    if (call->deadline_ms < call->conn->call_due_ms) {
        call->conn->call_due_ms = call->deadline_ms;
    }
}

void hws_grpc__server_headers(struct hws_grpc_call *call)
{
    if (call->headers_in) {
        return; /* trailers of a request */
    }
    call->headers_in = true;
    if (rejected(call)) {
        return;
    }
    call->kind = call->route->method.kind;
    call->path = call->route->method.path;
    call->encoding = call->head.encoding;
    call->ops = call->route->ops;
    call->data = call->route->data;
    set_deadline(call);
    hws_grpc__call_expect(call);
    if (call->ops->on_call == NULL) {
        return;
    }
    enum hws_grpc_code code = call->ops->on_call(call, call->route->data);
    if (code != HWS_GRPC_OK && call->state == HWS_GRPC_CALL_OPEN) {
        call->ops = NULL; /* on_call's refusal is the handler's last word */
        hws_grpc_call_finish_text(call, code, hws_grpc_code_name(code));
    }
}
