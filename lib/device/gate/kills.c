/* Killed rows: told, counted down. */
#include "gate/kills.h"

#include <string.h>

#include "base/mem.h"

enum hws_code hws_gate_kills_init(struct hws_gate_kills *k, uint16_t n, struct hws_err *err)
{
    memset(k, 0, sizeof *k);
    k->until_ms = hws_mem_zalloc(n, sizeof *k->until_ms);
    if (k->until_ms == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for %u rows", n);
    }
    k->n = n;
    return HWS_OK;
}

void hws_gate_kills_deinit(struct hws_gate_kills *k)
{
    hws_mem_free(k->until_ms);
    memset(k, 0, sizeof *k);
}

/* Until when the list kills a row; 0: it does not. *at is the list's next entry: rows are asked for
 * in order. */
static uint64_t until_ms(const struct hws_gate_kills *k, const struct hws_link_kills *list,
                         uint16_t row, size_t *at, uint64_t now_ms)
{
    struct hws_link_kill kill = {0};

    if (*at < list->n) {
        kill = hws_link_kill_get(list->rows, *at);
    }
    if (kill.row != row) {
        return 0;
    }
    (*at)++;
    return kill.left_ms == 0 ? k->until_ms[row] : now_ms + kill.left_ms;
}

struct hws_gate_kills_news hws_gate_kills_take(struct hws_gate_kills *k,
                                               const struct hws_link_kills *list, uint64_t now_ms)
{
    struct hws_gate_kills_news news = {0};
    size_t at = 0;

    for (uint16_t row = 1; row < k->n; row++) {
        bool before = hws_gate_kills_left_ms(k, row, now_ms) > 0;

        k->until_ms[row] = until_ms(k, list, row, &at, now_ms);
        bool now = hws_gate_kills_left_ms(k, row, now_ms) > 0;
        news.n_killed = (uint16_t)(news.n_killed + (now ? 1 : 0));
        news.n_added = (uint16_t)(news.n_added + (now && !before ? 1 : 0));
        news.n_lifted = (uint16_t)(news.n_lifted + (before && !now ? 1 : 0));
    }
    return news;
}

uint64_t hws_gate_kills_left_ms(const struct hws_gate_kills *k, uint16_t row, uint64_t now_ms)
{
    return row < k->n && k->until_ms[row] > now_ms ? k->until_ms[row] - now_ms : 0;
}
