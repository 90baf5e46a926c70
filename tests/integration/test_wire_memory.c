/*
 * hawser-wire without memory, as its clients and hawserd see it: the process itself, in its
 * sandbox, with one allocation failing, or all from there on until there is memory again
 * (failing.h). What is under way ends with a status, the next call is served by the same process,
 * and at the end nothing has leaked. First while it serves, each kind of call and each way of its
 * end; then while it starts.
 *
 * HAWSER_OOM_SWEEP says how much: not set: some allocations of each scenario; a number: the first
 * of each site and some; all: every one, once and for good; NAME:K or NAME:K+, allocation K of the
 * scenario of that name, once or for good; NAME:all.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/mem.h"
#include "base/str.h"
#include "failing.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "net/conn.h"
#include "test.h"

#define CALL_MS       10000u
#define START_MS      20000u
#define MAX_KS        400u
#define N_DRAWN_FEW   3u /* of a scenario, without HAWSER_OOM_SWEEP */
#define N_DRAWN_SITES 4u /* beside the first of each site */

static struct hws_rig s_rig;
static char s_control[64];
static uint64_t s_rand;
static uint64_t s_n_tests, s_n_allocs, s_n_runs; /* for the table of `./test oom` */

/* ---- which allocations ----------------------------------------------------------------------- */

static uint64_t draw(uint64_t n)
{
    return hws_test_rand(&s_rand) % n;
}

/* The allocations of a scenario of n that are to fail, of which the table has the firsts. */
static size_t choose(uint64_t n, uint64_t *ks)
{
    const struct hws_failing *f = hws_failing_shared();
    const char *how = getenv("HAWSER_OOM_SWEEP");
    size_t n_ks = 0;

    for (size_t i = 0; how != NULL && i < HWS_FAILING_MAX_SITES && n_ks < MAX_KS / 2; i++) {
        if (f->sites[i].first != 0) {
            ks[n_ks++] = f->sites[i].first;
        }
    }
    for (unsigned i = 0; i < (how == NULL ? N_DRAWN_FEW : N_DRAWN_SITES); i++) {
        ks[n_ks++] = 1 + draw(n);
    }
    return n_ks;
}

/* Is the sweep of another scenario asked for? If of this one, *out_k is the allocation. */
static bool is_other(const char *name, uint64_t *out_k, bool *out_sticky)
{
    const char *how = getenv("HAWSER_OOM_SWEEP");
    const char *colon = how == NULL ? NULL : strchr(how, ':');
    char *end = NULL;

    *out_k = 0;
    if (colon == NULL) {
        return false;
    }
    if (strlen(name) != (size_t)(colon - how) || strncmp(name, how, strlen(name)) != 0) {
        return true;
    }
    *out_k = strtoull(colon + 1, &end, 10);
    *out_sticky = *end == '+';
    return false;
}

static bool is_whole(void)
{
    const char *how = getenv("HAWSER_OOM_SWEEP");

    return how != NULL && (hws_str_eq(how, "all") || strstr(how, ":all") != NULL);
}

/* Runs `one` with each of n allocations failing once and for good, or with those chosen, each in
 * either way. */
static void sweep(const char *name, uint64_t n, void (*one)(void *arg, uint64_t k, bool sticky),
                  void *arg)
{
    uint64_t ks[MAX_KS];
    size_t n_ks = choose(n, ks);
    uint64_t named;
    bool sticky;

    assert_true(n > 0);
    print_message("    %s: %llu allocations\n", name, (unsigned long long)n);
    if (is_other(name, &named, &sticky)) {
        return;
    }
    s_n_allocs += n;
    if (named != 0) {
        one(arg, named, sticky);
        return;
    }
    for (uint64_t k = 1; is_whole() && k <= n; k++) {
        one(arg, k, false);
        one(arg, k, true);
    }
    for (size_t i = 0; !is_whole() && i < n_ks; i++) {
        one(arg, ks[i], draw(2) == 0);
    }
}

/* ---- while it serves ------------------------------------------------------------------------- */

struct ended { /* how a scenario ended */
    bool connected;
    enum hws_grpc_code code;
    size_t n_messages;
    char message[256];
};

struct scenario {
    const char *name;
    const char *tls; /* who; NULL: over the Unix socket */
    enum hws_grpc_kind kind;
    const char *path;
    unsigned n_sent;
    void (*fill)(struct hws_rig_async *call, unsigned i); /* sends message i; NULL: empty ones */
    size_t n_messages;                                    /* the answer; 0: one or more */
    size_t until; /* cancelled by the client after so many; 0 = not */
};

