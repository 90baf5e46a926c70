/* Whether a rule is for a request: devices by part and PSID, fields, windows of time, approval and
 * lock. */
#include "base/str.h"
#include "load_known.h"

#define RULE(more)                                                                                 \
    "version: 1\nrules:\n  - name: r\n    principals: [spiffe://d/o/]\n"                           \
    "    methods: [command.execute]\n    targets: [PAOS]\n    max_effect: config-live\n" more
#define DENY(more)                                                                                 \
    "  - name: no\n    decision: deny\n    principals: [\"*\"]\n    methods: [\"*\"]\n" more

static void judge(const char *policy, const struct hws_policy_request *with,
                  struct hws_policy_decision *out)
{
    static char kept[HWS_POLICY_NAME_MAX_BYTES + 1];
    struct hws_policy *p = load(policy);
    struct hws_policy_request req = *with;

    req.principal = "spiffe://d/o/p";
    req.path = "/hawser.v1.CommandService/Execute";
    req.permission = "command.execute";
    req.device.id = "mlx5:S1@0000:81:00.0";
    req.effect = HWS_EFFECT_CONFIG_LIVE;
    req.target = "PAOS";
    req.target_method = "write";
    hws_policy_judge(p, &req, out);
    (void)hws_str_copy(kept, sizeof(kept), out->rule);
    out->rule = kept; /* the policy's own goes with it */
    hws_policy_unref(p);
}

