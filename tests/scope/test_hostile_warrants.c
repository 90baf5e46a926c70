/*
 * A taken-over hawserd that wants a debug-write: the test stands in hawserd's place at the socket
 * of a real hawser-emu, with warrants that it has seen and cannot make. Of all it tries, only what
 * two persons have signed, for this command, once, is run.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "peer.h"
#include "sock/sock.h"
#include "table/table.h"
#include "test.h"
#include "warrant/warrant.h"

#define NIC  "0000:03:00.0" /* of that profile */
#define OLGA "spiffe://hawser.example/operator/olga"
#define OTTO "spiffe://hawser.example/operator/otto"
#define EVE  "spiffe://hawser.example/operator/eve"
#define N_IN 80u /* ACCESS_REG of MTRC_CTRL */

static struct hws_signer olga;
static struct hws_signer otto;
static struct hws_signer eve; /* hawserd's own: nobody trusts it */
static char folder[64];
static int listener = -1;
static int fd = -1;
static pid_t pid;
static uint8_t packet[HWS_LINK_MAX_BYTES];
static uint8_t box[N_IN];
static uint64_t next_id = 1;
static unsigned n_tried;
static unsigned n_run;

static void start_emu(void)
{
    pid = peer_spawn_emu(folder, true, NULL);
    peer_take_device(listener, pid, &fd, packet);
    peer_tell_kills(fd, 0, 0);
}

/* Sends it, with a warrant of n bytes (0: none); true if it was run. */
static bool run(const uint8_t *in, const void *warrant, size_t n)
{
    const struct hws_table_row *row = hws_table_register(HWS_KIND_MLX5, 0x9043, HWS_REG_WRITE);
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = next_id++};
    struct hws_link_packet done;

    p.u.cmd = (struct hws_link_cmd){.row = hws_table_id(row),
                                    .scope = row->scope,
                                    .deadline_ms = 20000,
                                    .in_bytes = N_IN,
                                    .out_cap = N_IN,
                                    .warrant = {warrant, n},
                                    .in = {in, N_IN}};
    assert_true(peer_send(fd, &p));
    do {
        assert_true(peer_recv(fd, packet, &done, PEER_WAIT_MS));
    } while (done.type != HWS_LINK_DONE || done.id != p.id);
    n_tried++;
    n_run += done.u.done.stage != HWS_STAGE_NOT_SENT ? 1u : 0u;
    return done.u.done.stage != HWS_STAGE_NOT_SENT;
}

static struct hws_warrant blank(void)
{
    static unsigned n;
    struct hws_warrant w = {.host = "host-a",
                            .device = NIC,
                            .serial = "S",
                            .from_s = (uint64_t)time(NULL) - 60,
                            .operator_id = OLGA,
                            .reason = "test"};

    w.until_s = w.from_s + HWS_WARRANT_LIFE_S;
    assert_true(hws_str_print(w.request_id, sizeof w.request_id, "request-%u", n++));
    assert_ok(hws_warrant_bind(&w, box, sizeof box, NULL), NULL);
    return w;
}

static void sign(struct hws_warrant *w, const struct hws_signer *a, const char *approver,
                 const struct hws_signer *b)
{
    assert_ok(hws_warrant_sign(w, HWS_WARRANT_OPERATOR, w->operator_id, a, NULL), NULL);
    if (b != NULL) {
        assert_ok(hws_warrant_sign(w, HWS_WARRANT_APPROVER, approver, b, NULL), NULL);
    }
}

static bool run_with(const struct hws_warrant *w)
{
    struct hws_buf text;

    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    assert_ok(hws_warrant_format(w, &text, NULL), NULL);
    bool ran = run(box, hws_buf_peek(&text), hws_buf_len(&text));
    hws_buf_deinit(&text);
    return ran;
}

static void what_two_persons_signed_runs_once_across_restarts(void **state)
{
    struct hws_warrant w = blank();

    (void)state;
    assert_false(run(box, NULL, 0));
    sign(&w, &olga, OTTO, &otto);
    assert_true(run_with(&w));
    assert_false(run_with(&w));
    assert_int_equal(peer_stop(pid), 0);
    start_emu();
    assert_false(run_with(&w));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    start_emu();
    assert_false(run_with(&w));
    w = blank();
    sign(&w, &olga, OTTO, &otto);
    assert_true(run_with(&w));
}

