/* Watching a folder that comes and goes, on real files. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "drv/watch.h"
#include "test.h"

static char base[64];
static char dir[96];
static char file[128];
static struct hws_watch w;

static int setup(void **state)
{
    struct hws_err err;

    (void)state;
    (void)hws_str_copy(base, sizeof base, "/tmp/hawser-watch-XXXXXX");
    assert_non_null(mkdtemp(base));
    (void)hws_str_print(dir, sizeof dir, "%s/fwctl", base);
    (void)hws_str_print(file, sizeof file, "%s/fwctl0", dir);
    assert_ok(hws_watch_open(&w, dir, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_watch_close(&w);
    (void)unlink(file);
    (void)rmdir(dir);
    return rmdir(base);
}

static void create(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void files_that_come_change_and_go_are_told(void **state)
{
    (void)state;
    assert_false(hws_watch_changed(&w));
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_true(hws_watch_changed(&w));
    assert_false(hws_watch_changed(&w));
    create(file);
    assert_true(hws_watch_changed(&w));
    assert_int_equal(chmod(file, 0640), 0);
    assert_true(hws_watch_changed(&w));
    assert_int_equal(unlink(file), 0);
    assert_true(hws_watch_changed(&w));
    assert_false(hws_watch_changed(&w));
}

static void a_folder_that_comes_back_is_watched_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mkdir(dir, 0700), 0);
        assert_true(hws_watch_changed(&w));
        create(file);
        assert_true(hws_watch_changed(&w));
        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(dir), 0);
        assert_true(hws_watch_changed(&w));
    }
}

static void neighbours_are_nothing(void **state)
{
    char other[128];

    (void)state;
    (void)hws_str_print(other, sizeof other, "%s/fwctl2", base);
    create(other);
    assert_false(hws_watch_changed(&w));
    assert_int_equal(unlink(other), 0);
}

static void a_path_that_cannot_be_watched_is_refused(void **state)
{
    struct hws_watch bad;
    struct hws_err err;

    (void)state;
    assert_code(hws_watch_open(&bad, "fwctl", &err), HWS_E_INVALID);
    assert_code(hws_watch_open(&bad, "/", &err), HWS_E_INVALID);
    assert_code(hws_watch_open(&bad, "/nowhere-at-all/fwctl", &err), HWS_E_IO);
    hws_watch_close(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(files_that_come_change_and_go_are_told),
        TEST(a_folder_that_comes_back_is_watched_again),
        TEST(neighbours_are_nothing),
        TEST(a_path_that_cannot_be_watched_is_refused),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
