/*
 * The real hawser-emu as PCI devices, spoken to as a machine monitor does: two sockets, memory by
 * descriptor, interrupts by eventfd, commands through the queue in that memory; unmapping, reset,
 * reconnection, a killed process, and the control socket with its client.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/str.h"
#include "ctl/run.h"
#include "sock/sock.h"
#include "test.h"

#define EMU     HWS_BIN_DIR "/hawser-emu"
#define CX7     HWS_TESTS_DIR "/../agent/emu/profiles/connectx7.yaml"
#define BF3     HWS_TESTS_DIR "/../agent/emu/profiles/bluefield3.yaml"
#define WAIT_MS 5000

#define MEMORY_AT    UINT64_C(0x140000000)
#define MEMORY_BYTES 65536u
#define QUEUE        0x0000u /* in it */
#define RING         0x1000u

enum { VERSION = 1, DMA_MAP, DMA_UNMAP, SET_IRQS = 8, READ, WRITE, RESET = 13 };

/* One machine: its connection, its memory, its interrupt. */
struct machine {
    int fd;
    int memfd;
    int irq;
    uint8_t *memory;
    uint16_t id;
    uint8_t token;
};

static struct {
    char folder[64];
    char state[96];
    char sockets[2][96];
    char control[96];
    pid_t pid;
    struct machine m[2];
} w;

/* ---- processes ---- */

static pid_t spawn(char *const argv[], int out_fd)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(out_fd >= 0 ? out_fd : null, STDOUT_FILENO);
        (void)dup2(out_fd >= 0 ? out_fd : null, STDERR_FILENO);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static int wait_for_end(pid_t pid)
{
    uint64_t give_up_ms = hws_ctl_now_ms() + WAIT_MS;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_true(hws_ctl_now_ms() < give_up_ms);
        (void)poll(NULL, 0, 1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void start(void)
{
    char *argv[] = {(char *)EMU,  (char *)"--state-dir",
                    w.state,      (char *)"--control",
                    w.control,    (char *)"--vfio-user",
                    w.sockets[0], (char *)"--profile",
                    (char *)CX7,  (char *)"--vfio-user",
                    w.sockets[1], (char *)"--profile",
                    (char *)BF3,  NULL};

    w.pid = spawn(argv, -1);
}

/* Runs the client; its exit status, what it printed in out. */
static int control(const char *a, const char *b, const char *c, char *out, size_t cap)
{
    char *argv[] = {(char *)EMU, (char *)"--control", w.control, (char *)a,
                    (char *)b,   (char *)c,           NULL};
    int fds[2];
    size_t n = 0;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = spawn(argv, fds[1]);
    assert_int_equal(close(fds[1]), 0);
    for (ssize_t got = 1; got > 0 && n<cap - 1; n += got> 0 ? (size_t)got : 0) {
        got = read(fds[0], out + n, cap - 1 - n);
    }
    out[n] = '\0';
    assert_int_equal(close(fds[0]), 0);
    return wait_for_end(pid);
}

/* ---- the protocol, from the monitor's side; numbers are little endian ---- */

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void send_with(int fd, const uint8_t *bytes, size_t n, int pass)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control_bytes;
    struct iovec iov = {.iov_base = (void *)bytes, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (pass >= 0) {
        memset(&control_bytes, 0, sizeof control_bytes);
        msg.msg_control = control_bytes.bytes;
        msg.msg_controllen = sizeof control_bytes.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass, sizeof pass);
    }
    assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)n);
}

static void receive(int fd, uint8_t *bytes, size_t n)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    for (size_t got = 0; got < n;) {
        assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
        ssize_t more = recv(fd, bytes + got, n - got, 0);
        assert_true(more > 0);
        got += (size_t)more;
    }
}

