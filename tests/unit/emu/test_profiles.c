/* The profiles that come with the program: everything one states is served. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

static const char *const names[] = {"connectx6dx",  "connectx6dx-1p", "connectx7",
                                    "connectx7-1p", "bluefield3",     "bluefield3-1p"};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

static struct guest g;
static char text[65536];

/* Fewer pages than the profile asks for: this host has little memory. */
static void ask_for_few(const char *key)
{
    char *at = strstr(text, key);

    assert_non_null(at);
    at += strlen(key);
    *at = '4';
    for (at++; *at >= '0' && *at <= '9'; at++) {
        *at = ' ';
    }
}

static void start(const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/../agent/emu/profiles/%s.yaml", HWS_TESTS_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    assert_int_equal(fclose(f), 0);
    text[n] = '\0';
    ask_for_few("boot_pages: ");
    ask_for_few("init_pages: ");
    guest_start(&g, text, NULL, 0);
    g.now_ms = g.profile.boot_ms + g.profile.link_up_ms + 1000;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
}

static void identity_and_firmware(void)
{
    const struct hws_emu_profile *p = &g.profile;
    uint8_t d[0xa0] = {0};
    uint8_t s[0x84] = {0}; /* a text may fill its field: the NUL is ours */

    assert_int_equal(guest_reg(&g, 0x9020, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be16(d + 0x02), p->pci_device_id);
    assert_int_equal(hws_load_be32(d + 0x04) >> 16 & 0xfff, p->n_ports);
    assert_int_equal(hws_load_be16(d + 0x0a), p->hw_dev_id);
    assert_string_equal((char *)d + 0x30, p->psid);
    assert_int_equal(hws_load_be32(d + 0x4c), p->version.subminor);
    assert_string_equal((char *)d + 0x80, p->version.branch);
    assert_int_equal(guest_reg(&g, 0x9021, false, s, 0x80, NULL), 0);
    assert_string_equal((char *)s, p->serial);
    assert_string_equal((char *)s + 0x20, p->part);
    assert_string_equal((char *)s + 0x40, p->product);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) & 0xff,
                     p->log_queue_size << 4 | p->log_queue_stride);
}

static void one_port(uint8_t port)
{
    const struct hws_emu_nic_port *p = &g.profile.ports[port - 1];
    uint8_t ptys[0x44] = {0, port, 0, p->type == HWS_EMU_LINK_ETH ? 4 : 1};
    uint8_t paos[0x10] = {0, port};
    uint8_t pmlp[0x40] = {0, port};
    uint8_t ppcnt[0x100] = {0, port};
    uint8_t pddr[0x100] = {0, port, 0, 0, 0, 0, 0, 3};

    assert_int_equal(guest_reg(&g, 0x5006, false, paos, sizeof(paos), NULL), 0);
    assert_int_equal(paos[3] & 0xf, p->cable && p->admin_up ? 1 : 2);
    assert_int_equal(guest_reg(&g, 0x5004, false, ptys, sizeof(ptys), NULL), 0);
    if (p->type == HWS_EMU_LINK_ETH) {
        assert_int_equal(hws_load_be32(ptys + 8), p->eth_cap);
    } else {
        assert_int_equal(hws_load_be16(ptys + 0x12), p->ib_cap);
    }
    assert_int_equal(hws_load_be16(ptys + 6), p->speed_mbps / 100);
    assert_int_equal(guest_reg(&g, 0x5002, false, pmlp, sizeof(pmlp), NULL), 0);
    assert_int_equal(pmlp[3], p->n_lanes);
    assert_int_equal(pmlp[7], p->module);
    assert_int_equal(guest_reg(&g, 0x5008, false, ppcnt, sizeof(ppcnt), NULL), 0);
    assert_true(hws_load_be64(ppcnt + 8 + 8) == p->rx_frames_per_s);
    assert_true(hws_load_be64(ppcnt + 8) == p->tx_frames_per_s);
    assert_true(hws_load_be64(ppcnt + 8 + 0x28) == p->rx_frames_per_s * p->frame_bytes);
    assert_int_equal(guest_reg(&g, 0x5031, false, pddr, sizeof(pddr), NULL), 0);
    for (uint32_t i = 0; i < g.profile.n_modules; i++) {
        if (g.profile.modules[i].index == p->module) {
            assert_memory_equal(pddr + 8 + 0x24, g.profile.modules[i].part,
                                strlen(g.profile.modules[i].part));
            assert_string_equal((char *)pddr + 8 + 0x3c, g.profile.modules[i].serial);
        }
    }
}

