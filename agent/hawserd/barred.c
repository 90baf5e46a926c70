/* Locks and kills, kept and ended. */
#include "hawserd/barred.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/sealed.h"
#include "hawserd/task.h"
#include "link/methods.h"
#include "table/table.h"

#define MAGIC "hawser-bars-1"

static void file_path(const struct hws_barred *b, char *dst, size_t cap)
{
    (void)hws_str_print(dst, cap, "%s/bars", b->agent->config.state_dir);
}

static enum hws_code encode(struct hws_barred *b, struct hws_buf *bytes, struct hws_err *err)
{
    enum hws_code code = hws_bars_encode(&b->bars, bytes);

    if (code == HWS_OK) {
        code = hws_sha256_of(hws_buf_peek(bytes), hws_buf_len(bytes), &b->hash);
    }
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "%s", hws_code_text(code));
}

static enum hws_code save(struct hws_barred *b, struct hws_err *err)
{
    char path[HWS_CONFIG_PATH_BYTES + 16];
    struct hws_buf bytes;

    file_path(b, path, sizeof(path));
    hws_buf_init(&bytes, 0);
    enum hws_code code = encode(b, &bytes, err);
    if (code == HWS_OK) {
        code = hws_sealed_write(path, MAGIC, hws_buf_peek(&bytes), hws_buf_len(&bytes), err);
    }
    hws_buf_deinit(&bytes);
    return code;
}

static void on_end(uv_timer_t *timer);

