/*
 * Where hawser-wire listens: TCP with mutual TLS (given as an address, or open already as a
 * descriptor), and the local Unix socket; and DIR/listen of the run directory, the TCP address for
 * others and for the next run, which with port 0 tries it first, so that clients find a restarted
 * process where it was. Thread rule: the loop thread.
 */
#ifndef HWS_WIRE_LISTENING_H
#define HWS_WIRE_LISTENING_H

#include "base/err.h"

struct hws_service;

/* Open s->tcp and s->local; on success s->has_tcp and s->has_local say so, and the TCP address is
 * published if hawserd is there. Errors as
 * hws_net_listener_open's, HWS_E_INVALID for a path that is too long. */
enum hws_code hws_listening_open_tcp(struct hws_service *s, struct hws_err *err) HWS_MUST_USE;
enum hws_code hws_listening_open_local(struct hws_service *s, struct hws_err *err) HWS_MUST_USE;

/* Writes DIR/listen, if TCP is open. It says where calls are answered: to be called when hawserd
 * comes, who answers them. A failure is logged. */
void hws_listening_publish(const struct hws_service *s);

#endif