static void sensors_and_pcie(void)
{
    const struct hws_emu_profile *p = &g.profile;
    uint8_t e[0x30] = {0};

    for (uint32_t i = 0; i < p->n_sensors; i++) {
        uint8_t d[0x20] = {0};
        hws_store_be16(d + 2, p->sensors[i].index);
        assert_int_equal(guest_reg(&g, 0x900a, false, d, sizeof(d), NULL), 0);
        assert_int_equal((int16_t)hws_load_be16(d + 6), p->sensors[i].value);
        assert_memory_equal(d + 0x18, p->sensors[i].name, strlen(p->sensors[i].name));
    }
    assert_int_equal(guest_reg(&g, 0x9050, false, e, sizeof(e), NULL), 0);
    assert_int_equal(e[9], p->pcie_width_cap);
    assert_int_equal(e[0xd], p->pcie_width);
    assert_int_equal(hws_load_be16(e + 0xe), 1u << (p->pcie_generation - 1));
    assert_int_equal(hws_load_be16(e + 0x1e) & 0xfff, p->pcie_power_w);
    assert_int_equal(e[0x18], p->pcie_max_read << 4 | p->pcie_max_payload);
}

static void records(void)
{
    const struct hws_emu_profile *p = &g.profile;

    for (uint32_t i = 0; i < p->n_tlvs; i++) {
        uint8_t q[8] = {0};
        hws_store_be32(q, p->tlvs[i].type);
        assert_int_equal(guest_reg(&g, 0x9030, false, q, sizeof(q), NULL), 0);
        assert_int_equal(q[7] & 3, p->tlvs[i].read_only ? 1 : 3);
        for (uint32_t mode = 0; mode < 3; mode++) {
            uint8_t d[0x10c] = {0};
            hws_store_be32(d, mode << 22 | 256);
            hws_store_be32(d + 4, p->tlvs[i].type);
            assert_int_equal(guest_reg(&g, 0x9024, false, d, sizeof(d), NULL), 0);
            assert_memory_equal(d + 12, p->tlvs[i].def, p->tlvs[i].bytes);
        }
    }
}

static void capabilities(void)
{
    static uint8_t cur[4112];
    static uint8_t max[4112];
    const struct hws_emu_profile *p = &g.profile;

    assert_int_equal(guest_op(&g, 0x100, 1, cur, sizeof(cur)), 0);
    assert_int_equal(guest_op(&g, 0x100, 0, max, sizeof(max)), 0);
    for (uint32_t i = 0; i < p->n_caps; i++) {
        const struct hws_emu_cap *c = &p->caps[i];
        assert_int_equal(hws_bits_get(cur + 16 + c->dw, c->lsb_idx, c->n_bits), c->cur);
        assert_int_equal(hws_bits_get(max + 16 + c->dw, c->lsb_idx, c->n_bits), c->max);
    }
}

static void what_the_driver_and_debuggers_ask(void)
{
    const struct hws_emu_profile *p = &g.profile;
    uint8_t dtor[0x40] = {0};
    uint8_t cap[0x84] = {0};
    uint8_t mroq[0x20] = {0};
    uint8_t mrsi[0x40] = {0, 0, 0, 1};

    assert_int_equal(hws_emu_read32(&g.emu, 0xff8), p->timeouts_ms[0]);
    assert_int_equal(hws_emu_read32(&g.emu, 0xffc), p->timeouts_ms[1]);
    assert_int_equal(guest_reg(&g, 0xc00e, false, dtor, sizeof(dtor), NULL), 0);
    assert_int_equal(hws_load_be32(dtor + 0x1c), p->timeouts_ms[5]);
    assert_int_equal(guest_reg(&g, 0x9040, false, cap, sizeof(cap), NULL), 0);
    assert_int_equal(hws_load_be32(cap + 0x10), p->tracer.base);
    assert_int_equal(guest_reg(&g, 0x902f, false, mroq, sizeof(mroq), NULL), 0);
    assert_int_equal(mroq[3], p->reset_levels);
    assert_int_equal(guest_reg(&g, 0x912a, false, mrsi, sizeof(mrsi), NULL),
                     p->embedded_cpu ? 0 : 0x03);
}

static void everything_stated_is_served(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        start(names[i]);
        assert_int_equal(g.profile.n_ports, strstr(names[i], "-1p") != NULL ? 1 : 2);
        identity_and_firmware();
        for (uint32_t port = 1; port <= g.profile.n_ports; port++) {
            one_port((uint8_t)port);
        }
        uint8_t none[0x10] = {0, (uint8_t)(g.profile.n_ports + 1)};
        assert_int_equal(guest_reg(&g, 0x5006, false, none, sizeof(none), NULL), 0x03);
        sensors_and_pcie();
        records();
        capabilities();
        what_the_driver_and_debuggers_ask();
        guest_stop(&g);
    }
}

/* One identity each: several adapters of a host must differ. */
static void no_two_have_the_same_identity(void **state)
{
    static char serials[N_NAMES][32];
    static uint64_t macs[N_NAMES];

    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        start(names[i]);
        (void)snprintf(serials[i], sizeof(serials[i]), "%s", g.profile.serial);
        macs[i] = g.profile.base_mac;
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(serials[i], serials[k]);
            assert_true(macs[i] != macs[k]);
        }
        guest_stop(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_stated_is_served),
        cmocka_unit_test(no_two_have_the_same_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
