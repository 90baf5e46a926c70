/*
 * The rows of methods.def as data: what an RPC is called, its cardinality, the permission it needs,
 * and how it is locked, audited and fenced. No handlers here. Immutable; any thread.
 */
#ifndef HWS_LINK_METHODS_H
#define HWS_LINK_METHODS_H

#include <stddef.h>
#include <stdint.h>

enum hws_method_id {
#define HWS_METHOD(name, path, kind, permission, lock, audit, fenced, repeatable) HWS_METHOD_##name,
#include "link/methods.def"
#undef HWS_METHOD
    HWS_N_METHODS
};

/* The zero of every enumeration means "missing" and fails a static assert. */
enum hws_method_kind {
    HWS_METHOD_KIND_NONE,
    HWS_METHOD_KIND_UNARY,
    HWS_METHOD_KIND_SERVER_STREAM,
    HWS_METHOD_KIND_CLIENT_STREAM,
    HWS_METHOD_KIND_BIDI
};

enum hws_method_lock {
    HWS_METHOD_LOCK_MISSING,
    HWS_METHOD_LOCK_NONE,
    HWS_METHOD_LOCK_SHARED,
    HWS_METHOD_LOCK_EXCLUSIVE,
    HWS_METHOD_LOCK_BY_EFFECT, /* SHARED for reads, EXCLUSIVE for the rest */
    HWS_METHOD_LOCK_AGENT
};

enum hws_method_audit {
    HWS_METHOD_AUDIT_MISSING,
    HWS_METHOD_AUDIT_READ,
    HWS_METHOD_AUDIT_MUTATE,
    HWS_METHOD_AUDIT_BY_EFFECT
};

/* A third value besides no and yes: the effect of the command's table row decides. */
enum hws_method_answer {
    HWS_METHOD_ANSWER_MISSING,
    HWS_METHOD_ANSWER_NO,
    HWS_METHOD_ANSWER_YES,
    HWS_METHOD_ANSWER_BY_EFFECT
};

struct hws_method {
    const char *name;       /* "CONFIG_APPLY" */
    const char *path;       /* "/hawser.v1.ConfigService/Apply" */
    const char *permission; /* "config.apply" */
    enum hws_method_kind kind;
    enum hws_method_lock lock;
    enum hws_method_audit audit;
    enum hws_method_answer fenced;
    enum hws_method_answer repeatable; /* NO or YES */
};

/* Row idx; NULL if idx is not below HWS_N_METHODS. */
const struct hws_method *hws_method_at(size_t idx);

/* The row with this path of n bytes (HTTP/2 gives no NUL); NULL if there is none. */
const struct hws_method *hws_method_find(const char *path, size_t n);

/* The index of a row returned by the functions above. */
uint16_t hws_method_index(const struct hws_method *row);

#endif
