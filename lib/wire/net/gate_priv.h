/* The gate's functions, for listen and accept. */
#ifndef HWS_NET_GATE_PRIV_H
#define HWS_NET_GATE_PRIV_H

#include <stdbool.h>

#include "net/gate.h"

struct hws_net_conn;
struct hws_net_listener;

/* Readies l->gate; the timer is held by the listener's closer. */
void hws_net__gate_init(struct hws_net_listener *l);

/* Nobody is accepted any more: those who wait are let go. */
void hws_net__gate_close(struct hws_net_listener *l);

/* Must the next peer wait in the kernel? hws_net__accept_resume comes when there is room. */
bool hws_net__gate_is_full(const struct hws_net_gate *gate);

/* A pending connection of a known address comes: begins at once, or waits. */
void hws_net__gate_join(struct hws_net_conn *conn);

/* It is pending no longer: identified, or it ends. */
void hws_net__gate_leave(struct hws_net_conn *conn, bool identified);

/* Who must go so that newest may stay: of the address with most pending connections the last that
 * waits, or its oldest handshake. NULL when newest itself must go. */
struct hws_net_conn *hws_net__gate_victim(const struct hws_net_listener *l,
                                          const struct hws_net_conn *newest);

#endif
