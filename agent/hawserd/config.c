/*
 * The agent's configuration: libfyaml parses, tables of keys judge.
 *
 * Happy path: text -> document -> walk the root mapping by its table -> check what depends on what.
 * Failures: YAML syntax, a key that no table has or that comes twice, a value of the wrong shape or
 * length, a missing key. Each names file, line and reason.
 */
#include "hawserd/config.h"

#include <arpa/inet.h>
#include <libfyaml.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "common/file.h"
#include "common/limits.h"

_Static_assert(HWS_COMMON_N_LIMITS <= HWS_CONFIG_MAX_LIMITS, "each once");

enum field_kind {
    FIELD_TEXT,
    FIELD_HOST,
    FIELD_ADDRESS,
    FIELD_PATH,
    FIELD_BACKEND,
    FIELD_RECORDS,
    FIELD_TRUST,
    FIELD_LIMITS,
    FIELD_PATHS,
    FIELD_NUMBER,
    FIELD_TIME,
    FIELD_MAP
};

struct field {
    const char *key;
    enum field_kind kind;
    bool required;
    size_t offset; /* of a char array in struct hws_config */
    size_t cap;    /* of a number: the bytes of its member */
    uint64_t min;  /* FIELD_NUMBER and FIELD_TIME (milliseconds) */
    uint64_t max;
    const struct field *fields; /* of a FIELD_MAP; ends with a NULL key */
};

#define TEXT_FIELD(key, kind, required, member)                                                    \
    {                                                                                              \
        key, kind, required, offsetof(struct hws_config, member),                                  \
            sizeof(((struct hws_config *)0)->member), 0, 0, NULL                                   \
    }
#define NUMBER_FIELD(key, kind, member, min, max)                                                  \
    {                                                                                              \
        key, kind, false, offsetof(struct hws_config, member),                                     \
            sizeof(((struct hws_config *)0)->member), min, max, NULL                               \
    }
#define OTHER_FIELD(key, kind, required, fields)                                                   \
    {                                                                                              \
        key, kind, required, 0, 0, 0, 0, fields                                                    \
    }
#define NO_FIELD OTHER_FIELD(NULL, FIELD_TEXT, false, NULL)

static const struct field tls_fields[] = {
    TEXT_FIELD("cert", FIELD_PATH, true, tls_cert),
    TEXT_FIELD("key", FIELD_PATH, true, tls_key),
    TEXT_FIELD("ca", FIELD_PATH, true, tls_ca),
    TEXT_FIELD("crl", FIELD_PATH, false, tls_crl),
    TEXT_FIELD("deny", FIELD_PATH, false, tls_deny),
    OTHER_FIELD("trust", FIELD_TRUST, false, NULL),
    OTHER_FIELD("records", FIELD_RECORDS, false, NULL),
    NO_FIELD,
};
static const struct field device_fields[] = {
    OTHER_FIELD("backend", FIELD_BACKEND, true, NULL),
    OTHER_FIELD("profiles", FIELD_PATHS, false, NULL),
    NO_FIELD,
};
static const struct field audit_fields[] = {
    NUMBER_FIELD("max_age", FIELD_TIME, audit_max_age_ms, 3600000, UINT64_C(100) * 365 * 86400000),
    NUMBER_FIELD("max_records", FIELD_NUMBER, audit_max_records, HWS_CONFIG_AUDIT_MIN_RECORDS,
                 HWS_CONFIG_AUDIT_MAX_RECORDS),
    NUMBER_FIELD("max_bytes", FIELD_NUMBER, audit_max_bytes, HWS_CONFIG_AUDIT_MIN_BYTES,
                 HWS_CONFIG_AUDIT_MAX_BYTES),
    NUMBER_FIELD("sign_records", FIELD_NUMBER, audit_sign_records, 1, 10000),
    NUMBER_FIELD("sign_after", FIELD_TIME, audit_sign_ms, 1000, 3600000),
    NO_FIELD,
};
static const struct field rate_fields[] = {
#define RATE_FIELD(name, effect)                                                                   \
    NUMBER_FIELD(name, FIELD_NUMBER, rates_per_min[effect], 0, HWS_RATES_MAX_PER_MIN)
    RATE_FIELD("read", HWS_EFFECT_READ),
    RATE_FIELD("read-sensitive", HWS_EFFECT_READ_SENSITIVE),
    RATE_FIELD("config-next-reset", HWS_EFFECT_CONFIG_NEXT_RESET),
    RATE_FIELD("config-live", HWS_EFFECT_CONFIG_LIVE),
    RATE_FIELD("debug-write", HWS_EFFECT_DEBUG_WRITE),
    RATE_FIELD("full", HWS_EFFECT_FULL),
    NO_FIELD,
#undef RATE_FIELD
};
static const struct field warrant_fields[] = {
    TEXT_FIELD("trust", FIELD_PATH, true, trust),
    TEXT_FIELD("memory", FIELD_PATH, true, memory),
    NO_FIELD,
};
static const struct field root_fields[] = {
    TEXT_FIELD("host", FIELD_HOST, true, host),
    TEXT_FIELD("run_dir", FIELD_PATH, true, run_dir),
    TEXT_FIELD("state_dir", FIELD_PATH, true, state_dir),
    TEXT_FIELD("policy", FIELD_PATH, true, policy),
    TEXT_FIELD("user", FIELD_TEXT, false, user),
    TEXT_FIELD("listen", FIELD_ADDRESS, false, listen),
    OTHER_FIELD("tls", FIELD_MAP, false, tls_fields),
    OTHER_FIELD("limits", FIELD_LIMITS, false, NULL),
    OTHER_FIELD("devices", FIELD_MAP, true, device_fields),
    OTHER_FIELD("audit", FIELD_MAP, false, audit_fields),
    OTHER_FIELD("rates", FIELD_MAP, false, rate_fields),
    OTHER_FIELD("warrants", FIELD_MAP, false, warrant_fields),
    NO_FIELD,
};

