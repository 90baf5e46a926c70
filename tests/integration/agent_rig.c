/* A whole agent in a temporary folder, and what it says of itself. Its client: rig_client.c. */
#include "agent_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "failing.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "test.h"

#define RIG_CONNECT_MS 10000u /* for a child to be connected */
#define WAIT_MS        5000u

static const char policy_text[] = "version: 1\n"
                                  "local:\n"
                                  "  \"%u\": spiffe://" HWS_PKI_DOMAIN "/operator/local\n"
                                  "rules:\n"
                                  "  - name: operators\n"
                                  "    principals: [spiffe://" HWS_PKI_DOMAIN "/operator/]\n"
                                  "    methods: [observe, configure, debug, audit, admin]\n"
                                  "    max_effect: config-live\n"
                                  "  - name: viewers\n"
                                  "    principals: [spiffe://" HWS_PKI_DOMAIN "/viewer/]\n"
                                  "    methods: [observe]\n"
                                  "    max_effect: read\n";

struct hws_rig_place *hws_rig_place;

uint64_t hws_rig_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- files ----------------------------------------------------------------------------------- */

void hws_rig_write(const struct hws_rig *rig, const char *name, const char *text)
{
    char path[256];

    hws_str_print(path, sizeof(path), "%s/%s", rig->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A shipped profile with another serial and PCI address, and with faults. */
static void write_profile(const struct hws_rig *rig, size_t idx, const char *faults)
{
    static const char *const sources[] = {"connectx7", "connectx6dx"};
    char path[512];
    char *text = hws_mem_zalloc(1, 65536);

    assert_non_null(text);
    hws_str_print(path, sizeof(path), "%s/../agent/emu/profiles/%s.yaml", HWS_TESTS_DIR,
                  sources[idx]);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, 60000, f);
    assert_int_equal(fclose(f), 0);
    if (faults != NULL) {
        char *at = strstr(text, "\nfaults: []");
        assert_non_null(at);
        hws_str_print(at, 65536 - (size_t)(at - text), "\nfaults:\n%s\n", faults);
    } else {
        text[n] = '\0';
    }
    hws_rig_write(rig, idx == 0 ? "a.yaml" : "b.yaml", text);
    hws_mem_free(text);
}

static void write_config(const struct hws_rig *rig, bool tls)
{
    char text[1024];
    char listen[512] = "";

    if (tls) {
        hws_str_print(listen, sizeof(listen),
                      "listen: 127.0.0.1:0\n"
                      "tls: {cert: %s/agent-host.crt, key: %s/agent-host.key, ca: %s/ca.crt}\n",
                      rig->pki.dir, rig->pki.dir, rig->pki.dir);
    }
    hws_str_print(text, sizeof(text),
                  "host: host-a\nrun_dir: run\nstate_dir: state\npolicy: policy.yaml\n%s"
                  "devices: {backend: emu, profiles: [a.yaml, b.yaml]}\n",
                  listen);
    hws_rig_write(rig, "agent.yaml", text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* ---- the agent ------------------------------------------------------------------------------- */

static void say_place(const struct hws_rig *rig)
{
    if (hws_rig_place != NULL) {
        (void)hws_str_copy(hws_rig_place->dir, sizeof(hws_rig_place->dir), rig->dir);
        hws_rig_place->pki = rig->pki;
        hws_rig_place->has_pki = rig->has_pki;
        hws_rig_place->supervisor = rig->supervisor;
    }
}

static void spawn(struct hws_rig *rig)
{
    const char *bin_dir = getenv(HWS_FAILING_ENV) == NULL ? HWS_BIN_DIR : HWS_RIG_FAILING_BIN_DIR;
    char config[128];
    char log[128];

    hws_str_print(config, sizeof(config), "%s/agent.yaml", rig->dir);
    hws_str_print(log, sizeof(log), "%s/log", rig->dir);
    rig->started_ms = hws_rig_now_ms();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)dup2(fd, STDERR_FILENO);
        (void)execl(HWS_BIN_DIR "/hawserd", "hawserd", "--config", config, "--supervise",
                    "--bin-dir", bin_dir, (char *)NULL);
        _exit(127);
    }
    rig->supervisor = pid;
    say_place(rig);
}

void hws_rig_show_log(const struct hws_rig *rig)
{
    char path[128];
    char line[1024];

    hws_str_print(path, sizeof(path), "%s/log", rig->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        print_message("    %s", line);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

bool hws_rig_has_findings(const struct hws_rig *rig)
{
    char path[128];
    char line[1024];
    bool found = false;

    hws_str_print(path, sizeof(path), "%s/log", rig->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        found = found || strstr(line, "Sanitizer") != NULL || strstr(line, "runtime error") != NULL;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

void hws_rig_restart(struct hws_rig *rig)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    Hawser__V1__ListDevicesRequest list = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;

    spawn(rig);
    if (hws_rig_until_ok(rig, "/hawser.v1.AgentService/Info", &q.base, WAIT_MS) == UINT64_MAX) {
        hws_rig_show_log(rig);
        fail_msg("the agent does not serve");
    }
    rig->serving_ms = hws_rig_now_ms() - rig->started_ms;
    /* Until the device process has told which adapters there are; who has none finds out. */
    (void)hws_rig_until_ok(rig, "/hawser.v1.DeviceService/List", &list.base, WAIT_MS);
}

static void open_client(struct hws_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    assert_code(hws_net_init(&rig->net, &rig->loop, NULL), HWS_OK);
    (void)signal(SIGPIPE, SIG_IGN);
}

void hws_rig_adopt(struct hws_rig *rig, const struct hws_rig_place *place)
{
    open_client(rig);
    hws_str_copy(rig->dir, sizeof(rig->dir), place->dir);
    rig->supervisor = place->supervisor;
    rig->pki = place->pki;
    rig->has_pki = place->has_pki;
}

void hws_rig_start(struct hws_rig *rig, const struct hws_rig_options *options)
{
    char text[2048];

    open_client(rig);
    hws_str_copy(rig->dir, sizeof(rig->dir), "/tmp/hawser-agent-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    if (options->tls) {
        hws_pki_make(&rig->pki);
        rig->has_pki = true;
    }
    (void)snprintf(text, sizeof(text), policy_text, (unsigned)getuid());
    hws_rig_write(rig, "policy.yaml", text);
    write_profile(rig, 0, options->faults[0]);
    write_profile(rig, 1, options->faults[1]);
    write_config(rig, options->tls);
    hws_rig_restart(rig);
}

int hws_rig_terminate(struct hws_rig *rig)
{
    int status = -1;

    hws_rig_disconnect(rig);
    assert_int_equal(kill(rig->supervisor, SIGTERM), 0);
    assert_int_equal(waitpid(rig->supervisor, &status, 0), rig->supervisor);
    rig->supervisor = 0;
    say_place(rig);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void hws_rig_stop(struct hws_rig *rig)
{
    int status = hws_rig_terminate(rig);

    bool findings = hws_rig_has_findings(rig);
    if (status != 0 || findings || getenv("HAWSER_RIG_LOG") != NULL) {
        hws_rig_show_log(rig);
    }
    assert_int_equal(status, 0);
    assert_false(findings);
    hws_rig_drop(rig);
}

int hws_rig_teardown(void **state)
{
    hws_rig_stop(*state);
    return 0;
}

void hws_rig_drop(struct hws_rig *rig)
{
    hws_rig_disconnect(rig);
    hws_rig_idle(rig, 5);
    hws_net_deinit(&rig->net);
    hws_tls_rng_free(rig->rng);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    if (rig->has_pki) {
        hws_pki_remove(&rig->pki);
    }
    (void)nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- what it says of itself -------------------------------------------------------------------
 */

uint64_t hws_rig_counter(struct hws_rig *rig, const char *name)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;
    uint64_t n = UINT64_MAX;

    hws_rig_call(rig, "/hawser.v1.AgentService/Info", &q.base, 10000, &r);
    hws_rig_expect_ok(&r);
    Hawser__V1__InfoResponse *info =
        hawser__v1__info_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_non_null(info);
    for (size_t i = 0; i < info->n_counters; i++) {
        n = strcmp(info->counters[i]->name, name) == 0 ? info->counters[i]->value : n;
    }
    hawser__v1__info_response__free_unpacked(info, NULL);
    hws_rig_reply_free(&r);
    assert_true(n != UINT64_MAX);
    return n;
}

uint64_t hws_rig_until_ok(struct hws_rig *rig, const char *path, const ProtobufCMessage *request,
                          uint64_t ms)
{
    uint64_t since_ms = hws_rig_now_ms();
    struct hws_rig_reply r;

    while (hws_rig_now_ms() - since_ms < ms) {
        hws_rig_call(rig, path, request, 1000, &r);
        hws_rig_reply_free(&r);
        if (r.code == HWS_GRPC_OK) {
            return hws_rig_now_ms() - since_ms;
        }
        hws_rig_idle(rig, 5);
    }
    return UINT64_MAX;
}

void hws_rig_wait_ready(struct hws_rig *rig)
{
    for (int i = 0; i < 200; i++) {
        Hawser__V1__ListDevicesRequest q = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
        struct hws_rig_reply r;
        size_t n_ready = 0;
        hws_rig_call(rig, "/hawser.v1.DeviceService/List", &q.base, 2000, &r);
        hws_rig_expect_ok(&r);
        Hawser__V1__ListDevicesResponse *list = hawser__v1__list_devices_response__unpack(
            NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
        for (size_t k = 0; k < list->n_devices; k++) {
            n_ready += list->devices[k]->state == HAWSER__V1__DEVICE_STATE__DEVICE_STATE_READY;
        }
        hawser__v1__list_devices_response__free_unpacked(list, NULL);
        hws_rig_reply_free(&r);
        if (n_ready == 2) {
            return;
        }
        hws_rig_idle(rig, 10);
    }
    fail_msg("adapters do not become ready");
}

/* What Info says of a process now; 0 while it is not connected. */
static pid_t pid_now(struct hws_rig *rig, const char *name)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;
    pid_t pid = 0;

    hws_rig_call(rig, "/hawser.v1.AgentService/Info", &q.base, 10000, &r);
    hws_rig_expect_ok(&r);
    Hawser__V1__InfoResponse *info =
        hawser__v1__info_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_non_null(info);
    for (size_t i = 0; i < info->n_processes; i++) {
        if (hws_str_eq(info->processes[i]->name, name) && info->processes[i]->connected) {
            pid = (pid_t)info->processes[i]->pid;
        }
    }
    hawser__v1__info_response__free_unpacked(info, NULL);
    hws_rig_reply_free(&r);
    return pid;
}

pid_t hws_rig_pid(struct hws_rig *rig, const char *name)
{
    uint64_t since_ms = hws_rig_now_ms();
    pid_t pid = pid_now(rig, name);

    while (pid <= 1 && hws_rig_now_ms() - since_ms < RIG_CONNECT_MS) {
        hws_rig_idle(rig, 5);
        pid = pid_now(rig, name);
    }
    assert_true(pid > 1);
    return pid;
}

char *hws_rig_text(const char *s)
{
    return (char *)(uintptr_t)s; /* NOLINT(performance-no-int-to-ptr) */
}

Hawser__V1__Mutation *hws_rig_mutate(struct hws_rig_mutation *m)
{
    static unsigned number;

    hawser__v1__mutation__init(&m->mutation);
    hawser__v1__fence__init(&m->fence);
    (void)hws_str_print(m->id, sizeof(m->id), "rig-request-%u", number++);
    m->fence.role = hws_rig_text("operator");
    m->fence.election_low = HWS_RIG_FENCE;
    m->mutation.fence = &m->fence;
    m->mutation.request_id = m->id;
    return &m->mutation;
}
