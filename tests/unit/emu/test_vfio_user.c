/* The vfio-user protocol, request by request; bytes by hand from its specification (QEMU 11.1,
 * docs/interop/vfio-user.rst). */
#include <errno.h>
#include <string.h>

#include "emu/vfio_user.h"
#include "test.h"

#define MAP_VECTORS 64u

static struct {
    struct hws_emu_vfu_map map;
    uint64_t addr;
    uint64_t bytes;
    uint64_t offset;
    uint32_t n_fds;
    uint32_t start;
    uint32_t count;
    uint32_t region;
    uint32_t n;
    bool all;
    unsigned n_calls;
    int rc;
} saw;

static uint8_t request[HWS_EMU_VFU_MAX_BYTES];
static uint8_t reply[HWS_EMU_VFU_MAX_BYTES];
static struct hws_emu_vfu v;

static int on_map(void *data, const struct hws_emu_vfu_map *map, uint32_t n_fds)
{
    (void)data;
    saw.n_calls++;
    saw.map = *map;
    saw.n_fds = n_fds;
    return saw.rc;
}

static int on_unmap(void *data, uint64_t addr, uint64_t bytes, bool all)
{
    (void)data;
    saw.n_calls++;
    saw.addr = addr;
    saw.bytes = bytes;
    saw.all = all;
    return saw.rc;
}

static int on_vectors(void *data, uint32_t start, uint32_t count, uint32_t n_fds)
{
    (void)data;
    saw.n_calls++;
    saw.start = start;
    saw.count = count;
    saw.n_fds = n_fds;
    return saw.rc;
}

static void on_read(void *data, uint32_t region, uint64_t offset, uint8_t *dst, uint32_t n)
{
    (void)data;
    saw.n_calls++;
    saw.region = region;
    saw.offset = offset;
    saw.n = n;
    memset(dst, 0xa5, n);
}

static void on_write(void *data, uint32_t region, uint64_t offset, const uint8_t *src, uint32_t n)
{
    (void)data;
    saw.n_calls++;
    saw.region = region;
    saw.offset = offset;
    saw.n = n;
    assert_int_equal(n == 0 || src[0] == 0x11, 1);
}

static void on_reset(void *data)
{
    (void)data;
    saw.n_calls++;
}

static const struct hws_emu_vfu_ops ops = {.dma_map = on_map,
                                           .dma_unmap = on_unmap,
                                           .set_vectors = on_vectors,
                                           .read = on_read,
                                           .write = on_write,
                                           .reset = on_reset};

static int setup(void **state)
{
    (void)state;
    memset(&saw, 0, sizeof(saw));
    memset(request, 0, sizeof(request));
    v = (struct hws_emu_vfu){.ops = &ops, .greeted = true};
    return 0;
}

static void put32(size_t at, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        request[at + (size_t)i] = (uint8_t)(x >> (8 * i));
    }
}

static void put64(size_t at, uint64_t x)
{
    put32(at, (uint32_t)x);
    put32(at + 4, (uint32_t)(x >> 32));
}

static uint32_t get32(size_t at)
{
    return reply[at] | (uint32_t)reply[at + 1] << 8 | (uint32_t)reply[at + 2] << 16 |
           (uint32_t)reply[at + 3] << 24;
}

/* Sends the request with a body of n bytes; the reply's error number, its length in *out_n. */
static uint32_t serve(uint16_t command, uint32_t n, uint32_t n_fds, size_t *out_n)
{
    struct hws_emu_vfu_head head;

    put32(0, 0x1234 | (uint32_t)command << 16);
    put32(4, 16 + n);
    assert_true(hws_emu_vfu_head_decode(request, &head));
    *out_n = hws_emu_vfu_serve(&v, &head, request + 16, n_fds, reply);
    assert_true(*out_n >= 16);
    assert_int_equal(get32(0), 0x1234 | (uint32_t)command << 16);
    assert_int_equal(get32(4), *out_n);
    assert_int_equal(get32(8), get32(12) == 0 ? 0x01 : 0x21);
    return get32(12);
}

static void nothing_is_served_before_the_version(void **state)
{
    size_t n;

    (void)state;
    v.greeted = false;
    assert_int_equal(serve(4, 16, 0, &n), EINVAL);
    assert_int_equal(n, 16);
    put32(16, 1); /* major 1 */
    assert_int_equal(serve(1, 4, 0, &n), EPROTONOSUPPORT);
    put32(16, 0x00010000); /* 0.1 */
    assert_int_equal(serve(1, 4, 0, &n), 0);
    assert_int_equal(get32(16), 0);
    assert_int_equal(reply[n - 1], 0);
    assert_non_null(strstr((const char *)reply + 20, "\"max_msg_fds\":8,"));
    assert_int_equal(strlen((const char *)reply + 20), n - 21);
    assert_int_equal(serve(4, 16, 0, &n), 0);
}

