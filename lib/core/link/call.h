/*
 * One RPC between hawser-wire and hawserd as either end sees it: which packets may come next, how
 * message fragments join, and how much credit is left.
 *
 * The caller (wire) opens the call and may send messages, HALF_CLOSE, CANCEL and CREDIT; the server
 * (keeper) may send messages, CREDIT and, once, STATUS, which ends the call. Feed each decoded
 * packet of the call to hws_link_call_feed; cut each outgoing message with
 * hws_link_call_send + hws_link_fragment_next. One thread at a time; the partial message is the
 * only memory.
 */
#ifndef HWS_LINK_CALL_H
#define HWS_LINK_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "link/credit.h"
#include "link/packet.h"

#define HWS_LINK_CALL_MAX_MESSAGE ((size_t)4 * 1024 * 1024) /* default limit of one message */
#define HWS_LINK_CALL_KEPT_BYTES  16384u /* of memory, for a call's next message */

enum hws_link_side {
    HWS_LINK_CALLER, /* hawser-wire */
    HWS_LINK_SERVER  /* hawserd */
};

enum hws_link_call_state {
    HWS_LINK_CALL_OPEN,        /* both may send messages */
    HWS_LINK_CALL_HALF_CLOSED, /* the caller has sent its last message */
    HWS_LINK_CALL_ENDED,       /* STATUS or CANCEL has passed: nothing more is sent or accepted */
    HWS_LINK_CALL_N_STATES
};

/* What a fed packet meant. */
enum hws_link_event {
    HWS_LINK_EV_NONE,        /* a fragment; the message is not complete */
    HWS_LINK_EV_MESSAGE,     /* call->message holds a whole message until hws_link_call_taken */
    HWS_LINK_EV_HALF_CLOSED, /* server: no more messages will come */
    HWS_LINK_EV_CANCELED,    /* server: the caller has gone */
    HWS_LINK_EV_CREDIT,      /* sending may go on */
    HWS_LINK_EV_STATUS       /* caller: the end; the packet carries it */
};

struct hws_link_call {
    uint64_t id;
    enum hws_link_side side; /* ours */
    int state;               /* enum hws_link_call_state */
    bool in_message;         /* fragments of an unfinished message are held */
    bool whole;              /* message is complete and not yet taken */
    struct hws_link_credit credit;
    struct hws_buf message; /* owned */
};

/* A call that has just been opened by a CALL packet, sent or received. */
void hws_link_call_init(struct hws_link_call *call, uint64_t id, enum hws_link_side side,
                        size_t max_message_bytes);

/* Frees the partial message. Accepts a zeroed struct. */
void hws_link_call_deinit(struct hws_link_call *call);

/*
 * Judges one packet from the other end. HWS_E_PROTO: not allowed in this state or direction, over
 * the message limit, without credit, or before the last message was taken; the connection should
 * end. HWS_E_NOMEM: end the call. A packet that comes after the end is ignored (EV_NONE): packets
 * cross on the way.
 */
enum hws_code hws_link_call_feed(struct hws_link_call *call, const struct hws_link_packet *packet,
                                 enum hws_link_event *event, struct hws_err *err) HWS_MUST_USE;

/* The whole message was used: drops it (memory is kept for the next). */
void hws_link_call_taken(struct hws_link_call *call);

/* Grants the peer n more messages and fills the CREDIT packet that says so. */
void hws_link_call_give(struct hws_link_call *call, uint32_t n, struct hws_link_packet *packet);

/* True if we may begin a message: state and credit allow it. */
bool hws_link_call_may_send(const struct hws_link_call *call);

/* An outgoing message being cut into MSG packets. */
struct hws_link_fragments {
    uint64_t id;
    const uint8_t *bytes; /* borrowed until the last fragment is out */
    size_t n;
    size_t at;
    bool done;
};

/* Begins a message of n bytes: spends one credit. hws_link_call_may_send must hold. */
void hws_link_call_send(struct hws_link_call *call, const uint8_t *bytes, size_t n,
                        struct hws_link_fragments *out);

/* Fills the next MSG packet; false when the message is out. Send every one, in order. */
bool hws_link_fragment_next(struct hws_link_fragments *f, struct hws_link_packet *packet);

/* The caller has sent HALF_CLOSE. Only in state OPEN. */
void hws_link_call_half_closed(struct hws_link_call *call);

/* The end was sent (STATUS by the server, CANCEL by the caller) or the connection is gone. */
void hws_link_call_ended(struct hws_link_call *call);

#endif
