/*
 * The in-process port: struct hws_bar straight onto an emulated adapter. Device addresses are not
 * host pointers: every access by the card is looked up among the pieces handed out and refused
 * outside them, and freed pieces are gone for it at once.
 *
 * Thread rule: one thread. The owner embeds the struct; it outlives the queue on it.
 */
#ifndef HWS_EMU_PORT_H
#define HWS_EMU_PORT_H

#include <stdint.h>

#include "base/err.h"
#include "emu/emu.h"
#include "ifc/bar.h"

#define HWS_EMU_PORT_MAX_PIECES 64u
#define HWS_EMU_PORT_MAX_BYTES  ((size_t)256 * 1024 * 1024)

struct hws_emu_port {
    struct hws_bar bar; /* first: what the queue gets */
    struct hws_emu emu;
    struct hws_dma pieces[HWS_EMU_PORT_MAX_PIECES]; /* owned; zeroed = free */
    void *blocks[HWS_EMU_PORT_MAX_PIECES];          /* owned; what to free */
    uint64_t windows[HWS_EMU_PORT_MAX_PIECES];      /* of device addresses: the last one used */
    size_t n_bytes;                                 /* handed out */
};

/*
 * As hws_emu_init; config->dma is ignored, the port is the memory. config may be NULL.
 */
enum hws_code hws_emu_port_init(struct hws_emu_port *p, const struct hws_emu_profile *profile,
                                const struct hws_emu_config *config, const uint8_t *nv, size_t n_nv,
                                uint64_t now_ms, struct hws_err *err) HWS_MUST_USE;

/* Ends the adapter and frees the memory still handed out. Accepts a zeroed one. */
void hws_emu_port_deinit(struct hws_emu_port *p);

#endif
