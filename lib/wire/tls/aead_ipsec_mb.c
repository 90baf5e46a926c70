/*
 * AES-GCM by ipsec-mb, with VAES, which libcrypto has since 3.1 only (docs/adr/0012-ipsec-mb.md).
 *
 * Its manager is a table of functions for this processor. It is made once and only read
 * afterwards; all that changes with a key or a record is ours.
 */
#include <intel-ipsec-mb.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "tls/aead_priv.h"

/* A key and the functions for its length. */
struct ctx {
    struct gcm_key_data key; /* hash keys are read 64 bytes at a time: aligned so */
    void *block;             /* owned: what this lies in */
    aes_gcm_init_t init;
    aes_gcm_enc_dec_update_t update;
    aes_gcm_enc_dec_finalize_t finalize;
    aes_gcm_enc_dec_t open;
};

#define ALIGN 64u

static IMB_MGR *s_mgr; /* NULL: not this processor */

/* For dl_iterate_phdr: 1 when this was the object that has the address. */
static int drop_code_around(struct dl_phdr_info *info, size_t size, void *data)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t *address = data;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = (info->dlpi_addr + part->p_vaddr) / page * page;
        uintptr_t end = info->dlpi_addr + part->p_vaddr + part->p_memsz;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 && *address >= start &&
            *address < end) {
            /* NOLINTNEXTLINE(performance-no-int-to-ptr): the linker gives addresses as numbers */
            (void)madvise((void *)start, end - start, MADV_DONTNEED);
            return 1;
        }
    }
    return 0;
}

static void make_manager(void)
{
    const uint64_t wanted = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;

    /* The size of a key is compiled in, and differs between versions of one soname. The builtin
     * asks the kernel as well as the processor, which the library does not. */
    if (imb_get_version() != IMB_VERSION_NUM || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512bw")) {
        return;
    }
    IMB_MGR *mgr = alloc_mb_mgr(0);
    if (mgr == NULL) {
        return;
    }
    init_mb_mgr_avx512(mgr);
    if (imb_get_errno(mgr) != 0 || (mgr->features & wanted) != wanted) {
        free_mb_mgr(mgr);
        return;
    }
    /* It has tested all of its algorithms, 3 MB of code that nobody here runs again. The pages are
     * the file's, and those of AES-GCM come back when they are touched. */
    uintptr_t code = (uintptr_t)mgr->gcm128_dec;
    (void)dl_iterate_phdr(drop_code_around, &code);
    s_mgr = mgr;
}

static void *new_ctx(const uint8_t *key, size_t n_key, bool seals)
{
    uint8_t *block = hws_mem_alloc(sizeof(struct ctx) + ALIGN);
    struct ctx *c = NULL;

    (void)seals;
    if (block == NULL) {
        return NULL;
    }
    c = (void *)(block + (ALIGN - (uintptr_t)block % ALIGN));
    c->block = block;
    if (n_key == 16) {
        s_mgr->gcm128_pre(key, &c->key);
        c->init = s_mgr->gcm128_init;
        c->update = s_mgr->gcm128_enc_update;
        c->finalize = s_mgr->gcm128_enc_finalize;
        c->open = s_mgr->gcm128_dec;
    } else {
        s_mgr->gcm256_pre(key, &c->key);
        c->init = s_mgr->gcm256_init;
        c->update = s_mgr->gcm256_enc_update;
        c->finalize = s_mgr->gcm256_enc_finalize;
        c->open = s_mgr->gcm256_dec;
    }
    return c;
}

static void free_ctx(void *ctx)
{
    struct ctx *c = ctx;

    if (c != NULL) {
        hws_mem_free_secret(c->block, sizeof(*c) + ALIGN);
    }
}

static bool seal(void *ctx, const uint8_t *nonce, struct hws_span aad, const struct hws_span *texts,
                 size_t n_texts, uint8_t *out)
{
    const struct ctx *c = ctx;
    struct gcm_context_data state;

    c->init(&c->key, &state, nonce, aad.bytes, aad.n);
    for (size_t i = 0; i < n_texts; i++) {
        if (texts[i].n > 0) {
            c->update(&c->key, &state, out, texts[i].bytes, texts[i].n);
            out += texts[i].n;
        }
    }
    c->finalize(&c->key, &state, out, HWS_TLS_TAG_BYTES);
    return true;
}

static bool open(void *ctx, const uint8_t *nonce, struct hws_span aad, struct hws_span sealed,
                 uint8_t *out)
{
    const struct ctx *c = ctx;
    struct gcm_context_data state;
    uint8_t tag[HWS_TLS_TAG_BYTES];
    size_t n = sealed.n - sizeof(tag);

    c->open(&c->key, &state, out, sealed.bytes, n, nonce, aad.bytes, aad.n, tag, sizeof(tag));
    return hws_mem_equal_secret(tag, sealed.bytes + n, sizeof(tag));
}

static const struct hws_tls__aead_ops s_ops = {
    .name = "ipsec-mb",
    .new = new_ctx,
    .free = free_ctx,
    .seal = seal,
    .open = open,
};

const struct hws_tls__aead_ops *hws_tls__aead_ipsec_mb(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_manager);
    return s_mgr != NULL ? &s_ops : NULL;
}
