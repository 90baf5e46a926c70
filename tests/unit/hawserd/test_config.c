/* The agent's configuration file. */
#include <string.h>

#include "base/str.h"
#include "hawserd/config.h"
#include "test.h"

static const char good[] = "host: host-a\n"
                           "run_dir: run\n"
                           "state_dir: /var/lib/hawser\n"
                           "policy: policy.yaml\n"
                           "user: hawser\n"
                           "listen: 127.0.0.1:0\n"
                           "tls: {cert: agent.crt, key: agent.key, ca: ca.crt}\n"
                           "devices: {backend: emu, profiles: [a.yaml, b.yaml]}\n";

static enum hws_code parse(const char *text, struct hws_config *out, struct hws_err *err)
{
    return hws_config_parse(text, strlen(text), "/etc/hawser", "agent.yaml", out, err);
}

static void whole_file_is_read_with_paths_relative_to_it(void **state)
{
    struct hws_config c;
    struct hws_err err;
    (void)state;

    assert_ok(parse(good, &c, &err), &err);

    assert_string_equal(c.host, "host-a");
    assert_string_equal(c.run_dir, "/etc/hawser/run");
    assert_string_equal(c.state_dir, "/var/lib/hawser");
    assert_string_equal(c.policy, "/etc/hawser/policy.yaml");
    assert_string_equal(c.user, "hawser");
    assert_string_equal(c.listen, "127.0.0.1:0");
    assert_string_equal(c.tls_key, "/etc/hawser/agent.key");
    assert_int_equal(c.backend, HWS_BACKEND_EMU);
    assert_int_equal(c.n_profiles, 2);
    assert_string_equal(c.profiles[1], "/etc/hawser/b.yaml");
}

static void limits_are_kept_by_name(void **state)
{
    struct hws_config c;
    struct hws_err err;
    char text[512];
    (void)state;

    hws_str_print(text, sizeof text, "%slimits: {max_conns: 512, ping_without_calls: 1}\n", good);
    assert_ok(parse(text, &c, &err), &err);

    assert_int_equal(c.n_limits, 2);
    assert_string_equal(c.limits[0], "max_conns=512");
    assert_string_equal(c.limits[1], "ping_without_calls=1");
}

static void audit_keys_are_read_with_their_units(void **state)
{
    struct hws_config c;
    struct hws_err err;
    char text[512];
    (void)state;

    hws_str_print(text, sizeof text,
                  "%saudit: {max_age: 90d, max_records: 1000, max_bytes: 1048576, "
                  "sign_records: 10000, sign_after: 1h}\n",
                  good);
    assert_ok(parse(text, &c, &err), &err);

    assert_int_equal(c.audit_max_age_ms, UINT64_C(90) * 86400000);
    assert_int_equal(c.audit_max_records, 1000);
    assert_int_equal(c.audit_max_bytes, 1048576);
    assert_int_equal(c.audit_sign_records, 10000);
    assert_int_equal(c.audit_sign_ms, 3600000);
}

static void rates_are_kept_by_effect_and_others_keep_their_defaults(void **state)
{
    struct hws_config c;
    struct hws_err err;
    char text[512];
    (void)state;

    hws_str_print(text, sizeof text, "%srates: {read: 60000, config-live: 0, full: 1}\n", good);
    assert_ok(parse(text, &c, &err), &err);

    assert_int_equal(c.rates_per_min[HWS_EFFECT_READ], 60000);
    assert_int_equal(c.rates_per_min[HWS_EFFECT_READ_SENSITIVE], 0);
    assert_int_equal(c.rates_per_min[HWS_EFFECT_CONFIG_NEXT_RESET], HWS_RATES_CONFIG_PER_MIN);
    assert_int_equal(c.rates_per_min[HWS_EFFECT_CONFIG_LIVE], 0);
    assert_int_equal(c.rates_per_min[HWS_EFFECT_DEBUG_WRITE], HWS_RATES_DANGEROUS_PER_MIN);
    assert_int_equal(c.rates_per_min[HWS_EFFECT_FULL], 1);
}

static void without_listen_no_tls_is_needed(void **state)
{
    struct hws_config c;
    struct hws_err err;
    (void)state;

    assert_ok(parse("host: a\nrun_dir: r\nstate_dir: s\npolicy: p\ndevices: {backend: fwctl}\n", &c,
                    &err),
              &err);

    assert_int_equal(c.backend, HWS_BACKEND_FWCTL);
    assert_string_equal(c.listen, "");
}

