/* What channel.c shares with the files of its concepts. */
#ifndef HWS_GRPC_CHANNEL_PRIV_H
#define HWS_GRPC_CHANNEL_PRIV_H

#include "grpc/channel.h"

/* ---- channel_send.c: what a call keeps, gives to its connection, and takes back ---- */

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

/* ---- channel_retry.c: what the end of an attempt means for the next ---- */

#define HWS_GRPC__TOKEN 1000u /* milli_tokens of one */

/* ms, give or take 20 %. */
uint64_t hws_grpc__channel_jittered(const struct hws_grpc_channel *ch, uint64_t ms);

/* Is a transparent retry due, which is not counted as an attempt? Counts itself. */
bool hws_grpc__channel_again_unseen(struct hws_grpc_channel_call *call,
                                    const struct hws_grpc_outcome *outcome);

/* Retry throttling: what the end of an attempt does to the tokens. */
void hws_grpc__channel_count_tokens(struct hws_grpc_channel *ch,
                                    const struct hws_grpc_outcome *outcome);

/* How long to wait before another attempt; UINT64_MAX: there is none. The server's word counts over
 * ours. */
uint64_t hws_grpc__channel_pause(struct hws_grpc_channel_call *call,
                                 const struct hws_grpc_outcome *outcome);

#endif
