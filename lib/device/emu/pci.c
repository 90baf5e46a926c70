/* PCI configuration space: built once from the profile, then bytes under a mask of what may change.
 */
#include "emu/pci.h"

#include <string.h>

#include "base/bits.h"
#include "emu/eq.h"

#define VENDOR_ID     0x15b3u
#define CLASS_NETWORK 0x02u

#define REG_COMMAND   0x04u
#define REG_STATUS    0x06u
#define REG_CLASS     0x0bu
#define REG_BAR0      0x10u
#define REG_BAR1      0x14u
#define REG_SUBSYSTEM 0x2cu
#define REG_CAP_PTR   0x34u

#define COMMAND_MASTER   0x0004u
#define STATUS_CAP_LIST  0x0010u
#define BAR_64_PREFETCH  0x0000000cu
#define CAP_PCIE         0x60u /* 60 bytes */
#define CAP_MSIX         0x9cu
#define CAP_VENDOR       0xa8u
#define CAP_ID_PCIE      0x10u
#define CAP_ID_MSIX      0x11u
#define CAP_ID_VENDOR    0x09u
#define PCIE_V2_ENDPOINT 0x0002u

/* Offsets in the PCIe capability. */
#define PCIE_DEV_CAP   0x04u
#define PCIE_DEV_CTL   0x08u
#define PCIE_LINK_CAP  0x0cu
#define PCIE_LINK_CTL  0x10u
#define PCIE_LINK_STA  0x12u
#define PCIE_DEV_CTL2  0x28u
#define PCIE_LINK_CAP2 0x2cu
#define PCIE_LINK_CTL2 0x30u

#define DEV_CAP_512_BYTE_PAYLOAD 0x2u
#define DEV_CAP_EXTENDED_TAG     0x20u
#define DEV_CAP_ROLE_ERRORS      0x8000u
#define DEV_CAP_FUNCTION_RESET   0x10000000u
#define DEV_CTL_DEFAULT          0x2810u /* 512-byte reads, relaxed ordering, no snoop */
#define DEV_CTL_RESET_HIGH       0x80u   /* reads as 0; in the high byte */
#define LINK_STA_SLOT_CLOCK      0x1000u

/* Whether an access is to a word of the vendor specific capability behind its header. */
static bool is_vendor_word(uint64_t offset, size_t n)
{
    return n == 4 && offset % 4 == 0 && offset > CAP_VENDOR &&
           offset < CAP_VENDOR + HWS_EMU_VSC_BYTES;
}

/* What the host may write. */
static const struct {
    uint16_t at;
    uint16_t mask;
} writable[] = {
    {REG_COMMAND, 0x0547},
    {0x0c, 0xffff}, /* cache line size, latency timer */
    {REG_BAR0 + 2, 0xfff0},
    {REG_BAR1, 0xffff},
    {REG_BAR1 + 2, 0xffff},
    {0x3c, 0x00ff}, /* interrupt line */
    {CAP_PCIE + PCIE_DEV_CTL, 0x7fff},
    {CAP_PCIE + PCIE_LINK_CTL, 0x0fdb},
    {CAP_PCIE + PCIE_DEV_CTL2, 0xffff},
    {CAP_PCIE + PCIE_LINK_CTL2, 0xffff},
    {CAP_MSIX + 2, 0xc000}, /* enable, function mask */
};

static void put16(struct hws_emu_pci *pci, uint32_t at, uint32_t v)
{
    pci->bytes[at] = (uint8_t)v;
    pci->bytes[at + 1] = (uint8_t)(v >> 8);
}

static void put32(struct hws_emu_pci *pci, uint32_t at, uint32_t v)
{
    put16(pci, at, v);
    put16(pci, at + 2, v >> 16);
}

static void put_pcie(struct hws_emu_pci *pci, const struct hws_emu_profile *p)
{
    uint32_t speeds = ((UINT32_C(1) << p->pcie_generation_cap) - 1) << 1;

    pci->bytes[CAP_PCIE] = CAP_ID_PCIE;
    pci->bytes[CAP_PCIE + 1] = CAP_MSIX;
    put16(pci, CAP_PCIE + 2, PCIE_V2_ENDPOINT);
    put32(pci, CAP_PCIE + PCIE_DEV_CAP,
          DEV_CAP_512_BYTE_PAYLOAD | DEV_CAP_EXTENDED_TAG | DEV_CAP_ROLE_ERRORS |
              DEV_CAP_FUNCTION_RESET);
    put16(pci, CAP_PCIE + PCIE_DEV_CTL, DEV_CTL_DEFAULT);
    put32(pci, CAP_PCIE + PCIE_LINK_CAP, (uint32_t)p->pcie_width_cap << 4 | p->pcie_generation_cap);
    put16(pci, CAP_PCIE + PCIE_LINK_STA,
          LINK_STA_SLOT_CLOCK | (uint32_t)p->pcie_width << 4 | p->pcie_generation);
    put32(pci, CAP_PCIE + PCIE_LINK_CAP2, speeds);
    put16(pci, CAP_PCIE + PCIE_LINK_CTL2, p->pcie_generation_cap);
}

