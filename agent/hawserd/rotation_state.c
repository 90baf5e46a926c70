/* STATE/policy.state as bytes: lines of what is known, an empty line, the policies. */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "hawserd/rotation.h"

#define N_LINES 4u

enum hws_code hws_rotation_encode(const struct hws_rotation_state *s, struct hws_buf *out)
{
    char hex[HWS_DIGEST_HEX_BYTES];

    hws_digest_hex(&s->file, hex);
    enum hws_code code =
        hws_buf_printf(out, "file %s\ntrial %d %" PRIu64 " %" PRIu64 "\nkept %zu\ntried %zu\n", hex,
                       s->trial ? 1 : 0, s->deadline_unix_ms, s->trial_ms, s->n_kept, s->n_tried);
    if (code == HWS_OK) {
        code = hws_buf_put(out, s->kept, s->n_kept);
    }
    return code == HWS_OK ? hws_buf_put(out, s->tried, s->n_tried) : code;
}

/* A decimal number at *at, followed by end; false if there is none. */
static bool take_number(const char **at, char end, uint64_t *out)
{
    size_t n = strspn(*at, "0123456789");
    char text[24];

    if (n == 0 || (*at)[n] != end || !hws_str_copy_n(text, sizeof(text), *at, n) ||
        hws_str_to_u64(text, UINT64_MAX, out, NULL) != HWS_OK) {
        return false;
    }
    *at += n + 1;
    return true;
}

static bool take_word(const char **at, const char *word)
{
    if (!hws_str_starts(*at, word)) {
        return false;
    }
    *at += strlen(word);
    return true;
}

static bool take_head(const char *at, struct hws_rotation_state *out)
{
    uint64_t trial = 0;
    uint64_t n_kept = 0;
    uint64_t n_tried = 0;
    size_t n = 0;

    if (!take_word(&at, "file ") || strlen(at) <= 64 || at[64] != '\n') {
        return false;
    }
    char hex[65];
    (void)hws_str_copy_n(hex, sizeof(hex), at, 64);
    if (hws_hex_decode(hex, out->file.b, sizeof(out->file.b), &n) != HWS_OK || n != 32) {
        return false;
    }
    at += 65;
    bool whole = take_word(&at, "trial ") && take_number(&at, ' ', &trial) &&
                 take_number(&at, ' ', &out->deadline_unix_ms) &&
                 take_number(&at, '\n', &out->trial_ms) && take_word(&at, "kept ") &&
                 take_number(&at, '\n', &n_kept) && take_word(&at, "tried ") &&
                 take_number(&at, '\n', &n_tried);
    if (!whole || *at != '\0' || trial > 1 || n_kept > HWS_POLICY_MAX_BYTES ||
        n_tried > HWS_POLICY_MAX_BYTES || out->trial_ms > HWS_ROTATION_MAX_MS) {
        return false;
    }
    out->trial = trial != 0;
    out->n_kept = (size_t)n_kept;
    out->n_tried = (size_t)n_tried;
    return out->n_kept > 0 && (out->n_tried > 0) == out->trial;
}

enum hws_code hws_rotation_decode(const uint8_t *bytes, size_t n, struct hws_rotation_state *out,
                                  struct hws_err *err)
{
    char head[256];
    size_t n_head = 0;
    unsigned n_lines = 0;

    memset(out, 0, sizeof(*out));
    while (n_head < n && n_lines < N_LINES) {
        n_lines += bytes[n_head++] == '\n' ? 1 : 0;
    }
    if (n_lines < N_LINES || !hws_str_copy_n(head, sizeof(head), (const char *)bytes, n_head) ||
        strlen(head) != n_head || !take_head(head, out) ||
        out->n_kept + out->n_tried != n - n_head) {
        return hws_err_set(err, HWS_E_PROTO, "this is no state of a policy");
    }
    out->kept = bytes + n_head;
    out->tried = out->kept + out->n_kept;
    return HWS_OK;
}
