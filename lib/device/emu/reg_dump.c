/*
 * RESOURCE_DUMP, inline: a dump is a row of segments, read 208 bytes at a time. A reply with
 * more_dump is continued by sending it back: seq_num and device_opaque say where. Layouts:
 * resource_dump_* in mlx5_ifc.h (Linux 7.2.13); segment numbers from 0xfffa on: resourcetools of
 * mstflint 4.33. The numbers of resources are the model's own; the menu (0xffff) says which there
 * are.
 *
 *   info, command, then the menu, or a segment for each object, or an error; terminate
 */
#include <string.h>

#include "emu/emu_priv.h"

#define SEGMENT_COMMAND   0xfffau
#define SEGMENT_TERMINATE 0xfffbu
#define SEGMENT_ERROR     0xfffcu
#define SEGMENT_INFO      0xfffeu
#define SEGMENT_MENU      0xffffu
#define SEGMENT_EQ        0x1000u
#define SEGMENT_UCTX      0x1001u

#define INLINE_DATA    0x30u
#define INLINE_BYTES   208u
#define SEQ_MASK       0xfu
#define DUMP_VERSION   1u
#define ALL_OBJECTS    0xffffu
#define RECORD_BYTES   52u
#define RECORD_NAME    16u
#define SUPPORTS_INDEX 0x00010000u /* flags of a menu record: support_index1, */
#define MUST_INDEX     0x00020000u
#define SUPPORTS_NUM   0x00100000u /* support_num_of_obj1, */
#define SUPPORTS_ALL   0x00400000u /* num_of_obj1_supports_all */
#define ERROR_NO_TYPE  1u
#define ERROR_NO_INDEX 2u

/* The part of the dump that this reply carries. */
struct window {
    uint64_t from;
    uint64_t at; /* how much of the dump has gone by */
    uint8_t *dst;
    uint32_t n; /* bytes in dst */
};

static void emit(struct window *w, const uint8_t *bytes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, w->at++) {
        if (w->at >= w->from && w->n < INLINE_BYTES) {
            w->dst[w->n++] = bytes[i];
        }
    }
}

/* A segment's first dword: its length in dwords, its type. */
static void put_header(uint8_t *segment, uint32_t bytes, uint16_t type)
{
    hws_store_be16(segment, (uint16_t)(bytes / 4));
    hws_store_be16(segment + 2, type);
}

static void emit_info(const struct hws_emu *e, struct window *w)
{
    uint8_t s[16] = {0};

    put_header(s, sizeof(s), SEGMENT_INFO);
    s[7] = DUMP_VERSION;
    hws_store_be32(s + 8, e->profile->hw_dev_id);
    hws_store_be32(s + 12, (uint32_t)e->nv.running.major << 24 |
                               (uint32_t)(e->nv.running.minor & 0xff) << 16 |
                               e->nv.running.subminor);
    emit(w, s, sizeof(s));
}

static void emit_command(const struct hws_emu__reg *r, struct window *w)
{
    uint8_t s[20] = {0};

    put_header(s, sizeof(s), SEGMENT_COMMAND);
    memcpy(s + 4, r->data + 2, 2);  /* the segment that was called */
    memcpy(s + 6, r->data + 6, 2);  /* vhca_id */
    memcpy(s + 8, r->data + 8, 12); /* indices and numbers of objects */
    emit(w, s, sizeof(s));
}

static void emit_error(struct window *w, uint16_t syndrome, const char *text)
{
    uint8_t s[48] = {0};

    put_header(s, sizeof(s), SEGMENT_ERROR);
    hws_store_be16(s + 6, syndrome);
    hws_emu__put_text(s + 16, sizeof(s) - 16, text);
    emit(w, s, sizeof(s));
}

/* ---- resources ---- */

static uint32_t n_eqs(const struct hws_emu *e)
{
    (void)e;
    return HWS_EMU_MAX_EQS;
}

static uint32_t n_uctx(const struct hws_emu *e)
{
    (void)e;
    return HWS_EMU_MAX_UCTX;
}

/* The event queue's context as QUERY_EQ would give it. */
static bool put_eq(const struct hws_emu *e, uint32_t index, uint8_t *payload)
{
    const struct hws_emu_eq *q = &e->eqs[index];

    hws_bits_put(payload, 8, 4, q->armed ? 9 : 10); /* st: armed, fired */
    hws_bits_put(payload + 0x0c, 24, 5, q->log_size);
    hws_bits_put(payload + 0x0c, 0, 24, q->uar);
    hws_bits_put(payload + 0x14, 0, 12, q->vector);
    hws_bits_put(payload + 0x18, 24, 5, q->log_page);
    hws_bits_put(payload + 0x28, 0, 24, q->consumed);
    hws_bits_put(payload + 0x2c, 0, 24, q->produced);
    return q->used;
}

