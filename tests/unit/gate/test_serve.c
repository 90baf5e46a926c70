/* The device process's side of the link, against a channel that holds calls and a socket that is an
 * array. */
#include <string.h>

#include "gate/serve.h"
#include "held_ctl.h"
#include "table/table.h"
#include "test.h"

#define MAX_SENT 128u

struct world {
    struct hws_serve serve;
    struct hws_held_ctl held;
    struct hws_serve_adapter *adapter;
    uint8_t sent[MAX_SENT][512]; /* packets, cut */
    size_t n_sent;
    bool full;           /* the socket takes nothing */
    uint8_t file[65536]; /* the memory file behind every descriptor */
    unsigned n_closed;   /* descriptors closed */
    bool file_broken;
    bool authorized;        /* what the program says to a dangerous command */
    unsigned n_asked;       /* how often it was asked */
    size_t n_warrant_bytes; /* with this much warrant */
    unsigned n_notes;       /* lines for the log */
    char note[256];         /* the last of them */
};

static enum hws_code io_send(void *data, const uint8_t *bytes, size_t n)
{
    struct world *w = data;

    if (w->full) {
        return HWS_E_BUSY;
    }
    assert_true(w->n_sent < MAX_SENT);
    memcpy(w->sent[w->n_sent], bytes, n < sizeof w->sent[0] ? n : sizeof w->sent[0]);
    w->n_sent++;
    return HWS_OK;
}

static enum hws_code io_read(void *data, int fd, uint8_t *bytes, size_t n, struct hws_err *err)
{
    struct world *w = data;

    assert_true(fd >= 0);
    if (w->file_broken || n > sizeof w->file) {
        return hws_err_set(err, HWS_E_PROTO, "broken file");
    }
    memcpy(bytes, w->file, n);
    return HWS_OK;
}

static enum hws_code io_write(void *data, int fd, const uint8_t *bytes, size_t n,
                              struct hws_err *err)
{
    struct world *w = data;

    assert_true(fd >= 0);
    if (w->file_broken) {
        return hws_err_set(err, HWS_E_IO, "broken file");
    }
    memcpy(w->file, bytes, n);
    return HWS_OK;
}

static void io_close(void *data, int fd)
{
    assert_true(fd >= 0);
    ((struct world *)data)->n_closed++;
}

static enum hws_code io_authorize(void *data, const struct hws_serve_danger *d, struct hws_err *err)
{
    struct world *w = data;

    assert_string_equal(d->device, "0000:81:00.0");
    w->n_asked++;
    w->n_warrant_bytes = d->warrant.n;
    return w->authorized ? HWS_OK : hws_err_set(err, HWS_E_DENIED, "no warrant");
}

static void io_note(void *data, const char *device, const char *text)
{
    struct world *w = data;

    assert_string_equal(device, "0000:81:00.0");
    w->n_notes++;
    (void)hws_str_copy(w->note, sizeof w->note, text);
}

static struct world world;

static void feed(struct world *w, const struct hws_link_packet *p, int fd, enum hws_code expected)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_err err;
    size_t n = 0;

    assert_ok(hws_link_encode(p, bytes, sizeof bytes, &n, &err), &err);
    assert_code(hws_serve_feed(&w->serve, bytes, n, fd, 1000, &err), expected);
}

static void feed_hello(struct world *w)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello = (struct hws_link_hello){.role = HWS_LINK_ROLE_KEEPER,
                                        .version = HWS_LINK_VERSION,
                                        .generation = 1,
                                        .name = hws_link_text("hawserd")};
    feed(w, &p, -1, HWS_OK);
}

/* The list of killed rows of the only adapter: none, or that one. */
static void feed_kills(struct world *w, const struct hws_table_row *row, uint32_t left_ms)
{
    uint8_t rows[HWS_LINK_KILL_BYTES] = {0};
    struct hws_link_packet p = {.type = HWS_LINK_KILLS};

    if (row != NULL) {
        const struct hws_link_kill kill = {hws_table_id(row), left_ms};
        hws_link_kill_put(rows, 0, &kill);
        p.u.kills.n = 1;
    }
    p.u.kills.rows = rows;
    feed(w, &p, -1, HWS_OK);
}

