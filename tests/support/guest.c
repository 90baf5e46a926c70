/* A hand-written host for an emulated card. */
#include "guest.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "test.h"

static bool in_mem(uint64_t addr, size_t n)
{
    return addr >= GUEST_BASE && addr - GUEST_BASE <= GUEST_BYTES &&
           n <= GUEST_BYTES - (addr - GUEST_BASE);
}

static bool dma_read(void *data, uint64_t addr, void *dst, size_t n)
{
    struct guest *g = data;

    if (!in_mem(addr, n)) {
        return false;
    }
    memcpy(dst, g->mem + (addr - GUEST_BASE), n);
    return true;
}

static bool dma_write(void *data, uint64_t addr, const void *src, size_t n)
{
    struct guest *g = data;

    if (!in_mem(addr, n)) {
        return false;
    }
    memcpy(g->mem + (addr - GUEST_BASE), src, n);
    return true;
}

struct hws_emu_dma guest_dma(struct guest *g)
{
    return (struct hws_emu_dma){.read = dma_read, .write = dma_write, .data = g};
}

static enum hws_code nv_dirty(void *data, const uint8_t *bytes, size_t n)
{
    struct guest *g = data;

    if (g->flash_broken) {
        return HWS_E_IO;
    }
    memcpy(g->nv, bytes, n);
    g->n_nv = n;
    g->n_dirty++;
    return HWS_OK;
}

void guest_profile_text(char *text, size_t cap, uint64_t *rand_state, const char *extra)
{
    uint64_t a = hws_test_rand(rand_state);
    uint64_t b = hws_test_rand(rand_state);

    assert_true(hws_str_print(
        text, cap,
        "identity:\n"
        "  part: P%06" PRIx64 "\n"
        "  product: \"Product %06" PRIx64 "\"\n"
        "  psid: MT_%010" PRIu64 "\n"
        "  serial: S%010" PRIx64 "\n"
        "  revision: R%" PRIu64 "\n"
        "  hw_device_id: %" PRIu64 "\n"
        "  pci_device_id: %" PRIu64 "\n"
        "  pci_address: \"0000:%02x:00.0\"\n"
        "  base_mac: \"02:00:%02x:%02x:%02x:%02x\"\n"
        "firmware: {version: %" PRIu64 ".%" PRIu64 ".%" PRIu64
        ", reset_delay_ms: 5, boot_pages: 3, init_pages: 5}\n"
        "pcie: {width: 8, width_cap: 16, generation: 4, generation_cap: 5}\n"
        "ports:\n"
        "  - {type: eth, lanes: 4, speed: 200G, eth: [100G, 200G], ib: [EDR], rx_frames_per_s: "
        "%" PRIu64 ", tx_frames_per_s: %" PRIu64
        ", frame_bytes: 100, rx_discards_per_s: 7, symbol_errors_per_h: %" PRIu64
        ", corrected_bits_per_s: %" PRIu64 "}\n"
        "serdes: %" PRIu64 "\n"
        "sensors: [{index: 0, name: asic, celsius: %" PRIu64 ".5, high: 105}]\n"
        "capabilities: {uctx_cap: 7, cmdif_checksum: 3, log_max_eq: 6, pkey_table_size: {cur: 0, "
        "max: 5}, fast_teardown: 1, general_notification_event: 1, pci_sync_for_fw_update_event: "
        "{cur: 0, max: 1}}\n"
        "%s",
        a & 0xffffff, a >> 24 & 0xffffff, b % 10000000000u, b >> 20 & 0xffffffffff, a % 9,
        1 + a % 65535, 1 + b % 65535, (unsigned)(a >> 8 & 0xff), (unsigned)(b & 0xff),
        (unsigned)(b >> 8 & 0xff), (unsigned)(b >> 16 & 0xff), (unsigned)(b >> 24 & 0xff),
        1 + a % 50, b % 99, a % 9999, 1 + b % 1000, 1 + a % 1000, 3600 * (1 + a % 7),
        4 * (1 + b % 5000), 3 + a % 3, 20 + a % 60, extra));
}

