/* A virtual machine's memory; see memory.h. */
#include "memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE_BYTES 4096u

static bool overlaps(const struct hws_vm_map *a, uint64_t addr, uint64_t bytes)
{
    return addr <= a->addr + (a->bytes - 1) && a->addr <= addr + (bytes - 1);
}

/* A mapping past the end of its file would kill us at the first access. */
static bool file_has(int fd, uint64_t offset, uint64_t bytes)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_size >= 0 && offset <= (uint64_t)st.st_size &&
           bytes <= (uint64_t)st.st_size - offset;
}

int hws_vm_memory_map(struct hws_vm_memory *m, const struct hws_emu_vfu_map *map, int fd)
{
    uint8_t *host = NULL;

    for (size_t i = 0; i < m->n_maps; i++) {
        if (overlaps(&m->maps[i], map->addr, map->bytes)) {
            return EEXIST;
        }
    }
    if (m->n_maps == HWS_VM_MAX_MAPS) {
        return ENOSPC;
    }
    if (fd >= 0) {
        if (map->offset % PAGE_BYTES != 0 || !file_has(fd, map->offset, map->bytes)) {
            return EINVAL;
        }
        host = mmap(NULL, (size_t)map->bytes, PROT_READ | (map->can_write ? PROT_WRITE : 0),
                    MAP_SHARED, fd, (off_t)map->offset);
        if (host == MAP_FAILED) {
            return errno;
        }
    }
    m->maps[m->n_maps++] = (struct hws_vm_map){
        .addr = map->addr, .bytes = map->bytes, .host = host, .can_write = map->can_write};
    return 0;
}

static void drop(struct hws_vm_memory *m, size_t i)
{
    if (m->maps[i].host != NULL) {
        (void)munmap(m->maps[i].host, (size_t)m->maps[i].bytes);
    }
    m->maps[i] = m->maps[--m->n_maps];
}

int hws_vm_memory_unmap(struct hws_vm_memory *m, uint64_t addr, uint64_t bytes)
{
    for (size_t i = m->n_maps; i > 0; i--) {
        const struct hws_vm_map *x = &m->maps[i - 1];
        if (x->addr >= addr && x->addr + (x->bytes - 1) <= addr + (bytes - 1)) {
            drop(m, i - 1);
        }
    }
    return 0;
}

void hws_vm_memory_unmap_all(struct hws_vm_memory *m)
{
    while (m->n_maps > 0) {
        drop(m, m->n_maps - 1);
    }
}

uint8_t *hws_vm_memory_at(struct hws_vm_memory *m, uint64_t addr, size_t n, bool write)
{
    for (size_t k = 0; k < m->n_maps; k++) {
        size_t i = (m->last + k) % m->n_maps;
        const struct hws_vm_map *x = &m->maps[i];
        if (addr >= x->addr && addr - x->addr < x->bytes && n <= x->bytes - (addr - x->addr)) {
            m->last = i;
            return x->host != NULL && (x->can_write || !write) ? x->host + (addr - x->addr) : NULL;
        }
    }
    return NULL;
}
