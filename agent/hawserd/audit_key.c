/* Files of the audit key, and its change. */
#include "hawserd/audit_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/entry.h"

#define PEM_BYTES ((size_t)4096)

static enum hws_code load(const char *path, struct hws_signer *out, struct hws_err *err)
{
    struct hws_buf pem;

    hws_buf_init(&pem, 0);
    enum hws_code code = hws_file_read(path, PEM_BYTES, &pem, err);
    if (code == HWS_OK) {
        code = hws_signer_load(out, hws_buf_peek(&pem), hws_buf_len(&pem), err);
        if (code != HWS_OK) {
            (void)hws_err_wrap(err, "%.100s", path);
        }
    }
    if (pem.bytes != NULL) {
        explicit_bzero(pem.bytes, pem.cap);
    }
    hws_buf_deinit(&pem);
    return code;
}

/* A new key into a new file of mode 0600. */
static enum hws_code make(const char *path, struct hws_signer *out, struct hws_err *err)
{
    char pem[PEM_BYTES];
    struct hws_signer s = {0};
    enum hws_code code = hws_signer_new(&s, err);

    if (code == HWS_OK && !hws_signer_pem(&s, pem, sizeof(pem))) {
        code = hws_err_set(err, HWS_E_NOMEM, "%s: out of memory", path);
    }
    if (code == HWS_OK) {
        code = hws_file_replace(path, pem, strlen(pem), err);
    }
    explicit_bzero(pem, sizeof(pem));
    if (code != HWS_OK) {
        hws_signer_deinit(&s);
        return code;
    }
    *out = s;
    return HWS_OK;
}

static bool make_paths(const char *state_dir, char *path, char *next_path)
{
    return hws_str_print(path, HWS_AUDIT_KEY_PATH_BYTES, "%s/audit.key", state_dir) &&
           hws_str_print(next_path, HWS_AUDIT_KEY_PATH_BYTES, "%s/audit.key.next", state_dir);
}

static unsigned other(const struct hws_audit_keys *k)
{
    return k->used ^ 1u;
}

/* Reads the next key if there is one; a bad one is told and left alone. */
static void load_next(struct hws_audit_keys *k)
{
    struct hws_err err;

    if (k->has_next || access(k->next_path, F_OK) != 0) {
        return;
    }
    hws_signer_deinit(&k->slots[other(k)]);
    if (load(k->next_path, &k->slots[other(k)], &err) != HWS_OK) {
        struct hws_log_q q;
        hws_log("audit_key_refused", "reason=%s", hws_log_q(&q, err.msg));
        return;
    }
    k->has_next = true;
}

enum hws_code hws_audit_keys_open(struct hws_audit_keys *k, const char *state_dir, bool may_create,
                                  struct hws_err *err)
{
    if (!make_paths(state_dir, k->path, k->next_path)) {
        return hws_err_set(err, HWS_E_INVALID, "state_dir is too long");
    }
    enum hws_code code = load(k->path, &k->slots[0], err);
    if (code == HWS_E_NOT_FOUND && may_create) {
        code = make(k->path, &k->slots[0], err);
    } else if (code == HWS_E_NOT_FOUND || code == HWS_E_INVALID) {
        code = hws_err_set(err, HWS_E_PROTO, "the audit key %.80s is missing or no P-256 key",
                           k->path);
    }
    if (code == HWS_OK) {
        load_next(k);
    }
    return code;
}

const struct hws_signer *hws_audit_keys_used(const struct hws_audit_keys *k)
{
    return &k->slots[k->used];
}

const struct hws_signer *hws_audit_keys_next(const struct hws_audit_keys *k)
{
    return k->has_next ? &k->slots[other(k)] : NULL;
}

/* The file of the key in use takes its place. Until that works it is the only copy of this key: the
 * next reload tries again, and a start finds both files and that the log goes on with the newer. */
