/* Bars: kept, found, ended. bar_text.c has their bytes. */
#include "policy/bar.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/policy_priv.h"

static const char *const s_kinds[HWS_N_BAR_KINDS] = {"none", "principal", "device", "host", "row"};

const char *hws_bar_kind_name(enum hws_bar_kind kind)
{
    return (unsigned)kind < HWS_N_BAR_KINDS ? s_kinds[kind] : "?";
}

enum hws_code hws_bars_init(struct hws_bars *b)
{
    memset(b, 0, sizeof(*b));
    b->items = hws_mem_zalloc(HWS_BAR_MAX, sizeof(*b->items));
    b->next_id = 1;
    return b->items == NULL ? HWS_E_NOMEM : HWS_OK;
}

void hws_bars_deinit(struct hws_bars *b)
{
    hws_mem_free(b->items);
    memset(b, 0, sizeof(*b));
}

/* "28.43.2006" as a number that grows with the version. */
static bool read_version(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    for (int part = 0; part < 3; part++) {
        size_t n = strspn(text, "0123456789");
        uint64_t number = 0;
        char digits[8];
        if (n == 0 || !hws_str_copy_n(digits, sizeof(digits), text, n) ||
            hws_str_to_u64(digits, 65535, &number, NULL) != HWS_OK ||
            text[n] != (part < 2 ? '.' : '\0')) {
            return false;
        }
        value = value << 16 | number;
        text += n + (part < 2 ? 1 : 0);
    }
    *out = value;
    return true;
}

static enum hws_code check_row(const struct hws_bar *bar, struct hws_err *err)
{
    struct hws_policy_request req = {0};
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;
    char name[72];

    if (bar->row[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "row: which register or command");
    }
    if (hws_policy_object(bar->row, name, sizeof(name), &req, err) != HWS_OK) {
        return hws_err_wrap(err, "row");
    }
    if ((bar->from[0] != '\0' && !read_version(bar->from, &from)) ||
        (bar->to[0] != '\0' && !read_version(bar->to, &to)) || from > to) {
        return hws_err_set(err, HWS_E_INVALID,
                           "firmware_from, firmware_to: versions like 28.43.2006, in order");
    }
    return HWS_OK;
}

static enum hws_code check_object(const struct hws_bar *bar, struct hws_err *err)
{
    const char *why = NULL;

    switch (bar->kind) {
    case HWS_BAR_PRINCIPAL:
        why = hws_policy__principal_fault(bar->object, true, false);
        /* Oneself alone may be locked: somebody else lifts it. Of a whole prefix nobody could. */
        if (why == NULL && !hws_str_eq(bar->object, bar->who) &&
            hws_policy__principal_fits(bar->object, bar->who)) {
            why = "a prefix that covers you and all others who could lift it";
        }
        break;
    case HWS_BAR_DEVICE:
    case HWS_BAR_ROW:
        why = hws_policy__device_fault(bar->object);
        break;
    case HWS_BAR_HOST:
        why = bar->object[0] == '\0' ? NULL : "a lock of the host has no object";
        break;
    case HWS_BAR_NONE:
    case HWS_N_BAR_KINDS:
    default: /* the API's numbers may be any */
        return hws_err_set(err, HWS_E_INVALID, "kind: principal, device, host or row");
    }
    return why == NULL ? HWS_OK
                       : hws_err_set(err, HWS_E_INVALID, "object \"%.100s\": %s", bar->object, why);
}

static enum hws_code check(const struct hws_bar *bar, uint64_t now_unix_ms, struct hws_err *err)
{
    enum hws_code code = check_object(bar, err);

    if (code == HWS_OK && bar->kind == HWS_BAR_ROW) {
        code = check_row(bar, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    if (bar->reason[0] == '\0' || strpbrk(bar->reason, "\n\t") != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "reason: one line that says why");
    }
    if (bar->until_unix_ms <= now_unix_ms || bar->until_unix_ms - now_unix_ms > HWS_BAR_MAX_MS) {
        return hws_err_set(err, HWS_E_INVALID, "for_s: 1 to %u seconds (30 days)",
                           (unsigned)(HWS_BAR_MAX_MS / 1000));
    }
    return HWS_OK;
}

enum hws_code hws_bars_add(struct hws_bars *b, const struct hws_bar *bar, uint64_t now_unix_ms,
                           uint64_t *out_id, struct hws_err *err)
{
    enum hws_code code = check(bar, now_unix_ms, err);

    if (code != HWS_OK) {
        return code;
    }
    if (b->n == HWS_BAR_MAX) {
        return hws_err_set(err, HWS_E_BUSY, "%u locks and kills already: remove one", HWS_BAR_MAX);
    }
    struct hws_bar *slot = &b->items[b->n++];
    *slot = *bar;
    slot->id = b->next_id++;
    *out_id = slot->id;
    return HWS_OK;
}

const struct hws_bar *hws_bars_find(const struct hws_bars *b, uint64_t id)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->items[i].id == id) {
            return &b->items[i];
        }
    }
    return NULL;
}

