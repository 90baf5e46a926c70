/* The device process's keys and memory, on real files. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "devproc/warrants.h"
#include "test.h"
#include "warrant/trust.h"
#include "warrant/warrant.h"

#define T0   1796000000u
#define NIC  "0000:3b:00.0"
#define OLGA "spiffe://hawser.example/operator/olga"
#define OTTO "spiffe://hawser.example/operator/otto"

static struct hws_signer olga;
static struct hws_signer otto;
static char folder[64];
static char trust_path[128];
static char memory_path[128];
static char used_path[160];
static char lockdown_path[128];
static uint64_t now_s;
static struct hws_warrants w;
static uint8_t box[80];
static unsigned n_made;

static uint64_t clock_of_test(void)
{
    return now_s;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void put_trust_and(const char *more, mode_t mode)
{
    char text[512];
    char a[HWS_PUBLIC_HEX_BYTES];
    char b[HWS_PUBLIC_HEX_BYTES];
    struct hws_public key;

    assert_ok(hws_signer_public(&olga, &key, NULL), NULL);
    hws_public_hex(&key, a);
    assert_ok(hws_signer_public(&otto, &key, NULL), NULL);
    hws_public_hex(&key, b);
    assert_true(hws_str_print(text, sizeof text, "host host-a\nkey %s %s\nkey %s %s\n%s", OLGA, a,
                              OTTO, b, more));
    put_file(trust_path, text, mode);
}

static void put_trust(mode_t mode)
{
    put_trust_and("", mode);
}

static void start(void)
{
    struct hws_err err;

    assert_ok(hws_warrants_open(&w, trust_path, memory_path, &err), &err);
    w.now_s = clock_of_test;
    w.lockdown = lockdown_path;
}

static void restart(void)
{
    hws_warrants_close(&w);
    start();
}

/* A good warrant for box, from now on for 600 s; another one each time. */
static void make(struct hws_buf *out)
{
    struct hws_warrant x = {.host = "host-a",
                            .device = NIC,
                            .serial = "S",
                            .from_s = now_s,
                            .until_s = now_s + 600,
                            .operator_id = OLGA,
                            .reason = "test"};

    assert_true(hws_str_print(x.request_id, sizeof x.request_id, "request-%u", n_made++));
    assert_ok(hws_warrant_bind(&x, box, sizeof box, NULL), NULL);
    assert_ok(hws_warrant_sign(&x, HWS_WARRANT_OPERATOR, OLGA, &olga, NULL), NULL);
    assert_ok(hws_warrant_sign(&x, HWS_WARRANT_APPROVER, OTTO, &otto, NULL), NULL);
    hws_buf_init(out, HWS_WARRANT_MAX_BYTES);
    assert_ok(hws_warrant_format(&x, out, NULL), NULL);
}

static enum hws_code use(const struct hws_buf *text, uint8_t scope, struct hws_err *err)
{
    struct hws_serve_danger d = {.device = NIC,
                                 .scope = scope,
                                 .in = box,
                                 .in_bytes = sizeof box,
                                 .warrant = {hws_buf_peek(text), hws_buf_len(text)}};

    return hws_warrants_use(&w, &d, err);
}

