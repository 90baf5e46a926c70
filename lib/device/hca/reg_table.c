/* The registers and their layouts as tables, and how they are found: by number, by name, field by
 * field. */
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "hca/reg.h"
#include "hca/reg_priv.h"

#define HWS_REG_FIELD(field, offset, lsb, bits, what, values, source)                              \
    {(field), (offset), (lsb), (bits), HWS_FIELD_##what, HWS_REG_ENUM_##values, (source)},
#define FIELDS(layout) static const struct hws_reg_field layout##_fields[] =

/* clang-format off */
FIELDS(qcam) {
#include "ifc/reg/qcam.def"
};
FIELDS(pmlp) {
#include "ifc/reg/pmlp.def"
};
FIELDS(ptys) {
#include "ifc/reg/ptys.def"
};
FIELDS(paos) {
#include "ifc/reg/paos.def"
};
FIELDS(ppcnt) {
#include "ifc/reg/ppcnt.def"
};
FIELDS(ppcnt_802_3) {
#include "ifc/reg/ppcnt_802_3.def"
};
FIELDS(ppcnt_2863) {
#include "ifc/reg/ppcnt_2863.def"
};
FIELDS(ppcnt_phys) {
#include "ifc/reg/ppcnt_phys.def"
};
FIELDS(ppcnt_stat) {
#include "ifc/reg/ppcnt_stat.def"
};
FIELDS(ppcnt_2819) {
#include "ifc/reg/ppcnt_2819.def"
};
FIELDS(ppcnt_3635) {
#include "ifc/reg/ppcnt_3635.def"
};
FIELDS(ppcnt_eth_ext) {
#include "ifc/reg/ppcnt_eth_ext.def"
};
FIELDS(ppcnt_discard) {
#include "ifc/reg/ppcnt_discard.def"
};
FIELDS(ppcnt_prio) {
#include "ifc/reg/ppcnt_prio.def"
};
FIELDS(ppcnt_tc) {
#include "ifc/reg/ppcnt_tc.def"
};
FIELDS(ppcnt_recovery) {
#include "ifc/reg/ppcnt_recovery.def"
};
FIELDS(ppcnt_ib) {
#include "ifc/reg/ppcnt_ib.def"
};
FIELDS(ppcnt_ib_ext) {
#include "ifc/reg/ppcnt_ib_ext.def"
};
FIELDS(ppcnt_hist) {
#include "ifc/reg/ppcnt_hist.def"
};
FIELDS(ppcnt_other) {
#include "ifc/reg/ppcnt_other.def"
};
FIELDS(pmaos) {
#include "ifc/reg/pmaos.def"
};
FIELDS(pplm) {
#include "ifc/reg/pplm.def"
};
FIELDS(sltp) {
#include "ifc/reg/sltp.def"
};
FIELDS(pddr) {
#include "ifc/reg/pddr.def"
};
FIELDS(pddr_oper) {
#include "ifc/reg/pddr_oper.def"
};
FIELDS(pddr_trouble) {
#include "ifc/reg/pddr_trouble.def"
};
FIELDS(pddr_module) {
#include "ifc/reg/pddr_module.def"
};
FIELDS(pddr_phy) {
#include "ifc/reg/pddr_phy.def"
};
FIELDS(pddr_down) {
#include "ifc/reg/pddr_down.def"
};
FIELDS(pddr_up) {
#include "ifc/reg/pddr_up.def"
};
FIELDS(pddr_other) {
#include "ifc/reg/pddr_other.def"
};
FIELDS(pmdr) {
#include "ifc/reg/pmdr.def"
};
FIELDS(ppaos) {
#include "ifc/reg/ppaos.def"
};
FIELDS(ppcr) {
#include "ifc/reg/ppcr.def"
};
FIELDS(pcam) {
#include "ifc/reg/pcam.def"
};
FIELDS(host_endianness) {
#include "ifc/reg/host_endianness.def"
};
FIELDS(mtcap) {
#include "ifc/reg/mtcap.def"
};
FIELDS(mtmp) {
#include "ifc/reg/mtmp.def"
};
FIELDS(mcia) {
#include "ifc/reg/mcia.def"
};
FIELDS(mgir) {
#include "ifc/reg/mgir.def"
};
FIELDS(msgi) {
#include "ifc/reg/msgi.def"
};
FIELDS(mnvda) {
#include "ifc/reg/mnvda.def"
};
FIELDS(mnvdi) {
#include "ifc/reg/mnvdi.def"
};
FIELDS(mfrl) {
#include "ifc/reg/mfrl.def"
};
FIELDS(mrtc) {
#include "ifc/reg/mrtc.def"
};
FIELDS(mroq) {
#include "ifc/reg/mroq.def"
};
FIELDS(mnvqc) {
#include "ifc/reg/mnvqc.def"
};
FIELDS(mnvia) {
#include "ifc/reg/mnvia.def"
};
FIELDS(mnvgc) {
#include "ifc/reg/mnvgc.def"
};
FIELDS(mnvgn) {
#include "ifc/reg/mnvgn.def"
};
FIELDS(mtrc_cap) {
#include "ifc/reg/mtrc_cap.def"
};
FIELDS(mtrc_conf) {
#include "ifc/reg/mtrc_conf.def"
};
FIELDS(mtrc_stdb) {
#include "ifc/reg/mtrc_stdb.def"
};
FIELDS(mtrc_ctrl) {
#include "ifc/reg/mtrc_ctrl.def"
};
FIELDS(mpir) {
#include "ifc/reg/mpir.def"
};
FIELDS(resource_dump) {
#include "ifc/reg/resource_dump.def"
};
FIELDS(mpein) {
#include "ifc/reg/mpein.def"
};
FIELDS(mpcnt) {
#include "ifc/reg/mpcnt.def"
};
FIELDS(mpcnt_perf) {
#include "ifc/reg/mpcnt_perf.def"
};
FIELDS(mpcnt_phys) {
#include "ifc/reg/mpcnt_phys.def"
};
FIELDS(mpcnt_perf2) {
#include "ifc/reg/mpcnt_perf2.def"
};
FIELDS(mpcnt_other) {
#include "ifc/reg/mpcnt_other.def"
};
FIELDS(mcqs) {
#include "ifc/reg/mcqs.def"
};
FIELDS(mcqi) {
#include "ifc/reg/mcqi.def"
};
FIELDS(mcc) {
#include "ifc/reg/mcc.def"
};
FIELDS(mcqi_cap) {
#include "ifc/reg/mcqi_cap.def"
};
FIELDS(mcqi_version) {
#include "ifc/reg/mcqi_version.def"
};
FIELDS(mcqi_activation) {
#include "ifc/reg/mcqi_activation.def"
};
FIELDS(mcqi_other) {
#include "ifc/reg/mcqi_other.def"
};
FIELDS(mcda) {
#include "ifc/reg/mcda.def"
};
FIELDS(mqis) {
#include "ifc/reg/mqis.def"
};
FIELDS(mcam) {
#include "ifc/reg/mcam.def"
};
FIELDS(mrsi) {
#include "ifc/reg/mrsi.def"
};
FIELDS(dtor) {
#include "ifc/reg/dtor.def"
};
FIELDS(query_adapter) {
#include "ifc/cmd/query_adapter.def"
};
FIELDS(query_hca_cap) {
#include "ifc/cmd/query_hca_cap.def"
};
/* clang-format on */

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PAGE(field, number, layout)                                                                \
    {                                                                                              \
        (field), (number), layout##_fields, COUNT(layout##_fields)                                 \
    }
#define EVERY_OTHER UINT32_MAX

static const struct hws_reg_page ppcnt_pages[] = {
    PAGE("grp", 0, ppcnt_802_3),          PAGE("grp", 1, ppcnt_2863),
    PAGE("grp", 2, ppcnt_2819),           PAGE("grp", 3, ppcnt_3635),
    PAGE("grp", 5, ppcnt_eth_ext),        PAGE("grp", 6, ppcnt_discard),
    PAGE("grp", 0x10, ppcnt_prio),        PAGE("grp", 0x11, ppcnt_tc),
    PAGE("grp", 0x12, ppcnt_phys),        PAGE("grp", 0x16, ppcnt_stat),
    PAGE("grp", 0x1a, ppcnt_recovery),    PAGE("grp", 0x20, ppcnt_ib),
    PAGE("grp", 0x21, ppcnt_ib_ext),      PAGE("grp", 0x23, ppcnt_hist),
    PAGE("grp", EVERY_OTHER, ppcnt_other)};
static const struct hws_reg_page pddr_pages[] = {PAGE("page_select", 0, pddr_oper),
                                                 PAGE("page_select", 1, pddr_trouble),
                                                 PAGE("page_select", 2, pddr_phy),
                                                 PAGE("page_select", 3, pddr_module),
                                                 PAGE("page_select", 6, pddr_down),
                                                 PAGE("page_select", 8, pddr_up),
                                                 PAGE("page_select", EVERY_OTHER, pddr_other)};
static const struct hws_reg_page mpcnt_pages[] = {
    PAGE("grp", 0, mpcnt_perf), PAGE("grp", 3, mpcnt_phys), PAGE("grp", 4, mpcnt_perf2),
    PAGE("grp", EVERY_OTHER, mpcnt_other)};
static const struct hws_reg_page mcqi_pages[] = {
    PAGE("info_type", 0, mcqi_cap), PAGE("info_type", 1, mcqi_version),
    PAGE("info_type", 5, mcqi_activation), PAGE("info_type", EVERY_OTHER, mcqi_other)};

#define PAGES_PAGES(layout)    layout##_pages, COUNT(layout##_pages)
#define PAGES_NO_PAGES(layout) NULL, 0

static const struct hws_reg registers[] = {
#define HWS_REG(number, reg, layout, bytes, what, pages, purpose, source)                          \
    {(number),                                                                                     \
     (bytes),                                                                                      \
     #reg,                                                                                         \
     HWS_REG_##what,                                                                               \
     (purpose),                                                                                    \
     layout##_fields,                                                                              \
     COUNT(layout##_fields),                                                                       \
     PAGES_##pages(layout)},
#include "ifc/reg/registers.def"
#undef HWS_REG
};

#define OUTBOX(name, bytes, layout)                                                                \
    {                                                                                              \
        0, (bytes), (name), HWS_REG_RO, "", layout##_fields, COUNT(layout##_fields), NULL, 0       \
    }

const struct hws_reg hws_hca__query_adapter = OUTBOX("QUERY_ADAPTER", 0x110, query_adapter);
const struct hws_reg hws_hca__query_hca_cap = OUTBOX("QUERY_HCA_CAP", 0x1010, query_hca_cap);

struct meaning {
    enum hws_reg_enum enumeration;
    uint32_t value;
    const char *text;
};

static const struct meaning meanings[] = {
#define HWS_REG_ENUM(name, source)
#define HWS_REG_VALUE(name, number, text) {HWS_REG_ENUM_##name, (number), (text)},
#include "ifc/reg/enums.def"
#undef HWS_REG_ENUM
#undef HWS_REG_VALUE
};

size_t hws_reg_count(void)
{
    return COUNT(registers);
}

const struct hws_reg *hws_reg_at(size_t idx)
{
    hws_assert(idx < COUNT(registers));
    return &registers[idx];
}

const struct hws_reg *hws_reg_by_id(uint16_t id)
{
    for (size_t i = 0; i < COUNT(registers); i++) {
        if (registers[i].id == id) {
            return &registers[i];
        }
    }
    return NULL;
}

const struct hws_reg *hws_reg_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT(registers); i++) {
        if (strcasecmp(registers[i].name, name) == 0) {
            return &registers[i];
        }
    }
    return NULL;
}

const char *hws_reg_kind_name(enum hws_reg_kind kind)
{
    static const char *const names[] = {"RO", "RO+clear", "RW", "NV", "OP"};
    return (unsigned)kind < COUNT(names) ? names[kind] : "?";
}

const char *hws_hca__meaning(enum hws_reg_enum enumeration, uint64_t value)
{
    for (size_t i = 0; enumeration != HWS_REG_ENUM_NONE && i < COUNT(meanings); i++) {
        if (meanings[i].enumeration == enumeration && meanings[i].value == value) {
            return meanings[i].text;
        }
    }
    return "";
}

bool hws_hca__value_of(enum hws_reg_enum enumeration, const char *text, uint64_t *out_value)
{
    for (size_t i = 0; enumeration != HWS_REG_ENUM_NONE && i < COUNT(meanings); i++) {
        if (meanings[i].enumeration == enumeration && strcasecmp(meanings[i].text, text) == 0) {
            *out_value = meanings[i].value;
            return true;
        }
    }
    return false;
}

static const struct hws_reg_field *find_in(const struct hws_reg_field *fields, size_t n,
                                           const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

const struct hws_reg_page *hws_hca__page(const struct hws_reg *reg, const uint8_t *bytes)
{
    for (size_t i = 0; i < reg->n_pages; i++) {
        const struct hws_reg_page *page = &reg->pages[i];
        if (page->value == EVERY_OTHER || hws_reg_get(reg, bytes, page->selector) == page->value) {
            return page;
        }
    }
    return NULL;
}

const struct hws_reg_field *hws_hca__field(const struct hws_reg *reg, const uint8_t *bytes,
                                           const char *name)
{
    const struct hws_reg_field *f = find_in(reg->fields, reg->n_fields, name);
    if (f != NULL || reg->n_pages == 0) {
        return f;
    }
    const struct hws_reg_page *page = hws_hca__page(reg, bytes);
    return page == NULL ? NULL : find_in(page->fields, page->n_fields, name);
}

const char *hws_reg_meaning(const struct hws_reg *reg, const char *field, uint32_t value)
{
    const struct hws_reg_field *f = find_in(reg->fields, reg->n_fields, field);
    hws_assert(f != NULL);
    return hws_hca__meaning(f->enumeration, value);
}