static struct hws_link_packet nop(uint64_t id)
{
    static const uint8_t in[16] = {0x08, 0x0d};
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = id};

    p.u.cmd = (struct hws_link_cmd){.row = hws_table_id(hws_table_command(HWS_KIND_MLX5, 0x80d, 0)),
                                    .scope = 1,
                                    .deadline_ms = 500,
                                    .in_bytes = 16,
                                    .out_cap = 16,
                                    .in = {in, 16}};
    return p;
}

static struct hws_link_packet sent(struct world *w, size_t i)
{
    struct hws_link_packet p;
    size_t n;

    assert_true(i < w->n_sent);
    n = HWS_LINK_HEADER_BYTES + (size_t)w->sent[i][6] * 256 + w->sent[i][7];
    assert_true(n <= sizeof w->sent[0]);
    assert_code(hws_link_decode(w->sent[i], n, &p, NULL), HWS_OK);
    return p;
}

/* One UP adapter of depth 4; connected and greeted, nothing killed; HELLO and ADAPTER are packets 0
 * and 1. */
static int setup(void **state)
{
    struct world *w = &world;
    const struct hws_serve_io io = {io_send, io_read, io_write, io_close, io_authorize, io_note, w};
    struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_UP,
                                    .emulated = true,
                                    .depth = 4,
                                    .pci = "0000:81:00.0",
                                    .node = "",
                                    .backend = "queue",
                                    .reason = ""};

    memset(w, 0, sizeof *w);
    hws_held_init(&w->held);
    hws_serve_init(&w->serve, &io, "hawser-emu", "1", 7, 42);
    if (hws_serve_add(&w->serve, &w->held.ctl, &facts, &w->adapter, NULL) != HWS_OK) {
        return -1;
    }
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1000);
    feed_hello(w);
    feed_kills(w, NULL, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < w->held.n_calls; i++) {
        if (w->held.calls[i] != NULL) {
            hws_held_ok(&w->held, i, 0, 16);
        }
    }
    (void)hws_serve_turn(&w->serve, 2000);
    hws_serve_deinit(&w->serve);
    return 0;
}

static void hello_and_adapters_come_first(void **state)
{
    struct world *w = *state;
    struct hws_link_packet hello = sent(w, 0);
    struct hws_link_packet adapter = sent(w, 1);

    assert_int_equal(w->n_sent, 2);
    assert_int_equal(hello.type, HWS_LINK_HELLO);
    assert_int_equal(hello.u.hello.role, HWS_LINK_ROLE_DEVICE);
    assert_int_equal(hello.u.hello.generation, 7);
    assert_int_equal(hello.u.hello.n_adapters, 1);
    assert_int_equal(adapter.type, HWS_LINK_ADAPTER);
    assert_int_equal(adapter.u.adapter.depth, 4);
    assert_true(adapter.u.adapter.emulated);
    assert_memory_equal(adapter.u.adapter.pci.bytes, "0000:81:00.0", 12);
}

static void command_runs_and_is_answered(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet done;

    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(hws_serve_running(&w->serve), 1);
    assert_int_equal(w->held.calls[0]->deadline_ms, 1500);
    assert_int_equal(w->held.calls[0]->scope, 1);
    assert_ptr_not_equal(w->held.calls[0]->in, cmd.u.cmd.in.bytes); /* a private copy */
    hws_held_ok(&w->held, 0, 0x5a, 16);
    (void)hws_serve_turn(&w->serve, 1001);
    done = sent(w, 2);
    assert_int_equal(done.type, HWS_LINK_DONE);
    assert_int_equal(done.id, 5);
    assert_int_equal(done.u.done.code, HWS_OK);
    assert_int_equal(done.u.done.out_bytes, 16);
    assert_int_equal(done.u.done.out.bytes[15], 0x5a);
    assert_int_equal(hws_serve_running(&w->serve), 0);
}

