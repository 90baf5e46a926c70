/*
 * A device process's server against any keeper. Input: steps of {what u8, length u16, bytes}:
 *   0 a packet; 1 a packet with a descriptor; 2 a call ends well; 3 a call fails; 4 the connection
 *   breaks and comes back; 5 the socket fills or drains; 6 the adapter goes or comes back.
 * A HELLO gets the version of this build, so that seeds outlive it.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "gate/serve.h"
#include "held_ctl.h"

#define DEPTH 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct hws_serve serve;
    struct hws_held_ctl held;
    struct hws_serve_adapter *adapter;
    int n_fds; /* descriptors the server holds */
    bool full;
    bool away;
    uint64_t now_ms;
};

static enum hws_code io_send(void *data, const uint8_t *bytes, size_t n)
{
    struct hws_link_packet packet;
    struct world *w = data;

    hws_assert(hws_link_decode(bytes, n, &packet, NULL) == HWS_OK);
    return w->full ? HWS_E_BUSY : HWS_OK;
}

static enum hws_code io_read(void *data, int fd, uint8_t *bytes, size_t n, struct hws_err *err)
{
    (void)data;
    hws_assert(fd >= 0);
    memset(bytes, 0, n);
    return n % 2 == 0 ? HWS_OK : hws_err_set(err, HWS_E_PROTO, "odd");
}

static enum hws_code io_write(void *data, int fd, const uint8_t *bytes, size_t n,
                              struct hws_err *err)
{
    (void)data;
    hws_assert(fd >= 0 && bytes != NULL);
    return n % 2 == 0 ? HWS_OK : hws_err_set(err, HWS_E_IO, "odd");
}

static enum hws_code io_authorize(void *data, const struct hws_serve_danger *d, struct hws_err *err)
{
    (void)data;
    return d->warrant.n > 0 ? HWS_OK : hws_err_set(err, HWS_E_DENIED, "no warrant");
}

static void io_note(void *data, const char *device, const char *text)
{
    (void)data;
    hws_assert(device[0] != 0 && text[0] != 0);
}

static void io_close(void *data, int fd)
{
    struct world *w = data;

    hws_assert(fd >= 0 && w->n_fds > 0);
    w->n_fds--;
}

static struct hws_serve_facts facts_of(const struct world *w)
{
    return (struct hws_serve_facts){.kind = HWS_KIND_MLX5,
                                    .state = w->away ? HWS_LINK_ADAPTER_AWAY : HWS_LINK_ADAPTER_UP,
                                    .depth = DEPTH,
                                    .pci = "0000:81:00.0",
                                    .node = "",
                                    .backend = "queue",
                                    .reason = ""};
}

static void reconnect(struct world *w)
{
    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
}

/* Ends the oldest call on loan, if any. */
static void end_one(struct world *w, bool well)
{
    for (size_t i = 0; i < w->held.n_calls; i++) {
        struct hws_ctl_call *call = w->held.calls[i];

        if (call != NULL && well) {
            hws_held_ok(&w->held, i, 0x55, call->out_cap_bytes);
            return;
        }
        if (call != NULL) {
            hws_held_fail(&w->held, i, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN);
            return;
        }
    }
}

#define VERSION_AT 18u /* of HELLO: lib/core/link/hello.c */

/* Feeds one packet, its version put right if it is a HELLO. */
static enum hws_code feed(struct world *w, const uint8_t *bytes, size_t n, int fd)
{
    static uint8_t copy[HWS_LINK_MAX_BYTES + 1];

    n = n < sizeof copy ? n : sizeof copy;
    if (n > 0) {
        memcpy(copy, bytes, n);
    }
    if (n >= VERSION_AT + 2 && copy[0] == HWS_LINK_HELLO) {
        hws_store_be16(copy + VERSION_AT, HWS_LINK_VERSION);
    }
    size_t n_calls = w->held.n_calls;
    enum hws_code code = hws_serve_feed(&w->serve, copy, n, fd, w->now_ms, NULL);
    if (w->held.n_calls > n_calls) { /* a CMD ran: its row was told and is not killed */
        struct hws_link_packet p;

        hws_assert(hws_link_decode(copy, n, &p, NULL) == HWS_OK && w->adapter->kills_told);
        hws_assert(hws_gate_kills_left_ms(&w->adapter->kills, p.u.cmd.row, w->now_ms) == 0);
    }
    return code;
}

static void step(struct world *w, uint8_t what, const uint8_t *bytes, size_t n)
{
    struct hws_serve_facts facts;

    switch (what % 7) {
    case 0:
    case 1:
        w->n_fds += what % 7;
        if (feed(w, bytes, n, what % 7 == 1 ? 9 : -1) != HWS_OK) {
            reconnect(w);
        }
        break;
    case 2:
    case 3:
        end_one(w, what % 7 == 2);
        break;
    case 4:
        reconnect(w);
        break;
    case 5:
        w->full = !w->full;
        break;
    default:
        w->away = !w->away;
        facts = facts_of(w);
        hws_serve_update(w->adapter, w->away ? NULL : &w->held.ctl, &facts);
        break;
    }
    (void)w->held.ctl.ops->turn(&w->held.ctl, w->now_ms);
    (void)hws_serve_turn(&w->serve, ++w->now_ms);
    hws_assert(hws_serve_running(&w->serve) <= DEPTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    const struct hws_serve_io io = {io_send,      io_read, io_write, io_close,
                                    io_authorize, io_note, &w};
    struct hws_serve_facts facts;
    size_t at = 0;

    memset(&w, 0, sizeof w);
    hws_held_init(&w.held);
    hws_serve_init(&w.serve, &io, "hawser-emu", "1", 7, 42);
    facts = facts_of(&w);
    if (hws_serve_add(&w.serve, &w.held.ctl, &facts, &w.adapter, NULL) != HWS_OK) {
        return 0;
    }
    reconnect(&w);
    while (at + 3 <= size) {
        size_t n = hws_load_be16(data + at + 1);

        n = n < size - at - 3 ? n : size - at - 3;
        step(&w, data[at], data + at + 3, n);
        at += 3 + n;
    }
    while (hws_serve_running(&w.serve) > 0) {
        end_one(&w, true);
        (void)w.held.ctl.ops->turn(&w.held.ctl, w.now_ms);
    }
    hws_serve_deinit(&w.serve);
    hws_assert(w.n_fds == 0);
    return 0;
}