/* One request and its reply; the reply's error number, its body in out. */
static uint32_t ask(struct machine *m, uint16_t command, const uint8_t *body, size_t n, int pass,
                    uint8_t *out, size_t cap)
{
    uint8_t bytes[512] = {0};

    assert_true(n + 16 <= sizeof bytes);
    put32(bytes, ++m->id | (uint32_t)command << 16);
    put32(bytes + 4, (uint32_t)(16 + n));
    memcpy(bytes + 16, body, n);
    send_with(m->fd, bytes, 16 + n, pass);
    receive(m->fd, bytes, 16);
    assert_int_equal(get32(bytes) & 0xffff, m->id);
    uint32_t rc = get32(bytes + 12);
    size_t n_reply = get32(bytes + 4) - 16;
    assert_true(n_reply <= sizeof bytes);
    receive(m->fd, bytes, n_reply);
    if (out != NULL) {
        memcpy(out, bytes, n_reply < cap ? n_reply : cap);
    }
    return rc;
}

static uint32_t bar_read(struct machine *m, uint32_t region, uint32_t offset)
{
    uint8_t body[16] = {0};
    uint8_t out[20] = {0};

    put64(body, offset);
    put32(body + 8, region);
    put32(body + 12, 4);
    assert_int_equal(ask(m, READ, body, sizeof body, -1, out, sizeof out), 0);
    return region == 0 ? hws_load_be32(out + 16) : get32(out + 16);
}

static void bar_write(struct machine *m, uint32_t region, uint32_t offset, uint32_t value)
{
    uint8_t body[20] = {0};

    put64(body, offset);
    put32(body + 8, region);
    put32(body + 12, 4);
    if (region == 0) {
        hws_store_be32(body + 16, value);
    } else {
        put32(body + 16, value);
    }
    assert_int_equal(ask(m, WRITE, body, sizeof body, -1, NULL, 0), 0);
}

static uint32_t map(struct machine *m)
{
    uint8_t body[32] = {0};

    put32(body, sizeof body);
    put32(body + 4, 3); /* read and write */
    put64(body + 16, MEMORY_AT);
    put64(body + 24, MEMORY_BYTES);
    return ask(m, DMA_MAP, body, sizeof body, m->memfd, NULL, 0);
}

static uint32_t unmap(struct machine *m)
{
    uint8_t body[24] = {0};

    put32(body, sizeof body);
    put64(body + 8, MEMORY_AT);
    put64(body + 16, MEMORY_BYTES);
    return ask(m, DMA_UNMAP, body, sizeof body, -1, NULL, 0);
}

/* Vector 0 gets the eventfd; pass -1: none has. */
static uint32_t set_irq(struct machine *m, int pass)
{
    uint8_t body[20] = {0};

    put32(body, sizeof body);
    put32(body + 4, pass >= 0 ? 0x24 : 0x21); /* eventfd or none; trigger */
    put32(body + 8, 2);
    put32(body + 16, pass >= 0 ? 1 : 0);
    return ask(m, SET_IRQS, body, sizeof body, pass, NULL, 0);
}

/* ---- a machine ---- */

