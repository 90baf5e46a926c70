/* cli/args: what is accepted, what is refused and how it is told, help. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/args.h"
#include "test.h"

#define MAX_WORDS 32

/* Parses a line of words; getopt reorders, so the words are ours. */
static enum hws_code parse(const char *line, struct hws_cli_args *out, struct hws_err *err)
{
    static char text[1024];
    static char *words[MAX_WORDS + 1];
    char *save = NULL;
    int n = 0;

    assert_true(hws_str_copy(text, sizeof(text), line));
    words[n++] = text + sizeof(text) - 1; /* argv[0]: empty */
    for (char *w = strtok_r(text, " ", &save); w != NULL && n < MAX_WORDS;
         w = strtok_r(NULL, " ", &save)) {
        words[n++] = w;
    }
    words[n] = NULL;
    return hws_cli_parse(n, words, out, err);
}

static void options_may_stand_anywhere(void **state)
{
    static struct hws_cli_args a;
    struct hws_err err;
    (void)state;

    assert_ok(parse("-t h:1 config get -o json NUM_OF_VFS --device=0000:81:00.0 SRIOV_EN -t i:2",
                    &a, &err),
              &err);

    assert_string_equal(a.command->name, "get");
    assert_int_equal(a.n_targets, 2);
    assert_string_equal(a.targets[0], "h:1");
    assert_string_equal(a.targets[1], "i:2");
    assert_true(a.json);
    assert_string_equal(a.value[HWS_OPT_DEVICE], "0000:81:00.0");
    assert_int_equal(a.n_args, 2);
    assert_string_equal(a.args[0], "NUM_OF_VFS");
    assert_string_equal(a.args[1], "SRIOV_EN");
}

static void after_two_dashes_nothing_is_an_option(void **state)
{
    static struct hws_cli_args a;
    struct hws_err err;
    (void)state;

    assert_ok(parse("config get -- --yes", &a, &err), &err);

    assert_false(a.given[HWS_OPT_YES]);
    assert_string_equal(a.args[0], "--yes");
}

static void wrong_lines_are_refused_with_what_is_allowed(void **state)
{
    static const struct {
        const char *line;
        const char *says;
    } rows[] = {
        {"", "device, config, reg, cmd, dump, rollout, grant, approval, audit, agent, authz, "
             "lock, kill, explain, version"},
        {"devices list", "unknown command \"devices\""},
        {"device", "list, get, watch"},
        {"device frobnicate", "list, get, watch"},
        {"device list extra", "too many arguments: usage: hawser device list"},
        {"dump pull", "argument missing: usage: hawser dump pull [OPTION...] FILE"},
        {"device list --plan-hash x", "takes no --plan-hash"},
        {"device list --nonsense", "--nonsense"},
        {"device list -Z", "-Z"},
        {"device list --target", "argument missing after option --target"},
        {"device list -o xml", "table or json"},
        {"reg set MGIR", "argument missing"},
        {"rollout status", "NAME"},
        {"version -t h:1", "takes no --target"},
    };
    static struct hws_cli_args a;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_err err;
        assert_code(parse(rows[i].line, &a, &err), HWS_E_INVALID);
        if (strstr(err.msg, rows[i].says) == NULL) {
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", rows[i].line, err.msg, rows[i].says);
        }
    }
}

static void every_command_has_help_with_an_example(void **state)
{
    static struct hws_cli_args a;
    (void)state;

    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        const struct hws_cli_command *c = &hws_cli_commands[i];
        char line[128];
        char text[8192] = "";
        FILE *f = fmemopen(text, sizeof(text), "w");
        assert_non_null(f);
        assert_true(hws_str_print(line, sizeof(line), "%s %s --help", c->area, c->name));
        assert_code(parse(line, &a, NULL), HWS_OK);
        assert_ptr_equal(a.command, c);
        hws_cli_help(f, &a);
        assert_int_equal(fclose(f), 0);
        assert_non_null(strstr(text, c->help));
        assert_non_null(strstr(text, "Example:\n  hawser "));
        assert_non_null(strstr(text, c->example));
    }
}

