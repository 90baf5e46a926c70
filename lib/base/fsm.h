/*
 * Checked state machines: a table says which states may follow which; a move outside it is a bug of
 * ours. One row per state, bit i of the row set if state i may follow. At most 32 states.
 */
#ifndef HWS_BASE_FSM_H
#define HWS_BASE_FSM_H

#include <stdint.h>

#include "base/assert.h"

#define HWS_FSM_TO(state) (UINT32_C(1) << (unsigned)(state))

/* Moves *state to `to`; asserts that table[*state] allows it. Enumerations are passed as their
 * integer. */
static inline void hws_fsm_move(const uint32_t *table, int *state, int to)
{
    hws_assert((table[*state] & HWS_FSM_TO(to)) != 0);
    *state = to;
}

#endif
