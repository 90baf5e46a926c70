/* Decisions: deny by default, deny wins, each dimension of a rule, the reason that people read. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "load_known.h"

static const char s_policy[] =
    "version: 1\n"
    "local:\n"
    "  \"0\": spiffe://d/operator/root\n"
    "  \"1000\": spiffe://d/viewer/dev\n"
    "rules:\n"
    "  - name: viewers-observe\n"
    "    principals: [spiffe://d/viewer/, \"dns:mon.example\"]\n"
    "    methods: [observe]\n"
    "    max_effect: read\n"
    "  - name: operators-configure\n"
    "    principals: [spiffe://d/operator/]\n"
    "    methods: [observe, configure]\n"
    "    max_effect: config-next-reset\n"
    "  - name: operators-registers\n"
    "    principals: [spiffe://d/operator/]\n"
    "    methods: [command.*]\n"
    "    targets: [MGIR, \"MNVDA:read\", QUERY_ADAPTER]\n"
    "    max_effect: full\n"
    "  - name: one-card\n"
    "    principals: [spiffe://d/card/one, \"unix:uid:7\"]\n"
    "    methods: [/hawser.v1.ConfigService/Apply]\n"
    "    devices: [\"pci:0000:81:00.0\", \"serial:S2\", \"mlx5:S3@0000:03:00.0\"]\n"
    "    max_effect: config-live\n"
    "  - name: locked-out\n"
    "    decision: deny\n"
    "    principals: [spiffe://d/operator/mallory]\n"
    "    methods: [\"*\"]\n"
    "  - name: no-writes-to-bad-card\n"
    "    decision: deny\n"
    "    principals: [\"*\"]\n"
    "    methods: [\"*\"]\n"
    "    devices: [\"serial:BAD\"]\n"
    "    min_effect: config-next-reset\n";

#define APPLY "/hawser.v1.ConfigService/Apply", "config.apply"
#define GET   "/hawser.v1.ConfigService/Get", "config.get"
#define EXEC  "/hawser.v1.CommandService/Execute", "command.execute"
#define TAIL  "/hawser.v1.AuditService/Tail", "audit.tail"
#define CARD1                                                                                      \
    {                                                                                              \
        "mlx5:S1@0000:81:00.0", "0000:81:00.0", "S1", NULL, NULL                                   \
    }
#define CARD2                                                                                      \
    {                                                                                              \
        "mlx5:S2@0000:82:00.0", "0000:82:00.0", "S2", NULL, NULL                                   \
    }
#define CARD3                                                                                      \
    {                                                                                              \
        "mlx5:S3@0000:03:00.0", "0000:03:00.0", "S3", NULL, NULL                                   \
    }
#define CARD4                                                                                      \
    {                                                                                              \
        "mlx5:S4@0000:04:00.0", "0000:04:00.0", "S4", NULL, NULL                                   \
    }
#define BAD                                                                                        \
    {                                                                                              \
        "mlx5:BAD@0000:05:00.0", "0000:05:00.0", "BAD", NULL, NULL                                 \
    }
#define NONE                                                                                       \
    {                                                                                              \
        NULL, NULL, NULL, NULL, NULL                                                               \
    }
#define PLAIN NULL, 0, false, 0, false, false /* nothing for conditions */

#define R  HWS_EFFECT_READ
#define RS HWS_EFFECT_READ_SENSITIVE
#define CN HWS_EFFECT_CONFIG_NEXT_RESET
#define CL HWS_EFFECT_CONFIG_LIVE

