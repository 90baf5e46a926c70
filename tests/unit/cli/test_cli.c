/* cli: error classes, the one line on stderr, commands that need no agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cli.h"
#include "test.h"

#define MAX_WORDS 32

static char errors[4096];
static char state_dir[64];

/* Runs a command line in this process; what it printed is in cli->out.text and errors. */
static int run(struct hws_cli *cli, const char *line)
{
    static char text[2048];
    static char *words[MAX_WORDS + 1];
    char *save = NULL;
    struct hws_err err;
    int n = 0;

    memset(cli, 0, sizeof(*cli));
    memset(errors, 0, sizeof(errors));
    assert_true(hws_str_copy(text, sizeof(text), line));
    words[n++] = text + sizeof(text) - 1;
    for (char *w = strtok_r(text, " ", &save); w != NULL && n < MAX_WORDS;
         w = strtok_r(NULL, " ", &save)) {
        words[n++] = w;
    }
    words[n] = NULL;
    cli->errors = fmemopen(errors, sizeof(errors), "w");
    assert_non_null(cli->errors);
    int rc = HWS_EXIT_USAGE;
    if (hws_cli_parse(n, words, &cli->args, &err) != HWS_OK) {
        (void)hws_cli_fail(cli, HWS_EXIT_USAGE, "%s", err.msg);
    } else {
        hws_out_init(&cli->out, cli->args.json, NULL, false);
        rc = cli->args.command->run(cli);
    }
    assert_int_equal(fclose(cli->errors), 0);
    return rc;
}

static const char *printed(struct hws_cli *cli)
{
    return hws_buf_len(&cli->out.text) == 0 ? "" : hws_buf_cstr(&cli->out.text);
}

