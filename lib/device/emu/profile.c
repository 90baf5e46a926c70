/*
 * The profile: top level, identity, firmware, queue, PCIe, and what holds it together. Ports,
 * sensors, capabilities, parameters and faults are read by profile_parts.c.
 */
#include "emu/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "emu/profile_priv.h"
#include "ifc/entry.h"

#define TEXT(key, field, least)                                                                    \
    {                                                                                              \
        key, (least) > 0, hws_emu__read_text, offsetof(struct hws_emu_profile, field), (least),    \
            sizeof(((struct hws_emu_profile *)0)->field)                                           \
    }
#define NUMBER(key, required, kind, field, least, most)                                            \
    {                                                                                              \
        key, required, hws_emu__read_##kind, offsetof(struct hws_emu_profile, field), (least),     \
            (most)                                                                                 \
    }

/* "28.43.2006" into n numbers of at most max each. */
static bool split_numbers(const char *text, char sep, int base, size_t n, unsigned long max,
                          unsigned long *out)
{
    for (size_t i = 0; i < n; i++) {
        char *end = NULL;
        size_t n_digits = strspn(text, "0123456789");
        out[i] = n_digits > 0 && n_digits <= 8 ? strtoul(text, &end, base) : 0;
        if (end != text + n_digits || n_digits == 0 || out[i] > max ||
            *end != (i + 1 < n ? sep : '\0')) {
            return false;
        }
        text = end + 1;
    }
    return true;
}

static enum hws_code read_version(struct hws_emu__yaml *y, struct fy_node *node,
                                  const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_version *version = (void *)((char *)obj + key->offset);
    char text[HWS_EMU__YAML_TEXT_BYTES];
    unsigned long v[3];
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    if (!split_numbers(text, '.', 10, 3, UINT16_MAX, v)) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not MAJOR.MINOR.SUBMINOR", key->name,
                                 text);
    }
    version->major = (uint16_t)v[0];
    version->minor = (uint16_t)v[1];
    version->subminor = (uint16_t)v[2];
    return HWS_OK;
}

/* YYYY-MM-DD, kept as MGIR has it: the decimal digits as hexadecimal ones. */
static enum hws_code read_date(struct hws_emu__yaml *y, struct fy_node *node,
                               const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_profile *p = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    unsigned long v[3];
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    if (strlen(text) != 10 || !split_numbers(text, '-', 16, 3, 0x9999, v) || v[1] > 0x12 ||
        v[2] > 0x31) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not YYYY-MM-DD", key->name, text);
    }
    p->version.year = (uint16_t)v[0];
    p->version.month = (uint8_t)v[1];
    p->version.day = (uint8_t)v[2];
    return HWS_OK;
}

static enum hws_code read_mac(struct hws_emu__yaml *y, struct fy_node *node,
                              const struct hws_emu__key *key, void *obj)
{
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint8_t mac[6];
    size_t n = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    bool ok = strlen(text) == 17;
    for (size_t i = 0; ok && i < 6; i++) {
        char pair[3] = {text[3 * i], text[3 * i + 1], '\0'};
        ok = hws_hex_decode(pair, mac + i, 1, &n) == HWS_OK && (i == 5 || text[3 * i + 2] == ':');
    }
    if (!ok) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not aa:bb:cc:dd:ee:ff", key->name, text);
    }
    uint64_t v = 0;
    for (size_t i = 0; i < 6; i++) {
        v = v << 8 | mac[i];
    }
    ((struct hws_emu_profile *)obj)->base_mac = v;
    return HWS_OK;
}

