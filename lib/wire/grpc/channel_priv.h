/* The outgoing half of a channel's call: what it keeps, gives to its connection, and takes back. */
#ifndef HWS_GRPC_CHANNEL_PRIV_H
#define HWS_GRPC_CHANNEL_PRIV_H

#include "grpc/channel.h"

/* Gives the present connection what it did not take yet, and the half-close after the last. HWS_OK
 * also when it takes no more now: inner's on_writable comes. HWS_E_INVALID, HWS_E_NOMEM: the call
 * cannot go on; err may be NULL. */
enum hws_code hws_grpc__channel_flush(struct hws_grpc_channel_call *call, struct hws_err *err)
    HWS_MUST_USE;

/* on_writable, if it is owed and there is room. */
void hws_grpc__channel_tell_writable(struct hws_grpc_channel_call *call);

/* No connection carries the call: the next gets all that is kept. */
void hws_grpc__channel_rewind(struct hws_grpc_channel_call *call);

/* There will be no other attempt: what was taken need not be kept. */
void hws_grpc__channel_commit(struct hws_grpc_channel_call *call);

#endif
