/* The hosts of a run: who they are, connecting, asking all of them at once. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "client/file.h"
#include "rollout/inventory.h"

#define CONFIG_DIR_PATH_BYTES 1024

/* ---- who ---- */

static int add_host(struct hws_cli *cli, const char *name, const char *target, const char *device)
{
    if (cli->n_hosts == HWS_CLI_MAX_HOSTS) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "more than %u hosts", HWS_CLI_MAX_HOSTS);
    }
    if (target[0] == '\0' || strlen(target) >= HWS_CLIENT_TARGET_BYTES) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "target \"%.40s\": give HOST:PORT or unix:PATH, at most %d characters",
                            target, HWS_CLIENT_TARGET_BYTES - 1);
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (hws_str_eq(h->name, name) && hws_str_eq(h->device, device)) {
            return hws_cli_fail(cli, HWS_EXIT_USAGE, "host \"%.60s\" is given twice", name);
        }
    }
    struct hws_cli_host *grown =
        hws_mem_realloc(cli->hosts, (cli->n_hosts + 1) * sizeof(*cli->hosts));
    if (grown == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "out of memory");
    }
    cli->hosts = grown;
    struct hws_cli_host *h = &grown[cli->n_hosts++];
    memset(h, 0, sizeof(*h));
    h->cli = cli;
    (void)hws_str_copy(h->name, sizeof(h->name), name);
    (void)hws_str_copy(h->target, sizeof(h->target), target);
    (void)hws_str_copy(h->device, sizeof(h->device), device);
    return HWS_EXIT_OK;
}

/* One of a list: the name of an inventory's host, or an address. */
static int add_named(struct hws_cli *cli, const char *one, const struct hws_rollout_plan *inventory)
{
    for (size_t i = 0; i < inventory->n_targets; i++) {
        if (hws_str_eq(inventory->targets[i].host, one)) {
            return add_host(cli, one, inventory->targets[i].target, inventory->targets[i].device);
        }
    }
    if (strchr(one, ':') == NULL && inventory->n_targets > 0) {
        return hws_cli_fail(
            cli, HWS_EXIT_USAGE,
            "no host \"%.60s\" among the %zu of the inventory: give one of its names, HOST:PORT or "
            "unix:PATH",
            one, inventory->n_targets);
    }
    return add_host(cli, one, one, "");
}

/* "a:1,b:2" */
static int add_list(struct hws_cli *cli, const char *list, const struct hws_rollout_plan *inventory)
{
    int rc = HWS_EXIT_OK;

    while (rc == HWS_EXIT_OK) {
        char one[HWS_CLIENT_TARGET_BYTES];
        size_t n = strcspn(list, ",");
        if (!hws_str_copy_n(one, sizeof(one), list, n)) {
            return hws_cli_fail(cli, HWS_EXIT_USAGE, "target \"%.40s\": longer than %d characters",
                                list, HWS_CLIENT_TARGET_BYTES - 1);
        }
        rc = add_named(cli, one, inventory);
        if (list[n] == '\0') {
            break;
        }
        list += n + 1;
    }
    return rc;
}

static int load_inventory(struct hws_cli *cli, const char *path, struct hws_rollout_plan *out)
{
    struct hws_buf text;
    struct hws_err err;
    int rc = HWS_EXIT_OK;

    hws_buf_init(&text, HWS_ROLLOUT_MAX_YAML_BYTES + 1);
    enum hws_code code = hws_file_read(path, &text, &err);
    if (code == HWS_OK) {
        code = hws_rollout_inventory_from_yaml(out, (const char *)hws_buf_peek(&text),
                                               hws_buf_len(&text), &err);
        if (code != HWS_OK) {
            (void)hws_err_wrap(&err, "%.100s", path);
        }
    }
    if (code != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    } else if (out->n_targets == 0 && cli->args.n_targets == 0) {
        rc = hws_cli_fail(cli, HWS_EXIT_INVALID, "%.160s: it names no host", path);
    }
    hws_buf_deinit(&text);
    return rc;
}

