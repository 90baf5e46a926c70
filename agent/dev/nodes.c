/*
 * fwctl nodes as adapters; see nodes.h.
 *
 * A scan compares what discovery finds with what is served: a new address gets an adapter and its
 * node is opened; a known address whose channel is closed is opened again. An open channel whose
 * address is not found, or has another node by now, is closed: no later call on it can succeed, and
 * an idle one would never hear of it (a busy one learns it from ENODEV). Adapters are never
 * dropped.
 */
#include "nodes.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "drv/fwctl_abi.h"
#include "table/table.h"

static void channel_closed(struct hws_ctl *ctl);

void hws_nodes_init(struct hws_nodes *nodes, const struct hws_sys *sys, struct hws_watch *watch,
                    struct hws_serve *serve)
{
    memset(nodes, 0, sizeof *nodes);
    nodes->sys = sys;
    nodes->watch = watch;
    nodes->serve = serve;
}

/* Tells the keeper the node's state. Only a channel that is UP is handed out. */
static void announce(struct hws_node *node, enum hws_link_adapter_state state, const char *reason)
{
    struct hws_serve_facts facts = {.kind = node->kind,
                                    .state = state,
                                    .emulated = false,
                                    .depth = HWS_CTL_FWCTL_DEPTH,
                                    .pci = node->pci,
                                    .node = node->path,
                                    .backend = "fwctl",
                                    .reason = reason};
    struct hws_log_q quoted;

    hws_serve_update(node->adapter, state == HWS_LINK_ADAPTER_UP ? &node->ctl.ctl : NULL, &facts);
    hws_log(state == HWS_LINK_ADAPTER_UP ? "adapter_up" : "adapter_away",
            "pci=%s node=%s reason=%s", node->pci, node->path, hws_log_q(&quoted, reason));
}

static void close_channel(struct hws_node *node)
{
    node->ctl.ctl.ops->close(&node->ctl.ctl, channel_closed);
}

/* What FWCTL_INFO calls the device; NONE: a kind that is newer than we are. */
static enum hws_kind kind_of(uint32_t device_type)
{
    switch (device_type) {
    case HWS_FWCTL_TYPE_MLX5:
        return HWS_KIND_MLX5;
    case HWS_FWCTL_TYPE_CXL:
        return HWS_KIND_CXL;
    case HWS_FWCTL_TYPE_BNXT:
        return HWS_KIND_BNXT;
    case HWS_FWCTL_TYPE_PDS:
        return HWS_KIND_PDS;
    default:
        return HWS_KIND_NONE;
    }
}

static void state_changed(struct hws_ctl_fwctl *ctl)
{
    struct hws_node *node = ctl->ctl.data;

    if (ctl->state != HWS_CTL_FWCTL_UP) {
        node->leaving = ctl->state == HWS_CTL_FWCTL_GONE; /* look at once what is there now */
        announce(node,
                 ctl->state == HWS_CTL_FWCTL_GONE ? HWS_LINK_ADAPTER_AWAY : HWS_LINK_ADAPTER_FAILED,
                 ctl->why.msg);
        close_channel(node);
        return;
    }
    node->kind = kind_of(ctl->device_type);
    if (node->kind == HWS_KIND_MLX5) {
        announce(node, HWS_LINK_ADAPTER_UP, "");
        return;
    }
    /* Stays open and unused: opening it again would change nothing. */
    char reason[96];
    (void)hws_str_print(reason, sizeof reason,
                        "a device of kind %s (fwctl type %u): no reviewed command table; only mlx5 "
                        "has one",
                        hws_kind_name(node->kind), ctl->device_type);
    announce(node, HWS_LINK_ADAPTER_FAILED, reason);
}

static void channel_closed(struct hws_ctl *ctl)
{
    struct hws_node *node = ctl->data;

    hws_ctl_fwctl_deinit(&node->ctl);
    node->open = false;
    if (node->leaving) { /* its address may have a new node already */
        node->nodes->scan_ms = 0;
    }
}

static void open_node(struct hws_node *node)
{
    struct hws_err err;

    node->leaving = false;
    node->open = hws_ctl_fwctl_open(&node->ctl, node->nodes->sys, node->path, state_changed, node,
                                    &err) == HWS_OK;
    if (!node->open) {
        announce(node, HWS_LINK_ADAPTER_FAILED, err.msg);
    }
}

static struct hws_node *node_at(struct hws_nodes *nodes, const char *pci)
{
    for (size_t i = 0; i < nodes->n; i++) {
        if (hws_str_eq(nodes->list[i]->pci, pci)) {
            return nodes->list[i];
        }
    }
    return NULL;
}

