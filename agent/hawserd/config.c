/*
 * The agent's configuration: libfyaml parses, tables of keys judge.
 *
 * Happy path: text -> document -> walk the root mapping by its table -> check what depends on what.
 * Failures: YAML syntax, a key that no table has or that comes twice, a value of the wrong shape or
 * length, a missing key. Each names file, line and reason.
 */
#include "hawserd/config.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "common/file.h"
#include "hawserd/config_priv.h"

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
#define NO_FIELD OTHER_FIELD(NULL, HWS_CONFIG__TEXT, false, NULL)

static const struct hws_config__field tls_fields[] = {
    TEXT_FIELD("cert", HWS_CONFIG__PATH, true, tls_cert),
    TEXT_FIELD("key", HWS_CONFIG__PATH, true, tls_key),
    TEXT_FIELD("ca", HWS_CONFIG__PATH, true, tls_ca),
    TEXT_FIELD("crl", HWS_CONFIG__PATH, false, tls_crl),
    TEXT_FIELD("deny", HWS_CONFIG__PATH, false, tls_deny),
    OTHER_FIELD("trust", HWS_CONFIG__TRUST, false, NULL),
    OTHER_FIELD("records", HWS_CONFIG__RECORDS, false, NULL),
    NO_FIELD,
};
static const struct hws_config__field device_fields[] = {
    OTHER_FIELD("backend", HWS_CONFIG__BACKEND, true, NULL),
    OTHER_FIELD("profiles", HWS_CONFIG__PATHS, false, NULL),
    NO_FIELD,
};
static const struct hws_config__field audit_fields[] = {
    NUMBER_FIELD("max_age", HWS_CONFIG__TIME, audit_max_age_ms, 3600000,
                 UINT64_C(100) * 365 * 86400000),
    NUMBER_FIELD("max_records", HWS_CONFIG__NUMBER, audit_max_records, HWS_CONFIG_AUDIT_MIN_RECORDS,
                 HWS_CONFIG_AUDIT_MAX_RECORDS),
    NUMBER_FIELD("max_bytes", HWS_CONFIG__NUMBER, audit_max_bytes, HWS_CONFIG_AUDIT_MIN_BYTES,
                 HWS_CONFIG_AUDIT_MAX_BYTES),
    NUMBER_FIELD("sign_records", HWS_CONFIG__NUMBER, audit_sign_records, 1, 10000),
    NUMBER_FIELD("sign_after", HWS_CONFIG__TIME, audit_sign_ms, 1000, 3600000),
    NO_FIELD,
};
static const struct hws_config__field rate_fields[] = {
#define RATE_FIELD(name, effect)                                                                   \
    NUMBER_FIELD(name, HWS_CONFIG__NUMBER, rates_per_min[effect], 0, HWS_RATES_MAX_PER_MIN)
    RATE_FIELD("read", HWS_EFFECT_READ),
    RATE_FIELD("read-sensitive", HWS_EFFECT_READ_SENSITIVE),
    RATE_FIELD("config-next-reset", HWS_EFFECT_CONFIG_NEXT_RESET),
    RATE_FIELD("config-live", HWS_EFFECT_CONFIG_LIVE),
    RATE_FIELD("debug-write", HWS_EFFECT_DEBUG_WRITE),
    RATE_FIELD("full", HWS_EFFECT_FULL),
    NO_FIELD,
#undef RATE_FIELD
};
static const struct hws_config__field warrant_fields[] = {
    TEXT_FIELD("trust", HWS_CONFIG__PATH, true, trust),
    TEXT_FIELD("memory", HWS_CONFIG__PATH, true, memory),
    NO_FIELD,
};
static const struct hws_config__field root_fields[] = {
    TEXT_FIELD("host", HWS_CONFIG__HOST, true, host),
    TEXT_FIELD("run_dir", HWS_CONFIG__PATH, true, run_dir),
    TEXT_FIELD("state_dir", HWS_CONFIG__PATH, true, state_dir),
    TEXT_FIELD("policy", HWS_CONFIG__PATH, true, policy),
    TEXT_FIELD("user", HWS_CONFIG__TEXT, false, user),
    TEXT_FIELD("listen", HWS_CONFIG__ADDRESS, false, listen),
    OTHER_FIELD("tls", HWS_CONFIG__MAP, false, tls_fields),
    OTHER_FIELD("limits", HWS_CONFIG__LIMITS, false, NULL),
    OTHER_FIELD("devices", HWS_CONFIG__MAP, true, device_fields),
    OTHER_FIELD("audit", HWS_CONFIG__MAP, false, audit_fields),
    OTHER_FIELD("rates", HWS_CONFIG__MAP, false, rate_fields),
    OTHER_FIELD("warrants", HWS_CONFIG__MAP, false, warrant_fields),
    NO_FIELD,
};