static bool put_uctx(const struct hws_emu *e, uint32_t index, uint8_t *payload)
{
    hws_store_be32(payload, index + 1); /* uid */
    return (e->uctx_mask >> index & 1) != 0;
}

struct resource {
    uint16_t type;
    const char *name;
    const char *index_name;
    uint32_t payload_bytes;
    uint32_t (*count)(const struct hws_emu *e);
    bool (*put)(const struct hws_emu *e, uint32_t index, uint8_t *payload); /* false: none there */
};

static const struct resource resources[] = {
    {SEGMENT_EQ, "FULL_EQC", "eqn", 64, n_eqs, put_eq},
    {SEGMENT_UCTX, "UCTX", "uid_minus_1", 4, n_uctx, put_uctx},
};

#define N_RESOURCES (sizeof(resources) / sizeof(resources[0]))

static void emit_menu(struct window *w)
{
    uint8_t s[8] = {0};

    put_header(s, sizeof(s) + N_RESOURCES * RECORD_BYTES, SEGMENT_MENU);
    hws_store_be16(s + 6, N_RESOURCES);
    emit(w, s, sizeof(s));
    for (size_t i = 0; i < N_RESOURCES; i++) {
        uint8_t record[RECORD_BYTES] = {0};
        hws_store_be32(record, SUPPORTS_ALL | SUPPORTS_NUM | MUST_INDEX | SUPPORTS_INDEX |
                                   resources[i].type);
        hws_emu__put_text(record + 4, RECORD_NAME, resources[i].name);
        hws_emu__put_text(record + 4 + RECORD_NAME, RECORD_NAME, resources[i].index_name);
        emit(w, record, sizeof(record));
    }
}

static void emit_objects(const struct hws_emu *e, const struct resource *res,
                         const struct hws_emu__reg *r, struct window *w)
{
    uint32_t first = hws_load_be32(r->data + 8);
    uint32_t n = hws_load_be16(r->data + 0x10);
    uint32_t count = res->count(e);
    bool any = false;

    if (first < count) {
        uint32_t most = n == ALL_OBJECTS ? count : n == 0 ? 1 : n;
        for (uint32_t i = first; i < count && i - first < most; i++) {
            uint8_t s[16 + 64] = {0};
            if (res->put(e, i, s + 16)) {
                put_header(s, 16 + res->payload_bytes, res->type);
                hws_store_be32(s + 8, i);
                emit(w, s, 16 + res->payload_bytes);
                any = true;
            }
        }
    }
    if (!any && n != ALL_OBJECTS) {
        emit_error(w, ERROR_NO_INDEX, "no such object");
    }
}

static void emit_dump(const struct hws_emu *e, const struct hws_emu__reg *r, struct window *w)
{
    uint8_t end[4];
    uint16_t type = hws_load_be16(r->data + 2);
    size_t i = 0;

    emit_info(e, w);
    emit_command(r, w);
    while (i < N_RESOURCES && resources[i].type != type) {
        i++;
    }
    if (type == SEGMENT_MENU) {
        emit_menu(w);
    } else if (i < N_RESOURCES) {
        emit_objects(e, &resources[i], r, w);
    } else {
        emit_error(w, ERROR_NO_TYPE, "no such segment");
    }
    put_header(end, sizeof(end), SEGMENT_TERMINATE);
    emit(w, end, sizeof(end));
}

void hws_emu__resource_dump(struct hws_emu *e, struct hws_emu__reg *r)
{
    bool is_inline = hws_bits_get(r->data, 30, 1) != 0;
    uint32_t seq = hws_bits_get(r->data, 16, 4);
    uint64_t from = hws_load_be64(r->data + 0x18);
    bool first = hws_bits_get(r->data, 31, 1) == 0;
    bool foreign = hws_bits_get(r->data, 29, 1) != 0 && hws_load_be16(r->data + 6) != 0;
    uint8_t part[INLINE_BYTES] = {0};
    struct window w = {.from = from, .dst = part};

    /* The model reaches no host memory by key, and is the only function there is. */
    if (!is_inline || foreign) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    if (first ? from != 0 || seq != 0
              : from % INLINE_BYTES != 0 || seq != (from / INLINE_BYTES & SEQ_MASK) || from == 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_DUMP_SEQUENCE);
        return;
    }
    emit_dump(e, r, &w);
    if (from >= w.at) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_DUMP_SEQUENCE);
        return;
    }
    bool more = from + w.n < w.at;
    hws_bits_put(r->data, 31, 1, more ? 1 : 0);
    hws_bits_put(r->data, 16, 4, (seq + 1) & SEQ_MASK);
    hws_store_be64(r->data + 0x18, more ? from + w.n : 0);
    hws_store_be32(r->data + 0x24, w.n);
    memcpy(r->data + INLINE_DATA, part, sizeof(part));
}
