/*
 * Names into addresses, addresses into connections, for a channel.
 *
 * Happy path: a call waits -> resolve -> set_addresses -> dial -> on_open -> (next turn) up.
 * Where it goes wrong: no such name, connecting fails, a connection ends: the channel hears it, and
 * the name is resolved again when HWS_NET_RESOLVE_MS are over.
 */
#include "net/channel.h"

#include <netdb.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/address_priv.h"
#include "net/dial.h"

#define NOWHERE HWS_GRPC_CHANNEL_NEW

/* A connection, or an attempt at one. */
struct member {
    struct hws_list link;
    struct hws_net_channel *channel; /* its closer is held */
    struct hws_net_conn *conn;
    uint32_t idx;                     /* of its address; NOWHERE: the name has it no more */
    const struct hws_grpc_conn *grpc; /* borrowed; set when it is up */
    bool coming; /* open, but the engine takes calls from the loop's next turn on */
};

static void turn(struct hws_net_channel *c);

static void on_timer(uv_timer_t *timer)
{
    turn((struct hws_net_channel *)timer->data);
}

static void on_wake(void *data)
{
    struct hws_net_channel *c = data;

    if (!c->going) {
        (void)uv_timer_start(&c->timer, on_timer, 0, 0);
    }
}

static uint32_t any(void *data)
{
    uint32_t value = 0;

    (void)data;
    (void)uv_random(NULL, NULL, &value, sizeof(value), 0, NULL); /* without: no spread */
    return value;
}

/* ---- connections ---- */

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct member *m = hws_net_conn_owner(conn);
    bool local = hws_str_starts(m->channel->config.target, "unix:");

    (void)err;
    cfg->limits = m->channel->limits;
    cfg->scheme = local ? "http" : "https";
    cfg->authority = local               ? "localhost"
                     : m->channel->fixed ? m->channel->addresses[m->idx]
                                         : m->channel->config.target;
    cfg->user_agent = m->channel->config.user_agent;
    m->coming = true;
    on_wake(m->channel);
    return HWS_OK;
}

/* The end of a connection or attempt; the reason names the address. */
static void report_end(const struct member *m, const struct hws_err *err)
{
    struct hws_net_channel *c = m->channel;
    const char *what = err->code == HWS_OK ? "connection closed" : err->msg;
    char text[HWS_GRPC_CHANNEL_WHY_BYTES];

    if (m->idx == NOWHERE) {
        return;
    }
    const char *address = c->addresses[m->idx];
    if (strstr(what, address) == NULL) {
        (void)hws_str_print(text, sizeof(text), "%.100s: %.140s", address, what);
        what = text;
    }
    if (m->conn->settled) {
        hws_grpc_channel_down(&c->calls, m->idx, m->grpc, hws_net_now_ms(c->net), what);
    } else {
        hws_grpc_channel_failed(&c->calls, m->idx, m->grpc, hws_net_now_ms(c->net), what);
    }
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct member *m = hws_net_conn_owner(conn);
    struct hws_net_channel *c = m->channel;

    c->stale = true;
    report_end(m, err);
    hws_list_remove(&m->link);
    hws_mem_free(m);
    hws_net_closer_drop(&c->closer);
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_closed = on_closed};

static void dial(void *data, uint32_t idx)
{
    struct hws_net_channel *c = data;
    struct member *m = hws_mem_zalloc(1, sizeof(*m));
    struct hws_err err;

    if (m == NULL) {
        hws_grpc_channel_down(&c->calls, idx, NULL, hws_net_now_ms(c->net), "out of memory");
        return;
    }
    const struct hws_net_dial_config config = {.target = c->addresses[idx],
                                               .bundle = c->config.bundle,
                                               .expect = c->config.expect,
                                               .timeout_ms = c->config.timeout_ms,
                                               .ops = &conn_ops,
                                               .owner = m};
    m->channel = c;
    m->idx = idx;
    if (hws_net_dial(c->net, &config, &m->conn, &err) != HWS_OK) {
        hws_mem_free(m);
        hws_grpc_channel_down(&c->calls, idx, NULL, hws_net_now_ms(c->net), err.msg);
        return;
    }
    hws_list_init(&m->link);
    hws_list_push(&c->conns, &m->link);
    hws_net_closer_hold(&c->closer);
}

