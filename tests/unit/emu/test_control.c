/* The control lines: what each does to its adapter, and what is refused. */
#include <stdio.h>
#include <string.h>

#include "emu/control.h"
#include "guest.h"
#include "test.h"

static struct guest g[2];
static char text[8192];
static char answer[HWS_EMU_CONTROL_REPLY_BYTES + 1];

static int setup(void **state)
{
    uint64_t r = hws_test_seed();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        guest_profile_text(text, sizeof(text), &r, i == 0 ? "faults: [{action: drop}]\n" : "");
        guest_start(&g[i], text, NULL, 0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g[0]);
    guest_stop(&g[1]);
    return 0;
}

/* The third adapter is not powered. */
static const char *say_at(const char *line, uint64_t now_ms)
{
    struct hws_emu *const adapters[] = {&g[0].emu, &g[1].emu, NULL};
    struct hws_buf reply;

    hws_buf_init(&reply, HWS_EMU_CONTROL_REPLY_BYTES);
    assert_code(hws_emu_control(adapters, 3, line, strlen(line), now_ms, &reply), HWS_OK);
    memcpy(answer, hws_buf_peek(&reply), hws_buf_len(&reply));
    answer[hws_buf_len(&reply)] = 0;
    hws_buf_deinit(&reply);
    return answer;
}

static void obeyed(const char *line)
{
    assert_string_equal(say_at(line, 0), "ok\n");
}

static void refused(const char *line, const char *why)
{
    (void)say_at(line, 0);
    assert_true(strncmp(answer, "error: ", 7) == 0);
    assert_non_null(strstr(answer, why));
}

static void adapters_are_listed_and_found_by_number_serial_and_address(void **state)
{
    char line[128];

    (void)state;
    (void)say_at("list", 0);
    assert_true(strncmp(answer, "ok\n0 serial=", 12) == 0);
    assert_non_null(strstr(answer, g[1].profile.serial));
    assert_non_null(strstr(answer, "2 serial=- "));
    obeyed("hang 1");
    (void)snprintf(line, sizeof(line), "hang %s", g[0].profile.serial);
    obeyed(line);
    (void)snprintf(line, sizeof(line), "unplug %s\n", g[1].profile.pci_address);
    obeyed(line);
    assert_int_equal(g[0].emu.state, HWS_EMU_READY);
    assert_int_equal(g[1].emu.state, HWS_EMU_UNPLUGGED);
    assert_non_null(strstr(say_at("list", 0), "state=unplugged"));
    assert_non_null(strstr(say_at("list", 0), "state=hung"));
}

static void a_planted_fault_is_shown_with_its_counts_and_cleared(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};
    uint8_t out[16];

    (void)state;
    guest_queue(&g[1]);
    obeyed("fault 1  {opcode: NOP, action: status, status: BAD_PARAM, syndrome: 7, repeat: 2} ");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(guest_cmd(&g[1], in, 16, out, 16), 0);
        assert_int_equal(out[0], i < 2 ? 3 : 0);
    }
    (void)say_at("show 1", 0);
    assert_non_null(strstr(answer, "fault 0 action=status opcode=0x80d register=any"));
    assert_non_null(strstr(answer, "matches=3 hits=2"));
    assert_non_null(strstr(say_at("show 0", 0), "faults=1\n"));
    obeyed("clear 0");
    assert_non_null(strstr(say_at("show 0", 0), "faults=0\n"));
    assert_non_null(strstr(say_at("show 1", 0), "faults=1\n"));
}

static void health_and_fatal_show_in_the_buffer_and_resume_cleans_it(void **state)
{
    (void)state;
    obeyed("health 0 16");
    assert_int_equal(hws_emu_read32(&g[0].emu, 0x23c) >> 16 & 0xff, 16);
    assert_int_equal(hws_emu_read32(&g[0].emu, 0x238) >> 31, 0);
    obeyed("resume 0");
    obeyed("fatal 0 0x8");
    assert_int_equal(hws_emu_read32(&g[0].emu, 0x23c) >> 16 & 0xff, 8);
    assert_int_equal(hws_emu_read32(&g[0].emu, 0x238) >> 31, 1);
    assert_non_null(strstr(say_at("show 0", 0), "state=hung"));
    obeyed("reset 0");
    assert_int_equal(hws_emu_read32(&g[0].emu, 0x23c), 0);
}

static void times_count_from_the_command(void **state)
{
    (void)state;
    assert_string_equal(say_at("hang 0 50", 1000), "ok\n");
    assert_true(hws_emu_turn(&g[0].emu, 1049) == 1050);
    assert_non_null(strstr(say_at("show 0", 1049), "state=hung"));
    assert_non_null(strstr(say_at("show 0", 1050), "state=ready"));
    assert_string_equal(say_at("unplug 0 50", 2000), "ok\n");
    assert_non_null(strstr(say_at("show 0", 2049), "state=unplugged"));
    (void)say_at("show 0", 2050);
    assert_null(strstr(answer, "unplugged"));
    assert_string_equal(say_at("unplug 0", 3000), "ok\n");
    assert_true(hws_emu_turn(&g[0].emu, 1000000000) == UINT64_MAX);
    obeyed("replug 0");
    assert_true(g[0].emu.state != HWS_EMU_UNPLUGGED);
}

static void power_cycle_forgets_the_host(void **state)
{
    (void)state;
    guest_queue(&g[0]);
    assert_non_null(strstr(say_at("show 0", 0), "state=running"));
    obeyed("power-cycle 0");
    assert_int_equal(hws_emu_read32(&g[0].emu, 0x10), 0);
}

static void what_is_wrong_is_said(void **state)
{
    static char longest[HWS_EMU_CONTROL_LINE_BYTES + 2];

    (void)state;
    refused("", "no command");
    refused("explode 0", "explode");
    refused("hang", "which adapter");
    refused("hang 2", "\"2\"");
    refused("hang 7", "\"7\"");
    refused("hang 0 soon", "soon");
    refused("hang 0 86400001", "86400000");
    refused("fatal 0", "missing");
    refused("fatal 0 0", "1 to 255");
    refused("health 0 256", "1 to 255");
    refused("resume 0 now", "now");
    refused("list all", "all");
    refused("fault 0 {action: explode}", "explode");
    refused("fault 0 %YAML 1.1", "line 1");
    memset(longest, 'x', sizeof(longest) - 1);
    refused(longest, "1024");
    assert_non_null(strstr(say_at("help", 0), "power-cycle ADAPTER"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(adapters_are_listed_and_found_by_number_serial_and_address),
        TEST(a_planted_fault_is_shown_with_its_counts_and_cleared),
        TEST(health_and_fatal_show_in_the_buffer_and_resume_cleans_it),
        TEST(times_count_from_the_command),
        TEST(power_cycle_forgets_the_host),
        TEST(what_is_wrong_is_said),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