static void plug_in(struct machine *m, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t give_up_ms = hws_ctl_now_ms() + WAIT_MS;
    const uint8_t hello[] = "\0\0\1\0{}";

    (void)hws_str_copy(address.sun_path, sizeof address.sun_path, path);
    m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (connect(m->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        assert_true(hws_ctl_now_ms() < give_up_ms);
        (void)poll(NULL, 0, 2);
    }
    assert_int_equal(ask(m, VERSION, hello, sizeof hello, -1, NULL, 0), 0);
    bar_write(m, 7, 4, 0x6); /* memory and bus master */
    while ((bar_read(m, 0, 0x1fc) & 0x80000000) != 0) {
        assert_true(hws_ctl_now_ms() < give_up_ms);
    }
}

static void give_queue(struct machine *m)
{
    bar_write(m, 0, 0x10, (uint32_t)(MEMORY_AT >> 32));
    bar_write(m, 0, 0x14, (uint32_t)(MEMORY_AT & 0xffffffff) + QUEUE);
}

static void sign(uint8_t *entry)
{
    uint8_t x = 0;

    entry[0x3d] = 0;
    for (int i = 0; i < 64; i++) {
        x ^= entry[i];
    }
    entry[0x3d] = (uint8_t)~x;
}

/* A command of 16 bytes in slot 0; true if the card gave it back before the doorbell's reply. */
static bool command(struct machine *m, uint16_t op, uint8_t *out)
{
    uint8_t *e = m->memory + QUEUE;

    memset(e, 0, 64);
    e[0] = 7;
    hws_store_be32(e + 4, 16);
    hws_store_be16(e + 0x10, op);
    hws_store_be32(e + 0x38, 16);
    e[0x3c] = ++m->token == 0 ? ++m->token : m->token;
    e[0x3f] = 1;
    sign(e);
    bar_write(m, 0, 0x18, 1);
    (void)bar_read(m, 0, 0x1010); /* the card acts after each request */
    if (out != NULL) {
        memcpy(out, e + 0x20, 16);
    }
    return (e[0x3f] & 1) == 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    (void)hws_str_copy(w.folder, sizeof w.folder, "/tmp/hawser-vm-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    (void)hws_str_print(w.state, sizeof w.state, "%s/state", w.folder);
    (void)hws_str_print(w.control, sizeof w.control, "%s/control", w.folder);
    for (int i = 0; i < 2; i++) {
        struct machine *m = &w.m[i];
        (void)hws_str_print(w.sockets[i], sizeof w.sockets[i], "%s/card%d", w.folder, i);
        m->fd = -1;
        m->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_code(hws_sock_memfd("machine", MEMORY_BYTES, &m->memfd, NULL), HWS_OK);
        m->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, m->memfd, 0);
        assert_true(m->memory != MAP_FAILED);
    }
    start();
    for (int i = 0; i < 2; i++) {
        plug_in(&w.m[i], w.sockets[i]);
        assert_int_equal(map(&w.m[i]), 0);
        give_queue(&w.m[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    char *argv[] = {(char *)"/bin/rm", (char *)"-r", w.folder, NULL};

    (void)state;
    (void)kill(w.pid, SIGTERM);
    int status = wait_for_end(w.pid);
    for (int i = 0; i < 2; i++) {
        (void)close(w.m[i].fd);
        (void)close(w.m[i].irq);
        (void)close(w.m[i].memfd);
        (void)munmap(w.m[i].memory, MEMORY_BYTES);
    }
    assert_int_equal(status, 0);
    return wait_for_end(spawn(argv, -1));
}

/* ---- tests ---- */

static void commands_run_in_both_machines(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t out[16];
        assert_true(command(&w.m[i], 0x80d, out));
        assert_int_equal(out[0], 0);
        assert_true(command(&w.m[i], 0x7fff, out));
        assert_int_equal(out[0], 2); /* bad opcode */
    }
    assert_int_not_equal(bar_read(&w.m[0], 7, 0), bar_read(&w.m[1], 7, 0)); /* two devices */
}

static void unmapped_memory_is_out_of_reach(void **state)
{
    struct machine *m = &w.m[0];

    (void)state;
    assert_int_equal(map(m), EEXIST);
    assert_int_equal(unmap(m), 0);
    assert_false(command(m, 0x80d, NULL));
    assert_true(command(&w.m[1], 0x80d, NULL)); /* the other machine's stays */
    assert_int_equal(map(m), 0);
    assert_true(command(m, 0x80d, NULL));
    bar_write(m, 7, 4, 0x2); /* no bus master: the same */
    assert_false(command(m, 0x80d, NULL));
}

static void reset_forgets_the_queue(void **state)
{
    struct machine *m = &w.m[0];

    (void)state;
    assert_int_equal(ask(m, RESET, (const uint8_t *)"", 0, -1, NULL, 0), 0);
    assert_int_equal(bar_read(m, 0, 0x10), 0);
    assert_int_equal(bar_read(m, 7, 4) & 0x4, 0);
    bar_write(m, 7, 4, 0x6);
    give_queue(m);
    assert_true(command(m, 0x80d, NULL));
}

static bool fired(struct machine *m)
{
    uint64_t n = 0;

    return read(m->irq, &n, sizeof n) == (ssize_t)sizeof n;
}

/* ENABLE_HCA, INIT_HCA, ALLOC_UAR, CREATE_EQ need longer inboxes than a slot has inline: what an
 * interrupt is for is shown with the doorbell of an event queue in unit tests and by the kernel. */
static void vectors_are_set_and_taken_back(void **state)
{
    struct machine *m = &w.m[0];

    (void)state;
    assert_int_equal(set_irq(m, m->irq), 0);
    assert_false(fired(m));
    assert_int_equal(set_irq(m, -1), 0);
    assert_int_equal(set_irq(m, m->irq), 0);
}

static void machine_that_comes_back_finds_a_fresh_card(void **state)
{
    struct machine *m = &w.m[0];

    (void)state;
    assert_true(command(m, 0x104, NULL)); /* ENABLE_HCA */
    assert_int_equal(close(m->fd), 0);
    plug_in(m, w.sockets[0]);
    assert_int_equal(bar_read(m, 0, 0x10), 0);
    assert_int_equal(map(m), 0);
    give_queue(m);
    assert_true(command(m, 0x80d, NULL));
    assert_true(command(&w.m[1], 0x80d, NULL));
}

static void killed_process_is_started_again_on_the_same_sockets(void **state)
{
    (void)state;
    assert_int_equal(kill(w.pid, SIGKILL), 0);
    assert_int_equal(wait_for_end(w.pid), 128 + SIGKILL);
    start();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(close(w.m[i].fd), 0);
        plug_in(&w.m[i], w.sockets[i]);
        assert_int_equal(map(&w.m[i]), 0);
        give_queue(&w.m[i]);
        assert_true(command(&w.m[i], 0x80d, NULL));
    }
}

static void control_socket_is_private_and_hits_the_adapter_it_names(void **state)
{
    struct stat st;
    char said[8192];

    (void)state;
    assert_int_equal(stat(w.control, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(control("list", NULL, NULL, said, sizeof said), 0);
    assert_non_null(strstr(said, "0 serial="));
    assert_non_null(strstr(said, "1 serial="));

    assert_int_equal(control("fatal", "0", "8", said, sizeof said), 0);
    assert_string_equal(said, "");
    assert_int_equal(bar_read(&w.m[0], 0, 0x238) >> 31, 1);
    assert_int_equal(bar_read(&w.m[1], 0, 0x238) >> 31, 0);
    assert_false(command(&w.m[0], 0x80d, NULL));
    assert_true(command(&w.m[1], 0x80d, NULL));

    assert_int_equal(control("unplug", "1", NULL, said, sizeof said), 0);
    assert_true(bar_read(&w.m[1], 0, 0x1fc) == UINT32_MAX);
    assert_true(bar_read(&w.m[1], 7, 0) == UINT32_MAX);
    assert_int_equal(control("replug", "1", NULL, said, sizeof said), 0);
    assert_int_equal(bar_read(&w.m[1], 7, 0) & 0xffff, 0x15b3);
    assert_int_equal(bar_read(&w.m[1], 7, 4) & 0x4, 0); /* nobody has configured it yet */

    assert_int_equal(control("fatal", "0", "0", said, sizeof said), 1);
    assert_non_null(strstr(said, "1 to 255"));
}

static void planted_fault_hits_the_next_command(void **state)
{
    char said[8192];
    uint8_t out[16];

    (void)state;
    assert_int_equal(
        control("fault", "1", "{opcode: NOP, action: status, status: RES_BUSY}", said, sizeof said),
        0);
    assert_true(command(&w.m[1], 0x80d, out));
    assert_int_equal(out[0], 6);
    assert_true(command(&w.m[1], 0x80d, out));
    assert_int_equal(out[0], 0);
    assert_int_equal(control("show", "1", NULL, said, sizeof said), 0);
    assert_non_null(strstr(said, "hits=1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(commands_run_in_both_machines),
        TEST(unmapped_memory_is_out_of_reach),
        TEST(reset_forgets_the_queue),
        TEST(vectors_are_set_and_taken_back),
        TEST(machine_that_comes_back_finds_a_fresh_card),
        TEST(killed_process_is_started_again_on_the_same_sockets),
        TEST(control_socket_is_private_and_hits_the_adapter_it_names),
        TEST(planted_fault_hits_the_next_command),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
