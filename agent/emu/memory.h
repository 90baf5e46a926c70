/*
 * The memory of a virtual machine as a card sees it: ranges of device addresses, mapped from files
 * that the machine's monitor hands over. What is not mapped, or not for writing, cannot be reached.
 *
 * Thread rule: the loop's thread. The machine's processors write the same memory at any time: the
 * model copies once and judges the copy.
 */
#ifndef HWS_EMU_MEMORY_H
#define HWS_EMU_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/vfio_user.h"

#define HWS_VM_MAX_MAPS 256u

struct hws_vm_map {
    uint64_t addr;
    uint64_t bytes;
    uint8_t *host; /* owned mapping; NULL: known, not reachable */
    bool can_write;
};

struct hws_vm_memory {
    struct hws_vm_map maps[HWS_VM_MAX_MAPS];
    size_t n_maps;
    size_t last; /* where the last access was */
};

/* Maps the range from fd (-1: no memory behind it; fd stays the caller's). Returns 0 or an errno
 * value: EEXIST over another range, EINVAL for a file that is shorter, ENOSPC over the limit. */
int hws_vm_memory_map(struct hws_vm_memory *m, const struct hws_emu_vfu_map *map, int fd);

/* Unmaps the ranges that lie wholly inside. Returns 0. */
int hws_vm_memory_unmap(struct hws_vm_memory *m, uint64_t addr, uint64_t bytes);
void hws_vm_memory_unmap_all(struct hws_vm_memory *m);

/* Where n bytes at addr are; NULL unless all of them are in one range that allows it. */
uint8_t *hws_vm_memory_at(struct hws_vm_memory *m, uint64_t addr, size_t n, bool write);

#endif