static void refused(const struct hws_buf *text, uint8_t scope, const char *why)
{
    struct hws_err err;

    assert_code(use(text, scope, &err), HWS_E_DENIED);
    if (strstr(err.msg, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
    }
}

static void a_warrant_is_good_once_also_across_restarts(void **state)
{
    struct hws_buf text;
    struct hws_err err;

    (void)state;
    make(&text);
    assert_ok(use(&text, 0, &err), &err);
    refused(&text, 0, "replayed");
    restart();
    refused(&text, 0, "replayed");
    now_s += 600;
    restart();
    refused(&text, 0, "replayed");
    now_s += 1;
    refused(&text, 0, "expired");
    hws_buf_deinit(&text);
}

static void a_clock_set_back_revives_nothing(void **state)
{
    struct hws_buf old;
    struct hws_buf young;
    struct hws_err err;

    (void)state;
    make(&old); /* never used */
    now_s += 700;
    make(&young);
    assert_ok(use(&young, 0, &err), &err);
    now_s -= 700;
    refused(&old, 0, "expired");
    restart();
    refused(&old, 0, "expired");
    refused(&young, 0, "replayed");
    hws_buf_deinit(&old);
    hws_buf_deinit(&young);
}

static void a_cut_line_counts_for_nothing_and_a_damaged_memory_stops_everything(void **state)
{
    struct hws_buf a;
    struct hws_buf b;
    struct hws_err err;
    struct stat st;

    (void)state;
    make(&a);
    make(&b);
    assert_ok(use(&a, 0, &err), &err);
    assert_ok(use(&b, 0, &err), &err);
    assert_int_equal(stat(used_path, &st), 0);
    assert_int_equal(truncate(used_path, st.st_size - 5), 0);
    restart();
    refused(&a, 0, "replayed");
    assert_ok(use(&b, 0, &err), &err); /* its line was never whole: it did not run */
    restart();
    refused(&b, 0, "replayed");
    int fd = open(used_path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_int_equal(close(fd), 0);
    restart();
    struct hws_buf c;
    make(&c);
    refused(&c, 0, "memory of used warrants is broken");
    hws_buf_deinit(&a);
    hws_buf_deinit(&b);
    hws_buf_deinit(&c);
}

static void what_cannot_be_remembered_does_not_run(void **state)
{
    struct hws_buf text;
    struct hws_err err;

    (void)state;
    make(&text);
    int kept = w.fd;
    w.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(w.fd >= 0);
    assert_code(use(&text, 0, &err), HWS_E_IO);
    refused(&text, 0, "could not be stored");
    assert_int_equal(close(kept), 0);
    hws_buf_deinit(&text);
}

static void a_full_memory_is_not_written_to_but_folded_at_a_restart(void **state)
{
    struct hws_spent_use old = {.until_s = T0 - 100000};
    char line[HWS_SPENT_LINE_BYTES];
    struct hws_buf text;
    struct hws_err err;

    (void)state;
    make(&text);
    for (size_t n = 0; n + HWS_SPENT_LINE_BYTES < HWS_WARRANTS_FILE_BYTES;) {
        old.hash.b[0]++;
        old.at_s = ++old.until_s; /* each later than the one before has expired */
        size_t length = hws_spent_line(&old, line);
        assert_int_equal(write(w.fd, line, length), (ssize_t)length);
        n += length;
    }
    while (use(&text, 0, &err) == HWS_OK) { /* one or two lines still fit */
        hws_buf_deinit(&text);
        make(&text);
    }
    assert_int_equal(err.code, HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "restart the device process"));
    restart();
    assert_string_equal(w.broken, "");
    assert_ok(use(&text, 0, &err), &err);
    hws_buf_deinit(&text);
}

static void keys_change_without_a_restart_and_only_roots_file_counts(void **state)
{
    struct hws_buf text;
    struct hws_err err;

    (void)state;
    make(&text);
    put_file(trust_path, "host host-a\n", 0644);
    refused(&text, 0, "no operator key is trusted");
    put_file(trust_path, "host host-b\n", 0644);
    refused(&text, 0, "no operator key is trusted");
    put_file(trust_path, "nonsense\n", 0644);
    refused(&text, 0, ":1: a line is");
    put_trust(0664);
    refused(&text, 0, "nobody else can write");
    put_trust(0646);
    refused(&text, 0, "nobody else can write");
    assert_int_equal(unlink(trust_path), 0);
    refused(&text, 0, "cannot look at");
    assert_int_equal(symlink("/dev/null", trust_path), 0);
    refused(&text, 0, "nobody else can write");
    put_trust(0444);
    assert_ok(use(&text, 0, &err), &err);
    hws_buf_deinit(&text);
}

static void lockdown_is_obeyed_whatever_was_signed(void **state)
{
    static const char *const locked[] = {"none [integrity] confidentiality\n",
                                         "none integrity [confidentiality]\n"};
    struct hws_buf text;
    struct hws_err err;

    (void)state;
    make(&text);
    for (size_t i = 0; i < 2; i++) {
        put_file(lockdown_path, locked[i], 0600);
        refused(&text, 2, "locked down");
        refused(&text, 3, "locked down");
    }
    assert_int_equal(unlink(lockdown_path), 0);
    assert_int_equal(mkdir(lockdown_path, 0700), 0);
    refused(&text, 2, "cannot be read"); /* there, but not to be read: not "no lockdown" */
    assert_int_equal(rmdir(lockdown_path), 0);
    put_file(lockdown_path, "[none] integrity confidentiality\n", 0600);
    assert_ok(use(&text, 2, &err), &err);
    hws_buf_deinit(&text);
}

static void trust_file_may_open_scope_2_under_lockdown_and_never_scope_3(void **state)
{
    struct hws_buf text;
    struct hws_err err;

    (void)state;
    put_file(lockdown_path, "none [integrity] confidentiality\n", 0600);
    assert_int_equal(unlink(trust_path), 0);
    put_trust_and("lockdown debug-write\n", 0444);
    make(&text);
    refused(&text, 3, "locked down");
    assert_ok(use(&text, 2, &err), &err);
    assert_int_equal(unlink(trust_path), 0);
    put_trust(0444);
    hws_buf_deinit(&text);
    make(&text);
    refused(&text, 2, "locked down");
    hws_buf_deinit(&text);
}

static void without_a_trust_file_or_a_warrant_nothing_runs(void **state)
{
    struct hws_buf none = {0};
    struct hws_buf text;

    (void)state;
    refused(&none, 0, "without a warrant");
    make(&text);
    hws_warrants_close(&w);
    assert_ok(hws_warrants_open(&w, NULL, NULL, NULL), NULL);
    refused(&text, 0, "no trust file is given");
    hws_buf_deinit(&text);
}

static int setup(void **state)
{
    (void)state;
    now_s = T0;
    (void)hws_str_copy(folder, sizeof folder, "/tmp/hawser-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)hws_str_print(trust_path, sizeof trust_path, "%s/trust", folder);
    (void)hws_str_print(memory_path, sizeof memory_path, "%s/memory", folder);
    (void)hws_str_print(used_path, sizeof used_path, "%s/" HWS_WARRANTS_FILE, memory_path);
    (void)hws_str_print(lockdown_path, sizeof lockdown_path, "%s/lockdown", folder);
    put_trust(0644);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_warrants_close(&w);
    (void)unlink(trust_path);
    (void)unlink(used_path);
    (void)unlink(lockdown_path);
    (void)rmdir(memory_path);
    return rmdir(folder);
}

static int make_keys(void **state)
{
    uint64_t rand = hws_test_seed();

    (void)state;
    for (size_t i = 0; i < sizeof box; i++) {
        box[i] = (uint8_t)hws_test_rand(&rand);
    }
    return hws_signer_new(&olga, NULL) == HWS_OK && hws_signer_new(&otto, NULL) == HWS_OK ? 0 : -1;
}

static int drop_keys(void **state)
{
    (void)state;
    hws_signer_deinit(&olga);
    hws_signer_deinit(&otto);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_warrant_is_good_once_also_across_restarts),
        TEST(a_clock_set_back_revives_nothing),
        TEST(a_cut_line_counts_for_nothing_and_a_damaged_memory_stops_everything),
        TEST(what_cannot_be_remembered_does_not_run),
        TEST(a_full_memory_is_not_written_to_but_folded_at_a_restart),
        TEST(keys_change_without_a_restart_and_only_roots_file_counts),
        TEST(lockdown_is_obeyed_whatever_was_signed),
        TEST(trust_file_may_open_scope_2_under_lockdown_and_never_scope_3),
        TEST(without_a_trust_file_or_a_warrant_nothing_runs),
    };

    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
