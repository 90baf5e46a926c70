/* Firmware update: staged over MCC and MCDA, verified, activated, run after a reset. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "emu/image.h"
#include "guest.h"
#include "test.h"

#define IMAGE_BYTES 1501u /* no whole number of words, nor of writes */

static struct guest g;
static char text[8192];
static uint8_t image[IMAGE_BYTES];
static struct hws_emu_version wanted;

static void start(const char *firmware_keys)
{
    static char base[8192];
    uint64_t r = hws_test_seed();

    guest_profile_text(base, sizeof(base), &r, "");
    char *at = strstr(base, "reset_delay_ms: 5");
    assert_non_null(at);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - base), base, firmware_keys, at);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
}

static int setup(void **state)
{
    uint64_t r = hws_test_seed() + 1;

    (void)state;
    start("image_bytes: 8192, erase_ms: 700, verify_ms: 900, activate_ms: 300, update_timeout_ms: "
          "20000, ");
    for (size_t i = 0; i < sizeof(image); i++) {
        image[i] = (uint8_t)hws_test_rand(&r);
    }
    wanted = (struct hws_emu_version){.major = g.profile.version.major,
                                      .minor = (uint16_t)(g.profile.version.minor + 1),
                                      .subminor = (uint16_t)(hws_test_rand(&r) % 9999),
                                      .year = 0x2025,
                                      .month = 0x11,
                                      .day = 0x07,
                                      .build_id = (uint32_t)hws_test_rand(&r),
                                      .branch = "rel-new"};
    assert_ok(
        hws_emu_image_seal(image, sizeof(image), g.profile.hw_dev_id, g.profile.psid, &wanted),
        NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

struct mcc {
    uint32_t handle;
    uint8_t state;
    uint8_t error;
    uint8_t progress;
    uint32_t elapsed_s;
    uint8_t owner;
};

static struct mcc status(void)
{
    uint8_t d[0x20] = {0};

    assert_int_equal(guest_reg(&g, 0x9062, false, d, sizeof(d), NULL), 0);
    return (struct mcc){.handle = hws_load_be32(d + 8) & 0xffffff,
                        .state = d[0x0f] & 0xf,
                        .error = d[0x0e],
                        .progress = d[0x0d] & 0x7f,
                        .elapsed_s = hws_load_be32(d) >> 16 & 0xfff,
                        .owner = d[0x0c] >> 4};
}

static uint8_t instruct(uint8_t instruction, uint32_t handle, uint32_t size, uint32_t *syndrome)
{
    uint8_t d[0x20] = {0};

    d[3] = instruction;
    hws_store_be32(d + 8, handle);
    hws_store_be32(d + 0x10, size);
    return guest_reg(&g, 0x9062, true, d, sizeof(d), syndrome);
}

/* As the driver sends them: every dword's bytes the other way round. */
static uint8_t write_block(uint32_t handle, uint32_t offset, const uint8_t *bytes, uint16_t n,
                           uint32_t *syndrome)
{
    uint8_t d[0x90] = {0};

    hws_store_be32(d, handle);
    hws_store_be32(d + 4, offset);
    hws_store_be16(d + 0x0a, n);
    for (uint32_t i = 0; bytes != NULL && i < n; i++) {
        d[0x10 + (i & ~3u) + (3 - (i & 3))] = bytes[i];
    }
    return guest_reg(&g, 0x9063, true, d, sizeof(d), syndrome);
}

static uint32_t lock(void)
{
    uint32_t handle = status().handle;

    assert_int_equal(instruct(1, handle, 0, NULL), 0);
    assert_int_equal(status().state, 1);
    assert_int_equal(status().owner, 4);
    return handle;
}

static void erase(uint32_t handle)
{
    assert_int_equal(instruct(3, handle, sizeof(image), NULL), 0);
    assert_int_equal(status().state, 2);
    g.now_ms += 350;
    assert_int_equal(status().progress, 50);
    g.now_ms += 350;
    assert_int_equal(status().state, 3);
}

static void download(uint32_t handle)
{
    for (uint32_t at = 0; at < sizeof(image); at += 128) {
        uint8_t block[128] = {0};
        uint32_t left = (uint32_t)sizeof(image) - at;
        uint32_t n = left < 128 ? left : 128;
        memcpy(block, image + at, n);
        assert_int_equal(write_block(handle, at, block, (uint16_t)((n + 3) & ~3u), NULL), 0);
    }
}

static uint8_t component(void)
{
    uint8_t d[0x10] = {0};

    assert_int_equal(guest_reg(&g, 0x9060, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be16(d + 6), 1);
    return d[0x0b] & 0xf;
}

/* The verdict. */
static uint8_t verify(uint32_t handle)
{
    assert_int_equal(instruct(4, handle, 0, NULL), 0);
    assert_int_equal(status().state, 4);
    g.now_ms += 900;
    assert_int_equal(status().state, 1);
    return status().error;
}

static void activate(uint32_t handle)
{
    assert_int_equal(instruct(6, handle, 0, NULL), 0);
    assert_int_equal(status().state, 6);
    g.now_ms += 300;
    assert_int_equal(status().state, 1);
}

static void update(void)
{
    uint32_t handle = lock();

    erase(handle);
    assert_int_equal(component(), 1);
    download(handle);
    assert_int_equal(verify(handle), 0);
    assert_int_equal(component(), 2);
    activate(handle);
    assert_int_equal(status().error, 0);
    assert_int_equal(component(), 4);
    assert_int_equal(instruct(2, handle, 0, NULL), 0);
    assert_int_equal(status().state, 0);
}

static void assert_runs(const struct hws_emu_version *v)
{
    uint8_t d[0xa0] = {0};

    assert_int_equal(guest_reg(&g, 0x9020, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x44), v->major);
    assert_int_equal(hws_load_be32(d + 0x48), v->minor);
    assert_int_equal(hws_load_be32(d + 0x4c), v->subminor);
    assert_int_equal(hws_load_be32(d + 0x24), v->build_id);
    assert_string_equal((const char *)d + 0x80, v->branch);
    assert_int_equal(hws_emu_read32(&g.emu, 0), (uint32_t)v->minor << 16 | v->major);
}

/* The version in MCQI; 0 if there is none. */
static uint32_t version_info(bool pending)
{
    uint8_t d[0x94] = {pending ? 0x80 : 0};

    d[0x0b] = 1;
    hws_store_be16(d + 0x16, 0x7c);
    uint8_t rc = guest_reg(&g, 0x9061, false, d, sizeof(d), NULL);
    return rc == 0 ? hws_load_be32(d + 0x18 + 4) : 0;
}

static void an_update_runs_after_a_reset_and_not_before(void **state)
{
    uint8_t reset[8] = {0, 0, 0, 0, 0x20, 0, 0, 0x08};

    (void)state;
    assert_int_equal(component(), 0);
    assert_int_equal(version_info(true), 0);
    update();
    assert_runs(&g.profile.version);
    assert_int_equal(version_info(true), (uint32_t)wanted.major << 24 |
                                             (uint32_t)(wanted.minor & 0xff) << 16 |
                                             wanted.subminor);
    assert_int_equal(guest_reg(&g, 0x9028, true, reset, sizeof(reset), NULL), 0);
    g.now_ms += 5;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
    assert_runs(&wanted);
    assert_int_equal(component(), 0);
    assert_int_equal(version_info(true), 0);
}

static void it_is_stored_before_the_reset(void **state)
{
    static uint8_t nv[HWS_EMU_NV_MAX_BYTES];
    size_t n;

    (void)state;
    update();
    memcpy(nv, g.nv, g.n_nv);
    n = g.n_nv;
    assert_true(n > 0);
    guest_stop(&g);
    guest_start(&g, text, nv, n); /* the power went away */
    guest_bring_up(&g);
    assert_runs(&wanted);
    hws_emu_power_cycle(&g.emu, 0);
    guest_bring_up(&g);
    assert_runs(&wanted);
}

static void a_flash_that_fails_activates_nothing(void **state)
{
    uint32_t handle = lock();

    (void)state;
    erase(handle);
    download(handle);
    assert_int_equal(verify(handle), 0);
    g.flash_broken = true;
    activate(handle);
    assert_int_equal(status().error, 1);
    assert_int_equal(component(), 5);
    hws_emu_power_cycle(&g.emu, g.now_ms);
    guest_bring_up(&g);
    assert_runs(&g.profile.version);
}

/* Downloads the image as it is and returns the verdict; releases. */
static uint8_t verdict(void)
{
    uint32_t handle = lock();

    erase(handle);
    download(handle);
    uint8_t error = verify(handle);
    assert_int_equal(component(), error == 0 ? 2 : 5);
    if (error != 0) {
        assert_int_equal(instruct(6, handle, 0, NULL), 0x09); /* cannot be activated */
    }
    assert_int_equal(instruct(2, handle, 0, NULL), 0);
    return error;
}

static void seal(uint16_t device, const char *psid, const struct hws_emu_version *v)
{
    assert_ok(hws_emu_image_seal(image, sizeof(image), device, psid, v), NULL);
}

static void images_are_judged(void **state)
{
    uint64_t r = hws_test_seed() + 2;
    struct hws_emu_version old = wanted;

    (void)state;
    image[hws_test_rand(&r) % (sizeof(image) - 80) + 80] ^= 0x10;
    assert_int_equal(verdict(), 2);
    seal((uint16_t)(g.profile.hw_dev_id + 1), g.profile.psid, &wanted);
    assert_int_equal(verdict(), 3);
    seal(g.profile.hw_dev_id, "MT_0000000000", &wanted);
    assert_int_equal(verdict(), 3);
    seal(g.profile.hw_dev_id, g.profile.psid, &wanted);
    image[0] = 'h';
    assert_int_equal(verdict(), 8);
    seal(g.profile.hw_dev_id, g.profile.psid, &wanted);
    image[11]++; /* the length */
    assert_int_equal(verdict(), 8);
    guest_stop(&g);
    start("oldest_version: 60000.1.1, image_bytes: 8192, erase_ms: 700, verify_ms: 900, ");
    old.major = 59999;
    seal(g.profile.hw_dev_id, g.profile.psid, &old);
    assert_int_equal(verdict(), 15);
    old.major = 60000;
    old.minor = 1;
    old.subminor = 1;
    seal(g.profile.hw_dev_id, g.profile.psid, &old);
    assert_int_equal(verdict(), 0);
}

static void a_gap_is_seen(void **state)
{
    uint32_t handle = lock();

    (void)state;
    erase(handle);
    download(handle);
    assert_int_equal(instruct(8, handle, 0, NULL), 0); /* cancel */
    assert_int_equal(status().state, 1);
    assert_int_equal(component(), 6);
    erase(handle);
    for (uint32_t at = 128; at + 128 <= sizeof(image); at += 128) { /* without the first block */
        assert_int_equal(write_block(handle, at, image + at, 128, NULL), 0);
    }
    assert_int_equal(verify(handle), 8);
}

static void one_holder_at_a_time(void **state)
{
    uint32_t syndrome = 0;
    uint32_t handle = lock();

    (void)state;
    assert_int_equal(instruct(1, 0, 0, &syndrome), 0x06);
    assert_int_equal(syndrome, 0xe30050);
    assert_int_equal(instruct(3, handle + 1, 0, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30051);
    assert_int_equal(instruct(9, handle, 0, NULL), 0); /* check */
    assert_int_equal(instruct(2, handle, 0, NULL), 0);
    assert_int_equal(instruct(9, handle, 0, NULL), 0x03); /* not any more */
    assert_int_not_equal(status().handle, handle);
    handle = lock();
    assert_int_equal(instruct(10, 0, 0, NULL), 0); /* force release */
    assert_int_equal(status().state, 0);
    assert_int_equal(write_block(handle, 0, image, 128, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30051);
}

static void a_silent_holder_loses_the_handle(void **state)
{
    uint32_t handle = lock();

    (void)state;
    erase(handle);
    g.now_ms += 15000;
    assert_int_equal(write_block(handle, 0, image, 128, NULL), 0);
    g.now_ms += 19999;
    assert_int_equal(status().state, 3);
    assert_int_equal(status().elapsed_s, 19);
    g.now_ms += 1;
    assert_int_equal(status().state, 0);
    assert_int_equal(status().owner, 0);
    assert_int_equal(component(), 6);
    assert_int_equal(instruct(9, handle, 0, NULL), 0x03);
}

static void what_the_state_forbids_is_refused(void **state)
{
    uint32_t handle = lock();
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(write_block(handle, 0, image, 128, &syndrome), 0x09);
    assert_int_equal(syndrome, 0xe30052);
    assert_int_equal(instruct(4, handle, 0, NULL), 0x09);
    assert_int_equal(instruct(6, handle, 0, NULL), 0x09);
    assert_int_equal(instruct(3, handle, 8193, NULL), 0x03);
    assert_int_equal(instruct(7, handle, 0, NULL), 0x03); /* the image cannot be read */
    erase(handle);
    assert_int_equal(instruct(3, handle, 0, NULL), 0x09);
}

static void blocks_outside_the_component_are_refused(void **state)
{
    static const struct {
        uint32_t offset;
        uint16_t n;
    } cases[] = {{2, 4}, {0, 3}, {0, 0}, {0, 132}, {IMAGE_BYTES + 3, 4}, {UINT32_MAX - 3, 4}};
    uint32_t handle = lock();

    (void)state;
    erase(handle);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t rc = write_block(handle, cases[i].offset, NULL, cases[i].n, NULL);
        assert_true(rc == 0x03 || (cases[i].n > 128 && rc == 0x50));
    }
}

static void a_second_update_waits_for_the_reset(void **state)
{
    (void)state;
    update();
    uint32_t handle = lock();
    assert_int_equal(instruct(3, handle, sizeof(image), NULL), 0);
    assert_int_equal(status().state, 1);
    assert_int_equal(status().error, 9);
    assert_int_equal(component(), 4);
    assert_int_equal(instruct(8, handle, 0, NULL), 0);
    assert_int_equal(component(), 4);
}

static void capabilities_say_how_to_write(void **state)
{
    uint8_t d[0x94] = {0};
    uint32_t syndrome = 0;

    (void)state;
    hws_store_be16(d + 0x16, 0x14);
    assert_int_equal(guest_reg(&g, 0x9061, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x18), 0x22); /* version, activation method */
    assert_int_equal(hws_load_be32(d + 0x20), 8192);
    assert_int_equal(hws_load_be32(d + 0x24), 2u << 28 | 128);
    memset(d, 0, sizeof(d));
    d[3] = 1;
    assert_int_equal(guest_reg(&g, 0x9060, false, d, 0x10, NULL), 0x03);
    assert_int_equal(guest_reg(&g, 0x9061, false, d, sizeof(d), NULL), 0x03);
    memset(d, 0, sizeof(d));
    d[0] = 0x80;
    d[0x0b] = 1;
    assert_int_equal(guest_reg(&g, 0x9061, false, d, sizeof(d), &syndrome), 0x05);
    assert_int_equal(syndrome, 0xe30053);
    memset(d, 0, sizeof(d));
    d[0x0b] = 5;
    hws_store_be16(d + 0x16, 4);
    assert_int_equal(guest_reg(&g, 0x9061, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x18), 4); /* a firmware reset */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_update_runs_after_a_reset_and_not_before, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(it_is_stored_before_the_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flash_that_fails_activates_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(images_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(one_holder_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_holder_loses_the_handle, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_state_forbids_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(blocks_outside_the_component_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_update_waits_for_the_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(capabilities_say_how_to_write, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
