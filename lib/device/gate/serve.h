/*
 * The device process's side of the socket to the keeper: packets in, judged and run, packets out.
 *
 * No I/O of its own: the program feeds received packets and gives a way to send, and to copy bytes
 * from and to a passed memory file. Each command is copied into memory of our own before the gate
 * looks at it, and only that copy reaches the control channel.
 *
 * A command runs to its end whatever becomes of the keeper. When the connection breaks, what runs
 * goes on; the next HELLO names it, and its DONE goes to the new keeper. What ended while nobody
 * was connected is dropped.
 *
 * Killed rows are refused here, too, from the list that the keeper tells for each adapter; a
 * command for an adapter whose list this connection has not brought yet is refused.
 *
 * Backpressure: the keeper may have `depth` commands at an adapter, so every answer has a place to
 * wait when the socket is full. More than that is a breach of protocol.
 *
 * Thread rule: one thread. Adapters and their control channels are the program's and outlive this.
 */
#ifndef HWS_GATE_SERVE_H
#define HWS_GATE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "gate/kills.h"
#include "ifc/call.h"
#include "link/hello.h"
#include "link/packet.h"
#include "table/row.h"

#define HWS_SERVE_KEEP_BYTES 65536u /* buffers up to this size stay with their slot */

/* A dangerous command that is about to run. Borrowed for the call. */
struct hws_serve_danger {
    const char *device; /* PCI address of the adapter */
    uint8_t scope;
    const uint8_t *in; /* the copy that would run */
    size_t in_bytes;
    struct hws_span warrant; /* what the keeper sent along; may be empty */
};

/* What the program provides; all required. */
struct hws_serve_io {
    /* Sends one packet. HWS_E_BUSY: not now, turn will try again. Any other error is ignored: the
     * program sees the broken connection itself. */
    enum hws_code (*send)(void *data, const uint8_t *bytes, size_t n);
    /* Copies exactly n bytes from, or to, offset 0 of a passed memory file. */
    enum hws_code (*fd_read)(void *data, int fd, uint8_t *bytes, size_t n, struct hws_err *err);
    enum hws_code (*fd_write)(void *data, int fd, const uint8_t *bytes, size_t n,
                              struct hws_err *err);
    void (*fd_close)(void *data, int fd);
    /* Judges a dangerous command, and remembers for good that its warrant is used. HWS_OK: it runs
     * now. */
    enum hws_code (*authorize)(void *data, const struct hws_serve_danger *d, struct hws_err *err);
    /* One line for the program's log: the adapter's list of kills has changed, or one refused a
     * command (the first since the last list: the keeper should have refused it before). */
    void (*note)(void *data, const char *device, const char *text);
    void *data; /* borrowed */
};

enum hws_serve_slot_state {
    HWS_SERVE_FREE,
    HWS_SERVE_RUNNING, /* on loan to the control channel */
    HWS_SERVE_ANSWER   /* ended; DONE is not yet sent */
};

struct hws_serve_adapter;

/* One place of an adapter's depth. */
struct hws_serve_slot {
    struct hws_serve_adapter *adapter;
    int state; /* enum hws_serve_slot_state */
    uint64_t id;
    uint16_t row;
    uint64_t started_ms;
    int fd;                   /* owned memory file; -1 = none */
    struct hws_ctl_call call; /* its buffers are ours */
    uint8_t *in;              /* owned */
    size_t in_cap;
    uint8_t *out; /* owned */
    size_t out_cap;
};

/* What the program says of an adapter. Strings are copied. */
struct hws_serve_facts {
    enum hws_kind kind;
    enum hws_link_adapter_state state;
    bool emulated;
    uint16_t depth; /* 1..HWS_LINK_MAX_DEPTH; fixed for the adapter's life */
    const char *pci;
    const char *node;    /* "" if none */
    const char *backend; /* "queue", "fwctl" */
    const char *reason;  /* "" if none */
};

struct hws_serve_adapter {
    struct hws_serve *serve;
    uint16_t index;
    struct hws_ctl *ctl; /* borrowed; NULL unless state is UP */
    bool announce;       /* an ADAPTER packet is due */
    bool kills_told;     /* on this connection */
    bool kill_noted;     /* since the last list */
    struct hws_gate_kills kills;
    enum hws_kind kind;
    enum hws_link_adapter_state state;
    bool emulated;
    uint16_t depth;
    uint16_t n_stalled; /* as last announced */
    uint64_t stalled_since_ms;
    char pci[HWS_LINK_PCI_BYTES + 1];
    char node[HWS_LINK_NODE_BYTES + 1];
    char backend[HWS_LINK_BACKEND_BYTES + 1];
    char reason[HWS_LINK_REASON_BYTES + 1];
    struct hws_serve_slot slots[HWS_LINK_MAX_DEPTH];
};

struct hws_serve {
    struct hws_serve_io io;
    const char *name;  /* program name; borrowed */
    const char *build; /* build id; borrowed */
    uint64_t generation;
    uint32_t pid;
    uint64_t now_ms;
    bool connected;
    bool hello_due;
    bool greeted; /* the keeper's HELLO has come */
    bool drain;   /* the keeper asked us to finish */
    uint16_t n_adapters;
    struct hws_serve_adapter *adapters[HWS_LINK_MAX_ADAPTERS]; /* owned */
    uint8_t packet[HWS_LINK_MAX_BYTES];
};

/* name, build and io.data are borrowed for the object's life; generation is random, not 0. */
void hws_serve_init(struct hws_serve *s, const struct hws_serve_io *io, const char *name,
                    const char *build, uint64_t generation, uint32_t pid);

/* Frees everything. No command may be on loan (hws_serve_running() == 0). Accepts a zeroed one. */
void hws_serve_deinit(struct hws_serve *s);

/* Adds an adapter; ctl may be NULL unless facts->state is UP. HWS_E_BUSY at HWS_LINK_MAX_ADAPTERS.
 */
enum hws_code hws_serve_add(struct hws_serve *s, struct hws_ctl *ctl,
                            const struct hws_serve_facts *facts, struct hws_serve_adapter **out,
                            struct hws_err *err) HWS_MUST_USE;

/* The adapter came, went or was renamed. A ctl that is taken away is no longer turned from here:
 * the program turns it until it has ended what it has on loan. */
void hws_serve_update(struct hws_serve_adapter *a, struct hws_ctl *ctl,
                      const struct hws_serve_facts *facts);

/* A new connection to the keeper: HELLO and every adapter are sent by the next turns. */
void hws_serve_connected(struct hws_serve *s);

/* The connection is gone. What runs goes on. */
void hws_serve_disconnected(struct hws_serve *s);

/*
 * One packet from the keeper, with a passed descriptor or -1; takes fd always. HWS_E_PROTO: the
 * program should drop the connection. Refusals of a command are answers, not errors.
 */
enum hws_code hws_serve_feed(struct hws_serve *s, const uint8_t *bytes, size_t n, int fd,
                             uint64_t now_ms, struct hws_err *err) HWS_MUST_USE;

/* Turns every control channel, sends what is due. Returns the next deadline. Call after feed, when
 * a channel's fd is readable, when the socket is writable, and at the deadline. */
uint64_t hws_serve_turn(struct hws_serve *s, uint64_t now_ms);

/* True if something waits for the socket to become writable. */
bool hws_serve_wants_write(const struct hws_serve *s);

/* Commands on loan to control channels. */
size_t hws_serve_running(const struct hws_serve *s);

#endif