static void every_example_parses(void **state)
{
    static struct hws_cli_args a;
    (void)state;

    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        struct hws_err err;
        const char *example = hws_cli_commands[i].example;
        assert_true(hws_str_starts(example, "hawser "));
        assert_ok(parse(example + 7, &a, &err), &err);
        assert_ptr_equal(a.command, &hws_cli_commands[i]);
    }
}

static void help_for_an_area_lists_its_commands(void **state)
{
    static struct hws_cli_args a;
    char text[8192] = "";
    FILE *f = fmemopen(text, sizeof(text), "w");
    (void)state;
    assert_non_null(f);

    assert_code(parse("config --help", &a, NULL), HWS_OK);
    hws_cli_help(f, &a);
    assert_int_equal(fclose(f), 0);

    assert_null(a.command);
    assert_non_null(strstr(text, "config apply"));
    assert_null(strstr(text, "rollout run"));
}

static void a_wide_left_side_of_a_help_has_its_own_line(void **state)
{
    static struct hws_cli_args a;
    char text[8192] = "";
    FILE *f = fmemopen(text, sizeof(text), "w");
    (void)state;
    assert_non_null(f);

    assert_code(parse("device list --help", &a, NULL), HWS_OK);
    hws_cli_help(f, &a);
    assert_int_equal(fclose(f), 0);
    const char *wide = strstr(text, "HOST:PORT|unix:PATH|NAME\n");
    const char *narrow = strstr(text, "show this help");
    assert_non_null(wide);
    assert_non_null(narrow);
    const char *next = strchr(wide, '\n') + 1;
    size_t column = 0;
    while (narrow - column > text && narrow[-1 - (ptrdiff_t)column] != '\n') {
        column++;
    }
    assert_int_equal(strspn(next, " "), column);
}

static void version_and_help_stand_instead_of_a_command(void **state)
{
    static struct hws_cli_args a;
    char text[8192] = "";
    FILE *f = fmemopen(text, sizeof(text), "w");
    struct hws_err err;
    (void)state;
    assert_non_null(f);

    assert_ok(parse("--version", &a, &err), &err);
    assert_string_equal(a.command->area, "version");
    assert_code(parse("device list --version", &a, &err), HWS_E_INVALID);
    assert_ok(parse("help config get", &a, &err), &err);
    assert_true(a.given[HWS_OPT_HELP]);
    assert_string_equal(a.command->name, "get");
    assert_ok(parse("help", &a, &err), &err);
    hws_cli_help(f, &a);
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(text, "\n  11  some hosts or adapters failed"));
    assert_non_null(strstr(text, "man hawser "));
    assert_null(strstr(text, "docs/")); /* where it is installed there is no such folder */
}

static void numbers_name_their_option(void **state)
{
    static struct hws_cli_args a;
    struct hws_err err;
    uint64_t v = 7;
    (void)state;

    assert_code(parse("audit tail --last 20000", &a, &err), HWS_OK);
    assert_code(hws_cli_number(&a, HWS_OPT_LAST, 10000, 5, &v, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "--last"));
    assert_int_equal(v, 7);
    assert_code(hws_cli_number(&a, HWS_OPT_AFTER, 10000, 5, &v, &err), HWS_OK);
    assert_int_equal(v, 5);
}

static void split_needs_a_name_and_an_equals_sign(void **state)
{
    char name[8];
    (void)state;

    assert_string_equal(hws_cli_split("A=1=2", name, sizeof(name)), "1=2");
    assert_string_equal(name, "A");
    assert_string_equal(hws_cli_split("A=", name, sizeof(name)), "");
    assert_null(hws_cli_split("A", name, sizeof(name)));
    assert_null(hws_cli_split("=1", name, sizeof(name)));
    assert_null(hws_cli_split("ABCDEFGH=1", name, sizeof(name)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(after_two_dashes_nothing_is_an_option),
        cmocka_unit_test(wrong_lines_are_refused_with_what_is_allowed),
        cmocka_unit_test(every_command_has_help_with_an_example),
        cmocka_unit_test(every_example_parses),
        cmocka_unit_test(help_for_an_area_lists_its_commands),
        cmocka_unit_test(a_wide_left_side_of_a_help_has_its_own_line),
        cmocka_unit_test(version_and_help_stand_instead_of_a_command),
        cmocka_unit_test(numbers_name_their_option),
        cmocka_unit_test(split_needs_a_name_and_an_equals_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
