/*
 * A taken-over hawserd against the device process: the test stands in hawserd's place at the socket
 * of a real hawser-emu and sends commands of its own choice, rows and scopes that lie, and damaged
 * packets. Nothing outside expected.txt is run.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/str.h"
#include "expected.h"
#include "peer.h"
#include "sock/sock.h"
#include "table/table.h"
#include "test.h"

#define WINDOW  8u      /* commands in flight */
#define SAMPLES 100000u /* judged over the socket */
#define DAMAGED 100000u /* packets */
#define BROKEN  500u /* of them may end the connection: each costs the process's pause of 20 ms */
#define ID_AT   8u   /* lib/core/link/packet.h */

static const struct expect *expected;
static char folder[64];
static int listener = -1;
static int fd = -1;
static pid_t pid;
static uint8_t packet[HWS_LINK_MAX_BYTES];

/* One command in flight and what must come of it. */
struct flight {
    uint64_t id; /* 0 = free */
    bool allowed;
    uint16_t opcode;
    uint16_t register_id;
};

static struct flight flights[WINDOW];
static uint64_t next_id = 1;
static unsigned n_run;     /* commands that the process said it has run */
static unsigned n_escapes; /* of them, outside of expected.txt */

static void take_connection(void)
{
    memset(flights, 0, sizeof flights);
    peer_take_device(listener, pid, &fd, packet);
    peer_tell_kills(fd, 0, 0);
}

/* What the process says about a command. */
static void on_done(uint64_t id, const struct hws_link_done *done)
{
    bool ran = done->stage != HWS_STAGE_NOT_SENT;

    n_run += ran ? 1u : 0u;
    for (size_t i = 0; i < WINDOW; i++) {
        struct flight *f = &flights[i];

        if (f->id != id) {
            continue;
        }
        f->id = 0;
        if (ran && !f->allowed && n_escapes++ < 10) {
            print_message("ran: opcode 0x%04x register 0x%04x\n", f->opcode, f->register_id);
        }
        if (!ran && f->allowed && done->code != HWS_E_GONE && done->code != HWS_E_BUSY) {
            fail_msg("refused: opcode 0x%04x register 0x%04x: %.*s", f->opcode, f->register_id,
                     (int)done->msg.n, (const char *)done->msg.bytes);
        }
        return;
    }
}

static void drain(bool wait)
{
    struct hws_link_packet p;

    while (peer_readable(fd, wait ? 50 : 0)) {
        if (!peer_recv(fd, packet, &p, 0)) {
            take_connection();
            return;
        }
        if (p.type == HWS_LINK_DONE) {
            on_done(p.id, &p.u.done);
            wait = false;
        }
    }
}

static struct flight *free_flight(void)
{
    uint64_t until_ms = peer_now_ms() + PEER_WAIT_MS;

    for (;;) {
        for (size_t i = 0; i < WINDOW; i++) {
            if (flights[i].id == 0) {
                return &flights[i];
            }
        }
        drain(true);
        peer_assert_alive(pid, "hawser-emu");
        assert_true(peer_now_ms() < until_ms);
    }
}

static size_t make_command(struct flight *f, uint8_t *in, struct hws_link_cmd *cmd)
{
    const struct expect_row *row;
    const struct hws_table_row *named;
    uint16_t op_mod;

    expect_choose(expected, peer_random, &f->opcode, &op_mod, &f->register_id);
    row = expect_of(expected, f->opcode, op_mod, f->register_id);
    size_t n = row != NULL ? row->in_bytes : 16 + 4 * (peer_random() % 64);
    expect_inbox(expected, f->opcode, op_mod, f->register_id, in, n);
    named = hws_table_of_inbox(HWS_KIND_MLX5, in, n);
    bool lies = peer_random() % 8 == 0;
    cmd->adapter = 0;
    cmd->row = (uint16_t)(peer_random() % (hws_table_n() + 2));
    if (named != NULL && !lies) {
        cmd->row = hws_table_id(named);
    }
    cmd->scope = (uint8_t)(peer_random() % 4);
    if (row != NULL && peer_random() % 2 == 0) {
        cmd->scope = row->scope;
    }
    cmd->deadline_ms = 5000;
    cmd->in_bytes = (uint32_t)n;
    cmd->out_cap = row != NULL ? row->out_bytes : 16 + 4 * (peer_random() % 64);
    cmd->in = (struct hws_span){in, n};
    f->allowed = row != NULL && !expect_is_dangerous(row) && row->scope == cmd->scope &&
                 named != NULL && cmd->row == hws_table_id(named);
    return n;
}

