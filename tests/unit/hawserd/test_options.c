/* hawserd's command line. */
#include <string.h>

#include "hawserd/options.h"
#include "test.h"

static enum hws_code parse(const char *line, struct hws_options *out, struct hws_err *err)
{
    static char text[256];
    char *argv[16];
    char *rest;
    int argc = 0;

    memcpy(text, line, strlen(line) + 1);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return hws_options_parse(argc, argv, out, err);
}

static void all_options_are_taken(void **state)
{
    struct hws_options o;
    struct hws_err err;
    (void)state;

    assert_ok(
        parse("hawserd --config a.yaml --run-dir r --state-dir s --supervise --no-spawn", &o, &err),
        &err);

    assert_string_equal(o.config, "a.yaml");
    assert_string_equal(o.run_dir, "r");
    assert_string_equal(o.state_dir, "s");
    assert_true(o.supervise && o.no_spawn && !o.check);
}

static void bad_lines_are_refused_by_name(void **state)
{
    struct hws_options o;
    struct hws_err err;
    (void)state;

    assert_code(parse("hawserd", &o, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "--config"));
    assert_code(parse("hawserd --bogus", &o, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "--bogus"));
    assert_code(parse("hawserd -c x extra", &o, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "extra"));
}

static void help_needs_no_configuration(void **state)
{
    struct hws_options o;
    struct hws_err err;
    (void)state;

    assert_ok(parse("hawserd --help", &o, &err), &err);

    assert_true(o.help);
    assert_non_null(strstr(hws_options_help(), "Example:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_options_are_taken),
        cmocka_unit_test(bad_lines_are_refused_by_name),
        cmocka_unit_test(help_needs_no_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