static void report_up(struct hws_net_channel *c)
{
    HWS_LIST_FOREACH (it, tmp, &c->conns) {
        struct member *m = hws_container_of(it, struct member, link);
        if (m->coming && m->idx != NOWHERE) {
            m->coming = false;
            m->grpc = hws_net_conn_grpc(m->conn);
            hws_grpc_channel_up(&c->calls, m->idx, hws_net_conn_grpc(m->conn));
        }
    }
}

/* ---- addresses ---- */

static uint32_t find(char (*list)[HWS_NET_ADDRESS_BYTES], uint32_t n, const char *address)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(list[i], address) == 0) {
            return i;
        }
    }
    return NOWHERE;
}

/* Connections to what the name does not mean any more take no new calls. */
static void let_go(struct member *m)
{
    m->idx = NOWHERE;
    if (m->grpc != NULL) {
        hws_net_conn_drain(m->conn, 0);
    } else {
        hws_net_conn_close(m->conn);
    }
}

/* Takes a new list; the same addresses in any order change nothing. */
static void take(struct hws_net_channel *c, char (*list)[HWS_NET_ADDRESS_BYTES], uint32_t n)
{
    uint32_t was[HWS_GRPC_CHANNEL_ADDRESSES];
    bool same = n == c->n_addresses;

    for (uint32_t i = 0; i < n; i++) {
        was[i] = find(c->addresses, c->n_addresses, list[i]);
        same = same && was[i] != NOWHERE;
    }
    if (same) {
        return;
    }
    HWS_LIST_FOREACH (it, tmp, &c->conns) {
        struct member *m = hws_container_of(it, struct member, link);
        if (m->idx != NOWHERE) {
            m->idx = find(list, n, c->addresses[m->idx]);
            if (m->idx == NOWHERE) {
                let_go(m);
            }
        }
    }
    c->n_addresses = n;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(c->addresses[i], list[i], sizeof(list[i]));
    }
    hws_grpc_channel_move_addresses(&c->calls, n, was);
}

/* The rest of a name that was not found. */
static uint32_t longer(const struct hws_net_channel *c)
{
    uint32_t most_ms = c->calls.config.backoff_max_ms < HWS_NET_RESOLVE_MS
                           ? c->calls.config.backoff_max_ms
                           : HWS_NET_RESOLVE_MS;
    uint32_t ms = c->unknown_ms == 0 ? c->calls.config.backoff_min_ms : c->unknown_ms * 2;

    return ms < most_ms ? ms : most_ms;
}

/* The look at the name is over. One that is not found now keeps the addresses that it had. */
static void looked(struct hws_net_channel *c, char (*list)[HWS_NET_ADDRESS_BYTES], uint32_t n,
                   const char *why)
{
    c->resolved_at_ms = hws_net_now_ms(c->net) + 1; /* never 0 */
    c->stale = n == 0;
    c->unknown_ms = n > 0 ? 0 : longer(c);
    if (n > 0) {
        take(c, list, n);
    } else if (c->n_addresses == 0) {
        hws_grpc_channel_set_addresses(&c->calls, 0, why);
    }
}

static uint32_t print_all(const struct addrinfo *list, char (*out)[HWS_NET_ADDRESS_BYTES])
{
    uint32_t n = 0;

    for (; list != NULL && n < HWS_GRPC_CHANNEL_ADDRESSES; list = list->ai_next) {
        char host[NI_MAXHOST];
        char port[NI_MAXSERV];
        bool v6 = list->ai_family == AF_INET6;
        if (getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV) == 0 &&
            hws_str_print(out[n], HWS_NET_ADDRESS_BYTES, "%s%s%s:%s", v6 ? "[" : "", host,
                          v6 ? "]" : "", port) &&
            find(out, n, out[n]) == NOWHERE) {
            n++;
        }
    }
    return n;
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct hws_net_channel *c = req->data;
    char found[HWS_GRPC_CHANNEL_ADDRESSES][HWS_NET_ADDRESS_BYTES];
    struct hws_err err = {.msg = "no address"};

    c->resolving = false;
    if (!c->going) {
        uint32_t n = status == 0 ? print_all(list, found) : 0;
        if (status != 0) {
            (void)hws_net_fail(&err, status, c->config.target);
        }
        looked(c, found, n, err.msg);
        on_wake(c);
    }
    uv_freeaddrinfo(list);
    hws_net_closer_drop(&c->closer);
}