static void device_info_is_a_pci_device_that_resets(void **state)
{
    size_t n;

    (void)state;
    assert_int_equal(serve(4, 16, 0, &n), 0);
    assert_int_equal(n, 32);
    assert_int_equal(get32(20), 3);
    assert_int_equal(get32(24), 9);
    assert_int_equal(get32(28), 5);
}

static void regions_are_bar0_and_config(void **state)
{
    size_t n;

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        put32(24, i);
        assert_int_equal(serve(5, 32, 0, &n), i < 9 ? 0 : EINVAL);
        if (i < 9) {
            assert_int_equal(n, 48);
            assert_int_equal(get32(24), i);
            assert_int_equal(get32(32), i == 0 ? 0x100000 : i == 7 ? 4096 : 0);
            assert_int_equal(get32(20), i == 0 || i == 7 ? 3 : 0);
        }
    }
}

static void interrupts_are_msix_only(void **state)
{
    size_t n;

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        put32(24, i);
        assert_int_equal(serve(7, 16, 0, &n), i < 5 ? 0 : EINVAL);
        assert_int_equal(i == 5 || get32(28) == (i == 2 ? 64 : 0), 1);
    }
}

static void memory_is_mapped_as_told(void **state)
{
    size_t n;

    (void)state;
    put32(20, 3);
    put64(24, 0x1000);
    put64(32, 0x100000000);
    put64(40, 0x20000000);
    assert_int_equal(serve(2, 32, 1, &n), 0);
    assert_int_equal(saw.map.addr, 0x100000000);
    assert_int_equal(saw.map.bytes, 0x20000000);
    assert_int_equal(saw.map.offset, 0x1000);
    assert_true(saw.map.can_write);
    assert_int_equal(saw.n_fds, 1);

    saw.rc = EEXIST;
    assert_int_equal(serve(2, 32, 0, &n), EEXIST);
    assert_int_equal(saw.n_fds, 0);
    assert_int_equal(n, 16);
}

static void a_range_that_wraps_or_is_empty_is_refused(void **state)
{
    size_t n;

    (void)state;
    put64(32, UINT64_MAX - 0xfff);
    put64(40, 0x1001);
    assert_int_equal(serve(2, 32, 1, &n), EINVAL);
    put64(40, 0);
    assert_int_equal(serve(2, 32, 1, &n), EINVAL);
    put64(40, 0x1000);
    assert_int_equal(serve(2, 32, 2, &n), EINVAL);
    assert_int_equal(saw.n_calls, 0);
    assert_int_equal(serve(2, 32, 1, &n), 0); /* the last page there is */

    put64(24, UINT64_MAX);
    put64(32, 2);
    assert_int_equal(serve(3, 24, 0, &n), EINVAL);
}

static void unmap_is_echoed(void **state)
{
    size_t n;

    (void)state;
    put32(16, 24);
    put64(24, 0xc0000);
    put64(32, 0x4000);
    assert_int_equal(serve(3, 24, 0, &n), 0);
    assert_int_equal(n, 40);
    assert_memory_equal(reply + 16, request + 16, 24);
    assert_int_equal(saw.addr, 0xc0000);
    assert_int_equal(saw.bytes, 0x4000);
    assert_false(saw.all);
    put32(20, 2);
    put64(32, 0);
    assert_int_equal(serve(3, 24, 0, &n), 0);
    assert_true(saw.all);
}

static uint32_t set_irqs(uint32_t flags, uint32_t irq, uint32_t start, uint32_t count,
                         uint32_t n_fds)
{
    size_t n;

    put32(16, 20);
    put32(20, flags);
    put32(24, irq);
    put32(28, start);
    put32(32, count);
    return serve(8, 20, n_fds, &n);
}

static void vectors_are_set_one_descriptor_each_or_none(void **state)
{
    (void)state;
    assert_int_equal(set_irqs(0x24, 2, 3, 2, 2), 0);
    assert_int_equal(saw.start, 3);
    assert_int_equal(saw.count, 2);
    assert_int_equal(saw.n_fds, 2);
    assert_int_equal(set_irqs(0x24, 2, 0, MAP_VECTORS, 0), 0);
    assert_int_equal(set_irqs(0x21, 2, 0, 0, 0), 0);
    assert_int_equal(saw.n_calls, 3);

    assert_int_equal(set_irqs(0x24, 2, 0, 3, 2), EINVAL);
    assert_int_equal(set_irqs(0x24, 2, MAP_VECTORS, 1, 1), EINVAL);
    assert_int_equal(set_irqs(0x24, 2, UINT32_MAX, 1, 1), EINVAL);
    assert_int_equal(set_irqs(0x24, 2, 1, UINT32_MAX, 1), EINVAL);
    assert_int_equal(set_irqs(0x04, 2, 0, 1, 1), EINVAL);
    assert_int_equal(set_irqs(0x21, 2, 0, 1, 0), EOPNOTSUPP);
    assert_int_equal(set_irqs(0x24, 5, 0, 1, 1), EINVAL);
    assert_int_equal(set_irqs(0x24, 0, 0, 1, 1), EINVAL);
    assert_int_equal(set_irqs(0x21, 0, 0, 0, 0), 0);
    assert_int_equal(saw.n_calls, 3);
}

