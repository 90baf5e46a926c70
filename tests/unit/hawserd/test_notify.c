/* The service manager's protocol: what is said where, and what is taken from the environment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "common/notify.h"
#include "test.h"

static char folder[64];
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static int setup(void **state)
{
    (void)state;
    hws_str_copy(folder, sizeof folder, "/tmp/hawser-notify-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    hws_str_print(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(address.sun_path);
    return rmdir(folder);
}

static void manager_hears_that_we_are_ready_and_how_often_to_say_alive(void **state)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct hws_notify n;
    char text[64] = "";

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    hws_notify_open(&n);
    assert_int_equal(n.watchdog_ms, 10000);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    hws_notify_say(&n, "READY=1");
    assert_int_equal(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    hws_notify_close(&n);
    (void)close(fd);
}

static void without_a_manager_nothing_happens(void **state)
{
    struct hws_notify n;

    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    hws_notify_open(&n);
    assert_int_equal(n.fd, -1);
    assert_int_equal(n.watchdog_ms, 0);
    hws_notify_say(&n, "READY=1");
    hws_notify_close(&n);
    (void)setenv("NOTIFY_SOCKET", "relative", 1);
    hws_notify_open(&n);
    assert_int_equal(n.fd, -1);
    assert_int_equal(hws_notify_listener(), -1);
}

static void watchdog_of_another_process_is_not_ours(void **state)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct hws_notify n;

    (void)state;
    (void)unlink(address.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    (void)setenv("WATCHDOG_PID", "1", 1);
    hws_notify_open(&n);
    assert_true(n.fd >= 0);
    assert_int_equal(n.watchdog_ms, 0);
    hws_notify_close(&n);
    (void)close(fd);
}

/* In a child, whose descriptor 3 can be ours to choose. */
static void listening_socket_is_taken_if_it_is_for_us(void **state)
{
    int status = -1;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[16];
        int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

        (void)unlink(address.sun_path);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
            listen(fd, 1) != 0 || (fd != 3 && dup2(fd, 3) != 3)) {
            _exit(10);
        }
        hws_str_print(text, sizeof text, "%d", (int)getpid() + 1);
        (void)setenv("LISTEN_FDS", "1", 1);
        (void)setenv("LISTEN_PID", text, 1);
        if (hws_notify_listener() != -1) {
            _exit(11); /* it is for another process */
        }
        hws_str_print(text, sizeof text, "%d", (int)getpid());
        (void)setenv("LISTEN_FDS", "1", 1);
        (void)setenv("LISTEN_PID", text, 1);
        _exit(hws_notify_listener() == 3 && getenv("LISTEN_FDS") == NULL ? 0 : 12);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manager_hears_that_we_are_ready_and_how_often_to_say_alive),
        cmocka_unit_test(without_a_manager_nothing_happens),
        cmocka_unit_test(watchdog_of_another_process_is_not_ours),
        cmocka_unit_test(listening_socket_is_taken_if_it_is_for_us),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
