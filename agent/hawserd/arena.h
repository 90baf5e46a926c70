/*
 * Memory with the life of one operation: allocated piece by piece, freed at once. A failure is
 * remembered, so that a builder of an answer checks once at the end. Thread rule: the owner's.
 */
#ifndef HWS_HAWSERD_ARENA_H
#define HWS_HAWSERD_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

#define HWS_ARENA_MAX_BYTES ((size_t)8 * 1024 * 1024) /* default ceiling of one operation */

struct hws_arena_block;

/* Zeroed is an empty one. */
struct hws_arena {
    struct hws_arena_block *blocks; /* owned, newest first */
    size_t total_bytes;
    bool failed; /* some allocation failed */
};

/* n zeroed bytes, aligned for anything; NULL when out of memory or over the ceiling. */
void *hws_arena_alloc(struct hws_arena *a, size_t n) HWS_MUST_USE;

/* Room for n pointers, all NULL; as alloc. */
void *hws_arena_ptrs(struct hws_arena *a, size_t n) HWS_MUST_USE;

/* A copy of a text (or n bytes of it, with a NUL); never NULL: on failure "" and a->failed. */
char *hws_arena_str(struct hws_arena *a, const char *s) HWS_MUST_USE;
char *hws_arena_str_n(struct hws_arena *a, const void *s, size_t n) HWS_MUST_USE;
char *hws_arena_printf(struct hws_arena *a, const char *fmt, ...) HWS_PRINTF(2, 3) HWS_MUST_USE;

/* Frees everything; the arena is empty again. */
void hws_arena_deinit(struct hws_arena *a);

#endif
