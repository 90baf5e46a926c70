/* The table of handlers, made from the method rows: a row without a handler does not link. */
#include "hawserd/handler.h"

#include "base/assert.h"

static const struct hws_handler *const handlers[] = {
#define HWS_METHOD(name, path, kind, permission, lock, audit, fenced, repeatable)                  \
    [HWS_METHOD_##name] = &hws_handler_##name,
#include "link/methods.def"
#undef HWS_METHOD
};

_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == HWS_N_METHODS,
               "every method row has a handler");

const struct hws_handler *hws_handler_at(enum hws_method_id idx)
{
    hws_assert((unsigned)idx < HWS_N_METHODS);
    return handlers[idx];
}
