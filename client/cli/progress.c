/* Drawing progress. */
#include "cli/progress.h"

#include <inttypes.h>

#include "base/str.h"

#define FIRST_MS 1000u /* before this nothing is drawn */
#define TTY_MS   100u
#define PLAIN_MS 5000u
#define BAR      24u

void hws_progress_start(struct hws_progress *p, FILE *file, bool tty, const char *what, bool bytes,
                        uint64_t total, uint64_t now_ms)
{
    *p = (struct hws_progress){
        .file = file, .tty = tty, .what = what, .bytes = bytes, .total = total, .start_ms = now_ms};
}

/* "12.3 MiB", "840 B", or a plain count. */
static void amount(const struct hws_progress *p, uint64_t n, char *dst, size_t cap)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    uint64_t tenths = n > UINT64_MAX / 10 ? UINT64_MAX : n * 10;

    if (!p->bytes) {
        (void)hws_str_print(dst, cap, "%" PRIu64, n);
        return;
    }
    while (tenths >= 10240 && unit < 4) {
        tenths /= 1024;
        unit++;
    }
    if (unit == 0) {
        (void)hws_str_print(dst, cap, "%" PRIu64 " B", n);
        return;
    }
    (void)hws_str_print(dst, cap, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10,
                        units[unit]);
}

static void bar(const struct hws_progress *p, uint64_t done, char *dst)
{
    double share = p->total == 0 ? 0 : (double)done / (double)p->total;
    unsigned filled = share >= 1 ? BAR : (unsigned)(share * BAR);

    for (unsigned i = 0; i < BAR; i++) {
        dst[i] = i < filled ? '#' : '.';
    }
    dst[BAR] = '\0';
}

static void line(struct hws_progress *p, uint64_t done, const char *note, uint64_t now_ms)
{
    char drawn[BAR + 1];
    char have[32];
    char all[32] = "?";
    char rate[32];
    char left[32] = "";
    uint64_t spent_ms = now_ms - p->start_ms;
    uint64_t per_s = spent_ms == 0 ? 0 : (done - p->start_done) * 1000 / spent_ms;

    bar(p, done, drawn);
    amount(p, done, have, sizeof(have));
    amount(p, per_s, rate, sizeof(rate));
    if (p->total > 0) {
        amount(p, p->total, all, sizeof(all));
    }
    if (p->bytes && p->total > done && per_s > 0) {
        (void)hws_str_print(left, sizeof(left), ", %" PRIu64 " s left", (p->total - done) / per_s);
    }
    (void)fprintf(p->file, "%s%s [%s] %s of %s%s%s%s%s%s%s%s", p->tty ? "\r" : "", p->what, drawn,
                  have, all, p->bytes ? ", " : "", p->bytes ? rate : "", p->bytes ? "/s" : "", left,
                  note != NULL ? ", " : "", note != NULL ? note : "", p->tty ? "\x1b[K" : "\n");
    (void)fflush(p->file);
}

void hws_progress_show(struct hws_progress *p, uint64_t done, const char *note, uint64_t now_ms)
{
    uint64_t every_ms = p->tty ? TTY_MS : PLAIN_MS;
    uint64_t since_ms = p->drawn ? p->drawn_ms + every_ms : p->start_ms + FIRST_MS;

    if (now_ms < since_ms) {
        return;
    }
    p->drawn = true;
    p->drawn_ms = now_ms;
    line(p, done, note, now_ms);
}

void hws_progress_end(struct hws_progress *p)
{
    if (p->drawn && p->tty) {
        (void)fprintf(p->file, "\r\x1b[K");
        (void)fflush(p->file);
    }
    p->drawn = false;
}
