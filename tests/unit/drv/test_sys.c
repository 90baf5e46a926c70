/* The real system calls behind struct hws_sys, on harmless objects. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "drv/sys.h"
#include "test.h"

static void folders_are_listed_without_the_dots(void **state)
{
    const struct hws_sys *sys = hws_sys_real();
    char names[256];
    char folder[] = "/tmp/hawser-sys-XXXXXX";
    char link[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(sys->list(sys->data, folder, names, sizeof names), 0);
    assert_true(hws_str_print(link, sizeof link, "%s/x", folder));
    assert_int_equal(symlink("over/there", link), 0);
    assert_int_equal(sys->list(sys->data, folder, names, sizeof names), 2);
    assert_string_equal(names, "x");
    assert_int_equal(sys->list(sys->data, folder, names, 1), -ENAMETOOLONG);
    assert_int_equal(sys->readlink(sys->data, link, names, sizeof names), 10);
    assert_string_equal(names, "over/there");
    assert_int_equal(sys->readlink(sys->data, link, names, 10), -ENAMETOOLONG);
    assert_int_equal(sys->readlink(sys->data, folder, names, sizeof names), -EINVAL);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(sys->list(sys->data, folder, names, sizeof names), -ENOENT);
}

static void errors_come_back_negative(void **state)
{
    const struct hws_sys *sys = hws_sys_real();
    int fd;

    (void)state;
    assert_int_equal(sys->open(sys->data, "/nonexistent"), -ENOENT);
    fd = sys->open(sys->data, "/dev/null");
    assert_true(fd >= 0);
    assert_int_equal(sys->ioctl(sys->data, fd, 0x9A00, NULL), -ENOTTY);
    assert_int_equal(sys->close(sys->data, fd), 0);
    assert_int_equal(sys->close(sys->data, -1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_listed_without_the_dots),
        cmocka_unit_test(errors_come_back_negative),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
