/* The profile reader: shipped profiles load, every kind of mistake is refused with its line. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "emu/profile.h"
#include "guest.h"
#include "test.h"

static char *read_shipped(const char *name, size_t *out_n)
{
    char path[4096];
    static char text[HWS_EMU_PROFILE_MAX_BYTES];

    assert_true(
        hws_str_print(path, sizeof(path), "%s/../agent/emu/profiles/%s", HWS_TESTS_DIR, name));
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *out_n = fread(text, 1, sizeof(text), f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void shipped_profiles_load(void **state)
{
    static const struct {
        const char *name;
        uint16_t hw_dev_id;
        uint16_t pci_device_id;
        uint32_t n_ports;
    } rows[] = {
        {"connectx7.yaml", 0x218, 0x1021, 2},   {"connectx7-1p.yaml", 0x218, 0x1021, 1},
        {"connectx6dx.yaml", 0x212, 0x101d, 2}, {"connectx6dx-1p.yaml", 0x212, 0x101d, 1},
        {"bluefield3.yaml", 0x21c, 0xa2dc, 2},  {"bluefield3-1p.yaml", 0x21c, 0xa2dc, 1},
    };
    static struct hws_emu_profile p;
    struct hws_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n;
        const char *text = read_shipped(rows[i].name, &n);

        assert_ok(hws_emu_profile_parse(text, n, &p, &err), &err);

        assert_int_equal(p.hw_dev_id, rows[i].hw_dev_id);
        assert_int_equal(p.pci_device_id, rows[i].pci_device_id);
        assert_int_equal(p.n_ports, rows[i].n_ports);
        assert_true(p.n_tlvs > 25);
        hws_emu_profile_deinit(&p);
    }
}

static void identity_is_what_the_text_says(void **state)
{
    static const char text[] = "identity: {part: A, product: B C, psid: MT_1, serial: SN-9, "
                               "pci_address: \"0000:5e:00.1\", hw_device_id: 0x218,\n"
                               "  pci_device_id: 4129, base_mac: \"a0:88:c2:01:02:ff\"}\n"
                               "firmware: {version: 28.43.2006, date: 2024-11-20}\n"
                               "pcie: {width: 4, width_cap: 8, generation: 3, generation_cap: 4}\n"
                               "ports: [{type: ib, lanes: 2, speed: 100G, ib: [HDR]}]\n"
                               "sensors: [{index: 0, name: asic, celsius: -3.5}]\n";
    static struct hws_emu_profile p;
    struct hws_err err = {0};

    (void)state;
    assert_ok(hws_emu_profile_parse(text, sizeof(text) - 1, &p, &err), &err);

    assert_string_equal(p.product, "B C");
    assert_int_equal(p.pci_device_id, 0x1021);
    assert_true(p.base_mac == UINT64_C(0xa088c20102ff));
    assert_int_equal(p.version.major, 28);
    assert_int_equal(p.version.minor, 43);
    assert_int_equal(p.version.subminor, 2006);
    assert_int_equal(p.version.year, 0x2024);
    assert_int_equal(p.version.month, 0x11);
    assert_int_equal(p.version.day, 0x20);
    assert_int_equal(p.ports[0].ib_cap, 0x40);
    assert_int_equal(p.sensors[0].value, -28);
    hws_emu_profile_deinit(&p);
}

#define HEAD                                                                                       \
    "identity: {part: A, product: B, psid: C, serial: D, pci_address: \"0000:00:00.0\",\n"         \
    "  hw_device_id: 1, pci_device_id: 1, base_mac: \"00:00:00:00:00:01\"}\n"                      \
    "firmware: {version: 1.2.3}\n"                                                                 \
    "pcie: {width: 1, width_cap: 1, generation: 1, generation_cap: 1}\n"

#define PORTS "ports: [{type: eth, lanes: 1, speed: 25G, eth: [25G]}]\n"

static void mistakes_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"", "0 bytes"},
        {"identity: [unclosed\n", "line "},
        {"just text\n", "expected a mapping"},
        {HEAD, "ports is missing"},
        {HEAD PORTS "colour: red\n", "line 6: unknown key colour"},
        {HEAD "ports: }\n", "line 5: flow mapping"},
        {HEAD PORTS "queue: {log_size: 6, log_stride: 6}\n",
         "line 6: log_size: \"6\" is not a number from 1 to 5"},
        {HEAD PORTS "queue: {log_size: 5, log_stride: 8}\n", "above 12"},
        {HEAD PORTS "ports: []\n", "line "},
        {HEAD "ports: [{type: eth, lanes: 1, speed: 25G, eth: [400G]}]\n", "neither eth nor ib"},
        {HEAD "ports: [{type: eth, lanes: 1, speed: 25X, eth: [25G]}]\n", "line 5: speed"},
        {HEAD "ports: [{type: tr, lanes: 1, speed: 25G, eth: [25G]}]\n", "neither eth nor ib"},
        {HEAD "ports: {}\n", "expected a list"},
        {HEAD PORTS "sensors: [{index: 0, name: x, celsius: warm}]\n", "not a temperature"},
        {HEAD PORTS "sensors: [{index: 0, name: toolongname, celsius: 1}]\n", "characters"},
        {HEAD PORTS "capabilities: {wings: 1}\n", "unknown capability wings"},
        {HEAD PORTS "capabilities: {log_max_eq: {cur: 3, max: 2}}\n", "cur is above max"},
        {HEAD PORTS "parameters: [{name: a, type: 1, bytes: 6}]\n", "whole dwords"},
        {HEAD PORTS "parameters: [{name: a, type: 1, bytes: 4, fields: [{name: f, dw: 4, lsb: 0, "
                    "bits: 1}]}]\n",
         "outside its 4 bytes"},
        {HEAD PORTS "parameters: [{name: a, type: 1, bytes: 4, fields: [{name: f, dw: 0, lsb: 30, "
                    "bits: 4}]}]\n",
         "reach out of the dword"},
        {HEAD PORTS "parameters: [{name: a, type: 1, bytes: 4, fields: [{name: f, dw: 0, lsb: 0, "
                    "bits: 4, default: 9, max: 8}]}]\n",
         "default 9 is not within 0..8"},
        {HEAD PORTS
         "parameters:\n  - {name: a, type: 1, bytes: 4}\n  - {name: b, type: 1, bytes: 4}\n",
         "line 8: b: type 0x00000001 is given twice"},
        {HEAD PORTS "parameters: [{name: a, type: 1, bytes: 4, fields: [{name: f, dw: 0, lsb: 0, "
                    "bits: 4, max_from: "
                    "{type: 2, dw: 0, lsb: 0, bits: 4}}]}]\n",
         "not there"},
        {HEAD PORTS "faults: [{opcode: FLY, action: drop}]\n", "unknown opcode"},
        {HEAD PORTS "faults: [{register: FLY, action: drop}]\n", "unknown register"},
        {HEAD PORTS "faults: [{action: explode}]\n", "unknown word"},
        {HEAD PORTS "faults: [{action: status}]\n", "needs a status"},
        {HEAD PORTS "faults: &x [{action: drop}]\nqueue: *x\n", "expected"},
        {"identity: {part: A, part: B}\n", "duplicate"},
    };
    static struct hws_emu_profile p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_err err = {0};

        assert_code(hws_emu_profile_parse(rows[i].text, strlen(rows[i].text), &p, &err),
                    HWS_E_INVALID);

        if (strstr(err.msg, rows[i].message) == NULL) {
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.msg, rows[i].message);
        }
        assert_int_equal(p.n_tlvs, 0);
    }
}

static enum hws_code parse_shipped(void *arg)
{
    static struct hws_emu_profile p;
    size_t n;
    const char *text = read_shipped("connectx7.yaml", &n);
    enum hws_code rc = hws_emu_profile_parse(text, n, &p, NULL);

    (void)arg;
    hws_emu_profile_deinit(&p);
    return rc;
}

static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(parse_shipped, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_profiles_load),
        cmocka_unit_test(identity_is_what_the_text_says),
        cmocka_unit_test(mistakes_are_refused_with_their_line),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
