/* calloc in front of calloc. One thread: the tests that use it have one. */
#include "fail_calloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static uint64_t s_n;
static uint64_t s_fail_at;
static bool s_sticky;

void hws_calloc_fail_after(uint64_t countdown, bool sticky)
{
    s_n = 0;
    s_fail_at = countdown;
    s_sticky = sticky;
}

uint64_t hws_calloc_count(void)
{
    return s_n;
}

void *calloc(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
    static void *(*next)(size_t, size_t);
    static _Alignas(16) unsigned char early[8192]; /* while dlsym itself allocates; never freed */
    static size_t early_used;
    static bool looking;

    if (next == NULL && !looking) {
        looking = true;
        void *found = dlsym(RTLD_NEXT, "calloc");
        memcpy(&next, &found, sizeof(next));
        looking = false;
    }
    if (next == NULL) {
        size_t n = (count * size + 15) & ~(size_t)15;
        early_used += n;
        return early_used <= sizeof(early) ? early + early_used - n : NULL;
    }
    s_n++;
    if (s_fail_at != 0 && (s_n == s_fail_at || (s_n > s_fail_at && s_sticky))) {
        errno = ENOMEM;
        return NULL;
    }
    return next(count, size);
}