/* The hosts that -t names, else all of the inventory, else HAWSER_TARGETS. */
static int choose_hosts(struct hws_cli *cli, const struct hws_rollout_plan *inventory)
{
    const struct hws_cli_args *a = &cli->args;
    const char *env = getenv("HAWSER_TARGETS");
    int rc = HWS_EXIT_OK;

    for (size_t i = 0; i < a->n_targets && rc == HWS_EXIT_OK; i++) {
        rc = add_list(cli, a->targets[i], inventory);
    }
    for (size_t i = 0; i < inventory->n_targets && a->n_targets == 0 && rc == HWS_EXIT_OK; i++) {
        rc = add_host(cli, inventory->targets[i].host, inventory->targets[i].target,
                      inventory->targets[i].device);
    }
    if (rc == HWS_EXIT_OK && cli->n_hosts == 0 && env != NULL && env[0] != '\0') {
        rc = add_list(cli, env, inventory);
    }
    if (rc == HWS_EXIT_OK && cli->n_hosts == 0) {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE,
                          "no agent named: give -t HOST:PORT, -t unix:PATH, --inventory FILE, or "
                          "set HAWSER_TARGETS or HAWSER_INVENTORY");
    }
    return rc;
}

int hws_cli_find_hosts(struct hws_cli *cli)
{
    const struct hws_cli_args *a = &cli->args;
    const char *path =
        a->given[HWS_OPT_INVENTORY] ? a->value[HWS_OPT_INVENTORY] : getenv("HAWSER_INVENTORY");
    struct hws_rollout_plan inventory;
    int rc = HWS_EXIT_OK;

    hws_rollout_plan_init(&inventory);
    if (path != NULL && path[0] != '\0') {
        rc = load_inventory(cli, path, &inventory);
    }
    if (rc == HWS_EXIT_OK) {
        rc = choose_hosts(cli, &inventory);
    }
    hws_rollout_plan_deinit(&inventory);
    return rc;
}

/* ---- connecting ---- */

/* One of the three files: the option, the environment, or the folder. */
static int file_for(struct hws_cli *cli, enum hws_cli_option option, const char *env,
                    const char *in_folder, char *path)
{
    const struct hws_cli_args *a = &cli->args;
    const char *from = a->given[option] ? a->value[option] : NULL;
    bool fits = true;

    if (from == NULL && a->given[HWS_OPT_CONFIG_DIR]) {
        fits = hws_str_print(path, CONFIG_DIR_PATH_BYTES, "%s/%s", a->value[HWS_OPT_CONFIG_DIR],
                             in_folder);
    } else {
        from = from != NULL ? from : getenv(env);
        if (from == NULL) {
            return hws_cli_fail(cli, HWS_EXIT_USAGE,
                                "credentials missing: give --cert, --key and --ca, or "
                                "--config-dir, or set %s",
                                env);
        }
        fits = hws_str_copy(path, CONFIG_DIR_PATH_BYTES, from);
    }
    return fits ? HWS_EXIT_OK : hws_cli_fail(cli, HWS_EXIT_USAGE, "path too long: %.80s", path);
}

static int load_creds(struct hws_cli *cli)
{
    char cert[CONFIG_DIR_PATH_BYTES];
    char key[CONFIG_DIR_PATH_BYTES];
    char ca[CONFIG_DIR_PATH_BYTES];
    struct hws_client_status status;

    int rc = file_for(cli, HWS_OPT_CERT, "HAWSER_CERT", "operator.crt", cert);
    if (rc == HWS_EXIT_OK) {
        rc = file_for(cli, HWS_OPT_KEY, "HAWSER_KEY", "operator.key", key);
    }
    if (rc == HWS_EXIT_OK) {
        rc = file_for(cli, HWS_OPT_CA, "HAWSER_CA", "ca.crt", ca);
    }
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (hws_client_creds_new(cert, key, ca, &cli->creds, &status) != HWS_CLIENT_OK) {
        return hws_cli_fail(cli, hws_cli_exit_of(&status), "credentials: %s", status.message);
    }
    return HWS_EXIT_OK;
}

