/* The real hawser-emu, spoken to as hawserd does: through ctl_ipc over its socket. It is killed,
 * stopped, restarted; what was stored stays, what ran is UNKNOWN. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/str.h"
#include "ctl/ctl_ipc.h"
#include "ctl/run.h"
#include "sock/sock.h"
#include "table/table.h"
#include "test.h"

#define WAIT_MS   5000u /* for anything that should happen soon */
#define CX7       HWS_TESTS_DIR "/../agent/emu/profiles/connectx7.yaml"
#define BF3       HWS_TESTS_DIR "/../agent/emu/profiles/bluefield3.yaml"
#define EMU       HWS_BIN_DIR "/hawser-emu"
#define DEV       HWS_BIN_DIR "/hawser-dev"
#define NV_TYPE   0x80u /* the TLV with SRIOV_EN and NUM_OF_VFS, 12 bytes */
#define NV_BYTES  12u
#define REG_DATA  16u
#define NV_DATA   (REG_DATA + 12u)
#define MNVDA_MAX 0x10cu

struct world {
    char folder[64];
    char sock_path[96];
    char lock_path[96];
    char state_dir[96];
    char slow_profile[96]; /* a ConnectX-7 whose every command takes 300 ms */
    int listener;
    pid_t pid;
    struct hws_ctl_ipc ipc;
    unsigned n_ends;
};

static struct world world;

/* ---- a process and its connection ---- */

static uint16_t row_of(void *data, const struct hws_ctl_ipc_adapter *adapter,
                       const struct hws_ctl_call *call)
{
    const struct hws_table_row *row = hws_table_of_inbox(HWS_KIND_MLX5, call->in, call->in_bytes);

    (void)data;
    (void)adapter;
    return row != NULL ? hws_table_id(row) : 0;
}

static void on_end(void *data, const struct hws_err *why)
{
    (void)why;
    ((struct world *)data)->n_ends++;
}

static pid_t spawn(char *const argv[])
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(null, STDERR_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static void start(struct world *w, const char *first, const char *second)
{
    char *argv[] = {(char *)EMU,   (char *)"--socket",    w->sock_path,   (char *)"--lock",
                    w->lock_path,  (char *)"--state-dir", w->state_dir,   (char *)"--profile",
                    (char *)first, (char *)"--profile",   (char *)second, NULL};

    if (second == NULL) {
        argv[9] = NULL;
    }
    w->pid = spawn(argv);
}

/* The exit status, or 128 + the signal. */
static int wait_for_end(pid_t pid)
{
    uint64_t give_up_ms = hws_ctl_now_ms() + WAIT_MS;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_true(hws_ctl_now_ms() < give_up_ms);
        (void)poll(NULL, 0, 1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void readable(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&pfd, 1, (int)WAIT_MS), 1);
}

/* Takes the connection that comes next and reads its HELLO; returns how many commands it names. */
static uint16_t accept_device(struct world *w)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_link_packet p;
    struct hws_err err;
    size_t n = 0;
    int passed = -1;
    int fd = -1;

    readable(w->listener);
    assert_ok(hws_sock_accept(w->listener, &fd, &err), &err);
    readable(fd);
    assert_ok(hws_sock_recv(fd, bytes, sizeof bytes, &n, &passed, &err), &err);
    assert_ok(hws_link_decode(bytes, n, &p, &err), &err);
    assert_int_equal(p.type, HWS_LINK_HELLO);
    assert_int_equal(p.u.hello.pid, w->pid);
    assert_ok(hws_ctl_ipc_attach(&w->ipc, fd, &p.u.hello, &err), &err);
    return p.u.hello.n_running;
}

static void turn_once(struct world *w)
{
    struct pollfd pfd = {.fd = hws_ctl_ipc_fd(&w->ipc), .events = POLLIN};

    (void)poll(&pfd, 1, 5);
    (void)hws_ctl_ipc_turn(&w->ipc, hws_ctl_now_ms());
}

static struct hws_ctl_ipc_adapter *wait_up(struct world *w, size_t i)
{
    uint64_t give_up_ms = hws_ctl_now_ms() + WAIT_MS;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, i);

    while (a == NULL || a->state != HWS_LINK_ADAPTER_UP) {
        assert_true(hws_ctl_now_ms() < give_up_ms);
        turn_once(w);
        a = hws_ctl_ipc_adapter_at(&w->ipc, i);
    }
    return a;
}

/* Everything that was started is stopped, whatever the test left. */
static void stop(struct world *w)
{
    if (w->pid > 0) {
        (void)kill(w->pid, SIGKILL);
        (void)waitpid(w->pid, NULL, 0);
        w->pid = 0;
    }
}