static void put_in_place(const struct hws_audit_keys *k)
{
    struct hws_signer there = {0};
    struct hws_public is;
    struct hws_public used;
    struct hws_err err;

    enum hws_code code = load(k->next_path, &there, &err);
    if (code == HWS_OK) {
        code = hws_signer_public(&there, &is, &err);
    }
    if (code == HWS_OK) {
        code = hws_signer_public(&k->slots[k->used], &used, &err);
    }
    if (code == HWS_OK && !hws_public_eq(&is, &used)) {
        code = hws_err_set(&err, HWS_E_STATE, "%.100s holds another key", k->next_path);
    }
    if (code == HWS_OK && rename(k->next_path, k->path) != 0) {
        code = hws_err_set(&err, HWS_E_IO, "%.100s: %s", k->path, strerror(errno));
    }
    hws_signer_deinit(&there);
    if (code != HWS_OK) {
        struct hws_log_q q;
        hws_log("audit_key_not_renamed", "reason=%s", hws_log_q(&q, err.msg));
    }
}

/* The log goes on with the other slot: so do the files. */
static void take_over(struct hws_audit_keys *k)
{
    struct hws_public key;
    char hex[HWS_PUBLIC_HEX_BYTES] = "?";

    k->used = other(k);
    k->has_next = false;
    put_in_place(k);
    if (hws_signer_public(&k->slots[k->used], &key, NULL) == HWS_OK) {
        hws_public_hex(&key, hex);
    }
    hws_log("audit_key_changed", "key=%s", hex);
}

static void rotated(struct hws_store_job *job)
{
    struct hws_agent *agent = job->data;
    struct hws_audit_keys *k = &agent->audit_keys;

    k->rotating = false;
    if (job->err.code == HWS_OK) {
        take_over(k);
        return;
    }
    if (job->err.code == HWS_E_EXISTS) {
        k->has_next = false; /* it is in use: only its file is not where it should be */
        put_in_place(k);
        return;
    }
    struct hws_log_q q;
    hws_log("audit_key_not_changed", "reason=%s", hws_log_q(&q, job->err.msg));
}

void hws_audit_keys_reload(struct hws_agent *agent)
{
    struct hws_audit_keys *k = &agent->audit_keys;
    struct hws_err err;

    if (agent->store == NULL || k->rotating) {
        return;
    }
    load_next(k);
    if (!k->has_next) {
        return;
    }
    hws_store_rotate_init(&k->rotate);
    k->rotate.job.cb = rotated;
    k->rotate.job.data = agent;
    k->rotate.next = &k->slots[other(k)];
    k->rotate.unix_ms = hws_agent_unix_ms();
    k->rotating = hws_store_submit(agent->store, &k->rotate.job, &err) == HWS_OK;
}

void hws_audit_keys_settle(struct hws_agent *agent)
{
    if (hws_store_uses_next(agent->store)) {
        take_over(&agent->audit_keys);
        return;
    }
    hws_audit_keys_reload(agent);
}

void hws_audit_keys_deinit(struct hws_audit_keys *k)
{
    hws_signer_deinit(&k->slots[0]);
    hws_signer_deinit(&k->slots[1]);
}

_Static_assert(HWS_AGENT_KEY_BYTES == HWS_PUBLIC_HEX_BYTES, "a key fits its text");

enum hws_code hws_agent_new_audit_key(const struct hws_config *config, char *key_hex,
                                      struct hws_err *err)
{
    char path[HWS_AUDIT_KEY_PATH_BYTES];
    char next_path[HWS_AUDIT_KEY_PATH_BYTES];
    struct hws_signer s = {0};
    struct hws_public key;

    if (!make_paths(config->state_dir, path, next_path)) {
        return hws_err_set(err, HWS_E_INVALID, "state_dir is too long");
    }
    if (access(path, F_OK) != 0) {
        return hws_err_set(err, HWS_E_NOT_FOUND,
                           "%.100s: there is no audit key yet; the first start makes one", path);
    }
    if (access(next_path, F_OK) == 0) {
        return hws_err_set(err, HWS_E_EXISTS,
                           "%.100s waits already: reload or restart hawserd to change to it",
                           next_path);
    }
    enum hws_code code = make(next_path, &s, err);
    if (code == HWS_OK) {
        code = hws_signer_public(&s, &key, err);
    }
    if (code == HWS_OK) {
        hws_public_hex(&key, key_hex);
    }
    hws_signer_deinit(&s);
    return code;
}
