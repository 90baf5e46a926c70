/*
 * One emulated adapter of hawser-emu: its profile, its model, the command queue on it, and the file
 * with its non-volatile parameters. A write command completes only when that file is on disk.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_EMU_CARD_H
#define HWS_EMU_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "drv/ctl_queue.h"
#include "emu/port.h"
#include "gate/serve.h"
#include "store.h"

struct hws_card {
    struct hws_card_store store;
    struct hws_emu_port port;
    struct hws_ctl_queue queue;
    struct hws_serve_adapter *adapter; /* borrowed from serve */
    bool powered;                      /* port and queue are there */
    bool closed;
};

/* Reads profile and parameters, powers the card on, adds it to serve. HWS_E_INVALID with file and
 * line. A card whose parameter file cannot be used is added as FAILED, with the reason. */
enum hws_code hws_card_open(struct hws_card *card, const char *profile_path, const char *nv_dir,
                            struct hws_serve *serve, uint64_t now_ms, struct hws_err *err)
    HWS_MUST_USE;

/* Lets the card act; returns when next. */
uint64_t hws_card_turn(struct hws_card *card, uint64_t now_ms);

/* Begins to shut the card down; card->closed says when it is. */
void hws_card_close(struct hws_card *card);

/* After closed. Accepts a zeroed one. */
void hws_card_deinit(struct hws_card *card);

#endif
