/* hawser-dev's nodes over a scripted kernel: found, served through the gate, unplugged, found again
 * under another number. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_sys.h"
#include "no_files.h"
#include "nodes.h"
#include "table/table.h"
#include "test.h"

#define CLASS   "/sys/class/fwctl"
#define WAIT_MS 5000
#define LIST(text)                                                                                 \
    {                                                                                              \
        .call = HWS_FAKE_SYS_LIST, .path = CLASS, .bytes = (text), .n_bytes = sizeof(text),        \
        .result = sizeof(text)                                                                     \
    }
#define DEVICE(name)                                                                               \
    {                                                                                              \
        .call = HWS_FAKE_SYS_READLINK, .path = CLASS "/" name "/device",                           \
        .bytes = "../../0000:81:00.0", .n_bytes = 19, .result = 18                                 \
    }
#define OPEN(name, number)                                                                         \
    {                                                                                              \
        .call = HWS_FAKE_SYS_OPEN, .path = "/dev/fwctl/" name, .result = (number)                  \
    }
#define INFO(number, kind)                                                                         \
    {                                                                                              \
        .call = HWS_FAKE_SYS_INFO, .fd = (number), .type = (kind)                                  \
    }
#define CLOSE(number)                                                                              \
    {                                                                                              \
        .call = HWS_FAKE_SYS_CLOSE, .fd = (number)                                                 \
    }
#define NOP(number, value)                                                                         \
    {                                                                                              \
        .call = HWS_FAKE_SYS_RPC, .fd = (number), .scope = 1, .in_len = 16, .out_len = 16,         \
        .opcode = 0x80d, .result = (value)                                                         \
    }
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

struct world {
    struct hws_fake_sys fake;
    struct hws_serve serve;
    struct hws_nodes nodes;
    struct hws_link_done done; /* the last answer */
    unsigned n_done;
    uint8_t state; /* of the adapter, as last announced */
    char kind[16];
    char node[64];
    char reason[256];
    unsigned n_stalled;
    unsigned n_stalled_at_done; /* as the keeper knew when the answer came */
    uint64_t step_ms;           /* virtual time that each look of send_nop takes */
    uint64_t now_ms;
};

static struct world world;

static enum hws_code io_send(void *data, const uint8_t *bytes, size_t n)
{
    struct world *w = data;
    struct hws_link_packet p;

    assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_OK);
    if (p.type == HWS_LINK_DONE) {
        w->done = p.u.done;
        w->n_done++;
        w->n_stalled_at_done = w->n_stalled;
    }
    if (p.type == HWS_LINK_ADAPTER) {
        w->state = p.u.adapter.state;
        w->n_stalled = p.u.adapter.n_stalled;
        (void)hws_str_copy_n(w->kind, sizeof w->kind, p.u.adapter.kind.bytes, p.u.adapter.kind.n);
        (void)hws_str_copy_n(w->node, sizeof w->node, p.u.adapter.node.bytes, p.u.adapter.node.n);
        (void)hws_str_copy_n(w->reason, sizeof w->reason, p.u.adapter.reason.bytes,
                             p.u.adapter.reason.n);
    }
    return HWS_OK;
}

static enum hws_code io_authorize(void *data, const struct hws_serve_danger *d, struct hws_err *err)
{
    (void)data;
    return d->warrant.n > 0 ? HWS_OK : hws_err_set(err, HWS_E_DENIED, "no warrant");
}

static void io_note(void *data, const char *device, const char *text)
{
    (void)data;
    fail_msg("%s: %s", device, text); /* nothing is killed here */
}

static void turn(struct world *w)
{
    (void)hws_nodes_turn(&w->nodes, w->now_ms);
    (void)hws_serve_turn(&w->serve, w->now_ms);
}

/* Turns, as workers finish, until the adapter is in that state. */
static void turn_until(struct world *w, enum hws_link_adapter_state state)
{
    turn(w);
    for (int i = 0; i < WAIT_MS && w->state != (uint8_t)state; i++) {
        (void)poll(NULL, 0, 1);
        turn(w);
    }
    assert_int_equal(w->state, state);
}

static struct world *begin(const struct hws_fake_sys_row *rows, size_t n)
{
    struct world *w = &world;
    const struct hws_serve_io io = {
        io_send, hws_no_file_read, hws_no_file_write, hws_no_file_close, io_authorize, io_note, w};
    struct hws_link_packet hello = {.type = HWS_LINK_HELLO};
    uint8_t bytes[256];
    size_t n_bytes = 0;

    memset(w, 0, sizeof *w);
    hws_fake_sys_init(&w->fake, rows, n);
    hws_serve_init(&w->serve, &io, "hawser-dev", "1", 7, 1);
    hws_nodes_init(&w->nodes, &w->fake.sys, NULL, &w->serve);
    hws_serve_connected(&w->serve);
    hello.u.hello = (struct hws_link_hello){
        .role = HWS_LINK_ROLE_KEEPER, .version = HWS_LINK_VERSION, .generation = 1};
    assert_code(hws_link_encode(&hello, bytes, sizeof bytes, &n_bytes, NULL), HWS_OK);
    assert_code(hws_serve_feed(&w->serve, bytes, n_bytes, -1, 0, NULL), HWS_OK);
    return w;
}

