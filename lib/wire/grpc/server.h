/*
 * The server's method table: which path is which method, of what kind, with which callbacks. Built
 * before the first connection, read-only while any is open; one table serves all connections of a
 * thread.
 *
 * What the engine answers by itself: a path that is not in the table, or not exactly in the form
 * /service/method, UNIMPLEMENTED; a method other than POST, HTTP 405; content-type other than
 * application/grpc[+...|;...], HTTP 415; no "te: trailers", INTERNAL; unknown grpc-encoding,
 * UNIMPLEMENTED with grpc-accept-encoding; bad grpc-timeout or metadata, INTERNAL; wrong number of
 * messages for the kind, UNIMPLEMENTED; too large, RESOURCE_EXHAUSTED.
 */
#ifndef HWS_GRPC_SERVER_H
#define HWS_GRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "grpc/call.h"

struct hws_grpc_method {
    const char *path; /* "/package.Service/Method"; borrowed for the server's life */
    enum hws_grpc_kind kind;
    bool long_lived; /* default_deadline_ms and max_deadline_ms do not apply (watches, follows) */
};

struct hws_grpc_route { /* one row of the table; the engine's */
    struct hws_grpc_method method;
    size_t method_idx;
    const struct hws_grpc_call_ops *ops;
    void *data;
};

struct hws_grpc_server {
    struct hws_grpc_route *routes; /* owned; sorted by path */
    size_t n_routes;
    size_t cap_routes;
};

/* An empty table. Allocates nothing. */
void hws_grpc_server_init(struct hws_grpc_server *server);

/* Frees the table. No connection may be left. */
void hws_grpc_server_deinit(struct hws_grpc_server *server);

/*
 * Adds n methods (copied; paths are borrowed) with one set of callbacks: hws_grpc_call_method gives
 * the index within this array. ops and data are borrowed. HWS_E_EXISTS for a path that is there,
 * HWS_E_INVALID for one that is not canonical, HWS_E_NOMEM; all or nothing.
 */
enum hws_code hws_grpc_server_add(struct hws_grpc_server *server,
                                  const struct hws_grpc_method *methods, size_t n,
                                  const struct hws_grpc_call_ops *ops, void *data,
                                  struct hws_err *err) HWS_MUST_USE;

/* The row of a path of n bytes, NULL if none. */
const struct hws_grpc_route *hws_grpc_server_find(const struct hws_grpc_server *server,
                                                  const uint8_t *path, size_t n);

/* True for "/service/method": two non-empty parts of letters, digits, '_', '.', '-', with no empty,
 * "." or ".." part. */
bool hws_grpc_path_ok(const uint8_t *path, size_t n);

#endif
