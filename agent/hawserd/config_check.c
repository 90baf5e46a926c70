/* The configuration as a whole: what one key says about another. */
#include <string.h>

#include "hawserd/config_priv.h"

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

enum hws_code hws_config__check(struct hws_config__reader *r)
{
    const struct hws_config *c = &r->cfg;

    if (c->listen[0] != '\0' && c->tls_cert[0] == '\0') {
        return hws_config__refuse(r, 1, "tls",
                                  "is required with listen: TCP is served with mutual TLS only");
    }
    if (strlen(c->run_dir) > HWS_CONFIG_RUN_DIR_MAX) {
        return hws_config__refuse(r, 1, "run_dir",
                                  "is longer than 80 bytes: a socket's path would not fit");
    }
    if (c->backend == HWS_BACKEND_EMU && c->n_profiles == 0) {
        return hws_config__refuse(r, 1, "profiles", "needs at least one file with backend emu");
    }
    if (c->backend == HWS_BACKEND_FWCTL && c->n_profiles != 0) {
        return hws_config__refuse(r, 1, "profiles", "belongs to backend emu only");
    }
    const char *key = c->trust[0] == '\0' ? NULL : not_plain(c);
    if (key != NULL) {
        return hws_config__refuse(
            r, 1, key,
            "must be a path without \"//\", \".\" and \"..\": with warrants it has to be "
            "plain which folder lies in which");
    }
    if (is_ours(c, c->trust) || is_ours(c, c->memory)) {
        return hws_config__refuse(
            r, 1, "warrants",
            "must lie outside of run_dir and state_dir, where hawserd itself can write");
    }
    return HWS_OK;
}
