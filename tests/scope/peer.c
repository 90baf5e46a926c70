/* Programs and packets for tests that stand in somebody's place. */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "sock/sock.h"
#include "test.h"

uint32_t peer_random(void)
{
    static uint64_t x;

    if (x == 0) {
        x = hws_test_seed() | 1;
    }
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 16);
}

uint64_t peer_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

unsigned peer_rounds(unsigned n)
{
    const char *text = getenv("HAWSER_SCOPE_N");

    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : n;
}

pid_t peer_spawn(char *const argv[], const char *log)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(log == NULL ? "/dev/null" : log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        (void)dup2(fd, STDERR_FILENO);
        (void)dup2(fd, STDOUT_FILENO);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

void peer_assert_alive(pid_t pid, const char *name)
{
    int status;

    if (waitpid(pid, &status, WNOHANG) == pid) {
        fail_msg("%s ended with status 0x%x", name, (unsigned)status);
    }
}

int peer_stop(pid_t pid)
{
    uint64_t until_ms = peer_now_ms() + PEER_WAIT_MS;
    int status = 0;

    (void)kill(pid, SIGTERM);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (peer_now_ms() > until_ms) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return -1;
        }
        (void)poll(NULL, 0, 5);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool peer_readable(int fd, unsigned ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, (int)ms) == 1;
}

bool peer_send_bytes(int fd, const uint8_t *bytes, size_t n)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    enum hws_code code;

    while ((code = hws_sock_send(fd, bytes, n, -1, NULL)) == HWS_E_BUSY) {
        (void)poll(&p, 1, 100);
    }
    return code == HWS_OK;
}

bool peer_send(int fd, const struct hws_link_packet *p)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_err err;
    size_t n = 0;

    assert_ok(hws_link_encode(p, bytes, sizeof bytes, &n, &err), &err);
    return peer_send_bytes(fd, bytes, n);
}

bool peer_recv(int fd, uint8_t *bytes, struct hws_link_packet *p, unsigned ms)
{
    struct hws_err err;
    int passed = -1;
    size_t n = 0;

    if (!peer_readable(fd, ms) ||
        hws_sock_recv(fd, bytes, HWS_LINK_MAX_BYTES, &n, &passed, NULL) != HWS_OK) {
        return false;
    }
    hws_sock_close(&passed);
    assert_ok(hws_link_decode(bytes, n, p, &err), &err);
    return true;
}

int peer_listen(const char *folder)
{
    char path[96];
    int listener = -1;

    hws_str_print(path, sizeof path, "%s/sock", folder);
    assert_code(hws_sock_listen(path, &listener, NULL), HWS_OK);
    return listener;
}

pid_t peer_spawn_emu(const char *folder, bool memory, const char *log)
{
    const struct {
        char *option;
        const char *file;
    } files[] = {{(char *)"--socket", "sock"},
                 {(char *)"--lock", "lock"},
                 {(char *)"--state-dir", "state"},
                 {(char *)"--trust", "keys/trust"},
                 {(char *)"--memory", "memory"}};
    char paths[sizeof files / sizeof files[0]][96];
    char *argv[16] = {(char *)HWS_BIN_DIR "/hawser-emu", (char *)"--profile", (char *)CX7};
    size_t n = 3;

    for (size_t i = 0; i < (memory ? 5 : 3); i++) {
        hws_str_print(paths[i], sizeof paths[i], "%s/%s", folder, files[i].file);
        argv[n++] = files[i].option;
        argv[n++] = paths[i];
    }
    return peer_spawn(argv, log);
}

void peer_take_device(int listener, pid_t pid, int *fd, uint8_t *bytes)
{
    struct hws_link_packet hello = {.type = HWS_LINK_HELLO,
                                    .u.hello = {.role = HWS_LINK_ROLE_KEEPER,
                                                .version = HWS_LINK_VERSION,
                                                .generation = 7,
                                                .pid = 1,
                                                .name = hws_link_text("hawserd"),
                                                .build = hws_link_text("test")}};
    struct hws_link_packet p;
    struct hws_err err;

    hws_sock_close(fd);
    if (!peer_readable(listener, PEER_WAIT_MS)) {
        peer_assert_alive(pid, "hawser-emu");
        fail_msg("hawser-emu does not come back");
    }
    assert_ok(hws_sock_accept(listener, fd, &err), &err);
    assert_true(peer_recv(*fd, bytes, &p, PEER_WAIT_MS));
    assert_int_equal(p.type, HWS_LINK_HELLO);
    assert_true(peer_send(*fd, &hello));
    assert_true(peer_recv(*fd, bytes, &p, PEER_WAIT_MS));
    assert_int_equal(p.type, HWS_LINK_ADAPTER);
}

void peer_tell_kills(int fd, uint16_t row, uint32_t left_ms)
{
    const struct hws_link_kill kill = {row, left_ms};
    uint8_t rows[HWS_LINK_KILL_BYTES] = {0};
    struct hws_link_packet p = {.type = HWS_LINK_KILLS};

    if (row != 0) {
        hws_link_kill_put(rows, 0, &kill);
        p.u.kills.n = 1;
    }
    p.u.kills.rows = rows;
    assert_true(peer_send(fd, &p));
}

size_t peer_damage(uint8_t *bytes, size_t n, size_t cap)
{
    unsigned times = 1 + peer_random() % 4;

    for (unsigned i = 0; i < times; i++) {
        size_t at = peer_random() % n;

        switch (peer_random() % 6) {
        case 0:
            bytes[at] = (uint8_t)peer_random();
            break;
        case 1:
            bytes[at] ^= (uint8_t)(1u << peer_random() % 8);
            break;
        case 2:
            n = 1 + peer_random() % n; /* cut off */
            break;
        case 3:
            if (n < cap) {
                bytes[n++] = (uint8_t)peer_random();
            }
            break;
        case 4:
            bytes[at] = peer_random() % 2 == 0 ? 0xff : 0;
            break;
        default:
            bytes[at] = bytes[peer_random() % n];
            break;
        }
    }
    return n;
}

void peer_folder(char *out, size_t cap)
{
    hws_str_copy(out, cap, "/tmp/hawser-scope-XXXXXX");
    assert_non_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void peer_remove(const char *folder)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void peer_make_dir(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

void peer_write(const char *folder, const char *name, const char *text)
{
    char path[256];
    FILE *f;

    hws_str_print(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}