/* A new address: adapter and node. NULL: no memory, or too many; the next scan tries again. */
static struct hws_node *add_node(struct hws_nodes *nodes, const struct hws_discovered *found)
{
    struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_AWAY,
                                    .depth = HWS_CTL_FWCTL_DEPTH,
                                    .pci = found->pci,
                                    .node = found->node,
                                    .backend = "fwctl",
                                    .reason = "the node is being opened"};
    struct hws_node *node = nodes->n < HWS_DISCOVER_MAX ? hws_mem_zalloc(1, sizeof *node) : NULL;

    if (node == NULL || hws_serve_add(nodes->serve, NULL, &facts, &node->adapter, NULL) != HWS_OK) {
        hws_mem_free(node);
        return NULL;
    }
    node->nodes = nodes;
    node->kind = HWS_KIND_MLX5;
    (void)hws_str_copy(node->pci, sizeof node->pci, found->pci);
    nodes->list[nodes->n++] = node;
    return node;
}

/* Closes what is open and no longer there. A channel that waits for the kernel takes its time. */
static void leave_lost(struct hws_nodes *nodes, const struct hws_discovered *found, size_t n)
{
    for (size_t i = 0; i < nodes->n; i++) {
        struct hws_node *node = nodes->list[i];
        size_t k = 0;

        while (k < n &&
               !(hws_str_eq(found[k].pci, node->pci) && hws_str_eq(found[k].node, node->path))) {
            k++;
        }
        if (k == n && node->open && !node->leaving) {
            node->leaving = true;
            announce(node, HWS_LINK_ADAPTER_AWAY, "unbound, unplugged or renumbered");
            close_channel(node);
        }
    }
}

static void scan(struct hws_nodes *nodes)
{
    struct hws_discovered found[HWS_DISCOVER_MAX];
    struct hws_log_q quoted;
    struct hws_err err;
    size_t n = 0;
    size_t n_left = 0;

    if (hws_discover(nodes->sys, found, &n, &n_left, &err) != HWS_OK) {
        hws_log("scan_failed", "reason=%s", hws_log_q(&quoted, err.msg));
        return;
    }
    if (n == 0 && !nodes->said_none) {
        hws_log("no_fwctl_device", "class=/sys/class/fwctl next_look_ms=%u", HWS_NODES_SCAN_MS);
    }
    nodes->said_none = n == 0;
    if (n_left != nodes->n_left && n_left != 0) {
        hws_log("too_many_fwctl_devices", "served=%zu left_out=%zu max=%u", n, n_left,
                HWS_DISCOVER_MAX);
    }
    nodes->n_left = n_left;
    leave_lost(nodes, found, n);
    for (size_t i = 0; i < n; i++) {
        struct hws_node *node = node_at(nodes, found[i].pci);

        if (node == NULL) {
            node = add_node(nodes, &found[i]);
        }
        if (node != NULL && !node->open) {
            (void)hws_str_copy(node->path, sizeof node->path, found[i].node);
            open_node(node);
        }
    }
}

uint64_t hws_nodes_turn(struct hws_nodes *nodes, uint64_t now_ms)
{
    uint64_t next_ms;

    if (nodes->watch != NULL && hws_watch_changed(nodes->watch)) {
        nodes->scan_ms = 0;
    }
    if (now_ms >= nodes->scan_ms && !nodes->closing) {
        scan(nodes);
        nodes->scan_ms = now_ms + HWS_NODES_SCAN_MS;
    }
    next_ms = nodes->closing ? UINT64_MAX : nodes->scan_ms;
    for (size_t i = 0; i < nodes->n; i++) {
        struct hws_node *node = nodes->list[i];

        if (node->open) {
            uint64_t due_ms = node->ctl.ctl.ops->turn(&node->ctl.ctl, now_ms);

            next_ms = due_ms < next_ms ? due_ms : next_ms;
        }
    }
    return next_ms;
}

size_t hws_nodes_fds(struct hws_nodes *nodes, int *out, size_t cap)
{
    size_t n = 0;

    if (nodes->watch != NULL && cap > 0) {
        out[n++] = nodes->watch->fd;
    }
    for (size_t i = 0; i < nodes->n && n < cap; i++) {
        if (nodes->list[i]->open) {
            out[n++] = nodes->list[i]->ctl.ctl.ops->fd(&nodes->list[i]->ctl.ctl);
        }
    }
    return n;
}

void hws_nodes_close(struct hws_nodes *nodes)
{
    nodes->closing = true;
    for (size_t i = 0; i < nodes->n; i++) {
        if (nodes->list[i]->open) {
            announce(nodes->list[i], HWS_LINK_ADAPTER_AWAY, "the device process is stopping");
            close_channel(nodes->list[i]);
        }
    }
}

bool hws_nodes_closed(const struct hws_nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++) {
        if (nodes->list[i]->open) {
            return false;
        }
    }
    return true;
}

void hws_nodes_deinit(struct hws_nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++) {
        hws_mem_free(nodes->list[i]);
    }
    memset(nodes, 0, sizeof *nodes);
}
