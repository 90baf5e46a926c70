/*
 * Measures of a whole agent, from outside, through libhawser:
 *
 *     bench_agent unary TARGET CERT KEY CA CALLS    median round trip of a unary call on one
 * connection bench_agent hold TARGET CERT KEY CA COUNT     opens COUNT connections, prints "held",
 * waits for the end of stdin bench_agent beside TARGET CERT KEY CA READS    99th percentile of
 * reads of FAST_NIC while the card of SLOW_NIC answers MTMP late, beside the same without it
 * bench_agent start SOCKET HAWSERD CONFIG       milliseconds from exec of hawserd to the first
 * answered call; the agent is then stopped Prints "name value unit" lines, the last with its floor.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/hawser.h"

#define NS_PER_US     1000u
#define NS_PER_MS     1000000u
#define NS_PER_S      1000000000u
#define MAX_CALLS     1000000u
#define MAX_HELD      1000u
#define START_LIMIT_S 20u

#define FAST_NIC                                                                                   \
    "0000:03:00.0" /* of connectx7.yaml and connectx6dx.yaml, as run.py starts them                \
                    */
#define SLOW_NIC "0000:81:00.0"
#define N_BLOCKS 12u /* half of them beside the slow card, in turn */
#define N_LATE   16u /* reads that wait for the slow card, always */