static const struct {
    struct hws_policy_request req;
    bool allowed;
    const char *rule;
    const char *reason; /* a part of it; NULL = not looked at */
} s_cases[] = {
    /* who */
    {{"spiffe://d/viewer/v", GET, CARD1, R, NULL, NULL, PLAIN},
     true,
     "viewers-observe",
     "allowed by rule viewers-observe"},
    {{"dns:mon.example", GET, CARD1, R, NULL, NULL, PLAIN}, true, "viewers-observe", NULL},
    {{"spiffe://d/viewer", GET, CARD1, R, NULL, NULL, PLAIN},
     false,
     "",
     "no rule names this principal"},
    {{"spiffe://d/viewer/", GET, CARD1, R, NULL, NULL, PLAIN}, false, "", NULL},
    {{"spiffe://d/viewerx/v", GET, CARD1, R, NULL, NULL, PLAIN}, false, "", NULL},
    {{"spiffe://e/viewer/v", GET, CARD1, R, NULL, NULL, PLAIN}, false, "", NULL},
    {{"SPIFFE://d/viewer/v", GET, CARD1, R, NULL, NULL, PLAIN}, false, "", NULL},
    {{"unix:uid:7", APPLY, CARD1, CN, NULL, NULL, PLAIN}, true, "one-card", NULL},
    {{"unix:uid:70", APPLY, CARD1, CN, NULL, NULL, PLAIN}, false, "", NULL},
    /* what, how far */
    {{"spiffe://d/viewer/v", GET, CARD1, RS, NULL, NULL, PLAIN},
     false,
     "",
     "rule viewers-observe allows up to read, not read-sensitive"},
    {{"spiffe://d/viewer/v", APPLY, CARD1, CN, NULL, NULL, PLAIN},
     false,
     "",
     "rule viewers-observe does not grant config.apply, and no other rule does"},
    {{"spiffe://d/viewer/v", EXEC, CARD1, R, "MGIR", "read", PLAIN},
     false,
     "",
     "does not grant command.execute"},
    {{"spiffe://d/operator/o", APPLY, CARD1, CN, NULL, NULL, PLAIN},
     true,
     "operators-configure",
     NULL},
    {{"spiffe://d/operator/o", APPLY, CARD1, CL, NULL, NULL, PLAIN},
     false,
     "",
     "allows up to config-next-reset, not config-live"},
    {{"spiffe://d/operator/o", TAIL, NONE, R, NULL, NULL, PLAIN}, false, "", NULL},
    /* registers */
    {{"spiffe://d/operator/o", EXEC, CARD1, R, "MGIR", "read", PLAIN},
     true,
     "operators-registers",
     NULL},
    {{"spiffe://d/operator/o", EXEC, CARD1, CN, "MGIR", "write", PLAIN},
     true,
     "operators-registers",
     NULL},
    {{"spiffe://d/operator/o", EXEC, CARD1, R, "MNVDA", "read", PLAIN},
     true,
     "operators-registers",
     NULL},
    {{"spiffe://d/operator/o", EXEC, CARD1, CN, "MNVDA", "write", PLAIN},
     false,
     "",
     "rule operators-registers does not name MNVDA"},
    {{"spiffe://d/operator/o", EXEC, CARD1, R, "QUERY_ADAPTER", "", PLAIN},
     true,
     "operators-registers",
     NULL},
    {{"spiffe://d/operator/o", EXEC, CARD1, R, "MGI", "read", PLAIN}, false, "", NULL},
    {{"spiffe://d/operator/o", EXEC, CARD1, R, "", "", PLAIN},
     false,
     "",
     "a call without a register"},
    /* devices */
    {{"spiffe://d/card/one", APPLY, CARD1, CN, NULL, NULL, PLAIN}, true, "one-card", NULL},
    {{"spiffe://d/card/one", APPLY, CARD2, CN, NULL, NULL, PLAIN}, true, "one-card", NULL},
    {{"spiffe://d/card/one", APPLY, CARD3, CN, NULL, NULL, PLAIN}, true, "one-card", NULL},
    {{"spiffe://d/card/one", APPLY, CARD4, CN, NULL, NULL, PLAIN},
     false,
     "",
     "rule one-card does not cover mlx5:S4@0000:04:00.0"},
    {{"spiffe://d/card/one", APPLY, NONE, CN, NULL, NULL, PLAIN},
     false,
     "",
     "does not cover all devices"},
    /* deny wins */
    {{"spiffe://d/operator/mallory", GET, CARD1, R, NULL, NULL, PLAIN},
     false,
     "locked-out",
     "denied by rule locked-out"},
    {{"spiffe://d/operator/o", APPLY, BAD, CN, NULL, NULL, PLAIN},
     false,
     "no-writes-to-bad-card",
     NULL},
    {{"spiffe://d/operator/o", GET, BAD, R, NULL, NULL, PLAIN}, true, "operators-configure", NULL},
    /* nothing */
    {{"", GET, CARD1, R, NULL, NULL, PLAIN}, false, "", "needs a principal"},
    {{"spiffe://d/viewer/v", GET, CARD1, HWS_EFFECT_NONE, NULL, NULL, PLAIN}, false, "", "needs"},
    {{"spiffe://d/viewer/v", GET, CARD1, HWS_N_EFFECTS, NULL, NULL, PLAIN}, false, "", "needs"},
    {{"spiffe://d/viewer/v", NULL, NULL, CARD1, R, NULL, NULL, PLAIN}, false, "", "needs"},
    {{NULL, NULL, NULL, NONE, R, NULL, NULL, PLAIN}, false, "", "needs"},
};

