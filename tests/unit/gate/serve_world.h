/* The device process's side of the link, against a channel that holds calls and a socket that is an
 * array. */
#ifndef HWS_TESTS_SERVE_WORLD_H
#define HWS_TESTS_SERVE_WORLD_H

#include "gate/serve.h"
#include "held_ctl.h"
#include "table/table.h"
#include "test.h"

#define MAX_SENT 128u

struct world {
    struct hws_serve serve;
    struct hws_held_ctl held;
    struct hws_serve_adapter *adapter;
    uint8_t sent[MAX_SENT][512]; /* packets, cut */
    size_t n_sent;
    bool full;           /* the socket takes nothing */
    uint8_t file[65536]; /* the memory file behind every descriptor */
    unsigned n_closed;   /* descriptors closed */
    bool file_broken;
    bool authorized;        /* what the program says to a dangerous command */
    unsigned n_asked;       /* how often it was asked */
    size_t n_warrant_bytes; /* with this much warrant */
    unsigned n_notes;       /* lines for the log */
    char note[256];         /* the last of them */
};

extern struct world world;

/* The program's side: a socket and memory files that are the world's. */
struct hws_serve_io world_io(struct world *w);

/* One packet of the keeper's, with descriptor fd (-1: none). */
void feed(struct world *w, const struct hws_link_packet *p, int fd, enum hws_code expected);
void feed_hello(struct world *w);

/* The list of killed rows of the only adapter: none, or that one. */
void feed_kills(struct world *w, const struct hws_table_row *row, uint32_t left_ms);

/* A command that reads nothing and runs at scope 1. */
struct hws_link_packet nop(uint64_t id);

/* What was sent as number i. */
struct hws_link_packet sent(struct world *w, size_t i);

/* One UP adapter of depth 4; connected and greeted, nothing killed; HELLO and ADAPTER are packets 0
 * and 1. */
int setup(void **state);
int teardown(void **state);

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
