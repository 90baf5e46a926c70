/* What recovery needs of the configuration service: the answer of a change that was cut off by a
 * restart and turned out done. */
#ifndef HWS_HAWSERD_SVC_CONFIG_H
#define HWS_HAWSERD_SVC_CONFIG_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "nvconfig/get.h"

/* Packs the answer that Apply (or Reset) would have given, from the values read back. HWS_E_NOMEM.
 */
enum hws_code hws_svc_config_recovered(const struct hws_nv_get *get, uint64_t operation_id,
                                       struct hws_buf *out) HWS_MUST_USE;

#endif
