/* A chain of blocks; each allocation takes from the newest or starts another. */
#include "hawserd/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_BYTES 2048u
#define ALIGN_BYTES 16u

struct hws_arena_block {
    struct hws_arena_block *next;
    size_t used;
    size_t cap;
    _Alignas(16) uint8_t bytes[];
};

static void *fail(struct hws_arena *a)
{
    a->failed = true;
    return NULL;
}

void *hws_arena_alloc(struct hws_arena *a, size_t n)
{
    struct hws_arena_block *b = a->blocks;

    if (n > HWS_ARENA_MAX_BYTES) {
        return fail(a);
    }
    n = (n + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (b == NULL || b->cap - b->used < n) {
        size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        if (a->total_bytes + cap > HWS_ARENA_MAX_BYTES) {
            return fail(a);
        }
        b = hws_mem_alloc(sizeof(*b) + cap);
        if (b == NULL) {
            return fail(a);
        }
        b->next = a->blocks;
        b->used = 0;
        b->cap = cap;
        a->blocks = b;
        a->total_bytes += cap;
    }
    void *p = b->bytes + b->used;
    b->used += n;
    memset(p, 0, n);
    return p;
}

void *hws_arena_ptrs(struct hws_arena *a, size_t n)
{
    return hws_arena_alloc(a, (n + 1) * sizeof(void *));
}

char *hws_arena_str_n(struct hws_arena *a, const void *s, size_t n)
{
    static char none[1]; /* shared and never written: every reader only reads */
    char *copy = hws_arena_alloc(a, n + 1);

    if (copy == NULL) {
        return none;
    }
    if (n > 0) {
        memcpy(copy, s, n);
    }
    return copy;
}

char *hws_arena_str(struct hws_arena *a, const char *s)
{
    return hws_arena_str_n(a, s, strlen(s));
}

char *hws_arena_printf(struct hws_arena *a, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n;
    return hws_arena_str_n(a, text, len < sizeof(text) ? len : sizeof(text) - 1);
}

void hws_arena_deinit(struct hws_arena *a)
{
    while (a->blocks != NULL) {
        struct hws_arena_block *b = a->blocks;
        a->blocks = b->next;
        hws_mem_free(b);
    }
    memset(a, 0, sizeof(*a));
}
