/* Giving up root, in a child process: there is no way back. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "hawserd/user.h"
#include "test.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    hws_str_copy(folder, sizeof folder, "/tmp/hawser-user-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    char path[96];

    (void)state;
    hws_str_print(path, sizeof path, "%s/run", folder);
    (void)rmdir(path);
    hws_str_print(path, sizeof path, "%s/state", folder);
    (void)rmdir(path);
    return rmdir(folder);
}

static struct hws_config config_of(const char *user)
{
    static struct hws_config c;

    memset(&c, 0, sizeof c);
    hws_str_copy(c.user, sizeof c.user, user);
    hws_str_print(c.run_dir, sizeof c.run_dir, "%s/run", folder);
    hws_str_print(c.state_dir, sizeof c.state_dir, "%s/state", folder);
    return c;
}

/* What hws_user_become says in a process of its own, which may lose its user: its code, or 100 when
 * it succeeded and is not wholly the user. */
static int in_a_child(const struct hws_config *c, uid_t start_as)
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct passwd *user;
        enum hws_code code;

        if (start_as != 0 && setuid(start_as) != 0) {
            _exit(101);
        }
        code = hws_user_become(c, NULL);
        user = getpwnam(c->user);
        if (code == HWS_OK && (user == NULL || getuid() != user->pw_uid || setuid(0) == 0)) {
            _exit(100);
        }
        _exit((int)code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void root_becomes_the_user_for_good_and_gives_it_the_folders(void **state)
{
    struct hws_config c = config_of("nobody");
    const struct passwd *nobody = getpwnam("nobody");
    struct stat st;

    (void)state;
    assert_non_null(nobody);
    if (geteuid() != 0) {
        return; /* another user's refusal is the next test */
    }
    assert_int_equal(in_a_child(&c, 0), HWS_OK);
    assert_int_equal(stat(c.run_dir, &st), 0);
    assert_int_equal(st.st_uid, nobody->pw_uid);
    assert_int_equal(stat(c.state_dir, &st), 0);
    assert_int_equal(st.st_uid, nobody->pw_uid);
}

static void another_user_cannot_become_it(void **state)
{
    struct hws_config c = config_of("daemon");

    (void)state;
    assert_int_equal(in_a_child(&c, geteuid() == 0 ? 65534 : 0), HWS_E_STATE);
}

static void without_a_user_or_as_it_nothing_happens(void **state)
{
    struct hws_config none = config_of("");
    struct hws_config same = config_of(getpwuid(geteuid())->pw_name);

    (void)state;
    assert_code(hws_user_become(&none, NULL), HWS_OK);
    assert_code(hws_user_become(&same, NULL), HWS_OK);
}

static void unknown_user_is_named(void **state)
{
    struct hws_config c = config_of("no-such-user");
    struct hws_err err;

    (void)state;
    assert_code(hws_user_become(&c, &err), HWS_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "no-such-user"));
}

/* An agent that ran as root before, and now has a `user`. */
static void files_of_another_user_are_named_with_the_command_that_mends_it(void **state)
{
    struct hws_config c = config_of("nobody");
    struct hws_err err;
    char path[128];
    char want[256];
    FILE *f;

    (void)state;
    if (geteuid() != 0) {
        return;
    }
    hws_str_print(path, sizeof path, "%s/spool", c.state_dir);
    (void)mkdir(c.state_dir, 0700);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    hws_str_print(path, sizeof path, "%s/spool/dump", c.state_dir);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);

    assert_int_equal(in_a_child(&c, 0), HWS_E_STATE);
    assert_code(hws_user_check(&c, &err), HWS_E_STATE);
    hws_str_print(want, sizeof want, "%s belongs to user 0 ", path);
    assert_non_null(strstr(err.msg, want));
    hws_str_print(want, sizeof want, "run: chown -hR nobody: %s %s", c.state_dir, c.run_dir);
    assert_non_null(strstr(err.msg, want));

    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(in_a_child(&c, 0), HWS_OK);
    assert_int_equal(unlink(path), 0);
    hws_str_print(path, sizeof path, "%s/spool", c.state_dir);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_becomes_the_user_for_good_and_gives_it_the_folders),
        cmocka_unit_test(another_user_cannot_become_it),
        cmocka_unit_test(without_a_user_or_as_it_nothing_happens),
        cmocka_unit_test(unknown_user_is_named),
        cmocka_unit_test(files_of_another_user_are_named_with_the_command_that_mends_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
