/* Lockdown: what it refuses. Walls: whose are in force. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hawserd/walls.h"
#include "test.h"

static void locked_kernel_refuses_scopes_that_write(void **state)
{
    struct hws_err err;

    (void)state;
    assert_ok(hws_walls_scope(0, "confidentiality", "off", false, &err), &err);
    assert_ok(hws_walls_scope(1, "integrity", "off", false, &err), &err);
    assert_code(hws_walls_scope(2, "integrity", "off", false, &err), HWS_E_DENIED);
    assert_non_null(strstr(err.msg, "locked down (integrity)"));
    assert_non_null(strstr(err.msg, "lockdown debug-write"));
    assert_code(hws_walls_scope(3, "confidentiality", "off", false, &err), HWS_E_DENIED);
    /* The trust file may open scope 2, and nothing more. */
    assert_ok(hws_walls_scope(2, "integrity", "on", true, &err), &err);
    assert_ok(hws_walls_scope(2, "confidentiality", "off", true, &err), &err);
    assert_code(hws_walls_scope(3, "integrity", "off", true, &err), HWS_E_DENIED);
}

static void open_kernel_refuses_nothing_here(void **state)
{
    struct hws_err err;

    (void)state;
    assert_ok(hws_walls_scope(2, "none", "on", false, &err), &err);
    assert_code(hws_walls_scope(3, "none", "on", false, &err), HWS_E_DENIED);
    assert_ok(hws_walls_scope(3, "none", "off", false, &err), &err);
    assert_ok(hws_walls_scope(2, "unknown", "off", false, &err), &err);
}

static void state_of_this_kernel_is_one_word(void **state)
{
    char text[32];

    (void)state;
    hws_walls_lockdown(HWS_WALLS_LOCKDOWN, text, sizeof text);
    assert_true(strcmp(text, "none") == 0 || strcmp(text, "integrity") == 0 ||
                strcmp(text, "confidentiality") == 0 || strcmp(text, "unknown") == 0);
}

/* What is there but cannot be read, or says nothing, is no open kernel. */
static void unreadable_lockdown_refuses_scopes_that_write(void **state)
{
    char text[32];
    struct hws_err err;

    (void)state;
    hws_walls_lockdown("/nonexistent/lockdown", text, sizeof text);
    assert_string_equal(text, "unknown");
    hws_walls_lockdown("/", text, sizeof text);
    assert_string_equal(text, "unreadable");
    assert_code(hws_walls_scope(2, text, "off", false, &err), HWS_E_DENIED);
    assert_ok(hws_walls_scope(1, text, "off", false, &err), &err);
    hws_walls_lockdown("/dev/null", text, sizeof text);
    assert_string_equal(text, "unreadable");
}

/* A child that has no filter but the one that the spawner hands down: what its lock file says. */
static void look_at_child(const char *note, struct hws_walls *out)
{
    char lock[] = "/tmp/hawser-walls-XXXXXX";
    int ready[2];
    int fd = mkstemp(lock);
    char byte;
    pid_t pid;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, note, strlen(note)), strlen(note));
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)!write(ready[1], hws_sandbox_no_rings(NULL) == HWS_OK ? "y" : "n", 1);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    hws_walls_look(NULL, (uint32_t)pid, lock, out);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(fd);
    (void)unlink(lock);
}

static void filter_that_was_handed_down_is_no_wall(void **state)
{
    struct hws_walls walls;

    (void)state;
    look_at_child("", &walls);
    assert_true(walls.known && walls.no_new_privs);
    assert_false(walls.seccomp);
    look_at_child("level=6 seccomp=yes landlock=7 of=7 capabilities=0x0\n", &walls);
    assert_true(walls.known && walls.seccomp);
    assert_string_equal(walls.text, "level=6 seccomp=yes landlock=7 of=7 capabilities=0x0");
}

static void secure_boot_is_the_last_byte_of_its_variable(void **state)
{
    static const uint8_t on[] = {6, 0, 0, 0, 1};
    static const uint8_t off[] = {6, 0, 0, 0, 0};

    (void)state;
    assert_string_equal(hws_walls_boot_state(on, sizeof on), "on");
    assert_string_equal(hws_walls_boot_state(off, sizeof off), "off");
    assert_string_equal(hws_walls_boot_state(on, 4), "unknown");
    assert_non_null(hws_walls_secure_boot());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locked_kernel_refuses_scopes_that_write),
        cmocka_unit_test(secure_boot_is_the_last_byte_of_its_variable),
        cmocka_unit_test(open_kernel_refuses_nothing_here),
        cmocka_unit_test(state_of_this_kernel_is_one_word),
        cmocka_unit_test(unreadable_lockdown_refuses_scopes_that_write),
        cmocka_unit_test(filter_that_was_handed_down_is_no_wall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