bool hws_cli_is_tcp(const char *target)
{
    return !hws_str_starts(target, "unix:");
}

int hws_cli_prepare(struct hws_cli *cli, bool tcp)
{
    if (!cli->loop_open && uv_loop_init(&cli->loop) != 0) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "no event loop");
    }
    cli->loop_open = true;
    return tcp && cli->creds == NULL ? load_creds(cli) : HWS_EXIT_OK;
}

void hws_cli_client_options(const struct hws_cli *cli, const char *target, uint32_t timeout_ms,
                            struct hws_client_options *out)
{
    *out = (struct hws_client_options){.target = target,
                                       .creds = cli->creds,
                                       .server_identity = cli->args.value[HWS_OPT_SERVER_IDENTITY],
                                       .default_timeout_ms = timeout_ms};
}

int hws_cli_timeout(struct hws_cli *cli, uint32_t *out_ms)
{
    struct hws_err err;

    *out_ms = HWS_CLIENT_DEFAULT_TIMEOUT_MS;
    if (!cli->args.given[HWS_OPT_TIMEOUT]) {
        return HWS_EXIT_OK;
    }
    if (hws_rollout_parse_ms(cli->args.value[HWS_OPT_TIMEOUT], out_ms, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--timeout: %s", err.msg);
    }
    if (*out_ms == 0) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--timeout: must be more than 0");
    }
    return HWS_EXIT_OK;
}

int hws_cli_connect(struct hws_cli *cli)
{
    uint32_t timeout_ms = 0;
    bool tcp = false;
    int rc = hws_cli_timeout(cli, &timeout_ms);

    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_find_hosts(cli);
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        tcp = tcp || hws_cli_is_tcp(cli->hosts[i].target);
    }
    if (rc == HWS_EXIT_OK) {
        rc = hws_cli_prepare(cli, tcp);
    }
    for (size_t i = 0; i < cli->n_hosts && rc == HWS_EXIT_OK; i++) {
        struct hws_cli_host *h = &cli->hosts[i];
        struct hws_client_options options;
        hws_cli_client_options(cli, h->target, timeout_ms, &options);
        if (hws_client_open(&cli->loop, &options, &h->client, &h->status) != HWS_CLIENT_OK) {
            return hws_cli_fail_status(cli, h->name, &h->status);
        }
        cli->n_open++;
    }
    return rc;
}

static void client_closed(void *data)
{
    struct hws_cli *cli = data;

    cli->n_open--;
}

void hws_cli_close(struct hws_cli *cli)
{
    for (size_t i = 0; i < cli->n_hosts; i++) {
        struct hws_cli_host *h = &cli->hosts[i];
        if (h->client != NULL) {
            hws_client_close(h->client, client_closed, cli);
        }
    }
    while (cli->n_open > 0) {
        (void)uv_run(&cli->loop, UV_RUN_ONCE);
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_client_call_deinit(&cli->hosts[i].call);
        if (cli->hosts[i].kept != NULL) {
            protobuf_c_message_free_unpacked(cli->hosts[i].kept, NULL);
        }
    }
    if (cli->loop_open) {
        (void)uv_run(&cli->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&cli->loop);
        cli->loop_open = false;
    }
    hws_client_creds_unref(cli->creds);
    cli->creds = NULL;
    hws_mem_free(cli->hosts);
    cli->hosts = NULL;
    cli->n_hosts = 0;
    hws_out_deinit(&cli->out);
}

/* ---- asking ---- */

void hws_cli_host_fail(struct hws_cli_host *host, enum hws_client_code code, const char *fmt, ...)
{
    va_list args;

    memset(&host->status, 0, sizeof(host->status));
    host->status.code = code;
    va_start(args, fmt);
    (void)vsnprintf(host->status.message, sizeof(host->status.message), fmt, args);
    va_end(args);
    host->failed = true;
}

