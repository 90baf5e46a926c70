/*
 * PCI configuration space of the emulated adapter: a PCIe endpoint with one 64-bit memory BAR
 * (registers, doorbell pages, MSI-X table), PCIe, MSI-X and vendor specific capabilities. No VPD,
 * no SR-IOV.
 *
 * Source: PCI Express Base 5.0 (7.5.1 header, 7.5.3 PCIe capability), PCI 3.0 (6.8.2 MSI-X).
 * Thread rule: the model's thread. Pure.
 */
#ifndef HWS_EMU_PCI_H
#define HWS_EMU_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/emu.h"
#include "emu/profile.h"
#include "emu/vsc.h"

#define HWS_EMU_PCI_CONFIG_BYTES 4096u
#define HWS_EMU_PCI_BAR0_BYTES   0x100000u
#define HWS_EMU_PCI_MSIX_TABLE   0x80000u /* in BAR0, behind the last doorbell page */
#define HWS_EMU_PCI_MSIX_PBA     0x90000u

struct hws_emu_pci {
    uint8_t bytes[HWS_EMU_PCI_CONFIG_BYTES];
    struct hws_emu_vsc vsc;
};

void hws_emu_pci_init(struct hws_emu_pci *pci, const struct hws_emu_profile *profile);

/*
 * Reads beyond the space are zero; writes change writable bits only. In the vendor specific
 * capability only whole 4-aligned words count, as the driver makes them.
 */
void hws_emu_pci_read(struct hws_emu_pci *pci, uint64_t offset, uint8_t *dst, size_t n);
void hws_emu_pci_write(struct hws_emu_pci *pci, uint64_t offset, const uint8_t *src, size_t n);

/* Whether a write asks for a function level reset; the caller then resets space and function. */
bool hws_emu_pci_is_reset(uint64_t offset, const uint8_t *src, size_t n);

/* Whether the host lets the card reach its memory, interrupts included. */
bool hws_emu_pci_is_master(const struct hws_emu_pci *pci);

/*
 * BAR0 as bytes, the way a bus carries them: registers are big endian. A read may have any size and
 * place; of a write only whole 4-aligned words count, as the driver makes them.
 */
void hws_emu_bar_read(struct hws_emu *e, uint64_t offset, uint8_t *dst, size_t n);
void hws_emu_bar_write(struct hws_emu *e, uint64_t offset, const uint8_t *src, size_t n);

#endif
