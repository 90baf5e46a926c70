/*
 * Opcodes, command status and delivery status as enumerations, and their names for people. One .def
 * file is the only list of each. Pure; any thread.
 */
#ifndef HWS_IFC_NAMES_H
#define HWS_IFC_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum hws_op {
#define HWS_OPCODE(number, name, source) HWS_OP_##name = (number),
#include "ifc/opcodes.def"
#undef HWS_OPCODE
};

enum hws_fw_status {
#define HWS_FW_STATUS(number, name, text, source) HWS_FW_##name = (number),
#include "ifc/status.def"
#undef HWS_FW_STATUS
};

enum hws_delivery {
#define HWS_DELIVERY(number, name, text, source) HWS_DLV_##name = (number),
#include "ifc/delivery.def"
#undef HWS_DELIVERY
};

/* "QUERY_HCA_CAP"; "?" for a number without a row. */
const char *hws_ifc_op_name(uint16_t op);

/* Sets *out_op to the opcode of that exact name; false if there is none. */
bool hws_ifc_op_find(const char *name, uint16_t *out_op);

/* "BAD_PARAM"; "?" for an unknown number. */
const char *hws_ifc_fw_status_name(uint8_t status);

/* "bad parameter"; "unknown status" for an unknown number. */
const char *hws_ifc_fw_status_text(uint8_t status);

/* Sets *out_status to the status of that exact name ("BAD_PARAM"); false if there is none. */
bool hws_ifc_fw_status_find(const char *name, uint8_t *out_status);

/* "bad block number"; "unknown delivery status" for an unknown number. */
const char *hws_ifc_delivery_text(uint8_t delivery);

#endif
