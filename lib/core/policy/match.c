/* One entry of a rule's list: is it well formed, and does it cover what was asked? */
#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "policy/policy_priv.h"

static const struct {
    const char *profile;
    const char *permission;
} s_profiles[] = {
#define HWS_PROFILE(profile, permission) {profile, permission},
#include "policy/profiles.def"
#undef HWS_PROFILE
};

#define N_PROFILE_ROWS (sizeof(s_profiles) / sizeof(s_profiles[0]))

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool all_of(const char *s, size_t n, const char *set)
{
    return strspn(s, set) >= n;
}

static bool is_any(const char *item)
{
    return hws_str_eq(item, "*");
}

bool hws_policy__is_profile(const char *name)
{
    for (size_t i = 0; i < N_PROFILE_ROWS; i++) {
        if (hws_str_eq(s_profiles[i].profile, name)) {
            return true;
        }
    }
    return false;
}

const char *hws_policy__profile_names(void)
{
    return "observe, configure, update, debug, approve, audit, admin";
}

bool hws_policy__principal_fits(const char *item, const char *principal)
{
    size_t n = strlen(item);

    if (is_any(item)) {
        return true;
    }
    if (n > 0 && item[n - 1] == '/') {
        return hws_str_starts(principal, item) && principal[n] != '\0';
    }
    return hws_str_eq(item, principal);
}

bool hws_policy__method_fits(const char *item, const char *path, const char *permission)
{
    size_t n = strlen(item);

    if (is_any(item)) {
        return true;
    }
    if (item[0] == '/') {
        return hws_str_eq(item, path);
    }
    if (n > 2 && hws_str_eq(item + n - 2, ".*")) {
        return strncmp(item, permission, n - 1) == 0;
    }
    if (strchr(item, '.') != NULL) {
        return hws_str_eq(item, permission);
    }
    for (size_t i = 0; i < N_PROFILE_ROWS; i++) {
        if (hws_str_eq(s_profiles[i].profile, item) &&
            hws_str_eq(s_profiles[i].permission, permission)) {
            return true;
        }
    }
    return false;
}

/* What stands before the colon of a selector; what has none of these is an id. */
static const struct selector {
    const char *prefix;
    size_t offset;   /* in struct hws_policy_card */
    bool family;     /* a '*' at the end stands for any rest */
    const char *set; /* what the name may be written with */
} s_selectors[] = {
    {"pci:", offsetof(struct hws_policy_card, pci), false, LOWER UPPER DIGITS "._-:"},
    {"serial:", offsetof(struct hws_policy_card, serial), false, LOWER UPPER DIGITS "._-:"},
    {"part:", offsetof(struct hws_policy_card, part), true, LOWER UPPER DIGITS "._-"},
    {"psid:", offsetof(struct hws_policy_card, psid), true, LOWER UPPER DIGITS "._-"},
};

static const struct selector *selector_of(const char *item)
{
    for (size_t i = 0; i < sizeof(s_selectors) / sizeof(s_selectors[0]); i++) {
        if (hws_str_starts(item, s_selectors[i].prefix)) {
            return &s_selectors[i];
        }
    }
    return NULL;
}

static bool is_family(const struct selector *s, const char *name)
{
    size_t n = strlen(name);

    return s->family && n > 1 && name[n - 1] == '*';
}

bool hws_policy__device_fits(const char *item, const struct hws_policy_card *card)
{
    const struct selector *s = selector_of(item);

    if (is_any(item)) {
        return true;
    }
    if (s == NULL) {
        return hws_str_eq(item, card->id);
    }
    const char *name = item + strlen(s->prefix);
    const char *has;
    memcpy(&has, (const char *)card + s->offset, sizeof(has));
    if (has == NULL || has[0] == '\0') {
        return false; /* what is not known is of no kind */
    }
    return is_family(s, name) ? strncmp(has, name, strlen(name) - 1) == 0 : hws_str_eq(name, has);
}

bool hws_policy__lists_field(const struct hws_policy_rule *r, const char *field)
{
    for (size_t i = 0; i < r->fields.n; i++) {
        if (hws_str_eq(r->fields.items[i], field)) {
            return true;
        }
    }
    return false;
}

bool hws_policy__fields_fit(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    size_t n_listed = 0;

    if (r->fields.n == 0) {
        return true;
    }
    if (req->raw || req->n_fields == 0) {
        return r->deny;
    }
    for (size_t i = 0; i < req->n_fields; i++) {
        n_listed += hws_policy__lists_field(r, req->fields[i]) ? 1 : 0;
    }
    return r->deny ? n_listed > 0 : n_listed == req->n_fields;
}