static void arm(struct hws_barred *b)
{
    uint64_t next_ms = hws_bars_next_ms(&b->bars);
    uint64_t now_ms = hws_agent_unix_ms();

    if (!b->timer_open) {
        return;
    }
    if (next_ms == UINT64_MAX) {
        (void)uv_timer_stop(&b->timer);
        return;
    }
    (void)uv_timer_start(&b->timer, on_end, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void on_end(uv_timer_t *timer)
{
    struct hws_barred *b = timer->data;
    struct hws_bar bar;
    struct hws_err err;
    bool any = false;

    while (hws_bars_expire(&b->bars, hws_agent_unix_ms(), &bar)) {
        enum hws_method_id id = bar.kind == HWS_BAR_ROW ? HWS_METHOD_KILL_ADD : HWS_METHOD_LOCK_ADD;
        char text[512];
        char detail[560];
        hws_bar_text(&bar, text, sizeof(text));
        (void)hws_str_print(detail, sizeof(detail), "ended: %s", text);
        hws_audit_note(b->agent, hws_method_at(id)->path, detail);
        any = true;
    }
    hws_devices_kills_changed(&b->agent->devices);
    if (any && save(b, &err) != HWS_OK) {
        /* What has ended ends again at the next start. */
        struct hws_log_q q;
        hws_log("bars_unwritten", "reason=%s", hws_log_q(&q, err.msg));
    }
    arm(b);
}

static enum hws_code read_kept(struct hws_barred *b, struct hws_err *err)
{
    char path[HWS_CONFIG_PATH_BYTES + 16];
    struct hws_buf bytes;

    file_path(b, path, sizeof(path));
    hws_buf_init(&bytes, 0);
    enum hws_code code = hws_sealed_read(path, MAGIC, &bytes, err);
    if (code == HWS_OK) {
        code =
            hws_bars_decode(&b->bars, (const char *)hws_buf_peek(&bytes), hws_buf_len(&bytes), err);
    }
    hws_buf_deinit(&bytes);
    return code == HWS_E_NOT_FOUND ? HWS_OK : code;
}

enum hws_code hws_barred_open(struct hws_barred *b, struct hws_agent *agent, struct hws_err *err)
{
    struct hws_buf bytes;
    struct hws_err why;

    b->agent = agent;
    if (hws_bars_init(&b->bars) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    if (read_kept(b, &why) != HWS_OK) {
        b->unknown = true;
        char text[HWS_ERR_MSG_BYTES];
        (void)hws_str_print(text, sizeof(text),
                            "%.150s: locks and kills are unknown; remove the file to begin without",
                            why.msg);
        hws_agent_be_safe(agent, text);
    }
    hws_buf_init(&bytes, 0);
    enum hws_code code = encode(b, &bytes, err);
    hws_buf_deinit(&bytes);
    (void)uv_timer_init(&agent->loop, &b->timer);
    b->timer.data = b;
    b->timer_open = true;
    arm(b);
    return code;
}

enum hws_code hws_barred_add(struct hws_barred *b, const struct hws_bar *bar, uint64_t *out_id,
                             struct hws_err *err)
{
    struct hws_err ignored;
    enum hws_code code = hws_bars_add(&b->bars, bar, hws_agent_unix_ms(), out_id, err);

    if (code != HWS_OK) {
        return code;
    }
    code = save(b, err);
    if (code != HWS_OK) {
        hws_bars_remove(&b->bars, *out_id);
        (void)!save(b, &ignored);
        return code;
    }
    arm(b);
    hws_devices_kills_changed(&b->agent->devices);
    hws_task_rejudge(b->agent);
    hws_wire_rejudge(&b->agent->wire);
    return HWS_OK;
}

enum hws_code hws_barred_remove(struct hws_barred *b, uint64_t id, struct hws_err *err)
{
    const struct hws_bar *bar = hws_bars_find(&b->bars, id);

    if (bar == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "no lock and no kill %llu",
                           (unsigned long long)id);
    }
    struct hws_bar gone = *bar;
    hws_bars_remove(&b->bars, id);
    enum hws_code code = save(b, err);
    if (code != HWS_OK) {
        hws_bars_put_back(&b->bars, &gone);
    }
    arm(b);
    hws_devices_kills_changed(&b->agent->devices);
    return code;
}

enum hws_code hws_barred_check(const struct hws_barred *b, const struct hws_adapter *a,
                               const struct hws_table_row *row, struct hws_err *err)
{
    char text[256];

    if (b->bars.n == 0 || row == NULL) {
        return HWS_OK; /* what has no row is refused elsewhere */
    }
    const struct hws_policy_request req = {
        .device = hws_device_card(a),
        .target = row->name,
        .target_method = hws_reg_method_name(row->method),
    };
    const struct hws_bar *bar =
        hws_bars_kill(&b->bars, &req, a->known ? a->identity.fw_version : "");
    if (bar == NULL) {
        return HWS_OK;
    }
    hws_bar_text(bar, text, sizeof(text));
    hws_err_set(err, HWS_E_DENIED, "%s", text);
    hws_err_at(err, HWS_STAGE_NOT_SENT);
    return err->code;
}

/* When the row stops being killed by those bars; 0 if none kills it. */
static uint64_t killed_until(const struct hws_bar *const *kills, size_t n,
                             const struct hws_table_row *row)
{
    const char *method = hws_reg_method_name(row->method);
    uint64_t until_ms = 0;

    for (size_t i = 0; i < n; i++) {
        if (kills[i]->until_unix_ms > until_ms && hws_bar_kills_row(kills[i], row->name, method)) {
            until_ms = kills[i]->until_unix_ms;
        }
    }
    return until_ms;
}

/* A kill that may be one of this card's: its firmware, and what else is read from it, are not known
 * yet, or what was kept is not. */
static bool may_be_killed(const struct hws_barred *b, const struct hws_adapter *a,
                          const struct hws_table_row *row)
{
    const char *method = hws_reg_method_name(row->method);

    for (size_t i = 0; i < b->bars.n && !a->known; i++) {
        const struct hws_bar *bar = &b->bars.items[i];
        if (bar->kind == HWS_BAR_ROW && hws_bar_kills_row(bar, row->name, method)) {
            return true;
        }
    }
    return b->unknown;
}

uint16_t hws_barred_kills(const struct hws_barred *b, const struct hws_adapter *a, uint8_t *rows)
{
    const struct hws_bar *kills[HWS_BAR_MAX];
    struct hws_policy_card card = hws_device_card(a);
    const char *firmware = a->known ? a->identity.fw_version : "";
    enum hws_kind kind = hws_kind_from_name(a->port->kind);
    uint64_t now_ms = hws_agent_unix_ms();
    uint16_t n_rows = 0;
    size_t n = 0;

    for (size_t i = 0; i < b->bars.n; i++) {
        if (hws_bar_kills_on(&b->bars.items[i], &card, firmware)) {
            kills[n++] = &b->bars.items[i];
        }
    }
    hws_assert(hws_table_n() <= HWS_LINK_MAX_KILLS);
    for (uint16_t id = 1; id < hws_table_n(); id++) {
        const struct hws_table_row *row = hws_table_at(id);
        struct hws_link_kill kill = {.row = id};
        uint64_t until_ms = row->kind == kind ? killed_until(kills, n, row) : 0;
        if (until_ms > now_ms) {
            /* A clock that was set back makes nothing longer than a kill may be. */
            uint64_t left_ms = until_ms - now_ms;
            kill.left_ms = left_ms < HWS_LINK_KILL_MS ? (uint32_t)left_ms : HWS_LINK_KILL_MS;
        }
        if (kill.left_ms > 0 || (row->kind == kind && may_be_killed(b, a, row))) {
            hws_link_kill_put(rows, n_rows++, &kill);
        }
    }
    return n_rows;
}

void hws_barred_close(struct hws_barred *b)
{
    if (b->timer_open) {
        b->timer_open = false;
        uv_close((uv_handle_t *)&b->timer, NULL);
    }
}

void hws_barred_deinit(struct hws_barred *b)
{
    hws_bars_deinit(&b->bars);
}