static void a_dangerous_command_needs_the_programs_word(void **state)
{
    struct world *w = *state;
    uint8_t in[16] = {0x08, 0x20}; /* SET_DIAGNOSTIC_PARAMS */
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x820, 0);
    struct hws_link_packet cmd = nop(5);

    cmd.u.cmd.row = hws_table_id(row);
    cmd.u.cmd.scope = row->scope;
    cmd.u.cmd.in.bytes = in;
    cmd.u.cmd.warrant = hws_link_text("a warrant");
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 1);
    assert_int_equal(w->n_warrant_bytes, 9);
    assert_int_equal(hws_serve_running(&w->serve), 0);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_DENIED);
    assert_int_equal(sent(w, 2).u.done.stage, HWS_STAGE_NOT_SENT);

    w->authorized = true;
    cmd.id = 6;
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(hws_serve_running(&w->serve), 1);

    /* One that the gate refuses is not asked about, and a warrant makes nothing of it. */
    cmd.id = 7;
    cmd.u.cmd.scope = 1;
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 2);
    assert_int_equal(hws_serve_running(&w->serve), 1);

    /* One that needs no warrant is not asked about either. */
    cmd = nop(8);
    cmd.u.cmd.warrant = hws_link_text("a warrant");
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 2);
    assert_int_equal(hws_serve_running(&w->serve), 2);
}

/* The answer to a NOP: feeds it, turns at now_ms, reads the last packet. */
static struct hws_link_packet answer_to_nop(struct world *w, uint64_t id, uint64_t now_ms)
{
    struct hws_link_packet cmd = nop(id);
    size_t n_calls = w->held.n_calls;
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    size_t n = 0;

    assert_code(hws_link_encode(&cmd, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_serve_feed(&w->serve, bytes, n, -1, now_ms, NULL), HWS_OK);
    if (w->held.n_calls > n_calls) {
        hws_held_ok(&w->held, n_calls, 0, 16);
    }
    (void)hws_serve_turn(&w->serve, now_ms);
    assert_int_equal(sent(w, w->n_sent - 1).id, id);
    return sent(w, w->n_sent - 1);
}

static void killed_row_is_refused_until_its_time_is_over(void **state)
{
    struct world *w = *state;
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x80d, 0);
    struct hws_link_packet done;
    char text[256] = "";

    feed_kills(w, row, 5000); /* the clock says 1000 */
    assert_int_equal(w->n_notes, 1);
    assert_string_equal(w->note, "1 rows killed now: 1 more, 0 lifted");
    done = answer_to_nop(w, 5, 1001);
    assert_int_equal(done.u.done.code, HWS_E_DENIED);
    assert_int_equal(done.u.done.stage, HWS_STAGE_NOT_SENT);
    (void)hws_str_copy_n(text, sizeof text, done.u.done.msg.bytes, done.u.done.msg.n);
    assert_string_equal(text, "the device process refuses NOP on 0000:81:00.0: killed for 5 s "
                              "more; see hawser kill list");
    assert_int_equal(w->n_notes, 2);
    assert_string_equal(w->note, text);
    assert_int_equal(answer_to_nop(w, 6, 5999).u.done.code, HWS_E_DENIED);
    assert_int_equal(w->n_notes, 2); /* once for a list */
    assert_int_equal(w->held.n_calls, 0);
    assert_int_equal(answer_to_nop(w, 7, 6000).u.done.code, HWS_OK);
    assert_int_equal(w->held.n_calls, 1);
}

static void killed_register_is_named_with_its_method(void **state)
{
    struct world *w = *state;
    static const uint8_t in[32] = {0x08, 0x05, [10] = 0x50, 0x06}; /* ACCESS_REG, a write of PAOS */
    const struct hws_table_row *row = hws_table_register(HWS_KIND_MLX5, 0x5006, HWS_REG_WRITE);
    struct hws_link_packet cmd = nop(5);

    cmd.u.cmd.row = hws_table_id(row);
    cmd.u.cmd.scope = row->scope;
    cmd.u.cmd.in = (struct hws_span){in, sizeof in};
    cmd.u.cmd.in_bytes = sizeof in;
    cmd.u.cmd.out_cap = sizeof in;
    feed_kills(w, row, 5000);
    feed(w, &cmd, -1, HWS_OK);
    assert_non_null(strstr(w->note, "refuses PAOS:write on 0000:81:00.0: killed for 5 s"));
    assert_int_equal(w->held.n_calls, 0);
}

