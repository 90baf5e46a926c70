/* The deny-list: lines into entries, entries against a peer. */
#include "tls/deny.h"

#include <string.h>

#include "base/mem.h"

enum kind { PRINCIPAL, SERIAL, SHA256 };

struct entry {
    enum kind kind;
    char *text; /* owned; hex in lower case */
};

struct hws_tls_deny {
    struct entry *entries; /* owned */
    size_t n;
    size_t cap;
};

static const struct {
    const char *word;
    enum kind kind;
} s_kinds[] = {
    {"principal ", PRINCIPAL},
    {"serial ", SERIAL},
    {"sha256 ", SHA256},
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Lower-case hex of whole bytes, in place. */
static bool fold_hex(char *text)
{
    size_t n = strlen(text);

    for (char *c = text; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'F') {
            *c = (char)(*c - 'A' + 'a');
        } else if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f'))) {
            return false;
        }
    }
    return n > 0 && n % 2 == 0;
}

/* A SPIFFE ID, or the folder that some lie in: one with a last slash, or a whole trust domain. */
static enum hws_code check_spiffe(const char *value, struct hws_err *err)
{
    char id[HWS_TLS_PRINCIPAL_MAX_BYTES + 2];
    size_t n = strlen(value);

    if (n > HWS_TLS_PRINCIPAL_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "%zu bytes (at most %u)", n,
                           HWS_TLS_PRINCIPAL_MAX_BYTES);
    }
    if (value[n - 1] != '/') {
        return hws_tls_spiffe_check(value, n, err);
    }
    bool domain = strchr(value + strlen("spiffe://"), '/') == value + n - 1;
    /* Some ID below the domain must be one; of a folder, what is before its slash. */
    (void)hws_str_print(id, sizeof(id), domain ? "%sx" : "%s", value);
    return hws_tls_spiffe_check(id, domain ? n + 1 : n - 1, err);
}

/* A host name, folded as those of certificates are. */
static enum hws_code fold_dns(char *name, struct hws_err *err)
{
    if (!hws_tls_dns_check(name, strlen(name))) {
        return hws_err_set(err, HWS_E_INVALID, "\"dns:\" needs a host name");
    }
    for (char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char)(*c - 'A' + 'a');
        }
    }
    return HWS_OK;
}

static enum hws_code fold_principal(char *value, struct hws_err *err)
{
    if (hws_str_starts(value, "spiffe://")) {
        return check_spiffe(value, err);
    }
    if (hws_str_starts(value, "dns:")) {
        return fold_dns(value + strlen("dns:"), err);
    }
    return hws_err_set(err, HWS_E_INVALID, "not spiffe://... or dns:...");
}

/* Brings a value into the form that a peer has; refuses one that no peer can have. */
static enum hws_code fold(enum kind kind, char *value, struct hws_err *err)
{
    if (kind == PRINCIPAL) {
        return fold_principal(value, err);
    }
    if (!fold_hex(value)) {
        return hws_err_set(err, HWS_E_INVALID, "not hex digits of whole bytes");
    }
    size_t n = strlen(value);
    if (kind == SHA256) {
        return n == 2 * (size_t)HWS_TLS_SHA256_BYTES
                   ? HWS_OK
                   : hws_err_set(err, HWS_E_INVALID, "%zu hex digits, not 64", n);
    }
    const char *from = value; /* a number has no leading zeros, DER's sign byte among them */
    while (n > 2 && hws_str_starts(from, "00")) {
        from += 2;
        n -= 2;
    }
    memmove(value, from, n + 1);
    return n <= 2 * (size_t)HWS_TLS_SERIAL_MAX_BYTES
               ? HWS_OK
               : hws_err_set(err, HWS_E_INVALID, "more than %u bytes", HWS_TLS_SERIAL_MAX_BYTES);
}

static enum hws_code add(struct hws_tls_deny *deny, enum kind kind, const char *value,
                         struct hws_err *err)
{
    if (deny->n == HWS_TLS_DENY_MAX_ENTRIES) {
        return hws_err_set(err, HWS_E_BUSY, "deny: more than %u entries", HWS_TLS_DENY_MAX_ENTRIES);
    }
    if (deny->n == deny->cap) {
        size_t cap = deny->cap == 0 ? 16 : 2 * deny->cap;
        struct entry *more = hws_mem_realloc(deny->entries, cap * sizeof(*more));
        if (more == NULL) {
            return hws_err_set(err, HWS_E_NOMEM, "deny: out of memory");
        }
        deny->entries = more;
        deny->cap = cap;
    }
    char *text = hws_mem_strdup(value);
    if (text == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "deny: out of memory");
    }
    deny->entries[deny->n].kind = kind;
    deny->entries[deny->n].text = text;
    deny->n++;
    return HWS_OK;
}