static void bad_files_are_refused_with_line_and_reason(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"", "agent.yaml"},
        {"- a\n", "agent.yaml:1: the file must be a mapping"},
        {"host: a\nhost: b\n", "agent.yaml"},
        {"host: a\nrun_dir: r\nbogus: 1\n", "agent.yaml:3: unknown key \"bogus\""},
        {"host: a b\n", "agent.yaml:1: host may have"},
        {"host: [a]\n", "agent.yaml:1: host must be a text"},
        {"host: \"\"\n", "agent.yaml:1: host must not be empty"},
        {"host: a\nrun_dir: r\nstate_dir: s\npolicy: p\n", "agent.yaml:1: devices is missing"},
        {"host: a\nrun_dir: r\nstate_dir: s\npolicy: p\ndevices: {backend: magic}\n",
         "agent.yaml:5: backend must be emu or fwctl"},
        {"host: a\nrun_dir: r\nstate_dir: s\npolicy: p\ndevices: {backend: emu}\n",
         "agent.yaml:1: profiles needs at least one"},
        {"host: a\nrun_dir: r\nstate_dir: s\npolicy: p\ndevices: {backend: fwctl, profiles: [a]}\n",
         "agent.yaml:1: profiles belongs to backend emu"},
        {"host: a\nrun_dir: r\nstate_dir: s\npolicy: p\nlisten: '127.0.0.1:1'\n"
         "devices: {backend: fwctl}\n",
         "agent.yaml:1: tls is required with listen"},
        {"listen: localhost:7443\n", "agent.yaml:1: listen must be a numeric address and a port"},
        {"host: a\nlisten: 127.0.0.1:65536\n", "agent.yaml:2: listen must be"},
        {"listen: 127.0.0.1\n", "agent.yaml:1: listen must be"},
        {"listen: ':7443'\n", "agent.yaml:1: listen must be"},
        {"listen: '::1:7443'\n", "agent.yaml:1: listen must be"},
        {"listen: '[::1:7443'\n", "agent.yaml:1: listen must be"},
        {"listen: '[127.0.0.1]:7443'\n", "agent.yaml:1: listen must be"},
        {"listen: '[::1]:7443'\nbogus: 1\n", "agent.yaml:2: unknown key \"bogus\""},
        {"host: a\ntls: {cert: a}\n", "agent.yaml:2: key is missing"},
        {"tls: {cert: a, key: b, ca: c, records: gnutls}\n",
         "agent.yaml:1: records must be auto, libcrypto or mbedtls"},
        {"rates: {write: 1}\n",
         "agent.yaml:1: unknown key \"write\"; known are read, "
         "read-sensitive, config-next-reset, config-live, debug-write, full"},
        {"audit: {max_age: 3599s}\n", "agent.yaml:1: max_age must be 3600.."},
        {"audit: {max_age: 90}\n",
         "agent.yaml:1: max_age must be 3600..3153600000 seconds, given as 30s, 5m, 12h or 90d"},
        {"audit: {max_age: 90w}\n", "agent.yaml:1: max_age must be"},
        {"audit: {max_age: d}\n", "agent.yaml:1: max_age must be"},
        {"audit: {max_records: 999}\n", "agent.yaml:1: max_records must be 1000..10000000"},
        {"audit: {max_records: 10000001}\n", "agent.yaml:1: max_records must be"},
        {"audit: {max_bytes: 1048575}\n", "agent.yaml:1: max_bytes must be 1048576.."},
        {"audit: {max_bytes: 1099511627777}\n", "agent.yaml:1: max_bytes must be"},
        {"audit: {sign_records: 0}\n", "agent.yaml:1: sign_records must be 1..10000"},
        {"audit: {sign_records: 10001}\n", "agent.yaml:1: sign_records must be"},
        {"audit: {sign_after: 0s}\n", "agent.yaml:1: sign_after must be 1..3600 seconds"},
        {"audit: {sign_after: 3601s}\n", "agent.yaml:1: sign_after must be"},
        {"audit: {keep: 1}\n",
         "agent.yaml:1: unknown key \"keep\"; known are max_age, max_records, max_bytes, "
         "sign_records, sign_after"},
        {"rates: {read: -1}\n", "agent.yaml:1: read must be 0..1000000"},
        {"rates: {full: 1000001}\n", "agent.yaml:1: full must be 0..1000000"},
        {"rates: 5\n", "agent.yaml:1: the value must be a mapping"},
        {"limits: [max_conns]\n", "agent.yaml:1: limits must be a mapping of names to numbers"},
        {"host: a\nlimits:\n  max_conns: 5\n",
         "agent.yaml:3: limits: max_conns is \"5\"; allowed are 8..65536 (default 256)"},
        {"limits: {max_conns: many}\n",
         "agent.yaml:1: limits: max_conns is \"many\"; allowed are 8"},
        {"limits: {max_con: 5}\n", "agent.yaml:1: limits: there is no limit \"max_con\""},
        {"limits: {handshake_ms: 5000, reset_burst: 99, handshake_ms: 6000}\n", "agent.yaml:1: "},
        {"host: &x a\nrun_dir: *x\n", "agent.yaml:2: run_dir must be a text"},
        {"host: {a\n", "agent.yaml:2: no YAML: "},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_config c;
        struct hws_err err;
        hws_err_clear(&err);
        assert_code(parse(rows[i].text, &c, &err), HWS_E_INVALID);
        if (!hws_str_starts(err.msg, rows[i].message)) {
            fail_msg("row %zu: got \"%s\", want \"%s\"", i, err.msg, rows[i].message);
        }
    }
}

