/* What serve.c (receiving, running) and serve_send.c share. */
#ifndef HWS_GATE_SERVE_PRIV_H
#define HWS_GATE_SERVE_PRIV_H

#include "gate/serve.h"

/* Ends a slot's use: closes its memory file, and gives back memory that is not worth keeping. */
void hws_serve__slot_free(struct hws_serve_slot *slot);

/* Sends everything that is due, in order HELLO, adapters, answers, until the socket is full. */
void hws_serve__flush(struct hws_serve *s);

#endif
