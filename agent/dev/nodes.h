/*
 * The fwctl nodes of this host as adapters: found again every few seconds, keyed by PCI address. A
 * node that answers ENODEV is closed for good and its adapter is away until discovery finds the
 * address again, maybe under another number.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_DEV_NODES_H
#define HWS_DEV_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drv/ctl_fwctl.h"
#include "drv/discover.h"
#include "drv/sys.h"
#include "gate/serve.h"

#define HWS_NODES_SCAN_MS 3000u

struct hws_node {
    struct hws_nodes *nodes;
    char pci[32];
    char path[48];
    struct hws_ctl_fwctl ctl;
    bool open;                         /* ctl is in use */
    bool leaving;                      /* being closed: its node is no longer there */
    struct hws_serve_adapter *adapter; /* borrowed from serve */
};

struct hws_nodes {
    const struct hws_sys *sys; /* borrowed */
    struct hws_serve *serve;   /* borrowed */
    uint64_t scan_ms;          /* the next look */
    bool closing;
    bool said_none; /* "no fwctl device" was logged */
    size_t n;
    struct hws_node *list[HWS_DISCOVER_MAX]; /* owned */
};

void hws_nodes_init(struct hws_nodes *nodes, const struct hws_sys *sys, struct hws_serve *serve);

/* Looks for nodes when that is due, turns every channel; returns when next. */
uint64_t hws_nodes_turn(struct hws_nodes *nodes, uint64_t now_ms);

/* The descriptors of all channels. */
size_t hws_nodes_fds(struct hws_nodes *nodes, int *out, size_t cap);

/* Begins to close every channel. */
void hws_nodes_close(struct hws_nodes *nodes);
bool hws_nodes_closed(const struct hws_nodes *nodes);

/* After closed. */
void hws_nodes_deinit(struct hws_nodes *nodes);

#endif
