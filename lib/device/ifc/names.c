/* Names of the numbers in the .def lists: one switch or scan per list, generated from it. */
#include "ifc/names.h"

#include <stddef.h>

#include "base/str.h"

struct name_row {
    uint16_t number;
    const char *name;
};

const char *hws_ifc_op_name(uint16_t op)
{
    switch (op) {
#define HWS_OPCODE(number, name, source)                                                           \
    case (number):                                                                                 \
        return #name;
#include "ifc/opcodes.def"
#undef HWS_OPCODE
    default:
        return "?";
    }
}

static bool find(const struct name_row *rows, size_t n_rows, const char *name, uint16_t *out)
{
    for (size_t i = 0; i < n_rows; i++) {
        if (hws_str_eq(rows[i].name, name)) {
            *out = rows[i].number;
            return true;
        }
    }
    return false;
}

bool hws_ifc_op_find(const char *name, uint16_t *out_op)
{
    static const struct name_row rows[] = {
#define HWS_OPCODE(number, name, source) {(number), #name},
#include "ifc/opcodes.def"
#undef HWS_OPCODE
    };
    return find(rows, sizeof(rows) / sizeof(rows[0]), name, out_op);
}

const char *hws_ifc_fw_status_name(uint8_t status)
{
    switch (status) {
#define HWS_FW_STATUS(number, name, text, source)                                                  \
    case (number):                                                                                 \
        return #name;
#include "ifc/status.def"
#undef HWS_FW_STATUS
    default:
        return "?";
    }
}

const char *hws_ifc_fw_status_text(uint8_t status)
{
    switch (status) {
#define HWS_FW_STATUS(number, name, text, source)                                                  \
    case (number):                                                                                 \
        return text;
#include "ifc/status.def"
#undef HWS_FW_STATUS
    default:
        return "unknown status";
    }
}

bool hws_ifc_fw_status_find(const char *name, uint8_t *out_status)
{
    static const struct name_row rows[] = {
#define HWS_FW_STATUS(number, name, text, source) {(number), #name},
#include "ifc/status.def"
#undef HWS_FW_STATUS
    };
    uint16_t number;

    if (!find(rows, sizeof(rows) / sizeof(rows[0]), name, &number)) {
        return false;
    }
    *out_status = (uint8_t)number;
    return true;
}

const char *hws_ifc_delivery_text(uint8_t delivery)
{
    switch (delivery) {
#define HWS_DELIVERY(number, name, text, source)                                                   \
    case (number):                                                                                 \
        return text;
#include "ifc/delivery.def"
#undef HWS_DELIVERY
    default:
        return "unknown delivery status";
    }
}
