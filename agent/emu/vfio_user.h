/*
 * One emulated adapter as a PCI device of a virtual machine: a vfio-user server on a Unix socket,
 * for one machine at a time. A machine that connects powers the card on; one that goes away leaves
 * it off its memory and its interrupts.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_EMU_VFIO_USER_SERVER_H
#define HWS_EMU_VFIO_USER_SERVER_H

#include <stdint.h>

#include "base/err.h"
#include "emu/eq.h"
#include "emu/pci.h"
#include "emu/vfio_user.h"
#include "memory.h"
#include "store.h"

struct hws_vm_card {
    struct hws_card_store store;
    struct hws_emu emu;
    struct hws_emu_pci pci;
    struct hws_emu_vfu protocol;
    struct hws_vm_memory memory;
    const char *socket_path;          /* borrowed from the options */
    int listen_fd;                    /* owned; -1 = none */
    int peer_fd;                      /* owned; -1 = no machine */
    int vectors[HWS_EMU_MAX_VECTORS]; /* owned eventfds; -1 = none */
    int fds[HWS_EMU_VFU_MAX_FDS];     /* owned; came with the request being received */
    uint32_t n_fds;
    struct hws_emu_vfu_head head; /* valid once n_in has it */
    uint32_t n_in;
    uint8_t in[HWS_EMU_VFU_MAX_BYTES];
    uint8_t reply[HWS_EMU_VFU_MAX_BYTES];
};

/* Reads profile and parameters, and listens. A failed open needs no undo. */
enum hws_code hws_vm_card_open(struct hws_vm_card *card, const char *profile_path,
                               const char *nv_dir, const char *socket_path, uint64_t now_ms,
                               struct hws_err *err) HWS_MUST_USE;

/* What to wait for: readable means hws_vm_card_read. */
int hws_vm_card_fd(const struct hws_vm_card *card);
void hws_vm_card_read(struct hws_vm_card *card, uint64_t now_ms);

/* Lets the card act; returns when next. */
uint64_t hws_vm_card_turn(struct hws_vm_card *card, uint64_t now_ms);

/* Ends the connection and the listener, and removes the socket file. */
void hws_vm_card_close(struct hws_vm_card *card);

#endif
