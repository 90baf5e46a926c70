/* Accepting, for listen and gate. */
#ifndef HWS_NET_ACCEPT_PRIV_H
#define HWS_NET_ACCEPT_PRIV_H

#include "net/accept.h"

struct hws_net_listener;

/* Readies l->accept; its timer is held by the listener's closer. */
void hws_net__accept_init(struct hws_net_listener *l);

/* From here on peers are taken off fd, which listens. 0, or libuv's error. */
int hws_net__accept_start(struct hws_net_listener *l, uv_os_fd_t fd);

/* There may be room in the gate again: accepts the peer that waits in the kernel, and those behind.
 */
void hws_net__accept_resume(struct hws_net_listener *l);

/* Nobody is accepted any more; closes the handles, started or not. */
void hws_net__accept_close(struct hws_net_listener *l);

#endif