static void resolve(struct hws_net_channel *c)
{
    char host[HWS_NET_HOST_BYTES];
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct hws_err err;
    int status = UV_EINVAL;

    if (hws_net__address_split(c->config.target, host, sizeof(host), port, sizeof(port), &err) ==
        HWS_OK) {
        c->resolve.data = c;
        status = uv_getaddrinfo(c->net->loop, &c->resolve, resolved, host, port, &hints);
    }
    if (status != 0) {
        (void)hws_net_fail(&err, status, c->config.target);
        looked(c, NULL, 0, err.msg);
        return;
    }
    c->resolving = true;
    hws_net_closer_hold(&c->closer);
}

/* When the name may be looked at again. */
static uint64_t next_look_ms(const struct hws_net_channel *c)
{
    return c->resolved_at_ms + (c->unknown_ms > 0 ? c->unknown_ms : HWS_NET_RESOLVE_MS);
}

/* A look at the name is due when it was never seen, or failed and the pause is over. UINT64_MAX:
 * there is no name, nobody waits for it, or one is under way, whose end wakes the channel. */
static uint64_t look_due_ms(const struct hws_net_channel *c)
{
    if (c->resolving || c->calls.n_waiting == 0 || c->fixed) {
        return UINT64_MAX;
    }
    if (c->resolved_at_ms == 0) {
        return 0;
    }
    return c->stale ? next_look_ms(c) : UINT64_MAX;
}

static void turn(struct hws_net_channel *c)
{
    uint64_t now_ms = hws_net_now_ms(c->net);

    report_up(c);
    if (look_due_ms(c) <= now_ms) {
        resolve(c);
    }
    uint64_t due_ms = hws_grpc_channel_turn(&c->calls, now_ms);
    if (look_due_ms(c) < due_ms) {
        due_ms = look_due_ms(c);
    }
    if (c->calls.woken || c->going) {
        return; /* the timer is set to now */
    }
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&c->timer); /* it keeps the loop alive for nothing */
    } else {
        (void)uv_timer_start(&c->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
    }
}

/* ---- open and close ---- */

/* "a:1,b:2" as its parts, each once. HWS_E_INVALID for one that is no numeric address. */
static enum hws_code split(const char *target, char (*out)[HWS_NET_ADDRESS_BYTES], uint32_t *out_n,
                           struct hws_err *err)
{
    struct sockaddr_storage addr;

    for (const char *at = target;; at++) {
        size_t n = strcspn(at, ",");
        if (*out_n == HWS_GRPC_CHANNEL_ADDRESSES) {
            return hws_err_set(err, HWS_E_INVALID, "\"%.100s\": more than %u addresses", target,
                               HWS_GRPC_CHANNEL_ADDRESSES);
        }
        if (!hws_str_copy_n(out[*out_n], HWS_NET_ADDRESS_BYTES, at, n)) {
            return hws_err_set(err, HWS_E_INVALID, "\"%.100s\" has too long a part", target);
        }
        enum hws_code code = hws_net__address_parse(out[*out_n], &addr, err);
        if (code != HWS_OK) {
            return code;
        }
        *out_n += find(out, *out_n, out[*out_n]) == NOWHERE;
        at += n;
        if (*at == '\0') {
            return HWS_OK;
        }
    }
}

/* Looks at the target; out has its addresses, or none when it is a name. */
static enum hws_code check_config(const struct hws_net_channel_config *config,
                                  char (*out)[HWS_NET_ADDRESS_BYTES], uint32_t *out_n,
                                  struct hws_err *err)
{
    char host[HWS_NET_HOST_BYTES];
    char port[8];
    enum hws_code code;

