/* HELLO and ADAPTER: golden bytes by hand, the running list, the limits. */
#include <string.h>

#include "link/hello.h"
#include "link/packet.h"
#include "test.h"

static const uint8_t golden_hello[] = {
    1, 0,  0,    0,    0,   0,   0,   51,  0,   0,   0,   0,
    0, 0,  0,    0, /* header */
    2, 0,  0,    1,    0,   0,   0,   0,   0,   0,   0,   0x2a,
    0, 0,  0x10, 0xe1,                                         /* role .. pid 4321 */
    0, 10, 'h',  'a',  'w', 's', 'e', 'r', '-', 'e', 'm', 'u', /* name */
    0, 1,  'b',                                                /* build */
    0, 2,  0,    1,                                            /* 2 adapters, 1 running */
    0, 0,  0,    0,    0,   0,   0,   7,   0,   1,   0,   5,
    0, 0,  3,    0xe8 /* id 7, adapter 1, row 5, 1 s */
};

static const uint8_t golden_adapter[] = {
    16,  0,   0,   0,   0,   0,   0,   36, 0,   0,   0,   0, 0, 0, 0, 0, /* header */
    0,   1,   1,   1,   0,   31, /* index 1, up, emulated, depth 31 */
    0,   2,   0,   1,   2,   3,  /* two stalled, for 66051 ms */
    0,   4,   'm', 'l', 'x', '5', 0,   3,  'p', 'c', 'i', 0, 0, 0, 5, 'q',
    'u', 'e', 'u', 'e', 0,   2,   'o', 'k'};

static struct hws_link_packet hello(const uint8_t *running)
{
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello = (struct hws_link_hello){.role = HWS_LINK_ROLE_DEVICE,
                                        .version = 1,
                                        .generation = 0x2a,
                                        .pid = 4321,
                                        .name = hws_link_text("hawser-emu"),
                                        .build = hws_link_text("b"),
                                        .n_adapters = 2,
                                        .n_running = 1,
                                        .running = running};
    return p;
}

static void hello_has_golden_bytes(void **state)
{
    const struct hws_link_running one = {.id = 7, .adapter = 1, .row = 5, .age_ms = 1000};
    uint8_t list[HWS_LINK_RUNNING_BYTES] = {0};
    uint8_t bytes[256];
    struct hws_link_packet p = hello(list);
    struct hws_link_running back;
    size_t n = 0;

    (void)state;
    hws_link_running_put(list, 0, &one);
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, sizeof golden_hello);
    assert_memory_equal(bytes, golden_hello, sizeof golden_hello);
    assert_code(hws_link_decode(golden_hello, sizeof golden_hello, &p, NULL), HWS_OK);
    assert_int_equal(p.u.hello.role, HWS_LINK_ROLE_DEVICE);
    assert_int_equal(p.u.hello.generation, 0x2a);
    assert_int_equal(p.u.hello.pid, 4321);
    assert_int_equal(p.u.hello.n_adapters, 2);
    assert_int_equal(p.u.hello.n_running, 1);
    back = hws_link_running_get(p.u.hello.running, 0);
    assert_int_equal(back.id, 7);
    assert_int_equal(back.adapter, 1);
    assert_int_equal(back.row, 5);
    assert_int_equal(back.age_ms, 1000);
}

static void adapter_has_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_ADAPTER};
    uint8_t bytes[256];
    size_t n = 0;

    (void)state;
    p.u.adapter = (struct hws_link_adapter){.index = 1,
                                            .state = HWS_LINK_ADAPTER_UP,
                                            .emulated = true,
                                            .depth = 31,
                                            .n_stalled = 2,
                                            .stalled_ms = 66051,
                                            .kind = hws_link_text("mlx5"),
                                            .pci = hws_link_text("pci"),
                                            .backend = hws_link_text("queue"),
                                            .reason = hws_link_text("ok")};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, sizeof golden_adapter);
    assert_memory_equal(bytes, golden_adapter, n);
    assert_code(hws_link_decode(golden_adapter, n, &p, NULL), HWS_OK);
    assert_true(p.u.adapter.emulated);
    assert_int_equal(p.u.adapter.depth, 31);
    assert_int_equal(p.u.adapter.n_stalled, 2);
    assert_int_equal(p.u.adapter.stalled_ms, 66051);
    assert_memory_equal(p.u.adapter.backend.bytes, "queue", 5);
}