static void send_register(struct hws_rig_async *call, unsigned i)
{
    Hawser__V1__ExecuteStreamRequest q = HAWSER__V1__EXECUTE_STREAM_REQUEST__INIT;
    Hawser__V1__ExecuteRequest x = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;
    uint8_t packed[256];

    a.register_ = hws_rig_text("MGIR");
    x.device = hws_rig_text("0000:03:00.0");
    x.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    x.register_ = &a;
    q.tag = i;
    q.request = &x;
    size_t n = hawser__v1__execute_stream_request__pack(&q, packed);
    (void)!hws_grpc_call_send(call->call, packed, n, NULL);
}

/* ServerReflectionRequest: list_services, file_containing_symbol, all_extension_numbers_of_type. */
static void send_reflection(struct hws_rig_async *call, unsigned i)
{
    static const char *const asks[] = {"\x3a\x01*", "\x22\x16hawser.v1.AgentService",
                                       "\x32\x16hawser.v1.InfoResponse"};
    (void)!hws_grpc_call_send(call->call, asks[i % 3], strlen(asks[i % 3]), NULL);
}

static void send_empty(struct hws_rig_async *call, unsigned i)
{
    (void)i;
    (void)!hws_grpc_call_send(call->call, "", 0, NULL);
}

/* More than one frame of HTTP/2 and one packet to hawserd: a field that nobody knows. */
static void send_large(struct hws_rig_async *call, unsigned i)
{
    static const uint8_t head[] = {0xfa, 0x07, 0xdf, 0xd4, 0x03}; /* field 127 of 59,999 bytes */
    uint8_t *bytes = hws_mem_zalloc(1, sizeof(head) + 59999);
    (void)i;

    assert_non_null(bytes);
    memcpy(bytes, head, sizeof(head));
    (void)!hws_grpc_call_send(call->call, bytes, sizeof(head) + 59999, NULL);
    hws_mem_free(bytes);
}

#define REFLECT "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

static const struct scenario s_scenarios[] = {
    {"call", NULL, HWS_GRPC_UNARY, "/hawser.v1.AgentService/Info", 1, NULL, 1, 0},
    {"call over TLS", "operator-olga", HWS_GRPC_UNARY, "/hawser.v1.AgentService/Info", 1, NULL, 1,
     0},
    {"large message over TLS", "operator-olga", HWS_GRPC_UNARY, "/hawser.v1.AgentService/WhoAmI", 1,
     send_large, 1, 0},
    {"both ways", NULL, HWS_GRPC_BIDI, "/hawser.v1.CommandService/ExecuteStream", 6, send_register,
     6, 0},
    {"both ways over TLS", "operator-olga", HWS_GRPC_BIDI,
     "/hawser.v1.CommandService/ExecuteStream", 6, send_register, 6, 0},
    {"stream, cancelled", NULL, HWS_GRPC_SERVER_STREAM, "/hawser.v1.DeviceService/Watch", 1, NULL,
     0, 3},
    {"health", NULL, HWS_GRPC_UNARY, "/grpc.health.v1.Health/Check", 1, NULL, 1, 0},
    {"health's list", NULL, HWS_GRPC_UNARY, "/grpc.health.v1.Health/List", 1, NULL, 1, 0},
    {"health watched", NULL, HWS_GRPC_SERVER_STREAM, "/grpc.health.v1.Health/Watch", 1, NULL, 0, 1},
    {"reflection", NULL, HWS_GRPC_BIDI, REFLECT, 3, send_reflection, 3, 0},
};
#define N_SCENARIOS (sizeof(s_scenarios) / sizeof(s_scenarios[0]))

static void give_up(struct hws_rig_async *call, const struct scenario *s)
{
    if (s->until != 0 && call->reply.n_messages >= s->until && call->call != NULL) {
        hws_grpc_call_cancel(call->call);
    }
}

static void run(const struct scenario *s, struct ended *out)
{
    struct hws_rig_async call;
    uint64_t until_ms = hws_rig_now_ms() + CALL_MS + 5000;

    memset(out, 0, sizeof(*out));
    out->connected = s->tls == NULL ? hws_rig_connect(&s_rig) : hws_rig_connect_tls(&s_rig, s->tls);
    if (!out->connected) {
        hws_rig_disconnect(&s_rig);
        return;
    }
    hws_rig_begin(&s_rig, s->path, s->kind, NULL, CALL_MS, &call);
    for (unsigned i = 0; i < s->n_sent && call.call != NULL; i++) {
        (s->fill == NULL ? send_empty : s->fill)(&call, i);
    }
    if (call.call != NULL && s->kind != HWS_GRPC_UNARY && s->kind != HWS_GRPC_SERVER_STREAM) {
        hws_grpc_call_half_close(call.call);
    }
    while (!call.done && hws_rig_now_ms() < until_ms) {
        (void)hws_rig_wait(&s_rig, &call, 100);
        give_up(&call, s);
    }
    assert_true(call.done);
    out->code = call.reply.code;
    out->n_messages = call.reply.n_messages;
    (void)hws_str_copy(out->message, sizeof(out->message), call.reply.message);
    hws_rig_reply_free(&call.reply);
    hws_rig_disconnect(&s_rig);
}