#define WARRANTS(run, state, trust, memory)                                                        \
    "host: a\nrun_dir: " run "\nstate_dir: " state "\npolicy: p\ndevices: {backend: fwctl}\n"      \
    "warrants: {trust: " trust ", memory: " memory "}\n"

static void keys_and_memory_lie_where_hawserd_cannot_write(void **state)
{
    static const struct {
        const char *text;
        const char *message; /* NULL: good */
    } rows[] = {
        {WARRANTS("/run/h", "/lib/h", "/etc/h/trust", "/lib/h-dev"), NULL},
        {WARRANTS("/run/h/", "/lib/h//", "/etc/h/trust", "/lib/h-dev/"), "state_dir must be"},
        {WARRANTS("/run/h/", "/lib/h/", "/etc/h/trust", "/lib/h-dev/"), NULL},
        {WARRANTS("/run/h", "/lib/h/", "/lib/h/trust", "/lib/h-dev"), "warrants must lie outside"},
        {WARRANTS("/run/h/", "/lib/h", "/etc/h/trust", "/run/h"), "warrants must lie outside"},
        {WARRANTS("/run/h", "/lib/h", "/etc/h/trust", "/lib/h/"), "warrants must lie outside"},
        {WARRANTS("/", "/lib/h", "/etc/h/trust", "/lib/h-dev"), "warrants must lie outside"},
        {WARRANTS("/run/h", "/lib/h", "/etc/../lib/h/trust", "/lib/h-dev"),
         "warrants: trust must be"},
        {WARRANTS("/run/h", "/lib/h", "/lib/./h/trust", "/lib/h-dev"), "warrants: trust must be"},
        {WARRANTS("/run/h", "/lib/h", "/etc/h/trust", "/lib//h/dev"), "warrants: memory must be"},
        {WARRANTS("/run/h", "/lib/h", "/etc/h/trust", "/lib/h-dev/.."), "warrants: memory must be"},
        {WARRANTS("/run/../lib/h-dev", "/lib/h", "/etc/h/trust", "/lib/h-dev"), "run_dir must be"},
        {WARRANTS("/run/h", "/lib/..x/h", "/etc/.h/trust", "/lib/h..dev"), NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_config c;
        struct hws_err err;
        hws_err_clear(&err);
        enum hws_code code = parse(rows[i].text, &c, &err);
        if (code != (rows[i].message == NULL ? HWS_OK : HWS_E_INVALID) ||
            (rows[i].message != NULL && strstr(err.msg, rows[i].message) == NULL)) {
            fail_msg("row %zu: got \"%s\"", i, err.msg);
        }
    }
}

static void long_run_dir_and_large_file_are_refused(void **state)
{
    static char big[HWS_CONFIG_MAX_BYTES + 1];
    char text[512];
    struct hws_config c;
    struct hws_err err;
    (void)state;

    hws_str_print(text, sizeof(text),
                  "host: a\nrun_dir: /%0100d\nstate_dir: s\npolicy: p\ndevices: {backend: fwctl}\n",
                  7);
    assert_code(parse(text, &c, &err), HWS_E_INVALID);
    memset(big, ' ', sizeof(big));

    assert_code(hws_config_parse(big, sizeof(big), "", "f", &c, &err), HWS_E_BUSY);
}

static void missing_file_is_named(void **state)
{
    struct hws_config c;
    struct hws_err err;
    (void)state;

    assert_code(hws_config_load("/nonexistent/agent.yaml", &c, &err), HWS_E_NOT_FOUND);

    assert_non_null(strstr(err.msg, "/nonexistent/agent.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file_is_read_with_paths_relative_to_it),
        cmocka_unit_test(limits_are_kept_by_name),
        cmocka_unit_test(audit_keys_are_read_with_their_units),
        cmocka_unit_test(rates_are_kept_by_effect_and_others_keep_their_defaults),
        cmocka_unit_test(without_listen_no_tls_is_needed),
        cmocka_unit_test(bad_files_are_refused_with_line_and_reason),
        cmocka_unit_test(keys_and_memory_lie_where_hawserd_cannot_write),
        cmocka_unit_test(long_run_dir_and_large_file_are_refused),
        cmocka_unit_test(missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
