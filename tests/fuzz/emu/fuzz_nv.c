/* Stored parameter bytes: refused, or taken and given back as they were. Bit 0 of the first byte:
 * right checksum. */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "emu/nvstore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "identity: {part: F, product: Fuzz, psid: FZ_1, serial: FZ00001, pci_address: "
    "\"0000:01:00.0\",\n"
    "  hw_device_id: 0x218, pci_device_id: 0x1021, base_mac: \"02:00:00:00:00:01\"}\n"
    "firmware: {version: 28.43.2006}\n"
    "pcie: {width: 16, width_cap: 16, generation: 5, generation_cap: 5}\n"
    "ports: [{type: eth, lanes: 4, speed: 200G, eth: [200G]}]\n"
    "parameters:\n"
    "  - {name: a, type: 0x80, bytes: 12}\n"
    "  - {name: b, type: 0x81, bytes: 20, read_only: true}\n"
    "  - {name: c, type: 0x07000080, bytes: 4}\n";

static uint32_t crc32(const uint8_t *bytes, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint32_t in = ((uint32_t)bytes[i] >> bit ^ crc) & 1;
            crc = crc >> 1 ^ (in != 0 ? UINT32_C(0xedb88320) : 0);
        }
    }
    return ~crc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hws_emu_profile p;
    static uint8_t again[HWS_EMU_NV_MAX_BYTES];
    struct hws_emu_nv nv;

    if (p.n_tlvs == 0) {
        hws_assert(hws_emu_profile_parse(text, sizeof(text) - 1, &p, NULL) == HWS_OK);
    }
    if (size < 5 || hws_emu_nv_init(&nv, &p, NULL) != HWS_OK) {
        return 0;
    }
    uint8_t *bytes = hws_mem_dup(data + 1, size - 1);
    hws_assert(bytes != NULL);
    if ((data[0] & 1) != 0) {
        hws_store_be32(bytes + size - 5, crc32(bytes, size - 5));
    }
    if (hws_emu_nv_parse(&nv, bytes, size - 1, NULL) == HWS_OK) {
        hws_assert(hws_emu_nv_serialize(&nv, again) == size - 1);
    }
    hws_mem_free(bytes);
    hws_emu_nv_deinit(&nv);
    return 0;
}