    *out_n = 0;
    if (hws_str_starts(config->target, "unix:")) {
        *out_n = 1;
        return hws_net__unix_path(config->target, err) != NULL &&
                       hws_str_copy(out[0], HWS_NET_ADDRESS_BYTES, config->target)
                   ? HWS_OK
                   : HWS_E_INVALID;
    }
    code =
        strchr(config->target, ',') != NULL
            ? split(config->target, out, out_n, err)
            : hws_net__address_split(config->target, host, sizeof(host), port, sizeof(port), err);
    if (code == HWS_OK && config->bundle == NULL) {
        code = hws_err_set(err, HWS_E_INVALID, "%.100s: TCP needs a certificate", config->target);
    }
    return code;
}

enum hws_code hws_net_channel_open(struct hws_net_channel *c, struct hws_net *net,
                                   const struct hws_net_channel_config *config, struct hws_err *err)
{
    const struct hws_grpc_channel_config calls = {.dial = dial,
                                                  .random = any,
                                                  .on_wake = on_wake,
                                                  .data = c,
                                                  .backoff_min_ms = config->backoff_min_ms,
                                                  .backoff_max_ms = config->backoff_max_ms};
    char addresses[HWS_GRPC_CHANNEL_ADDRESSES][HWS_NET_ADDRESS_BYTES];
    uint32_t n_addresses;

    memset(c, 0, sizeof(*c));
    enum hws_code code = check_config(config, addresses, &n_addresses, err);
    if (code != HWS_OK) {
        return code;
    }
    int status = uv_timer_init(net->loop, &c->timer);
    if (status != 0) {
        return hws_net_fail(err, status, "timer");
    }
    c->timer.data = c;
    c->net = net;
    c->config = *config;
    c->config.bundle =
        hws_str_starts(config->target, "unix:") ? NULL : hws_tls_bundle_ref(config->bundle);
    if (config->limits != NULL) {
        c->limits = *config->limits;
    } else {
        hws_grpc_limits_client(&c->limits);
    }
    hws_list_init(&c->conns);
    hws_grpc_channel_init(&c->calls, &calls);
    c->fixed = n_addresses > 0;
    if (c->fixed) {
        looked(c, addresses, n_addresses, NULL);
    }
    return HWS_OK;
}

enum hws_code hws_net_channel_start(struct hws_net_channel *c, struct hws_grpc_channel_call *call,
                                    struct hws_err *err)
{
    if (c->going) {
        return hws_err_set(err, HWS_E_STATE, "the channel is closed");
    }
    return hws_grpc_channel_start(&c->calls, call, hws_net_now_ms(c->net), err);
}

static void timer_closed(uv_handle_t *handle)
{
    struct hws_net_channel *c = handle->data;

    hws_tls_bundle_unref(c->config.bundle);
    if (c->closed != NULL) {
        c->closed(c);
    }
}

/* Maybe inside the end of the last connection: the owner may free what that still uses only after
 * the loop has been back. */
static void all_closed(struct hws_net_closer *closer)
{
    struct hws_net_channel *c = hws_container_of(closer, struct hws_net_channel, closer);

    uv_close((uv_handle_t *)&c->timer, timer_closed);
}

/* From the loop: no callback of a call inside close. */
static void on_close_turn(uv_timer_t *timer)
{
    struct hws_net_channel *c = (struct hws_net_channel *)timer->data;

    hws_grpc_channel_close(&c->calls);
    (void)hws_grpc_channel_turn(&c->calls, hws_net_now_ms(c->net));
    HWS_LIST_FOREACH (it, tmp, &c->conns) {
        hws_net_conn_close(hws_container_of(it, struct member, link)->conn);
    }
    if (c->resolving) {
        (void)uv_cancel((uv_req_t *)&c->resolve);
    }
    hws_net_closer_close(&c->closer, all_closed);
}

void hws_net_channel_close(struct hws_net_channel *c, void (*closed)(struct hws_net_channel *c))
{
    c->going = true;
    c->closed = closed;
    (void)uv_timer_start(&c->timer, on_close_turn, 0, 0);
}