static const struct hws_config__field *find_field(const struct hws_config__field *fields,
                                                  const char *key)
{
    for (const struct hws_config__field *f = fields; f->key != NULL; f++) {
        if (hws_str_eq(f->key, key)) {
            return f;
        }
    }
    return NULL;
}

static void list_keys(const struct hws_config__field *fields, char *dst, size_t cap)
{
    size_t used = 0;

    dst[0] = '\0';
    for (const struct hws_config__field *f = fields; f->key != NULL && used + 1 < cap; f++) {
        (void)hws_str_print(dst + used, cap - used, "%s%s", f == fields ? "" : ", ", f->key);
        used += strlen(dst + used);
    }
}

/* The field that a key names, marked as seen; NULL and r->err if there is none or it was seen. */
static const struct hws_config__field *read_key(struct hws_config__reader *r, struct fy_node *node,
                                                const struct hws_config__field *fields,
                                                uint32_t *seen)
{
    char key[32];
    unsigned line = hws_config__line_of(node);

    if (hws_config__read_text(r, node, line, "a key", key, sizeof(key)) != HWS_OK) {
        return NULL;
    }
    const struct hws_config__field *f = find_field(fields, key);
    if (f == NULL) {
        char known[160];
        list_keys(fields, known, sizeof(known));
        hws_err_set(&r->err, HWS_E_INVALID, "%s:%u: unknown key \"%s\"; known are %s", r->name,
                    line, key, known);
        return NULL;
    }
    uint32_t bit = UINT32_C(1) << (unsigned)(f - fields);
    if ((*seen & bit) != 0) {
        (void)hws_config__refuse(r, line, f->key, "is given twice");
        return NULL;
    }
    *seen |= bit;
    return f;
}

static enum hws_code check_required(struct hws_config__reader *r,
                                    const struct hws_config__field *fields, uint32_t seen,
                                    unsigned line)
{
    for (const struct hws_config__field *f = fields; f->key != NULL; f++) {
        if (f->required && (seen & UINT32_C(1) << (unsigned)(f - fields)) == 0) {
            return hws_config__refuse(r, line, f->key, "is missing");
        }
    }
    return HWS_OK;
}

/* A mapping of leaves only. */
static enum hws_code read_flat_map(struct hws_config__reader *r,
                                   const struct hws_config__field *fields, struct fy_node *map,
                                   unsigned line)
{
    uint32_t seen = 0;
    void *it = NULL;
    struct fy_node_pair *pair;

    if (map == NULL || fy_node_get_type(map) != FYNT_MAPPING) {
        return hws_config__refuse(r, line, "the value", "must be a mapping");
    }
    while ((pair = fy_node_mapping_iterate(map, &it)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        const struct hws_config__field *f = read_key(r, key, fields, &seen);
        if (f == NULL || hws_config__read_value(r, f, fy_node_pair_value(pair),
                                                hws_config__line_of(key)) != HWS_OK) {
            return r->err.code;
        }
    }
    return check_required(r, fields, seen, line);
}

static enum hws_code read_root(struct hws_config__reader *r, struct fy_node *root)
{
    uint32_t seen = 0;
    void *it = NULL;
    struct fy_node_pair *pair;

    if (root == NULL || fy_node_get_type(root) != FYNT_MAPPING) {
        return hws_config__refuse(r, 1, "the file", "must be a mapping");
    }
    while ((pair = fy_node_mapping_iterate(root, &it)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        struct fy_node *value = fy_node_pair_value(pair);
        const struct hws_config__field *f = read_key(r, key, root_fields, &seen);
        if (f == NULL) {
            return r->err.code;
        }
        enum hws_code code = f->kind == HWS_CONFIG__MAP
                                 ? read_flat_map(r, f->fields, value, hws_config__line_of(key))
                                 : hws_config__read_value(r, f, value, hws_config__line_of(key));
        if (code != HWS_OK) {
            return code;
        }
    }
    return check_required(r, root_fields, seen, 1);
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
    struct hws_config__reader *r = hws_mem_zalloc(1, sizeof(*r));
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
            code = hws_config__check(r);
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