static void start(struct hws_cli_host *host);

/* Begins a followed stream again; false when its end stands. */
static bool resumed(struct hws_cli_host *host)
{
    struct hws_client_call *call = &host->call;

    if (host->resume == NULL || !host->streamed || call->status.code != HWS_CLIENT_UNAVAILABLE ||
        host->cli->args.given[HWS_OPT_TIMEOUT]) {
        return false;
    }
    if (!call->status.unprocessed) { /* the stream itself, not an attempt to begin it again */
        (void)fprintf(host->cli->errors, "hawser: %s: the stream was cut off; following again\n",
                      host->name);
    }
    call->request = host->resume(host);
    start(host); /* the client waits longer after each connection that failed */
    return true;
}

/* What became of a call that ended on this side: by Ctrl-C, or with its connection. */
static void tell_unknown(struct hws_cli_host *host)
{
    struct hws_client_status *s = &host->status;
    bool stopped = s->code == HWS_CLIENT_CANCELLED && host->cli->interrupted;

    if (s->unprocessed || s->from_agent) {
        if (stopped) {
            (void)hws_str_copy(s->message, sizeof(s->message),
                               "interrupted before it was sent: nothing was done");
        }
        return;
    }
    if (host->may_change) {
        s->stage = HAWSER__V1__STAGE__STAGE_UNKNOWN;
    }
    if (stopped) {
        (void)hws_str_copy(s->message, sizeof(s->message),
                           host->may_change
                               ? "interrupted: what was begun goes on, and whether it was done is "
                                 "UNKNOWN"
                               : "interrupted");
    } else if (host->may_change && strstr(s->message, "UNKNOWN") == NULL) {
        size_t n = strlen(s->message);
        (void)hws_str_print(s->message + n, sizeof(s->message) - n,
                            "; whether it was done is UNKNOWN");
    }
}

static void answered(struct hws_client_call *call)
{
    struct hws_cli_host *host = call->data;

    host->asked = false;
    host->cli->n_asked--;
    if (resumed(host)) {
        return;
    }
    if (call->status.code != HWS_CLIENT_OK) {
        host->status = call->status;
        host->failed = true;
        tell_unknown(host);
    }
}

/* True of a request that carries a mutation. */
static bool carries_mutation(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *f =
        request == NULL
            ? NULL
            : protobuf_c_message_descriptor_get_field_by_name(request->descriptor, "mutation");

    return f != NULL &&
           *(const void *const *)(const void *)((const char *)request + f->offset) != NULL;
}

static void start(struct hws_cli_host *host)
{
    if (host->cli->interrupted) {
        hws_cli_host_fail(host, HWS_CLIENT_CANCELLED,
                          "interrupted before it was sent: nothing was done");
        return;
    }
    host->may_change = carries_mutation(host->call.request);
    if (hws_client_start(host->client, &host->call) != HWS_CLIENT_OK) {
        host->status = host->call.status;
        host->failed = true;
        return;
    }
    host->asked = true;
    host->cli->n_asked++;
}

void hws_cli_ask(struct hws_cli_host *host, const struct hws_client_method *method,
                 const ProtobufCMessage *request)
{
    hws_cli_stream(host, method, request, NULL, false);
}

void hws_cli_stream(struct hws_cli_host *host, const struct hws_client_method *method,
                    const ProtobufCMessage *request,
                    void (*message)(struct hws_client_call *call, const ProtobufCMessage *message),
                    bool endless)
{
    if (host->failed) {
        return;
    }
    hws_client_call_deinit(&host->call);
    host->call = (struct hws_client_call){
        .method = method,
        .request = request,
        .message = message,
        .done = answered,
        .data = host,
        .timeout_ms = endless && !host->cli->args.given[HWS_OPT_TIMEOUT] ? UINT32_MAX : 0,
    };
    start(host);
}

