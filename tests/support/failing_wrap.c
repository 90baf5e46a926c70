/*
 * The calls of base/mem.h that allocate, by the linker's --wrap: a program's own calls come here,
 * and go on from here. Mapped before main, since hawser-wire opens no such file once it is
 * confined.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/mem.h"
#include "failing.h"

/* By --wrap, X of the program is __wrap_X, and __real_X is the X that it was. */
#define WRAP(name) __asm__("__wrap_hws_mem_" name)
#define REAL(name) __asm__("__real_hws_mem_" name)

void *wrap_alloc(size_t n) WRAP("alloc");
void *wrap_alloc_sparse(size_t n) WRAP("alloc_sparse");
void *wrap_zalloc(size_t count, size_t size) WRAP("zalloc");
void *wrap_realloc(void *p, size_t n) WRAP("realloc");
void *wrap_dup(const void *p, size_t n) WRAP("dup");
char *wrap_strdup(const char *s) WRAP("strdup");

void *real_alloc(size_t n) REAL("alloc");
void *real_alloc_sparse(size_t n) REAL("alloc_sparse");
void *real_zalloc(size_t count, size_t size) REAL("zalloc");
void *real_realloc(void *p, size_t n) REAL("realloc");
void *real_dup(const void *p, size_t n) REAL("dup");
char *real_strdup(const char *s) REAL("strdup");

/* The linker's: where the program is in memory, and where its code ends. */
extern const char s_start[] __asm__("__executable_start");
extern const char s_end[] __asm__("etext");

HWS_CONSTRUCTOR static void map(void)
{
    const char *path = getenv(HWS_FAILING_ENV);

    if (path != NULL && !hws_failing_map(path)) {
        perror(path);
        abort();
    }
}

static uint64_t place_of(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    return at > (uintptr_t)s_start && at < (uintptr_t)s_end ? at - (uintptr_t)s_start
                                                            : HWS_FAILING_LIBRARY;
}

static bool must_fail(const void *caller)
{
    struct hws_failing *f = hws_failing_shared();

    if (f == NULL || !hws_failing_must(f, place_of(caller))) {
        return false;
    }
    hws_failing_note(f, place_of(caller));
    return true;
}

/* What base/mem.h's own switch made fail is on record, too. */
static void *seen(void *p, const void *caller)
{
    struct hws_failing *f = hws_failing_shared();

    if (f != NULL && p == NULL) {
        hws_failing_note(f, place_of(caller));
    }
    return p;
}

#define CALLER __builtin_return_address(0)

void *wrap_alloc(size_t n)
{
    return must_fail(CALLER) ? NULL : seen(real_alloc(n), CALLER);
}

void *wrap_alloc_sparse(size_t n)
{
    return must_fail(CALLER) ? NULL : seen(real_alloc_sparse(n), CALLER);
}

void *wrap_zalloc(size_t count, size_t size)
{
    return must_fail(CALLER) ? NULL : seen(real_zalloc(count, size), CALLER);
}

void *wrap_realloc(void *p, size_t n)
{
    return must_fail(CALLER) ? NULL : seen(real_realloc(p, n), CALLER);
}

void *wrap_dup(const void *p, size_t n)
{
    return must_fail(CALLER) ? NULL : seen(real_dup(p, n), CALLER);
}

char *wrap_strdup(const char *s)
{
    return must_fail(CALLER) ? NULL : seen(real_strdup(s), CALLER);
}
