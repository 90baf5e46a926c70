/* The calls of rig_settings.h. */
#include "rig_settings.h"

#include "base/str.h"
#include "test.h"

#define SETTINGS_MS 30000u /* an answer comes at once, but for a loaded machine */

void hws_rig_ask_plan(struct hws_rig *rig, const char *device, const char *name, const char *value,
                      struct hws_rig_reply *out)
{
    Hawser__V1__PlanConfigRequest q = HAWSER__V1__PLAN_CONFIG_REQUEST__INIT;
    Hawser__V1__Setting setting = HAWSER__V1__SETTING__INIT;
    Hawser__V1__Setting *settings[] = {&setting};

    setting.name = hws_rig_text(name);
    setting.value = hws_rig_text(value);
    q.device = hws_rig_text(device);
    q.settings = settings;
    q.n_settings = 1;
    hws_rig_call(rig, "/hawser.v1.ConfigService/Plan", &q.base, SETTINGS_MS, out);
}

Hawser__V1__PlanConfigResponse *hws_rig_plan(struct hws_rig *rig, const char *device,
                                             const char *name, const char *value)
{
    struct hws_rig_reply r;

    hws_rig_ask_plan(rig, device, name, value, &r);
    hws_rig_expect_ok(&r);
    Hawser__V1__PlanConfigResponse *plan = hawser__v1__plan_config_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_non_null(plan);
    hws_rig_reply_free(&r);
    return plan;
}

void hws_rig_apply(struct hws_rig *rig, const char *device, const char *name, const char *value,
                   const Hawser__V1__PlanConfigResponse *plan, const char *request_id,
                   struct hws_rig_reply *out)
{
    Hawser__V1__ApplyConfigRequest q = HAWSER__V1__APPLY_CONFIG_REQUEST__INIT;
    Hawser__V1__Setting setting = HAWSER__V1__SETTING__INIT;
    Hawser__V1__Setting *settings[] = {&setting};
    struct hws_rig_mutation m;

    setting.name = hws_rig_text(name);
    setting.value = hws_rig_text(value);
    q.device = hws_rig_text(device);
    q.settings = settings;
    q.n_settings = 1;
    q.plan_hash = plan->plan_hash;
    q.expected_revision = plan->revision;
    q.mutation = hws_rig_mutate(&m);
    q.mutation->request_id = hws_rig_text(request_id);
    hws_rig_call(rig, "/hawser.v1.ConfigService/Apply", &q.base, SETTINGS_MS, out);
}
