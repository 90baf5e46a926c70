/* hawserd: options, configuration, then the supervisor or the keeper itself. */
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/config.h"
#include "hawserd/entry.h"
#include "hawserd/options.h"
#include "hawserd/supervise.h"
#include "hawserd/user.h"
#include "store/store.h"

static void *zalloc(size_t count, size_t size)
{
    return hws_mem_zalloc(count, size);
}

static int complain(const struct hws_err *err, int status)
{
    (void)fprintf(stderr, "hawserd: %s\n", err->msg);
    return status;
}

static enum hws_code load(const struct hws_options *o, struct hws_config *config,
                          struct hws_err *err)
{
    enum hws_code code = hws_config_load(o->config, config, err);

    if (code != HWS_OK) {
        return code;
    }
    if (o->run_dir != NULL && !hws_str_copy(config->run_dir, HWS_CONFIG_RUN_DIR_MAX, o->run_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "--run-dir is too long");
    }
    if (o->state_dir != NULL &&
        !hws_str_copy(config->state_dir, sizeof(config->state_dir), o->state_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "--state-dir is too long");
    }
    return HWS_OK;
}

int main(int argc, char **argv)
{
    static struct hws_config config; /* large; alive until the end */
    struct hws_options options;
    struct hws_err err;

    hws_log_open("hawserd");
    if (hws_options_parse(argc, argv, &options, &err) != HWS_OK) {
        return complain(&err, HWS_EXIT_USAGE);
    }
    if (options.help || options.version) {
        (void)fputs(options.help ? hws_options_help() : "hawserd " HWS_VERSION "\n", stdout);
        return HWS_EXIT_OK;
    }
    if (load(&options, &config, &err) != HWS_OK) {
        return complain(&err, HWS_EXIT_CONFIG);
    }
    if (options.check) {
        if (hws_agent_check(&config, &options, &err) != HWS_OK) {
            return complain(&err, HWS_EXIT_CONFIG);
        }
        (void)printf("%s: ok: host %s, %zu profiles\n", options.config, config.host,
                     config.n_profiles);
        return HWS_EXIT_OK;
    }
    if (hws_user_become(&config, &err) != HWS_OK) {
        return complain(&err, HWS_EXIT_CONFIG);
    }
    if (options.new_audit_key) {
        char key[HWS_AGENT_KEY_BYTES];
        if (hws_agent_new_audit_key(&config, key, &err) != HWS_OK) {
            return complain(&err, HWS_EXIT_FAILED);
        }
        (void)printf("%s\n", key);
        return HWS_EXIT_OK;
    }
    if (options.supervise) {
        return hws_supervise(argc, argv);
    }
    if (uv_replace_allocator(hws_mem_alloc, hws_mem_realloc, zalloc, hws_mem_free) != 0 ||
        hws_store_use_base_mem() != HWS_OK) {
        return HWS_EXIT_FAILED;
    }
    return hws_agent_run(&config, &options);
}