static void write_slow_profile(const char *to)
{
    static char text[65536];
    static const char fast[] = "latency_ms: 0  ";
    FILE *f = fopen(CX7, "r");
    size_t n;
    char *at;

    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = 0;
    at = strstr(text, fast);
    assert_non_null(at);
    memcpy(at, "latency_ms: 300", sizeof fast - 1);
    f = fopen(to, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    struct world *w = &world;
    struct hws_ctl_ipc_config config = {.generation = 0x7000000000000001u,
                                        .name = "hawserd",
                                        .build_id = "test",
                                        .row_of = row_of,
                                        .on_end = on_end,
                                        .data = w};

    memset(w, 0, sizeof *w);
    (void)hws_str_copy(w->folder, sizeof w->folder, "/tmp/hawser-devproc-XXXXXX");
    if (mkdtemp(w->folder) == NULL) {
        return -1;
    }
    (void)hws_str_print(w->sock_path, sizeof w->sock_path, "%s/s", w->folder);
    (void)hws_str_print(w->lock_path, sizeof w->lock_path, "%s/lock", w->folder);
    (void)hws_str_print(w->state_dir, sizeof w->state_dir, "%s/state", w->folder);
    (void)hws_str_print(w->slow_profile, sizeof w->slow_profile, "%s/slow.yaml", w->folder);
    write_slow_profile(w->slow_profile);
    *state = w;
    return hws_sock_listen(w->sock_path, &w->listener, NULL) == HWS_OK &&
                   hws_ctl_ipc_init(&w->ipc, &config, NULL) == HWS_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char *argv[] = {(char *)"/bin/rm", (char *)"-r", w->folder, NULL};

    stop(w);
    hws_ctl_ipc_detach(&w->ipc);
    (void)hws_ctl_ipc_turn(&w->ipc, hws_ctl_now_ms());
    hws_ctl_ipc_deinit(&w->ipc);
    hws_sock_close(&w->listener);
    return wait_for_end(spawn(argv));
}

/* ---- commands ---- */

struct command {
    struct hws_ctl_call call;
    uint8_t in[REG_DATA + MNVDA_MAX];
    uint8_t out[REG_DATA + MNVDA_MAX];
    bool done;
};

static void nop(struct command *c)
{
    memset(c, 0, sizeof *c);
    hws_store_be16(c->in, 0x80d);
    c->call = (struct hws_ctl_call){
        .in = c->in, .in_bytes = 16, .out = c->out, .out_cap_bytes = 16, .scope = 1};
}

static void access_register(struct command *c, uint16_t id, bool write, size_t n_bytes)
{
    memset(c, 0, sizeof *c);
    hws_store_be16(c->in, 0x805);
    hws_store_be16(c->in + 6, write ? 0 : 1);
    hws_store_be16(c->in + 10, id);
    c->call = (struct hws_ctl_call){.in = c->in,
                                    .in_bytes = REG_DATA + n_bytes,
                                    .out = c->out,
                                    .out_cap_bytes = REG_DATA + n_bytes,
                                    .scope = write ? 0 : 1};
}

static void run_ok(struct hws_ctl_ipc_adapter *a, struct command *c)
{
    struct hws_err err;

    assert_ok(hws_ctl_run(&a->ctl, &c->call, WAIT_MS, &err), &err);
}

static void command_done(struct hws_ctl_call *call)
{
    ((struct command *)call->data)->done = true;
}

static void submit(struct hws_ctl_ipc_adapter *a, struct command *c)
{
    struct hws_err err;

    c->call.cb = command_done;
    c->call.data = c;
    c->call.deadline_ms = hws_ctl_now_ms() + WAIT_MS;
    assert_ok(a->ctl.ops->submit(&a->ctl, &c->call, &err), &err);
}

static void wait_done(struct world *w, const struct command *c)
{
    uint64_t give_up_ms = hws_ctl_now_ms() + WAIT_MS;

    while (!c->done) {
        assert_true(hws_ctl_now_ms() < give_up_ms);
        turn_once(w);
    }
}

/* NUM_OF_VFS of the next boot. */
static uint16_t read_n_vfs(struct hws_ctl_ipc_adapter *a, struct command *c)
{
    access_register(c, 0x9024, false, MNVDA_MAX);
    hws_store_be32(c->in + REG_DATA, NV_BYTES);
    hws_store_be32(c->in + REG_DATA + 4, NV_TYPE);
    run_ok(a, c);
    return hws_load_be16(c->out + NV_DATA + 6);
}

static void write_n_vfs(struct hws_ctl_ipc_adapter *a, uint16_t n)
{
    struct command before;
    struct command c;

    (void)read_n_vfs(a, &before);
    access_register(&c, 0x9024, true, 12 + NV_BYTES);
    hws_store_be32(c.in + REG_DATA, NV_BYTES);
    hws_store_be32(c.in + REG_DATA + 4, NV_TYPE);
    memcpy(c.in + NV_DATA, before.out + NV_DATA, NV_BYTES);
    hws_store_be16(c.in + NV_DATA + 6, n);
    run_ok(a, &c);
}

/* ---- tests ---- */

static void every_profile_becomes_an_adapter(void **state)
{
    struct world *w = *state;

    start(w, CX7, BF3);
    (void)accept_device(w);
    assert_true(wait_up(w, 0)->emulated);
    assert_string_equal(wait_up(w, 0)->pci, "0000:03:00.0");
    assert_string_equal(wait_up(w, 1)->pci, "0000:c1:00.0");
    assert_string_equal(wait_up(w, 1)->backend, "queue");
    assert_int_equal(wait_up(w, 1)->depth, 31);
}

static void commands_run_on_the_right_adapter(void **state)
{
    struct world *w = *state;
    struct command c;

    start(w, CX7, BF3);
    (void)accept_device(w);
    nop(&c);
    run_ok(wait_up(w, 0), &c);
    access_register(&c, 0x9020, false, 0xa0);
    run_ok(wait_up(w, 0), &c);
    assert_int_equal(hws_load_be16(c.out + REG_DATA + 10), 0x218); /* ConnectX-7 */
    access_register(&c, 0x9020, false, 0xa0);
    run_ok(wait_up(w, 1), &c);
    assert_int_equal(hws_load_be16(c.out + REG_DATA + 10), 0x21c); /* BlueField-3 */
}

static void gate_refuses_what_the_keeper_should_not_send(void **state)
{
    struct world *w = *state;
    struct command c;
    struct hws_err err;

    start(w, CX7, NULL);
    (void)accept_device(w);
    (void)wait_up(w, 0);
    access_register(&c, 0x9020, false, 0xa0);
    c.call.scope = 0; /* too low for a read */
    assert_code(hws_ctl_run(&wait_up(w, 0)->ctl, &c.call, WAIT_MS, &err), HWS_E_DENIED);
    assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    access_register(&c, 0x9011, false, 0x10c); /* MFBA: no row, and banned */
    assert_code(hws_ctl_run(&wait_up(w, 0)->ctl, &c.call, WAIT_MS, &err), HWS_E_DENIED);
    nop(&c);
    hws_store_be16(c.in, 0x500); /* CREATE_QP */
    assert_code(hws_ctl_run(&wait_up(w, 0)->ctl, &c.call, WAIT_MS, &err), HWS_E_DENIED);
}

static void refusal_of_the_firmware_has_status_and_syndrome(void **state)
{
    struct world *w = *state;
    struct command c;
    struct hws_err err;

    start(w, CX7, NULL);
    (void)accept_device(w);
    access_register(&c, 0x9024, false, MNVDA_MAX);
    hws_store_be32(c.in + REG_DATA, NV_BYTES);
    hws_store_be32(c.in + REG_DATA + 4, 0x00abcdef); /* no such TLV */
    assert_code(hws_ctl_run(&wait_up(w, 0)->ctl, &c.call, WAIT_MS, &err), HWS_E_DEVICE);
    assert_int_equal(err.stage, HWS_STAGE_EXECUTED);
    assert_true(err.exec_status != 0 && err.syndrome != 0);
}

static void stored_value_survives_sigkill_and_the_call_under_way_is_unknown(void **state)
{
    struct world *w = *state;
    struct command c;
    struct command read;

    start(w, CX7, NULL);
    (void)accept_device(w);
    write_n_vfs(wait_up(w, 0), 9);
    assert_int_equal(read_n_vfs(wait_up(w, 0), &read), 9);
    assert_int_equal(kill(w->pid, SIGSTOP), 0);
    nop(&c);
    submit(wait_up(w, 0), &c);
    turn_once(w); /* on the socket, not yet read */
    assert_false(c.done);
    stop(w);
    wait_done(w, &c);
    assert_code(c.call.err.code, HWS_E_GONE);
    assert_int_equal(c.call.err.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(w->n_ends, 1);

    start(w, CX7, NULL);
    (void)accept_device(w);
    assert_int_equal(read_n_vfs(wait_up(w, 0), &read), 9);
    write_n_vfs(wait_up(w, 0), 10);
}

static void keeper_may_die_and_the_command_runs_on(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a;
    struct command c;

    start(w, w->slow_profile, NULL);
    (void)accept_device(w);
    a = wait_up(w, 0);
    nop(&c);
    submit(a, &c);
    turn_once(w);
    (void)poll(NULL, 0, 50); /* read by the other end, running for 300 ms */
    hws_ctl_ipc_detach(&w->ipc);
    wait_done(w, &c);
    assert_int_equal(c.call.err.stage, HWS_STAGE_UNKNOWN);

    assert_int_equal(accept_device(w), 1); /* HELLO names it */
    a = wait_up(w, 0);
    assert_int_equal(a->n_earlier, 1);
    for (uint64_t end_ms = hws_ctl_now_ms() + WAIT_MS; a->n_earlier > 0; turn_once(w)) {
        assert_true(hws_ctl_now_ms() < end_ms);
    }
    nop(&c);
    run_ok(a, &c);
}

static void sigterm_finishes_what_runs_and_exits_0(void **state)
{
    struct world *w = *state;
    struct command c;

    start(w, w->slow_profile, NULL);
    (void)accept_device(w);
    (void)wait_up(w, 0);
    nop(&c);
    submit(wait_up(w, 0), &c);
    turn_once(w);
    (void)poll(NULL, 0, 50);
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    wait_done(w, &c);
    assert_code(c.call.err.code, HWS_OK);
    assert_int_equal(wait_for_end(w->pid), 0);
    w->pid = 0;
}

static void drain_ends_it_like_sigterm(void **state)
{
    struct world *w = *state;

    start(w, CX7, NULL);
    (void)accept_device(w);
    (void)wait_up(w, 0);
    hws_ctl_ipc_drain(&w->ipc);
    turn_once(w);
    assert_int_equal(wait_for_end(w->pid), 0);
    w->pid = 0;
}

static void second_process_is_refused_by_the_lock(void **state)
{
    struct world *w = *state;
    pid_t first;

    start(w, CX7, NULL);
    (void)accept_device(w);
    first = w->pid;
    start(w, CX7, NULL);
    assert_int_equal(wait_for_end(w->pid), 1);
    w->pid = first;
}

static void torn_parameter_file_fails_one_card_only(void **state)
{
    struct world *w = *state;
    char path[160];
    struct hws_ctl_ipc_adapter *a;
    FILE *f;

    start(w, CX7, NULL);
    (void)accept_device(w);
    write_n_vfs(wait_up(w, 0), 9);
    stop(w);
    turn_once(w);
    assert_true(hws_str_print(path, sizeof path, "%s/nv/MT2334T00A17.nv", w->state_dir));
    f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 40, SEEK_SET), 0);
    assert_int_equal(fputc(0x77, f), 0x77);
    assert_int_equal(fclose(f), 0);

    start(w, CX7, BF3);
    (void)accept_device(w);
    (void)wait_up(w, 1);
    a = hws_ctl_ipc_adapter_at(&w->ipc, 0);
    assert_int_equal(a->state, HWS_LINK_ADAPTER_FAILED);
    assert_non_null(strstr(a->reason, "MT2334T00A17.nv"));
}

