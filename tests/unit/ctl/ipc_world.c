/* The keeper's side and the device process of ipc_world.h. */
#include "ipc_world.h"

#include <poll.h>
#include <string.h>

static struct world world;

static struct probe probes[4];

static uint16_t row_of(void *data, const struct hws_ctl_ipc_adapter *adapter,
                       const struct hws_ctl_call *call)
{
    (void)data;
    (void)adapter;
    (void)call;
    return ROW;
}

static uint16_t kills_of(void *data, const struct hws_ctl_ipc_adapter *adapter, uint8_t *rows)
{
    struct world *w = data;
    const struct hws_link_kill kill = {w->killed, 60000};

    assert_true(adapter->present);
    if (w->killed == 0) {
        return 0;
    }
    hws_link_kill_put(rows, 0, &kill);
    return 1;
}

static void on_adapter(void *data, struct hws_ctl_ipc_adapter *adapter)
{
    (void)adapter;
    ((struct world *)data)->n_changes++;
}

static void on_end(void *data, const struct hws_err *why)
{
    assert_true(why->msg[0] != 0);
    ((struct world *)data)->n_ends++;
}

static void call_done(struct hws_ctl_call *call)
{
    ((struct probe *)call->data)->n_done++;
}

struct probe *probe(unsigned i, size_t in_bytes, size_t out_cap)
{
    struct probe *p = &probes[i];

    memset(p, 0, sizeof *p);
    p->call = (struct hws_ctl_call){.in = p->in,
                                    .in_bytes = in_bytes,
                                    .out = p->out,
                                    .out_cap_bytes = out_cap,
                                    .scope = 1,
                                    .deadline_ms = 1000,
                                    .cb = call_done,
                                    .data = p};
    return p;
}

enum hws_code submit(struct world *w, struct probe *p)
{
    struct hws_ctl *ctl = &hws_ctl_ipc_adapter_at(&w->ipc, 0)->ctl;

    return ctl->ops->submit(ctl, &p->call, NULL);
}

void send_up(struct world *w, const struct hws_link_packet *p)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    size_t n = 0;

    assert_code(hws_link_encode(p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_sock_send(w->peer, bytes, n, -1, NULL), HWS_OK);
}

struct hws_link_packet receive(struct world *w)
{
    struct hws_link_packet p;
    size_t n = 0;

    hws_sock_close(&w->passed);
    assert_code(hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &w->passed, NULL), HWS_OK);
    assert_code(hws_link_decode(w->packet, n, &p, NULL), HWS_OK);
    return p;
}

void expect_kills(struct world *w, uint16_t adapter, uint16_t row)
{
    struct hws_link_packet p = receive(w);

    assert_int_equal(p.type, HWS_LINK_KILLS);
    assert_int_equal(p.u.kills.adapter, adapter);
    assert_int_equal(p.u.kills.n, row == 0 ? 0 : 1);
    if (row != 0) {
        assert_int_equal(hws_link_kill_get(p.u.kills.rows, 0).row, row);
        assert_int_equal(hws_link_kill_get(p.u.kills.rows, 0).left_ms, 60000);
    }
}

bool nothing_to_receive(struct world *w)
{
    size_t n = 0;
    int fd = -1;

    return hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &fd, NULL) == HWS_E_BUSY;
}

bool turn_is_due(struct world *w)
{
    struct pollfd pfd = {.fd = hws_ctl_ipc_fd(&w->ipc), .events = POLLIN};

    return poll(&pfd, 1, 0) == 1;
}

void send_adapter(struct world *w, uint16_t index, const char *pci,
                  enum hws_link_adapter_state state, uint16_t depth)
{
    struct hws_link_packet p = {.type = HWS_LINK_ADAPTER};

    p.u.adapter = (struct hws_link_adapter){.index = index,
                                            .state = (uint8_t)state,
                                            .emulated = true,
                                            .depth = depth,
                                            .kind = hws_link_text("mlx5"),
                                            .pci = hws_link_text(pci),
                                            .backend = hws_link_text("queue")};
    send_up(w, &p);
}

void send_done(struct world *w, uint64_t id, const char *out)
{
    struct hws_link_packet p = {.type = HWS_LINK_DONE, .id = id};

    p.u.done.out = hws_link_text(out);
    p.u.done.out_bytes = (uint32_t)p.u.done.out.n;
    send_up(w, &p);
}

void attach(struct world *w, uint16_t n_running)
{
    struct hws_link_hello hello = {.role = HWS_LINK_ROLE_DEVICE,
                                   .version = HWS_LINK_VERSION,
                                   .generation = 5,
                                   .n_adapters = 1,
                                   .n_running = n_running};
    uint8_t list[4 * HWS_LINK_RUNNING_BYTES];
    struct hws_err err;
    int fds[2];

    for (uint16_t i = 0; i < n_running; i++) {
        const struct hws_link_running r = {.id = 100u + i};

        hws_link_running_put(list, i, &r);
    }
    hello.running = list;
    assert_code(hws_sock_pair(fds, NULL), HWS_OK);
    assert_ok(hws_ctl_ipc_attach(&w->ipc, fds[0], &hello, &err), &err);
    w->peer = fds[1];
}

int setup(void **state)
{
    struct world *w = &world;
    struct hws_ctl_ipc_config config = {.generation = 0x1122334455667788u,
                                        .name = "hawserd",
                                        .build_id = "1",
                                        .row_of = row_of,
                                        .kills_of = kills_of,
                                        .on_adapter = on_adapter,
                                        .on_end = on_end,
                                        .data = w};

    memset(w, 0, sizeof *w);
    w->peer = -1;
    w->passed = -1;
    if (hws_ctl_ipc_init(&w->ipc, &config, NULL) != HWS_OK) {
        return -1;
    }
    attach(w, 0);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(receive(w).u.hello.role, HWS_LINK_ROLE_KEEPER);
    send_adapter(w, 0, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_changes, 1);
    expect_kills(w, 0, 0);
    *state = w;
    return 0;
}

int teardown(void **state)
{
    struct world *w = *state;

    hws_ctl_ipc_detach(&w->ipc);
    (void)hws_ctl_ipc_turn(&w->ipc, 5000);
    hws_ctl_ipc_deinit(&w->ipc);
    hws_sock_close(&w->peer);
    hws_sock_close(&w->passed);
    return 0;
}
