/*
 * A machine monitor that sends anything: requests cut from the input, each {header, body}, against
 * a card's configuration space and registers. Replies must be whole, and no operation may be handed
 * a range outside a region.
 */
#include <string.h>

#include "base/assert.h"
#include "emu/pci.h"
#include "emu/vfio_user.h"
#include "guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char profile[] =
    "identity: {part: F, product: Fuzz, psid: FZ_1, serial: FZ00001, pci_address: "
    "\"0000:01:00.0\",\n"
    "  hw_device_id: 0x218, pci_device_id: 0x1021, base_mac: \"02:00:00:00:00:01\"}\n"
    "firmware: {version: 28.43.2006}\n"
    "pcie: {width: 16, width_cap: 16, generation: 5, generation_cap: 5}\n"
    "ports: [{type: eth, lanes: 4, speed: 200G, eth: [200G], ib: [EDR]}]\n";

static struct guest g;
static struct hws_emu_pci pci;

static int on_map(void *data, const struct hws_emu_vfu_map *map, uint32_t n_fds)
{
    (void)data;
    hws_assert(map->bytes > 0 && map->addr + (map->bytes - 1) >= map->addr && n_fds <= 1);
    return 0;
}

static int on_unmap(void *data, uint64_t addr, uint64_t bytes, bool all)
{
    (void)data;
    hws_assert(all || addr + (bytes - 1) >= addr);
    return 0;
}

static int on_vectors(void *data, uint32_t start, uint32_t count, uint32_t n_fds)
{
    (void)data;
    hws_assert(start <= HWS_EMU_MAX_VECTORS && count <= HWS_EMU_MAX_VECTORS - start);
    hws_assert(n_fds == 0 || n_fds == count);
    return 0;
}

static void on_read(void *data, uint32_t region, uint64_t offset, uint8_t *dst, uint32_t n)
{
    (void)data;
    if (region == HWS_EMU_VFU_REGION_CONFIG) {
        hws_assert(offset + n <= HWS_EMU_PCI_CONFIG_BYTES);
        hws_emu_pci_read(&pci, offset, dst, n);
        return;
    }
    hws_assert(region == HWS_EMU_VFU_REGION_BAR0 && offset + n <= HWS_EMU_PCI_BAR0_BYTES);
    hws_emu_bar_read(&g.emu, offset, dst, n);
}

static void on_write(void *data, uint32_t region, uint64_t offset, const uint8_t *src, uint32_t n)
{
    (void)data;
    if (region == HWS_EMU_VFU_REGION_CONFIG) {
        hws_emu_pci_write(&pci, offset, src, n);
        return;
    }
    hws_emu_bar_write(&g.emu, offset, src, n);
    (void)hws_emu_turn(&g.emu, g.now_ms);
}

static void on_reset(void *data)
{
    (void)data;
    hws_emu_pci_init(&pci, &g.profile);
    hws_emu_function_reset(&g.emu, g.now_ms);
}

static const struct hws_emu_vfu_ops ops = {.dma_map = on_map,
                                           .dma_unmap = on_unmap,
                                           .set_vectors = on_vectors,
                                           .read = on_read,
                                           .write = on_write,
                                           .reset = on_reset};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t body[HWS_EMU_VFU_MAX_BYTES];
    static uint8_t reply[HWS_EMU_VFU_MAX_BYTES];
    struct hws_emu_vfu v = {.ops = &ops};
    struct hws_emu_vfu_head head;

    if (g.emu.state == HWS_EMU_OFF) {
        guest_start(&g, profile, NULL, 0);
    }
    hws_emu_power_cycle(&g.emu, 0);
    hws_emu_pci_init(&pci, &g.profile);
    while (size >= HWS_EMU_VFU_HEAD_BYTES && hws_emu_vfu_head_decode(data, &head)) {
        size_t want = head.bytes - HWS_EMU_VFU_HEAD_BYTES;
        data += HWS_EMU_VFU_HEAD_BYTES;
        size -= HWS_EMU_VFU_HEAD_BYTES;
        size_t n = want < size ? want : size;
        memset(body, 0, want);
        memcpy(body, data, n);
        size_t n_reply = hws_emu_vfu_serve(&v, &head, body, head.id % 9, reply);
        hws_assert(n_reply <= sizeof(reply) && (n_reply == 0) == head.no_reply);
        data += n;
        size -= n;
    }
    return 0;
}
