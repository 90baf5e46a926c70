/* The process's counters as text, gathered from whoever counts. */
#include "counters.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "service.h"
#include "tls/reason.h"

#define SHOWN_PEERS 6u /* of each kind */

struct writer {
    char *dst;
    size_t cap;
    size_t used;
};

static void add(void *data, const char *name, uint64_t value)
{
    struct writer *w = data;

    if (value == 0 || w->cap - w->used < 2) {
        return;
    }
    if (hws_str_print(w->dst + w->used, w->cap - w->used, "%s %" PRIu64 "\n", name, value)) {
        w->used += strlen(w->dst + w->used);
    } else {
        w->dst[w->used] = '\0'; /* a line is whole or not there */
    }
}

/* The peers that cost most now, the most costly first. */
struct busiest {
    const struct hws_net_account *peers[SHOWN_PEERS];
    size_t n;
};

static uint64_t cost_of(const struct hws_net_account *a)
{
    return a->use.held_bytes + a->use.n_calls * UINT64_C(1024) + a->n_conns;
}

static void rank(void *data, const struct hws_net_account *a)
{
    struct busiest *b = data;
    size_t at = b->n;

    if (a->n_conns == 0 && a->n_refused == 0) {
        return;
    }
    while (at > 0 && cost_of(b->peers[at - 1]) < cost_of(a)) {
        at--;
    }
    if (at == SHOWN_PEERS) {
        return;
    }
    b->n += b->n < SHOWN_PEERS ? 1 : 0;
    for (size_t i = b->n - 1; i > at; i--) {
        b->peers[i] = b->peers[i - 1];
    }
    b->peers[at] = a;
}

static void add_peer(struct writer *w, const char *kind, const struct hws_net_account *a)
{
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"connections", a->n_conns},
        {"unidentified", a->n_pending},
        {"opened", a->n_opened},
        {"refused", a->n_refused},
        {"calls", a->use.n_calls},
        {"calls_started", a->use.n_calls_started},
        {"calls_refused", a->use.n_refused},
        {"held_bytes", a->use.held_bytes},
        {"most_held_bytes", a->use.most_held_bytes},
    };
    char name[512]; /* a longer identity is left out */

    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        if (hws_str_print(name, sizeof(name), "%s.%s.%s", kind, a->name, figures[i].name)) {
            add(w, name, figures[i].value);
        }
    }
}

static void add_peers(struct writer *w, const char *kind, const struct hws_net_book *book)
{
    struct busiest b = {.n = 0};

    hws_net_book_each(book, rank, &b);
    for (size_t i = 0; i < b.n; i++) {
        add_peer(w, kind, b.peers[i]);
    }
}

static void add_listener(struct writer *w, const char *kind, const struct hws_net_listener *l)
{
    char name[64];

    hws_str_print(name, sizeof(name), "%s.unidentified", kind);
    add(w, name, l->n_handshakes);
    hws_str_print(name, sizeof(name), "%s.calls", kind);
    add(w, name, l->all.n_calls);
    hws_str_print(name, sizeof(name), "%s.calls_refused", kind);
    add(w, name, l->all.n_refused);
    hws_str_print(name, sizeof(name), "%s.held_bytes", kind);
    add(w, name, l->all.held_bytes);
    hws_str_print(name, sizeof(name), "%s.most_held_bytes", kind);
    add(w, name, l->all.most_held_bytes);
    add_peers(w, "identity", &l->by_identity);
    add_peers(w, "address", &l->by_address);
}

void hws_counters_write(const struct hws_service *s, char *dst, size_t cap)
{
    struct writer w = {dst, cap, 0};
    char name[64];

    dst[0] = '\0';
    add(&w, "connections",
        (s->has_local ? s->local.n_conns : 0) + (s->has_tcp ? s->tcp.n_conns : 0));
    add(&w, "connections_opened", s->n_conns_opened);
    add(&w, "calls_refused_keeper_away", s->relay.n_refused);
    add(&w, "calls_cut_off", s->relay.n_lost);
    add(&w, "calls_refused_lists_overdue", s->relay.n_reads_only);
    add(&w, "tls_waiting", s->waiting);
    if (s->certs.bundle != NULL) { /* seconds since 1970 */
        add(&w, "certificate_ends_s", hws_tls_bundle_self(s->certs.bundle)->not_after_s);
    }
    add(&w, "certificates_loaded", s->certs.n_loaded);
    add(&w, "certificates_refused", s->certs.n_refused);
    for (unsigned i = 0; i < HWS_CERTS_N_TRIGGERS; i++) {
        hws_str_print(name, sizeof(name), "certificates_read_by.%s",
                      hws_certs_trigger_name((enum hws_certs_trigger)i));
        add(&w, name, s->certs.n_by[i]);
    }
    add(&w, "revocation_lists_late", s->certs.freshness);
    for (unsigned i = 0; i < HWS_TLS_N_REASONS; i++) {
        hws_str_print(name, sizeof(name), "handshakes_refused.%s",
                      hws_tls_reason_name((enum hws_tls_reason)i));
        add(&w, name, s->net.stats.handshakes_refused[i]);
    }
#define HWS_NET_STAT(field, text) add(&w, "net." #field, s->net.stats.field);
#include "net/net_stats.def"
#undef HWS_NET_STAT
    hws_grpc_stats_each(&s->net.stats.grpc, add, &w);
    if (s->has_tcp) {
        add_listener(&w, "tcp", &s->tcp);
    }
    if (s->has_local) {
        add_listener(&w, "local", &s->local);
    }
}
