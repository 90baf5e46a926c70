/*
 * Measures of a whole agent, from outside, through libhawser:
 *
 *     bench_agent unary TARGET CERT KEY CA CALLS    median round trip of a unary call on one
 * connection bench_agent hold TARGET CERT KEY CA COUNT     opens COUNT connections, prints "held",
 * waits for the end of stdin bench_agent start SOCKET HAWSERD CONFIG       milliseconds from exec
 * of hawserd to the first answered call; the agent is then stopped Prints "name value unit" lines.
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
        } else if (hws_str_eq(argv[1], "hold") && n <= MAX_HELD) {
            hold(&loop, argv[2], creds, n);
        }
        hws_client_creds_unref(creds);
    } else {
        (void)fprintf(
            stderr,
            "usage: bench_agent unary|hold TARGET CERT KEY CA N | start SOCKET HAWSERD CONFIG\n");
        return 2;
    }
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
