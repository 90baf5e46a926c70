/* Grants. */
#include <string.h>

#include "test.h"
#include "warrant/grant.h"

#define T0   1796000000u
#define OLGA "spiffe://hawser.example/operator/olga"

static const char *const rows[] = {"MTRC_CTRL:write", "SET_DIAGNOSTIC_PARAMS"};

static struct hws_grant usual(void)
{
    return (struct hws_grant){.principal = OLGA,
                              .device = "0000:3b:00.0",
                              .effect = HWS_EFFECT_DEBUG_WRITE,
                              .rows = rows,
                              .n_rows = 2,
                              .from_s = T0,
                              .until_s = T0 + 600,
                              .granted_by = "spiffe://hawser.example/operator/otto",
                              .reason = "ticket 4711"};
}

static struct hws_grant_ask ask(void)
{
    return (struct hws_grant_ask){.principal = OLGA,
                                  .device_id = "mlx5:S@0000:3b:00.0",
                                  .device_pci = "0000:3b:00.0",
                                  .device_serial = "S",
                                  .effect = HWS_EFFECT_DEBUG_WRITE,
                                  .target = "MTRC_CTRL",
                                  .target_method = "write"};
}

static void it_covers_what_it_names_and_nothing_else(void **state)
{
    struct hws_grant g = usual();
    struct hws_grant_ask a = ask();

    (void)state;
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_COVERS);
    assert_int_equal(hws_grant_fits(&g, &a, T0 + 600), HWS_GRANT_COVERS);
    assert_int_equal(hws_grant_fits(&g, &a, T0 + 601), HWS_GRANT_EXPIRED);
    assert_int_equal(hws_grant_fits(&g, &a, T0 - 1), HWS_GRANT_EARLY);
    a.target = "SET_DIAGNOSTIC_PARAMS";
    a.target_method = "";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_COVERS);
    a.target = "SET_DIAGNOSTIC_PARAM";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_OTHER);
    a = ask();
    a.target_method = "read";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_OTHER);
    a = ask();
    a.effect = HWS_EFFECT_FULL;
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_OTHER);
    a = ask();
    a.principal = OLGA "x";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_OTHER);
    a = ask();
    a.device_pci = "0000:3b:00.1";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_OTHER);
    g.device = "S";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_COVERS);
    g.device = "*";
    g.n_rows = 0;
    g.effect = HWS_EFFECT_FULL;
    a.target = "MFRL";
    assert_int_equal(hws_grant_fits(&g, &a, T0), HWS_GRANT_COVERS);
}

static void refused(const struct hws_grant *g, const char *field)
{
    const char *blamed = NULL;
    struct hws_err err;

    assert_code(hws_grant_check(g, &blamed, &err), HWS_E_INVALID);
    assert_string_equal(blamed, field);
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const bad_row[] = {"MTRC_CTRL:both"};
    static char long_reason[HWS_GRANT_REASON_BYTES + 2];
    struct hws_grant g = usual();
    const char *blamed = NULL;

    (void)state;
    assert_ok(hws_grant_check(&g, &blamed, NULL), NULL);
    g.granted_by = OLGA;
    refused(&g, "principal");
    g = usual();
    g.principal = "olga";
    refused(&g, "principal");
    g = usual();
    g.device = "";
    refused(&g, "device");
    g = usual();
    g.effect = HWS_EFFECT_CONFIG_LIVE;
    refused(&g, "effect");
    g = usual();
    g.rows = bad_row;
    g.n_rows = 1;
    refused(&g, "rows");
    g = usual();
    g.n_rows = HWS_GRANT_MAX_ROWS + 1;
    refused(&g, "rows");
    g = usual();
    g.until_s = g.from_s;
    refused(&g, "seconds");
    g.until_s = g.from_s + HWS_GRANT_LIFE_S + 1;
    refused(&g, "seconds");
    g = usual();
    g.reason = "";
    refused(&g, "reason");
    memset(long_reason, 'x', sizeof long_reason - 1);
    g.reason = long_reason;
    refused(&g, "reason");
}

static void only_two_effects_are_dangerous(void **state)
{
    (void)state;
    for (int e = 0; e < HWS_N_EFFECTS; e++) {
        assert_int_equal(hws_grant_is_dangerous((enum hws_effect)e),
                         e == HWS_EFFECT_DEBUG_WRITE || e == HWS_EFFECT_FULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_covers_what_it_names_and_nothing_else),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(only_two_effects_are_dangerous),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