static void lifted_row_runs_and_another_one_is_not_concerned(void **state)
{
    struct world *w = *state;

    feed_kills(w, hws_table_command(HWS_KIND_MLX5, 0x101, 0), 5000);
    assert_int_equal(answer_to_nop(w, 5, 1001).u.done.code, HWS_OK);
    feed_kills(w, hws_table_command(HWS_KIND_MLX5, 0x80d, 0), 5000);
    assert_string_equal(w->note, "1 rows killed now: 1 more, 1 lifted");
    assert_int_equal(answer_to_nop(w, 6, 1001).u.done.code, HWS_E_DENIED);
    feed_kills(w, NULL, 0);
    assert_string_equal(w->note, "0 rows killed now: 0 more, 1 lifted");
    assert_int_equal(answer_to_nop(w, 7, 1001).u.done.code, HWS_OK);
}

/* A warrant is not asked about, and so not used up. */
static void killed_row_runs_with_no_warrant_either(void **state)
{
    struct world *w = *state;
    uint8_t in[16] = {0x08, 0x20}; /* SET_DIAGNOSTIC_PARAMS */
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x820, 0);
    struct hws_link_packet cmd = nop(5);

    w->authorized = true;
    cmd.u.cmd.row = hws_table_id(row);
    cmd.u.cmd.scope = row->scope;
    cmd.u.cmd.in.bytes = in;
    cmd.u.cmd.warrant = hws_link_text("a warrant");
    feed_kills(w, row, 5000);
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 0);
    assert_int_equal(hws_serve_running(&w->serve), 0);
}

static void nothing_runs_before_the_kills_are_told(void **state)
{
    struct world *w = *state;
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x80d, 0);
    struct hws_link_packet done;

    feed_kills(w, row, 60000);
    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1000);
    feed_hello(w);
    done = answer_to_nop(w, 5, 1001);
    assert_int_equal(done.u.done.code, HWS_E_GONE);
    assert_int_equal(done.u.done.stage, HWS_STAGE_NOT_SENT);

    /* The list is still there, for a keeper that does not know it. */
    feed_kills(w, row, 0);
    assert_int_equal(answer_to_nop(w, 6, 1001).u.done.code, HWS_E_DENIED);
    assert_int_equal(w->held.n_calls, 0);
    feed_kills(w, NULL, 0);
    assert_int_equal(answer_to_nop(w, 7, 1001).u.done.code, HWS_OK);
    struct hws_link_packet other = {.type = HWS_LINK_KILLS, .u.kills.adapter = 1};
    feed(w, &other, -1, HWS_E_PROTO); /* no such adapter */
}

static void refusal_of_the_gate_is_an_answer(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    cmd.u.cmd.scope = 3;
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(w->held.n_calls, 0);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_DENIED);
    assert_int_equal(sent(w, 2).u.done.stage, HWS_STAGE_NOT_SENT);
}

static void refusal_of_the_channel_is_an_answer(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    w->held.refuse = HWS_E_BUSY;
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_BUSY);
    assert_int_equal(sent(w, 2).u.done.stage, HWS_STAGE_NOT_SENT);
}

static void adapter_that_is_away_refuses(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_AWAY,
                                    .depth = 4,
                                    .pci = "a b", /* a space must not break the packet */
                                    .node = "",
                                    .backend = "queue",
                                    .reason = "resetting"};

    hws_serve_update(w->adapter, NULL, &facts);
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.adapter.state, HWS_LINK_ADAPTER_AWAY);
    assert_memory_equal(sent(w, 2).u.adapter.pci.bytes, "a_b", 3);
    assert_int_equal(sent(w, 3).u.done.code, HWS_E_GONE);
    assert_int_equal(sent(w, 3).u.done.stage, HWS_STAGE_NOT_SENT);
}

static void answer_waits_for_a_full_socket(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_held_ok(&w->held, 0, 1, 16);
    w->full = true;
    (void)hws_serve_turn(&w->serve, 1001);
    assert_true(hws_serve_wants_write(&w->serve));
    w->full = false;
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(sent(w, 2).id, 5);
    assert_false(hws_serve_wants_write(&w->serve));
}

static void running_command_survives_a_reconnect_and_is_named(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet hello;

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_disconnected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1100);
    assert_int_equal(hws_serve_running(&w->serve), 1);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1250);
    hello = sent(w, 2);
    assert_int_equal(hello.u.hello.n_running, 1);
    assert_int_equal(hws_link_running_get(hello.u.hello.running, 0).id, 5);
    assert_int_equal(hws_link_running_get(hello.u.hello.running, 0).age_ms, 250);
    feed_hello(w);
    hws_held_ok(&w->held, 0, 1, 16);
    (void)hws_serve_turn(&w->serve, 1300);
    assert_int_equal(sent(w, w->n_sent - 1).id, 5); /* DONE goes to the new keeper */
}

