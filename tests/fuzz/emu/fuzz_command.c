/*
 * Arbitrary commands to the emulated card. Input: flags, then either a well-formed frame around
 * arbitrary inbox bytes (flags bit 0), or raw entry and block bytes (signed again if bit 1). The
 * card must answer or leave the entry alone, and stay inside the memory it was given.
 */
#include <string.h>

#include "base/assert.h"
#include "guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char profile[] =
    "identity: {part: F, product: Fuzz, psid: FZ_1, serial: FZ00001, pci_address: "
    "\"0000:01:00.0\",\n"
    "  hw_device_id: 0x218, pci_device_id: 0x1021, base_mac: \"02:00:00:00:00:01\"}\n"
    "firmware: {version: 28.43.2006, boot_pages: 2, init_pages: 2}\n"
    "pcie: {width: 16, width_cap: 16, generation: 5, generation_cap: 5}\n"
    "ports: [{type: eth, lanes: 4, speed: 200G, eth: [200G], ib: [EDR], rx_frames_per_s: 1000}]\n"
    "sensors: [{index: 0, name: asic, celsius: 50}]\n"
    "modules: [{index: 0, cable: optical, identifier: 0x11, connector: 0x0c, technology: 0, "
    "vendor: "
    "V,\n"
    "  part: P, serial: S, revision: A, date: \"240101\", oui: 1}]\n"
    "tracer: {base: 4096, first_string: 1, n_strings: 1, strings: [one, two]}\n"
    "timeouts: {command: 60000}\n"
    "capabilities: {uctx_cap: 7, cmdif_checksum: 3}\n"
    "parameters:\n"
    "  - {name: pci, type: 0x80, bytes: 12, fields: [{name: N, dw: 4, lsb: 0, bits: 16, max: "
    "64}]}\n"
    "  - {name: cap, type: 0x81, bytes: 20, read_only: true}\n"
    "faults: [{opcode: NOP, countdown: 2, action: flip, offset: 4}]\n";

static struct guest g;

/* {opcode.. inbox length u16, outbox length u16, inbox bytes} in a correct frame. */
static size_t framed(const uint8_t *data, size_t size)
{
    static uint8_t in[GUEST_MAX_BYTES];
    uint32_t in_bytes = 16 + (uint32_t)(data[0] << 8 | data[1]) % (GUEST_MAX_BYTES - 15);
    uint32_t out_bytes = 8 + (uint32_t)(data[2] << 8 | data[3]) % (GUEST_MAX_BYTES - 7);
    size_t n = size - 4 < in_bytes ? size - 4 : in_bytes;

    memset(in, 0, sizeof(in));
    memcpy(in, data + 4, n);
    guest_post(&g, 0, in, in_bytes, out_bytes);
    return 4 + n;
}

static size_t raw(const uint8_t *data, size_t size, bool sign)
{
    uint8_t *entry = guest_entry(&g, 0);
    size_t n = size < 64 ? size : 64;
    size_t n_block = size - n < 576 ? size - n : 576;

    memcpy(entry, data, n);
    memcpy(guest_in_block(&g, 0, 0), data + n, n_block);
    memcpy(guest_out_block(&g, 0, 0), data + n, n_block);
    if (sign) {
        entry[0x3f] |= 1;
        guest_sign_entry(entry);
        guest_sign_block(guest_in_block(&g, 0, 0));
        guest_sign_block(guest_out_block(&g, 0, 0));
    }
    return n + n_block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;

    if (!started) {
        guest_start(&g, profile, NULL, 0);
        started = true;
    }
    /* Each input meets the same card: nothing stored, no fault matched yet, freshly up. */
    memset(g.emu.nv.values, 0, g.profile.n_tlvs * sizeof(*g.emu.nv.values));
    g.emu.nv.running = g.profile.version;
    g.emu.nv.updated = false;
    g.emu.nv.has_pending = false;
    g.emu.update.handle = 0;
    memset(g.emu.fault_counts, 0, sizeof(g.emu.fault_counts));
    memset(g.mem, 0, sizeof(g.mem));
    g.token = 1;
    g.now_ms = 0;
    hws_emu_power_cycle(&g.emu, 0);
    guest_bring_up(&g);
    while (size > 5) {
        uint8_t flags = data[0];
        data++;
        size--;
        size_t n = (flags & 1) != 0 ? framed(data, size) : raw(data, size, (flags & 2) != 0);
        data += n;
        size -= n;
        hws_emu_write32(&g.emu, 0x18, (flags & 4) != 0 ? UINT32_MAX : 1);
        g.now_ms += flags >> 3;
        (void)hws_emu_turn(&g.emu, g.now_ms);
        if (g.emu.state != HWS_EMU_QUEUE) {
            guest_queue(&g);
        }
        if ((flags & 1) != 0) {
            hws_assert(guest_done(&g, 0) || g.emu.reset_at_ms != UINT64_MAX ||
                       g.emu.state != HWS_EMU_QUEUE || g.emu.pending_mask == 0);
        }
    }
    return 0;
}
