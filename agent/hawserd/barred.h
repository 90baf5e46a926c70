/*
 * The locks and kills of this host: kept in STATE/bars, ended when their time is over, enforced for
 * every call (locks) and every command (kills), and the kills told to the device process, which
 * enforces them by itself as well. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_BARRED_H
#define HWS_HAWSERD_BARRED_H

#include <stdbool.h>

#include <uv.h>

#include "base/err.h"
#include "crypt/digest.h"
#include "policy/bar.h"
#include "table/row.h"

struct hws_agent;
struct hws_adapter;

struct hws_barred {
    struct hws_agent *agent; /* borrowed */
    struct hws_bars bars;
    struct hws_digest hash; /* of the bars as bytes */
    uv_timer_t timer;       /* the nearest end */
    bool timer_open;
    bool unknown; /* what was kept could not be read */
};

/* Reads what was kept. Damaged, the agent is SAFE from the start: nothing is changed while it is
 * not known what is locked. HWS_E_NOMEM. */
enum hws_code hws_barred_open(struct hws_barred *b, struct hws_agent *agent, struct hws_err *err)
    HWS_MUST_USE;

/* Adds one, durably; then streams that it bars end. Errors as hws_bars_add, HWS_E_IO. */
enum hws_code hws_barred_add(struct hws_barred *b, const struct hws_bar *bar, uint64_t *out_id,
                             struct hws_err *err) HWS_MUST_USE;

/* Takes one away, durably. HWS_E_NOT_FOUND, HWS_E_IO. */
enum hws_code hws_barred_remove(struct hws_barred *b, uint64_t id, struct hws_err *err)
    HWS_MUST_USE;

/* HWS_OK if no kill bars this row on this adapter; HWS_E_DENIED at stage NOT_SENT naming it. */
enum hws_code hws_barred_check(const struct hws_barred *b, const struct hws_adapter *a,
                               const struct hws_table_row *row, struct hws_err *err) HWS_MUST_USE;

/* What the device process is told of an adapter: as struct hws_ctl_ipc_config's kills_of. */
uint16_t hws_barred_kills(const struct hws_barred *b, const struct hws_adapter *a, uint8_t *rows);

void hws_barred_close(struct hws_barred *b);
void hws_barred_deinit(struct hws_barred *b); /* accepts a zeroed one */

#endif