/* "0000:3b:00.1", of which MPEIN and MPIR tell bus, device and function. */
static enum hws_code read_pci_address(struct hws_emu__yaml *y, struct fy_node *node,
                                      const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_profile *p = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint8_t at[2] = {0};
    size_t n = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    bool ok = strlen(text) == 12 && text[4] == ':' && text[7] == ':' && text[10] == '.' &&
              text[11] >= '0' && text[11] <= '7' && strspn(text, "0123456789abcdef") == 4;
    char hex[5] = "0000"; /* bus and device */
    if (ok) {
        memcpy(hex, text + 5, 2);
        memcpy(hex + 2, text + 8, 2);
    }
    ok = ok && hws_hex_decode(hex, at, sizeof(at), &n) == HWS_OK && at[1] < 32;
    if (!ok) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not like 0000:3b:00.0", key->name, text);
    }
    (void)hws_str_copy(p->pci_address, sizeof(p->pci_address), text);
    p->bdf = (uint16_t)(at[0] << 8 | at[1] << 3 | (text[11] - '0'));
    return HWS_OK;
}

static enum hws_code read_identity(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        TEXT("part", part, 1),
        TEXT("product", product, 1),
        TEXT("psid", psid, 1),
        TEXT("serial", serial, 1),
        TEXT("revision", revision, 0),
        {"pci_address", true, read_pci_address, 0, 0, 0},
        NUMBER("hw_device_id", true, u16, hw_dev_id, 1, UINT16_MAX),
        NUMBER("hw_revision", false, u16, hw_revision, 0, UINT16_MAX),
        NUMBER("pci_device_id", true, u16, pci_device_id, 1, UINT16_MAX),
        {"base_mac", true, read_mac, 0, 0, 0},
    };

    (void)key;
    return hws_emu__yaml_map(y, node, keys, sizeof(keys) / sizeof(keys[0]), obj);
}

static enum hws_code read_firmware(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        {"version", true, read_version, offsetof(struct hws_emu_profile, version), 0, 0},
        {"oldest_version", false, read_version, offsetof(struct hws_emu_profile, oldest_version), 0,
         0},
        {"date", false, read_date, 0, 0, 0},
        TEXT("branch", version.branch, 0),
        NUMBER("build_id", false, u32, version.build_id, 0, UINT32_MAX),
        NUMBER("boot_ms", false, u64, boot_ms, 0, 600000),
        NUMBER("link_up_ms", false, u64, link_up_ms, 0, 600000),
        NUMBER("reset_delay_ms", false, u64, reset_delay_ms, 0, 600000),
        NUMBER("reset_levels", false, u8, reset_levels, 0, UINT8_MAX),
        NUMBER("reset_types", false, u8, reset_types, 1, UINT8_MAX),
        NUMBER("embedded_cpu", false, bool, embedded_cpu, 0, 0),
        NUMBER("latency_ms", false, u64, latency_ms, 0, 600000),
        NUMBER("image_bytes", false, u32, image_bytes, 4096, HWS_EMU_MAX_IMAGE_BYTES),
        NUMBER("erase_ms", false, u64, erase_ms, 0, 600000),
        NUMBER("verify_ms", false, u64, verify_ms, 0, 600000),
        NUMBER("activate_ms", false, u64, activate_ms, 0, 600000),
        NUMBER("update_timeout_ms", false, u64, update_timeout_ms, 1, 3600000),
        NUMBER("boot_pages", false, u32, boot_pages, 0, HWS_EMU_MAX_PAGES / 2),
        NUMBER("init_pages", false, u32, init_pages, 0, HWS_EMU_MAX_PAGES / 2),
    };

    (void)key;
    return hws_emu__yaml_map(y, node, keys, sizeof(keys) / sizeof(keys[0]), obj);
}

static enum hws_code read_queue(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        NUMBER("log_size", true, u8, log_queue_size, 1, HWS_ENTRY_MAX_LOG_SIZE),
        NUMBER("log_stride", true, u8, log_queue_stride, HWS_ENTRY_MIN_LOG_STRIDE,
               HWS_ENTRY_MAX_LOG_PAGE - 1),
    };
    struct hws_emu_profile *p = obj;
    enum hws_code rc = hws_emu__yaml_map(y, node, keys, sizeof(keys) / sizeof(keys[0]), obj);

    (void)key;
    if (rc == HWS_OK && p->log_queue_size + p->log_queue_stride > (int)HWS_ENTRY_MAX_LOG_PAGE) {
        return hws_emu__yaml_bad(y, node, "queue: log_size + log_stride is above %u",
                                 HWS_ENTRY_MAX_LOG_PAGE);
    }
    return rc;
}

