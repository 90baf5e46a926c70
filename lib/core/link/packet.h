/*
 * Packets between Hawser's processes: encode and decode, bytes in, bytes out.
 *
 * A packet is one message of a SOCK_SEQPACKET socket, at most HWS_LINK_MAX_BYTES. Integers are big
 * endian. Decoding trusts nothing: type, flags, every length and enumeration are checked, reserved
 * bytes must be zero, and no byte may be left over. Decoded spans point into the caller's bytes.
 *
 *     0       1       2          4                8                        16
 *     | type  | flags | 0      0 | payload bytes  | id                     | payload ...
 *
 * Who sends what:
 *   wire -> keeper    HELLO CALL MSG HALF_CLOSE CANCEL CREDIT STATS RELOADED
 *   keeper -> wire    HELLO MSG CREDIT STATUS DRAIN RELOAD
 *   device -> keeper  HELLO ADAPTER DONE
 *   keeper -> device  HELLO KILLS CMD CANCEL_CMD DRAIN
 * A file descriptor travels beside the packet, announced by HWS_LINK_FLAG_FD; this codec sees only
 * the flag.
 */
#ifndef HWS_LINK_PACKET_H
#define HWS_LINK_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "link/command.h"
#include "link/hello.h"
#include "link/kills.h"

#define HWS_LINK_VERSION         4u
#define HWS_LINK_MAX_BYTES       32768u
#define HWS_LINK_HEADER_BYTES    16u
#define HWS_LINK_FRAGMENT_BYTES  (HWS_LINK_MAX_BYTES - HWS_LINK_HEADER_BYTES)
#define HWS_LINK_PRINCIPAL_BYTES 2048u /* a SPIFFE id may have 2048 bytes */
#define HWS_LINK_SERIAL_BYTES    64u   /* certificate serial in hex */
#define HWS_LINK_SHA256_BYTES    32u
#define HWS_LINK_PEER_BYTES      128u
#define HWS_LINK_MESSAGE_BYTES   4096u  /* status message */
#define HWS_LINK_DETAILS_BYTES   16384u /* google.rpc.Status */
#define HWS_LINK_STATS_BYTES     HWS_LINK_FRAGMENT_BYTES
#define HWS_LINK_MAX_CREDIT      65536u /* most messages one CREDIT grants */

enum hws_link_type {
    HWS_LINK_HELLO = 1,
    HWS_LINK_CALL = 2,
    HWS_LINK_MSG = 3,
    HWS_LINK_HALF_CLOSE = 4,
    HWS_LINK_CANCEL = 5,
    HWS_LINK_CREDIT = 6,
    HWS_LINK_STATUS = 7,
    HWS_LINK_DRAIN = 8,
    HWS_LINK_STATS = 9,
    HWS_LINK_RELOAD = 10,   /* read the certificate files now */
    HWS_LINK_RELOADED = 11, /* to the RELOAD of the same id, and to those before it */
    HWS_LINK_ADAPTER = 16,
    HWS_LINK_CMD = 17,
    HWS_LINK_DONE = 18,
    HWS_LINK_CANCEL_CMD = 19,
    HWS_LINK_KILLS = 20
};

#define HWS_LINK_FLAG_MORE 0x01u /* MSG: more fragments of this message follow */
#define HWS_LINK_FLAG_FD   0x02u /* CMD: a memfd comes along; DONE: the outbox is in that memfd */

enum hws_link_transport {
    HWS_LINK_TRANSPORT_NONE,
    HWS_LINK_TRANSPORT_TLS,  /* TCP with mutual TLS */
    HWS_LINK_TRANSPORT_UNIX, /* local socket with peer credentials */
    HWS_LINK_N_TRANSPORTS
};

/* A new RPC. The keeper judges the principal; the rest is for the audit record. */
struct hws_link_call_open {
    uint16_t method;           /* index into methods.def */
    uint8_t transport;         /* enum hws_link_transport, never NONE */
    uint64_t deadline_ms;      /* from now; 0 = none */
    struct hws_span principal; /* "spiffe://..." or "unix:uid:N"; printable ASCII, not empty */
    struct hws_span serial;    /* certificate serial in hex; empty on a Unix socket */
    struct hws_span sha256;    /* certificate digest, 32 bytes; empty on a Unix socket */
    struct hws_span peer;      /* "192.0.2.1:4711" or "unix:pid:123"; printable ASCII */
};

struct hws_link_status {
    uint8_t code;            /* gRPC status code, 0..16 */
    struct hws_span message; /* for people; UTF-8 without NUL */
    struct hws_span details; /* serialised google.rpc.Status, or empty */
};

enum hws_link_reloaded_state {
    HWS_LINK_RELOADED_NONE,    /* there are no certificates: no TCP listener */
    HWS_LINK_RELOADED_TAKEN,   /* what the files hold is in use */
    HWS_LINK_RELOADED_REFUSED, /* what was in use stays */
    HWS_LINK_N_RELOADED
};

struct hws_link_reloaded {
    uint8_t state;        /* enum hws_link_reloaded_state */
    uint64_t ends_s;      /* of the certificate in use, seconds since 1970 */
    struct hws_span text; /* TAKEN: its serial; REFUSED: which file and why; UTF-8 without NUL */
};

struct hws_link_packet {
    uint8_t type;  /* enum hws_link_type */
    uint8_t flags; /* HWS_LINK_FLAG_* */
    uint64_t id;   /* call, command or reload id; never 0 for packets of these, else 0 */
    union {
        struct hws_link_hello hello;
        struct hws_link_call_open call;
        struct hws_span msg; /* MSG: the fragment; may be empty only without MORE */
        uint32_t credit;     /* CREDIT: 1..HWS_LINK_MAX_CREDIT messages */
        struct hws_link_status status;
        uint8_t cancel;        /* CANCEL: the gRPC code that the caller was given, 1..16 */
        struct hws_span stats; /* STATS: "name value\n" lines */
        struct hws_link_reloaded reloaded;
        struct hws_link_adapter adapter;
        struct hws_link_cmd cmd;
        struct hws_link_done done;
        struct hws_link_kills kills;
    } u;
};

/*
 * Writes the packet into out[cap] and sets *out_bytes. HWS_E_INVALID if a field is out of its
 * range, HWS_E_BUSY if cap is too small (HWS_LINK_MAX_BYTES always suffices).
 */
enum hws_code hws_link_encode(const struct hws_link_packet *packet, uint8_t *out, size_t cap,
                              size_t *out_bytes, struct hws_err *err) HWS_MUST_USE;

/* Reads a packet; its spans point into bytes. HWS_E_PROTO, naming the field, if anything is off. */
enum hws_code hws_link_decode(const uint8_t *bytes, size_t n, struct hws_link_packet *packet,
                              struct hws_err *err) HWS_MUST_USE;

/* "HELLO"; "?" for a value that is no type. */
const char *hws_link_type_name(uint8_t type);

/* The bytes of a NUL-terminated string, without the NUL; NULL gives an empty span. */
struct hws_span hws_link_text(const char *s);

#endif
