/*
 * Reads /sys/class/fwctl: one entry per node; its `device` link ends in the PCI function
 * (drivers/fwctl/main.c, Linux 7.2.13: the parent is the function itself).
 */
#include "drv/discover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define CLASS_DIR   "/sys/class/fwctl"
#define NODE_DIR    "/dev/fwctl"
#define NAMES_BYTES 4096u

static int by_address(const void *a, const void *b)
{
    return strcmp(((const struct hws_discovered *)a)->pci, ((const struct hws_discovered *)b)->pci);
}

/* False: the node went away meanwhile, or is none of ours. */
static bool look_at(const struct hws_sys *sys, const char *name, struct hws_discovered *out)
{
    char path[300];
    char link[512];
    const char *last;

    if (!hws_str_starts(name, "fwctl") ||
        !hws_str_print(path, sizeof path, CLASS_DIR "/%s/device", name) ||
        sys->readlink(sys->data, path, link, sizeof link) <= 0) {
        return false;
    }
    last = strrchr(link, '/');
    last = last != NULL ? last + 1 : link;
    return last[0] != 0 && hws_str_copy(out->pci, sizeof out->pci, last) &&
           hws_str_print(out->node, sizeof out->node, NODE_DIR "/%s", name);
}

enum hws_code hws_discover(const struct hws_sys *sys, struct hws_discovered *out, size_t *out_n,
                           struct hws_err *err)
{
    char names[NAMES_BYTES];
    int n_bytes = sys->list(sys->data, CLASS_DIR, names, sizeof names);
    size_t n = 0;

    if (n_bytes == -ENOENT) {
        *out_n = 0;
        return HWS_OK;
    }
    if (n_bytes < 0) {
        return hws_err_set(err, HWS_E_IO, "reading " CLASS_DIR " (errno %d)", -n_bytes);
    }
    for (const char *name = names; name < names + n_bytes; name += strlen(name) + 1) {
        struct hws_discovered found;

        if (!look_at(sys, name, &found)) {
            continue;
        }
        if (n == HWS_DISCOVER_MAX) {
            return hws_err_set(err, HWS_E_BUSY, "more than %u fwctl nodes", HWS_DISCOVER_MAX);
        }
        out[n++] = found;
    }
    qsort(out, n, sizeof out[0], by_address);
    *out_n = n;
    return HWS_OK;
}
