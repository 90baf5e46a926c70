/* Seqpacket sockets, memory files and locks, over the real kernel in a private temporary folder. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "sock/sock.h"
#include "test.h"

static char folder[] = "/tmp/hawser-sock-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL && hws_str_print(path, sizeof path, "%s/s", folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void packets_keep_their_bounds(void **state)
{
    int fds[2];
    uint8_t bytes[8];
    size_t n = 0;
    int fd = 0;

    (void)state;
    assert_code(hws_sock_pair(fds, NULL), HWS_OK);
    assert_code(hws_sock_recv(fds[1], bytes, sizeof bytes, &n, &fd, NULL), HWS_E_BUSY);
    assert_code(hws_sock_send(fds[0], "abc", 3, -1, NULL), HWS_OK);
    assert_code(hws_sock_send(fds[0], "de", 2, -1, NULL), HWS_OK);
    assert_code(hws_sock_recv(fds[1], bytes, sizeof bytes, &n, &fd, NULL), HWS_OK);
    assert_int_equal(n, 3);
    assert_int_equal(fd, -1);
    assert_memory_equal(bytes, "abc", 3);
    assert_code(hws_sock_recv(fds[1], bytes, sizeof bytes, &n, &fd, NULL), HWS_OK);
    assert_int_equal(n, 2);
    hws_sock_close(&fds[0]);
    assert_int_equal(fds[0], -1);
    assert_code(hws_sock_recv(fds[1], bytes, sizeof bytes, &n, &fd, NULL), HWS_E_GONE);
    assert_code(hws_sock_send(fds[1], "x", 1, -1, NULL), HWS_E_GONE);
    hws_sock_close(&fds[1]);
}

static void packet_longer_than_the_buffer_is_refused(void **state)
{
    int fds[2];
    uint8_t bytes[2];
    size_t n = 0;
    int fd = 0;

    (void)state;
    assert_code(hws_sock_pair(fds, NULL), HWS_OK);
    assert_code(hws_sock_send(fds[0], "abc", 3, -1, NULL), HWS_OK);
    assert_code(hws_sock_recv(fds[1], bytes, sizeof bytes, &n, &fd, NULL), HWS_E_PROTO);
    hws_sock_close(&fds[0]);
    hws_sock_close(&fds[1]);
}

static void full_peer_is_busy_not_blocking(void **state)
{
    static uint8_t packet[32768];
    int fds[2];
    unsigned n_sent = 0;

    (void)state;
    assert_code(hws_sock_pair(fds, NULL), HWS_OK);
    while (hws_sock_send(fds[0], packet, sizeof packet, -1, NULL) == HWS_OK) {
        assert_true(++n_sent < 10000);
    }
    assert_code(hws_sock_send(fds[0], packet, sizeof packet, -1, NULL), HWS_E_BUSY);
    hws_sock_close(&fds[0]);
    hws_sock_close(&fds[1]);
}

static void memory_file_travels_with_a_packet(void **state)
{
    int fds[2];
    int memfd = -1;
    int got = -1;
    uint8_t bytes[4];
    size_t n = 0;

    (void)state;
    assert_code(hws_sock_pair(fds, NULL), HWS_OK);
    assert_code(hws_sock_memfd("test", 4, &memfd, NULL), HWS_OK);
    assert_code(hws_sock_pwrite(memfd, "data", 4, NULL), HWS_OK);
    assert_code(hws_sock_send(fds[0], "x", 1, memfd, NULL), HWS_OK);
    hws_sock_close(&memfd);
    assert_code(hws_sock_recv(fds[1], bytes, sizeof bytes, &n, &got, NULL), HWS_OK);
    assert_true(got >= 0);
    assert_true((fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
    assert_code(hws_sock_is_memfd(got, NULL), HWS_OK);
    assert_code(hws_sock_pread(got, bytes, 4, NULL), HWS_OK);
    assert_memory_equal(bytes, "data", 4);
    hws_sock_close(&got);
    hws_sock_close(&fds[0]);
    hws_sock_close(&fds[1]);
}

static void memory_file_is_fixed_in_size(void **state)
{
    int memfd = -1;
    uint8_t bytes[5] = {0};

    (void)state;
    assert_code(hws_sock_memfd("test", 4, &memfd, NULL), HWS_OK);
    assert_int_not_equal(ftruncate(memfd, 0), 0);
    assert_code(hws_sock_pwrite(memfd, bytes, 5, NULL), HWS_E_IO);
    assert_code(hws_sock_pread(memfd, bytes, 5, NULL), HWS_E_PROTO);
    hws_sock_close(&memfd);
}

static void other_descriptors_are_no_memory_file(void **state)
{
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_code(hws_sock_is_memfd(pipes[0], NULL), HWS_E_PROTO);
    assert_code(hws_sock_is_memfd(-1, NULL), HWS_E_PROTO);
    hws_sock_close(&pipes[0]);
    hws_sock_close(&pipes[1]);
}

static void listener_is_private_and_connects(void **state)
{
    int listener = -1;
    int a = -1;
    int b = -1;
    uint32_t uid = 0;
    uint32_t pid = 0;
    struct stat st;

    (void)state;
    assert_code(hws_sock_connect(path, &a, NULL), HWS_E_GONE);
    assert_code(hws_sock_listen(path, &listener, NULL), HWS_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_code(hws_sock_accept(listener, &b, NULL), HWS_E_BUSY);
    assert_code(hws_sock_connect(path, &a, NULL), HWS_OK);
    assert_code(hws_sock_accept(listener, &b, NULL), HWS_OK);
    assert_code(hws_sock_peer(b, &uid, &pid, NULL), HWS_OK);
    assert_int_equal(uid, getuid());
    assert_int_equal(pid, getpid());
    hws_sock_close(&a);
    hws_sock_close(&b);
    hws_sock_close(&listener);
}

static void stale_socket_file_is_replaced_and_a_live_one_is_not(void **state)
{
    int first = -1;
    int second = -1;

    (void)state; /* the file of the test before may be there, too */
    assert_code(hws_sock_listen(path, &first, NULL), HWS_OK);
    assert_code(hws_sock_listen(path, &second, NULL), HWS_E_EXISTS);
    hws_sock_close(&first);
    assert_code(hws_sock_listen(path, &second, NULL), HWS_OK);
    hws_sock_close(&second);
}

