/*
 * The values of the configuration's keys: texts, paths, addresses, numbers, times, lists.
 */
#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"
#include "common/limits.h"
#include "hawserd/config_priv.h"

_Static_assert(HWS_COMMON_N_LIMITS <= HWS_CONFIG_MAX_LIMITS, "each once");

unsigned hws_config__line_of(struct fy_node *node)
{
    struct fy_token *token = fy_node_get_scalar_token(node);
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);

    return mark == NULL ? 0 : (unsigned)mark->line + 1;
}

enum hws_code hws_config__refuse(struct hws_config__reader *r, unsigned line, const char *what,
                                 const char *reason)
{
    return hws_err_set(&r->err, HWS_E_INVALID, "%s:%u: %s %s", r->name, line, what, reason);
}

enum hws_code hws_config__read_text(struct hws_config__reader *r, struct fy_node *node,
                                    unsigned line, const char *key, char *dst, size_t cap)
{
    size_t n = 0;
    const char *text = NULL;

    if (node != NULL && fy_node_get_type(node) == FYNT_SCALAR && !fy_node_is_alias(node)) {
        text = fy_node_get_scalar(node, &n);
    }
    if (text == NULL) {
        return hws_config__refuse(r, line, key, "must be a text");
    }
    if (n == 0) {
        return hws_config__refuse(r, line, key, "must not be empty");
    }
    if (n >= cap || memchr(text, '\0', n) != NULL) {
        return hws_config__refuse(r, line, key, "is too long or has a NUL");
    }
    hws_str_copy_n(dst, cap, text, n);
    return HWS_OK;
}

static enum hws_code read_path(struct hws_config__reader *r, struct fy_node *node, unsigned line,
                               const char *key, char *dst)
{
    char raw[HWS_CONFIG_PATH_BYTES] = "";
    enum hws_code code = hws_config__read_text(r, node, line, key, raw, sizeof(raw));

    if (code != HWS_OK) {
        return code;
    }
    bool whole = raw[0] == '/' || r->dir[0] == '\0'
                     ? hws_str_copy(dst, HWS_CONFIG_PATH_BYTES, raw)
                     : hws_str_print(dst, HWS_CONFIG_PATH_BYTES, "%s/%s", r->dir, raw);
    return whole ? HWS_OK : hws_config__refuse(r, line, key, "is too long");
}

