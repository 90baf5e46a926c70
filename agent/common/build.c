/* The build id, from the program's own notes. */
#include "common/build.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct found {
    char *dst;
    size_t cap;
};

/* Notes are aligned to 4 bytes: name "GNU\0", then the id. */
static int in_notes(const uint8_t *at, size_t n, const struct found *f)
{
    while (n >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof(note));
        size_t name = (note.n_namesz + 3u) & ~(size_t)3;
        size_t desc = (note.n_descsz + 3u) & ~(size_t)3;
        if (n < sizeof(note) + name + desc) {
            return 0;
        }
        const uint8_t *id = at + sizeof(note) + name;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4) {
            size_t bytes = (f->cap - 1) / 2;
            hws_hex_encode(id, note.n_descsz < bytes ? note.n_descsz : bytes, f->dst);
            return 1;
        }
        at += sizeof(note) + name + desc;
        n -= sizeof(note) + name + desc;
    }
    return 0;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        /* The loader gives addresses as integers; there is no other way to the bytes. */
        uintptr_t at = info->dlpi_addr + ph->p_vaddr;
        const uint8_t *bytes = (const uint8_t *)at; /* NOLINT(performance-no-int-to-ptr) */
        if (ph->p_type == PT_NOTE && in_notes(bytes, ph->p_memsz, data) != 0) {
            return 1;
        }
    }
    return 1; /* the first object is the program itself */
}

void hws_common_build_id(char *dst, size_t cap)
{
    struct found f = {dst, cap};

    hws_str_copy(dst, cap, "none");
    (void)dl_iterate_phdr(on_object, &f);
}
