/* What the three files of the relay share: the connection (relay.c), calls towards clients
 * (relay_call.c), sending to hawserd (relay_send.c). */
#ifndef HWS_WIRE_RELAY_PRIV_H
#define HWS_WIRE_RELAY_PRIV_H

#include "base/buf.h"
#include "grpc/call.h"
#include "link/call.h"
#include "relay.h"

/* A message on its way, either direction. */
struct hws_relay__message {
    struct hws_list link;
    struct hws_buf bytes; /* owned */
};

struct hws_relay__call {
    struct hws_list link;  /* in the relay's table */
    struct hws_list ready; /* in the relay's list of those with something to send */
    struct hws_relay *relay;
    const struct hws_method *row;
    struct hws_link_call call;  /* protocol state towards hawserd */
    struct hws_grpc_call *grpc; /* NULL when it has been finished */
    bool open_due;              /* CALL has not been sent */
    bool half_close_due;
    uint8_t cancel_due; /* the code that CANCEL will say; 0: none is due */
    uint32_t give;      /* credit for hawserd */
    struct hws_list up; /* struct hws_relay__message, client to hawserd */
    bool sending;       /* the oldest of `up` is being cut */
    struct hws_link_fragments fragments;
    struct hws_list down; /* struct hws_relay__message, hawserd to client */
    bool ended;           /* STATUS came; it goes out behind `down` */
    uint8_t status;
    char *message;          /* owned */
    struct hws_buf details; /* owned */
};

/* The call with this id; NULL if there is none. */
struct hws_relay__call *hws_relay__find(struct hws_relay *r, uint64_t id);

/* Takes it out of every list and frees it. */
void hws_relay__free_call(struct hws_relay__call *c);

/* It has something to send to hawserd. */
void hws_relay__make_ready(struct hws_relay__call *c);

/* Appends a copy of n bytes; false when out of memory. */
bool hws_relay__queue(struct hws_list *list, const uint8_t *bytes, size_t n);

/* Tells the accounts of the caller what is queued for it and from it; false when that is too much
 * (hws_grpc_call_hold). */
bool hws_relay__charge(struct hws_relay__call *c) HWS_MUST_USE;

/* Ends the client's side; what is left is the link's. */
void hws_relay__finish(struct hws_relay__call *c, enum hws_grpc_code code, const char *message);

/* Tells hawserd that nobody waits any more, and what the client was told (not OK); the call is
 * freed when that has left. */
void hws_relay__cancel(struct hws_relay__call *c, enum hws_grpc_code code);

/* Hands messages to gRPC while it takes them, then the status. May free the call. */
void hws_relay__deliver(struct hws_relay__call *c);

/* hawserd has ended the call; it may be freed here. */
void hws_relay__take_status(struct hws_relay__call *c, const struct hws_link_status *s);

/* What the poll waits for. */
void hws_relay__want(struct hws_relay *r, int events);

/* The connection is gone: every call in flight ends, and it is tried again. */
void hws_relay__lose(struct hws_relay *r, const char *why);

/* The connection is to end before the next wait. */
void hws_relay__break_off(struct hws_relay *r, const struct hws_err *err);

/* Before each wait: sends what is queued. */
void hws_relay__flush(struct hws_relay *r);

/* The gRPC side of every method. */
extern const struct hws_grpc_call_ops hws_relay__call_ops;

#endif
