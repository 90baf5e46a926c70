/*
 * Back to the factory's values: plan and apply as for settings, with the wanted bits taken from the
 * FACTORY image.
 *
 * Only the named parameters' own bits (and a valid bit no other parameter shares) go back;
 * neighbours in the same record keep theirs. A record that ends up wholly at its factory bytes is
 * invalidated (MNVDI), which also drops the user's claim on it; any other is written. Needs
 * firmware that gives the FACTORY image (MNVGC): HWS_E_UNSUPPORTED otherwise, since an effect that
 * cannot be computed beforehand cannot be verified after.
 */
#ifndef HWS_NVCONFIG_RESET_H
#define HWS_NVCONFIG_RESET_H

#include "nvconfig/apply.h"
#include "nvconfig/plan.h"

/*
 * The plan of resetting the named parameters, or (n_names 0) every parameter the adapter supports.
 * Then plan_next and plan_feed. Errors as hws_nv_get_init.
 */
enum hws_code hws_nv_reset_plan_init(struct hws_nv_plan *plan, const char *device_id,
                                     const char *const *names, size_t n_names, struct hws_err *err)
    HWS_MUST_USE;

/* Doing it; then apply_next and apply_feed. Hash and revision as in hws_nv_apply_init. */
enum hws_code hws_nv_reset_init(struct hws_nv_apply *apply, const char *device_id,
                                const char *const *names, size_t n_names,
                                const struct hws_digest *plan_hash,
                                const struct hws_digest *expected_revision, struct hws_err *err)
    HWS_MUST_USE;

#endif