static void finish(struct world *w)
{
    hws_nodes_close(&w->nodes);
    for (int i = 0; i < WAIT_MS && !hws_nodes_closed(&w->nodes); i++) {
        turn(w);
        (void)poll(NULL, 0, 1);
    }
    assert_true(hws_nodes_closed(&w->nodes));
    turn(w);
    hws_serve_deinit(&w->serve);
    hws_nodes_deinit(&w->nodes);
    hws_fake_sys_check(&w->fake);
}

/* Nothing is killed on the first adapter. */
static void tell_kills(struct world *w)
{
    const struct hws_link_packet none = {.type = HWS_LINK_KILLS};
    uint8_t bytes[64];
    size_t n = 0;

    assert_code(hws_link_encode(&none, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_serve_feed(&w->serve, bytes, n, -1, w->now_ms, NULL), HWS_OK);
}

static void send_nop(struct world *w)
{
    static const uint8_t in[16] = {0x08, 0x0d};
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = w->n_done + 1};
    uint8_t bytes[128];
    unsigned n_before = w->n_done;
    size_t n = 0;

    tell_kills(w);
    p.u.cmd = (struct hws_link_cmd){.row = hws_table_id(hws_table_command(HWS_KIND_MLX5, 0x80d, 0)),
                                    .scope = 1,
                                    .deadline_ms = 500,
                                    .in_bytes = 16,
                                    .out_cap = 16,
                                    .in = {in, 16}};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_serve_feed(&w->serve, bytes, n, -1, w->now_ms, NULL), HWS_OK);
    for (int i = 0; i < WAIT_MS && w->n_done == n_before; i++) {
        turn(w);
        (void)poll(NULL, 0, 1);
        w->now_ms += w->step_ms;
    }
    assert_int_equal(w->n_done, n_before + 1);
}

static void node_is_found_and_served(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        LIST("fwctl0"), DEVICE("fwctl0"), OPEN("fwctl0", 11), INFO(11, 1), NOP(11, 0), CLOSE(11)};
    struct world *w = begin(rows, COUNT(rows));

    (void)state;
    turn_until(w, HWS_LINK_ADAPTER_UP);
    assert_string_equal(w->node, "/dev/fwctl/fwctl0");
    send_nop(w);
    assert_int_equal(w->done.code, HWS_OK);
    assert_int_equal(w->done.out_bytes, 16);
    finish(w);
}

static void unplugged_node_comes_back_under_another_number(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        LIST("fwctl0"),     DEVICE("fwctl0"), OPEN("fwctl0", 11), INFO(11, 1),
        NOP(11, -ENODEV),   CLOSE(11),        LIST("fwctl1"),     DEVICE("fwctl1"),
        OPEN("fwctl1", 12), INFO(12, 1),      NOP(12, 0),         CLOSE(12)};
    struct world *w = begin(rows, COUNT(rows));

    (void)state;
    turn_until(w, HWS_LINK_ADAPTER_UP);
    send_nop(w);
    assert_int_equal(w->done.code, HWS_E_GONE);
    /* Looked for at once: virtual time stands still. */
    for (int i = 0; i < WAIT_MS && !hws_str_eq(w->node, "/dev/fwctl/fwctl1"); i++) {
        turn(w);
        (void)poll(NULL, 0, 1);
    }
    turn_until(w, HWS_LINK_ADAPTER_UP);
    assert_string_equal(w->node, "/dev/fwctl/fwctl1");
    assert_int_equal(w->serve.n_adapters, 1); /* the same adapter: the address is the key */
    send_nop(w);
    assert_int_equal(w->done.code, HWS_OK);
    finish(w);
}

static void gone_node_without_a_successor_is_away_and_refuses(void **state)
{
    static const struct hws_fake_sys_row rows[] = {LIST("fwctl0"),
                                                   DEVICE("fwctl0"),
                                                   OPEN("fwctl0", 11),
                                                   INFO(11, 1),
                                                   NOP(11, -ENODEV),
                                                   CLOSE(11),
                                                   {.call = HWS_FAKE_SYS_LIST, .path = CLASS}};
    struct world *w = begin(rows, COUNT(rows));

    (void)state;
    turn_until(w, HWS_LINK_ADAPTER_UP);
    send_nop(w);
    turn_until(w, HWS_LINK_ADAPTER_AWAY);
    for (int i = 0; i < WAIT_MS && w->nodes.list[0]->open; i++) {
        turn(w);
        (void)poll(NULL, 0, 1);
    }
    turn(w);
    send_nop(w); /* refused without asking the kernel */
    assert_int_equal(w->done.code, HWS_E_GONE);
    assert_int_equal(w->done.stage, HWS_STAGE_NOT_SENT);
    finish(w);
}

