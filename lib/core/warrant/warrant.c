/* A warrant as text, its signatures and its judgement. */
#include "warrant/warrant.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "warrant/warrant_priv.h"

#define TITLE "hawser-warrant-1\n"

/* ---- text out -------------------------------------------------------------------------------- */

static enum hws_code check_text(const char *field, const char *text, bool blanks,
                                struct hws_err *err)
{
    if (text[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "warrant: %s is empty", field);
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < (blanks ? 0x20 : 0x21) || *c > 0x7e) {
            return hws_err_set(err, HWS_E_INVALID, "warrant: %s may hold printable ASCII%s only",
                               field, blanks ? "" : " without blanks");
        }
    }
    return HWS_OK;
}

static enum hws_code check_request(const struct hws_warrant *w, struct hws_err *err)
{
    const struct {
        const char *name;
        const char *text;
    } words[] = {{"host", w->host},
                 {"device", w->device},
                 {"serial", w->serial},
                 {"request", w->request_id},
                 {"operator", w->operator_id}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (check_text(words[i].name, words[i].text, false, err) != HWS_OK) {
            return HWS_E_INVALID;
        }
    }
    return check_text("reason", w->reason, true, err);
}

static enum hws_code format_request(const struct hws_warrant *w, struct hws_buf *out,
                                    struct hws_err *err)
{
    char hex[HWS_DIGEST_HEX_BYTES];
    enum hws_code code = check_request(w, err);

    if (code != HWS_OK) {
        return code;
    }
    hws_digest_hex(&w->inbox, hex);
    code = hws_buf_printf(out,
                          TITLE "host: %s\ndevice: %s\nserial: %s\ninbox: %" PRIu32 " %s\n"
                                "request: %s\nfrom: %" PRIu64 "\nuntil: %" PRIu64
                                "\noperator: %s\nreason: %s\n",
                          w->host, w->device, w->serial, w->in_bytes, hex, w->request_id, w->from_s,
                          w->until_s, w->operator_id, w->reason);
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "out of memory");
}

enum hws_code hws_warrant_format(const struct hws_warrant *w, struct hws_buf *out,
                                 struct hws_err *err)
{
    char hex[HWS_SIGNATURE_HEX_BYTES];
    enum hws_code code = format_request(w, out, err);

    if (code == HWS_OK && w->has_operator) {
        hws_hex_encode(w->operator_sig.b, HWS_SIGNATURE_BYTES, hex);
        code = hws_buf_printf(out, "operator-signature: %s\n", hex);
    }
    if (code == HWS_OK && w->has_operator && w->has_approver) {
        code = check_text("approver", w->approver_id, false, err);
    }
    if (code == HWS_OK && w->has_operator && w->has_approver) {
        hws_hex_encode(w->approver_sig.b, HWS_SIGNATURE_BYTES, hex);
        code = hws_buf_printf(out, "approver: %s\napprover-signature: %s\n", w->approver_id, hex);
    }
    return code;
}

enum hws_code hws_warrant_hash(const struct hws_warrant *w, struct hws_digest *out,
                               struct hws_err *err)
{
    struct hws_buf text;

    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    enum hws_code code = format_request(w, &text, err);
    if (code == HWS_OK && hws_sha256_of(hws_buf_peek(&text), hws_buf_len(&text), out) != HWS_OK) {
        code = hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    hws_buf_deinit(&text);
    return code;
}

/* ---- text in --------------------------------------------------------------------------------- */

struct reader {
    const char *at;
    const char *end;
    const char *bad; /* the first line that is not as it must be */
};

/* Takes the line "name: value" into dst[cap]. */
static bool line(struct reader *r, const char *name, char *dst, size_t cap)
{
    size_t n_name = strlen(name);
    const char *stop = r->bad == NULL ? memchr(r->at, '\n', (size_t)(r->end - r->at)) : NULL;
    size_t n = stop == NULL ? 0 : (size_t)(stop - r->at);

    if (n < n_name + 3 || memcmp(r->at, name, n_name) != 0 ||
        memcmp(r->at + n_name, ": ", 2) != 0 || n - n_name - 2 >= cap) {
        r->bad = r->bad == NULL ? name : r->bad;
        return false;
    }
    (void)hws_str_copy_n(dst, cap, r->at + n_name + 2, n - n_name - 2);
    r->at = stop + 1;
    return true;
}

static void number_line(struct reader *r, const char *name, uint64_t *out)
{
    char text[24];

    if (line(r, name, text, sizeof(text)) &&
        hws_str_to_u64(text, UINT64_MAX, out, NULL) != HWS_OK) {
        r->bad = name;
    }
}

static void inbox_line(struct reader *r, struct hws_warrant *w)
{
    char text[HWS_DIGEST_HEX_BYTES + 16];
    uint64_t n = 0;

    if (!line(r, "inbox", text, sizeof(text))) {
        return;
    }
    char *blank = strchr(text, ' ');
    if (blank == NULL) {
        r->bad = "inbox";
        return;
    }
    *blank = '\0';
    if (hws_str_to_u64(text, UINT32_MAX, &n, NULL) != HWS_OK ||
        hws_digest_from_hex(blank + 1, &w->inbox) != HWS_OK) {
        r->bad = "inbox";
    }
    w->in_bytes = (uint32_t)n;
}

static void signature_line(struct reader *r, const char *name, struct hws_signature *out)
{
    char hex[HWS_SIGNATURE_HEX_BYTES];
    size_t n = 0;

    if (line(r, name, hex, sizeof(hex)) &&
        (hws_hex_decode(hex, out->b, sizeof(out->b), &n) != HWS_OK || n != sizeof(out->b))) {
        r->bad = name;
    }
}

static void read_lines(struct reader *r, struct hws_warrant *w)
{
    (void)line(r, "host", w->host, sizeof(w->host));
    (void)line(r, "device", w->device, sizeof(w->device));
    (void)line(r, "serial", w->serial, sizeof(w->serial));
    inbox_line(r, w);
    (void)line(r, "request", w->request_id, sizeof(w->request_id));
    number_line(r, "from", &w->from_s);
    number_line(r, "until", &w->until_s);
    (void)line(r, "operator", w->operator_id, sizeof(w->operator_id));
    (void)line(r, "reason", w->reason, sizeof(w->reason));
    w->has_operator = r->bad == NULL && r->at < r->end;
    if (w->has_operator) {
        signature_line(r, "operator-signature", &w->operator_sig);
    }
    w->has_approver = r->bad == NULL && r->at < r->end;
    if (w->has_approver) {
        (void)line(r, "approver", w->approver_id, sizeof(w->approver_id));
        signature_line(r, "approver-signature", &w->approver_sig);
    }
    if (r->bad == NULL && r->at != r->end) {
        r->bad = "the end";
    }
}

/* One spelling: what was read must write as the same bytes (digits, case, blanks). */
static enum hws_code check_spelling(const struct hws_warrant *w, const void *text, size_t n,
                                    struct hws_err *err)
{
    struct hws_buf again;