static void each_status_has_its_exit_code(void **state)
{
    static const struct {
        enum hws_client_code code;
        enum hws_exit exit;
    } rows[] = {
        {HWS_CLIENT_OK, HWS_EXIT_OK},
        {HWS_CLIENT_INVALID_ARGUMENT, HWS_EXIT_INVALID},
        {HWS_CLIENT_OUT_OF_RANGE, HWS_EXIT_INVALID},
        {HWS_CLIENT_NOT_FOUND, HWS_EXIT_NOT_FOUND},
        {HWS_CLIENT_UNIMPLEMENTED, HWS_EXIT_NOT_FOUND},
        {HWS_CLIENT_PERMISSION_DENIED, HWS_EXIT_DENIED},
        {HWS_CLIENT_UNAUTHENTICATED, HWS_EXIT_DENIED},
        {HWS_CLIENT_FAILED_PRECONDITION, HWS_EXIT_STATE},
        {HWS_CLIENT_ABORTED, HWS_EXIT_STATE},
        {HWS_CLIENT_ALREADY_EXISTS, HWS_EXIT_STATE},
        {HWS_CLIENT_UNAVAILABLE, HWS_EXIT_UNAVAILABLE},
        {HWS_CLIENT_RESOURCE_EXHAUSTED, HWS_EXIT_UNAVAILABLE},
        {HWS_CLIENT_DEADLINE_EXCEEDED, HWS_EXIT_UNKNOWN},
        {HWS_CLIENT_DATA_LOSS, HWS_EXIT_DIGEST},
        {HWS_CLIENT_INTERNAL, HWS_EXIT_INTERNAL},
        {HWS_CLIENT_UNKNOWN, HWS_EXIT_INTERNAL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_client_status s = {.code = rows[i].code};
        assert_int_equal(hws_cli_exit_of(&s), rows[i].exit);
    }
    struct hws_client_status device = {.code = HWS_CLIENT_FAILED_PRECONDITION,
                                       .reason = "E_DEVICE"};
    assert_int_equal(hws_cli_exit_of(&device), HWS_EXIT_DEVICE);
    struct hws_client_status lost = {.code = HWS_CLIENT_UNKNOWN,
                                     .stage = HAWSER__V1__STAGE__STAGE_UNKNOWN};
    assert_int_equal(hws_cli_exit_of(&lost), HWS_EXIT_UNKNOWN);
    lost.code = HWS_CLIENT_UNAVAILABLE;
    assert_int_equal(hws_cli_exit_of(&lost), HWS_EXIT_UNKNOWN);
    struct hws_client_status unsent = {.code = HWS_CLIENT_DEADLINE_EXCEEDED, .unprocessed = true};
    assert_int_equal(hws_cli_exit_of(&unsent), HWS_EXIT_UNAVAILABLE);
}

static void there_are_at_most_twelve_exit_codes_each_with_a_text(void **state)
{
    (void)state;

    assert_true(HWS_N_EXITS <= 12);
    for (int i = 0; i < HWS_N_EXITS; i++) {
        assert_true(strlen(hws_cli_exit_text((enum hws_exit)i)) > 3);
    }
}

static void errors_are_one_line_and_nothing_on_stdout(void **state)
{
    static const struct {
        const char *line;
        int exit;
        const char *says;
    } rows[] = {
        {"device list", HWS_EXIT_USAGE, "no agent named"},
        {"device list -t 127.0.0.1:1", HWS_EXIT_USAGE, "credentials missing"},
        {"device list -t 127.0.0.1:1 --timeout soon", HWS_EXIT_USAGE, "--timeout"},
        {"device list -t 127.0.0.1:1 --cert no.crt --key no.key --ca no.ca", HWS_EXIT_NOT_FOUND,
         "no.crt"},
        {"device list -t unix:", HWS_EXIT_INVALID, "HOST:PORT"},
        {"device list -t unix:/x,unix:/y,unix:/x", HWS_EXIT_USAGE,
         "host \"unix:/x\" is given twice"},
        {"device list -i no-such-inventory.yaml", HWS_EXIT_NOT_FOUND, "no-such-inventory.yaml"},
        {"device list -i /", HWS_EXIT_INVALID, "/: Is a directory"},
        {"device list -t unix:/no-such-socket", HWS_EXIT_UNAVAILABLE,
         "UNAVAILABLE: connect to unix:/no-such-socket: no such file or directory; is the agent"},
        {"config plan -t unix:/x NUM_OF_VFS", HWS_EXIT_INVALID, "NAME=VALUE"},
        {"config apply -t unix:/x A=1 --election x", HWS_EXIT_USAGE, "--election"},
        {"cmd -t unix:/x QUERY_ADAPTER --in abc", HWS_EXIT_INVALID, "hex"},
        {"cmd -t unix:/x QUERY_ADAPTER --op-mod 70000", HWS_EXIT_INVALID, "--op-mod"},
        {"authz probe -t unix:/x", HWS_EXIT_USAGE, "--method"},
        {"authz probe -t unix:/x --method /x", HWS_EXIT_USAGE, "--effect is missing"},
        {"authz probe -t unix:/x --method /x --effect read", HWS_EXIT_USAGE, "--principal"},
        {"authz probe -t unix:/x --method /x --effect big", HWS_EXIT_INVALID, "read-sensitive"},
        {"audit tail -t unix:/x --last 20000", HWS_EXIT_INVALID, "--last"},
        {"rollout run -t unix:/x --set A=1 --yes", HWS_EXIT_USAGE, "--name"},
        {"rollout run -t unix:/x --name n --yes", HWS_EXIT_USAGE, "--set"},
        {"rollout run --name n --set A=1 --yes", HWS_EXIT_USAGE, "no agent named"},
        {"rollout run -t unix:/x --name n --set a=1 --yes", HWS_EXIT_INVALID, "\"a\""},
        {"rollout run -t unix:/x --name n --set A=1 --set A=2 --yes", HWS_EXIT_INVALID,
         "A is given twice"},
        {"rollout run -t unix:/x --name n --set A=1 --wave 0 --yes", HWS_EXIT_INVALID, "wave"},
        {"rollout run -t unix:/x --name ../n --set A=1 --yes", HWS_EXIT_INVALID, "../n"},
        {"rollout run -t unix:/x --name n --set A=1", HWS_EXIT_USAGE, "--yes"},
        {"rollout status ../x", HWS_EXIT_INVALID, "no rollout's name"},
    };
    static struct hws_cli cli;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int rc = run(&cli, rows[i].line);
        const char *newline = strchr(errors, '\n');
        if (rc != rows[i].exit || strstr(errors, rows[i].says) == NULL) {
            fail_msg("\"%s\": exit %d, \"%s\"", rows[i].line, rc, errors);
        }
        assert_true(hws_str_starts(errors, "hawser: "));
        assert_true(newline != NULL && newline[1] == '\0');
        assert_string_equal(printed(&cli), "");
        hws_cli_close(&cli);
    }
}

static void version_needs_nothing(void **state)
{
    static struct hws_cli cli;
    (void)state;

    assert_int_equal(run(&cli, "version"), HWS_EXIT_OK);
    assert_non_null(strstr(printed(&cli), "hawser.v1"));
    hws_cli_close(&cli);
}

