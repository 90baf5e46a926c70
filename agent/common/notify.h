/*
 * Talking to the service manager that started us: ready, alive, stopping; and the socket that it
 * listens on for us. The protocol is a line in a datagram to $NOTIFY_SOCKET and descriptors from 3
 * on, announced by $LISTEN_PID and $LISTEN_FDS (sd_notify(3), sd_listen_fds(3)). Without a manager
 * everything here does nothing. To be opened before the sandbox is entered and before other
 * processes are started: what is found is taken out of the environment.
 */
#ifndef HWS_COMMON_NOTIFY_H
#define HWS_COMMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct hws_notify {
    int fd;               /* owned; -1: nobody wants to know */
    uint64_t watchdog_ms; /* say alive at least this often; 0: nobody waits for it */
};

void hws_notify_open(struct hws_notify *n);

/* "READY=1", "WATCHDOG=1", "STOPPING=1". Best effort. */
void hws_notify_say(const struct hws_notify *n, const char *text);

void hws_notify_close(struct hws_notify *n);

/* The one listening socket that was passed, now the caller's, close-on-exec and non-blocking; -1 if
 * none or more than one was. */
int hws_notify_listener(void);

#endif
