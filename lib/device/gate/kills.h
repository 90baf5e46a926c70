/*
 * The killed rows of one adapter, as the keeper has told them (link/kills.h), counted down by the
 * device process's own clock. They outlive the connection: until the next keeper has told its list
 * nothing runs at all, and one that does not know of a row leaves it as it is.
 *
 * A row that the table lacks is passed over: it cannot run. Pure: the time comes in. Thread rule:
 * one thread.
 */
#ifndef HWS_GATE_KILLS_H
#define HWS_GATE_KILLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "link/kills.h"

struct hws_gate_kills {
    uint64_t *until_ms; /* owned; by table row id; 0 = not killed */
    uint16_t n;         /* ids there are */
};

/* What a list has changed. */
struct hws_gate_kills_news {
    uint16_t n_killed; /* rows in force now */
    uint16_t n_added;  /* of them, not in force before */
    uint16_t n_lifted; /* in force before, and not over: no longer */
};

/* For a table of n ids; nothing is killed. HWS_E_NOMEM. */
enum hws_code hws_gate_kills_init(struct hws_gate_kills *k, uint16_t n, struct hws_err *err)
    HWS_MUST_USE;
void hws_gate_kills_deinit(struct hws_gate_kills *k); /* accepts a zeroed one */

/* A list that decoding has accepted. */
struct hws_gate_kills_news hws_gate_kills_take(struct hws_gate_kills *k,
                                               const struct hws_link_kills *list, uint64_t now_ms);

/* How long the row stays killed; 0: it is not. */
uint64_t hws_gate_kills_left_ms(const struct hws_gate_kills *k, uint16_t row, uint64_t now_ms);

#endif
