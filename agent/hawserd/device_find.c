/* Finding an adapter by what a caller calls it, and saying whether it takes commands. */
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "hawserd/device.h"

static bool matches(const struct hws_adapter *a, const char *text)
{
    return hws_str_eq(a->id, text) || hws_str_eq(a->port->pci, text) ||
           (a->known && hws_str_eq(a->identity.serial, text));
}

struct hws_policy_card hws_device_card(const struct hws_adapter *a)
{
    struct hws_policy_card card = {"", "", "", "", ""};

    if (a != NULL) {
        card.id = a->id;
        card.pci = a->port->pci;
    }
    if (a != NULL && a->known) {
        card.serial = a->identity.serial;
        card.part = a->identity.part_number;
        card.psid = a->identity.psid;
    }
    return card;
}

/* The ids of all adapters, as many as fit. */
static void list_ids(const struct hws_devices *d, char *dst, size_t cap)
{
    size_t used = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < d->n && used + 1 < cap; i++) {
        hws_str_print(dst + used, cap - used, "%s%s", i == 0 ? "" : ", ", d->adapters[i]->id);
        used += strlen(dst + used);
    }
}

enum hws_code hws_devices_all_told(const struct hws_devices *d, struct hws_err *err)
{
    if (d->greeted && d->n >= d->n_promised) {
        return HWS_OK;
    }
    hws_err_set(err, HWS_E_GONE,
                "the device process has not told yet which adapters there are; try again");
    hws_err_at(err, HWS_STAGE_NOT_SENT);
    return HWS_E_GONE;
}

/* No adapter is called `text`; an error that says whether that can change by itself. */
static enum hws_code not_found(const struct hws_devices *d, const char *text, struct hws_err *err)
{
    char quoted[64];
    char ids[160];

    if (hws_devices_all_told(d, err) != HWS_OK) {
        return HWS_E_GONE;
    }
    hws_str_quote(quoted, sizeof(quoted), text, strlen(text));
    for (size_t i = 0; i < d->n; i++) {
        const struct hws_adapter *a = d->adapters[i];
        hws_assert(a != NULL);
        if (!a->known && a->state != HWS_DEVICE_FAILED) {
            hws_err_set(err, HWS_E_GONE,
                        "no device \"%s\" among those identified; the adapter at %.40s is %s: "
                        "%.100s",
                        quoted, a->port->pci, hws_device_state_name(a->state), a->reason);
            hws_err_at(err, HWS_STAGE_NOT_SENT);
            return HWS_E_GONE;
        }
    }
    list_ids(d, ids, sizeof(ids));
    return hws_err_set(err, HWS_E_NOT_FOUND, "no device \"%s\"; this host has %s", quoted,
                       d->n == 0 ? "none" : ids);
}

enum hws_code hws_devices_find(const struct hws_devices *d, const char *text,
                               struct hws_adapter **out, struct hws_err *err)
{
    struct hws_adapter *found = NULL;
    char ids[160];

    if (text[0] == '\0') {
        list_ids(d, ids, sizeof(ids));
        return hws_err_set(err, HWS_E_INVALID, "device is required; this host has %s",
                           d->n == 0 ? "none" : ids);
    }
    for (size_t i = 0; i < d->n; i++) {
        if (!matches(d->adapters[i], text)) {
            continue;
        }
        if (found != NULL) {
            return hws_err_set(err, HWS_E_INVALID,
                               "device \"%.60s\" is the serial of several adapters: %.60s and "
                               "%.60s; name one by its id or PCI address",
                               text, found->id, d->adapters[i]->id);
        }
        found = d->adapters[i];
    }
    if (found == NULL) {
        return not_found(d, text, err);
    }
    *out = found;
    return HWS_OK;
}

enum hws_code hws_device_usable(const struct hws_adapter *a, struct hws_err *err)
{
    if (a->state == HWS_DEVICE_READY) {
        return HWS_OK;
    }
    hws_err_set(err, HWS_E_GONE, "adapter %.60s is %s: %.170s", a->id,
                hws_device_state_name(a->state), a->reason);
    hws_err_at(err, HWS_STAGE_NOT_SENT);
    return HWS_E_GONE;
}
