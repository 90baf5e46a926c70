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

/* The index where one more goes: behind the others, or, when out is full, that of the last by
 * address if it comes before that one; HWS_DISCOVER_MAX: it stays out. */
static size_t place_for(const struct hws_discovered *out, size_t n,
                        const struct hws_discovered *found)
{
    size_t last = 0;

    if (n < HWS_DISCOVER_MAX) {
        return n;
    }
    for (size_t i = 1; i < n; i++) {
        last = by_address(&out[i], &out[last]) > 0 ? i : last;
    }
    return by_address(found, &out[last]) < 0 ? last : HWS_DISCOVER_MAX;
}

enum hws_code hws_discover(const struct hws_sys *sys, struct hws_discovered *out, size_t *out_n,
                           size_t *out_n_left, struct hws_err *err)
{
    char names[NAMES_BYTES];
    int n_bytes = sys->list(sys->data, CLASS_DIR, names, sizeof names);
    size_t n = 0;
    size_t n_found = 0;

    if (n_bytes == -ENOENT) {
        *out_n = 0;
        *out_n_left = 0;
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
        size_t place = place_for(out, n, &found);

        if (place < HWS_DISCOVER_MAX) {
            out[place] = found;
        }
        n_found++;
        n = n_found < HWS_DISCOVER_MAX ? n_found : HWS_DISCOVER_MAX;
    }
    qsort(out, n, sizeof out[0], by_address);
    *out_n = n;
    *out_n_left = n_found - n;
    return HWS_OK;
}
