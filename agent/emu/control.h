/*
 * The control socket of hawser-emu: a seqpacket socket of mode 0600. A packet is one line
 * (emu/control.h has the commands), answered by one packet. And the client for it.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_EMU_CONTROL_SOCKET_H
#define HWS_EMU_CONTROL_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "emu/emu.h"
#include "options.h"

#define HWS_CONTROL_MAX_CLIENTS 4u /* at once; more wait in the socket's backlog */
#define HWS_CONTROL_MAX_FDS     (HWS_CONTROL_MAX_CLIENTS + 1u)

struct hws_control {
    const char *path; /* borrowed; NULL: there is none */
    int listen_fd;    /* owned; -1 = none */
    int clients[HWS_CONTROL_MAX_CLIENTS];
    struct hws_emu *adapters[HWS_EMU_MAX_CARDS]; /* borrowed */
    size_t n_adapters;
    struct hws_buf reply;
};

/* Offers the socket; path NULL: none. HWS_E_EXISTS: somebody serves there; HWS_E_INVALID,
 * HWS_E_IO. A failed open needs no undo. */
enum hws_code hws_control_open(struct hws_control *c, const char *path, struct hws_err *err)
    HWS_MUST_USE;

/* The next adapter that the commands name. */
void hws_control_add(struct hws_control *c, struct hws_emu *emu);

/* Fills out[HWS_CONTROL_MAX_FDS] with what being readable makes hws_control_turn due; how many. */
size_t hws_control_fds(const struct hws_control *c, int *out);

/* Takes new clients and obeys what waits. The adapters act afterwards. */
void hws_control_turn(struct hws_control *c, uint64_t now_ms);

/* Closes all and removes the socket's file. Accepts one that was never opened (zeroed). */
void hws_control_close(struct hws_control *c);

/* Sends the command of the options to their control socket and prints the answer. Returns the
 * program's exit status: 0, or 1 for an error, which goes to standard error. */
int hws_control_send(const struct hws_emu_options *options);

#endif