static void command_that_ends_while_nobody_is_there_is_dropped(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_disconnected(&w->serve);
    hws_held_ok(&w->held, 0, 1, 16);
    (void)hws_serve_turn(&w->serve, 1100);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1200);
    assert_int_equal(sent(w, 2).u.hello.n_running, 0);
    assert_int_equal(w->n_sent, 4); /* HELLO and ADAPTER again, nothing else */
}

static void cancel_reaches_the_channel(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet cancel = {.type = HWS_LINK_CANCEL_CMD, .id = 5};

    feed(w, &cmd, -1, HWS_OK);
    feed(w, &cancel, -1, HWS_OK);
    assert_int_equal(w->held.n_cancels, 1);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_CANCELED);
    feed(w, &cancel, -1, HWS_OK); /* too late: no harm */
}

static void cancel_of_what_has_ended_does_nothing(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet cancel = {.type = HWS_LINK_CANCEL_CMD, .id = 5};

    cmd.u.cmd.scope = 3; /* refused: the answer waits */
    feed(w, &cmd, -1, HWS_OK);
    feed(w, &cancel, -1, HWS_OK);
    assert_int_equal(w->held.n_cancels, 0);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_DENIED);
}

/* A channel that is taken away ends what it has on loan; until then the answer is still due. */
static void command_of_an_adapter_that_went_away_is_answered(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet cancel = {.type = HWS_LINK_CANCEL_CMD, .id = 5};
    const struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                          .state = HWS_LINK_ADAPTER_AWAY,
                                          .pci = "0000:81:00.0",
                                          .node = "",
                                          .backend = "queue",
                                          .reason = ""};

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_update(w->adapter, NULL, &facts);
    feed(w, &cancel, -1, HWS_OK);
    assert_int_equal(w->held.n_cancels, 0);
    hws_held_fail(&w->held, 0, HWS_E_CANCELED, HWS_STAGE_UNKNOWN);
    (void)w->held.ctl.ops->turn(&w->held.ctl, 1001);
    cmd.id = 6;
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 3).id, 5);
    assert_int_equal(sent(w, 3).u.done.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(sent(w, 4).u.done.code, HWS_E_GONE);
    assert_int_equal(sent(w, 4).u.done.msg.n, strlen("adapter 0000:81:00.0 is away"));
}

static unsigned n_stalled;
static uint64_t stalled_since_ms;

static unsigned some_stalled(const struct hws_ctl *ctl, uint64_t *out_since_ms)
{
    (void)ctl;
    if (n_stalled > 0) {
        *out_since_ms = stalled_since_ms;
    }
    return n_stalled;
}

static void commands_that_do_not_return_are_announced_once(void **state)
{
    struct world *w = *state;
    static struct hws_ctl_ops ops; /* teardown turns the channel once more */

    ops = *w->held.ctl.ops;
    ops.stalled = some_stalled;
    w->held.ctl.ops = &ops;
    n_stalled = 1;
    stalled_since_ms = 900;
    (void)hws_serve_turn(&w->serve, 1001);
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(w->n_sent, 3);
    assert_int_equal(sent(w, 2).u.adapter.n_stalled, 1);
    assert_int_equal(sent(w, 2).u.adapter.stalled_ms, 101);
    stalled_since_ms = 950; /* the oldest one came back, and another one did not */
    (void)hws_serve_turn(&w->serve, 1003);
    assert_int_equal(sent(w, 3).u.adapter.stalled_ms, 53);
    stalled_since_ms = 1003; /* longer than 49 days, next time we look */
    (void)hws_serve_turn(&w->serve, UINT64_C(1003) + UINT32_MAX);
    assert_int_equal(sent(w, 4).u.adapter.stalled_ms, UINT32_MAX);
    n_stalled = 0;
    (void)hws_serve_turn(&w->serve, UINT64_C(1004) + UINT32_MAX);
    assert_int_equal(sent(w, 5).u.adapter.n_stalled, 0);
    assert_int_equal(sent(w, 5).u.adapter.stalled_ms, 0);
    assert_int_equal(w->n_sent, 6);
}

