/*
 * Bars: what is refused for a while, whatever the policy allows. A lock bars a principal, an
 * adapter or the whole host; a kill bars one row of the command table on some adapters and firmware
 * versions. A bar has a reason, who set it and an end; it only ever takes away.
 *
 * Pure: the time comes in. Thread rule: one thread at a time.
 */
#ifndef HWS_POLICY_BAR_H
#define HWS_POLICY_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "policy/policy.h"

#define HWS_BAR_MAX           256u
#define HWS_BAR_TEXT_BYTES    512u /* of a principal or device */
#define HWS_BAR_REASON_BYTES  256u
#define HWS_BAR_VERSION_BYTES 32u
#define HWS_BAR_MAX_MS        UINT64_C(2592000000) /* 30 days: the longest */

/* The numbers are the public API's BarKind. */
enum hws_bar_kind {
    HWS_BAR_NONE,
    HWS_BAR_PRINCIPAL, /* object: exact, or a prefix that ends in '/' */
    HWS_BAR_DEVICE,    /* object: a selector of a device, as in a rule */
    HWS_BAR_HOST,      /* no object */
    HWS_BAR_ROW,       /* object as of DEVICE; row and firmware range */
    HWS_N_BAR_KINDS
};

struct hws_bar {
    uint64_t id; /* from 1, never used again */
    enum hws_bar_kind kind;
    char object[HWS_BAR_TEXT_BYTES];
    char row[72];                      /* "PAOS:write", "QUERY_ADAPTER"; ROW only */
    char from[HWS_BAR_VERSION_BYTES];  /* first firmware version; "" = any */
    char to[HWS_BAR_VERSION_BYTES];    /* last one; "" = any */
    char reason[HWS_BAR_REASON_BYTES]; /* one line */
    char who[HWS_BAR_TEXT_BYTES];      /* the principal that set it */
    uint64_t since_unix_ms;
    uint64_t until_unix_ms;
};

struct hws_bars {
    struct hws_bar *items; /* owned; HWS_BAR_MAX of them, oldest first */
    size_t n;
    uint64_t next_id;
};

/* HWS_E_NOMEM. deinit accepts a zeroed one. */
enum hws_code hws_bars_init(struct hws_bars *b) HWS_MUST_USE;
void hws_bars_deinit(struct hws_bars *b);

/* Adds a copy with an id of its own, which is written to *out_id. HWS_E_INVALID names what is wrong
 * with it: object, row, firmware, reason, who, end; HWS_E_BUSY at HWS_BAR_MAX. */
enum hws_code hws_bars_add(struct hws_bars *b, const struct hws_bar *bar, uint64_t now_unix_ms,
                           uint64_t *out_id, struct hws_err *err) HWS_MUST_USE;

/* The bar with this id, NULL if there is none. */
const struct hws_bar *hws_bars_find(const struct hws_bars *b, uint64_t id);

/* Takes one away; no effect if there is none. */
void hws_bars_remove(struct hws_bars *b, uint64_t id);

/* Undoes a removal: there is room, and no other has its id. */
void hws_bars_put_back(struct hws_bars *b, const struct hws_bar *bar);

/* Takes away the first that has ended; copies it to *out. False if none has. */
bool hws_bars_expire(struct hws_bars *b, uint64_t now_unix_ms, struct hws_bar *out);

/* The nearest end, UINT64_MAX if there is no bar. */
uint64_t hws_bars_next_ms(const struct hws_bars *b);

/*
 * The lock that bars a request, NULL if none does. Who set a lock of a device or the host is not
 * barred by it; permissions "lock.", "kill." and "agent." are barred by locks of principals only,
 * so that a lock can be lifted and seen.
 */
const struct hws_bar *hws_bars_lock(const struct hws_bars *b, const struct hws_policy_request *req);

/* True if the principal of the request has locked its device, or the host. */
bool hws_bars_holds(const struct hws_bars *b, const struct hws_policy_request *req);

/* True if the bar is a kill on this device with this firmware, whatever its row; firmware "" is
 * unknown: then only kills of any version count. */
bool hws_bar_kills_on(const struct hws_bar *bar, const struct hws_policy_card *card,
                      const char *firmware);

/* True if a kill's row is this command or register and method ("" for a command). */
bool hws_bar_kills_row(const struct hws_bar *bar, const char *target, const char *method);

/* The kill that bars a row on a device; firmware "" is unknown: then only kills of any version
 * count. Of the request, device and target are looked at. */
const struct hws_bar *hws_bars_kill(const struct hws_bars *b, const struct hws_policy_request *req,
                                    const char *firmware);

/* Canonical bytes of all bars with ids, for the state file and for hashing; and back into an
 * initialised, empty list: HWS_E_PROTO naming the line. HWS_E_NOMEM. */
enum hws_code hws_bars_encode(const struct hws_bars *b, struct hws_buf *out) HWS_MUST_USE;
enum hws_code hws_bars_decode(struct hws_bars *b, const char *text, size_t n, struct hws_err *err)
    HWS_MUST_USE;

/* "lock 3 on device pci:0000:81:00.0 by spiffe://d/operator/o: text" into dst. */
void hws_bar_text(const struct hws_bar *bar, char *dst, size_t cap);

/* "principal", "device", "host", "row". */
const char *hws_bar_kind_name(enum hws_bar_kind kind);

#endif