static void decisions_match_the_table(void **state)
{
    struct hws_policy *p = load(s_policy);

    (void)state;
    for (size_t i = 0; i < sizeof(s_cases) / sizeof(s_cases[0]); i++) {
        struct hws_policy_decision d;
        hws_policy_judge(p, &s_cases[i].req, &d);
        if (d.allowed != s_cases[i].allowed || strcmp(d.rule, s_cases[i].rule) != 0 ||
            (s_cases[i].reason != NULL && strstr(d.reason, s_cases[i].reason) == NULL)) {
            fail_msg("case %zu: allowed %d by \"%s\": %s", i, d.allowed, d.rule, d.reason);
        }
    }
    hws_policy_unref(p);
}

static void local_users_have_their_principals(void **state)
{
    struct hws_policy *p = load(s_policy);
    char buf[32];

    (void)state;
    assert_string_equal(hws_policy_local(p, 0, buf, sizeof(buf)), "spiffe://d/operator/root");
    assert_string_equal(hws_policy_local(p, 1000, buf, sizeof(buf)), "spiffe://d/viewer/dev");
    assert_string_equal(hws_policy_local(p, 4294967295u, buf, sizeof(buf)), "unix:uid:4294967295");
    hws_policy_unref(p);
}

static void rules_of_a_principal_are_listed(void **state)
{
    struct hws_policy *p = load(s_policy);
    const char *names[2];

    (void)state;
    assert_int_equal(hws_policy_rules_of(p, "spiffe://d/operator/o", names, 2), 3);
    assert_string_equal(names[0], "operators-configure");
    assert_string_equal(names[1], "operators-registers");
    hws_policy_unref(p);
}

/* Each rule says by itself where in the file it stands and why it does not match. */
static void every_rule_gives_its_line_and_its_reason(void **state)
{
    static const struct {
        unsigned line;
        bool deny;
        const char *why;
    } expected[] = {
        {6, false, "rule viewers-observe does not name this principal"},
        {10, false, "rule operators-configure does not grant command.execute"},
        {14, false, "rule operators-registers does not name PAOS"},
        {19, false, "rule one-card does not name this principal"},
        {24, true, "rule locked-out does not name this principal"},
        {28, true, "rule no-writes-to-bad-card does not cover mlx5:S1@0000:81:00.0"},
    };
    const struct hws_policy_request req = {
        "spiffe://d/operator/o", EXEC, CARD1, CL, "PAOS", "write", PLAIN};
    struct hws_policy *p = load(s_policy);
    struct hws_policy_decision d;
    (void)state;

    assert_int_equal(hws_policy_n_rules(p), sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < hws_policy_n_rules(p); i++) {
        struct hws_policy_verdict v;
        hws_policy_verdict(p, i, &req, &v);
        assert_int_equal(v.line, expected[i].line);
        assert_int_equal(v.deny, expected[i].deny);
        assert_false(v.matches);
        assert_string_equal(v.why, expected[i].why);
    }
    hws_policy_judge(p, &req, &d);
    assert_false(d.allowed);
    assert_int_equal(d.line, 0);

    const struct hws_policy_request good = {
        "spiffe://d/operator/o", EXEC, CARD1, R, "MGIR", "read", PLAIN};
    struct hws_policy_verdict v;
    hws_policy_verdict(p, 2, &good, &v);
    assert_true(v.matches);
    assert_string_equal(v.why, "");
    hws_policy_judge(p, &good, &d);
    assert_int_equal(d.line, 14);
    const struct hws_policy_request mild = {"spiffe://d/x/y", GET, BAD, R, NULL, NULL, PLAIN};
    hws_policy_verdict(p, 5, &mild, &v);
    assert_string_equal(v.why,
                        "rule no-writes-to-bad-card denies from config-next-reset, not read");
    hws_policy_unref(p);
}