static void a_running_commands_age_has_a_ceiling(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, UINT64_C(2000) + UINT32_MAX);
    assert_int_equal(hws_link_running_get(sent(w, 2).u.hello.running, 0).age_ms, UINT32_MAX);
}

/* HELLO, ADAPTER and DONE each wait for room, in this order. */
static void a_full_socket_keeps_the_order(void **state)
{
    struct world *w = *state;

    hws_serve_disconnected(&w->serve);
    assert_false(hws_serve_wants_write(&w->serve));
    hws_serve_connected(&w->serve);
    assert_true(hws_serve_wants_write(&w->serve));
    w->full = true;
    (void)hws_serve_turn(&w->serve, 1001); /* HELLO does not leave */
    assert_int_equal(w->n_sent, 2);
    w->serve.hello_due = false; /* nor would ADAPTER */
    (void)hws_serve_turn(&w->serve, 1001);
    assert_true(hws_serve_wants_write(&w->serve));
    w->serve.hello_due = true;
    w->full = false;
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(w->n_sent, 4);
    assert_int_equal(sent(w, 2).type, HWS_LINK_HELLO);
    assert_int_equal(sent(w, 3).type, HWS_LINK_ADAPTER);
    assert_false(hws_serve_wants_write(&w->serve));
}

static void answer_for_a_keeper_that_left_is_dropped(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_held_ok(&w->held, 0, 1, 16);
    w->full = true;
    (void)hws_serve_turn(&w->serve, 1001); /* ended, and the socket is full */
    hws_serve_disconnected(&w->serve);
    w->full = false;
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(w->n_sent, 4); /* HELLO and ADAPTER again, no DONE */
    assert_int_equal(sent(w, 2).u.hello.n_running, 0);
}

static void descriptor_of_an_unsent_answer_is_closed_at_the_end(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    cmd.flags = HWS_LINK_FLAG_FD;
    cmd.u.cmd.out_cap = HWS_LINK_INLINE_BYTES + 1;
    cmd.u.cmd.in = (struct hws_span){NULL, 0};
    feed(w, &cmd, 9, HWS_OK);
    assert_int_equal(w->n_closed, 0);
    hws_serve_deinit(&w->serve);
    assert_int_equal(w->n_closed, 1);
}

static void memory_of_a_large_command_is_given_back(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    const struct hws_serve_slot *slot = &w->adapter->slots[0];

    cmd.flags = HWS_LINK_FLAG_FD;
    cmd.u.cmd.in_bytes = HWS_SERVE_KEEP_BYTES + 1;
    cmd.u.cmd.out_cap = HWS_SERVE_KEEP_BYTES + 1;
    cmd.u.cmd.in = (struct hws_span){NULL, 0};
    feed(w, &cmd, 9, HWS_OK);
    assert_int_equal(slot->in_cap, HWS_SERVE_KEEP_BYTES + 1);
    assert_int_equal(slot->out_cap, HWS_SERVE_KEEP_BYTES + 1);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_null(slot->in);
    assert_null(slot->out);
    assert_int_equal(slot->in_cap + slot->out_cap, 0);
    cmd = nop(6); /* the slot goes on with memory of its own */
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(slot->in_cap, 16);
}