static void a_wrong_byte_is_refused(void **state)
{
    static const struct {
        size_t at;
        const char *what;
        bool adapter;
        uint8_t value;
    } rows[] = {
        {16, "role none", false, 0},
        {16, "an unknown role", false, 9},
        {16, "adapters at hawser-wire", false, 1},
        {17, "reserved", false, 1},
        {27, "generation 0", false, 0},
        {34, "a space in the name", false, ' '},
        {34, "a byte that is no ASCII in the name", false, 0x80},
        {48, "too many adapters", false, 65},
        {50, "more running than there are bytes", false, 2},
        {49, "more running than allowed", false, 0xff},
        {58, "a running command without id", false, 0},
        {60, "a running command of an adapter beyond the limit", false, 64},
        {17, "an index beyond the limit", true, 64},
        {18, "no state", true, 0},
        {18, "an unknown state", true, 9},
        {19, "emulated neither yes nor no", true, 2},
        {21, "depth 0", true, 0},
        {21, "depth over the limit", true, 32},
        {23, "more stalled than the depth can be", true, 32},
        {23, "an age without stalled ones", true, 0},
        {29, "no kind", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint8_t *golden = rows[i].adapter ? golden_adapter : golden_hello;
        size_t n = rows[i].adapter ? sizeof golden_adapter : sizeof golden_hello;
        uint8_t bytes[128];
        struct hws_link_packet p;

        memcpy(bytes, golden, n);
        assert_int_not_equal(bytes[rows[i].at], rows[i].value);
        bytes[rows[i].at] = rows[i].value;
        if (hws_link_decode(bytes, n, &p, NULL) != HWS_E_PROTO) {
            fail_msg("accepted %s", rows[i].what);
        }
    }
}

static void the_longest_running_list_fits_in_a_packet(void **state)
{
    static uint8_t list[HWS_LINK_MAX_RUNNING * HWS_LINK_RUNNING_BYTES];
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_link_packet p = hello(list);
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < HWS_LINK_MAX_RUNNING; i++) {
        const struct hws_link_running one = {.id = i + 1};

        hws_link_running_put(list, i, &one);
    }
    p.u.hello.n_running = HWS_LINK_MAX_RUNNING;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_OK);
    assert_int_equal(hws_link_running_get(p.u.hello.running, HWS_LINK_MAX_RUNNING - 1).id,
                     HWS_LINK_MAX_RUNNING);
    p.u.hello.n_running++;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
}

static void only_a_device_process_has_adapters_and_running_commands(void **state)
{
    const struct hws_link_running one = {.id = 7};
    uint8_t list[HWS_LINK_RUNNING_BYTES] = {0};
    uint8_t bytes[256];
    struct hws_link_packet p = hello(list);
    size_t n = 0;

    (void)state;
    hws_link_running_put(list, 0, &one);
    p.u.hello.role = HWS_LINK_ROLE_KEEPER;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.u.hello.n_adapters = 0;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.u.hello.n_running = 0;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
}

static void assert_invalid(const struct hws_link_packet *p, const char *field)
{
    uint8_t bytes[256];
    struct hws_err err;
    size_t n = 0;

    assert_code(hws_link_encode(p, bytes, sizeof bytes, &n, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, field));
}

static void encoder_refuses_what_the_decoder_would(void **state)
{
    const struct hws_link_running none = {.id = 0};
    uint8_t list[HWS_LINK_RUNNING_BYTES] = {0};
    struct hws_link_packet p = hello(list);

    (void)state;
    hws_link_running_put(list, 0, &none);
    assert_invalid(&p, "adapters"); /* a running command without an id */
    p.u.hello.role = HWS_LINK_ROLE_NONE;
    assert_invalid(&p, "role");
    p.u.hello.role = HWS_LINK_N_ROLES;
    assert_invalid(&p, "role");

    p = (struct hws_link_packet){.type = HWS_LINK_ADAPTER};
    p.u.adapter = (struct hws_link_adapter){
        .state = HWS_LINK_ADAPTER_UP, .depth = 1, .kind = hws_link_text("mlx5")};
    assert_invalid(&p, "kind or pci");
    p.u.adapter.pci = hws_link_text("0000:81:00.0");
    p.u.adapter.kind.n = 0;
    assert_invalid(&p, "kind or pci");
}

static void an_adapter_without_an_address_is_refused(void **state)
{
    static const uint8_t nameless[] = {
        16,  0,   0, 0, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0,   0,   /* header */
        0,   1,   1, 1, 0, 1, 0, 0,  0, 0, 0, 0, 0, 4, 'm', 'l', /* kind "mlx5" */
        'x', '5', 0, 0, 0, 0, 0, 0,  0, 0};                      /* no pci, node, backend, reason */
    struct hws_link_packet p;
    struct hws_err err;

    (void)state;
    assert_code(hws_link_decode(nameless, sizeof nameless, &p, &err), HWS_E_PROTO);
    assert_string_equal(err.msg, "link packet ADAPTER: bad kind or pci");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_has_golden_bytes),
        cmocka_unit_test(adapter_has_golden_bytes),
        cmocka_unit_test(a_wrong_byte_is_refused),
        cmocka_unit_test(the_longest_running_list_fits_in_a_packet),
        cmocka_unit_test(only_a_device_process_has_adapters_and_running_commands),
        cmocka_unit_test(encoder_refuses_what_the_decoder_would),
        cmocka_unit_test(an_adapter_without_an_address_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