void hws_emu_pci_init(struct hws_emu_pci *pci, const struct hws_emu_profile *profile)
{
    memset(pci, 0, sizeof(*pci));
    put16(pci, 0, VENDOR_ID);
    put16(pci, 2, profile->pci_device_id);
    put16(pci, REG_STATUS, STATUS_CAP_LIST);
    pci->bytes[REG_CLASS] = CLASS_NETWORK;
    put32(pci, REG_BAR0, BAR_64_PREFETCH);
    put16(pci, REG_SUBSYSTEM, VENDOR_ID);
    put16(pci, REG_SUBSYSTEM + 2, profile->pci_device_id);
    pci->bytes[REG_CAP_PTR] = CAP_PCIE;
    put_pcie(pci, profile);
    pci->bytes[CAP_MSIX] = CAP_ID_MSIX;
    put16(pci, CAP_MSIX + 2, HWS_EMU_MAX_VECTORS - 1);
    put32(pci, CAP_MSIX + 4, HWS_EMU_PCI_MSIX_TABLE);
    put32(pci, CAP_MSIX + 8, HWS_EMU_PCI_MSIX_PBA);
    pci->bytes[CAP_MSIX + 1] = CAP_VENDOR;
    pci->bytes[CAP_VENDOR] = CAP_ID_VENDOR;
    pci->bytes[CAP_VENDOR + 2] = HWS_EMU_VSC_BYTES;
}

void hws_emu_pci_read(struct hws_emu_pci *pci, uint64_t offset, uint8_t *dst, size_t n)
{
    if (is_vendor_word(offset, n)) {
        put32(pci, (uint32_t)offset, hws_emu_vsc_read(&pci->vsc, (uint32_t)offset - CAP_VENDOR));
    }
    for (size_t i = 0; i < n; i++) {
        bool inside = offset < HWS_EMU_PCI_CONFIG_BYTES && i < HWS_EMU_PCI_CONFIG_BYTES - offset;
        dst[i] = inside ? pci->bytes[offset + i] : 0;
    }
}

static uint8_t mask_at(uint64_t offset)
{
    for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
        if (offset / 2 * 2 == writable[i].at) {
            return (uint8_t)(writable[i].mask >> (offset % 2 * 8));
        }
    }
    return 0;
}

void hws_emu_pci_write(struct hws_emu_pci *pci, uint64_t offset, const uint8_t *src, size_t n)
{
    if (is_vendor_word(offset, n)) {
        uint32_t value =
            (uint32_t)src[3] << 24 | (uint32_t)src[2] << 16 | (uint32_t)src[1] << 8 | src[0];
        hws_emu_vsc_write(&pci->vsc, (uint32_t)offset - CAP_VENDOR, value);
        return;
    }
    for (size_t i = 0; i < n && offset < HWS_EMU_PCI_CONFIG_BYTES - i; i++) {
        uint8_t mask = mask_at(offset + i);
        uint8_t *byte = &pci->bytes[offset + i];
        *byte = (uint8_t)((*byte & ~mask) | (src[i] & mask));
    }
}

bool hws_emu_pci_is_reset(uint64_t offset, const uint8_t *src, size_t n)
{
    const uint64_t at = CAP_PCIE + PCIE_DEV_CTL + 1;

    return offset <= at && at - offset < n && (src[at - offset] & DEV_CTL_RESET_HIGH) != 0;
}

bool hws_emu_pci_is_master(const struct hws_emu_pci *pci)
{
    return (pci->bytes[REG_COMMAND] & COMMAND_MASTER) != 0;
}

void hws_emu_bar_read(struct hws_emu *e, uint64_t offset, uint8_t *dst, size_t n)
{
    uint8_t word[4];

    for (size_t i = 0; i < n; i++) {
        uint64_t at = offset + i;
        if (i == 0 || at % 4 == 0) {
            hws_store_be32(word, hws_emu_read32(e, (uint32_t)(at / 4 * 4)));
        }
        dst[i] = word[at % 4];
    }
}

void hws_emu_bar_write(struct hws_emu *e, uint64_t offset, const uint8_t *src, size_t n)
{
    size_t i = (size_t)((4 - offset % 4) % 4);

    for (; i + 4 <= n; i += 4) {
        hws_emu_write32(e, (uint32_t)(offset + i), hws_load_be32(src + i));
    }
}
