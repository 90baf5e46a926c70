/*
 * A taken-over hawser-wire against hawserd: the test stands in hawser-wire's place at the socket of
 * a real hawserd, claims principals, asks for commands of its choice and damages packets. It stands
 * between hawserd and a real hawser-emu too, and sees every command that hawserd sends: each must
 * be one that expected.txt lists, in its lowest scope, and one that the principals may run.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/str.h"
#include "expected.h"
#include "hawser/v1/command.pb-c.h"
#include "link/methods.h"
#include "peer.h"
#include "sock/sock.h"
#include "test.h"

#define WINDOW  16u            /* calls in flight */
#define SAMPLES 100000u        /* calls, over the four profiles */
#define DAMAGED 100000u        /* packets */
#define NIC     "0000:03:00.0" /* of the shipped ConnectX-7 profile */
#define POLICY  HWS_TESTS_DIR "/../docs/examples/profiles.yaml"

static const struct expect *expected;
static const struct expect_profile *profile; /* whose principals call now */
static char folder[64];
static char socket_path[96];
static pid_t keeper;
static pid_t emu;
static int listener = -1; /* hawser-emu comes here */
static int wire = -1;     /* to hawserd as hawser-wire */
static int up = -1;       /* to hawserd as the device process */
static int down = -1;     /* to hawser-emu */
static uint8_t packet[HWS_LINK_MAX_BYTES];

static uint64_t next_id = 1;
static struct {
    uint64_t id; /* 0 = free */
    bool allowed;
    bool read;
} calls[WINDOW];

static unsigned n_commands; /* that hawserd sent to the device process */
static unsigned n_escapes;
static unsigned n_ok;
static unsigned n_denied;

/* ---- between hawserd and hawser-emu ---------------------------------------------------------- */

static void judge_command(const struct hws_link_cmd *cmd)
{
    const uint8_t *in = cmd->in.bytes;
    const struct expect_row *row = NULL;
    uint16_t opcode = 0;
    uint16_t id = 0;

    n_commands++;
    if (cmd->in.n >= 16) {
        opcode = (uint16_t)(in[0] << 8 | in[1]);
        id = (uint16_t)(in[10] << 8 | in[11]);
        row = expect_of(expected, opcode, (uint16_t)(in[6] << 8 | in[7]), id);
    }
    /* hawserd's own commands are reads that every profile may do. */
    if ((row == NULL || row->scope != cmd->scope || !expect_profile_may(profile, row) ||
         expect_is_dangerous(row)) &&
        n_escapes++ < 10) {
        print_message("escaped: opcode 0x%04x register 0x%04x scope %u, callers are of %s\n",
                      opcode, id, cmd->scope, profile->name);
    }
}

/* One packet from one side to the other, with its descriptor. */
static bool pass(int from, int to, bool commands)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_link_packet p;
    int fd = -1;
    size_t n = 0;
    enum hws_code code = hws_sock_recv(from, bytes, sizeof bytes, &n, &fd, NULL);
    struct pollfd writable = {.fd = to, .events = POLLOUT};

    if (code != HWS_OK) {
        return code == HWS_E_BUSY;
    }
    assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_OK);
    if (commands && p.type == HWS_LINK_CMD) {
        judge_command(&p.u.cmd);
    }
    while ((code = hws_sock_send(to, bytes, n, fd, NULL)) == HWS_E_BUSY) {
        (void)poll(&writable, 1, 100);
    }
    hws_sock_close(&fd);
    return code == HWS_OK;
}

/* ---- as hawser-wire -------------------------------------------------------------------------- */

static void say_hello(void)
{
    struct hws_link_packet hello = {.type = HWS_LINK_HELLO,
                                    .u.hello = {.role = HWS_LINK_ROLE_WIRE,
                                                .version = HWS_LINK_VERSION,
                                                .generation = 9,
                                                .pid = 1, /* a lie */
                                                .name = hws_link_text("hawser-wire"),
                                                .build = hws_link_text("test")}};

    assert_true(peer_send(wire, &hello));
}

