/*
 * Handshakes in their turn.
 *
 * Happy path: join -> waits with its address -> its turn -> begins -> leave (identified).
 * Where it goes otherwise: a peer that left while it waited is not begun; one that takes too long
 * while others wait is ended.
 */
#include <poll.h>

#include "net/accept_priv.h"
#include "net/conn_priv.h"
#include "net/gate_priv.h"
#include "net/listen.h"

static struct hws_net_conn *conn_of(const struct hws_list *it)
{
    return hws_container_of(it, struct hws_net_conn, gate);
}

static bool has_left(const struct hws_net_conn *conn)
{
    struct pollfd p = {.events = POLLRDHUP};

    return uv_fileno(&conn->io.handle, &p.fd) == 0 && poll(&p, 1, 0) == 1 &&
           (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* The address whose turn it is: with fewest handshakes under way, and longest not served. */
static struct hws_net_account *next_address(const struct hws_net_gate *gate)
{
    struct hws_net_account *best = NULL;

    for (const struct hws_list *it = gate->waiting.next; it != &gate->waiting; it = it->next) {
        struct hws_net_account *a = hws_container_of(it, struct hws_net_account, turn);
        if (best == NULL || a->n_begun < best->n_begun) {
            best = a;
        }
        if (best->n_begun == 0) {
            break;
        }
    }
    return best;
}

static struct hws_net_conn *oldest_of(const struct hws_net_gate *gate,
                                      const struct hws_net_account *a)
{
    for (const struct hws_list *it = gate->begun.next; it != &gate->begun; it = it->next) {
        if (conn_of(it)->address == a) {
            return conn_of(it);
        }
    }
    return NULL;
}

/* The oldest handshake of the address that has most under way. */
static struct hws_net_conn *oldest_of_most(const struct hws_net_gate *gate)
{
    struct hws_net_conn *found = NULL;

    for (const struct hws_list *it = gate->begun.next; it != &gate->begun; it = it->next) {
        if (found == NULL || conn_of(it)->address->n_begun > found->address->n_begun) {
            found = conn_of(it);
        }
    }
    return found;
}

/* A handshake holds memory before anybody can be named for it: its address has to answer. */
static void charge(struct hws_net_conn *conn, bool begins)
{
    struct hws_grpc_account *accounts[] = {&conn->address->use, &conn->listener->all};

    for (size_t i = 0; i < 2; i++) {
        struct hws_grpc_account *a = accounts[i];
        a->held_bytes += begins ? HWS_TLS_ENGINE_BYTES : 0;
        a->held_bytes -= begins ? 0 : HWS_TLS_ENGINE_BYTES;
        a->most_held_bytes =
            a->held_bytes > a->most_held_bytes ? a->held_bytes : a->most_held_bytes;
    }
}

static void take_out(struct hws_net_gate *gate, struct hws_net_conn *conn)
{
    struct hws_net_account *a = conn->address;

    hws_list_remove(&conn->gate);
    if (conn->begun) {
        conn->begun = false;
        charge(conn, false);
        gate->n_begun--;
        a->n_begun--;
        return;
    }
    gate->n_waiting--;
    if (hws_list_empty(&a->waiting)) {
        hws_list_remove(&a->turn);
    }
}

static void begin_next(struct hws_net_listener *l, struct hws_net_account *a)
{
    struct hws_net_gate *gate = &l->gate;
    struct hws_net_conn *conn = conn_of(a->waiting.next);
    struct hws_err err;

    take_out(gate, conn);
    if (!hws_list_empty(&a->waiting)) {
        hws_list_remove(&a->turn);
        hws_list_push(&gate->waiting, &a->turn);
    }
    hws_list_push(&gate->begun, &conn->gate);
    conn->begun = true;
    charge(conn, true);
    conn->begun_at_ms = hws_net_now_ms(l->net);
    gate->n_begun++;
    a->n_begun++;
    if (has_left(conn)) {
        (void)hws_err_set(&err, HWS_E_GONE, "the peer left before its turn came");
        hws_net__conn_fail(conn, &err);
        return;
    }
    hws_net__conn_start(conn, l->bundle, NULL, NULL);
}

static void end(struct hws_net_conn *conn)
{
    struct hws_err err;

    conn->net->stats.over_limit++;
    conn->net->stats.over_handshakes++;
    conn->address->n_refused++;
    (void)hws_err_set(&err, HWS_E_BUSY, "made room for another before it said who it is");
    hws_net__conn_fail(conn, &err);
}

/* Makes a place for address a, if it needs one. False: not before *out_due_ms. */
static bool make_place(struct hws_net_listener *l, const struct hws_net_account *a,
                       uint64_t *out_due_ms)
{
    struct hws_net_gate *gate = &l->gate;
    bool address_full = a->n_begun >= l->limits.max_handshakes_per_address;
    struct hws_net_conn *slow = NULL;

    if (address_full) {
        slow = oldest_of(gate, a);
    } else if (gate->n_begun >= l->limits.max_handshakes) {
        struct hws_net_conn *of_most = oldest_of_most(gate);
        if (of_most->address->n_begun > a->n_begun + 1) {
            end(of_most);
            return true;
        }
        slow = conn_of(gate->begun.next);
    }
    if (slow == NULL) {
        return true;
    }
    *out_due_ms = slow->begun_at_ms + gate->patience_ms;
    if (hws_net_now_ms(l->net) < *out_due_ms) {
        return false;
    }
    end(slow);
    gate->patience_ms = gate->patience_ms / 2 > HWS_NET_PATIENCE_MIN_MS ? gate->patience_ms / 2
                                                                        : HWS_NET_PATIENCE_MIN_MS;
    return true;
}

static void on_timer(uv_timer_t *timer);

/* Begins whatever may begin. */
static void turn(struct hws_net_listener *l)
{
    struct hws_net_gate *gate = &l->gate;
    uint64_t due_ms = 0;

    while (gate->n_waiting > 0) {
        struct hws_net_account *a = next_address(gate);
        if (!make_place(l, a, &due_ms)) {
            break;
        }
        begin_next(l, a);
    }
    if (gate->n_waiting > 0 && !l->closer.closing) {
        uint64_t now_ms = hws_net_now_ms(l->net);
        (void)uv_timer_start(&gate->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hws_net_listener *l = (struct hws_net_listener *)timer->data;

    turn(l);
    hws_net__accept_resume(l);
}

bool hws_net__gate_is_full(const struct hws_net_gate *gate)
{
    return gate->n_waiting >= HWS_NET_WAITING;
}

void hws_net__gate_init(struct hws_net_listener *l)
{
    struct hws_net_gate *gate = &l->gate;

    hws_list_init(&gate->begun);
    hws_list_init(&gate->waiting);
    gate->patience_ms = HWS_NET_PATIENCE_MS;
    (void)uv_timer_init(l->net->loop, &gate->timer); /* cannot fail */
    gate->timer.data = l;
    hws_net_closer_hold(&l->closer);
}

void hws_net__gate_close(struct hws_net_listener *l)
{
    HWS_LIST_FOREACH (it, tmp, &l->conns) {
        struct hws_net_conn *conn = hws_container_of(it, struct hws_net_conn, link);
        if (conn->pending && !conn->begun) {
            hws_net_conn_close(conn);
        }
    }
}

void hws_net__gate_join(struct hws_net_conn *conn)
{
    struct hws_net_gate *gate = &conn->listener->gate;
    struct hws_net_account *a = conn->address;

    if (hws_list_empty(&a->waiting)) {
        hws_list_push(&gate->waiting, &a->turn);
    }
    hws_list_push(&a->waiting, &conn->gate);
    gate->n_waiting++;
    conn->came_at_ms = hws_net_now_ms(conn->net);
    turn(conn->listener);
    conn->net->stats.waited += gate->n_waiting > 0 ? 1 : 0;
}

void hws_net__gate_leave(struct hws_net_conn *conn, bool identified)
{
    struct hws_net_listener *l = conn->listener;
    struct hws_net_gate *gate = &l->gate;

    if (hws_list_empty(&conn->gate)) {
        return; /* it was refused before it joined */
    }
    take_out(gate, conn);
    if (identified) {
        gate->patience_ms = gate->patience_ms < HWS_NET_PATIENCE_MS / 2 ? gate->patience_ms * 2
                                                                        : HWS_NET_PATIENCE_MS;
    }
    if (gate->n_waiting > 0 && !l->closer.closing) { /* from the loop: we are inside a connection */
        (void)uv_timer_start(&gate->timer, on_timer, 0, 0);
    }
}

struct hws_net_conn *hws_net__gate_victim(const struct hws_net_listener *l,
                                          const struct hws_net_conn *newest)
{
    const struct hws_net_account *most = newest->address;
    const struct hws_net_gate *gate = &l->gate;

    for (const struct hws_list *it = gate->waiting.next; it != &gate->waiting; it = it->next) {
        const struct hws_net_account *a = hws_container_of(it, const struct hws_net_account, turn);
        most = most == NULL || a->n_pending > most->n_pending ? a : most;
    }
    for (const struct hws_list *it = gate->begun.next; it != &gate->begun; it = it->next) {
        const struct hws_net_account *a = conn_of(it)->address;
        most = most == NULL || a->n_pending > most->n_pending ? a : most;
    }
    if (most == NULL || most == newest->address) {
        return NULL;
    }
    return hws_list_empty(&most->waiting) ? oldest_of(gate, most) : conn_of(most->waiting.prev);
}