void guest_start(struct guest *g, const char *profile, const uint8_t *nv, size_t n_nv)
{
    struct hws_err err = {0};
    struct hws_emu_config config = {.dma = guest_dma(g), .nv_dirty = nv_dirty, .data = g};

    memset(g, 0, sizeof(*g));
    g->token = 1;
    assert_ok(hws_emu_profile_parse(profile, strlen(profile), &g->profile, &err), &err);
    assert_ok(hws_emu_init(&g->emu, &g->profile, &config, nv, n_nv, g->now_ms, &err), &err);
}

void guest_stop(struct guest *g)
{
    hws_emu_deinit(&g->emu);
    hws_emu_profile_deinit(&g->profile);
}

void guest_queue(struct guest *g)
{
    uint64_t addr = GUEST_BASE + GUEST_QUEUE;

    hws_emu_write32(&g->emu, 0x10, (uint32_t)(addr >> 32));
    hws_emu_write32(&g->emu, 0x14, (uint32_t)addr);
}

static void put_be(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    }
}

static uint8_t xor8(const uint8_t *p, size_t from, size_t to)
{
    uint8_t x = 0;

    for (size_t i = from; i < to; i++) {
        x ^= p[i];
    }
    return x;
}

void guest_sign_entry(uint8_t *entry)
{
    entry[0x3d] = 0;
    entry[0x3d] = (uint8_t)~xor8(entry, 0, 64);
}

void guest_sign_block(uint8_t *block)
{
    block[0x23e] = (uint8_t)~xor8(block, 0x200, 0x23e);
    block[0x23f] = (uint8_t)~xor8(block, 0, 0x23f);
}

uint8_t *guest_entry(struct guest *g, unsigned slot)
{
    return g->mem + GUEST_QUEUE + ((size_t)slot << g->profile.log_queue_stride);
}

uint8_t *guest_in_block(struct guest *g, unsigned slot, unsigned n)
{
    return g->mem + GUEST_IN + (size_t)slot * GUEST_SLOT + (size_t)n * 1024;
}

uint8_t *guest_out_block(struct guest *g, unsigned slot, unsigned n)
{
    return g->mem + GUEST_OUT + (size_t)slot * GUEST_SLOT + (size_t)n * 1024;
}

static void post_chain(const struct guest *g, uint8_t *head, const uint8_t *bytes, uint32_t n_bytes)
{
    uint64_t addr = GUEST_BASE + (uint64_t)(head - g->mem);

    for (unsigned i = 0; n_bytes > 0; i++) {
        uint8_t *block = head + (size_t)i * 1024;
        uint32_t n = n_bytes < 512 ? n_bytes : 512;
        memset(block, 0, 576);
        if (bytes != NULL) {
            memcpy(block, bytes, n);
            bytes += n;
        }
        n_bytes -= n;
        put_be(block + 0x230, n_bytes > 0 ? addr + (uint64_t)(i + 1) * 1024 : 0, 8);
        put_be(block + 0x238, i, 4);
        block[0x23d] = g->token;
        guest_sign_block(block);
    }
}

void guest_post(struct guest *g, unsigned slot, const uint8_t *in, uint32_t in_bytes,
                uint32_t out_bytes)
{
    uint8_t *entry = guest_entry(g, slot);
    uint8_t *in_head = guest_in_block(g, slot, 0);
    uint8_t *out_head = guest_out_block(g, slot, 0);

    memset(entry, 0, 64);
    entry[0] = 7;
    put_be(entry + 4, in_bytes, 4);
    memcpy(entry + 0x10, in, 16);
    put_be(entry + 0x38, out_bytes, 4);
    if (in_bytes > 16) {
        put_be(entry + 8, GUEST_BASE + (uint64_t)(in_head - g->mem), 8);
        post_chain(g, in_head, in + 16, in_bytes - 16);
    }
    if (out_bytes > 16) {
        put_be(entry + 0x30, GUEST_BASE + (uint64_t)(out_head - g->mem), 8);
        post_chain(g, out_head, NULL, out_bytes - 16);
    }
    entry[0x3c] = g->token;
    entry[0x3f] = 1;
    guest_sign_entry(entry);
    g->token = g->token == 255 ? 1 : (uint8_t)(g->token + 1);
}

