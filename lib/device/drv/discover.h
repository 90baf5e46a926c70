/* Which fwctl nodes there are, and at which PCI address. The number in a node's name changes when
 * the driver comes back, so the address is the key. */
#ifndef HWS_DRV_DISCOVER_H
#define HWS_DRV_DISCOVER_H

#include <stddef.h>

#include "base/err.h"
#include "drv/sys.h"

#define HWS_DISCOVER_MAX 64u

struct hws_discovered {
    char pci[32];  /* "0000:81:00.0" */
    char node[48]; /* "/dev/fwctl/fwctl0" */
};

/*
 * Fills out[HWS_DISCOVER_MAX], in PCI address order, and *out_n; of more nodes the first by address
 * are there and *out_n_left counts the others. No fwctl class in sysfs means none, not an error.
 * HWS_E_IO, and nothing is written to the three.
 */
enum hws_code hws_discover(const struct hws_sys *sys, struct hws_discovered *out, size_t *out_n,
                           size_t *out_n_left, struct hws_err *err) HWS_MUST_USE;

#endif
