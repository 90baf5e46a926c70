/* The method rows as an array. Eighteen rows: a walk finds one fast enough, comparing lengths
 * first. */
#include "link/methods.h"

#include <string.h>

#include "base/assert.h"

static const struct hws_method rows[HWS_N_METHODS] = {
#define HWS_METHOD(row_name, row_path, row_kind, row_permission, row_lock, row_audit, row_fenced,  \
                   row_repeatable)                                                                 \
    {.name = #row_name,                                                                            \
     .path = (row_path),                                                                           \
     .permission = (row_permission),                                                               \
     .kind = HWS_METHOD_KIND_##row_kind,                                                           \
     .lock = HWS_METHOD_LOCK_##row_lock,                                                           \
     .audit = HWS_METHOD_AUDIT_##row_audit,                                                        \
     .fenced = HWS_METHOD_ANSWER_##row_fenced,                                                     \
     .repeatable = HWS_METHOD_ANSWER_##row_repeatable},
#include "link/methods.def"
#undef HWS_METHOD
};

static const size_t path_bytes[HWS_N_METHODS] = {
#define HWS_METHOD(name, path, kind, permission, lock, audit, fenced, repeatable) sizeof(path) - 1,
#include "link/methods.def"
#undef HWS_METHOD
};

/* A row's path and permission may not be empty. */
#define HWS_METHOD(name, path, kind, permission, lock, audit, fenced, repeatable)                  \
    _Static_assert(sizeof(path) > 1 && sizeof(permission) > 1, #name);
#include "link/methods.def"
#undef HWS_METHOD

const struct hws_method *hws_method_at(size_t idx)
{
    return idx < HWS_N_METHODS ? &rows[idx] : NULL;
}

const struct hws_method *hws_method_find(const char *path, size_t n)
{
    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        if (path_bytes[i] == n && memcmp(rows[i].path, path, n) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

uint16_t hws_method_index(const struct hws_method *row)
{
    hws_assert(row >= rows && row < rows + HWS_N_METHODS);
    return (uint16_t)(row - rows);
}