/* One parse. */
struct reader {
    struct hws_config cfg;
    const char *dir;
    const char *name;
    struct hws_err err; /* why, when something was refused */
};

static unsigned line_of(struct fy_node *node)
{
    struct fy_token *token = fy_node_get_scalar_token(node);
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);

    return mark == NULL ? 0 : (unsigned)mark->line + 1;
}

static enum hws_code refuse(struct reader *r, unsigned line, const char *what, const char *reason)
{
    return hws_err_set(&r->err, HWS_E_INVALID, "%s:%u: %s %s", r->name, line, what, reason);
}

/* Copies a scalar into dst; refuses aliases, emptiness, NULs and what does not fit. */
static enum hws_code read_text(struct reader *r, struct fy_node *node, unsigned line,
                               const char *key, char *dst, size_t cap)
{
    size_t n = 0;
    const char *text = NULL;

    if (node != NULL && fy_node_get_type(node) == FYNT_SCALAR && !fy_node_is_alias(node)) {
        text = fy_node_get_scalar(node, &n);
    }
    if (text == NULL) {
        return refuse(r, line, key, "must be a text");
    }
    if (n == 0) {
        return refuse(r, line, key, "must not be empty");
    }
    if (n >= cap || memchr(text, '\0', n) != NULL) {
        return refuse(r, line, key, "is too long or has a NUL");
    }
    hws_str_copy_n(dst, cap, text, n);
    return HWS_OK;
}

static enum hws_code read_path(struct reader *r, struct fy_node *node, unsigned line,
                               const char *key, char *dst)
{
    char raw[HWS_CONFIG_PATH_BYTES];
    enum hws_code code = read_text(r, node, line, key, raw, sizeof(raw));

    if (code != HWS_OK) {
        return code;
    }
    bool whole = raw[0] == '/' || r->dir[0] == '\0'
                     ? hws_str_copy(dst, HWS_CONFIG_PATH_BYTES, raw)
                     : hws_str_print(dst, HWS_CONFIG_PATH_BYTES, "%s/%s", r->dir, raw);
    return whole ? HWS_OK : refuse(r, line, key, "is too long");
}

static enum hws_code read_host(struct reader *r, struct fy_node *node, unsigned line, char *dst)
{
    enum hws_code code = read_text(r, node, line, "host", dst, HWS_CONFIG_HOST_BYTES);