static enum hws_code read_host(struct hws_config__reader *r, struct fy_node *node, unsigned line,
                               char *dst)
{
    enum hws_code code = hws_config__read_text(r, node, line, "host", dst, HWS_CONFIG_HOST_BYTES);

    if (code != HWS_OK) {
        return code;
    }
    if (strspn(dst, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
        strlen(dst)) {
        return hws_config__refuse(r, line, "host", "may have letters, digits, '.' and '-' only");
    }
    return HWS_OK;
}

/* "127.0.0.1:7443", "[::1]:7443": what hawser-wire can listen on. Names are not looked up. */
static bool is_address(const char *text)
{
    char host[INET6_ADDRSTRLEN + 2]; /* and brackets */
    struct in6_addr address;
    uint64_t port;
    const char *colon = strrchr(text, ':');

    if (colon == NULL || !hws_str_copy_n(host, sizeof(host), text, (size_t)(colon - text)) ||
        hws_str_to_u64(colon + 1, UINT16_MAX, &port, NULL) != HWS_OK) {
        return false;
    }
    size_t n = strlen(host);
    if (host[0] != '[') {
        return inet_pton(AF_INET, host, &address) == 1;
    }
    if (host[n - 1] != ']') {
        return false;
    }
    host[n - 1] = '\0';
    return inet_pton(AF_INET6, host + 1, &address) == 1;
}

static enum hws_code read_address(struct hws_config__reader *r, struct fy_node *node, unsigned line,
                                  const char *key, char *dst, size_t cap)
{
    enum hws_code code = hws_config__read_text(r, node, line, key, dst, cap);

    if (code != HWS_OK || is_address(dst)) {
        return code;
    }
    return hws_config__refuse(r, line, key,
                              "must be a numeric address and a port: 0.0.0.0:7443 or [::]:7443");
}

static enum hws_code read_backend(struct hws_config__reader *r, struct fy_node *node, unsigned line)
{
    char text[16];
    enum hws_code code = hws_config__read_text(r, node, line, "backend", text, sizeof(text));

    if (code != HWS_OK) {
        return code;
    }
    if (hws_str_eq(text, "emu")) {
        r->cfg.backend = HWS_BACKEND_EMU;
        return HWS_OK;
    }
    if (hws_str_eq(text, "fwctl")) {
        r->cfg.backend = HWS_BACKEND_FWCTL;
        return HWS_OK;
    }
    return hws_config__refuse(r, line, "backend", "must be emu or fwctl");
}

static enum hws_code read_records(struct hws_config__reader *r, struct fy_node *node, unsigned line)
{
    char *dst = r->cfg.tls_records;
    enum hws_code code =
        hws_config__read_text(r, node, line, "records", dst, HWS_CONFIG_RECORDS_BYTES);

    if (code != HWS_OK || hws_str_eq(dst, "auto") || hws_str_eq(dst, "libcrypto") ||
        hws_str_eq(dst, "mbedtls")) {
        return code;
    }
    return hws_config__refuse(r, line, "records", "must be auto, libcrypto or mbedtls");
}

/* trust: {other.example: other-ca.crt}, kept as "domain=path". */
static enum hws_code read_trust(struct hws_config__reader *r, struct fy_node *map, unsigned line)
{
    char domain[HWS_CONFIG_PATH_BYTES];
    char path[HWS_CONFIG_PATH_BYTES];
    void *it = NULL;
    struct fy_node_pair *pair;

    if (map == NULL || fy_node_get_type(map) != FYNT_MAPPING) {
        return hws_config__refuse(r, line, "trust", "must be a mapping of trust domains to files");
    }
    while ((pair = fy_node_mapping_iterate(map, &it)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        enum hws_code code = hws_config__read_text(r, key, hws_config__line_of(key), "trust",
                                                   domain, sizeof(domain));
        if (code == HWS_OK) {
            code = read_path(r, fy_node_pair_value(pair), hws_config__line_of(key), "trust", path);
        }
        if (code != HWS_OK) {
            return code;
        }
        if (r->cfg.n_tls_trust == HWS_CONFIG_MAX_TRUST) {
            return hws_config__refuse(r, line, "trust", "has more than 8 domains");
        }
        if (!hws_str_print(r->cfg.tls_trust[r->cfg.n_tls_trust++], HWS_CONFIG_TRUST_BYTES, "%s=%s",
                           domain, path)) {
            return hws_config__refuse(r, line, "trust", "is too long");
        }
    }
    return HWS_OK;
}

static bool has_limit(const struct hws_config *c, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < c->n_limits; i++) {
        if (strncmp(c->limits[i], name, n) == 0 && c->limits[i][n] == '=') {
            return true;
        }
    }
    return false;
}

/* One "name: value" of limits. */
static enum hws_code read_limit(struct hws_config__reader *r, struct fy_node_pair *pair)
{
    struct fy_node *key = fy_node_pair_key(pair);
    char name[HWS_CONFIG_LIMIT_BYTES - sizeof("=4294967295")];
    char value[HWS_CONFIG_LIMIT_BYTES];
    struct hws_err why;
    unsigned line = hws_config__line_of(key);
    enum hws_code code =
        hws_config__read_text(r, key, line, "a name in limits", name, sizeof(name));

    if (code == HWS_OK) {
        code = hws_config__read_text(r, fy_node_pair_value(pair), line, name, value, sizeof(value));
    }
    if (code != HWS_OK) {
        return code;
    }
    if (hws_common_limit_check(name, value, &why) != HWS_OK) {
        return hws_config__refuse(r, line, "limits:", why.msg);
    }
    if (has_limit(&r->cfg, name)) {
        return hws_config__refuse(r, line, name, "is given twice");
    }
    hws_str_print(r->cfg.limits[r->cfg.n_limits++], HWS_CONFIG_LIMIT_BYTES, "%s=%s", name, value);
    return HWS_OK;
}

/* limits: {max_conns: 512}, kept as "name=value". */
static enum hws_code read_limits(struct hws_config__reader *r, struct fy_node *map, unsigned line)
{
    void *it = NULL;
    struct fy_node_pair *pair;

    if (map == NULL || fy_node_get_type(map) != FYNT_MAPPING) {
        return hws_config__refuse(r, line, "limits", "must be a mapping of names to numbers");
    }
    while ((pair = fy_node_mapping_iterate(map, &it)) != NULL) {
        enum hws_code code = read_limit(r, pair);
        if (code != HWS_OK) {
            return code;
        }
    }
    return HWS_OK;
}

static enum hws_code read_paths(struct hws_config__reader *r, struct fy_node *node, unsigned line)
{
    void *it = NULL;
    struct fy_node *item;

    if (node == NULL || fy_node_get_type(node) != FYNT_SEQUENCE) {
        return hws_config__refuse(r, line, "profiles", "must be a list of files");
    }
    while ((item = fy_node_sequence_iterate(node, &it)) != NULL) {
        if (r->cfg.n_profiles == HWS_CONFIG_MAX_PROFILES) {
            return hws_config__refuse(r, line, "profiles", "has more than 16 entries");
        }
        enum hws_code code =
            read_path(r, item, line, "profiles", r->cfg.profiles[r->cfg.n_profiles]);
        if (code != HWS_OK) {
            return code;
        }
        r->cfg.n_profiles++;
    }
    return HWS_OK;
}

/* A number, or a time with its unit, into a member of 4 or 8 bytes. */
static enum hws_code read_number(struct hws_config__reader *r, const struct hws_config__field *f,
                                 struct fy_node *node, unsigned line, void *dst)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char text[32];
    char why[128];
    uint64_t v = 0;
    uint64_t factor = 1;
    enum hws_code code = hws_config__read_text(r, node, line, f->key, text, sizeof(text));

    if (code != HWS_OK) {
        return code;
    }
    if (f->kind == HWS_CONFIG__TIME) {
        char *unit = text + strlen(text) - 1;
        factor = 0;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            factor = *unit == units[i].unit ? units[i].ms : factor;
        }
        *unit = '\0';
    }
    if (factor == 0 || hws_str_to_u64(text, f->max / factor, &v, NULL) != HWS_OK ||
        v * factor < f->min) {
        uint64_t shown = f->kind == HWS_CONFIG__TIME ? 1000 : 1;
        hws_str_print(why, sizeof(why), "must be %llu..%llu%s",
                      (unsigned long long)(f->min / shown), (unsigned long long)(f->max / shown),
                      f->kind == HWS_CONFIG__TIME ? " seconds, given as 30s, 5m, 12h or 90d" : "");
        return hws_config__refuse(r, line, f->key, why);
    }
    v *= factor;
    if (f->cap == sizeof(uint32_t)) {
        memcpy(dst, &(uint32_t){(uint32_t)v}, sizeof(uint32_t));
    } else {
        memcpy(dst, &v, sizeof(v));
    }
    return HWS_OK;
}