static void what_hawserd_could_make_itself_does_not_run(void **state)
{
    struct hws_warrant w = blank();

    (void)state;
    assert_false(run_with(&w));
    sign(&w, &olga, NULL, NULL);
    assert_false(run_with(&w)); /* one person */
    sign(&w, &olga, OLGA, &olga);
    assert_false(run_with(&w)); /* the same one twice */
    sign(&w, &olga, EVE, &eve);
    assert_false(run_with(&w)); /* a key of hawserd's */
    sign(&w, &eve, OTTO, &otto);
    assert_false(run_with(&w));
    sign(&w, &eve, OTTO, &eve);
    assert_false(run_with(&w));
    w = blank();
    (void)hws_str_copy(w.device, sizeof w.device, "0000:03:00.1");
    sign(&w, &olga, OTTO, &otto);
    assert_false(run_with(&w)); /* another adapter's */
    w = blank();
    (void)hws_str_copy(w.host, sizeof w.host, "host-b");
    sign(&w, &olga, OTTO, &otto);
    assert_false(run_with(&w)); /* another host's */
    w = blank();
    w.from_s -= UINT64_C(2) * HWS_WARRANT_LIFE_S;
    w.until_s = w.from_s + 60;
    sign(&w, &olga, OTTO, &otto);
    assert_false(run_with(&w)); /* yesterday's */
    w = blank();
    w.from_s += HWS_WARRANT_LIFE_S;
    w.until_s = w.from_s + 60;
    sign(&w, &olga, OTTO, &otto);
    assert_false(run_with(&w)); /* tomorrow's */
    w = blank();
    w.until_s = w.from_s + UINT64_C(24) * HWS_WARRANT_LIFE_S;
    sign(&w, &olga, OTTO, &otto);
    assert_false(run_with(&w)); /* one for the whole day */
}

static void any_changed_byte_of_warrant_or_inbox_runs_nothing(void **state)
{
    struct hws_warrant w = blank();
    struct hws_buf text;
    uint8_t bytes[HWS_WARRANT_MAX_BYTES];
    uint8_t in[N_IN];
    unsigned before = n_run;

    (void)state;
    sign(&w, &olga, OTTO, &otto);
    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    assert_ok(hws_warrant_format(&w, &text, NULL), NULL);
    size_t n = hws_buf_len(&text);
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes, hws_buf_peek(&text), n);
        bytes[i] ^= (uint8_t)(1 + peer_random() % 255);
        (void)run(box, bytes, n);
        (void)run(box, hws_buf_peek(&text), i); /* cut there */
    }
    for (size_t i = 0; i < sizeof in; i++) {
        memcpy(in, box, sizeof in);
        in[i] ^= (uint8_t)(1 + peer_random() % 255);
        /* What the change makes of it may be a command that needs no warrant; this row does. */
        (void)run(in, hws_buf_peek(&text), n);
    }
    assert_int_equal(n_run, before);
    /* None of these has used it up. */
    assert_true(run(box, hws_buf_peek(&text), n));
    hws_buf_deinit(&text);
    peer_assert_alive(pid, "hawser-emu");
    print_message("%u commands over the socket with warrants of all kinds, %u run, 0 escapes\n",
                  n_tried, n_run);
}

static void put_keys(void)
{
    char keys[96];
    char text[512];
    char a[HWS_PUBLIC_HEX_BYTES];
    char b[HWS_PUBLIC_HEX_BYTES];
    struct hws_public key;

    assert_ok(hws_signer_new(&olga, NULL), NULL);
    assert_ok(hws_signer_new(&otto, NULL), NULL);
    assert_ok(hws_signer_new(&eve, NULL), NULL);
    assert_ok(hws_signer_public(&olga, &key, NULL), NULL);
    hws_public_hex(&key, a);
    assert_ok(hws_signer_public(&otto, &key, NULL), NULL);
    hws_public_hex(&key, b);
    hws_str_print(text, sizeof text, "host host-a\nkey %s %s\nkey %s %s\n", OLGA, a, OTTO, b);
    hws_str_print(keys, sizeof keys, "%s/keys", folder);
    peer_make_dir(keys);
    peer_write(keys, "trust", text);
}

static int setup(void **state)
{
    (void)state;
    peer_folder(folder, sizeof folder);
    put_keys();
    /* ACCESS_REG, write, MTRC_CTRL: trace_status by modify_field_select. */
    box[0] = 0x08;
    box[1] = 0x05;
    box[10] = 0x90;
    box[11] = 0x43;
    listener = peer_listen(folder);
    start_emu();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(peer_stop(pid), 0);
    hws_sock_close(&fd);
    hws_sock_close(&listener);
    peer_remove(folder);
    hws_signer_deinit(&olga);
    hws_signer_deinit(&otto);
    hws_signer_deinit(&eve);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_two_persons_signed_runs_once_across_restarts),
        cmocka_unit_test(what_hawserd_could_make_itself_does_not_run),
        cmocka_unit_test(any_changed_byte_of_warrant_or_inbox_runs_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