static enum hws_code read_pcie(struct hws_emu__yaml *y, struct fy_node *node,
                               const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        NUMBER("width", true, u8, pcie_width, 1, 16),
        NUMBER("width_cap", true, u16, pcie_width_cap, 1, 16),
        NUMBER("generation", true, u8, pcie_generation, 1, 6),
        NUMBER("generation_cap", true, u8, pcie_generation_cap, 1, 6),
        NUMBER("power_w", false, u16, pcie_power_w, 0, 4095),
        NUMBER("max_read", false, u8, pcie_max_read, 0, 5),
        NUMBER("max_payload", false, u8, pcie_max_payload, 0, 5),
    };

    (void)key;
    return hws_emu__yaml_map(y, node, keys, sizeof(keys) / sizeof(keys[0]), obj);
}

static const struct hws_emu__key top_keys[] = {
    {"identity", true, read_identity, 0, 0, 0},
    {"firmware", true, read_firmware, 0, 0, 0},
    {"queue", false, read_queue, 0, 0, 0},
    {"pcie", true, read_pcie, 0, 0, 0},
    {"timeouts", false, hws_emu__read_timeouts, 0, 0, 0},
    {"tracer", false, hws_emu__read_tracer, 0, 0, 0},
    {"ports", true, hws_emu__read_ports, 0, 0, 0},
    {"modules", false, hws_emu__read_modules, 0, 0, 0},
    {"sensors", false, hws_emu__read_sensors, 0, 0, 0},
    NUMBER("serdes", false, u8, serdes, 0, 15),
    {"capabilities", false, hws_emu__read_caps, 0, 0, 0},
    {"parameters", false, hws_emu__read_tlvs, 0, 0, 0},
    {"faults", false, hws_emu__read_faults, 0, 0, 0},
};

static enum hws_code read_profile(struct hws_emu__yaml *y, struct fy_node *root, void *obj)
{
    struct hws_emu_profile *out = obj;

    out->log_queue_size = HWS_ENTRY_MAX_LOG_SIZE;
    out->log_queue_stride = HWS_ENTRY_MIN_LOG_STRIDE;
    out->reset_levels = HWS_EMU_DEFAULT_RESET_LEVELS;
    out->reset_types = HWS_EMU_DEFAULT_RESET_TYPES;
    out->pcie_max_read = HWS_EMU_DEFAULT_MAX_READ;
    out->image_bytes = HWS_EMU_DEFAULT_IMAGE_BYTES;
    out->update_timeout_ms = HWS_EMU_DEFAULT_UPDATE_TIMEOUT_MS;
    enum hws_code rc = hws_emu__yaml_map(y, root, top_keys, HWS_EMU__COUNT(top_keys), out);
    return rc == HWS_OK ? hws_emu__check_references(y, out) : rc;
}

enum hws_code hws_emu_profile_parse(const char *text, size_t n, struct hws_emu_profile *out,
                                    struct hws_err *err)
{
    memset(out, 0, sizeof(*out));
    if (n == 0 || n > HWS_EMU_PROFILE_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "profile: %zu bytes, allowed are 1..%u", n,
                           HWS_EMU_PROFILE_MAX_BYTES);
    }
    enum hws_code rc = hws_emu__yaml_document(text, n, read_profile, out, err);
    if (rc != HWS_OK) {
        hws_emu_profile_deinit(out);
        (void)hws_err_wrap(err, "profile");
    }
    return rc;
}

void hws_emu_profile_deinit(struct hws_emu_profile *p)
{
    for (uint32_t i = 0; i < HWS_EMU_MAX_TLVS; i++) {
        hws_mem_free(p->tlvs[i].fields);
    }
    memset(p, 0, sizeof(*p));
}

const struct hws_emu_tlv *hws_emu_profile_tlv(const struct hws_emu_profile *p, uint32_t type)
{
    for (uint32_t i = 0; i < p->n_tlvs; i++) {
        if (p->tlvs[i].type == type) {
            return &p->tlvs[i];
        }
    }
    return NULL;
}
