/* Whether a grant is well formed, and whether it covers what is asked. */
#include "warrant/grant.h"

#include <string.h>

#include "base/str.h"
#include "warrant/warrant.h"

#define ROW_BYTES 80u

bool hws_grant_is_dangerous(enum hws_effect effect)
{
    return effect == HWS_EFFECT_DEBUG_WRITE || effect == HWS_EFFECT_FULL;
}

static bool is_row(const char *text)
{
    size_t n = strcspn(text, ":");

    return n > 0 && n < ROW_BYTES && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n &&
           (text[n] == '\0' || hws_str_eq(text + n, ":write") || hws_str_eq(text + n, ":read"));
}

static enum hws_code blame(const char *field, const char **out_field, struct hws_err *err,
                           const char *why)
{
    *out_field = field;
    return hws_err_set(err, HWS_E_INVALID, "grant: %s: %s", field, why);
}

enum hws_code hws_grant_check(const struct hws_grant *g, const char **out_field,
                              struct hws_err *err)
{
    if (strchr(g->principal, ':') == NULL || strlen(g->principal) >= HWS_WARRANT_PRINCIPAL_BYTES) {
        return blame("principal", out_field, err, "one principal, at most 160 bytes");
    }
    if (hws_str_eq(g->principal, g->granted_by)) {
        return blame("principal", out_field, err, "nobody grants to himself");
    }
    if (g->device[0] == '\0' || strlen(g->device) > 96) {
        return blame("device", out_field, err,
                     "\"*\", an id, a PCI address or a serial number, at most 96 bytes");
    }
    if (!hws_grant_is_dangerous(g->effect)) {
        return blame("effect", out_field, err, "debug-write or full; others need no grant");
    }
    if (g->n_rows > HWS_GRANT_MAX_ROWS) {
        return blame("rows", out_field, err, "at most 32");
    }
    for (size_t i = 0; i < g->n_rows; i++) {
        if (!is_row(g->rows[i])) {
            return blame("rows", out_field, err, "a command, or a register as REGISTER:write");
        }
    }
    if (g->until_s <= g->from_s || g->until_s - g->from_s > HWS_GRANT_LIFE_S) {
        return blame("seconds", out_field, err, "1 to 3600 seconds");
    }
    if (g->reason[0] == '\0' || strlen(g->reason) > HWS_GRANT_REASON_BYTES) {
        return blame("reason", out_field, err, "1 to 256 bytes that say why");
    }
    return HWS_OK;
}

static bool row_fits(const char *row, const struct hws_grant_ask *ask)
{
    size_t n = strcspn(row, ":");

    return strlen(ask->target) == n && strncmp(row, ask->target, n) == 0 &&
           (row[n] == '\0' || hws_str_eq(row + n + 1, ask->target_method));
}

static bool is_about(const struct hws_grant *g, const struct hws_grant_ask *ask)
{
    bool row = g->n_rows == 0;

    for (size_t i = 0; i < g->n_rows && !row; i++) {
        row = row_fits(g->rows[i], ask);
    }
    return row && hws_str_eq(g->principal, ask->principal) && ask->effect <= g->effect &&
           (hws_str_eq(g->device, "*") || hws_str_eq(g->device, ask->device_id) ||
            hws_str_eq(g->device, ask->device_pci) || hws_str_eq(g->device, ask->device_serial));
}

enum hws_grant_fit hws_grant_fits(const struct hws_grant *g, const struct hws_grant_ask *ask,
                                  uint64_t now_s)
{
    if (!is_about(g, ask)) {
        return HWS_GRANT_OTHER;
    }
    if (now_s < g->from_s) {
        return HWS_GRANT_EARLY;
    }
    return now_s > g->until_s ? HWS_GRANT_EXPIRED : HWS_GRANT_COVERS;
}
