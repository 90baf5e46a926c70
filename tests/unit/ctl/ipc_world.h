/*
 * The keeper's channel, and a device process that the test is: it holds the other end of a socket
 * pair and speaks the link by hand. Time is virtual.
 */
#ifndef HWS_TESTS_IPC_WORLD_H
#define HWS_TESTS_IPC_WORLD_H

#include "ctl/ctl_ipc.h"
#include "sock/sock.h"
#include "test.h"

#define ROW 17u /* of every call */

struct world {
    struct hws_ctl_ipc ipc;
    int peer; /* the device process's end */
    uint8_t packet[HWS_LINK_MAX_BYTES];
    int passed; /* the descriptor that came with the last packet */
    unsigned n_ends;
    unsigned n_changes;
    uint16_t killed; /* the row that is killed on every adapter; 0 = none */
};

/* A call and what its caller saw. */
struct probe {
    struct hws_ctl_call call;
    uint8_t in[64 * 1024];
    uint8_t out[64 * 1024];
    unsigned n_done;
};

/* Call number i of the test, from 0 to 3, not submitted. */
struct probe *probe(unsigned i, size_t in_bytes, size_t out_cap);

/* To the first adapter. */
enum hws_code submit(struct world *w, struct probe *p);

/* The device process says this. */
void send_up(struct world *w, const struct hws_link_packet *p);

/* The next packet at the device process; valid until the next call. */
struct hws_link_packet receive(struct world *w);
/* The next packet is that adapter's list, of the one row (0: of none). */
void expect_kills(struct world *w, uint16_t adapter, uint16_t row);
bool nothing_to_receive(struct world *w);
bool turn_is_due(struct world *w);
void send_adapter(struct world *w, uint16_t index, const char *pci,
                  enum hws_link_adapter_state state, uint16_t depth);
void send_done(struct world *w, uint64_t id, const char *out);

/* Connects the device process anew; `running` commands of earlier sessions, ids 100 and up. */
void attach(struct world *w, uint16_t n_running);

/* Attached, greeted, one adapter of depth 2 that is up. *state is the world. */
int setup(void **state);
int teardown(void **state);

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