enum hws_code hws_config__read_value(struct hws_config__reader *r,
                                     const struct hws_config__field *f, struct fy_node *value,
                                     unsigned line)
{
    char *dst = (char *)&r->cfg + f->offset;

    switch (f->kind) {
    case HWS_CONFIG__TEXT:
        return hws_config__read_text(r, value, line, f->key, dst, f->cap);
    case HWS_CONFIG__HOST:
        return read_host(r, value, line, dst);
    case HWS_CONFIG__ADDRESS:
        return read_address(r, value, line, f->key, dst, f->cap);
    case HWS_CONFIG__PATH:
        return read_path(r, value, line, f->key, dst);
    case HWS_CONFIG__BACKEND:
        return read_backend(r, value, line);
    case HWS_CONFIG__RECORDS:
        return read_records(r, value, line);
    case HWS_CONFIG__TRUST:
        return read_trust(r, value, line);
    case HWS_CONFIG__LIMITS:
        return read_limits(r, value, line);
    case HWS_CONFIG__PATHS:
        return read_paths(r, value, line);
    case HWS_CONFIG__NUMBER:
    case HWS_CONFIG__TIME:
        return read_number(r, f, value, line, dst);
    case HWS_CONFIG__MAP:
        break;
    }
    return hws_config__refuse(r, line, f->key, "cannot be nested here");
}