/* No row is so large today that its answer would need a file, so the slot is given one by hand. */
static void answer_goes_into_the_memory_file(void **state)
{
    struct world *w = *state;
    struct hws_link_packet done;

    for (uint64_t id = 5; id <= 7; id++) {
        struct hws_link_packet cmd = nop(id);

        feed(w, &cmd, -1, HWS_OK);
        w->adapter->slots[0].fd = 9;
        w->file_broken = id == 6;
        if (id == 7) {
            hws_held_fail(&w->held, 2, HWS_E_DEVICE, HWS_STAGE_EXECUTED);
        } else {
            hws_held_ok(&w->held, (size_t)id - 5, 0x5a, 16);
        }
        (void)hws_serve_turn(&w->serve, 1001);
    }
    done = sent(w, 2);
    assert_int_equal(done.flags, HWS_LINK_FLAG_FD);
    assert_int_equal(done.u.done.code, HWS_OK);
    assert_int_equal(done.u.done.out_bytes, 16);
    assert_int_equal(w->file[15], 0x5a);
    done = sent(w, 3); /* it ran, and what it answered is lost */
    assert_int_equal(done.flags, 0);
    assert_int_equal(done.u.done.code, HWS_E_IO);
    assert_int_equal(done.u.done.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(done.u.done.out_bytes, 0);
    done = sent(w, 4); /* nothing to write */
    assert_int_equal(done.flags, 0);
    assert_int_equal(done.u.done.code, HWS_E_DEVICE);
    assert_int_equal(w->n_closed, 3);
}

static void adapters_have_a_limit(void **state)
{
    struct world *w = *state;
    struct hws_serve_adapter *a = NULL;
    const struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                          .state = HWS_LINK_ADAPTER_AWAY,
                                          .depth = 1,
                                          .pci = "",
                                          .node = "caf\xc3\xa9\x7f",
                                          .backend = "",
                                          .reason = ""};

    for (unsigned i = 1; i < HWS_LINK_MAX_ADAPTERS; i++) {
        assert_code(hws_serve_add(&w->serve, NULL, &facts, &a, NULL), HWS_OK);
    }
    assert_string_equal(a->pci, "unknown"); /* what the packet may carry */
    assert_string_equal(a->node, "caf___");
    assert_code(hws_serve_add(&w->serve, NULL, &facts, &a, NULL), HWS_E_BUSY);
    assert_int_equal(w->serve.n_adapters, HWS_LINK_MAX_ADAPTERS);
}

static void second_hello_is_out_of_place(void **state)
{
    struct world *w = *state;
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello = (struct hws_link_hello){
        .role = HWS_LINK_ROLE_KEEPER, .version = HWS_LINK_VERSION, .generation = 1};
    feed(w, &p, -1, HWS_E_PROTO);
}

static enum hws_code serve_one(void *arg)
{
    struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_UP,
                                    .depth = 1,
                                    .pci = "0000:81:00.0",
                                    .node = "",
                                    .backend = "queue",
                                    .reason = ""};
    struct world *w = arg;
    struct hws_link_packet cmd = nop(5);
    enum hws_code code;

    w->n_sent = 0;
    hws_held_init(&w->held);
    hws_serve_init(
        &w->serve,
        &(struct hws_serve_io){io_send, io_read, io_write, io_close, io_authorize, io_note, w},
        "hawser-emu", "1", 7, 42);
    code = hws_serve_add(&w->serve, &w->held.ctl, &facts, &w->adapter, NULL);
    if (code == HWS_OK) {
        hws_serve_connected(&w->serve);
        (void)hws_serve_turn(&w->serve, 1000);
        feed_hello(w);
        feed_kills(w, NULL, 0);
        feed(w, &cmd, -1, HWS_OK);
        if (hws_serve_running(&w->serve) > 0) {
            hws_held_ok(&w->held, 0, 0x5a, 16);
        }
        (void)hws_serve_turn(&w->serve, 1001);
        code = (enum hws_code)sent(w, 2).u.done.code;
        assert_int_equal(sent(w, 2).u.done.stage,
                         code == HWS_OK ? HWS_STAGE_NONE : HWS_STAGE_NOT_SENT);
    }
    hws_serve_deinit(&w->serve);
    return code;
}

static void running_out_of_memory_is_an_answer(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    assert_int_equal(hws_test_oom_sweep(serve_one, &world), 4); /* adapter, kills, inbox, outbox */
}

static void memory_file_carries_large_payloads(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    /* Inbox and outbox of such a size suit no row: the gate judges the copy and refuses. */
    memcpy(w->file, cmd.u.cmd.in.bytes, 16);
    cmd.flags = HWS_LINK_FLAG_FD;
    cmd.u.cmd.in_bytes = 16;
    cmd.u.cmd.out_cap = HWS_LINK_INLINE_BYTES + 1;
    cmd.u.cmd.in = (struct hws_span){NULL, 0};
    feed(w, &cmd, 9, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_INVALID);
    assert_int_equal(w->n_closed, 1);
    w->file_broken = true;
    cmd.id = 6;
    feed(w, &cmd, 9, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 3).u.done.code, HWS_E_PROTO);
    assert_int_equal(w->n_closed, 2);
}

