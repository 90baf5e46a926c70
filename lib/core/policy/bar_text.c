/* Bars as lines of text: a number line, then one bar a line, its parts parted by tabs. */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "policy/bar.h"

#define N_PARTS 10u

enum hws_code hws_bars_encode(const struct hws_bars *b, struct hws_buf *out)
{
    enum hws_code code = hws_buf_printf(out, "next %" PRIu64 "\n", b->next_id);

    for (size_t i = 0; i < b->n && code == HWS_OK; i++) {
        const struct hws_bar *bar = &b->items[i];
        code = hws_buf_printf(
            out, "%" PRIu64 "\t%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n", bar->id,
            hws_bar_kind_name(bar->kind), bar->object, bar->row, bar->from, bar->to,
            bar->since_unix_ms, bar->until_unix_ms, bar->who, bar->reason);
    }
    return code;
}

/* Cuts a line of n bytes at its tabs. False unless there are exactly N_PARTS. */
static bool cut(char *line, char **parts)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        parts[i] = line;
        char *tab = strchr(line, '\t');
        if ((tab == NULL) != (i == N_PARTS - 1)) {
            return false;
        }
        if (tab != NULL) {
            *tab = '\0';
            line = tab + 1;
        }
    }
    return true;
}

static bool read_kind(const char *name, enum hws_bar_kind *out)
{
    for (int kind = HWS_BAR_PRINCIPAL; kind < HWS_N_BAR_KINDS; kind++) {
        if (hws_str_eq(hws_bar_kind_name((enum hws_bar_kind)kind), name)) {
            *out = (enum hws_bar_kind)kind;
            return true;
        }
    }
    return false;
}

static bool read_bar(char *line, struct hws_bar *out)
{
    char *parts[N_PARTS];

    memset(out, 0, sizeof(*out));
    return cut(line, parts) && hws_str_to_u64(parts[0], UINT64_MAX, &out->id, NULL) == HWS_OK &&
           read_kind(parts[1], &out->kind) &&
           hws_str_copy(out->object, sizeof(out->object), parts[2]) &&
           hws_str_copy(out->row, sizeof(out->row), parts[3]) &&
           hws_str_copy(out->from, sizeof(out->from), parts[4]) &&
           hws_str_copy(out->to, sizeof(out->to), parts[5]) &&
           hws_str_to_u64(parts[6], UINT64_MAX, &out->since_unix_ms, NULL) == HWS_OK &&
           hws_str_to_u64(parts[7], UINT64_MAX, &out->until_unix_ms, NULL) == HWS_OK &&
           hws_str_copy(out->who, sizeof(out->who), parts[8]) &&
           hws_str_copy(out->reason, sizeof(out->reason), parts[9]);
}

static bool read_line(struct hws_bars *b, unsigned number, char *line)
{
    if (number == 1) {
        return hws_str_starts(line, "next ") &&
               hws_str_to_u64(line + 5, UINT64_MAX, &b->next_id, NULL) == HWS_OK;
    }
    if (b->n == HWS_BAR_MAX || !read_bar(line, &b->items[b->n])) {
        return false;
    }
    b->n++;
    return true;
}

enum hws_code hws_bars_decode(struct hws_bars *b, const char *text, size_t n, struct hws_err *err)
{
    char line[2048];
    unsigned number = 0;

    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t n_line = end == NULL ? n : (size_t)(end - text);
        number++;
        if (end == NULL || !hws_str_copy_n(line, sizeof(line), text, n_line) ||
            strlen(line) != n_line || !read_line(b, number, line)) {
            return hws_err_set(err, HWS_E_PROTO, "line %u is no lock and no kill", number);
        }
        text = end + 1;
        n -= n_line + 1;
    }
    return number > 0 ? HWS_OK : hws_err_set(err, HWS_E_PROTO, "no first line");
}