static void connect_wire(void)
{
    uint64_t until_ms = peer_now_ms() + PEER_WAIT_MS;

    hws_sock_close(&wire);
    memset(calls, 0, sizeof calls);
    while (hws_sock_connect(socket_path, &wire, NULL) != HWS_OK) {
        wire = -1;
        peer_assert_alive(keeper, "hawserd");
        assert_true(peer_now_ms() < until_ms);
        (void)poll(NULL, 0, 2);
    }
    say_hello();
}

static void on_status(const struct hws_link_packet *p)
{
    for (size_t i = 0; i < WINDOW; i++) {
        if (calls[i].id != p->id) {
            continue;
        }
        calls[i].id = 0;
        n_ok += p->u.status.code == 0 ? 1u : 0u;
        n_denied += p->u.status.code != 0 ? 1u : 0u;
        if (p->u.status.code == 0 && !calls[i].allowed) {
            n_escapes++;
            print_message("a call of %s was answered that should not be\n", profile->name);
        }
        if (p->u.status.code == 7 && calls[i].allowed && calls[i].read) {
            fail_msg("a read of %s was refused: %.*s", profile->name, (int)p->u.status.message.n,
                     (const char *)p->u.status.message.bytes);
        }
    }
}

/* False: hawserd has dropped us. */
static bool read_wire(void)
{
    struct hws_link_packet p;

    if (!peer_recv(wire, packet, &p, 0)) {
        return false;
    }
    if (p.type == HWS_LINK_STATUS) {
        on_status(&p);
    }
    return true;
}

/* Lets everything move for at most ms; false: the connection as hawser-wire is gone. */
static bool turn(int ms)
{
    struct pollfd p[3] = {{.fd = wire, .events = POLLIN},
                          {.fd = up, .events = POLLIN},
                          {.fd = down, .events = POLLIN}};

    if (poll(p, 3, ms) <= 0) {
        return true;
    }
    if (p[1].revents != 0) {
        assert_true(pass(up, down, true));
    }
    if (p[2].revents != 0) {
        assert_true(pass(down, up, false));
    }
    return p[0].revents == 0 || read_wire();
}