static void rollout_plan_shows_the_waves_without_an_agent(void **state)
{
    static struct hws_cli cli;
    (void)state;

    assert_int_equal(run(&cli, "rollout plan --name n --set A=1 -t h:1,i:1,j:1 --wave 1"),
                     HWS_EXIT_OK);

    assert_string_equal(printed(&cli), "rollout          n\n"
                                       "settings         A=1\n"
                                       "waves            3\n"
                                       "budget           0\n"
                                       "settle ms        2000\n"
                                       "\n"
                                       "WAVE  KIND    HOST  TARGET  ADAPTER\n"
                                       "1     canary  h:1   h:1     first by PCI address\n"
                                       "2     wave    i:1   i:1     first by PCI address\n"
                                       "3     wave    j:1   j:1     first by PCI address\n");
    hws_cli_close(&cli);
}

static void set_wins_over_the_file(void **state)
{
    static struct hws_cli cli;
    char path[128];
    char line[256];
    (void)state;

    (void)hws_str_print(path, sizeof(path), "%s/plan.yaml", state_dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(
        fputs("name: n\nsettings: {A: 1, B: 2}\nhosts:\n  - {name: h, target: \"h:1\"}\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    (void)hws_str_print(line, sizeof(line), "rollout plan --file %s --set A=7 --name m", path);
    assert_int_equal(run(&cli, line), HWS_EXIT_OK);

    assert_true(hws_str_starts(printed(&cli), "rollout          m\nsettings         B=2 A=7\n"));
    hws_cli_close(&cli);
    assert_int_equal(unlink(path), 0);
}

static void unknown_rollout_is_not_found(void **state)
{
    static struct hws_cli cli;
    char line[256];
    (void)state;

    (void)hws_str_print(line, sizeof(line), "rollout status nothing --state-dir %s", state_dir);
    assert_int_equal(run(&cli, line), HWS_EXIT_NOT_FOUND);
    assert_non_null(strstr(errors, "rollout list"));
    hws_cli_close(&cli);
    (void)hws_str_print(line, sizeof(line), "rollout list --state-dir %s/none -o json", state_dir);
    assert_int_equal(run(&cli, line), HWS_EXIT_OK);
    assert_non_null(strstr(printed(&cli), "\"rollouts\": []"));
    hws_cli_close(&cli);
}

static int make_dir(void **state)
{
    (void)state;
    (void)unsetenv("HAWSER_TARGETS");
    (void)unsetenv("HAWSER_INVENTORY");
    (void)unsetenv("HAWSER_CERT");
    (void)unsetenv("HAWSER_KEY");
    (void)unsetenv("HAWSER_CA");
    (void)hws_str_copy(state_dir, sizeof(state_dir), "/tmp/hawser-cli-XXXXXX");
    if (mkdtemp(state_dir) == NULL) {
        return -1;
    }
    return setenv("XDG_STATE_HOME", state_dir, 1);
}

static int drop_dir(void **state)
{
    (void)state;
    return rmdir(state_dir);
}

/* ---- authz test -------------------------------------------------------------------------------
 */

#define EXAMPLE "--policy " HWS_TESTS_DIR "/../docs/examples/policy.yaml "
#define OLGA    "--principal spiffe://hawser.example/operator/olga "
#define EXECUTE "--method /hawser.v1.CommandService/Execute "

static void policy_file_is_judged_without_an_agent(void **state)
{
    static const struct {
        const char *line;
        enum hws_exit exit;
        const char *out;
        const char *error;
    } cases[] = {
        {"authz test " EXAMPLE OLGA EXECUTE "--object MGIR", HWS_EXIT_OK, "operators-debug-read",
         ""},
        {"authz test " EXAMPLE OLGA EXECUTE "--object MNVDA:write", HWS_EXIT_OK,
         "rule operators-debug-read allows up to read-sensitive, not config-next-reset", ""},
        {"authz test " EXAMPLE OLGA EXECUTE "--effect full --fields a,b --bytes", HWS_EXIT_OK,
         "no-debug-writes", ""},
        {"explain " EXAMPLE OLGA EXECUTE "--object MGIR", HWS_EXIT_OK,
         "rule viewers-observe does not name this principal", ""},
        {"authz test " OLGA EXECUTE "--object MGIR", HWS_EXIT_USAGE, "", "--policy is missing"},
        {"authz test --policy /nowhere " OLGA EXECUTE "--object MGIR", HWS_EXIT_NOT_FOUND, "",
         "/nowhere"},
        {"authz test --policy " HWS_TESTS_DIR "/CMakeLists.txt " OLGA EXECUTE "--object MGIR",
         HWS_EXIT_INVALID, "", "CMakeLists.txt:"},
        {"authz test " EXAMPLE EXECUTE "--object MGIR", HWS_EXIT_INVALID, "",
         "principal is required"},
        {"authz test " EXAMPLE OLGA "--object MGIR", HWS_EXIT_USAGE, "", "--method is missing"},
        {"authz test " EXAMPLE OLGA "--method /x/y --object MGIR", HWS_EXIT_INVALID, "",
         "no method"},
        {"authz test " EXAMPLE OLGA EXECUTE "--object NOTHING", HWS_EXIT_INVALID, "",
         "no register or command"},
        {"authz test " EXAMPLE OLGA EXECUTE, HWS_EXIT_USAGE, "", "--effect is missing"},
        {"authz test " EXAMPLE OLGA EXECUTE "--effect some", HWS_EXIT_INVALID, "", "--effect some"},
        {"authz test " EXAMPLE OLGA EXECUTE "--object MGIR --at x", HWS_EXIT_INVALID, "", "--at"},
        {"authz test " EXAMPLE "--batch /nowhere", HWS_EXIT_NOT_FOUND, "", "--batch /nowhere"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_cli cli;
        int rc = run(&cli, cases[i].line);
        if (rc != (int)cases[i].exit || strstr(printed(&cli), cases[i].out) == NULL ||
            strstr(errors, cases[i].error) == NULL) {
            fail_msg("%s: exit %d\n%s%s", cases[i].line, rc, printed(&cli), errors);
        }
        hws_out_deinit(&cli.out);
    }
}

/* Every line of a batch has one line of output, in order, whatever it is. */
static void every_line_of_a_batch_has_its_answer(void **state)
{
    static const char batch[] =
        "{\"principal\":\"spiffe://hawser.example/operator/o\",\"method\":"
        "\"/hawser.v1.CommandService/Execute\",\"object\":\"MGIR\",\"fields\":[\"a\"],"
        "\"bytes\":false,\"at\":1}\n"
        "\n"
        "{\"principal\":\"x\",\"metod\":1}\n"
        "{\"principal\":1}\n"
        "{\"fields\":[1]}\n"
        "{\"effect\":\"some\"}\n"
        "{\"approved\":1}\n"
        "[]\n"
        "{\"a\":1,\"a\":1}\n"
        "no JSON\n"
        "{}";
    static const char *const parts[] = {
        "\"allowed\":true,\"rule\":\"operators-debug-read\",\"line\":26",
        "unknown key \\\"metod\\\"; known are principal, method",
        "principal: a text was expected",
        "fields: a list of at most",
        "effect: give read",
        "approved: true or false was expected",
        "line 8: a JSON object was expected",
        "line 9: duplicate object key",
        "line 10: ",
        "principal is required",
    };
    static char answers[8192];
    char path[96];
    char line[256];
    struct hws_cli cli;
    (void)state;

    hws_str_print(path, sizeof(path), "%s/batch.jsonl", state_dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(batch, f) >= 0);
    assert_int_equal(fclose(f), 0);
    hws_str_print(line, sizeof(line), "authz test " EXAMPLE "--batch %s", path);
    assert_int_equal(run(&cli, line), HWS_EXIT_INVALID);
    assert_non_null(strstr(errors, "some lines are no question"));
    char *save = NULL;
    assert_true(hws_str_copy(answers, sizeof(answers), printed(&cli)));
    char *at = strtok_r(answers, "\n", &save);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (at == NULL || strstr(at, parts[i]) == NULL) {
            fail_msg("answer %zu: %s; expected: %s", i, at == NULL ? "none" : at, parts[i]);
        }
        at = strtok_r(NULL, "\n", &save);
    }
    assert_null(at);
    assert_int_equal(remove(path), 0);
    hws_out_deinit(&cli.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_file_is_judged_without_an_agent),
        cmocka_unit_test(every_line_of_a_batch_has_its_answer),
        cmocka_unit_test(each_status_has_its_exit_code),
        cmocka_unit_test(there_are_at_most_twelve_exit_codes_each_with_a_text),
        cmocka_unit_test(errors_are_one_line_and_nothing_on_stdout),
        cmocka_unit_test(version_needs_nothing),
        cmocka_unit_test(rollout_plan_shows_the_waves_without_an_agent),
        cmocka_unit_test(set_wins_over_the_file),
        cmocka_unit_test(unknown_rollout_is_not_found),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
