/*
 * The project's only allocator calls. The hook lets a test fail the n-th allocation (the OOM
 * sweep), and the same functions are handed to nghttp2, protobuf-c, libuv, jansson and SQLite, so
 * that one counter covers them all.
 *
 * Thread rule: any thread; the fault hook is set before threads start and its counter is atomic.
 */
#ifndef HWS_BASE_MEM_H
#define HWS_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* n bytes, uninitialised; NULL when out of memory. n = 0 returns a unique pointer. */
void *hws_mem_alloc(size_t n) HWS_MUST_USE;

/* As alloc, for a block of which much may never be written: its whole pages cost no memory until
 * they are. */
void *hws_mem_alloc_sparse(size_t n) HWS_MUST_USE;

/* count * size bytes, zeroed; NULL when out of memory or when the product overflows. */
void *hws_mem_zalloc(size_t count, size_t size) HWS_MUST_USE;

/* As realloc; the old block stays valid when NULL is returned. */
void *hws_mem_realloc(void *p, size_t n) HWS_MUST_USE;

/* A copy of n bytes; NULL when out of memory. */
void *hws_mem_dup(const void *p, size_t n) HWS_MUST_USE;

/* A copy of a NUL-terminated string; NULL when out of memory. */
char *hws_mem_strdup(const char *s) HWS_MUST_USE;

/* NULL is allowed. */
void hws_mem_free(void *p);

/* Overwrites n bytes in a way the compiler may not remove. */
void hws_mem_wipe(void *p, size_t n);

/* Wipes n bytes, then frees. For secrets. NULL is allowed. */
void hws_mem_free_secret(void *p, size_t n);

/* True if the n bytes are equal; takes the same time wherever they differ. For secrets and digests.
 */
bool hws_mem_equal_secret(const void *a, const void *b, size_t n) HWS_MUST_USE;

/*
 * Test hook: the allocation number `countdown` from now (1 = the next) returns NULL, and, if
 * sticky, all after it too. countdown 0 switches the hook off.
 */
void hws_mem_fail_after(uint64_t countdown, bool sticky);

/* Allocations made since the process started (only counted while the hook has ever been used). */
uint64_t hws_mem_n_allocs(void);

/* Starts counting from zero. */
void hws_mem_count_reset(void);

#endif