static void breach_of_protocol_is_refused_and_leaks_no_descriptor(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet stray = {.type = HWS_LINK_CANCEL, .id = 1, .u.cancel = 1};
    const uint8_t garbage[3] = {0};

    feed(w, &cmd, 9, HWS_E_PROTO); /* a descriptor without the flag */
    assert_int_equal(w->n_closed, 1);
    cmd.u.cmd.adapter = 1;
    feed(w, &cmd, -1, HWS_E_PROTO); /* no such adapter */
    feed(w, &stray, -1, HWS_E_PROTO);
    assert_code(hws_serve_feed(&w->serve, garbage, sizeof garbage, 9, 1000, NULL), HWS_E_PROTO);
    assert_int_equal(w->n_closed, 2);
    for (uint64_t id = 1; id <= 4; id++) {
        cmd = nop(id);
        feed(w, &cmd, -1, HWS_OK);
    }
    cmd = nop(4);
    feed(w, &cmd, -1, HWS_E_PROTO); /* id in use */
    cmd = nop(5);
    feed(w, &cmd, -1, HWS_E_PROTO); /* over the depth */
}

static void nothing_runs_before_the_keepers_hello(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet hello = {.type = HWS_LINK_HELLO};

    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
    feed(w, &cmd, -1, HWS_E_PROTO);
    hello.u.hello = (struct hws_link_hello){
        .role = HWS_LINK_ROLE_WIRE, .version = HWS_LINK_VERSION, .generation = 1};
    feed(w, &hello, -1, HWS_E_PROTO);
    hello.u.hello.role = HWS_LINK_ROLE_KEEPER;
    hello.u.hello.version = HWS_LINK_VERSION + 1;
    feed(w, &hello, -1, HWS_E_PROTO);
    assert_int_equal(w->held.n_calls, 0);
}

static void drain_is_noted(void **state)
{
    struct world *w = *state;
    struct hws_link_packet drain = {.type = HWS_LINK_DRAIN};

    assert_false(w->serve.drain);
    feed(w, &drain, -1, HWS_OK);
    assert_true(w->serve.drain);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(hello_and_adapters_come_first),
        WITH_WORLD(command_runs_and_is_answered),
        WITH_WORLD(a_dangerous_command_needs_the_programs_word),
        WITH_WORLD(killed_row_is_refused_until_its_time_is_over),
        WITH_WORLD(lifted_row_runs_and_another_one_is_not_concerned),
        WITH_WORLD(killed_register_is_named_with_its_method),
        WITH_WORLD(killed_row_runs_with_no_warrant_either),
        WITH_WORLD(nothing_runs_before_the_kills_are_told),
        WITH_WORLD(refusal_of_the_gate_is_an_answer),
        WITH_WORLD(refusal_of_the_channel_is_an_answer),
        WITH_WORLD(adapter_that_is_away_refuses),
        WITH_WORLD(answer_waits_for_a_full_socket),
        WITH_WORLD(running_command_survives_a_reconnect_and_is_named),
        WITH_WORLD(command_that_ends_while_nobody_is_there_is_dropped),
        WITH_WORLD(cancel_reaches_the_channel),
        WITH_WORLD(cancel_of_what_has_ended_does_nothing),
        WITH_WORLD(command_of_an_adapter_that_went_away_is_answered),
        WITH_WORLD(commands_that_do_not_return_are_announced_once),
        WITH_WORLD(a_running_commands_age_has_a_ceiling),
        WITH_WORLD(a_full_socket_keeps_the_order),
        WITH_WORLD(answer_for_a_keeper_that_left_is_dropped),
        WITH_WORLD(descriptor_of_an_unsent_answer_is_closed_at_the_end),
        WITH_WORLD(memory_of_a_large_command_is_given_back),
        WITH_WORLD(answer_goes_into_the_memory_file),
        WITH_WORLD(adapters_have_a_limit),
        WITH_WORLD(second_hello_is_out_of_place),
        cmocka_unit_test(running_out_of_memory_is_an_answer),
        WITH_WORLD(memory_file_carries_large_payloads),
        WITH_WORLD(breach_of_protocol_is_refused_and_leaks_no_descriptor),
        WITH_WORLD(nothing_runs_before_the_keepers_hello),
        WITH_WORLD(drain_is_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
