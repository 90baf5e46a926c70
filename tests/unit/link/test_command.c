/* CMD and DONE: golden bytes by hand, inline and memory file, outcome to error and back. */
#include <string.h>

#include "link/command.h"
#include "link/packet.h"
#include "test.h"

static const uint8_t golden_cmd[] = {
    17, 0,    0, 0, 0, 0, 0, 36, 0, 0, 0, 0,    0, 0, 0, 4,               /* header */
    0,  1,    0, 9, 1, 0, 0, 0,  0, 0, 3, 0xe8, 0, 0, 0, 16, 0, 0, 1, 16, /* 1 s, 16 in, 272 out */
    8,  0x0d, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0,    0, 0, 0, 0};              /* NOP */

static const uint8_t golden_done[] = {
    18, 0, 0, 0, 0, 0, 0,    19,   0, 0, 0, 0, 0, 0, 0,   4, /* header */
    13, 3, 0, 3, 0, 0, 0xbe, 0xef, 0, 0, 0, 2, 0, 3, 'b', 'a', 'd', 3, 0};

static struct hws_link_packet decoded(const uint8_t *bytes, size_t n)
{
    struct hws_link_packet p;
    struct hws_err err;

    assert_ok(hws_link_decode(bytes, n, &p, &err), &err);
    return p;
}

static void cmd_has_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .id = 4};
    uint8_t bytes[128];
    size_t n = 0;

    (void)state;
    p.u.cmd = (struct hws_link_cmd){.adapter = 1,
                                    .row = 9,
                                    .scope = 1,
                                    .deadline_ms = 1000,
                                    .in_bytes = 16,
                                    .out_cap = 272,
                                    .in = {golden_cmd + 36, 16}};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, sizeof golden_cmd);
    assert_memory_equal(bytes, golden_cmd, n);
    p = decoded(golden_cmd, sizeof golden_cmd);
    assert_int_equal(p.u.cmd.adapter, 1);
    assert_int_equal(p.u.cmd.row, 9);
    assert_int_equal(p.u.cmd.scope, 1);
    assert_int_equal(p.u.cmd.deadline_ms, 1000);
    assert_int_equal(p.u.cmd.out_cap, 272);
    assert_int_equal(p.u.cmd.in.n, 16);
}

static void a_warrant_stands_before_the_inbox(void **state)
{
    uint8_t bytes[sizeof golden_cmd + 3];
    struct hws_link_packet p;
    struct hws_link_packet again = {.type = HWS_LINK_CMD, .id = 4};
    uint8_t made[sizeof bytes];
    size_t n = 0;

    (void)state;
    memcpy(bytes, golden_cmd, 36);
    bytes[36] = 'y';
    bytes[37] = 'e';
    bytes[38] = 's';
    memcpy(bytes + 39, golden_cmd + 36, 16);
    bytes[7] = 39; /* the packet's payload */
    bytes[23] = 3; /* the warrant */
    p = decoded(bytes, sizeof bytes);
    assert_int_equal(p.u.cmd.warrant.n, 3);
    assert_memory_equal(p.u.cmd.warrant.bytes, "yes", 3);
    assert_int_equal(p.u.cmd.in.n, 16);
    assert_int_equal(p.u.cmd.in.bytes[0], 8);
    again.u.cmd = p.u.cmd;
    assert_code(hws_link_encode(&again, made, sizeof made, &n, NULL), HWS_OK);
    assert_int_equal(n, sizeof bytes);
    assert_memory_equal(made, bytes, n);
    bytes[22] = 7; /* 1795 bytes: over the limit */
    assert_code(hws_link_decode(bytes, sizeof bytes, &p, NULL), HWS_E_PROTO);
    again.u.cmd.warrant.n = HWS_LINK_WARRANT_BYTES + 1;
    assert_true(hws_link_encode(&again, made, sizeof made, &n, NULL) != HWS_OK);
}