void hws_cli_follow(struct hws_cli_host *host, const struct hws_client_method *method,
                    const ProtobufCMessage *(*resume)(struct hws_cli_host *host),
                    void (*message)(struct hws_client_call *call, const ProtobufCMessage *message))
{
    host->resume = resume;
    host->streamed = false;
    hws_cli_stream(host, method, resume(host), message, true);
}

/* ---- Ctrl-C ---- */

static void on_interrupt(uv_signal_t *signal, int number)
{
    struct hws_cli *cli = signal->data;
    (void)number;

    cli->interrupted = true;
    (void)uv_signal_stop(signal); /* the next one ends the program */
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (cli->hosts[i].asked) {
            hws_client_cancel(&cli->hosts[i].call);
        }
    }
}

static void interrupt_closed(uv_handle_t *handle)
{
    ((struct hws_cli *)handle->data)->interrupt_open = false;
}

/* Streams are looked at until they are interrupted: that ends the program, as ever. */
static bool waits_for_answers(const struct hws_cli *cli)
{
    bool any = false;

    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (h->asked && h->call.method->kind != HWS_CLIENT_UNARY) {
            return false;
        }
        any = any || h->asked;
    }
    return any;
}

void hws_cli_wait(struct hws_cli *cli)
{
    if (waits_for_answers(cli) && uv_signal_init(&cli->loop, &cli->interrupt) == 0) {
        cli->interrupt.data = cli;
        cli->interrupt_open = true;
        (void)uv_signal_start(&cli->interrupt, on_interrupt, SIGINT);
    }
    while (cli->n_asked > 0) {
        (void)uv_run(&cli->loop, UV_RUN_ONCE);
    }
    if (cli->interrupt_open) {
        uv_close((uv_handle_t *)&cli->interrupt, interrupt_closed);
    }
    while (cli->interrupt_open) {
        (void)uv_run(&cli->loop, UV_RUN_NOWAIT);
    }
}

/* ---- which adapter ---- */

static void choose_only(struct hws_cli_host *host)
{
    const Hawser__V1__ListDevicesResponse *list = hws_cli_answer(host, ListDevicesResponse);
    char names[300] = "";
    size_t n = 0;

    if (list->n_devices == 1) {
        (void)hws_str_copy(host->device, sizeof(host->device), list->devices[0]->id);
        return;
    }
    if (list->n_devices == 0) {
        hws_cli_host_fail(host, HWS_CLIENT_NOT_FOUND, "the host has no adapter");
        return;
    }
    for (size_t i = 0; i < list->n_devices && n < sizeof(names); i++) {
        const Hawser__V1__Device *d = list->devices[i];
        (void)hws_str_print(names + n, sizeof(names) - n, "%s%s (%s)", i > 0 ? ", " : "",
                            d->pci_address, d->serial);
        n = strlen(names);
    }
    hws_cli_host_fail(host, HWS_CLIENT_INVALID_ARGUMENT,
                      "the host has %zu adapters: choose one with --device: %s", list->n_devices,
                      names);
}

void hws_cli_devices(struct hws_cli *cli)
{
    const Hawser__V1__ListDevicesRequest all = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
    const char *given = cli->args.value[HWS_OPT_DEVICE];

    for (size_t i = 0; i < cli->n_hosts; i++) {
        struct hws_cli_host *h = &cli->hosts[i];
        if (given != NULL && !hws_str_copy(h->device, sizeof(h->device), given)) {
            hws_cli_host_fail(h, HWS_CLIENT_INVALID_ARGUMENT,
                              "--device is longer than %d characters", HWS_CLI_DEVICE_BYTES - 1);
        }
        if (h->device[0] == '\0') {
            hws_cli_ask(h, &hws_client_method_device_list, &all.base);
        }
    }
    hws_cli_wait(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        struct hws_cli_host *h = &cli->hosts[i];
        if (!h->failed && h->device[0] == '\0') {
            choose_only(h);
        }
    }
}
