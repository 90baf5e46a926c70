/* Any bytes as a policy file: loading refuses or gives a policy that can be judged and explained.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hws_policy_method known[] = {
        {"/hawser.v1.DeviceService/List", "device.list"},
        {"/hawser.v1.ConfigService/Apply", "config.apply"},
        {"/hawser.v1.CommandService/Execute", "command.execute"}};
    struct hws_policy *p = NULL;
    struct hws_err err = {0};

    if (hws_policy_load(data, size, "f", known, 3, &p, &err) != HWS_OK) {
        hws_assert(err.code != HWS_OK && err.msg[0] != '\0');
        return 0;
    }
    struct hws_policy_request req = {.principal = "spiffe://d/operator/o",
                                     .path = known[2].path,
                                     .permission = known[2].permission,
                                     .device.id = "mlx5:S@0000:81:00.0",
                                     .device.pci = "0000:81:00.0",
                                     .device.serial = "S",
                                     .effect = HWS_EFFECT_READ,
                                     .target = "MGIR",
                                     .target_method = "read"};
    struct hws_policy_decision d;
    hws_policy_judge(p, &req, &d);
    hws_assert(d.reason[0] != '\0' && (!d.allowed || d.rule[0] != '\0'));

    bool allowed = false;
    bool denied = false;
    for (size_t i = 0; i < hws_policy_n_rules(p); i++) {
        struct hws_policy_verdict v;
        hws_policy_verdict(p, i, &req, &v);
        hws_assert(v.line > 0 && v.matches == (v.why[0] == '\0'));
        allowed = allowed || (v.matches && !v.deny);
        denied = denied || (v.matches && v.deny);
    }
    hws_assert(d.allowed == (allowed && !denied));
    hws_policy_unref(p);
    return 0;
}
