/* What plan, apply and reset share. */
#ifndef HWS_NVCONFIG_PLAN_PRIV_H
#define HWS_NVCONFIG_PLAN_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "ifc/call.h"
#include "nvconfig/apply.h"
#include "nvconfig/plan.h"

/* Indices of the named parameters, or of all, into chosen[HWS_NV_MAX_PARAMS]. Errors as
 * hws_nv_get_init. */
enum hws_code hws_nv_choose(const char *const *names, size_t n_names, uint8_t *chosen,
                            size_t *out_n, struct hws_err *err) HWS_MUST_USE;

/* An empty plan for the device: no wants yet. HWS_E_INVALID: the id is too long. */
enum hws_code hws_nv_plan_start(struct hws_nv_plan *plan, const char *device_id,
                                struct hws_err *err) HWS_MUST_USE;

/* The register bytes of a write into reg[HWS_NV_HEADER_BYTES + HWS_NV_TLV_MAX_BYTES]; returns their
 * length, sets the register's id. `back` writes the old bytes instead. */
size_t hws_nv_write_encode(const struct hws_nv_write *w, bool back, uint8_t *reg,
                           uint16_t *out_reg_id);

/* A read of the record's NEXT image. */
void hws_nv_read_back(struct hws_hca_regio *io, const struct hws_nv_write *w, uint64_t deadline_ms,
                      struct hws_ctl_call *call);

/* Zeroes the object and keeps what the caller saw; the plan inside is started after it. */
void hws_nv_apply_start(struct hws_nv_apply *apply, const struct hws_digest *plan_hash,
                        const struct hws_digest *expected_revision);

/* Puts every write of apply->plan back, as after a failure: then next and feed until outcome is
 * restored or in doubt. */
void hws_nv_apply_undo(struct hws_nv_apply *apply);

#endif
