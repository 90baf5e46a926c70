/*
 * A hawserd that has lost its judgement of kills, against the device process: the test stands in
 * hawserd's place at the socket of a real hawser-emu, tells it what is killed, and hands it these
 * commands all the same. The device process alone refuses them, until the time is over.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "base/str.h"
#include "peer.h"
#include "sock/sock.h"
#include "table/table.h"
#include "test.h"

#define SHORT_MS 1000u   /* a kill that is waited for */
#define LONG_MS  600000u /* one that outlives the test */

static char folder[64];
static char log_path[96];
static int listener = -1;
static int fd = -1;
static pid_t pid;
static uint8_t packet[HWS_LINK_MAX_BYTES];
static uint64_t next_id = 1;

static uint16_t row_id(void)
{
    return hws_table_id(hws_table_command(HWS_KIND_MLX5, 0x101, 0)); /* QUERY_ADAPTER */
}

/* Sends it; the code of its DONE, the text into text[256]. */
static enum hws_code run(char *text)
{
    static const uint8_t in[16] = {0x01, 0x01};
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = next_id++};
    struct hws_link_packet done;

    p.u.cmd = (struct hws_link_cmd){.row = row_id(),
                                    .scope = 0,
                                    .deadline_ms = 20000,
                                    .in_bytes = sizeof in,
                                    .out_cap = 272,
                                    .in = {in, sizeof in}};
    assert_true(peer_send(fd, &p));
    do {
        assert_true(peer_recv(fd, packet, &done, PEER_WAIT_MS));
    } while (done.type != HWS_LINK_DONE || done.id != p.id);
    (void)hws_str_copy_n(text, 256, done.u.done.msg.bytes, done.u.done.msg.n);
    assert_true(done.u.done.code == HWS_OK || done.u.done.stage == HWS_STAGE_NOT_SENT);
    return (enum hws_code)done.u.done.code;
}

static void assert_refused(enum hws_code code, const char *said)
{
    char text[256];

    assert_code(run(text), code);
    if (strstr(text, said) == NULL) {
        fail_msg("refused with: %s", text);
    }
}

static void assert_runs(void)
{
    char text[256];

    assert_code(run(text), HWS_OK);
}

static void device_process_alone_refuses_a_killed_row(void **state)
{
    (void)state;
    peer_tell_kills(fd, 0, 0);
    assert_runs();
    peer_tell_kills(fd, row_id(), LONG_MS);
    assert_refused(HWS_E_DENIED, "the device process refuses QUERY_ADAPTER on ");
    assert_refused(HWS_E_DENIED, "see hawser kill list");
    peer_tell_kills(fd, 0, 0);
    assert_runs();
}

static void kill_ends_by_the_device_processs_clock(void **state)
{
    uint64_t told_ms = peer_now_ms();
    unsigned n_refused = 0;
    enum hws_code code;
    uint64_t at_ms;
    char text[256];

    (void)state;
    peer_tell_kills(fd, row_id(), SHORT_MS);
    do {
        code = run(text);
        at_ms = peer_now_ms();
        assert_true(code == HWS_OK || code == HWS_E_DENIED);
        n_refused += code == HWS_E_DENIED ? 1u : 0u;
        assert_true(at_ms < told_ms + SHORT_MS + PEER_WAIT_MS);
        (void)poll(NULL, 0, 2);
    } while (code != HWS_OK);
    assert_true(at_ms >= told_ms + SHORT_MS); /* not before */
    print_message("%u refused in %llu ms\n", n_refused, (unsigned long long)(at_ms - told_ms));
}

static void kills_outlive_the_keeper(void **state)
{
    (void)state;
    peer_tell_kills(fd, row_id(), LONG_MS);
    assert_refused(HWS_E_DENIED, "killed for");

    /* The next keeper says nothing of kills: nothing runs. */
    peer_take_device(listener, pid, &fd, packet);
    assert_refused(HWS_E_GONE, "not told yet which rows are killed");

    /* One that does not know of it leaves it as it is. */
    peer_tell_kills(fd, row_id(), 0);
    assert_refused(HWS_E_DENIED, "killed for");

    /* One that knows better lifts it, and that is on record here, where it cannot be undone. */
    peer_tell_kills(fd, 0, 0);
    assert_runs();
}

static void log_says_what_was_told_and_refused(void **state)
{
    static const char *const lines[] = {"1 rows killed now: 1 more, 0 lifted",
                                        "0 rows killed now: 0 more, 1 lifted",
                                        "the device process refuses QUERY_ADAPTER on "};
    static char text[65536];
    FILE *f = fopen(log_path, "r");

    (void)state;
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(text, lines[i]) == NULL) {
            fail_msg("no line \"%s\" in: %s", lines[i], text);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    peer_folder(folder, sizeof folder);
    hws_str_print(log_path, sizeof log_path, "%s/log", folder);
    listener = peer_listen(folder);
    pid = peer_spawn_emu(folder, false, log_path);
    peer_take_device(listener, pid, &fd, packet);
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
        cmocka_unit_test(device_process_alone_refuses_a_killed_row),
        cmocka_unit_test(kill_ends_by_the_device_processs_clock),
        cmocka_unit_test(kills_outlive_the_keeper),
        cmocka_unit_test(log_says_what_was_told_and_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