void hws_bars_remove(struct hws_bars *b, uint64_t id)
{
    const struct hws_bar *bar = hws_bars_find(b, id);

    if (bar != NULL) {
        size_t at = (size_t)(bar - b->items);
        b->n--;
        memmove(&b->items[at], &b->items[at + 1], (b->n - at) * sizeof(*b->items));
    }
}

void hws_bars_put_back(struct hws_bars *b, const struct hws_bar *bar)
{
    size_t at = b->n;

    while (at > 0 && b->items[at - 1].id > bar->id) {
        at--;
    }
    memmove(&b->items[at + 1], &b->items[at], (b->n - at) * sizeof(*b->items));
    b->items[at] = *bar;
    b->n++;
}

bool hws_bars_expire(struct hws_bars *b, uint64_t now_unix_ms, struct hws_bar *out)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->items[i].until_unix_ms <= now_unix_ms) {
            *out = b->items[i];
            hws_bars_remove(b, out->id);
            return true;
        }
    }
    return false;
}

uint64_t hws_bars_next_ms(const struct hws_bars *b)
{
    uint64_t next_ms = UINT64_MAX;

    for (size_t i = 0; i < b->n; i++) {
        next_ms = b->items[i].until_unix_ms < next_ms ? b->items[i].until_unix_ms : next_ms;
    }
    return next_ms;
}

static bool covers_device(const struct hws_bar *bar, const struct hws_policy_card *card)
{
    return card->id[0] != '\0' && hws_policy__device_fits(bar->object, card);
}

static bool covers(const struct hws_bar *bar, const struct hws_policy_request *req)
{
    return bar->kind == HWS_BAR_HOST ||
           (bar->kind == HWS_BAR_DEVICE && covers_device(bar, &req->device));
}

/* Whoever else may, still lifts locks, sees the agent and reads what happens there. */
static bool stays_open(const struct hws_policy_request *req)
{
    return hws_str_starts(req->permission, "lock.") || hws_str_starts(req->permission, "kill.") ||
           hws_str_starts(req->permission, "agent.") || hws_str_starts(req->permission, "audit.");
}

const struct hws_bar *hws_bars_lock(const struct hws_bars *b, const struct hws_policy_request *req)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct hws_bar *bar = &b->items[i];
        if (bar->kind == HWS_BAR_PRINCIPAL) {
            if (hws_policy__principal_fits(bar->object, req->principal)) {
                return bar;
            }
        } else if (covers(bar, req) && !stays_open(req) && !hws_str_eq(bar->who, req->principal)) {
            return bar;
        }
    }
    return NULL;
}

bool hws_bars_holds(const struct hws_bars *b, const struct hws_policy_request *req)
{
    for (size_t i = 0; i < b->n; i++) {
        if (covers(&b->items[i], req) && hws_str_eq(b->items[i].who, req->principal)) {
            return true;
        }
    }
    return false;
}

static bool in_range(const struct hws_bar *bar, const char *firmware)
{
    uint64_t is = 0;
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;

    if (bar->from[0] == '\0' && bar->to[0] == '\0') {
        return true;
    }
    if (firmware[0] == '\0') {
        return false; /* not identified yet: nothing but that is asked of it */
    }
    if (!read_version(firmware, &is)) {
        return true; /* a version that cannot be compared may be one of these */
    }
    (void)read_version(bar->from, &from);
    (void)read_version(bar->to, &to);
    return is >= from && is <= to;
}

bool hws_bar_kills_on(const struct hws_bar *bar, const struct hws_policy_card *card,
                      const char *firmware)
{
    return bar->kind == HWS_BAR_ROW && covers_device(bar, card) && in_range(bar, firmware);
}

bool hws_bar_kills_row(const struct hws_bar *bar, const char *target, const char *method)
{
    return hws_policy__target_fits(bar->row, target, method);
}

const struct hws_bar *hws_bars_kill(const struct hws_bars *b, const struct hws_policy_request *req,
                                    const char *firmware)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct hws_bar *bar = &b->items[i];
        if (hws_bar_kills_on(bar, &req->device, firmware) &&
            hws_bar_kills_row(bar, req->target, req->target_method)) {
            return bar;
        }
    }
    return NULL;
}

void hws_bar_text(const struct hws_bar *bar, char *dst, size_t cap)
{
    if (bar->kind == HWS_BAR_ROW) {
        bool any = bar->from[0] == '\0' && bar->to[0] == '\0';
        (void)hws_str_print(dst, cap, "kill %" PRIu64 " of %s on %.80s%s%s%s%s by %.80s: %.120s",
                            bar->id, bar->row, bar->object, any ? "" : ", firmware ", bar->from,
                            any ? "" : "..", bar->to, bar->who, bar->reason);
        return;
    }
    (void)hws_str_print(dst, cap, "lock %" PRIu64 " on %s%s%.80s by %.80s: %.120s", bar->id,
                        hws_bar_kind_name(bar->kind), bar->object[0] == '\0' ? "" : " ",
                        bar->object, bar->who, bar->reason);
}
