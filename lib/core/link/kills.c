/*
 * KILLS payload.
 *
 *   adapter u16, n u16, n x {row u16, left_ms u32}, rows strictly ascending
 */
#include "link/kills.h"

#include "base/bits.h"
#include "link/codec_priv.h"
#include "link/hello.h"

void hws_link_kill_put(uint8_t *bytes, size_t i, const struct hws_link_kill *kill)
{
    uint8_t *at = bytes + i * HWS_LINK_KILL_BYTES;

    hws_store_be16(at, kill->row);
    hws_store_be32(at + 2, kill->left_ms);
}

struct hws_link_kill hws_link_kill_get(const uint8_t *bytes, size_t i)
{
    const uint8_t *at = bytes + i * HWS_LINK_KILL_BYTES;

    return (struct hws_link_kill){.row = hws_load_be16(at), .left_ms = hws_load_be32(at + 2)};
}

static bool rows_ok(const uint8_t *bytes, size_t n)
{
    uint16_t before = 0;

    for (size_t i = 0; i < n; i++) {
        struct hws_link_kill kill = hws_link_kill_get(bytes, i);

        if (kill.row <= before || kill.left_ms > HWS_LINK_KILL_MS) {
            return false;
        }
        before = kill.row;
    }
    return true;
}

static bool head_ok(const struct hws_link_kills *k)
{
    return k->adapter < HWS_LINK_MAX_ADAPTERS && k->n <= HWS_LINK_MAX_KILLS;
}

void hws_link__put_kills(struct hws_link__writer *w, const struct hws_link_kills *k)
{
    size_t n = k->n <= HWS_LINK_MAX_KILLS ? k->n : 0;

    hws_link__need(w, "adapter or count", head_ok(k));
    hws_link__need(w, "rows", rows_ok(k->rows, n));
    hws_link__put_u16(w, k->adapter);
    hws_link__put_u16(w, k->n);
    hws_link__put_raw(w, (struct hws_span){k->rows, n * HWS_LINK_KILL_BYTES});
}

void hws_link__get_kills(struct hws_link__reader *r, struct hws_link_kills *k)
{
    struct hws_span rows;

    k->adapter = hws_link__get_u16(r, "adapter");
    k->n = hws_link__get_u16(r, "count");
    hws_link__want(r, "adapter or count", head_ok(k));
    rows = hws_link__get_raw(r, "rows", (size_t)k->n * HWS_LINK_KILL_BYTES);
    k->rows = rows.bytes;
    hws_link__want(r, "rows", rows_ok(rows.bytes, rows.n / HWS_LINK_KILL_BYTES));
}
