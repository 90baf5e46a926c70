/* Reading a trust file. */
#include "warrant/trust.h"

#include <string.h>

#include "base/str.h"

#define MAX_WORDS  3u
#define LINE_BYTES 320u

struct words {
    size_t n; /* MAX_WORDS + 1: too many */
    char *w[MAX_WORDS];
};

static void split(char *line, struct words *out)
{
    out->n = 0;
    line[strcspn(line, "#")] = '\0';
    for (char *at = line; *(at += strspn(at, " \t\r")) != '\0';) {
        if (out->n == MAX_WORDS) {
            out->n++;
            return;
        }
        out->w[out->n++] = at;
        at += strcspn(at, " \t\r");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
}

static const char *add_key(struct hws_trust *t, const struct words *w)
{
    struct hws_trust_key *k = &t->keys[t->n_keys];

    if (t->n_keys == HWS_TRUST_MAX_KEYS) {
        return "more than 64 keys";
    }
    if (strchr(w->w[1], ':') == NULL ||
        !hws_str_copy(k->principal, sizeof(k->principal), w->w[1])) {
        return "a principal is spiffe://domain/path, dns:name or unix:uid:number, at most 160 "
               "bytes";
    }
    if (hws_public_from_hex(w->w[2], &k->key) != HWS_OK) {
        return "a key is 66 hex digits, a point of P-256 as `hawser approval key` shows it";
    }
    for (size_t i = 0; i < t->n_keys; i++) {
        if (hws_public_eq(&t->keys[i].key, &k->key)) {
            return "this key stands here already: a key belongs to one principal";
        }
    }
    t->n_keys++;
    return NULL;
}

static const char *take_line(struct hws_trust *t, char *text)
{
    struct words w;

    split(text, &w);
    if (w.n == 0) {
        return NULL;
    }
    if (w.n == 2 && hws_str_eq(w.w[0], "host")) {
        if (t->host[0] != '\0') {
            return "the host is named twice";
        }
        return hws_str_copy(t->host, sizeof(t->host), w.w[1]) ? NULL
                                                              : "a host has at most 64 bytes";
    }
    if (w.n == 3 && hws_str_eq(w.w[0], "key")) {
        return add_key(t, &w);
    }
    if (w.n == 2 && hws_str_eq(w.w[0], "lockdown")) {
        t->debug_write_under_lockdown = hws_str_eq(w.w[1], "debug-write");
        return t->debug_write_under_lockdown ? NULL : "after \"lockdown\" stands \"debug-write\"";
    }
    if (w.n == 2 && hws_str_eq(w.w[0], "scope")) {
        t->full_scope = hws_str_eq(w.w[1], "full");
        return t->full_scope ? NULL : "after \"scope\" stands \"full\"";
    }
    return "a line is \"host NAME\", \"key PRINCIPAL HEX\", \"lockdown debug-write\" or \"scope "
           "full\"";
}

enum hws_code hws_trust_parse(const void *text, size_t n, const char *name, struct hws_trust *out,
                              struct hws_err *err)
{
    struct hws_trust t = {0};
    const char *at = text;
    const char *end = at + n;
    unsigned number = 0;

    if (n > HWS_TRUST_MAX_BYTES) {
        return hws_err_set(err, HWS_E_BUSY, "%s: more than %zu bytes", name, HWS_TRUST_MAX_BYTES);
    }
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = stop == NULL ? (size_t)(end - at) : (size_t)(stop - at);
        char line[LINE_BYTES];
        bool whole = hws_str_copy_n(line, sizeof(line), at, length);
        const char *why = whole ? take_line(&t, line) : "the line is too long";

        number++;
        if (why != NULL || memchr(at, '\0', length) != NULL) {
            return hws_err_set(err, HWS_E_INVALID, "%s:%u: %s", name, number,
                               why != NULL ? why : "a NUL byte");
        }
        at += length + (stop == NULL ? 0 : 1);
    }
    if (t.host[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "%s: no line \"host NAME\"", name);
    }
    *out = t;
    return HWS_OK;
}
