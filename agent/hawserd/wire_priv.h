/* What wire_channel.c and wire_send.c share. */
#ifndef HWS_HAWSERD_WIRE_PRIV_H
#define HWS_HAWSERD_WIRE_PRIV_H

#include "hawserd/wire_channel.h"

/* What the poll waits for. */
void hws_wire__want(struct hws_wire *w, int events);

/* Ends the connection and every rpc's caller. */
void hws_wire__lose(struct hws_wire *w, const struct hws_err *why);

/* The connection is to end in the next turn. */
void hws_wire__break_off(struct hws_wire *w, const struct hws_err *err);

/* Takes the rpc out of the table and frees it. */
void hws_wire__drop_rpc(struct hws_wire *w, struct hws_rpc *rpc);

#endif
