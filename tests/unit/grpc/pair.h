/* A client connection joined to a server connection in memory, in virtual time, with a small
 * service of all four kinds. */
#ifndef HWS_TESTS_GRPC_PAIR_H
#define HWS_TESTS_GRPC_PAIR_H

#include "grpc/client.h"
#include "grpc/server.h"
#include "grpc/session.h"

enum pair_method {
    PAIR_ECHO,  /* unary: the request; "fail" in it: status 9 with message, details and trailers */
    PAIR_COUNT, /* server stream: request "N" gives N messages of PAIR_CHUNK bytes, as room allows
                 */
    PAIR_SUM,   /* client stream: answers the number of bytes received */
    PAIR_CHAT,  /* bidi: each message comes back */
    PAIR_HANG,  /* bidi: never answers; finishes only when the test says so */
    PAIR_N_METHODS
};

#define PAIR_CHUNK 40000u

struct pair_server_call {
    struct hws_grpc_call *call;
    struct pair *pair;
    unsigned left; /* of PAIR_COUNT */
    uint64_t n_bytes;
    bool half_closed;
};

struct pair {
    struct hws_grpc_server table;
    struct hws_grpc_limits server_limits;
    struct hws_grpc_limits client_limits;
    struct hws_grpc_stats server_stats;
    struct hws_grpc_stats client_stats;
    struct hws_grpc_conn server;
    struct hws_grpc_conn client;
    uint64_t now_ms;
    struct hws_grpc_call *hanging; /* the latest PAIR_HANG call on the server */
    unsigned n_cancelled;          /* on_cancel of the server */
    unsigned n_server_closed;
    unsigned n_wakes;
    uint64_t n_moves;                /* between the two; each allocates once */
    enum hws_grpc_encoding encoding; /* the server compresses by */
    uint32_t spread;                 /* of the server */
    struct hws_grpc_spares *spares;  /* of both ends; NULL: each its own */
    uint32_t credit;                 /* 0: no credit is used on PAIR_SUM */
};

/* Limits may be changed between init and open. */
enum hws_code pair_init(struct pair *p);
enum hws_code pair_open(struct pair *p);
void pair_deinit(struct pair *p);

/* A test's fixture: *state is a pair that is not open yet. */
int pair_setup(void **state);
int pair_teardown(void **state);

/* Moves bytes both ways until both are quiet; now_ms stays. Returns the bytes moved to the client.
 */
size_t pair_run(struct pair *p);

/* As pair_run, step bytes at a time, to see every cut. */
void pair_run_bytewise(struct pair *p, size_t step);

/* Moves time and runs. */
void pair_advance(struct pair *p, uint64_t ms);

/* A client call that records what it sees. */
struct seen {
    struct hws_grpc_call *call;
    struct hws_grpc_outcome outcome; /* pointers below */
    uint64_t n_bytes;
    unsigned n_messages;
    unsigned n_writable;
    bool headers;
    bool closed;
    char message[HWS_GRPC_MESSAGE_BYTES + 1];
    char last[256];
    char initial[64];  /* metadata "x-initial" */
    char trailing[64]; /* metadata "x-trailing-bin" */
    char details[64];
};

enum hws_code seen_start(struct pair *p, struct seen *s, enum pair_method method,
                         uint64_t timeout_ms, const struct hws_grpc_meta *meta);

#endif
