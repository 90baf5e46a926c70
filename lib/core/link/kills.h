/*
 * What the keeper tells a device process of killed rows (KILLS): the whole list of one adapter,
 * again whenever it changes, and first after each ADAPTER packet. The device process refuses these
 * rows by itself until their time is over by its own clock, and every command for an adapter whose
 * list this connection has not brought yet.
 *
 * A list takes the place of the one before. A row without a time is one of which the keeper does
 * not know whether it is killed (it has just started and the card's firmware is not read yet, or
 * its own record is damaged): it stays as the device process has been told before. Pure data;
 * decoded rows point into the packet's bytes.
 */
#ifndef HWS_LINK_KILLS_H
#define HWS_LINK_KILLS_H

#include <stddef.h>
#include <stdint.h>

#define HWS_LINK_MAX_KILLS 4096u /* rows of one list; more than a table has */
#define HWS_LINK_KILL_MS                                                                           \
    UINT32_C(2592000000)       /* 30 days: the longest, as of a bar (core/policy)                  \
                                */
#define HWS_LINK_KILL_BYTES 6u /* one row on the wire */

struct hws_link_kill {
    uint16_t row;     /* table row id, not 0 */
    uint32_t left_ms; /* from now, at most HWS_LINK_KILL_MS; 0: as told before, if it was */
};

struct hws_link_kills {
    uint16_t adapter;    /* adapter index */
    uint16_t n;          /* at most HWS_LINK_MAX_KILLS */
    const uint8_t *rows; /* n entries as on the wire, rows ascending; read with hws_link_kill_get */
};

/* Writes entry i of a list into bytes[HWS_LINK_KILL_BYTES * n]. */
void hws_link_kill_put(uint8_t *bytes, size_t i, const struct hws_link_kill *kill);

/* Reads entry i of a list that decoding has accepted, or that put has written. */
struct hws_link_kill hws_link_kill_get(const uint8_t *bytes, size_t i);

#endif
