/*
 * An agent with one adapter and one setting, in this process and on the client's own loop, behind a
 * real Unix socket: real gRPC, answers from a few fields that a test sets.
 */
#ifndef HWS_TESTS_FAKE_AGENT_H
#define HWS_TESTS_FAKE_AGENT_H

#include <uv.h>

#include "grpc/server.h"
#include "hawser.h"
#include "net/listen.h"

#define FAKE_ID          "mlx5:FAKE01@0000:01:00.0"
#define FAKE_DUMP_BYTES  2500u
#define FAKE_CHUNK_BYTES 1000u

struct fake_agent {
    struct hws_net net;
    struct hws_grpc_server server;
    struct hws_net_listener listener;
    char dir[64];
    char path[96];
    char target[128]; /* unix:PATH */
    bool listening;
    struct hws_net_conn *conn; /* the latest */
    struct hws_grpc_call *held;
    uv_timer_t drop;
    char sha256[65];
    /* the adapter */
    char value[32]; /* of NUM_OF_VFS, next boot */
    /* what to do */
    bool hold;         /* answer nothing: keep the call in held */
    bool refuse_apply; /* firmware status 3, syndrome 0x1234 */
    bool drop_apply;   /* do it, then lose the connection instead of answering */
    bool ignore_apply; /* say OK without doing it */
    bool not_ready;
    bool malformed;          /* answer bytes that are no message */
    unsigned n_list_refused; /* answer so many listings with UNAVAILABLE */
    unsigned n_dump_drops;   /* lose the connection after a chunk of a dump, so many times */
    bool dump_forgets;       /* does not know a dump that is resumed; a new one is another dump */
    bool dump_corrupt;       /* the digest promised is not the data's */
    bool dump_bad_crc;
    /* each command of a stream; NULL: no answer */
    void (*on_item)(struct fake_agent *a, struct hws_grpc_call *call,
                    const Hawser__V1__ExecuteStreamRequest *item);
    /* what came */
    unsigned n_dumps;
    uint64_t last_offset; /* of the latest pull */
    unsigned n_calls;
    unsigned n_conns;
    unsigned n_applies;
    unsigned n_items;
    char request_id[80];
    char role[32];
    uint64_t election;
};

/* Answers one command of a stream. */
void fake_agent_answer(struct hws_grpc_call *call, const Hawser__V1__ExecuteStreamResponse *m);

/* A socket in a folder of its own; starts to listen. */
void fake_agent_init(struct fake_agent *a, uv_loop_t *loop);

/* Ends every connection and the listener; turns the loop until they are closed. */
void fake_agent_stop(struct fake_agent *a);

/* Listens again at the same path. */
void fake_agent_start(struct fake_agent *a);

/* stop, and removes the folder. */
void fake_agent_deinit(struct fake_agent *a);

#endif
