/* core/rollout: plans and inventories from YAML. */
#include <string.h>

#include "rollout/inventory.h"
#include "test.h"

static const char good[] =
    "name: sriov-16\n"
    "settings: {NUM_OF_VFS: 16, SRIOV_EN: true}\n"
    "hosts:\n"
    "  - {name: host-a, target: \"10.0.0.1:7443\", device: \"0000:81:00.0\"}\n"
    "  - name: host-b\n"
    "    target: unix:/run/hawser/wire/hawser.sock\n"
    "canary: 1\n"
    "wave: 50%\n"
    "budget: 2\n"
    "in_flight: 4\n"
    "settle: 250ms\n"
    "gate_timeout: 1m\n";

static void whole_plan_is_read(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;

    assert_ok(hws_rollout_plan_from_yaml(&plan, good, strlen(good), false, &err), &err);

    assert_string_equal(plan.name, "sriov-16");
    assert_int_equal(plan.n_settings, 2);
    assert_string_equal(plan.settings[1].name, "SRIOV_EN");
    assert_string_equal(plan.settings[1].value, "true");
    assert_int_equal(plan.n_targets, 2);
    assert_string_equal(plan.targets[0].device, "0000:81:00.0");
    assert_string_equal(plan.targets[1].target, "unix:/run/hawser/wire/hawser.sock");
    assert_int_equal(plan.wave_kind, HWS_ROLLOUT_WAVE_PERCENT);
    assert_int_equal(plan.wave_size, 50);
    assert_int_equal(plan.budget, 2);
    assert_int_equal(plan.in_flight, 4);
    assert_int_equal(plan.settle_ms, 250);
    assert_int_equal(plan.gate_timeout_ms, 60000);
    hws_rollout_plan_deinit(&plan);
}

static void hosts_may_be_left_to_the_caller(void **state)
{
    static const char text[] = "name: x\nsettings: {A: 1}\n";
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;

    assert_ok(hws_rollout_plan_from_yaml(&plan, text, strlen(text), true, &err), &err);
    hws_rollout_plan_deinit(&plan);
    assert_code(hws_rollout_plan_from_yaml(&plan, text, strlen(text), false, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "hosts"));
}

static void bad_text_is_refused_with_line_and_reason(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "empty"},
        {"- a\n- b\n", "map"},
        {"name: x\nsettings: {A: 1}\nhosts: [{name: h, target: t}]\nwaves: 5\n", "line 4"},
        {"name: x\nsettings: {A: 1}\nhosts: [{name: h, target: t}]\nwaves: 5\n", "waves"},
        {"name: x\nsettings: {a: 1}\nhosts: [{name: h, target: t}]\n", "line 2"},
        {"name: x\nsettings: [A]\nhosts: [{name: h, target: t}]\n", "settings"},
        {"name: x\nsettings: {A: 1}\nhosts: {name: h, target: t}\n", "list"},
        {"name: x\nsettings: {A: 1}\nhosts: [{name: h}]\n", "target"},
        {"name: x\nsettings: {A: 1}\nhosts: [{name: h, target: t, port: 1}]\n", "port"},
        {"name: x\nsettings: {A: 1}\nhosts: []\n", "hosts"},
        {"name: x\nname: y\nsettings: {A: 1}\nhosts: [{name: h, target: t}]\n", "line"},
        {"name: x\nsettings: {A: 1}\nhosts: [{name: h, target: t}]\nsettle: soon\n", "settle"},
        {"name: x\nsettings: {A: 1}\nhosts: [{name: h, target: t}]\nbudget: -1\n", "allowed"},
        {"name: &a x\nsettings: {A: *a}\nhosts: [{name: h, target: t}]\n", "value"},
        {"name: [x\n", "line"},
        {"name: {x: y}\nsettings: {A: 1}\nhosts: [{name: h, target: t}]\n", "name"},
        {"\tname: x", "line"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_rollout_plan plan;
        struct hws_err err;
        assert_code(
            hws_rollout_plan_from_yaml(&plan, rows[i].text, strlen(rows[i].text), false, &err),
            HWS_E_INVALID);
        if (strstr(err.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.msg, rows[i].says);
        }
    }
}

static void inventory_adds_hosts_only(void **state)
{
    static const char text[] =
        "hosts:\n  - {name: a, target: 'x:1'}\n  - {name: b, target: 'y:1'}\n";
    static const char wrong[] = "hosts:\n  - {name: a, target: 'x:1'}\ncanary: 1\n";
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;
    hws_rollout_plan_init(&plan);

    assert_ok(hws_rollout_inventory_from_yaml(&plan, text, strlen(text), &err), &err);
    assert_int_equal(plan.n_targets, 2);
    assert_string_equal(plan.targets[1].host, "b");
    assert_code(hws_rollout_inventory_from_yaml(&plan, wrong, strlen(wrong), &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "canary"));
    hws_rollout_plan_deinit(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_plan_is_read),
        cmocka_unit_test(hosts_may_be_left_to_the_caller),
        cmocka_unit_test(bad_text_is_refused_with_line_and_reason),
        cmocka_unit_test(inventory_adds_hosts_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
