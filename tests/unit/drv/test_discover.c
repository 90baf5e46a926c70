/* Which fwctl nodes there are, read from a scripted sysfs. */
#include <errno.h>
#include <stdio.h>

#include "drv/discover.h"
#include "fake_sys.h"
#include "test.h"

#define DIR        "/sys/class/fwctl"
#define LINK(text) .bytes = (text), .n_bytes = sizeof(text), .result = (int)sizeof(text) - 1

static void nodes_come_in_pci_order(void **state)
{
    static const char names[] = "fwctl1\0fwctl0\0other";
    static const struct hws_fake_sys_row rows[] = {
        {.call = HWS_FAKE_SYS_LIST,
         .path = DIR,
         .bytes = names,
         .n_bytes = sizeof names,
         .result = sizeof names},
        {.call = HWS_FAKE_SYS_READLINK,
         .path = DIR "/fwctl1/device",
         LINK("../../../0000:81:00.0")},
        {.call = HWS_FAKE_SYS_READLINK,
         .path = DIR "/fwctl0/device",
         LINK("../../../0000:41:00.1")},
    };
    struct hws_discovered found[HWS_DISCOVER_MAX];
    struct hws_fake_sys fake;
    size_t n = 0;
    size_t n_left = 9;

    (void)state;
    hws_fake_sys_init(&fake, rows, sizeof rows / sizeof rows[0]);
    assert_code(hws_discover(&fake.sys, found, &n, &n_left, NULL), HWS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(n_left, 0);
    assert_string_equal(found[0].pci, "0000:41:00.1");
    assert_string_equal(found[0].node, "/dev/fwctl/fwctl0");
    assert_string_equal(found[1].pci, "0000:81:00.0");
    hws_fake_sys_check(&fake);
}

static void no_class_means_no_nodes(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        {.call = HWS_FAKE_SYS_LIST, .path = DIR, .result = -ENOENT}};
    struct hws_discovered found[HWS_DISCOVER_MAX];
    struct hws_fake_sys fake;
    size_t n = 9;
    size_t n_left = 9;

    (void)state;
    hws_fake_sys_init(&fake, rows, 1);
    assert_code(hws_discover(&fake.sys, found, &n, &n_left, NULL), HWS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(n_left, 0);
    hws_fake_sys_check(&fake);
}

static void unreadable_class_is_an_error(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        {.call = HWS_FAKE_SYS_LIST, .path = DIR, .result = -EACCES}};
    struct hws_discovered found[HWS_DISCOVER_MAX];
    struct hws_fake_sys fake;
    size_t n = 9;
    size_t n_left = 9;

    (void)state;
    hws_fake_sys_init(&fake, rows, 1);
    assert_code(hws_discover(&fake.sys, found, &n, &n_left, NULL), HWS_E_IO);
    assert_int_equal(n, 9);
    assert_int_equal(n_left, 9);
    hws_fake_sys_check(&fake);
}

static void node_that_vanishes_is_passed_over(void **state)
{
    static const char names[] = "fwctl0";
    static const struct hws_fake_sys_row rows[] = {
        {.call = HWS_FAKE_SYS_LIST,
         .path = DIR,
         .bytes = names,
         .n_bytes = sizeof names,
         .result = sizeof names},
        {.call = HWS_FAKE_SYS_READLINK, .path = DIR "/fwctl0/device", .result = -ENOENT},
    };
    struct hws_discovered found[HWS_DISCOVER_MAX];
    struct hws_fake_sys fake;
    size_t n = 9;
    size_t n_left = 9;

    (void)state;
    hws_fake_sys_init(&fake, rows, 2);
    assert_code(hws_discover(&fake.sys, found, &n, &n_left, NULL), HWS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(n_left, 0);
    hws_fake_sys_check(&fake);
}

/* Listed from the highest address down, as the order of a folder promises nothing. */
static void of_too_many_nodes_the_first_by_address_are_served(void **state)
{
    enum { N = HWS_DISCOVER_MAX + 3 };
    static char names[N * 16];
    static char paths[N][64];
    static char links[N][32];
    static struct hws_fake_sys_row rows[N + 1];
    struct hws_discovered found[HWS_DISCOVER_MAX];
    struct hws_fake_sys fake;
    size_t n = 0;
    size_t n_left = 0;
    size_t at = 0;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        at += (size_t)snprintf(names + at, sizeof names - at, "fwctl%u", i) + 1;
        (void)snprintf(paths[i], sizeof paths[i], DIR "/fwctl%u/device", i);
        int n_link = snprintf(links[i], sizeof links[i], "../../0000:%02x:00.0", N - 1 - i);

        rows[i + 1] = (struct hws_fake_sys_row){.call = HWS_FAKE_SYS_READLINK,
                                                .path = paths[i],
                                                .bytes = links[i],
                                                .n_bytes = (size_t)n_link + 1,
                                                .result = n_link};
    }
    rows[0] = (struct hws_fake_sys_row){
        .call = HWS_FAKE_SYS_LIST, .path = DIR, .bytes = names, .n_bytes = at, .result = (int)at};
    hws_fake_sys_init(&fake, rows, N + 1);
    assert_code(hws_discover(&fake.sys, found, &n, &n_left, NULL), HWS_OK);
    assert_int_equal(n, HWS_DISCOVER_MAX);
    assert_int_equal(n_left, 3);
    for (unsigned i = 0; i < HWS_DISCOVER_MAX; i++) {
        char pci[32];

        (void)snprintf(pci, sizeof pci, "0000:%02x:00.0", i);
        assert_string_equal(found[i].pci, pci);
    }
    assert_string_equal(found[0].node, "/dev/fwctl/fwctl66");
    hws_fake_sys_check(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_come_in_pci_order),
        cmocka_unit_test(no_class_means_no_nodes),
        cmocka_unit_test(unreadable_class_is_an_error),
        cmocka_unit_test(node_that_vanishes_is_passed_over),
        cmocka_unit_test(of_too_many_nodes_the_first_by_address_are_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