void guest_ring(struct guest *g, unsigned slot)
{
    hws_emu_write32(&g->emu, 0x18, UINT32_C(1) << slot);
}

bool guest_done(struct guest *g, unsigned slot)
{
    return (guest_entry(g, slot)[0x3f] & 1) == 0;
}

uint8_t guest_take(struct guest *g, unsigned slot, uint8_t *out, uint32_t out_bytes)
{
    const uint8_t *entry = guest_entry(g, slot);

    assert_true(guest_done(g, slot));
    assert_int_equal(xor8(entry, 0, 64), 0xff);
    if (out != NULL && entry[0x3f] == 0) {
        memcpy(out, entry + 0x20, out_bytes < 16 ? out_bytes : 16);
        for (uint32_t at = 16, i = 0; at < out_bytes; at += 512, i++) {
            const uint8_t *block = guest_out_block(g, slot, i);
            assert_int_equal(xor8(block, 0, 576), 0xff);
            assert_int_equal(xor8(block, 0x200, 0x23f), 0xff);
            assert_int_equal(block[0x23d], entry[0x3c]);
            memcpy(out + at, block, out_bytes - at < 512 ? out_bytes - at : 512);
        }
    }
    return entry[0x3f] >> 1;
}

uint8_t guest_cmd(struct guest *g, const uint8_t *in, uint32_t in_bytes, uint8_t *out,
                  uint32_t out_bytes)
{
    guest_post(g, 0, in, in_bytes, out_bytes);
    guest_ring(g, 0);
    (void)hws_emu_turn(&g->emu, g->now_ms);
    return guest_take(g, 0, out, out_bytes);
}

uint8_t guest_op(struct guest *g, uint16_t op, uint16_t op_mod, uint8_t *out, uint32_t out_bytes)
{
    uint8_t in[GUEST_MAX_BYTES] = {0};
    uint8_t small[16];
    uint8_t *to = out != NULL ? out : small;

    put_be(in, op, 2);
    put_be(in + 6, op_mod, 2);
    assert_int_equal(guest_cmd(g, in, op == 0x102 ? 32 : 16, to, out != NULL ? out_bytes : 16), 0);
    return to[0];
}

static void give_pages(struct guest *g, uint16_t phase)
{
    uint8_t in[16 + 8 * 16] = {0};
    uint8_t out[16];

    assert_int_equal(guest_op(g, 0x107, phase, out, sizeof(out)), 0);
    unsigned n = out[0xf];
    assert_in_range(n, 1, 16);
    put_be(in, 0x108, 2);
    put_be(in + 6, 1, 2);
    put_be(in + 0xc, n, 4);
    for (unsigned i = 0; i < n; i++) {
        put_be(in + 16 + (size_t)8 * i, GUEST_BASE + UINT64_C(0x100000000) + (uint64_t)i * 4096, 8);
    }
    assert_int_equal(guest_cmd(g, in, 16 + 8 * n, out, sizeof(out)), 0);
    assert_int_equal(out[0], 0);
}

void guest_bring_up(struct guest *g)
{
    guest_queue(g);
    assert_int_equal(guest_op(g, 0x104, 0, NULL, 0), 0);
    give_pages(g, 1);
    give_pages(g, 2);
    assert_int_equal(guest_op(g, 0x102, 0, NULL, 0), 0);
}

uint8_t guest_reg(struct guest *g, uint16_t id, bool write, uint8_t *data, uint32_t n,
                  uint32_t *syndrome)
{
    uint8_t in[GUEST_MAX_BYTES] = {0};
    uint8_t out[GUEST_MAX_BYTES] = {0};

    put_be(in, 0x805, 2);
    put_be(in + 6, write ? 0 : 1, 2);
    put_be(in + 0xa, id, 2);
    memcpy(in + 16, data, n);
    assert_int_equal(guest_cmd(g, in, 16 + n, out, 16 + n), 0);
    if (syndrome != NULL) {
        *syndrome =
            (uint32_t)out[4] << 24 | (uint32_t)out[5] << 16 | (uint32_t)out[6] << 8 | out[7];
    }
    if (out[0] == 0) {
        memcpy(data, out + 16, n);
    }
    return out[0];
}