static void bad_command_lines_are_refused(void **state)
{
    struct world *w = *state;
    char *const help[] = {(char *)EMU, (char *)"--help", NULL};
    char *const nothing[] = {(char *)EMU, NULL};
    char *const unknown[] = {(char *)DEV, (char *)"--frobnicate", NULL};
    char *const no_file[] = {(char *)EMU,
                             (char *)"--socket",
                             w->sock_path,
                             (char *)"--lock",
                             w->lock_path,
                             (char *)"--state-dir",
                             w->state_dir,
                             (char *)"--profile",
                             (char *)"/nonexistent.yaml",
                             NULL};

    assert_int_equal(wait_for_end(spawn(help)), 0);
    assert_int_equal(wait_for_end(spawn(nothing)), 2);
    assert_int_equal(wait_for_end(spawn(unknown)), 2);
    assert_int_equal(wait_for_end(spawn(no_file)), 1);
}

static void hawser_dev_serves_without_a_device(void **state)
{
    struct world *w = *state;
    char *const argv[] = {(char *)DEV,      (char *)"--socket", w->sock_path,
                          (char *)"--lock", w->lock_path,       NULL};

    w->pid = spawn(argv);
    (void)accept_device(w);
    turn_once(w);
    assert_true(hws_ctl_ipc_attached(&w->ipc));
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    assert_int_equal(wait_for_end(w->pid), 0);
    w->pid = 0;
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(every_profile_becomes_an_adapter),
        WITH_WORLD(commands_run_on_the_right_adapter),
        WITH_WORLD(gate_refuses_what_the_keeper_should_not_send),
        WITH_WORLD(refusal_of_the_firmware_has_status_and_syndrome),
        WITH_WORLD(stored_value_survives_sigkill_and_the_call_under_way_is_unknown),
        WITH_WORLD(keeper_may_die_and_the_command_runs_on),
        WITH_WORLD(sigterm_finishes_what_runs_and_exits_0),
        WITH_WORLD(drain_ends_it_like_sigterm),
        WITH_WORLD(second_process_is_refused_by_the_lock),
        WITH_WORLD(torn_parameter_file_fails_one_card_only),
        WITH_WORLD(bad_command_lines_are_refused),
        WITH_WORLD(hawser_dev_serves_without_a_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
