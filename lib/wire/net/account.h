/*
 * Accounts of a listener's peers: by address, and by identity once it is proved. An account lives
 * while it has connections, and some time after: a peer that comes back finds its rate bucket as it
 * left it. The oldest idle accounts are forgotten first, those with a full bucket at once.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_NET_ACCOUNT_H
#define HWS_NET_ACCOUNT_H

#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "grpc/account.h"
#include "grpc/rate.h"

#define HWS_NET_ACCOUNT_BUCKETS 64u /* a power of two */

struct hws_net_account {
    struct hws_list link;          /* of its bucket */
    struct hws_list idle;          /* of the book's idle ones, oldest first */
    struct hws_grpc_account use;   /* calls and bytes, charged by the engine */
    struct hws_grpc_rate attempts; /* handshakes */
    uint32_t n_conns;
    uint32_t n_pending;      /* of them, not identified yet */
    uint32_t n_begun;        /* of those, with a handshake under way; net/gate.h's, as the lists */
    struct hws_list waiting; /* hws_net_conn.gate of the others, oldest first */
    struct hws_list turn;    /* among the addresses of those who wait */
    uint64_t n_opened;       /* connections ever */
    uint64_t n_refused;      /* connections refused or evicted */
    char name[];
};

struct hws_net_book_config {
    uint32_t max_idle;
    uint32_t attempt_burst;
    uint32_t attempts_per_s;
    uint32_t max_calls;
    uint64_t max_held_bytes;
};

struct hws_net_book {
    struct hws_net_book_config config;
    struct hws_list buckets[HWS_NET_ACCOUNT_BUCKETS];
    struct hws_list idle;
    uint32_t n;
    uint32_t n_idle;
};

/* An empty book; config is copied, what it points to is borrowed. */
void hws_net_book_init(struct hws_net_book *b, const struct hws_net_book_config *config);

/* Frees every account; none may have connections. */
void hws_net_book_deinit(struct hws_net_book *b);

/* The account of that name with one connection more; made if there is none. NULL without memory. */
struct hws_net_account *hws_net_book_open(struct hws_net_book *b, const char *name,
                                          uint64_t now_ms);

/* One connection less. Accepts NULL. */
void hws_net_book_close(struct hws_net_book *b, struct hws_net_account *a, uint64_t now_ms);

/* Calls fn for each account, in no order. */
void hws_net_book_each(const struct hws_net_book *b,
                       void (*fn)(void *data, const struct hws_net_account *a), void *data);

#endif