/* A '*' at the end of a part number or PSID stands for the family; what is not known is of none. */
static void devices_are_selected_by_part_and_psid(void **state)
{
    static const struct {
        const char *selector;
        const char *part;
        const char *psid;
        bool fits;
    } rows[] = {
        {"part:MCX755106AS-HEAT", "MCX755106AS-HEAT", "MT_0000000834", true},
        {"part:MCX755106AS-HEAT", "MCX755106AS-HEA", "MT_0000000834", false},
        {"part:MCX755106AS-HEA", "MCX755106AS-HEAT", "MT_0000000834", false},
        {"part:MCX755106AS-HEAT", "MT_0000000834", "MCX755106AS-HEAT", false},
        {"part:MCX7*", "MCX755106AS-HEAT", "MT_0000000834", true},
        {"part:MCX7*", "MCX623106AS-CDAT", "MT_0000000834", false},
        {"part:MCX7*", "", "", false},
        {"part:MCX7*", NULL, NULL, false},
        {"psid:MT_0000000834", "MCX755106AS-HEAT", "MT_0000000834", true},
        {"psid:MT_0000000834", "MCX755106AS-HEAT", "MT_0000000835", false},
        {"psid:MT_*", "MCX755106AS-HEAT", "MT_0000000834", true},
        {"psid:MT_*", "MCX755106AS-HEAT", "DEL0000000001", false},
        {"psid:MT_*", "MT_", "", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_policy_request req = {.device = {.part = rows[i].part, .psid = rows[i].psid}};
        struct hws_policy_decision d;
        char policy[512];
        (void)hws_str_print(policy, sizeof(policy), RULE("    devices: [\"%s\"]\n"),
                            rows[i].selector);
        judge(policy, &req, &d);
        if (d.allowed != rows[i].fits) {
            fail_msg("row %zu: %s", i, d.reason);
        }
    }
}

/* Of two rules that allow, the first in the file decides; of a rule that denies, a verdict says
 * what it does not cover. */
static void first_rule_that_allows_decides(void **state)
{
    static const char *const fields[] = {"local_port"};
    struct hws_policy *p = load(
        RULE("  - name: s\n    principals: [spiffe://d/o/]\n"
             "    methods: [command.*]\n    max_effect: full\n") "  - name: no\n    decision: "
                                                                 "deny\n    principals: [\"*\"]\n"
                                                                 "    methods: [config.get]\n"
                                                                 "  - name: nor\n    decision: "
                                                                 "deny\n    principals: [\"*\"]\n"
                                                                 "    methods: [\"*\"]\n    "
                                                                 "targets: [PAOS]\n"
                                                                 "    fields: [swid]\n");
    const struct hws_policy_request req = {.principal = "spiffe://d/o/p",
                                           .path = "/hawser.v1.CommandService/Execute",
                                           .permission = "command.execute",
                                           .device.id = "mlx5:S1@0000:81:00.0",
                                           .effect = HWS_EFFECT_CONFIG_LIVE,
                                           .target = "PAOS",
                                           .target_method = "write",
                                           .fields = fields,
                                           .n_fields = 1};
    struct hws_policy_decision d;
    struct hws_policy_verdict v;
    (void)state;

    hws_policy_judge(p, &req, &d);
    assert_true(d.allowed);
    assert_string_equal(d.rule, "r");
    hws_policy_verdict(p, 2, &req, &v);
    assert_string_equal(v.why, "rule no does not deny command.execute");
    hws_policy_verdict(p, 3, &req, &v);
    assert_string_equal(v.why, "rule nor names fields, and this call gives none of them");
    hws_policy_unref(p);
}

static void rule_with_fields_covers_those_fields_only(void **state)
{
    static const char *const good[] = {"admin_status", "local_port"};
    static const char *const odd[] = {"local_port", "swid"};
    static const char *const odd_first[] = {"swid", "local_port"};
    const char *policy = RULE("    fields: [local_port, admin_status, \"x.y[3]\"]\n");
    const char *deny = RULE(DENY("    targets: [PAOS]\n    fields: [swid]\n"));
    struct hws_policy_decision d;
    (void)state;

    judge(policy, &(struct hws_policy_request){.fields = good, .n_fields = 2}, &d);
    assert_true(d.allowed);
    judge(policy, &(struct hws_policy_request){.fields = odd, .n_fields = 2}, &d);
    assert_false(d.allowed);
    assert_non_null(strstr(d.reason, "rule r does not name field swid"));
    judge(policy, &(struct hws_policy_request){.fields = odd_first, .n_fields = 2}, &d);
    assert_non_null(strstr(d.reason, "rule r does not name field swid"));
    judge(policy, &(struct hws_policy_request){.raw = true}, &d);
    assert_non_null(strstr(d.reason, "names fields, and this call gives bytes"));
    judge(policy, &(struct hws_policy_request){0}, &d);
    assert_non_null(strstr(d.reason, "gives none of them"));

    judge(deny, &(struct hws_policy_request){.fields = good, .n_fields = 2}, &d);
    assert_true(d.allowed);
    judge(deny, &(struct hws_policy_request){.fields = odd, .n_fields = 2}, &d);
    assert_string_equal(d.rule, "no");
    judge(deny, &(struct hws_policy_request){.raw = true}, &d);
    assert_string_equal(d.rule, "no");
    judge(deny, &(struct hws_policy_request){0}, &d);
    assert_string_equal(d.rule, "no");
}

/* Seconds since 1970 of a day of March 2026, UTC; the 1st was a Sunday. */
#define AT(day, hour, minute)                                                                      \
    (UINT64_C(60) *                                                                                \
     (UINT64_C(29538720) + ((day)-1) * UINT64_C(1440) + (hour)*UINT64_C(60) + UINT64_C(minute)))

static void rule_with_a_window_counts_within_it_only(void **state)
{
    static const struct {
        const char *when;
        uint64_t at;
        bool allowed;
    } cases[] = {
        {"{days: [mon, tue]}", AT(2, 0, 0), true},
        {"{days: [mon, tue]}", AT(3, 23, 59), true},
        {"{days: [mon, tue]}", AT(1, 23, 59), false},
        {"{days: [mon, tue]}", AT(4, 0, 0), false},
        {"{days: [sun]}", AT(1, 12, 0), true},
        {"{days: [sat]}", AT(7, 12, 0), true},
        {"{hours: \"08:00-18:00\"}", AT(2, 7, 59), false},
        {"{hours: \"08:00-18:00\"}", AT(2, 8, 0), true},
        {"{hours: \"08:00-18:00\"}", AT(2, 17, 59), true},
        {"{hours: \"08:00-18:00\"}", AT(2, 18, 0), false},
        {"{hours: \"00:00-24:00\"}", AT(2, 23, 59), true},
        {"{hours: \"00:00-24:00\"}", 0, false}, /* the time is not known */
        {"{days: [fri], hours: \"22:00-06:00\"}", AT(6, 21, 59), false},
        {"{days: [fri], hours: \"22:00-06:00\"}", AT(6, 22, 0), true},
        {"{days: [fri], hours: \"22:00-06:00\"}", AT(7, 5, 59), true}, /* it began on Friday */
        {"{days: [fri], hours: \"22:00-06:00\"}", AT(7, 6, 0), false},
        {"{days: [fri], hours: \"22:00-06:00\"}", AT(7, 22, 0), false},
        {"{days: [sat], hours: \"22:00-06:00\"}", AT(8, 1, 0), true},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_policy_decision d;
        char text[512];
        hws_str_print(text, sizeof(text), "%s    when: %s\n", RULE(""), cases[i].when);
        judge(text, &(struct hws_policy_request){.unix_s = cases[i].at}, &d);
        if (d.allowed != cases[i].allowed) {
            fail_msg("case %zu: %s at %llu: %s", i, cases[i].when, (unsigned long long)cases[i].at,
                     d.reason);
        }
        if (!d.allowed) {
            assert_non_null(strstr(d.reason, "does not count at this hour"));
        }
    }
}

static void deny_rule_with_a_window_denies_when_the_time_is_unknown(void **state)
{
    const char *policy = RULE(DENY("    when: {hours: \"08:00-18:00\"}\n"));
    struct hws_policy_decision d;
    (void)state;

    judge(policy, &(struct hws_policy_request){.unix_s = AT(2, 9, 0)}, &d);
    assert_string_equal(d.rule, "no");
    judge(policy, &(struct hws_policy_request){.unix_s = AT(2, 19, 0)}, &d);
    assert_true(d.allowed);
    judge(policy, &(struct hws_policy_request){0}, &d);
    assert_string_equal(d.rule, "no");
}

static void approval_and_lock_are_conditions(void **state)
{
    struct hws_policy_decision d;
    (void)state;

    judge(RULE("    when: {approval: required}\n"), &(struct hws_policy_request){0}, &d);
    assert_non_null(strstr(d.reason, "rule r wants the approval of a second principal"));
    judge(RULE("    when: {approval: required}\n"), &(struct hws_policy_request){.approved = true},
          &d);
    assert_true(d.allowed);
    judge(RULE("    when: {lock: held}\n"), &(struct hws_policy_request){.approved = true}, &d);
    assert_non_null(strstr(d.reason, "rule r is for who has locked the device"));
    judge(RULE("    when: {lock: held}\n"), &(struct hws_policy_request){.holds_lock = true}, &d);
    assert_true(d.allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_selected_by_part_and_psid),
        cmocka_unit_test(first_rule_that_allows_decides),
        cmocka_unit_test(rule_with_fields_covers_those_fields_only),
        cmocka_unit_test(rule_with_a_window_counts_within_it_only),
        cmocka_unit_test(deny_rule_with_a_window_denies_when_the_time_is_unknown),
        cmocka_unit_test(approval_and_lock_are_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
