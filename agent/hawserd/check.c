/*
 * What `hawserd --check` judges behind the configuration itself: policy, files, trust, user. TLS
 * files are judged by hawser-wire, which will use them: this process has no TLS.
 */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "common/file.h"
#include "hawserd/agent.h"
#include "hawserd/children.h"
#include "hawserd/danger.h"
#include "hawserd/entry.h"
#include "hawserd/rotation.h"
#include "hawserd/user.h"

#define MAX_ARGS (13u + 2u * HWS_CONFIG_MAX_TRUST) /* program, --check, five pairs, NULL */
#define SAID_MAX 512u                              /* of what hawser-wire says */

/* Can the file that `key` of the configuration names be read, and does it say something? An empty
 * path is none. */
static enum hws_code check_file(const char *key, const char *path, bool may_be_empty,
                                struct hws_err *err)
{
    struct hws_buf text;

    if (path[0] == '\0') {
        return HWS_OK;
    }
    hws_buf_init(&text, 0);
    enum hws_code code = hws_file_read(path, HWS_AGENT_MAX_FILE_BYTES, &text, err);
    if (code == HWS_OK && !may_be_empty && hws_buf_len(&text) == 0) {
        code = hws_err_set(err, HWS_E_INVALID, "%s is empty", path);
    }
    hws_buf_deinit(&text);
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "%s", key);
    }
    return code;
}

static void tls_args(const struct hws_config *cfg, const char *program, const char **a)
{
    *a++ = program;
    *a++ = "--check";
    *a++ = "--cert";
    *a++ = cfg->tls_cert;
    *a++ = "--key";
    *a++ = cfg->tls_key;
    *a++ = "--ca";
    *a++ = cfg->tls_ca;
    if (cfg->tls_crl[0] != '\0') {
        *a++ = "--crl";
        *a++ = cfg->tls_crl;
    }
    if (cfg->tls_deny[0] != '\0') {
        *a++ = "--deny";
        *a++ = cfg->tls_deny;
    }
    for (size_t i = 0; i < cfg->n_tls_trust; i++) {
        *a++ = "--trust";
        *a++ = cfg->tls_trust[i];
    }
    *a = NULL;
}

/* Runs a program to its end; what it writes to stderr is cut at cap. Its exit status, 0 to 255, or
 * an errno as a negative number. */
static int run(const char *const *args, char *said, size_t cap)
{
    posix_spawn_file_actions_t actions;
    char rest[64];
    size_t n = 0;
    ssize_t got;
    int fds[2];
    int status = 0;
    pid_t pid;

    if (pipe(fds) != 0) {
        return -errno;
    }
    if (posix_spawn_file_actions_init(&actions) != 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return -ENOMEM;
    }
    int rc = posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    rc = rc == 0 ? posix_spawn_file_actions_addclose(&actions, fds[0]) : rc;
    rc = rc == 0 ? posix_spawn(&pid, args[0], &actions, NULL, (char *const *)args, environ) : rc;
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    while (rc == 0 && ((got = n < cap - 1 ? read(fds[0], said + n, cap - 1 - n)
                                          : read(fds[0], rest, sizeof(rest))) > 0 ||
                       (got < 0 && errno == EINTR))) {
        n += got > 0 && n < cap - 1 ? (size_t)got : 0;
    }
    (void)close(fds[0]);
    said[n] = '\0';
    while (rc == 0 && waitpid(pid, &status, 0) < 0) {
        rc = errno == EINTR ? 0 : errno;
    }
    if (rc != 0) {
        return -rc;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

/* Do key and certificate belong together, has nothing expired, does the chain end in the CA? */
static enum hws_code check_tls(const struct hws_config *config, const struct hws_options *options,
                               struct hws_err *err)
{
    static const char prefix[] = "hawser-wire: ";
    char program[HWS_CHILDREN_PATH_BYTES];
    char said[SAID_MAX] = "";
    const char *args[MAX_ARGS];

    if (config->listen[0] == '\0') {
        return HWS_OK;
    }
    if (!hws_children_program(options, "hawser-wire", program, sizeof(program))) {
        return hws_err_set(err, HWS_E_INVALID, "the path of hawser-wire is too long");
    }
    tls_args(config, program, args);
    int status = run(args, said, sizeof(said));
    if (status < 0) {
        return hws_err_set(err, HWS_E_IO, "tls: cannot run %.200s to judge the files: %s", program,
                           strerror(-status));
    }
    said[strcspn(said, "\n")] = '\0';
    const char *why = hws_str_starts(said, prefix) ? said + sizeof(prefix) - 1 : said;
    return status == 0 ? HWS_OK : hws_err_set(err, HWS_E_INVALID, "tls: %s", why);
}

enum hws_code hws_agent_check(const struct hws_config *config, const struct hws_options *options,
                              struct hws_err *err)
{
    const struct {
        const char *key;
        const char *path;
    } files[] = {{"tls.cert", config->tls_cert},
                 {"tls.key", config->tls_key},
                 {"tls.ca", config->tls_ca},
                 {"tls.crl", config->tls_crl},
                 {"tls.deny", config->tls_deny}};
    struct hws_policy *policy = NULL;
    struct hws_buf text;

    hws_buf_init(&text, 0);
    enum hws_code code = hws_file_read(config->policy, HWS_POLICY_MAX_BYTES, &text, err);
    if (code == HWS_OK) {
        code = hws_rotation_parse(config->policy, hws_buf_peek(&text), hws_buf_len(&text), &policy,
                                  err);
    }
    hws_buf_deinit(&text);
    hws_policy_unref(policy);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && code == HWS_OK; i++) {
        code = check_file(files[i].key, files[i].path, files[i].path == config->tls_deny, err);
    }
    for (size_t i = 0; i < config->n_profiles && code == HWS_OK; i++) {
        code = check_file("devices.profiles", config->profiles[i], false, err);
    }
    for (size_t i = 0; i < config->n_tls_trust && code == HWS_OK; i++) { /* "domain=file" */
        code = check_file("tls.trust", strchr(config->tls_trust[i], '=') + 1, false, err);
    }
    code = code == HWS_OK ? check_tls(config, options, err) : code;
    code = code == HWS_OK ? hws_danger_check_trust(config, err) : code;
    if (code == HWS_OK) {
        code = hws_user_check(config, err);
    }
    return code;
}
