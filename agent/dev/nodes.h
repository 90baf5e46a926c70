/*
 * The fwctl nodes of this host as adapters, keyed by PCI address: looked for when /dev/fwctl
 * changes, when a node has answered ENODEV, and every few seconds in any case. Such a node is
 * closed for good and its adapter is away until discovery finds the address again, maybe under
 * another number.
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
#include "drv/watch.h"
#include "gate/serve.h"

#define HWS_NODES_SCAN_MS 3000u

struct hws_node {
    struct hws_nodes *nodes;
    char pci[32];
    char path[48];
    enum hws_kind kind; /* MLX5 until INFO has said otherwise */
    struct hws_ctl_fwctl ctl;
    bool open;    /* ctl is in use */
    bool leaving; /* being closed: its node is no longer there, or has answered ENODEV */
    struct hws_serve_adapter *adapter; /* borrowed from serve */
};

struct hws_nodes {
    const struct hws_sys *sys; /* borrowed */
    struct hws_serve *serve;   /* borrowed */
    struct hws_watch *watch;   /* borrowed; makes a look due; NULL: only time does */
    uint64_t scan_ms;          /* the next look */
    bool closing;
    bool said_none; /* "no fwctl device" was logged */
    size_t
        n_left; /* fwctl nodes beyond HWS_DISCOVER_MAX at the last look, logged when it changes */
    size_t n;
    struct hws_node *list[HWS_DISCOVER_MAX]; /* owned */
};

void hws_nodes_init(struct hws_nodes *nodes, const struct hws_sys *sys, struct hws_watch *watch,
                    struct hws_serve *serve);

/* Looks for nodes when that is due, turns every channel; returns when next. */
uint64_t hws_nodes_turn(struct hws_nodes *nodes, uint64_t now_ms);

/* The descriptors of all channels and of the watch. */
size_t hws_nodes_fds(struct hws_nodes *nodes, int *out, size_t cap);

/* Begins to close every channel. */
void hws_nodes_close(struct hws_nodes *nodes);
bool hws_nodes_closed(const struct hws_nodes *nodes);

/* After closed. */
void hws_nodes_deinit(struct hws_nodes *nodes);

#endif
