/*
 * HELLO and ADAPTER payloads.
 *
 *   HELLO    role u8, zero u8, version u16, generation u64, pid u32, name text, build text,
 *            n_adapters u16, n_running u16, running entries
 *   running  id u64, adapter u16, row u16, age_ms u32
 *   ADAPTER  index u16, state u8, emulated u8, depth u16, n_stalled u16, stalled_ms u32,
 *            kind text, pci text, node text, backend text, reason text
 * A text is a u16 length and the bytes.
 */
#include "link/hello.h"

#include "base/bits.h"
#include "link/codec_priv.h"

void hws_link_running_put(uint8_t *bytes, size_t i, const struct hws_link_running *running)
{
    uint8_t *at = bytes + i * HWS_LINK_RUNNING_BYTES;

    hws_store_be64(at, running->id);
    hws_store_be16(at + 8, running->adapter);
    hws_store_be16(at + 10, running->row);
    hws_store_be32(at + 12, running->age_ms);
}

struct hws_link_running hws_link_running_get(const uint8_t *bytes, size_t i)
{
    const uint8_t *at = bytes + i * HWS_LINK_RUNNING_BYTES;

    return (struct hws_link_running){.id = hws_load_be64(at),
                                     .adapter = hws_load_be16(at + 8),
                                     .row = hws_load_be16(at + 10),
                                     .age_ms = hws_load_be32(at + 12)};
}

static bool hello_counts_ok(const struct hws_link_hello *h)
{
    return h->n_adapters <= HWS_LINK_MAX_ADAPTERS && h->n_running <= HWS_LINK_MAX_RUNNING &&
           (h->role == HWS_LINK_ROLE_DEVICE || (h->n_adapters == 0 && h->n_running == 0));
}

static bool running_ok(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hws_link_running r = hws_link_running_get(bytes, i);

        if (r.id == 0 || r.adapter >= HWS_LINK_MAX_ADAPTERS) {
            return false;
        }
    }
    return true;
}

void hws_link__put_hello(struct hws_link__writer *w, const struct hws_link_hello *h)
{
    size_t n = h->n_running <= HWS_LINK_MAX_RUNNING ? h->n_running : 0;

    hws_link__need(w, "role", h->role > HWS_LINK_ROLE_NONE && h->role < HWS_LINK_N_ROLES);
    hws_link__need(w, "generation", h->generation != 0);
    hws_link__need(w, "adapters", hello_counts_ok(h) && running_ok(h->running, n));
    hws_link__put_u8(w, h->role);
    hws_link__put_u8(w, 0);
    hws_link__put_u16(w, h->version);
    hws_link__put_u64(w, h->generation);
    hws_link__put_u32(w, h->pid);
    hws_link__put_text(w, "name", h->name, HWS_LINK_NAME_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "build", h->build, HWS_LINK_BUILD_BYTES, HWS_LINK__TOKEN);
    hws_link__put_u16(w, h->n_adapters);
    hws_link__put_u16(w, h->n_running);
    hws_link__put_raw(w, (struct hws_span){h->running, n * HWS_LINK_RUNNING_BYTES});
}

void hws_link__get_hello(struct hws_link__reader *r, struct hws_link_hello *h)
{
    struct hws_span running;

    h->role = hws_link__get_u8(r, "role");
    hws_link__want(r, "role", h->role > HWS_LINK_ROLE_NONE && h->role < HWS_LINK_N_ROLES);
    hws_link__want(r, "reserved", hws_link__get_u8(r, "reserved") == 0);
    h->version = hws_link__get_u16(r, "version");
    h->generation = hws_link__get_u64(r, "generation");
    hws_link__want(r, "generation", h->generation != 0);
    h->pid = hws_link__get_u32(r, "pid");
    h->name = hws_link__get_text(r, "name", HWS_LINK_NAME_BYTES, HWS_LINK__TOKEN);
    h->build = hws_link__get_text(r, "build", HWS_LINK_BUILD_BYTES, HWS_LINK__TOKEN);
    h->n_adapters = hws_link__get_u16(r, "n_adapters");
    h->n_running = hws_link__get_u16(r, "n_running");
    hws_link__want(r, "n_running", hello_counts_ok(h));
    running = hws_link__get_raw(r, "running", (size_t)h->n_running * HWS_LINK_RUNNING_BYTES);
    h->running = running.bytes;
    hws_link__want(r, "running", running_ok(running.bytes, running.n / HWS_LINK_RUNNING_BYTES));
}

static bool adapter_ok(const struct hws_link_adapter *a)
{
    return a->index < HWS_LINK_MAX_ADAPTERS && a->state > HWS_LINK_ADAPTER_NONE &&
           a->state < HWS_LINK_ADAPTER_N_STATES && a->depth >= 1 &&
           a->depth <= HWS_LINK_MAX_DEPTH && a->n_stalled <= HWS_LINK_MAX_DEPTH &&
           (a->n_stalled > 0 || a->stalled_ms == 0);
}

void hws_link__put_adapter(struct hws_link__writer *w, const struct hws_link_adapter *a)
{
    hws_link__need(w, "index, state, depth or stalled", adapter_ok(a));
    hws_link__need(w, "kind or pci", a->kind.n > 0 && a->pci.n > 0);
    hws_link__put_u16(w, a->index);
    hws_link__put_u8(w, a->state);
    hws_link__put_u8(w, a->emulated ? 1 : 0);
    hws_link__put_u16(w, a->depth);
    hws_link__put_u16(w, a->n_stalled);
    hws_link__put_u32(w, a->stalled_ms);
    hws_link__put_text(w, "kind", a->kind, HWS_LINK_KIND_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "pci", a->pci, HWS_LINK_PCI_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "node", a->node, HWS_LINK_NODE_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "backend", a->backend, HWS_LINK_BACKEND_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "reason", a->reason, HWS_LINK_REASON_BYTES, HWS_LINK__TEXT);
}

void hws_link__get_adapter(struct hws_link__reader *r, struct hws_link_adapter *a)
{
    uint8_t emulated;

    a->index = hws_link__get_u16(r, "index");
    a->state = hws_link__get_u8(r, "state");
    emulated = hws_link__get_u8(r, "emulated");
    hws_link__want(r, "emulated", emulated <= 1);
    a->emulated = emulated == 1;
    a->depth = hws_link__get_u16(r, "depth");
    a->n_stalled = hws_link__get_u16(r, "n_stalled");
    a->stalled_ms = hws_link__get_u32(r, "stalled_ms");
    hws_link__want(r, "index, state, depth or stalled", adapter_ok(a));
    a->kind = hws_link__get_text(r, "kind", HWS_LINK_KIND_BYTES, HWS_LINK__TOKEN);
    a->pci = hws_link__get_text(r, "pci", HWS_LINK_PCI_BYTES, HWS_LINK__TOKEN);
    hws_link__want(r, "kind or pci", a->kind.n > 0 && a->pci.n > 0);
    a->node = hws_link__get_text(r, "node", HWS_LINK_NODE_BYTES, HWS_LINK__TOKEN);
    a->backend = hws_link__get_text(r, "backend", HWS_LINK_BACKEND_BYTES, HWS_LINK__TOKEN);
    a->reason = hws_link__get_text(r, "reason", HWS_LINK_REASON_BYTES, HWS_LINK__TEXT);
}
