/*
 * The handlers: one for every method row, found by the row's index. A row without a handler does
 * not compile. Handlers never ask the policy: task.c does, for all of them.
 */
#ifndef HWS_HAWSERD_HANDLER_H
#define HWS_HAWSERD_HANDLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "link/methods.h"

struct ProtobufCMessageDescriptor;
struct hws_task;
struct hws_rpc;

struct hws_handler {
    const struct ProtobufCMessageDescriptor *request; /* of the message that prepare gets */
    /* Checks the request and fills task->want; no I/O. On failure want.field may name the field. */
    enum hws_code (*prepare)(struct hws_task *task, struct hws_err *err);
    /* May it, beside the policy? A refusal is recorded as one. NULL: it may. */
    enum hws_code (*allow)(struct hws_task *task, struct hws_err *err);
    /* Does it; ends with hws_task_done or hws_task_fail, maybe at once. */
    void (*run)(struct hws_task *task);
    /* A stream has room again, or what it follows has news. NULL for unary methods. */
    void (*resume)(struct hws_task *task);
    /* The caller of a stream is gone: end it with hws_task_fail. NULL: the run is cancelled. */
    void (*stop)(struct hws_task *task);
    /* Frees task->work. NULL: there is none. */
    void (*drop)(struct hws_task *task);
    /* A message of a stream of items, and its last. NULL for all but bidirectional methods. */
    void (*item)(struct hws_rpc *rpc, const uint8_t *bytes, size_t n);
    void (*item_end)(struct hws_rpc *rpc);
    void (*item_sent)(struct hws_rpc *rpc); /* one of its answers has left */
    void (*item_stop)(struct hws_rpc *rpc);
    /* The adapters of the items taken so far, one by one; NULL past the last. */
    const struct hws_adapter *(*item_adapter)(const struct hws_rpc *rpc, size_t i);
    uint32_t repeated_field; /* number of `repeated_request` in the response; 0 = none */
};

/* The handler of row idx. */
const struct hws_handler *hws_handler_at(enum hws_method_id idx);

#define HWS_HANDLER(name, path, kind, permission, lock, audit, fenced, repeatable)                 \
    extern const struct hws_handler hws_handler_##name;
#define HWS_METHOD HWS_HANDLER
#include "link/methods.def"
#undef HWS_METHOD
#undef HWS_HANDLER

#endif
