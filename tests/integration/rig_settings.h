/* Planning and applying one setting of an adapter over a rig's client. */
#ifndef HWS_TESTS_RIG_SETTINGS_H
#define HWS_TESTS_RIG_SETTINGS_H

#include "agent_rig.h"
#include "hawser/v1/config.pb-c.h"

/* However the call ends. */
void hws_rig_ask_plan(struct hws_rig *rig, const char *device, const char *name, const char *value,
                      struct hws_rig_reply *out);

/* The plan, which has to come; the caller frees it. */
Hawser__V1__PlanConfigResponse *hws_rig_plan(struct hws_rig *rig, const char *device,
                                             const char *name, const char *value);

/* Applies the plan of that setting, with the rig's fence. */
void hws_rig_apply(struct hws_rig *rig, const char *device, const char *name, const char *value,
                   const Hawser__V1__PlanConfigResponse *plan, const char *request_id,
                   struct hws_rig_reply *out);

#endif
