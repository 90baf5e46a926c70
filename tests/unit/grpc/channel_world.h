/*
 * A channel over several hosts in memory, in virtual time. Each host serves a method of every kind;
 * the messages of streams carry their number in four bytes, and a host fails the test when one is
 * missing, doubled or out of order.
 */
#ifndef HWS_TESTS_CHANNEL_WORLD_H
#define HWS_TESTS_CHANNEL_WORLD_H

#include <string.h>

#include "base/str.h"
#include "grpc/channel.h"
#include "grpc/server.h"
#include "test.h"

#define N_HOSTS       3u
#define WORLD_STREAMS 256u /* at once */

enum world_method {
    WORLD_ONCE, /* unary: the request comes back */
    WORLD_MANY, /* server stream: n_many times the request */
    WORLD_SUM,  /* client stream: the number of messages, four bytes */
    WORLD_CHAT, /* bidi: each message comes back; ends with the client's half-close */
    WORLD_N_METHODS
};

struct host {
    struct hws_grpc_conn server;
    struct hws_grpc_conn client;
    unsigned n_calls;
    unsigned n_dials;
    bool silent; /* what it says does not arrive */
};

struct world {
    struct hws_grpc_server table;
    struct hws_grpc_limits server_limits;
    struct hws_grpc_limits client_limits;
    struct hws_grpc_channel ch;
    struct host hosts[N_HOSTS];
    struct hws_grpc_call *held[8]; /* on the servers, while hold is set */
    unsigned n_held;
    uint64_t now_ms;
    uint64_t due_ms;
    uint32_t random;
    unsigned n_refusals;  /* the servers answer UNAVAILABLE so often */
    const char *pushback; /* with this; NULL: none */
    bool hold;            /* a call's first message is not answered */
    bool starved;         /* allocations may fail */
    bool answer_first;    /* a refusal comes after initial metadata */
    unsigned n_many;
    uint32_t n_seen[WORLD_STREAMS]; /* messages of each call */
    uint32_t n_streams;
    uint32_t n_got;   /* messages that the latest stream's server has */
    char attempts[8]; /* grpc-previous-rpc-attempts of the latest call */
};

/* A call and what its caller saw. */
struct end {
    struct hws_grpc_channel_call call;
    enum hws_grpc_code code;
    char message[64];
    unsigned n_closed;
    unsigned n_headers;
    unsigned n_messages;
    unsigned n_writable;
    uint32_t sum;    /* of WORLD_SUM */
    uint32_t n_sent; /* by say */
    bool unprocessed;
    bool cancel_at_message;
};

extern struct world w;

void up(uint32_t idx);   /* a new connection to the host, reported to the channel */
void lose(uint32_t idx); /* its connection ends without a word */
void run(void);          /* everything that is due now */
void advance(uint64_t ms);

int setup(void **state);
int teardown(void **state);
/* What setup does, with the errors of failed allocations. */
enum hws_code world_open(void);

/* A unary call, as far as it goes at once. */
struct end *start(struct end *e, uint64_t timeout_ms, bool wait, uint32_t attempts);
/* The same of any kind. */
struct end *start_kind(struct end *e, enum world_method method, uint64_t timeout_ms, bool wait,
                       uint32_t attempts);
/* A unary call with metadata. */
struct end *with_meta(struct end *e, const struct hws_grpc_meta *meta, uint32_t attempts);
/* Sends the stream's next message, n bytes with its number (n >= 4). */
enum hws_code say(struct end *e, size_t n);
void assert_ended(const struct end *e, enum hws_grpc_code code);

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