static bool is_good(const struct scenario *s, const struct ended *e)
{
    enum hws_grpc_code want = s->until != 0 ? HWS_GRPC_CANCELLED : HWS_GRPC_OK;

    return e->connected && e->code == want &&
           (s->n_messages == 0 ? e->n_messages > 0 : e->n_messages == s->n_messages);
}

/* It works, or says that it has no memory, or the connection was the price. */
static bool is_allowed(const struct scenario *s, const struct ended *e)
{
    return !e->connected || is_good(s, e) || e->code == HWS_GRPC_RESOURCE_EXHAUSTED ||
           e->code == HWS_GRPC_UNAVAILABLE;
}

static void expect_good(const struct scenario *s)
{
    struct ended e;

    run(s, &e);
    if (!is_good(s, &e)) {
        fail_msg("%s: %s: %s, %zu messages", s->name,
                 e.connected ? hws_grpc_code_name(e.code) : "no connection", e.message,
                 e.n_messages);
    }
}

static void run_failing(void *arg, uint64_t k, bool sticky)
{
    const struct scenario *s = arg;
    struct ended e;

    s_n_runs++;
    hws_failing_after(hws_failing_shared(), k, sticky);
    run(s, &e);
    hws_failing_after(hws_failing_shared(), 0, false);
    if (!is_allowed(s, &e)) {
        fail_msg("%s, allocation %llu%s: %s: %s, %zu messages", s->name, (unsigned long long)k,
                 sticky ? " and later" : "", hws_grpc_code_name(e.code), e.message, e.n_messages);
    }
    expect_good(s);
}

static int start(void **state)
{
    struct hws_rig_options options = {.tls = true};

    *state = &s_rig;
    hws_rig_start(&s_rig, &options);
    s_rig.dial_ms = CALL_MS;
    return 0;
}

static void each_call_ends_with_a_status_and_the_next_is_served(void **state)
{
    pid_t pid = hws_rig_pid(&s_rig, "hawser-wire");
    (void)state;

    for (size_t i = 0; i < N_SCENARIOS; i++) {
        struct scenario s = s_scenarios[i];
        expect_good(&s);
        hws_failing_reset(hws_failing_shared());
        expect_good(&s);
        uint64_t n = hws_failing_shared()->n_allocs;
        sweep(s.name, n, run_failing, &s);
    }
    assert_int_equal(hws_rig_pid(&s_rig, "hawser-wire"), pid);
    s_n_tests++;
}

/* ---- while it starts --------------------------------------------------------------------------
 * By itself, with a socket in hawserd's place that nobody answers. */

struct alone {
    struct hws_rig client; /* its dir is this one's */
    struct hws_rig_place place;
    char keeper[128], lock[128], local[128], run_dir[128], log[128];
    int keeper_fd;
    pid_t pid;
};

static struct alone s_alone;

static int listen_as_keeper(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0 && hws_str_copy(at.sun_path, sizeof(at.sun_path), path));
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static int make_folder(void **state)
{
    struct alone *a = &s_alone;
    const char *dir = a->place.dir;
    char run[128];
    (void)state;

    memset(a, 0, sizeof(*a));
    hws_pki_make(&a->place.pki);
    a->place.has_pki = true;
    hws_str_copy(a->place.dir, sizeof(a->place.dir), "/tmp/hawser-wire-XXXXXX");
    assert_non_null(mkdtemp(a->place.dir));
    hws_str_print(run, sizeof(run), "%s/run", dir);
    assert_int_equal(mkdir(run, 0700), 0);
    hws_str_print(a->run_dir, sizeof(a->run_dir), "%s/run/wire", dir);
    hws_str_print(a->local, sizeof(a->local), "%s/run/wire/hawser.sock", dir);
    hws_str_print(a->lock, sizeof(a->lock), "%s/run/wire.lock", dir);
    hws_str_print(a->keeper, sizeof(a->keeper), "%s/run/keeper", dir);
    hws_str_print(a->log, sizeof(a->log), "%s/log", dir);
    a->keeper_fd = listen_as_keeper(a->keeper);
    hws_rig_adopt(&a->client, &a->place);
    a->client.dial_ms = CALL_MS;
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)close(s_alone.keeper_fd);
    hws_rig_drop(&s_alone.client);
    return 0;
}

