/* The chunk chain. */
#include "grpc/outq.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define MIN_CHUNK_BYTES ((size_t)4096 - sizeof(struct hws_grpc_chunk))
#define MAX_SPARE       64u                   /* chunks that wait for the next message, */
#define MAX_SPARE_BYTES ((size_t)1024 * 1024) /* together of so many bytes */

/* A long chunk under a short message would be memory that nobody counts. */
static bool fits(const struct hws_grpc_chunk *c, size_t n)
{
    return c->cap >= n && (c->cap <= 4 * MIN_CHUNK_BYTES || c->cap / 4 <= n);
}

static struct hws_grpc_chunk *chunk_get(struct hws_grpc_chunk_pool *pool, size_t n)
{
    for (struct hws_grpc_chunk **at = &pool->spare; *at != NULL; at = &(*at)->next) {
        if (fits(*at, n)) {
            struct hws_grpc_chunk *c = *at;
            *at = c->next;
            pool->n_spare--;
            pool->spare_bytes -= c->cap;
            *c = (struct hws_grpc_chunk){.cap = c->cap};
            return c;
        }
    }
    size_t cap = n < MIN_CHUNK_BYTES ? MIN_CHUNK_BYTES : n;
    struct hws_grpc_chunk *c = hws_mem_alloc(sizeof(*c) + cap);
    if (c != NULL) {
        *c = (struct hws_grpc_chunk){.cap = cap};
    }
    return c;
}

static void chunk_put(struct hws_grpc_chunk_pool *pool, struct hws_grpc_chunk *c)
{
    if (pool->n_spare >= MAX_SPARE || c->cap > MAX_SPARE_BYTES - pool->spare_bytes) {
        hws_mem_free(c);
        return;
    }
    c->next = pool->spare;
    pool->spare = c;
    pool->n_spare++;
    pool->spare_bytes += c->cap;
}

enum hws_code hws_grpc_outq_reserve(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool,
                                    size_t n, uint8_t **out_space)
{
    if (q->last == NULL || q->last->cap - q->last->tail < n) {
        struct hws_grpc_chunk *c = chunk_get(pool, n);
        if (c == NULL) {
            return HWS_E_NOMEM;
        }
        if (q->last == NULL) {
            q->first = c;
        } else {
            q->last->next = c;
        }
        q->last = c;
    }
    *out_space = q->last->bytes + q->last->tail;
    return HWS_OK;
}

void hws_grpc_outq_commit(struct hws_grpc_outq *q, size_t n)
{
    hws_assert(q->last != NULL && n <= q->last->cap - q->last->tail);
    q->last->tail += n;
    q->n_bytes += n;
}

static void drop_first(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool)
{
    struct hws_grpc_chunk *c = q->first;

    q->first = c->next;
    if (q->first == NULL) {
        q->last = NULL;
    }
    c->left = true;
    if (c->lent == 0) {
        chunk_put(pool, c);
    }
}

void hws_grpc_outq_take(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool, uint8_t *dst,
                        size_t n)
{
    hws_assert(n <= q->n_bytes);
    q->n_bytes -= n;
    while (n > 0) {
        struct hws_grpc_chunk *c = q->first;
        size_t part = c->tail - c->head < n ? c->tail - c->head : n;
        memcpy(dst, c->bytes + c->head, part);
        c->head += part;
        dst += part;
        n -= part;
        if (c->head == c->tail) {
            drop_first(q, pool);
        }
    }
}

size_t hws_grpc_outq_run(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool)
{
    /* An empty chunk at the front was reserved and not used. */
    while (q->n_bytes > 0 && q->first->tail == q->first->head) {
        drop_first(q, pool);
    }
    return q->n_bytes == 0 ? 0 : q->first->tail - q->first->head;
}

void hws_grpc_outq_lend(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool, size_t n,
                        struct hws_grpc_lent *out_lent)
{
    struct hws_grpc_chunk *c = q->first;

    hws_assert(n > 0 && c != NULL && n <= c->tail - c->head);
    *out_lent = (struct hws_grpc_lent){c, c->bytes + c->head, n};
    c->head += n;
    c->lent += n;
    q->n_bytes -= n;
    if (c->head == c->tail) {
        drop_first(q, pool);
    }
}

void hws_grpc_outq_give_back(struct hws_grpc_chunk_pool *pool, struct hws_grpc_lent *lent, size_t n)
{
    struct hws_grpc_chunk *c = lent->chunk;

    hws_assert(n <= lent->n && n <= c->lent);
    lent->bytes += n;
    lent->n -= n;
    c->lent -= n;
    if (c->left && c->lent == 0 && n > 0) {
        chunk_put(pool, c);
    }
}

void hws_grpc_outq_clear(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool)
{
    while (q->first != NULL) {
        drop_first(q, pool);
    }
    q->n_bytes = 0;
}

void hws_grpc_chunk_pool_deinit(struct hws_grpc_chunk_pool *pool)
{
    while (pool->spare != NULL) {
        struct hws_grpc_chunk *c = pool->spare;
        pool->spare = c->next;
        hws_mem_free(c);
    }
    pool->n_spare = 0;
    pool->spare_bytes = 0;
}
