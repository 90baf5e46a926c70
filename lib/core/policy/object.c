/* What a person calls the object and the device of a request: for asking what the policy would say.
 */
#include <string.h>

#include "base/str.h"
#include "policy/policy.h"
#include "table/table.h"

/* The row of that name and method; a name stands for a command or for a register, never for both.
 */
static const struct hws_table_row *find(const char *name, const char *method)
{
    for (uint16_t id = 1; id < hws_table_n(); id++) {
        const struct hws_table_row *row = hws_table_at(id);
        const char *wanted = row->method == HWS_REG_NONE || method[0] != '\0' ? method : "read";
        if (hws_str_eq(row->name, name) && hws_str_eq(hws_reg_method_name(row->method), wanted)) {
            return row;
        }
    }
    return NULL;
}

enum hws_code hws_policy_object(const char *object, char *name, size_t cap,
                                struct hws_policy_request *req, struct hws_err *err)
{
    size_t n = strcspn(object, ":");
    const char *method = object[n] == '\0' ? "" : object + n + 1;

    if (object[0] == '\0') {
        return req->effect != HWS_EFFECT_NONE
                   ? HWS_OK
                   : hws_err_set(err, HWS_E_INVALID,
                                 "an effect is needed where no register or command says it");
    }
    const struct hws_table_row *row =
        hws_str_copy_n(name, cap, object, n) ? find(name, method) : NULL;
    if (row == NULL) {
        return hws_err_set(err, HWS_E_INVALID,
                           "no register or command \"%.80s\" in the table; a register is NAME, "
                           "NAME:read or NAME:write",
                           object);
    }
    req->target = name;
    req->target_method = hws_reg_method_name(row->method);
    if (req->effect == HWS_EFFECT_NONE) {
        req->effect = row->effect;
    }
    return HWS_OK;
}

void hws_policy_device(const char *id, struct hws_policy_device *out,
                       struct hws_policy_request *req)
{
    const char *serial = strchr(id, ':');
    const char *at = strrchr(id, '@');

    if (serial == NULL || at == NULL || at < serial ||
        !hws_str_copy_n(out->serial, sizeof(out->serial), serial + 1, (size_t)(at - serial - 1)) ||
        !hws_str_copy(out->pci, sizeof(out->pci), at + 1)) {
        out->serial[0] = '\0';
        out->pci[0] = '\0';
    }
    req->device.id = id;
    req->device.pci = out->pci;
    req->device.serial = out->serial;
}
