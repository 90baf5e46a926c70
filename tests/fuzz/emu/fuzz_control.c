/*
 * Control lines, one after the other on one adapter that also runs commands. Every line is
 * answered; what it planted may do anything to the adapter but break it.
 */
#include <string.h>

#include "base/assert.h"
#include "emu/control.h"
#include "guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char profile[] =
    "identity: {part: F, product: Fuzz, psid: FZ_1, serial: FZ00001, pci_address: "
    "\"0000:01:00.0\",\n"
    "  hw_device_id: 0x218, pci_device_id: 0x1021, base_mac: \"02:00:00:00:00:01\"}\n"
    "firmware: {version: 28.43.2006, boot_pages: 2, init_pages: 2}\n"
    "pcie: {width: 16, width_cap: 16, generation: 5, generation_cap: 5}\n"
    "ports: [{type: eth, lanes: 4, speed: 200G, eth: [200G], ib: [EDR]}]\n";

static struct guest g;

static void run_command(void)
{
    const uint8_t in[16] = {0x08, 0x0d};

    if (g.emu.state == HWS_EMU_READY) {
        guest_queue(&g);
    }
    guest_post(&g, 0, in, 16, 272);
    guest_ring(&g, 0);
    g.now_ms += 3;
    (void)hws_emu_turn(&g.emu, g.now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_emu *const adapters[] = {&g.emu, NULL};

    if (g.emu.state == HWS_EMU_OFF) {
        guest_start(&g, profile, NULL, 0);
    }
    g.now_ms = 0;
    hws_emu_power_cycle(&g.emu, 0);
    g.emu.n_faults = 0;
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end != NULL ? (size_t)(end - data) : size;
        struct hws_buf reply;
        hws_buf_init(&reply, HWS_EMU_CONTROL_REPLY_BYTES);
        hws_assert(hws_emu_control(adapters, 2, (const char *)data, n, g.now_ms, &reply) == HWS_OK);
        hws_assert(hws_buf_len(&reply) >= 3 && (memcmp(hws_buf_peek(&reply), "ok\n", 3) == 0 ||
                                                memcmp(hws_buf_peek(&reply), "error: ", 7) == 0));
        hws_buf_deinit(&reply);
        run_command();
        data += n;
        size -= n;
        if (size > 0) {
            data++;
            size--;
        }
    }
    return 0;
}