    hws_buf_init(&again, HWS_WARRANT_MAX_BYTES);
    enum hws_code code = hws_warrant_format(w, &again, err);
    bool same =
        code == HWS_OK && hws_buf_len(&again) == n && memcmp(hws_buf_peek(&again), text, n) == 0;
    hws_buf_deinit(&again);
    if (code == HWS_E_NOMEM || same) {
        return code;
    }
    return hws_err_set(err, HWS_E_PROTO, "warrant: not in its one spelling");
}

enum hws_code hws_warrant_parse(const void *text, size_t n, struct hws_warrant *out,
                                struct hws_err *err)
{
    struct hws_warrant w = {0};
    struct reader r = {.at = text, .end = (const char *)text + n};

    if (n > HWS_WARRANT_MAX_BYTES) {
        return hws_err_set(err, HWS_E_PROTO, "warrant: %zu bytes, allowed are %u", n,
                           HWS_WARRANT_MAX_BYTES);
    }
    if (n < sizeof(TITLE) - 1 || memcmp(text, TITLE, sizeof(TITLE) - 1) != 0) {
        return hws_err_set(err, HWS_E_PROTO, "warrant: the first line is not hawser-warrant-1");
    }
    r.at += sizeof(TITLE) - 1;
    read_lines(&r, &w);
    if (r.bad != NULL) {
        return hws_err_set(err, HWS_E_PROTO, "warrant: line \"%s\" is missing or malformed", r.bad);
    }
    enum hws_code code = check_spelling(&w, text, n, err);
    if (code == HWS_OK) {
        *out = w;
    }
    return code;
}

/* ---- signatures ------------------------------------------------------------------------------ */

enum hws_code hws_warrant_bind(struct hws_warrant *w, const uint8_t *in, size_t n,
                               struct hws_err *err)
{
    if (n > UINT32_MAX || hws_sha256_of(in, n, &w->inbox) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    w->in_bytes = (uint32_t)n;
    return HWS_OK;
}

size_t hws_warrant__signed(const struct hws_digest *hash, enum hws_warrant_part part,
                           const char *principal, char *dst, size_t cap)
{
    char hex[HWS_DIGEST_HEX_BYTES];

    hws_digest_hex(hash, hex);
    bool fits =
        hws_str_print(dst, cap, "hawser-warrant-1 %s\n%s\n%s\n",
                      part == HWS_WARRANT_OPERATOR ? "operator" : "approver", hex, principal);
    return fits ? strlen(dst) : 0;
}

enum hws_code hws_warrant_sign(struct hws_warrant *w, enum hws_warrant_part part,
                               const char *principal, const struct hws_signer *key,
                               struct hws_err *err)
{
    bool approves = part == HWS_WARRANT_APPROVER;
    struct hws_signature *sig = approves ? &w->approver_sig : &w->operator_sig;
    char text[HWS_WARRANT__SIGNED_BYTES];
    struct hws_digest hash;

    if (approves && !w->has_operator) {
        return hws_err_set(err, HWS_E_STATE, "warrant: the operator has not signed it");
    }
    enum hws_code code = check_text("principal", principal, false, err);
    if (code == HWS_OK && strlen(principal) >= HWS_WARRANT_PRINCIPAL_BYTES) {
        code = hws_err_set(err, HWS_E_INVALID, "warrant: a principal has at most %u bytes",
                           HWS_WARRANT_PRINCIPAL_BYTES - 1);
    }
    code = code == HWS_OK ? hws_warrant_hash(w, &hash, err) : code;
    if (code != HWS_OK) {
        return code;
    }
    size_t n = hws_warrant__signed(&hash, part, principal, text, sizeof(text));
    code = hws_sign(key, text, n, sig, err);
    if (code != HWS_OK) {
        return code;
    }
    if (approves) {
        (void)hws_str_copy(w->approver_id, sizeof(w->approver_id), principal);
        w->has_approver = true;
    } else {
        w->has_operator = true;
    }
    return HWS_OK;
}