static size_t free_call(void)
{
    uint64_t until_ms = peer_now_ms() + PEER_WAIT_MS;

    for (;;) {
        for (size_t i = 0; i < WINDOW; i++) {
            if (calls[i].id == 0) {
                return i;
            }
        }
        if (!turn(50)) {
            connect_wire();
        }
        peer_assert_alive(keeper, "hawserd");
        assert_true(peer_now_ms() < until_ms);
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* What a call is made of: three packets. */
struct call_packets {
    struct hws_link_packet open;
    struct hws_link_packet message;
    struct hws_link_packet end;
    char principal[64];
    char command[16];
    uint8_t in[EXPECT_MAX_BYTES];
    uint8_t bytes[EXPECT_MAX_BYTES + 512];
};

static void make_call(struct call_packets *c, size_t slot)
{
    Hawser__V1__ExecuteRequest q = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RawCommand raw = HAWSER__V1__RAW_COMMAND__INIT;
    const struct expect_row *row;
    uint16_t opcode;
    uint16_t op_mod;
    uint16_t id;

    expect_choose(expected, peer_random, &opcode, &op_mod, &id);
    row = expect_of(expected, opcode, op_mod, id);
    size_t n = row != NULL ? row->in_bytes : 16 + 4 * (peer_random() % 64);
    expect_inbox(expected, opcode, op_mod, id, c->in, n);
    (void)snprintf(c->command, sizeof c->command, "0x%x", opcode);
    (void)snprintf(c->principal, sizeof c->principal, "spiffe://hawser.example/%s/one",
                   profile->name);
    raw.command = c->command;
    raw.inbox.data = c->in;
    raw.inbox.len = n;
    raw.out_bytes = row != NULL ? row->out_bytes : 16;
    q.device = (char *)NIC;
    q.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW;
    q.raw = &raw;
    size_t n_bytes = hawser__v1__execute_request__pack(&q, c->bytes);
    calls[slot].id = next_id++;
    /* What needs two persons' signatures never comes through: a taken-over hawser-wire has no key.
     */
    calls[slot].allowed =
        row != NULL && expect_profile_may(profile, row) && !expect_is_dangerous(row);
    calls[slot].read = calls[slot].allowed && strcmp(row->effect, "read") == 0;
    c->open = (struct hws_link_packet){.type = HWS_LINK_CALL,
                                       .id = calls[slot].id,
                                       .u.call = {.method = HWS_METHOD_COMMAND_EXECUTE,
                                                  .transport = HWS_LINK_TRANSPORT_UNIX,
                                                  .deadline_ms = 10000,
                                                  .principal = hws_link_text(c->principal),
                                                  .peer = hws_link_text("unix:pid:1")}};
    c->message = (struct hws_link_packet){
        .type = HWS_LINK_MSG, .id = calls[slot].id, .u.msg = {c->bytes, n_bytes}};
    c->end = (struct hws_link_packet){.type = HWS_LINK_HALF_CLOSE, .id = calls[slot].id};
}

static void finish(void)
{
    uint64_t until_ms = peer_now_ms() + PEER_WAIT_MS;

    for (size_t i = 0; i < WINDOW; i++) {
        while (calls[i].id != 0) {
            if (!turn(50)) {
                connect_wire(); /* a damaged packet has ended the connection, and its calls */
            }
            assert_true(peer_now_ms() < until_ms);
        }
    }
}

static void calls_of_each_profile_run_what_they_may(void **state)
{
    static struct call_packets c;
    unsigned n = peer_rounds(SAMPLES) / EXPECT_PROFILES;

    (void)state;
    for (size_t i = 0; i < EXPECT_PROFILES; i++) {
        unsigned before = n_commands;

        profile = &expected->profiles[i];
        n_ok = 0;
        n_denied = 0;
        for (unsigned k = 0; k < n; k++) {
            make_call(&c, free_call());
            if (!peer_send(wire, &c.open) || !peer_send(wire, &c.message) ||
                !peer_send(wire, &c.end) || !turn(0)) {
                connect_wire();
            }
        }
        finish();
        print_message("%s: %u calls, %u answered, %u refused, %u commands at the device process\n",
                      profile->name, n, n_ok, n_denied, n_commands - before);
        assert_true(n_ok > 0 && n_denied > 0 && n_commands > before);
    }
    assert_int_equal(n_escapes, 0);
}

static void damaged_packets_run_only_reads(void **state)
{
    static struct call_packets c;
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    unsigned n = peer_rounds(DAMAGED);
    unsigned n_lost = 0;

    (void)state;
    profile = &expected->profiles[0]; /* observe */
    for (unsigned k = 0; k < n; k++) {
        size_t slot = free_call();
        size_t n_bytes = 0;

        make_call(&c, slot);
        calls[slot].id = 0; /* any end is right; what reaches the device process is judged */
        struct hws_link_packet *const packets[] = {&c.open, &c.message, &c.end};
        unsigned damaged = peer_random() % 3;
        bool alive = true;
        for (unsigned i = 0; i < 3 && alive; i++) {
            assert_code(hws_link_encode(packets[i], bytes, sizeof bytes, &n_bytes, NULL), HWS_OK);
            if (i == damaged) {
                n_bytes = peer_damage(bytes, n_bytes, sizeof bytes);
            }
            alive = peer_send_bytes(wire, bytes, n_bytes);
        }
        if (!alive || !turn(0)) {
            n_lost++;
            connect_wire();
        }
        if (k % 200 == 199 && turn(1)) {
            connect_wire(); /* calls that damage left open are ended */
        }
    }
    peer_assert_alive(keeper, "hawserd");
    connect_wire();
    make_call(&c, free_call()); /* it serves still */
    assert_true(peer_send(wire, &c.open) && peer_send(wire, &c.message) && peer_send(wire, &c.end));
    finish();
    print_message("%u damaged packets, %u lost connections, %u commands so far, %u escapes\n", n,
                  n_lost, n_commands, n_escapes);
    assert_int_equal(n_escapes, 0);
}

/* hawserd signals its processes at its end: nobody may name another one in its own place. */
static void process_id_is_the_kernels_word(void **state)
{
    char path[96];
    char line[512];
    char ours[64];
    unsigned n = 0;
    FILE *f;

    (void)state;
    hws_str_print(path, sizeof path, "%s/log", folder);
    hws_str_print(ours, sizeof ours, "process_connected name=hawser-wire pid=%d ", (int)getpid());
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        assert_null(strstr(line, "process_connected name=hawser-wire pid=1 "));
        n += strstr(line, ours) != NULL ? 1u : 0u;
    }
    (void)fclose(f);
    assert_true(n > 0);
}

/* ---- the processes --------------------------------------------------------------------------- */

static void start_keeper(void)
{
    char config[96];
    char log[96];
    char text[1024];
    char *argv[] = {(char *)HWS_BIN_DIR "/hawserd", (char *)"--config", config,
                    (char *)"--no-spawn", NULL};

    hws_str_print(text, sizeof text,
                  "host: host-a\nrun_dir: %s\nstate_dir: %s/state\npolicy: %s\n"
                  "devices: {backend: emu, profiles: [%s]}\n",
                  folder, folder, POLICY, CX7);
    peer_write(folder, "agent.yaml", text);
    hws_str_print(config, sizeof config, "%s/agent.yaml", folder);
    hws_str_print(log, sizeof log, "%s/log", folder);
    hws_str_print(socket_path, sizeof socket_path, "%s/hawserd.sock", folder);
    keeper = peer_spawn(argv, log);
}

static void start_emu(void)
{
    char sock[96];
    char lock[96];
    char nv[96];
    char *argv[] = {(char *)HWS_BIN_DIR "/hawser-emu",
                    (char *)"--socket",
                    sock,
                    (char *)"--lock",
                    lock,
                    (char *)"--state-dir",
                    nv,
                    (char *)"--profile",
                    (char *)CX7,
                    NULL};

    hws_str_print(sock, sizeof sock, "%s/between.sock", folder);
    hws_str_print(lock, sizeof lock, "%s/dev.lock", folder);
    hws_str_print(nv, sizeof nv, "%s/nv", folder);
    assert_code(hws_sock_listen(sock, &listener, NULL), HWS_OK);
    emu = peer_spawn(argv, NULL);
    assert_true(peer_readable(listener, PEER_WAIT_MS));
    assert_code(hws_sock_accept(listener, &down, NULL), HWS_OK);
}

static int setup(void **state)
{
    uint64_t until_ms = peer_now_ms() + PEER_WAIT_MS;

    (void)state;
    expected = expect_load();
    profile = &expected->profiles[0];
    peer_folder(folder, sizeof folder);
    start_keeper();
    start_emu();
    connect_wire();
    while (hws_sock_connect(socket_path, &up, NULL) != HWS_OK) {
        assert_true(peer_now_ms() < until_ms);
    }
    /* hawserd looks at the adapter: its reads are judged like any. */
    until_ms = peer_now_ms() + 1000;
    while (peer_now_ms() < until_ms) {
        assert_true(turn(50));
    }
    assert_true(n_commands > 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_sock_close(&up);
    hws_sock_close(&down);
    assert_int_equal(peer_stop(emu), 0);
    hws_sock_close(&wire);
    assert_int_equal(peer_stop(keeper), 0);
    hws_sock_close(&listener);
    peer_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_each_profile_run_what_they_may),
        cmocka_unit_test(damaged_packets_run_only_reads),
        cmocka_unit_test(process_id_is_the_kernels_word),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
