/* Accounts of peers: a small hash table with the idle ones in a queue. */
#include "net/account.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

void hws_net_book_init(struct hws_net_book *b, const struct hws_net_book_config *config)
{
    memset(b, 0, sizeof(*b));
    b->config = *config;
    for (size_t i = 0; i < HWS_NET_ACCOUNT_BUCKETS; i++) {
        hws_list_init(&b->buckets[i]);
    }
    hws_list_init(&b->idle);
}

static void forget(struct hws_net_book *b, struct hws_net_account *a)
{
    hws_list_remove(&a->link);
    hws_list_remove(&a->idle);
    b->n--;
    b->n_idle--;
    hws_mem_free(a);
}

void hws_net_book_deinit(struct hws_net_book *b)
{
    if (b->idle.next == NULL) {
        return; /* never initialised */
    }
    while (!hws_list_empty(&b->idle)) {
        forget(b, hws_container_of(b->idle.next, struct hws_net_account, idle));
    }
    hws_assert(b->n == 0);
}

/* FNV-1a. Names of addresses and of certificates that our CAs signed: nobody picks collisions that
 * matter among so few. */
static struct hws_list *bucket_of(struct hws_net_book *b, const char *name)
{
    uint32_t h = 2166136261u;

    for (const char *c = name; *c != '\0'; c++) {
        h = (h ^ (uint8_t)*c) * 16777619u;
    }
    return &b->buckets[(h ^ h >> 16) & (HWS_NET_ACCOUNT_BUCKETS - 1)];
}

static struct hws_net_account *make(struct hws_net_book *b, struct hws_list *bucket,
                                    const char *name, uint64_t now_ms)
{
    size_t n = strlen(name) + 1;
    struct hws_net_account *a = hws_mem_zalloc(1, sizeof(*a) + n);

    if (a == NULL) {
        return NULL;
    }
    (void)hws_str_copy(a->name, n, name);
    a->use.max_calls = b->config.max_calls;
    a->use.max_held_bytes = b->config.max_held_bytes;
    hws_grpc_rate_init(&a->attempts, b->config.attempt_burst, b->config.attempts_per_s, now_ms);
    hws_list_init(&a->idle);
    hws_list_init(&a->waiting);
    hws_list_init(&a->turn);
    hws_list_push(bucket, &a->link);
    b->n++;
    return a;
}

struct hws_net_account *hws_net_book_open(struct hws_net_book *b, const char *name, uint64_t now_ms)
{
    struct hws_list *bucket = bucket_of(b, name);
    struct hws_net_account *a = NULL;

    HWS_LIST_FOREACH (it, tmp, bucket) {
        struct hws_net_account *one = hws_container_of(it, struct hws_net_account, link);
        if (hws_str_eq(one->name, name)) {
            a = one;
            break;
        }
    }
    if (a == NULL) {
        a = make(b, bucket, name, now_ms);
    } else if (a->n_conns == 0) {
        hws_list_remove(&a->idle);
        b->n_idle--;
    }
    if (a != NULL) {
        a->n_conns++;
        a->n_opened++;
    }
    return a;
}

/* Idle accounts that say nothing any more, from the oldest on, and those beyond the most kept. */
static void sweep(struct hws_net_book *b, uint64_t now_ms)
{
    while (!hws_list_empty(&b->idle)) {
        struct hws_net_account *a = hws_container_of(b->idle.next, struct hws_net_account, idle);
        if (b->n_idle <= b->config.max_idle && !hws_grpc_rate_full(&a->attempts, now_ms)) {
            return;
        }
        forget(b, a);
    }
}

void hws_net_book_close(struct hws_net_book *b, struct hws_net_account *a, uint64_t now_ms)
{
    if (a == NULL) {
        return;
    }
    a->n_conns--;
    if (a->n_conns == 0) {
        hws_list_push(&b->idle, &a->idle);
        b->n_idle++;
        sweep(b, now_ms);
    }
}

void hws_net_book_each(const struct hws_net_book *b,
                       void (*fn)(void *data, const struct hws_net_account *a), void *data)
{
    if (b->idle.next == NULL) {
        return;
    }
    for (size_t i = 0; i < HWS_NET_ACCOUNT_BUCKETS; i++) {
        for (const struct hws_list *it = b->buckets[i].next; it != &b->buckets[i]; it = it->next) {
            const struct hws_net_account *a =
                (const struct hws_net_account *)(const void *)it; /* link is first */
            fn(data, a);
        }
    }
}
