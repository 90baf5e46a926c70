/*
 * The first packet of every connection, HELLO, and the description of one adapter, ADAPTER.
 *
 * A child (hawser-wire, hawser-emu, hawser-dev) connects, sends HELLO, and the keeper answers with
 * its own. A device process then sends one ADAPTER packet for each adapter, and another whenever
 * one changes. HELLO names every command of an earlier session that still runs, so that a restarted
 * keeper can wait for it. Pure data: nothing here allocates or does I/O; decoded spans point into
 * the packet's bytes.
 */
#ifndef HWS_LINK_HELLO_H
#define HWS_LINK_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define HWS_LINK_NAME_BYTES    32u   /* most of a program name */
#define HWS_LINK_BUILD_BYTES   64u   /* most of a build id */
#define HWS_LINK_MAX_ADAPTERS  64u   /* per device process */
#define HWS_LINK_MAX_DEPTH     31u   /* commands in flight per adapter */
#define HWS_LINK_MAX_RUNNING   1984u /* MAX_ADAPTERS * MAX_DEPTH; fits in one packet */
#define HWS_LINK_KIND_BYTES    16u
#define HWS_LINK_PCI_BYTES     32u
#define HWS_LINK_NODE_BYTES    128u
#define HWS_LINK_BACKEND_BYTES 16u
#define HWS_LINK_REASON_BYTES  256u
#define HWS_LINK_RUNNING_BYTES 16u /* one entry of the running list on the wire */

/* Who is at the other end. */
enum hws_link_role {
    HWS_LINK_ROLE_NONE,
    HWS_LINK_ROLE_WIRE,   /* hawser-wire */
    HWS_LINK_ROLE_DEVICE, /* hawser-emu or hawser-dev */
    HWS_LINK_ROLE_KEEPER, /* hawserd */
    HWS_LINK_N_ROLES
};

/* One command of an earlier session that has not ended. */
struct hws_link_running {
    uint64_t id;      /* as the CMD packet said */
    uint16_t adapter; /* adapter index */
    uint16_t row;     /* its table row */
    uint32_t age_ms;  /* since it was submitted; stops at UINT32_MAX */
};

struct hws_link_hello {
    uint8_t role;        /* enum hws_link_role, never NONE */
    uint16_t version;    /* HWS_LINK_VERSION of the sender */
    uint64_t generation; /* random, drawn at start; never 0 */
    uint32_t pid;
    struct hws_span name;   /* program name, printable ASCII; borrowed */
    struct hws_span build;  /* build id, printable ASCII; borrowed */
    uint16_t n_adapters;    /* ADAPTER packets that follow; 0 unless role is DEVICE */
    uint16_t n_running;     /* at most HWS_LINK_MAX_RUNNING */
    const uint8_t *running; /* n_running entries as on the wire; read with hws_link_running_get */
};

/* Writes entry i of a running list into bytes[HWS_LINK_RUNNING_BYTES * n]. */
void hws_link_running_put(uint8_t *bytes, size_t i, const struct hws_link_running *running);

/* Reads entry i of a list that decoding has accepted, or that put has written. */
struct hws_link_running hws_link_running_get(const uint8_t *bytes, size_t i);

/* What a device process knows of an adapter's availability. */
enum hws_link_adapter_state {
    HWS_LINK_ADAPTER_NONE,
    HWS_LINK_ADAPTER_UP,     /* takes commands */
    HWS_LINK_ADAPTER_AWAY,   /* unplugged, unbound or resetting; may come back */
    HWS_LINK_ADAPTER_FAILED, /* cannot be opened; reason says why */
    HWS_LINK_ADAPTER_N_STATES
};

struct hws_link_adapter {
    uint16_t index;          /* below HWS_LINK_MAX_ADAPTERS; stable for the sender's life */
    uint8_t state;           /* enum hws_link_adapter_state, never NONE */
    bool emulated;           /* not a real card */
    uint16_t depth;          /* commands it takes at once, 1..HWS_LINK_MAX_DEPTH */
    uint16_t n_stalled;      /* commands that were answered UNKNOWN and have not returned yet */
    uint32_t stalled_ms;     /* age of the oldest of them; 0 without one */
    struct hws_span kind;    /* "mlx5" */
    struct hws_span pci;     /* "0000:81:00.0" */
    struct hws_span node;    /* "/dev/fwctl/fwctl0", or empty */
    struct hws_span backend; /* "queue", "fwctl" */
    struct hws_span reason;  /* text for people, or empty */
};

#endif
