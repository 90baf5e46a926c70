/* The block pool: a free list a size class; a header before each block says its class. */
#include "grpc/pool.h"

#include <stdalign.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_BYTES 64u /* of the smallest class, header included; each is twice the one before */
#define BIG         UINT32_MAX

struct hws_grpc_pool_block {          /* the header; the user's bytes follow */
    uint32_t class_idx;               /* BIG: the allocator's own */
    struct hws_grpc_pool_block *next; /* while it is spare */
};

_Static_assert(sizeof(struct hws_grpc_pool_block) % alignof(max_align_t) == 0,
               "what follows the header is aligned for anything");

static struct hws_grpc_pool_block *block_of(void *p)
{
    return (struct hws_grpc_pool_block *)p - 1;
}

/* User bytes of a class. */
static size_t room_of(uint32_t class_idx)
{
    return ((size_t)FIRST_BYTES << class_idx) - sizeof(struct hws_grpc_pool_block);
}

static uint32_t class_of(size_t n)
{
    for (uint32_t i = 0; i < HWS_GRPC_POOL_CLASSES; i++) {
        if (n <= room_of(i)) {
            return i;
        }
    }
    return BIG;
}

void *hws_grpc_pool_alloc(struct hws_grpc_pool *pool, size_t n)
{
    uint32_t class_idx = class_of(n);
    struct hws_grpc_pool_block *block = NULL;

    if (class_idx == BIG) {
        /* The library takes room for the largest frame, and writes headers there. */
        block = n > SIZE_MAX - sizeof(*block) ? NULL : hws_mem_alloc_sparse(sizeof(*block) + n);
    } else if (pool->spare[class_idx] != NULL) {
        block = pool->spare[class_idx];
        pool->spare[class_idx] = block->next;
        pool->n_spare[class_idx]--;
    } else {
        block = hws_mem_alloc(sizeof(*block) + room_of(class_idx));
    }
    if (block == NULL) {
        return NULL;
    }
    *block = (struct hws_grpc_pool_block){.class_idx = class_idx};
    return block + 1;
}

void *hws_grpc_pool_zalloc(struct hws_grpc_pool *pool, size_t count, size_t size)
{
    void *p = size > 0 && count > SIZE_MAX / size ? NULL : hws_grpc_pool_alloc(pool, count * size);

    if (p != NULL) {
        memset(p, 0, count * size);
    }
    return p;
}

/* A block of the allocator's own stays one, whatever its new size. */
static void *realloc_big(struct hws_grpc_pool_block *block, size_t n)
{
    struct hws_grpc_pool_block *grown =
        n > SIZE_MAX - sizeof(*block) ? NULL : hws_mem_realloc(block, sizeof(*block) + n);

    return grown == NULL ? NULL : grown + 1;
}

void *hws_grpc_pool_realloc(struct hws_grpc_pool *pool, void *p, size_t n)
{
    if (p == NULL) {
        return hws_grpc_pool_alloc(pool, n);
    }
    struct hws_grpc_pool_block *block = block_of(p);
    if (block->class_idx == BIG) {
        return realloc_big(block, n);
    }
    size_t room = room_of(block->class_idx);
    if (n <= room) {
        return p;
    }
    void *grown = hws_grpc_pool_alloc(pool, n);
    if (grown != NULL) {
        memcpy(grown, p, room);
        hws_grpc_pool_free(pool, p);
    }
    return grown;
}

void hws_grpc_pool_free(struct hws_grpc_pool *pool, void *p)
{
    if (p == NULL) {
        return;
    }
    struct hws_grpc_pool_block *block = block_of(p);
    uint32_t class_idx = block->class_idx;
    if (class_idx == BIG ||
        pool->n_spare[class_idx] == HWS_GRPC_POOL_SPARE_BYTES / (FIRST_BYTES << class_idx)) {
        hws_mem_free(block);
        return;
    }
    block->next = pool->spare[class_idx];
    pool->spare[class_idx] = block;
    pool->n_spare[class_idx]++;
}

bool hws_grpc_pool_empty(const struct hws_grpc_pool *pool)
{
    for (uint32_t i = 0; i < HWS_GRPC_POOL_CLASSES; i++) {
        if (pool->n_spare[i] > 0) {
            return false;
        }
    }
    return true;
}

void hws_grpc_pool_trim(struct hws_grpc_pool *pool)
{
    for (uint32_t i = 0; i < HWS_GRPC_POOL_CLASSES; i++) {
        while (pool->spare[i] != NULL) {
            struct hws_grpc_pool_block *block = pool->spare[i];
            pool->spare[i] = block->next;
            hws_mem_free(block);
        }
        pool->n_spare[i] = 0;
    }
}