static void path_too_long_is_refused(void **state)
{
    char longer[200];
    int fd = -1;

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_code(hws_sock_listen(longer, &fd, NULL), HWS_E_INVALID);
    assert_code(hws_sock_connect(longer, &fd, NULL), HWS_E_INVALID);
    assert_code(hws_sock_connect("", &fd, NULL), HWS_E_INVALID);
}

static void lock_is_held_until_closed(void **state)
{
    int fd = -1;
    int other = -1;
    char lock[64];

    (void)state;
    assert_true(hws_str_print(lock, sizeof lock, "%s/lock", folder));
    assert_code(hws_sock_lock_free(lock, NULL), HWS_OK); /* no file at all */
    assert_code(hws_sock_lock(lock, &fd, NULL), HWS_OK);
    assert_code(hws_sock_lock(lock, &other, NULL), HWS_E_STATE);
    assert_code(hws_sock_lock_free(lock, NULL), HWS_E_STATE);
    assert_int_equal(write(fd, "note", 4), 4);
    hws_sock_close(&fd);
    assert_code(hws_sock_lock_free(lock, NULL), HWS_OK);
    assert_code(hws_sock_lock(lock, &fd, NULL), HWS_OK); /* what the last holder wrote is gone */
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    hws_sock_close(&fd);
    (void)unlink(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_keep_their_bounds),
        cmocka_unit_test(packet_longer_than_the_buffer_is_refused),
        cmocka_unit_test(full_peer_is_busy_not_blocking),
        cmocka_unit_test(memory_file_travels_with_a_packet),
        cmocka_unit_test(memory_file_is_fixed_in_size),
        cmocka_unit_test(other_descriptors_are_no_memory_file),
        cmocka_unit_test(listener_is_private_and_connects),
        cmocka_unit_test(stale_socket_file_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(path_too_long_is_refused),
        cmocka_unit_test(lock_is_held_until_closed),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