static void a_change_in_the_folder_makes_a_look_due(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        {.call = HWS_FAKE_SYS_LIST, .path = CLASS, .result = -ENOENT},
        LIST("fwctl0"),
        DEVICE("fwctl0"),
        OPEN("fwctl0", 11),
        INFO(11, 1),
        CLOSE(11)};
    struct world *w = begin(rows, COUNT(rows));
    char base[] = "/tmp/hawser-nodes-XXXXXX";
    char dir[64];
    struct hws_watch watch;
    int fds[2];

    (void)state;
    assert_non_null(mkdtemp(base));
    (void)hws_str_print(dir, sizeof dir, "%s/fwctl", base);
    assert_code(hws_watch_open(&watch, dir, NULL), HWS_OK);
    w->nodes.watch = &watch;
    turn(w);
    assert_int_equal(w->serve.n_adapters, 0);
    assert_int_equal(hws_nodes_fds(&w->nodes, fds, 2), 1);
    assert_int_equal(fds[0], watch.fd);
    assert_int_equal(mkdir(dir, 0700), 0); /* the first node of a host makes the folder, too */
    turn_until(w, HWS_LINK_ADAPTER_UP);
    finish(w);
    hws_watch_close(&watch);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(base), 0);
}

/* A command that does not come back is answered, told with the adapter, and told again when it has
 * come back; others run meanwhile. */
static void stuck_ioctl_is_announced_until_it_returns(void **state)
{
    static const struct hws_fake_sys_row rows[] = {LIST("fwctl0"),
                                                   DEVICE("fwctl0"),
                                                   OPEN("fwctl0", 11),
                                                   INFO(11, 1),
                                                   {.call = HWS_FAKE_SYS_RPC,
                                                    .fd = 11,
                                                    .scope = 1,
                                                    .in_len = 16,
                                                    .out_len = 16,
                                                    .opcode = 0x80d,
                                                    .block = true},
                                                   NOP(11, 0),
                                                   CLOSE(11)};
    struct world *w = begin(rows, COUNT(rows));

    (void)state;
    turn_until(w, HWS_LINK_ADAPTER_UP);
    w->step_ms = 100; /* the deadline of 500 ms passes */
    send_nop(w);
    w->step_ms = 0;
    assert_int_equal(w->done.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(w->n_stalled, 1);
    assert_int_equal(w->n_stalled_at_done, 1);
    send_nop(w);
    assert_int_equal(w->done.code, HWS_OK);
    hws_fake_sys_open_gate(&w->fake);
    for (int i = 0; i < WAIT_MS && w->n_stalled > 0; i++) {
        turn(w);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(w->n_stalled, 0);
    finish(w);
}

static void other_kinds_are_named_and_not_served(void **state)
{
    static const char *const names[] = {"cxl", "bnxt", "pds", "none"};

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        const struct hws_fake_sys_row rows[] = {LIST("fwctl0"), DEVICE("fwctl0"),
                                                OPEN("fwctl0", 11), INFO(11, 2 + i), CLOSE(11)};
        struct world *w = begin(rows, COUNT(rows));

        turn_until(w, HWS_LINK_ADAPTER_FAILED);
        assert_string_equal(w->kind, names[i]);
        assert_non_null(strstr(w->reason, "no reviewed command table"));
        send_nop(w);
        assert_int_equal(w->done.code, HWS_E_GONE);
        finish(w);
    }
}

static void node_that_cannot_be_opened_says_why_and_is_tried_again(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        LIST("fwctl0"), DEVICE("fwctl0"), OPEN("fwctl0", -EACCES),
        LIST("fwctl0"), DEVICE("fwctl0"), OPEN("fwctl0", 11),
        INFO(11, 1),    CLOSE(11)};
    struct world *w = begin(rows, COUNT(rows));

    (void)state;
    turn_until(w, HWS_LINK_ADAPTER_FAILED);
    assert_non_null(strstr(w->reason, "/dev/fwctl/fwctl0"));
    w->now_ms += HWS_NODES_SCAN_MS;
    turn_until(w, HWS_LINK_ADAPTER_UP);
    finish(w);
}

static void no_node_is_no_adapter(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        {.call = HWS_FAKE_SYS_LIST, .path = CLASS, .result = -ENOENT}};
    struct world *w = begin(rows, COUNT(rows));

    (void)state;
    turn(w);
    w->now_ms += HWS_NODES_SCAN_MS - 1;
    turn(w);
    assert_int_equal(w->serve.n_adapters, 0);
    finish(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_is_found_and_served),
        cmocka_unit_test(unplugged_node_comes_back_under_another_number),
        cmocka_unit_test(gone_node_without_a_successor_is_away_and_refuses),
        cmocka_unit_test(a_change_in_the_folder_makes_a_look_due),
        cmocka_unit_test(stuck_ioctl_is_announced_until_it_returns),
        cmocka_unit_test(other_kinds_are_named_and_not_served),
        cmocka_unit_test(node_that_cannot_be_opened_says_why_and_is_tried_again),
        cmocka_unit_test(no_node_is_no_adapter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