    if (code != HWS_OK) {
        return code;
    }
    if (strspn(dst, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
        strlen(dst)) {
        return refuse(r, line, "host", "may have letters, digits, '.' and '-' only");
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

static enum hws_code read_address(struct reader *r, struct fy_node *node, unsigned line,
                                  const char *key, char *dst, size_t cap)
{
    enum hws_code code = read_text(r, node, line, key, dst, cap);

    if (code != HWS_OK || is_address(dst)) {
        return code;
    }
    return refuse(r, line, key, "must be a numeric address and a port: 0.0.0.0:7443 or [::]:7443");
}

static enum hws_code read_backend(struct reader *r, struct fy_node *node, unsigned line)
{
    char text[16];
    enum hws_code code = read_text(r, node, line, "backend", text, sizeof(text));

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
    return refuse(r, line, "backend", "must be emu or fwctl");
}

static enum hws_code read_records(struct reader *r, struct fy_node *node, unsigned line)
{
    char *dst = r->cfg.tls_records;
    enum hws_code code = read_text(r, node, line, "records", dst, HWS_CONFIG_RECORDS_BYTES);

    if (code != HWS_OK || hws_str_eq(dst, "auto") || hws_str_eq(dst, "libcrypto") ||
        hws_str_eq(dst, "mbedtls")) {
        return code;
    }
    return refuse(r, line, "records", "must be auto, libcrypto or mbedtls");
}

/* trust: {other.example: other-ca.crt}, kept as "domain=path". */
static enum hws_code read_trust(struct reader *r, struct fy_node *map, unsigned line)
{
    char domain[HWS_CONFIG_PATH_BYTES];
    char path[HWS_CONFIG_PATH_BYTES];
    void *it = NULL;
    struct fy_node_pair *pair;

    if (map == NULL || fy_node_get_type(map) != FYNT_MAPPING) {
        return refuse(r, line, "trust", "must be a mapping of trust domains to files");
    }
    while ((pair = fy_node_mapping_iterate(map, &it)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        enum hws_code code = read_text(r, key, line_of(key), "trust", domain, sizeof(domain));
        if (code == HWS_OK) {
            code = read_path(r, fy_node_pair_value(pair), line_of(key), "trust", path);
        }
        if (code != HWS_OK) {
            return code;
        }
        if (r->cfg.n_tls_trust == HWS_CONFIG_MAX_TRUST) {
            return refuse(r, line, "trust", "has more than 8 domains");
        }
        if (!hws_str_print(r->cfg.tls_trust[r->cfg.n_tls_trust++], HWS_CONFIG_TRUST_BYTES, "%s=%s",
                           domain, path)) {
            return refuse(r, line, "trust", "is too long");
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
static enum hws_code read_limit(struct reader *r, struct fy_node_pair *pair)
{
    struct fy_node *key = fy_node_pair_key(pair);
    char name[HWS_CONFIG_LIMIT_BYTES - sizeof("=4294967295")];
    char value[HWS_CONFIG_LIMIT_BYTES];
    struct hws_err why;
    unsigned line = line_of(key);
    enum hws_code code = read_text(r, key, line, "a name in limits", name, sizeof(name));

    if (code == HWS_OK) {
        code = read_text(r, fy_node_pair_value(pair), line, name, value, sizeof(value));
    }
    if (code != HWS_OK) {
        return code;
    }
    if (hws_common_limit_check(name, value, &why) != HWS_OK) {
        return refuse(r, line, "limits:", why.msg);
    }
    if (has_limit(&r->cfg, name)) {
        return refuse(r, line, name, "is given twice");
    }
    hws_str_print(r->cfg.limits[r->cfg.n_limits++], HWS_CONFIG_LIMIT_BYTES, "%s=%s", name, value);
    return HWS_OK;
}

/* limits: {max_conns: 512}, kept as "name=value". */
static enum hws_code read_limits(struct reader *r, struct fy_node *map, unsigned line)
{
    void *it = NULL;
    struct fy_node_pair *pair;

    if (map == NULL || fy_node_get_type(map) != FYNT_MAPPING) {
        return refuse(r, line, "limits", "must be a mapping of names to numbers");
    }
    while ((pair = fy_node_mapping_iterate(map, &it)) != NULL) {
        enum hws_code code = read_limit(r, pair);
        if (code != HWS_OK) {
            return code;
        }
    }
    return HWS_OK;
}

static enum hws_code read_paths(struct reader *r, struct fy_node *node, unsigned line)
{
    void *it = NULL;
    struct fy_node *item;

    if (node == NULL || fy_node_get_type(node) != FYNT_SEQUENCE) {
        return refuse(r, line, "profiles", "must be a list of files");
    }
    while ((item = fy_node_sequence_iterate(node, &it)) != NULL) {
        if (r->cfg.n_profiles == HWS_CONFIG_MAX_PROFILES) {
            return refuse(r, line, "profiles", "has more than 16 entries");
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
static enum hws_code read_number(struct reader *r, const struct field *f, struct fy_node *node,
                                 unsigned line, void *dst)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char text[32];
    char why[128];
    uint64_t v = 0;
    uint64_t factor = 1;
    enum hws_code code = read_text(r, node, line, f->key, text, sizeof(text));

    if (code != HWS_OK) {
        return code;
    }
    if (f->kind == FIELD_TIME) {
        char *unit = text + strlen(text) - 1;
        factor = 0;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            factor = *unit == units[i].unit ? units[i].ms : factor;
        }
        *unit = '\0';
    }
    if (factor == 0 || hws_str_to_u64(text, f->max / factor, &v, NULL) != HWS_OK ||
        v * factor < f->min) {
        uint64_t shown = f->kind == FIELD_TIME ? 1000 : 1;
        hws_str_print(why, sizeof(why), "must be %llu..%llu%s",
                      (unsigned long long)(f->min / shown), (unsigned long long)(f->max / shown),
                      f->kind == FIELD_TIME ? " seconds, given as 30s, 5m, 12h or 90d" : "");
        return refuse(r, line, f->key, why);
    }
    v *= factor;
    if (f->cap == sizeof(uint32_t)) {
        memcpy(dst, &(uint32_t){(uint32_t)v}, sizeof(uint32_t));
    } else {
        memcpy(dst, &v, sizeof(v));
    }
    return HWS_OK;
}

static enum hws_code read_leaf(struct reader *r, const struct field *f, struct fy_node *value,
                               unsigned line)
{
    char *dst = (char *)&r->cfg + f->offset;

    switch (f->kind) {
    case FIELD_TEXT:
        return read_text(r, value, line, f->key, dst, f->cap);
    case FIELD_HOST:
        return read_host(r, value, line, dst);
    case FIELD_ADDRESS:
        return read_address(r, value, line, f->key, dst, f->cap);
    case FIELD_PATH:
        return read_path(r, value, line, f->key, dst);
    case FIELD_BACKEND:
        return read_backend(r, value, line);
    case FIELD_RECORDS:
        return read_records(r, value, line);
    case FIELD_TRUST:
        return read_trust(r, value, line);
    case FIELD_LIMITS:
        return read_limits(r, value, line);
    case FIELD_PATHS:
        return read_paths(r, value, line);
    case FIELD_NUMBER:
    case FIELD_TIME:
        return read_number(r, f, value, line, dst);
    case FIELD_MAP:
        break;
    }
    return refuse(r, line, f->key, "cannot be nested here");
}

static const struct field *find_field(const struct field *fields, const char *key)
{
    for (const struct field *f = fields; f->key != NULL; f++) {
        if (hws_str_eq(f->key, key)) {
            return f;
        }
    }
    return NULL;
}

static void list_keys(const struct field *fields, char *dst, size_t cap)
{
    size_t used = 0;

    dst[0] = '\0';
    for (const struct field *f = fields; f->key != NULL && used + 1 < cap; f++) {
        (void)hws_str_print(dst + used, cap - used, "%s%s", f == fields ? "" : ", ", f->key);
        used += strlen(dst + used);
    }
}

/* The field that a key names, marked as seen; NULL and r->err if there is none or it was seen. */
static const struct field *read_key(struct reader *r, struct fy_node *node,
                                    const struct field *fields, uint32_t *seen)
{
    char key[32];
    unsigned line = line_of(node);

    if (read_text(r, node, line, "a key", key, sizeof(key)) != HWS_OK) {
        return NULL;
    }
    const struct field *f = find_field(fields, key);
    if (f == NULL) {
        char known[160];
        list_keys(fields, known, sizeof(known));
        hws_err_set(&r->err, HWS_E_INVALID, "%s:%u: unknown key \"%s\"; known are %s", r->name,
                    line, key, known);
        return NULL;
    }
    uint32_t bit = UINT32_C(1) << (unsigned)(f - fields);
    if ((*seen & bit) != 0) {
        (void)refuse(r, line, f->key, "is given twice");
        return NULL;
    }
    *seen |= bit;
    return f;
}

static enum hws_code check_required(struct reader *r, const struct field *fields, uint32_t seen,
                                    unsigned line)
{
    for (const struct field *f = fields; f->key != NULL; f++) {
        if (f->required && (seen & UINT32_C(1) << (unsigned)(f - fields)) == 0) {
            return refuse(r, line, f->key, "is missing");
        }
    }
    return HWS_OK;
}

/* A mapping of leaves only. */
static enum hws_code read_flat_map(struct reader *r, const struct field *fields,
                                   struct fy_node *map, unsigned line)
{
    uint32_t seen = 0;
    void *it = NULL;
    struct fy_node_pair *pair;

    if (map == NULL || fy_node_get_type(map) != FYNT_MAPPING) {
        return refuse(r, line, "the value", "must be a mapping");
    }
    while ((pair = fy_node_mapping_iterate(map, &it)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        const struct field *f = read_key(r, key, fields, &seen);
        if (f == NULL || read_leaf(r, f, fy_node_pair_value(pair), line_of(key)) != HWS_OK) {
            return r->err.code;
        }
    }
    return check_required(r, fields, seen, line);
}

static enum hws_code read_root(struct reader *r, struct fy_node *root)
{
    uint32_t seen = 0;
    void *it = NULL;
    struct fy_node_pair *pair;

    if (root == NULL || fy_node_get_type(root) != FYNT_MAPPING) {
        return refuse(r, 1, "the file", "must be a mapping");
    }
    while ((pair = fy_node_mapping_iterate(root, &it)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        struct fy_node *value = fy_node_pair_value(pair);
        const struct field *f = read_key(r, key, root_fields, &seen);
        if (f == NULL) {
            return r->err.code;
        }
        enum hws_code code = f->kind == FIELD_MAP ? read_flat_map(r, f->fields, value, line_of(key))
                                                  : read_leaf(r, f, value, line_of(key));
        if (code != HWS_OK) {
            return code;
        }
    }
    return check_required(r, root_fields, seen, 1);
}

/* True if path is dir or lies below it; both are plain. */
static bool lies_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/') {
        n--;
    }
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* No "." or ".." and no empty component: then where a path lies can be read from its text. A first
 * "." or ".." is that of a configuration that was named so, and the same in each path. */
static bool is_plain(const char *path)
{
    for (const char *at = strchr(path, '/'); at != NULL; at = strchr(at + 1, '/')) {
        size_t n = strcspn(at + 1, "/");
        bool is_last = at[1] == '\0';

        if ((n == 0 && !is_last) || (n == 1 && at[1] == '.') ||
            (n == 2 && at[1] == '.' && at[2] == '.')) {
            return false;
        }
    }
    return true;
}

/* Which of the paths that are compared is not plain; NULL if each is. */
static const char *not_plain(const struct hws_config *c)
{
    const struct {
        const char *key;
        const char *path;
    } paths[] = {{"run_dir", c->run_dir},
                 {"state_dir", c->state_dir},
                 {"warrants: trust", c->trust},
                 {"warrants: memory", c->memory}};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (!is_plain(paths[i].path)) {
            return paths[i].key;
        }
    }
    return NULL;
}

/* hawserd can write run_dir and state_dir: keys and memory of another judge do not belong there. */
static bool is_ours(const struct hws_config *c, const char *path)
{
    return lies_in(path, c->run_dir) || lies_in(path, c->state_dir);
}

/* What one key says about another. */
static enum hws_code check_whole(struct reader *r)
{
    const struct hws_config *c = &r->cfg;

    if (c->listen[0] != '\0' && c->tls_cert[0] == '\0') {
        return refuse(r, 1, "tls", "is required with listen: TCP is served with mutual TLS only");
    }
    if (strlen(c->run_dir) > HWS_CONFIG_RUN_DIR_MAX) {
        return refuse(r, 1, "run_dir", "is longer than 80 bytes: a socket's path would not fit");
    }
    if (c->backend == HWS_BACKEND_EMU && c->n_profiles == 0) {
        return refuse(r, 1, "profiles", "needs at least one file with backend emu");
    }
    if (c->backend == HWS_BACKEND_FWCTL && c->n_profiles != 0) {
        return refuse(r, 1, "profiles", "belongs to backend emu only");
    }
    const char *key = c->trust[0] == '\0' ? NULL : not_plain(c);
    if (key != NULL) {
        return refuse(r, 1, key,
                      "must be a path without \"//\", \".\" and \"..\": with warrants it has to be "
                      "plain which folder lies in which");
    }
    if (is_ours(c, c->trust) || is_ours(c, c->memory)) {
        return refuse(r, 1, "warrants",
                      "must lie outside of run_dir and state_dir, where hawserd itself can write");
    }
    return HWS_OK;
}

/* libfyaml's own lines name the text by its address in memory: what it collected is used instead.
 */
static void swallow(struct fy_diag *diag HWS_UNUSED, void *user HWS_UNUSED,
                    const char *buf HWS_UNUSED, size_t len HWS_UNUSED)
{
}

static enum hws_code syntax_fault(struct fy_diag *diag, const char *name, struct hws_err *err)
{
    void *it = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &it);

    if (e == NULL || e->msg == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "%s:1: empty or no YAML", name);
    }
    return hws_err_set(err, HWS_E_INVALID, "%s:%d: no YAML: %.120s", name, e->line, e->msg);
}

static enum hws_code build(const char *text, size_t n, const char *name,
                           struct fy_document **out_doc, struct hws_err *err)
{
    struct fy_diag_cfg diag_cfg;

    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = swallow;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (diag == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "%s: out of memory", name);
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET, .diag = diag};
    *out_doc = fy_document_build_from_string(&cfg, text, n);
    enum hws_code code = *out_doc == NULL ? syntax_fault(diag, name, err) : HWS_OK;
    fy_diag_destroy(diag);
    return code;
}

enum hws_code hws_config_parse(const char *text, size_t n, const char *dir, const char *name,
                               struct hws_config *out, struct hws_err *err)
{
    struct fy_document *doc = NULL;

    if (n > HWS_CONFIG_MAX_BYTES) {
        return hws_err_set(err, HWS_E_BUSY, "%s: larger than %zu bytes", name,
                           HWS_CONFIG_MAX_BYTES);
    }
    unsigned line = 0;
    unsigned column = 0;
    const char *fault = hws_text_yaml_fault(text, n, &line, &column);
    if (fault != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "%s:%u: %s", name, line, fault);
    }
    struct reader *r = hws_mem_zalloc(1, sizeof(*r));
    if (r == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "%s: out of memory", name);
    }
    r->dir = dir;
    r->name = name;
    hws_str_copy(r->cfg.tls_records, sizeof(r->cfg.tls_records), "auto");
    hws_rates_defaults(r->cfg.rates_per_min);
    enum hws_code code = build(text, n, name, &doc, err);
    if (code == HWS_OK) {
        code = read_root(r, fy_document_root(doc));
        if (code == HWS_OK) {
            code = check_whole(r);
        }
        if (code != HWS_OK && err != NULL) {
            *err = r->err;
        }
        fy_document_destroy(doc);
    }
    if (code == HWS_OK) {
        *out = r->cfg;
    }
    hws_mem_free(r);
    return code;
}

enum hws_code hws_config_load(const char *path, struct hws_config *out, struct hws_err *err)
{
    char dir[HWS_CONFIG_PATH_BYTES];
    struct hws_buf text;

    hws_buf_init(&text, 0);
    enum hws_code code = hws_file_read(path, HWS_CONFIG_MAX_BYTES, &text, err);
    if (code == HWS_OK) {
        const char *slash = strrchr(path, '/');
        hws_str_copy_n(dir, sizeof(dir), path, slash == NULL ? 0 : (size_t)(slash - path));
        if (slash == path) {
            hws_str_copy(dir, sizeof(dir), "/");
        }
        code = hws_config_parse((const char *)hws_buf_peek(&text), hws_buf_len(&text), dir, path,
                                out, err);
    }
    hws_buf_deinit(&text);
    return code;
}
