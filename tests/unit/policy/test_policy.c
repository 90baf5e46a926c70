/* Decisions: deny by default, deny wins, each dimension of a rule, the reason that people read. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "known_methods.h"
#include "test.h"

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

static struct hws_policy *load(const char *text)
{
    struct hws_policy *p = NULL;
    struct hws_err err;

    assert_ok(hws_policy_load(text, strlen(text), "policy.yaml", s_known, N_KNOWN, &p, &err), &err);
    return p;
}

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

/* ---- fields and conditions ---------------------------------------------------------------------
 */

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
    const struct hws_policy_request req = {"spiffe://d/o/p", EXEC, CARD1, CL, "PAOS", "write",
                                           fields,           1,    false, 0,  false,  false};
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

static void object_of_a_request_is_found_in_the_table(void **state)
{
    static const struct {
        const char *object;
        enum hws_effect given;
        const char *target;
        const char *method;
        enum hws_effect effect; /* NONE: refused */
    } cases[] = {
        {"MGIR", HWS_EFFECT_NONE, "MGIR", "read", HWS_EFFECT_READ},
        {"MNVDA:write", HWS_EFFECT_NONE, "MNVDA", "write", HWS_EFFECT_CONFIG_NEXT_RESET},
        {"MNVDA:write", HWS_EFFECT_FULL, "MNVDA", "write", HWS_EFFECT_FULL},
        {"QUERY_ADAPTER", HWS_EFFECT_NONE, "QUERY_ADAPTER", "", HWS_EFFECT_READ},
        {"", HWS_EFFECT_CONFIG_LIVE, NULL, NULL, HWS_EFFECT_CONFIG_LIVE},
        {"", HWS_EFFECT_NONE, NULL, NULL, HWS_EFFECT_NONE},
        {"QUERY_ADAPTER:read", HWS_EFFECT_READ, NULL, NULL, HWS_EFFECT_NONE},
        {"MGIR:execute", HWS_EFFECT_READ, NULL, NULL, HWS_EFFECT_NONE},
        {"NOTHING", HWS_EFFECT_READ, NULL, NULL, HWS_EFFECT_NONE},
        {"A_NAME_OF_MORE_THAN_SIXTY_FOUR_BYTES_IS_NO_NAME_IN_THE_COMMAND_TABLE", HWS_EFFECT_READ,
         NULL, NULL, HWS_EFFECT_NONE},
    };
    char name[65];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_policy_request req = {.effect = cases[i].given};
        struct hws_err err;
        enum hws_code rc = hws_policy_object(cases[i].object, name, sizeof(name), &req, &err);
        if (cases[i].effect == HWS_EFFECT_NONE) {
            assert_int_equal(rc, HWS_E_INVALID);
            continue;
        }
        assert_ok(rc, &err);
        assert_int_equal(req.effect, cases[i].effect);
        if (cases[i].target != NULL) {
            assert_string_equal(req.target, cases[i].target);
            assert_string_equal(req.target_method, cases[i].method);
        }
    }
}

static void id_of_a_device_is_taken_apart(void **state)
{
    static const struct {
        const char *id;
        const char *pci;
        const char *serial;
    } cases[] = {
        {"mlx5:MT1@0000:81:00.0", "0000:81:00.0", "MT1"},
        {"mlx5:?@0000:81:00.0", "0000:81:00.0", "?"},
        {"0000:81:00.0", "", ""},
        {"serial", "", ""},
        {"a@b:c", "", ""},
        {"", "", ""},
        {"mlx5:MT1@0000000000111111111122222222223333333333444444444455555555556666", "", ""},
        {"mlx5:"
         "0000000000111111111122222222223333333333444444444455555555556666666666777777777788888"
         "8888899999999990000000000111111111122222222@0000:81:00.0",
         "", ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_policy_request req = {0};
        struct hws_policy_device d;
        hws_policy_device(cases[i].id, &d, &req);
        assert_string_equal(req.device.id, cases[i].id);
        assert_string_equal(req.device.pci, cases[i].pci);
        assert_string_equal(req.device.serial, cases[i].serial);
    }
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
        cmocka_unit_test(object_of_a_request_is_found_in_the_table),
        cmocka_unit_test(id_of_a_device_is_taken_apart),
        cmocka_unit_test(devices_are_selected_by_part_and_psid),
        cmocka_unit_test(first_rule_that_allows_decides),
        cmocka_unit_test(rule_with_fields_covers_those_fields_only),
        cmocka_unit_test(rule_with_a_window_counts_within_it_only),
        cmocka_unit_test(deny_rule_with_a_window_denies_when_the_time_is_unknown),
        cmocka_unit_test(approval_and_lock_are_conditions),
        cmocka_unit_test(deny_rule_only_takes_away),
        cmocka_unit_test(shipped_example_says_what_it_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