bool hws_policy__target_fits(const char *item, const char *target, const char *method)
{
    const char *colon = strchr(item, ':');
    size_t n = colon == NULL ? strlen(item) : (size_t)(colon - item);

    if (target[0] == '\0' || strlen(target) != n || strncmp(item, target, n) != 0) {
        return false;
    }
    return colon == NULL || hws_str_eq(colon + 1, method);
}

/* The path of a SPIFFE ID from its first slash on: segments that are neither empty nor dots. */
static const char *path_fault(const char *path, bool may_be_prefix)
{
    while (*path == '/') {
        size_t n = strcspn(path + 1, "/");
        const char *segment = path + 1;
        if (n == 0 && segment[0] == '\0' && may_be_prefix) {
            return NULL;
        }
        if (n == 0) {
            return "an empty path segment";
        }
        if (!all_of(segment, n, LOWER UPPER DIGITS "._-")) {
            return "a path segment may hold letters, digits, '.', '_' and '-'";
        }
        if ((n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.')) {
            return "a path segment may not be '.' or '..'";
        }
        path += 1 + n;
    }
    return NULL;
}

static const char *spiffe_fault(const char *rest, bool may_be_prefix)
{
    size_t n = strcspn(rest, "/");

    if (n == 0 || n > 255 || !all_of(rest, n, LOWER DIGITS "._-")) {
        return "a trust domain is 1 to 255 lower-case letters, digits, '.', '_' and '-'";
    }
    if (rest[n] == '\0') {
        return "a path must follow the trust domain";
    }
    return path_fault(rest + n, may_be_prefix);
}

const char *hws_policy__principal_fault(const char *item, bool may_be_prefix, bool may_be_any)
{
    uint64_t uid;

    if (is_any(item)) {
        return may_be_any ? NULL : "\"*\" is for deny rules only";
    }
    if (hws_str_starts(item, "spiffe://")) {
        return spiffe_fault(item + 9, may_be_prefix);
    }
    if (hws_str_starts(item, "dns:")) {
        size_t n = strlen(item + 4);
        return n == 0 || n > 253 || !all_of(item + 4, n, LOWER DIGITS ".-")
                   ? "a DNS name is 1 to 253 lower-case letters, digits, '.' and '-'"
                   : NULL;
    }
    if (hws_str_starts(item, "unix:uid:")) {
        return item[9] == '\0' || !all_of(item + 9, strlen(item + 9), DIGITS) ||
                       hws_str_to_u64(item + 9, UINT32_MAX, &uid, NULL) != HWS_OK
                   ? "a Unix user is unix:uid:<decimal number>"
                   : NULL;
    }
    return "not a principal: spiffe://domain/path, dns:name or unix:uid:number";
}

const char *hws_policy__device_fault(const char *item)
{
    const struct selector *s = selector_of(item);
    const char *name = s == NULL ? item : item + strlen(s->prefix);
    size_t n = strlen(name);
    bool is_id = s == NULL && strchr(item, ':') != NULL && strchr(item, '@') != NULL;

    if (is_any(item)) {
        return NULL;
    }
    if (n == 0 || (s == NULL && !is_id) ||
        !all_of(name, s != NULL && is_family(s, name) ? n - 1 : n,
                s == NULL ? LOWER UPPER DIGITS "._-:@" : s->set)) {
        return "not a device: \"*\", an id as in device list, pci:<address>, serial:<number>, "
               "part:<number> or psid:<name>; a '*' may end a part number or PSID";
    }
    return NULL;
}

const char *hws_policy__target_fault(const char *item)
{
    size_t n = strcspn(item, ":");

    if (n == 0 || n > 64 || !all_of(item, n, UPPER DIGITS "_")) {
        return "not a target: a register or command name in capitals, as in the command table";
    }
    if (item[n] == ':' && !hws_str_eq(item + n, ":read") && !hws_str_eq(item + n, ":write")) {
        return "after the colon stands \"read\" or \"write\"";
    }
    return NULL;
}

const char *hws_policy__field_fault(const char *item)
{
    size_t n = strlen(item);

    if (n > 128 || !all_of(item, n, LOWER UPPER DIGITS "._[]")) {
        return "not a field: a field's name as hawser reg get shows it";
    }
    return NULL;
}