/* One line without its end, spaces at both sides cut off. */
static enum hws_code take_line(struct hws_tls_deny *deny, char *line, unsigned number,
                               struct hws_err *err)
{
    for (size_t i = 0; i < sizeof(s_kinds) / sizeof(s_kinds[0]); i++) {
        if (!hws_str_starts(line, s_kinds[i].word)) {
            continue;
        }
        char *value = line + strlen(s_kinds[i].word);
        while (is_space(*value)) {
            value++;
        }
        struct hws_err why = {0};
        if (fold(s_kinds[i].kind, value, &why) != HWS_OK) {
            return hws_err_set(err, HWS_E_INVALID, "deny: line %u: not a value for %s: %.160s",
                               number, s_kinds[i].word, why.msg);
        }
        return add(deny, s_kinds[i].kind, value, err);
    }
    return hws_err_set(err, HWS_E_INVALID,
                       "deny: line %u: does not begin with principal, serial or sha256", number);
}

static enum hws_code parse(struct hws_tls_deny *deny, struct hws_span text, struct hws_err *err)
{
    char line[HWS_TLS_DENY_MAX_LINE_BYTES + 1];
    enum hws_code rc = HWS_OK;

    for (unsigned number = 1; text.n > 0 && rc == HWS_OK; number++) {
        const uint8_t *end = memchr(text.bytes, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.bytes);
        const char *from = (const char *)text.bytes;
        const char *hash = memchr(from, '#', n);
        size_t k = hash == NULL ? n : (size_t)(hash - from);
        while (k > 0 && is_space(from[k - 1])) {
            k--;
        }
        while (k > 0 && is_space(from[0])) {
            from++;
            k--;
        }
        if (memchr(from, '\0', k) != NULL || !hws_str_copy_n(line, sizeof(line), from, k)) {
            return hws_err_set(err, HWS_E_INVALID, "deny: line %u: too long or not text", number);
        }
        rc = k == 0 ? HWS_OK : take_line(deny, line, number, err);
        text.bytes += end == NULL ? n : n + 1;
        text.n -= end == NULL ? n : n + 1;
    }
    return rc;
}

enum hws_code hws_tls_deny_parse(struct hws_span text, struct hws_tls_deny **out,
                                 struct hws_err *err)
{
    struct hws_tls_deny *deny = hws_mem_zalloc(1, sizeof(*deny));

    if (deny == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "deny: out of memory");
    }
    enum hws_code rc = parse(deny, text, err);
    if (rc != HWS_OK) {
        hws_tls_deny_free(deny);
        return rc;
    }
    *out = deny;
    return HWS_OK;
}

void hws_tls_deny_free(struct hws_tls_deny *deny)
{
    if (deny == NULL) {
        return;
    }
    for (size_t i = 0; i < deny->n; i++) {
        hws_mem_free(deny->entries[i].text);
    }
    hws_mem_free(deny->entries);
    hws_mem_free(deny);
}

static bool names(const struct entry *e, const struct hws_tls_peer *peer, const char *sha256)
{
    switch (e->kind) {
    case SERIAL:
        return hws_str_eq(e->text, peer->serial);
    case SHA256:
        return hws_str_eq(e->text, sha256);
    case PRINCIPAL:
        break;
    }
    return e->text[strlen(e->text) - 1] == '/' ? hws_str_starts(peer->principal, e->text)
                                               : hws_str_eq(peer->principal, e->text);
}

bool hws_tls_deny_has(const struct hws_tls_deny *deny, const struct hws_tls_peer *peer)
{
    char sha256[2 * HWS_TLS_SHA256_BYTES + 1];

    hws_hex_encode(peer->sha256, sizeof(peer->sha256), sha256);
    for (size_t i = 0; deny != NULL && i < deny->n; i++) {
        if (names(&deny->entries[i], peer, sha256)) {
            return true;
        }
    }
    return false;
}
