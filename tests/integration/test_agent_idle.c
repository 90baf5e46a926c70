/*
 * What an idle agent costs: memory of the three processes with ten connections, no processor time;
 * and what stalled readers cost the others: nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/device.pb-c.h"
#include "hawser/v1/dump.pb-c.h"
#include "net/conn.h"
#include "net/dial.h"
#include "rig_sweep.h"
#include "test.h"

#define N_CONNS   10u
#define BUDGET_KB 24576u /* sum of PSS */
#define N_STALLED 16u
#define N_SAMPLES 500u

static struct hws_rig rig;
static const char *const processes[] = {"hawserd", "hawser-wire", "hawser-emu"};

static int start(void **state)
{
    struct hws_rig_options options = {.tls = true};

    *state = &rig;
    hws_rig_start(&rig, &options);
    return 0;
}

/* A number behind a key in a /proc file: "Pss:  123 kB". */
static unsigned long proc_value(pid_t pid, const char *file, const char *key)
{
    char path[64];
    char line[256];
    unsigned long value = 0;

    hws_str_print(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (hws_str_starts(line, key)) {
            value = strtoul(line + strlen(key), NULL, 10);
        }
    }
    (void)fclose(f);
    return value;
}

/* User and system time so far, in clock ticks. */
static unsigned long ticks(pid_t pid)
{
    char path[64];
    char line[1024];
    unsigned long user = 0;
    unsigned long sys = 0;

    hws_str_print(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    (void)fclose(f);
    char *rest = NULL;
    char *at = strrchr(line, ')');
    at = strtok_r(at == NULL ? line : at, " ", &rest);
    for (int field = 2; field < 14 && at != NULL; field++) { /* utime is field 14, stime 15 */
        at = strtok_r(NULL, " ", &rest);
    }
    if (at == NULL) {
        fail_msg("%s has too few fields", path);
        return 0;
    }
    user = strtoul(at, NULL, 10);
    at = strtok_r(NULL, " ", &rest);
    sys = at == NULL ? 0 : strtoul(at, NULL, 10);
    return user + sys;
}

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    (void)err;
    hws_grpc_limits_client(&cfg->limits);
    (*(unsigned *)hws_net_conn_owner(conn))++;
    return HWS_OK;
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    (void)err;
    (*(unsigned *)hws_net_conn_owner(conn))--;
}

static void idle_agent_is_small_and_still(void **state)
{
    static const struct hws_net_conn_ops ops = {.on_open = on_open, .on_closed = on_closed};
    struct hws_net_conn *conns[N_CONNS];
    char target[128];
    unsigned n_open = 0;
    unsigned long pss_kb = 0;
    unsigned long before = 0;
    unsigned long after = 0;
    pid_t pids[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pids[i] = hws_rig_pid(&rig, processes[i]);
    }
    hws_str_print(target, sizeof(target), "unix:%s/run/wire/hawser.sock", rig.dir);
    for (size_t i = 0; i < N_CONNS; i++) {
        struct hws_net_dial_config c = {.target = target, .ops = &ops, .owner = &n_open};
        assert_code(hws_net_dial(&rig.net, &c, &conns[i], NULL), HWS_OK);
    }
    for (int i = 0; i < 1000 && n_open < N_CONNS; i++) {
        hws_rig_idle(&rig, 10);
    }
    assert_int_equal(n_open, N_CONNS);
    hws_rig_idle(&rig, 200); /* let what opening caused pass */

    for (size_t i = 0; i < 3; i++) {
        unsigned long kb = proc_value(pids[i], "smaps_rollup", "Pss:");
        print_message("    %s %lu KiB\n", processes[i], kb);
        pss_kb += kb;
        before += ticks(pids[i]);
    }
    hws_rig_idle(&rig, 2000);
    for (size_t i = 0; i < 3; i++) {
        after += ticks(pids[i]);
    }

    print_message("    together %lu KiB, %lu ticks in 2 s\n", pss_kb, after - before);
#ifndef __SANITIZE_ADDRESS__
    assert_true(pss_kb < BUDGET_KB);
    assert_true(after - before <= 1);
#endif
    for (size_t i = 0; i < N_CONNS; i++) {
        hws_net_conn_close(conns[i]);
    }
    for (int i = 0; i < 1000 && n_open > 0; i++) {
        hws_rig_idle(&rig, 10);
    }
    assert_int_equal(n_open, 0);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void one_list_is_quick(void **state)
{
    static uint64_t us[N_SAMPLES];
    Hawser__V1__ListDevicesRequest q = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
    (void)state;
    hws_rig_disconnect(&rig);
    assert_true(hws_rig_connect_tls(&rig, "operator-olga"));

    for (size_t i = 0; i < N_SAMPLES; i++) {
        struct hws_rig_reply r;
        uint64_t since_us = uv_hrtime() / 1000;
        hws_rig_call(&rig, "/hawser.v1.DeviceService/List", &q.base, 2000, &r);
        us[i] = uv_hrtime() / 1000 - since_us;
        assert_int_equal(r.code, HWS_GRPC_OK);
        hws_rig_reply_free(&r);
    }

    qsort(us, N_SAMPLES, sizeof(us[0]), by_value);
    print_message("    p50 %llu us, p99 %llu us over TLS\n", (unsigned long long)us[N_SAMPLES / 2],
                  (unsigned long long)us[N_SAMPLES * 99 / 100]);
    hws_rig_disconnect(&rig);
}

static void stalled_readers_hold_nobody_up(void **state)
{
    static struct hws_rig_async pulls[N_STALLED];
    Hawser__V1__PullRequest q = HAWSER__V1__PULL_REQUEST__INIT;
    Hawser__V1__GetDeviceRequest g = HAWSER__V1__GET_DEVICE_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;
    q.device = "0000:03:00.0";
    q.source = "registers";
    for (size_t i = 0; i < N_STALLED; i++) {
        hws_rig_begin(&rig, "/hawser.v1.DumpService/Pull", HWS_GRPC_SERVER_STREAM, &q.base, 20000,
                      &pulls[i]);
        assert_non_null(pulls[i].call);
        hws_grpc_call_set_credit(pulls[i].call, 0);
    }
    hws_rig_idle(&rig, 500);
    g.device = q.device;

    hws_rig_call(&rig, "/hawser.v1.DeviceService/Get", &g.base, 1000, &r);

    assert_int_equal(r.code, HWS_GRPC_OK);
    hws_rig_reply_free(&r);
    for (size_t i = 0; i < N_STALLED; i++) {
        assert_false(pulls[i].done);
        hws_grpc_call_grant(pulls[i].call, 1000);
    }
    for (size_t i = 0; i < N_STALLED; i++) {
        assert_true(hws_rig_wait(&rig, &pulls[i], 5000));
        assert_int_equal(pulls[i].reply.code, HWS_GRPC_OK);
        hws_rig_reply_free(&pulls[i].reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_agent_is_small_and_still),
        cmocka_unit_test(one_list_is_quick),
        cmocka_unit_test(stalled_readers_hold_nobody_up),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