static void done_has_golden_bytes_and_becomes_an_error(void **state)
{
    struct hws_link_packet p = decoded(golden_done, sizeof golden_done);
    struct hws_link_packet again = {.type = HWS_LINK_DONE, .id = 4};
    struct hws_err err;
    uint8_t bytes[128];
    size_t n = 0;

    (void)state;
    hws_link_done_err(&p.u.done, &err);
    assert_int_equal(err.code, HWS_E_DEVICE);
    assert_int_equal(err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(err.exec_status, 3);
    assert_int_equal(err.syndrome, 0xbeef);
    assert_string_equal(err.msg, "bad");
    hws_link_done_from(&again.u.done, &err);
    again.u.done.out_bytes = 2;
    again.u.done.out = p.u.done.out;
    assert_code(hws_link_encode(&again, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, sizeof golden_done);
    assert_memory_equal(bytes, golden_done, n);
}

static void a_wrong_byte_is_refused(void **state)
{
    static const struct {
        size_t at;
        const char *what;
        bool done;
        uint8_t value;
    } rows[] = {
        {17, "adapter beyond the limit", false, 64},
        {20, "scope 4", false, 4},
        {21, "reserved", false, 1},
        {23, "reserved", false, 1},
        {31, "an inbox under 16 bytes", false, 15},
        {31, "an inbox longer than the packet", false, 17},
        {28, "an inbox over 2 MiB", false, 1},
        {35, "no problem with 271 bytes of outbox", false, 15},
        {34, "an outbox that needs a memory file", false, 0xff},
        {1, "a memory file that is not needed", false, 2},
        {16, "a code without a row", true, 16},
        {17, "a stage without a name", true, 5},
        {24, "an outbox over 2 MiB", true, 1},
        {27, "bytes left over", true, 1},
        {27, "an outbox longer than the packet", true, 3},
        {31, "a NUL in the text", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint8_t *golden = rows[i].done ? golden_done : golden_cmd;
        size_t n = rows[i].done ? sizeof golden_done : sizeof golden_cmd;
        bool fine = !rows[i].done && rows[i].at == 35; /* the control: a harmless change passes */
        uint8_t bytes[128];
        struct hws_link_packet p;

        memcpy(bytes, golden, n);
        assert_int_not_equal(bytes[rows[i].at], rows[i].value);
        bytes[rows[i].at] = rows[i].value;
        if ((hws_link_decode(bytes, n, &p, NULL) == HWS_OK) != fine) {
            fail_msg("wrong verdict over %s", rows[i].what);
        }
    }
}

static void no_deadline_is_refused(void **state)
{
    uint8_t bytes[sizeof golden_cmd];
    struct hws_link_packet p;

    (void)state;
    memcpy(bytes, golden_cmd, sizeof bytes);
    memset(bytes + 24, 0, 4);
    assert_code(hws_link_decode(bytes, sizeof bytes, &p, NULL), HWS_E_PROTO);
}

static void large_command_travels_in_a_memory_file(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_CMD, .flags = HWS_LINK_FLAG_FD, .id = 1};
    uint8_t bytes[128];
    size_t n = 0;

    (void)state;
    assert_false(hws_link_needs_fd(HWS_LINK_INLINE_BYTES, HWS_LINK_INLINE_BYTES));
    assert_true(hws_link_needs_fd(HWS_LINK_INLINE_BYTES + 1, 16));
    assert_true(hws_link_needs_fd(16, HWS_LINK_INLINE_BYTES + 1));
    p.u.cmd = (struct hws_link_cmd){
        .deadline_ms = 1, .in_bytes = HWS_LINK_COMMAND_BYTES, .out_cap = HWS_LINK_COMMAND_BYTES};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, 36);
    assert_int_equal(decoded(bytes, n).u.cmd.in.n, 0);
    p.u.cmd.out_cap++;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p = (struct hws_link_packet){.type = HWS_LINK_DONE, .flags = HWS_LINK_FLAG_FD, .id = 1};
    p.u.done.out_bytes = HWS_LINK_COMMAND_BYTES;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(decoded(bytes, n).u.done.out_bytes, HWS_LINK_COMMAND_BYTES);
    p.u.done.out_bytes = 0; /* a memory file with nothing in it */
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.flags = 0;
    p.u.done.out_bytes = HWS_LINK_INLINE_BYTES + 1; /* more than a packet holds */
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cmd_has_golden_bytes),
        cmocka_unit_test(a_warrant_stands_before_the_inbox),
        cmocka_unit_test(done_has_golden_bytes_and_becomes_an_error),
        cmocka_unit_test(a_wrong_byte_is_refused),
        cmocka_unit_test(no_deadline_is_refused),
        cmocka_unit_test(large_command_travels_in_a_memory_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
