/* The shared table of allocation sites; see failing.h. */
#include "failing.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static struct hws_failing *s_shared;

bool hws_failing_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return false;
    }
    void *at = ftruncate(fd, (off_t)sizeof(*s_shared)) == 0
                   ? mmap(NULL, sizeof(*s_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                   : MAP_FAILED;
    (void)close(fd);
    s_shared = at == MAP_FAILED ? NULL : at;
    return s_shared != NULL;
}

struct hws_failing *hws_failing_shared(void)
{
    return s_shared;
}

void hws_failing_reset(struct hws_failing *f)
{
    f->fail_at = 0;
    f->n_allocs = 0;
    f->n_failed = 0;
    for (size_t i = 0; i < HWS_FAILING_MAX_SITES; i++) {
        f->sites[i].first = 0;
    }
}

void hws_failing_after(struct hws_failing *f, uint64_t k, bool sticky)
{
    f->sticky = sticky ? 1 : 0;
    f->fail_at = k == 0 ? 0 : f->n_allocs + k;
}

/* The row of a place, made if it is new; NULL when the table is full. */
static struct hws_failing_site *site_of(struct hws_failing *f, uint64_t place)
{
    for (uint64_t i = 0; i < HWS_FAILING_MAX_SITES; i++) {
        struct hws_failing_site *s = &f->sites[(place + i) % HWS_FAILING_MAX_SITES];
        uint64_t free_row = 0;
        if (s->place == place || atomic_compare_exchange_strong(&s->place, &free_row, place) ||
            free_row == place) {
            return s;
        }
    }
    return NULL;
}

bool hws_failing_must(struct hws_failing *f, uint64_t place)
{
    struct hws_failing_site *s = site_of(f, place);
    uint64_t n = atomic_fetch_add(&f->n_allocs, 1) + 1;
    uint64_t at = f->fail_at;
    uint64_t none = 0;

    if (s != NULL) {
        (void)atomic_compare_exchange_strong(&s->first, &none, n);
    }
    return at != 0 && (n == at || (n > at && f->sticky != 0));
}

void hws_failing_note(struct hws_failing *f, uint64_t place)
{
    struct hws_failing_site *s = site_of(f, place);

    f->n_failed++;
    if (s != NULL) {
        s->failed++;
        s->judged += f->drawn == 0;
    }
}