static uint32_t access_region(uint16_t command, uint32_t region, uint64_t offset, uint32_t n,
                              uint32_t n_body, size_t *out_n)
{
    put64(16, offset);
    put32(24, region);
    put32(28, n);
    memset(request + 32, 0x11, 64);
    return serve(command, 16 + n_body, 0, out_n);
}

static void regions_are_read_and_written(void **state)
{
    size_t n;

    (void)state;
    assert_int_equal(access_region(9, 0, 0x1fc, 4, 0, &n), 0);
    assert_int_equal(n, 36);
    assert_int_equal(get32(32), 0xa5a5a5a5);
    assert_memory_equal(reply + 16, request + 16, 16);
    assert_int_equal(saw.region, 0);
    assert_int_equal(saw.offset, 0x1fc);
    assert_int_equal(access_region(9, 7, 0, 4096, 0, &n), 0);
    assert_int_equal(n, 16 + 16 + 4096);
    assert_int_equal(access_region(10, 7, 4, 2, 2, &n), 0);
    assert_int_equal(n, 32);
    assert_int_equal(saw.n, 2);
}

static void access_outside_a_region_is_refused(void **state)
{
    size_t n;

    (void)state;
    assert_int_equal(access_region(9, 7, 4095, 2, 0, &n), EINVAL);
    assert_int_equal(access_region(9, 7, UINT64_MAX, 2, 0, &n), EINVAL);
    assert_int_equal(access_region(9, 0, 0, 65537, 0, &n), EINVAL);
    assert_int_equal(access_region(9, 1, 0, 1, 0, &n), EINVAL);
    assert_int_equal(access_region(9, 77, 0, 1, 0, &n), EINVAL);
    assert_int_equal(access_region(9, 77, 0, 0, 0, &n), EINVAL); /* empty, of no region */
    assert_int_equal(access_region(9, 0, 0, 0, 0, &n), EINVAL);
    assert_int_equal(access_region(10, 0, 0x10, 8, 4, &n), EINVAL); /* shorter than it says */
    assert_int_equal(saw.n_calls, 0);
}

static void a_write_that_wants_no_reply_gets_none(void **state)
{
    struct hws_emu_vfu_head head;

    (void)state;
    put32(0, 10u << 16);
    put32(4, 16 + 16 + 4);
    put32(8, 0x10);
    put64(16, 0x18);
    put32(28, 4);
    put32(32, 0x11111111);
    assert_true(hws_emu_vfu_head_decode(request, &head));
    assert_int_equal(hws_emu_vfu_serve(&v, &head, request + 16, 0, reply), 0);
    assert_int_equal(saw.n_calls, 1);
}

static void short_and_unknown_requests_are_refused(void **state)
{
    static const uint16_t min[] = {
        [1] = 4, [2] = 32, [3] = 24, [5] = 32, [7] = 16, [8] = 20, [9] = 16, [10] = 16};
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(min) / sizeof(min[0]); i++) {
        if (min[i] > 0) {
            assert_int_equal(serve((uint16_t)i, min[i] - 1u, 0, &n), EINVAL);
        }
    }
    assert_int_equal(serve(6, 16, 0, &n), EOPNOTSUPP);
    assert_int_equal(serve(11, 16, 0, &n), EOPNOTSUPP);
    assert_int_equal(serve(0xffff, 0, 0, &n), EOPNOTSUPP);
    assert_int_equal(saw.n_calls, 0);
    assert_int_equal(serve(13, 0, 0, &n), 0);
    assert_int_equal(saw.n_calls, 1);
}

static void a_header_that_cannot_be_ends_the_connection(void **state)
{
    struct hws_emu_vfu_head head;

    (void)state;
    put32(4, 15);
    assert_false(hws_emu_vfu_head_decode(request, &head));
    put32(4, HWS_EMU_VFU_MAX_BYTES + 1);
    assert_false(hws_emu_vfu_head_decode(request, &head));
    put32(4, 16);
    put32(8, 1); /* a reply to nothing */
    assert_false(hws_emu_vfu_head_decode(request, &head));
    put32(8, 0);
    assert_true(hws_emu_vfu_head_decode(request, &head));
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_served_before_the_version),
        CASE(device_info_is_a_pci_device_that_resets),
        CASE(regions_are_bar0_and_config),
        CASE(interrupts_are_msix_only),
        CASE(memory_is_mapped_as_told),
        CASE(a_range_that_wraps_or_is_empty_is_refused),
        CASE(unmap_is_echoed),
        CASE(vectors_are_set_one_descriptor_each_or_none),
        CASE(regions_are_read_and_written),
        CASE(access_outside_a_region_is_refused),
        CASE(a_write_that_wants_no_reply_gets_none),
        CASE(short_and_unknown_requests_are_refused),
        CASE(a_header_that_cannot_be_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