static void sampled_commands_are_judged_as_expected(void **state)
{
    static uint8_t in[EXPECT_MAX_BYTES];
    unsigned n = peer_rounds(SAMPLES);
    unsigned n_allowed = 0;

    (void)state;
    for (unsigned i = 0; i < n; i++) {
        struct flight *f = free_flight();
        struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = next_id++};

        (void)make_command(f, in, &p.u.cmd);
        f->id = p.id;
        n_allowed += f->allowed ? 1u : 0u;
        assert_true(peer_send(fd, &p));
        drain(false);
    }
    for (size_t i = 0; i < WINDOW; i++) {
        while (flights[i].id != 0) {
            drain(true);
        }
    }
    print_message("%u commands over the socket, %u allowed, %u run, %u escapes\n", n, n_allowed,
                  n_run, n_escapes);
    assert_true(n_allowed > n / 10);
    assert_true(n_run > 0);
    assert_int_equal(n_escapes, 0);
}

/* May a packet with these bytes be run? By decoding it once more and asking expected.txt. */
static bool may_run(const uint8_t *bytes, size_t n)
{
    struct hws_link_packet p;

    if (hws_link_decode(bytes, n, &p, NULL) != HWS_OK || p.type != HWS_LINK_CMD ||
        p.u.cmd.in.n < 16) {
        return false;
    }
    const uint8_t *in = p.u.cmd.in.bytes;
    uint16_t opcode = (uint16_t)(in[0] << 8 | in[1]);
    uint16_t op_mod = (uint16_t)(in[6] << 8 | in[7]);
    uint16_t id = (uint16_t)(in[10] << 8 | in[11]);
    const struct expect_row *row = expect_of(expected, opcode, op_mod, id);

    return row != NULL && !expect_is_dangerous(row) && row->scope == p.u.cmd.scope && in[2] == 0 &&
           in[3] == 0;
}

static void damaged_packets_run_nothing_that_is_not_expected(void **state)
{
    static uint8_t in[EXPECT_MAX_BYTES];
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    unsigned n = peer_rounds(DAMAGED);
    unsigned n_broken = 0;

    (void)state;
    n_run = 0;
    for (unsigned i = 0; i < n; i++) {
        struct flight *f = free_flight();
        struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = next_id++};
        struct hws_link_packet q;
        size_t n_bytes = 0;

        (void)make_command(f, in, &p.u.cmd);
        assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n_bytes, NULL), HWS_OK);
        n_bytes = peer_damage(bytes, n_bytes, sizeof bytes);
        bool whole = hws_link_decode(bytes, n_bytes, &q, NULL) == HWS_OK;
        if (whole &&
            (q.type != HWS_LINK_CMD || q.u.cmd.adapter != 0 || (q.flags & HWS_LINK_FLAG_FD) != 0)) {
            whole = false;
        }
        if (!whole && ++n_broken > BROKEN) {
            /* Those that only end the connection are fuzz_serve's: damage the inbox instead. */
            assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n_bytes, NULL), HWS_OK);
            bytes[n_bytes - 1 - peer_random() % p.u.cmd.in.n] ^= (uint8_t)(1 + peer_random() % 255);
            assert_code(hws_link_decode(bytes, n_bytes, &q, NULL), HWS_OK);
            whole = true;
        }
        if (whole && q.id != p.id) {
            /* The id says whose answer is whose: one that is in use already would blame another. */
            hws_store_be64(bytes + ID_AT, p.id);
        }
        f->id = whole ? p.id : 0;
        f->allowed = whole && may_run(bytes, n_bytes);
        if (f->allowed) {
            f->id = 0; /* it may be run or refused: the field masks and lengths decide */
        }
        if (!peer_send_bytes(fd, bytes, n_bytes)) {
            take_connection();
        }
        drain(!whole);
    }
    drain(true);
    peer_assert_alive(pid, "hawser-emu");
    print_message("%u damaged packets, %u ended the connection or might have, %u run, %u escapes\n",
                  n, n_broken < BROKEN ? n_broken : BROKEN, n_run, n_escapes);
    assert_int_equal(n_escapes, 0);
}

static int setup(void **state)
{
    (void)state;
    expected = expect_load();
    peer_folder(folder, sizeof folder);
    listener = peer_listen(folder);
    pid = peer_spawn_emu(folder, false, NULL);
    take_connection();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(peer_stop(pid), 0);
    hws_sock_close(&fd);
    hws_sock_close(&listener);
    peer_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampled_commands_are_judged_as_expected),
        cmocka_unit_test(damaged_packets_run_nothing_that_is_not_expected),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
