/* What the programs of serve share: the socket and files of a device process, and packets of its
 * keeper. */
#include "serve_world.h"

#include <string.h>

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

struct world world;

void feed(struct world *w, const struct hws_link_packet *p, int fd, enum hws_code expected)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_err err;
    size_t n = 0;

    assert_ok(hws_link_encode(p, bytes, sizeof bytes, &n, &err), &err);
    assert_code(hws_serve_feed(&w->serve, bytes, n, fd, 1000, &err), expected);
}

void feed_hello(struct world *w)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello = (struct hws_link_hello){.role = HWS_LINK_ROLE_KEEPER,
                                        .version = HWS_LINK_VERSION,
                                        .generation = 1,
                                        .name = hws_link_text("hawserd")};
    feed(w, &p, -1, HWS_OK);
}

void feed_kills(struct world *w, const struct hws_table_row *row, uint32_t left_ms)
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

struct hws_link_packet nop(uint64_t id)
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

struct hws_link_packet sent(struct world *w, size_t i)
{
    struct hws_link_packet p;
    size_t n;

    assert_true(i < w->n_sent);
    n = HWS_LINK_HEADER_BYTES + (size_t)w->sent[i][6] * 256 + w->sent[i][7];
    assert_true(n <= sizeof w->sent[0]);
    assert_code(hws_link_decode(w->sent[i], n, &p, NULL), HWS_OK);
    return p;
}

struct hws_serve_io world_io(struct world *w)
{
    return (struct hws_serve_io){io_send, io_read, io_write, io_close, io_authorize, io_note, w};
}

int setup(void **state)
{
    struct world *w = &world;
    const struct hws_serve_io io = world_io(w);
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

int teardown(void **state)
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
