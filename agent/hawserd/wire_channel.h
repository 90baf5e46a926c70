/*
 * The keeper's end of the connection to hawser-wire: opens an rpc for every CALL, feeds it the
 * messages that follow, and sends what rpcs have queued, one packet of each in turn.
 *
 * Bounded both ways: reading an rpc's messages stops with its credit, sending with the credit that
 * its caller grants, and the socket's own queue is small. When the connection ends, every rpc's
 * caller is gone. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_WIRE_CHANNEL_H
#define HWS_HAWSERD_WIRE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "link/packet.h"

#define HWS_WIRE_BUCKETS        256u  /* of the table of rpcs; a power of two */
#define HWS_WIRE_READS_PER_TURN 64u   /* packets read before others get their turn */
#define HWS_WIRE_MAX_RPCS       2048u /* live and refused ones; more end the connection */
#define HWS_WIRE_STATS_BYTES    16384u

struct hws_agent;
struct hws_rpc;

/* Somebody who wants the certificate files read; link, id and the rest are the channel's. */
struct hws_wire_reload {
    struct hws_list link;
    uint64_t id;
    /* err: hawser-wire is gone, whatever it did; then answer is NULL. */
    void (*done)(void *data, const struct hws_link_reloaded *answer, const struct hws_err *err);
    void *data;
};

struct hws_wire {
    struct hws_agent *agent; /* borrowed */
    int fd;                  /* owned; -1 = not connected */
    uv_poll_t *poll;         /* owned; freed by its close callback */
    int events;              /* what poll waits for */
    bool hello_due;          /* our HELLO has not left */
    bool drain_due;          /* DRAIN has not left */
    uint64_t reload_due;     /* the id of a RELOAD that has not left; 0 = none */
    uint64_t last_reload;    /* the id given last */
    struct hws_list reloads; /* struct hws_wire_reload, waiting for its answer */
    bool reset_due;          /* the peer broke the protocol: the connection ends in the next turn */
    struct hws_list table[HWS_WIRE_BUCKETS]; /* rpcs by id */
    struct hws_list ready;                   /* rpcs with something to send */
    size_t n_rpcs;
    size_t out_bytes;          /* of messages that wait to leave, of all rpcs */
    bool starved;              /* a stream found them too many */
    uint64_t next_deadline_ms; /* earliest of any rpc; may be too early, never too late */
    uv_timer_t timer;          /* for deadlines */
    bool open;                 /* timer is initialised */
    size_t n_pending;          /* bytes of `pending`: a packet that the socket did not take */
    char stats[HWS_WIRE_STATS_BYTES]; /* last STATS text: "name value\n" lines */
    uint8_t pending[HWS_LINK_MAX_BYTES];
    uint8_t packet[HWS_LINK_MAX_BYTES];
};

void hws_wire_open(struct hws_wire *w, struct hws_agent *agent);
void hws_wire_close(struct hws_wire *w);

/* hawser-wire said HELLO on fd (taken on success). HWS_E_STATE: another one is connected. */
enum hws_code hws_wire_attach(struct hws_wire *w, int fd, const struct hws_link_hello *hello,
                              struct hws_err *err) HWS_MUST_USE;

bool hws_wire_attached(const struct hws_wire *w);

/* True while a caller is to get something: all but streams of items with none under way. */
bool hws_wire_owes(const struct hws_wire *w);

/* Asks it to finish its calls and exit. */
void hws_wire_drain(struct hws_wire *w);

/* Has hawser-wire read its certificate files after this. r is borrowed until done, which comes in a
 * later turn. HWS_E_GONE: it is not connected, and reads them when it starts. */
enum hws_code hws_wire_reload(struct hws_wire *w, struct hws_wire_reload *r, struct hws_err *err)
    HWS_MUST_USE;

/* A principal or the host has been locked: streams of items that this bars end. */
void hws_wire_rejudge(struct hws_wire *w);

/* The rpc has something to send. */
void hws_wire_ready(struct hws_wire *w, struct hws_rpc *rpc);

/* The rpc's deadline is known. */
void hws_wire_deadline(struct hws_wire *w, uint64_t deadline_ms);

/* The loop's turn: sends, frees what has ended. */
void hws_wire_turn(struct hws_wire *w);

#endif