static void spawn_alone(struct alone *a)
{
    char cert[128], key[128], ca[128];

    hws_str_print(cert, sizeof(cert), "%s/agent-host.crt", a->place.pki.dir);
    hws_str_print(key, sizeof(key), "%s/agent-host.key", a->place.pki.dir);
    hws_str_print(ca, sizeof(ca), "%s/ca.crt", a->place.pki.dir);
    (void)unlink(a->local);
    a->pid = fork();
    assert_true(a->pid >= 0);
    if (a->pid == 0) {
        int fd = open(a->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(fd, STDERR_FILENO);
        (void)execl(HWS_RIG_FAILING_BIN_DIR "/hawser-wire", "hawser-wire", "--hawserd-socket",
                    a->keeper, "--lock", a->lock, "--local-socket", a->local, "--run-dir",
                    a->run_dir, "--listen", "127.0.0.1:0", "--cert", cert, "--key", key, "--ca", ca,
                    (char *)NULL);
        _exit(127);
    }
}

/* True when its socket takes connections, false when it has ended (*out_status). */
static bool has_started(struct alone *a, int *out_status)
{
    uint64_t until_ms = hws_rig_now_ms() + START_MS;
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    assert_true(hws_str_copy(at.sun_path, sizeof(at.sun_path), a->local));
    while (hws_rig_now_ms() < until_ms) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool connected = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
        (void)close(fd);
        if (connected) {
            return true;
        }
        if (waitpid(a->pid, out_status, WNOHANG) == a->pid) {
            return false;
        }
        hws_rig_idle(&a->client, 2);
    }
    fail_msg("hawser-wire neither serves nor ends");
    return false;
}

/* That hawserd is away is said by hawser-wire itself. False: it listened, and ended for want of
 * memory for the next thing. */
static bool answers(struct alone *a)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;

    hws_rig_call(&a->client, "/hawser.v1.AgentService/Info", &q.base, CALL_MS, &r);
    assert_int_equal(r.code, HWS_GRPC_UNAVAILABLE);
    hws_rig_reply_free(&r);
    hws_rig_disconnect(&a->client);
    return strstr(r.message, "hawserd") != NULL;
}

static void start_failing(void *arg, uint64_t k, bool sticky)
{
    struct alone *a = arg;
    int status = 0;
    int taken;

    s_n_runs++;
    hws_failing_reset(hws_failing_shared());
    hws_failing_after(hws_failing_shared(), k, sticky);
    spawn_alone(a);
    bool started = has_started(a, &status);
    hws_failing_after(hws_failing_shared(), 0, false);
    bool serves = started && answers(a);
    if (serves) {
        assert_int_equal(kill(a->pid, SIGTERM), 0);
    }
    if (started) {
        assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
    }
    while ((taken = accept(a->keeper_fd, NULL, NULL)) >= 0) {
        (void)close(taken);
    }
    if (hws_rig_has_findings(&a->client) || !WIFEXITED(status) ||
        WEXITSTATUS(status) != (serves ? 0 : 1)) {
        hws_rig_show_log(&a->client);
        fail_msg("allocation %llu%s of the start: wait status 0x%x", (unsigned long long)k,
                 sticky ? " and later" : "", (unsigned)status);
    }
}

static void it_starts_or_ends_with_a_status(void **state)
{
    (void)state;
    start_failing(&s_alone, 0, false); /* serves: its status is 0 */
    uint64_t n = hws_failing_shared()->n_allocs;
    sweep("start", n, start_failing, &s_alone);
    start_failing(&s_alone, 0, false);
    s_n_tests++;
}

static int own_control(void **state)
{
    const char *given = getenv(HWS_FAILING_ENV);
    (void)state;

    s_rand = hws_test_seed();
    if (given == NULL) {
        hws_str_copy(s_control, sizeof(s_control), "/tmp/hawser-failing-XXXXXX");
        int fd = mkstemp(s_control);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(setenv(HWS_FAILING_ENV, s_control, 1), 0);
    }
    assert_true(hws_failing_map(getenv(HWS_FAILING_ENV)));
    return 0;
}

static int remove_control(void **state)
{
    (void)state;
    if (s_control[0] != '\0') {
        (void)unlink(s_control);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_call_ends_with_a_status_and_the_next_is_served, start,
                                        hws_rig_teardown),
        cmocka_unit_test_setup_teardown(it_starts_or_ends_with_a_status, make_folder,
                                        remove_folder),
    };
    /* It sweeps another process: not itself by sweep.h. */
    int n_failed = _cmocka_run_group_tests("wire_memory", tests, sizeof(tests) / sizeof(tests[0]),
                                           own_control, remove_control);

    (void)printf(
        "oom integration_wire_memory %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " %d\n",
        sizeof(tests) / sizeof(tests[0]), s_n_allocs, s_n_runs, s_n_runs, s_n_tests, n_failed);
    return n_failed;
}
