/*
 * The inventory: which hosts there are and how to reach them, from YAML text.
 *     hosts:
 *       - {name: host-a, target: "10.0.0.1:7443"}
 *       - {name: host-b, target: "unix:/run/hawser/wire/hawser.sock", device: "0000:81:00.0"}
 * Thread rule: one thread at a time. Pure.
 */
#ifndef HWS_ROLLOUT_INVENTORY_H
#define HWS_ROLLOUT_INVENTORY_H

#include "rollout/plan.h"

/*
 * Adds every host of the text to plan->targets (nothing else of the plan is looked at or changed;
 * after a failure some may have been added). HWS_E_INVALID with line and reason, HWS_E_BUSY over a
 * limit, HWS_E_NOMEM.
 */
enum hws_code hws_rollout_inventory_from_yaml(struct hws_rollout_plan *plan, const char *text,
                                              size_t n, struct hws_err *err) HWS_MUST_USE;

#endif
