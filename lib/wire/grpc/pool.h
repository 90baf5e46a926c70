/*
 * Small blocks for one connection, kept for reuse: what the HTTP/2 library allocates and frees for
 * each stream costs the allocator nothing once the first streams have passed. Blocks above the
 * largest class go to the allocator as they are.
 *
 * The owner embeds a zeroed one. Every block is freed to the pool that gave it, before deinit. One
 * thread.
 */
#ifndef HWS_GRPC_POOL_H
#define HWS_GRPC_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define HWS_GRPC_POOL_CLASSES     5u                   /* usable bytes 48, 112, 240, 496, 1008 */
#define HWS_GRPC_POOL_SPARE_BYTES ((size_t)256 * 1024) /* free blocks kept of each class */

struct hws_grpc_pool_block;

struct hws_grpc_pool {
    struct hws_grpc_pool_block *spare[HWS_GRPC_POOL_CLASSES]; /* owned */
    uint32_t n_spare[HWS_GRPC_POOL_CLASSES];
};

/* As hws_mem_alloc, _zalloc, _realloc and _free. */
void *hws_grpc_pool_alloc(struct hws_grpc_pool *pool, size_t n) HWS_MUST_USE;
void *hws_grpc_pool_zalloc(struct hws_grpc_pool *pool, size_t count, size_t size) HWS_MUST_USE;
void *hws_grpc_pool_realloc(struct hws_grpc_pool *pool, void *p, size_t n) HWS_MUST_USE;
void hws_grpc_pool_free(struct hws_grpc_pool *pool, void *p);

/* No block is spare. */
bool hws_grpc_pool_empty(const struct hws_grpc_pool *pool);

/* Gives the spare blocks back to the allocator; blocks in use stay. */
void hws_grpc_pool_trim(struct hws_grpc_pool *pool);

#endif
