/* Allocation with one fault counter for all threads. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t s_n_allocs;
static _Atomic uint64_t s_fail_at; /* absolute allocation number; 0 = off */
static _Atomic bool s_sticky;
static _Atomic bool s_counting;

static bool must_fail(void)
{
    if (!atomic_load_explicit(&s_counting, memory_order_relaxed)) {
        return false;
    }
    uint64_t n = atomic_fetch_add(&s_n_allocs, 1) + 1;
    uint64_t at = atomic_load(&s_fail_at);
    return at != 0 && (n == at || (n > at && atomic_load(&s_sticky)));
}

void *hws_mem_alloc(size_t n)
{
    return must_fail() ? NULL : malloc(n == 0 ? 1 : n);
}

void *hws_mem_alloc_sparse(size_t n)
{
    uint8_t *p = hws_mem_alloc(n);
    long page_bytes = sysconf(_SC_PAGESIZE);

    if (p != NULL && page_bytes > 0) {
        uintptr_t page = (uintptr_t)page_bytes;
        size_t before = (page - (uintptr_t)p % page) % page; /* bytes up to the first whole page */
        size_t whole = n > before ? (n - before) / page * page : 0;
        if (whole > 0) { /* a refusal costs memory and nothing else */
            (void)madvise(p + before, whole, MADV_DONTNEED);
        }
    }
    return p;
}

void *hws_mem_zalloc(size_t count, size_t size)
{
    if (count == 0 || size == 0) {
        count = 1;
        size = 1;
    }
    return must_fail() ? NULL : calloc(count, size);
}

void *hws_mem_realloc(void *p, size_t n)
{
    return must_fail() ? NULL : realloc(p, n == 0 ? 1 : n);
}

void *hws_mem_dup(const void *p, size_t n)
{
    void *copy = hws_mem_alloc(n);

    if (copy != NULL && n > 0) {
        memcpy(copy, p, n);
    }
    return copy;
}

char *hws_mem_strdup(const char *s)
{
    return hws_mem_dup(s, strlen(s) + 1);
}

void hws_mem_free(void *p)
{
    free(p);
}

void hws_mem_wipe(void *p, size_t n)
{
    if (p != NULL) {
        explicit_bzero(p, n);
    }
}

void hws_mem_free_secret(void *p, size_t n)
{
    hws_mem_wipe(p, n);
    free(p);
}

bool hws_mem_equal_secret(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < n; i++) {
        diff |= (uint8_t)(x[i] ^ y[i]);
    }
    return diff == 0;
}

void hws_mem_fail_after(uint64_t countdown, bool sticky)
{
    atomic_store(&s_counting, true);
    atomic_store(&s_sticky, sticky);
    atomic_store(&s_fail_at, countdown == 0 ? 0 : atomic_load(&s_n_allocs) + countdown);
}

uint64_t hws_mem_n_allocs(void)
{
    return atomic_load(&s_n_allocs);
}

void hws_mem_count_reset(void)
{
    atomic_store(&s_counting, true);
    atomic_store(&s_n_allocs, 0);
    atomic_store(&s_fail_at, 0);
}