/* The property behind "deny wins": adding a deny rule never allows anything that was denied, and
 * removing what it covers is all it does. */
static void deny_rule_only_takes_away(void **state)
{
    static const char *const principals[] = {"spiffe://d/viewer/v", "spiffe://d/operator/o",
                                             "spiffe://d/operator/mallory", "spiffe://d/card/one"};
    struct hws_policy *with = load(s_policy);
    char shorter[sizeof(s_policy)];
    const char *denials = strstr(s_policy, "  - name: locked-out");

    (void)state;
    assert_non_null(denials);
    assert_true(hws_str_copy_n(shorter, sizeof(shorter), s_policy, (size_t)(denials - s_policy)));
    struct hws_policy *without = load(shorter);
    for (size_t i = 0; i < sizeof(principals) / sizeof(principals[0]); i++) {
        for (size_t m = 0; m < N_KNOWN * HWS_N_EFFECTS; m++) {
            struct hws_policy_request req = {.principal = principals[i],
                                             .path = s_known[m % N_KNOWN].path,
                                             .permission = s_known[m % N_KNOWN].permission,
                                             .device.id = "mlx5:BAD@0000:81:00.0",
                                             .device.pci = "0000:81:00.0",
                                             .device.serial = "BAD",
                                             .effect = (enum hws_effect)(m / N_KNOWN),
                                             .target = "MGIR",
                                             .target_method = "read"};
            struct hws_policy_decision a;
            struct hws_policy_decision b;
            hws_policy_judge(with, &req, &a);
            hws_policy_judge(without, &req, &b);
            bool covered = i == 2 || req.effect >= HWS_EFFECT_CONFIG_NEXT_RESET;
            assert_int_equal(a.allowed, b.allowed && !covered);
        }
    }
    hws_policy_unref(with);
    hws_policy_unref(without);
}

static void shipped_example_says_what_it_claims(void **state)
{
    static char text[HWS_POLICY_MAX_BYTES];
    FILE *f = fopen(HWS_TESTS_DIR "/../docs/examples/policy.yaml", "rb");
    struct hws_policy_decision d;

    (void)state;
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    assert_int_equal(fclose(f), 0);
    text[n] = '\0';
    struct hws_policy *p = load(text);
    struct hws_policy_request req = {.principal = "spiffe://hawser.example/viewer/eve",
                                     .path = "/hawser.v1.CommandService/Execute",
                                     .permission = "command.execute",
                                     .effect = HWS_EFFECT_READ,
                                     .target = "MGIR",
                                     .target_method = "read"};
    hws_policy_judge(p, &req, &d);
    assert_false(d.allowed);
    assert_non_null(strstr(d.reason, "rule viewers-observe does not grant command.execute"));

    req.principal = "spiffe://hawser.example/operator/root";
    hws_policy_judge(p, &req, &d);
    assert_true(d.allowed);
    req.effect = HWS_EFFECT_DEBUG_WRITE;
    hws_policy_judge(p, &req, &d);
    assert_string_equal(d.rule, "no-debug-writes");
    hws_policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_match_the_table),
        cmocka_unit_test(local_users_have_their_principals),
        cmocka_unit_test(rules_of_a_principal_are_listed),
        cmocka_unit_test(every_rule_gives_its_line_and_its_reason),
        cmocka_unit_test(deny_rule_only_takes_away),
        cmocka_unit_test(shipped_example_says_what_it_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