static void die(const char *what, const struct hws_client_status *status)
{
    (void)fprintf(stderr, "bench_agent: %s: %s\n", what, status == NULL ? "" : status->message);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static enum hws_client_code whoami(struct hws_client *client, struct hws_client_status *status)
{
    Hawser__V1__WhoAmIRequest request = HAWSER__V1__WHO_AM_IREQUEST__INIT;
    Hawser__V1__WhoAmIResponse *response = NULL;

    enum hws_client_code code = hws_client_agent_who_am_i(client, &request, &response, status);
    if (code == HWS_CLIENT_OK) {
        protobuf_c_message_free_unpacked(&response->base, NULL);
    }
    return code;
}

static struct hws_client *connect_to(uv_loop_t *loop, const char *target,
                                     struct hws_client_creds *creds)
{
    struct hws_client_options options = {.target = target, .creds = creds};
    struct hws_client *client = NULL;
    struct hws_client_status status;

    if (hws_client_open(loop, &options, &client, &status) != HWS_CLIENT_OK) {
        die(target, &status);
    }
    return client;
}

static void let_go(uv_loop_t *loop, struct hws_client *client)
{
    hws_client_close(client, NULL, NULL);
    (void)uv_run(loop, UV_RUN_DEFAULT);
}

static void unary(uv_loop_t *loop, const char *target, struct hws_client_creds *creds, uint64_t n)
{
    struct hws_client *client = connect_to(loop, target, creds);
    uint64_t *took = hws_mem_zalloc(n, sizeof(*took));
    struct hws_client_status status;

    if (took == NULL) {
        die("memory", NULL);
    }
    for (uint64_t i = 0; i < n + n / 10; i++) { /* the first tenth again at the end: warm */
        uint64_t began = now_ns();
        if (whoami(client, &status) != HWS_CLIENT_OK) {
            die("call", &status);
        }
        took[i % n] = now_ns() - began;
    }
    qsort(took, n, sizeof(*took), by_value);
    uint64_t p50 = n / 2;
    uint64_t p99 = n - 1 - n / 100;
    (void)printf("agent.unary.p50_us %.1f us\n", (double)took[p50] / NS_PER_US);
    (void)printf("agent.unary.p99_us %.1f us\n", (double)took[p99] / NS_PER_US);
    hws_mem_free(took);
    let_go(loop, client);
}

static void hold(uv_loop_t *loop, const char *target, struct hws_client_creds *creds, uint64_t n)
{
    struct hws_client *clients[MAX_HELD];
    struct hws_client_status status;

    for (uint64_t i = 0; i < n; i++) {
        clients[i] = connect_to(loop, target, creds);
        if (whoami(clients[i], &status) != HWS_CLIENT_OK) {
            die("call", &status);
        }
    }
    (void)printf("held\n");
    (void)fflush(stdout);
    while (getchar() != EOF) {
    }
    for (uint64_t i = 0; i < n; i++) {
        hws_client_close(clients[i], NULL, NULL);
    }
    (void)uv_run(loop, UV_RUN_DEFAULT);
}

/* A read of a register. */
struct reading {
    struct hws_client_call call;
    Hawser__V1__ExecuteRequest request;
    Hawser__V1__RegisterAccess access;
    struct hws_client *client;
    bool *again; /* of a late one: start it again when it ends */
    size_t *n_under_way;
};

static void prepare(struct reading *r, struct hws_client *client, char *nic, char *name)
{
    *r = (struct reading){.client = client};
    hawser__v1__execute_request__init(&r->request);
    hawser__v1__register_access__init(&r->access);
    r->request.device = nic;
    r->request.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    r->request.register_ = &r->access;
    r->access.register_ = name;
    r->call.method = &hws_client_method_command_execute;
    r->call.request = &r->request.base;
    r->call.data = r;
}

static void begin_late(struct reading *r)
{
    if (hws_client_start(r->client, &r->call) != HWS_CLIENT_OK) {
        die("late read", &r->call.status);
    }
    (*r->n_under_way)++;
}

static void late_done(struct hws_client_call *call)
{
    struct reading *r = call->data;

    if (call->status.code != HWS_CLIENT_OK) {
        die("late read", &call->status);
    }
    hws_client_call_deinit(call);
    call->response = NULL;
    (*r->n_under_way)--;
    if (*r->again) {
        begin_late(r);
    }
}

/* The agent serves before its cards are identified. */
static void await_card(struct hws_client *client, char *nic)
{
    static char mgir[] = "MGIR";
    struct reading r;
    enum hws_client_code code = HWS_CLIENT_UNAVAILABLE;

    for (uint64_t began = now_ns(); code != HWS_CLIENT_OK;) {
        prepare(&r, client, nic, mgir);
        code = hws_client_run(client, &r.call);
        if (code != HWS_CLIENT_OK && (code != HWS_CLIENT_UNAVAILABLE ||
                                      now_ns() - began > START_LIMIT_S * (uint64_t)NS_PER_S)) {
            die("first read", &r.call.status);
        }
        hws_client_call_deinit(&r.call);
    }
}

/* The 99th percentile of n reads, one after the other. */
static uint64_t p99_of_reads(struct hws_client *client, char *nic, uint64_t *took, uint64_t n)
{
    static char mgir[] = "MGIR";
    struct reading r;

    for (uint64_t i = 0; i < n; i++) {
        prepare(&r, client, nic, mgir);
        uint64_t began = now_ns();
        if (hws_client_run(client, &r.call) != HWS_CLIENT_OK) {
            die("read", &r.call.status);
        }
        took[i] = now_ns() - began;
        hws_client_call_deinit(&r.call);
    }
    qsort(took, n, sizeof(*took), by_value);
    return took[n - 1 - n / 100];
}

static void beside(uv_loop_t *loop, const char *target, struct hws_client_creds *creds, uint64_t n)
{
    static char fast_nic[] = FAST_NIC;
    static char slow_nic[] = SLOW_NIC;
    static char mtmp[] = "MTMP";
    struct hws_client *fast = connect_to(loop, target, creds);
    struct hws_client *slow = connect_to(loop, target, creds);
    struct reading late[N_LATE];
    uint64_t *took = hws_mem_zalloc(n, sizeof(*took));
    uint64_t p99[2][N_BLOCKS / 2];
    bool again = false;
    size_t n_under_way = 0;

    if (took == NULL) {
        die("memory", NULL);
    }
    await_card(fast, fast_nic);
    (void)p99_of_reads(fast, fast_nic, took, n); /* warm */
    for (uint64_t block = 0; block < N_BLOCKS; block++) {
        again = block % 2 == 1;
        for (size_t i = 0; again && i < N_LATE; i++) {
            prepare(&late[i], slow, slow_nic, mtmp);
            late[i].call.done = late_done;
            late[i].again = &again;
            late[i].n_under_way = &n_under_way;
            begin_late(&late[i]);
        }
        p99[block % 2][block / 2] = p99_of_reads(fast, fast_nic, took, n / N_BLOCKS);
        if (again && n_under_way != N_LATE) {
            die("the slow card had no reads waiting", NULL);
        }
        again = false;
        while (n_under_way > 0) {
            (void)uv_run(loop, UV_RUN_ONCE);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        qsort(p99[i], N_BLOCKS / 2, sizeof(p99[i][0]), by_value);
    }
    const size_t median = N_BLOCKS / 4;
    (void)printf("agent.read.p99_beside_slow_us %.1f us %.1f\n", (double)p99[1][median] / NS_PER_US,
                 (double)p99[0][median] / NS_PER_US);
    hws_mem_free(took);
    hws_client_close(slow, NULL, NULL);
    let_go(loop, fast);
}

/* The agent answers on its Unix socket; every attempt is a connection of its own, so none waits for
 * a back-off. */
static bool answers(uv_loop_t *loop, const char *socket_path)
{
    char target[256];
    struct hws_client_status status;

    if (!hws_str_print(target, sizeof(target), "unix:%s", socket_path)) {
        die("socket path too long", NULL);
    }
    struct hws_client *client = connect_to(loop, target, NULL);
    bool ok = whoami(client, &status) == HWS_CLIENT_OK;
    let_go(loop, client);
    return ok;
}

static void start(uv_loop_t *loop, const char *socket_path, char *hawserd, char *config)
{
    static char config_flag[] = "--config";
    char *argv[] = {hawserd, config_flag, config, NULL};
    int status = 0;

    uint64_t began = now_ns();
    pid_t pid = fork();
    if (pid == 0) {
        (void)execv(hawserd, argv);
        _exit(127);
    }
    while (pid < 0 || !answers(loop, socket_path)) {
        if (pid < 0 || waitpid(pid, &status, WNOHANG) != 0 ||
            now_ns() - began > START_LIMIT_S * (uint64_t)NS_PER_S) {
            die("hawserd did not start", NULL);
        }
    }
    double took_ms = (double)(now_ns() - began) / NS_PER_MS;
    (void)kill(pid, SIGTERM);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        die("hawserd did not stop cleanly", NULL);
    }
    (void)printf("agent.start_ms %.1f ms\n", took_ms);
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    struct hws_client_creds *creds = NULL;
    struct hws_client_status status;

    (void)signal(SIGPIPE, SIG_IGN);
    if (uv_loop_init(&loop) != 0) {
        die("loop", NULL);
    }
    if (argc == 5 && hws_str_eq(argv[1], "start")) {
        start(&loop, argv[2], argv[3], argv[4]);
    } else if (argc == 7) {
        uint64_t n = strtoull(argv[6], NULL, 10);
        if (hws_client_creds_new(argv[3], argv[4], argv[5], &creds, &status) != HWS_CLIENT_OK) {
            die("credentials", &status);
        }
        if (hws_str_eq(argv[1], "unary") && n >= 100 && n <= MAX_CALLS) {
            unary(&loop, argv[2], creds, n);
        } else if (hws_str_eq(argv[1], "beside") && n >= (uint64_t)100 * N_BLOCKS &&
                   n <= MAX_CALLS) {
            beside(&loop, argv[2], creds, n);
        } else if (hws_str_eq(argv[1], "hold") && n <= MAX_HELD) {
            hold(&loop, argv[2], creds, n);
        }
        hws_client_creds_unref(creds);
    } else {
        (void)fprintf(stderr, "usage: bench_agent unary|beside|hold TARGET CERT KEY CA N | start "
                              "SOCKET HAWSERD CONFIG\n");
        return 2;
    }
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
