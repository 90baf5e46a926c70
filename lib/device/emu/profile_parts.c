/* Parts of a profile: ports, sensors, capabilities. */
#include <string.h>

#include "base/str.h"
#include "emu/emu_priv.h"
#include "emu/profile_priv.h"
#include "emu/speeds.h"

/* ---- ports ---- */

/* "200G" or "200000" (Mb/s). */
static bool parse_speed(const char *text, uint32_t *out_mbps)
{
    char digits[HWS_EMU__YAML_TEXT_BYTES];
    uint64_t v = 0;
    size_t n = strlen(text);
    bool giga = n > 0 && text[n - 1] == 'G';

    (void)hws_str_copy_n(digits, sizeof(digits), text, giga ? n - 1 : n);
    if (hws_str_to_u64(digits, giga ? 1600 : 1600000, &v, NULL) != HWS_OK || v == 0) {
        return false;
    }
    *out_mbps = (uint32_t)(giga ? v * 1000 : v);
    return true;
}

static enum hws_code read_speed(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_nic_port *port = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    if (!parse_speed(text, &port->speed_mbps)) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not a speed such as 100G", key->name,
                                 text);
    }
    return HWS_OK;
}

static enum hws_code read_link_type(struct hws_emu__yaml *y, struct fy_node *node,
                                    const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_nic_port *port = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_str_eq(text, "eth")) {
        port->type = HWS_EMU_LINK_ETH;
    } else if (hws_str_eq(text, "ib")) {
        port->type = HWS_EMU_LINK_IB;
    } else {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is neither eth nor ib", key->name, text);
    }
    return HWS_OK;
}

static enum hws_code read_type_from(struct hws_emu__yaml *y, struct fy_node *node,
                                    const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_nic_port *port = obj;

    (void)key;
    port->has_type_from = true;
    return hws_emu__read_bits(y, node, &port->type_from);
}

/* Each speed sets the bits of every lane count; those above the port's own go away when it is
 * complete. */
static bool add_eth(const char *text, uint32_t *mask)
{
    uint32_t n;
    uint32_t mbps = 0;
    const struct hws_emu_eth_speed *rows = hws_emu_eth_speeds(&n);
    bool any = false;

    if (!parse_speed(text, &mbps)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].mbps == mbps) {
            *mask |= UINT32_C(1) << rows[i].bit;
            any = true;
        }
    }
    return any;
}

static bool add_ib(const char *text, uint32_t *mask)
{
    uint32_t n;
    const struct hws_emu_ib_speed *rows = hws_emu_ib_speeds(&n);

    for (uint32_t i = 0; i < n; i++) {
        if (hws_str_eq(rows[i].name, text)) {
            *mask |= UINT32_C(1) << rows[i].bit;
            return true;
        }
    }
    return false;
}

static enum hws_code read_speed_list(struct hws_emu__yaml *y, struct fy_node *node,
                                     const char *what,
                                     bool (*add)(const char *text, uint32_t *mask), uint32_t *mask)
{
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint32_t n = 0;
    void *it = NULL;
    enum hws_code rc = hws_emu__yaml_items(y, node, what, 32, &n);

    for (struct fy_node *item = NULL; rc == HWS_OK && n > 0; n--) {
        item = fy_node_sequence_iterate(node, &it);
        rc = hws_emu__yaml_text(y, item, what, text);
        if (rc == HWS_OK && !add(text, mask)) {
            rc = hws_emu__yaml_bad(y, item, "%s: unknown speed \"%s\"", what, text);
        }
    }
    return rc;
}

static enum hws_code read_eth(struct hws_emu__yaml *y, struct fy_node *node,
                              const struct hws_emu__key *key, void *obj)
{
    return read_speed_list(y, node, key->name, add_eth, &((struct hws_emu_nic_port *)obj)->eth_cap);
}

static enum hws_code read_ib(struct hws_emu__yaml *y, struct fy_node *node,
                             const struct hws_emu__key *key, void *obj)
{
    uint32_t mask = 0;
    enum hws_code rc = read_speed_list(y, node, key->name, add_ib, &mask);

    ((struct hws_emu_nic_port *)obj)->ib_cap = (uint16_t)mask;
    return rc;
}

static enum hws_code read_port(struct hws_emu__yaml *y, struct fy_node *node,
                               struct hws_emu_nic_port *port)
{
    static const struct hws_emu__key keys[] = {
        {"type", true, read_link_type, 0, 0, 0},
        {"type_from", false, read_type_from, 0, 0, 0},
        HWS_EMU__FIELD(hws_emu_nic_port, "cable", false, bool, cable, 0, 0),
        HWS_EMU__FIELD(hws_emu_nic_port, "admin_up", false, bool, admin_up, 0, 0),
        HWS_EMU__FIELD(hws_emu_nic_port, "lanes", true, u8, n_lanes, 1, 8),
        HWS_EMU__FIELD(hws_emu_nic_port, "first_lane", false, u8, first_lane, 0, 7),
        HWS_EMU__FIELD(hws_emu_nic_port, "module", false, u8, module, 0, UINT8_MAX),
        {"speed", true, read_speed, 0, 0, 0},
        {"eth", false, read_eth, 0, 0, 0},
        {"ib", false, read_ib, 0, 0, 0},
        HWS_EMU__FIELD(hws_emu_nic_port, "rx_frames_per_s", false, u64, rx_frames_per_s, 0,
                       1000000000),
        HWS_EMU__FIELD(hws_emu_nic_port, "tx_frames_per_s", false, u64, tx_frames_per_s, 0,
                       1000000000),
        HWS_EMU__FIELD(hws_emu_nic_port, "frame_bytes", false, u32, frame_bytes, 64, 16384),
        HWS_EMU__FIELD(hws_emu_nic_port, "rx_discards_per_s", false, u32, rx_discards_per_s, 0,
                       UINT32_MAX),
        HWS_EMU__FIELD(hws_emu_nic_port, "symbol_errors_per_h", false, u32, symbol_errors_per_h, 0,
                       UINT32_MAX),
        HWS_EMU__FIELD(hws_emu_nic_port, "corrected_bits_per_s", false, u64, corrected_bits_per_s,
                       0, UINT32_MAX),
    };
    uint32_t n;

    *port = (struct hws_emu_nic_port){.cable = true, .admin_up = true, .frame_bytes = 1024};
    enum hws_code rc = hws_emu__yaml_map(y, node, keys, HWS_EMU__COUNT(keys), port);
    const struct hws_emu_eth_speed *rows = hws_emu_eth_speeds(&n);
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].lanes > port->n_lanes) {
            port->eth_cap &= ~(UINT32_C(1) << rows[i].bit);
        }
    }
    if (rc == HWS_OK && port->eth_cap == 0 && port->ib_cap == 0) {
        rc = hws_emu__yaml_bad(y, node, "port: neither eth nor ib speeds with %u lanes",
                               port->n_lanes);
    }
    return rc;
}

enum hws_code hws_emu__read_ports(struct hws_emu__yaml *y, struct fy_node *node,
                                  const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_profile *p = obj;
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_PORTS, &n);

    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        rc = read_port(y, fy_node_sequence_iterate(node, &it), &p->ports[i]);
        p->n_ports = i + 1;
    }
    if (rc == HWS_OK && n == 0) {
        rc = hws_emu__yaml_bad(y, node, "%s: at least one", key->name);
    }
    return rc;
}

/* ---- sensors ---- */

/* Degrees with up to three decimals, in eighths. */
static bool parse_celsius(const char *text, int16_t *out)
{
    bool negative = text[0] == '-';
    int32_t milli = 0;
    int n_digits = 0;
    int n_decimals = -1;

    for (const char *c = text + (negative ? 1 : 0); *c != '\0'; c++) {
        if (*c == '.' && n_decimals < 0 && n_digits > 0) {
            n_decimals = 0;
        } else if (*c >= '0' && *c <= '9' && n_digits < 6 && n_decimals < 3) {
            milli = milli * 10 + (*c - '0');
            n_digits++;
            n_decimals += n_decimals >= 0 ? 1 : 0;
        } else {
            return false;
        }
    }
    for (int i = n_decimals < 0 ? 0 : n_decimals; i < 3; i++) {
        milli = milli <= 1000000 ? milli * 10 : milli;
    }
    if (n_digits == 0 || milli > 300000) {
        return false;
    }
    int32_t eighths = (milli * 8 + 500) / 1000;
    *out = (int16_t)(negative ? -eighths : eighths);
    return true;
}

static enum hws_code read_celsius(struct hws_emu__yaml *y, struct fy_node *node,
                                  const struct hws_emu__key *key, void *obj)
{
    char text[HWS_EMU__YAML_TEXT_BYTES];
    int16_t v = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    if (!parse_celsius(text, &v)) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not a temperature from -300 to 300",
                                 key->name, text);
    }
    memcpy((char *)obj + key->offset, &v, sizeof(v));
    return HWS_OK;
}

enum hws_code hws_emu__read_sensors(struct hws_emu__yaml *y, struct fy_node *node,
                                    const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        HWS_EMU__FIELD(hws_emu_sensor, "index", true, u16, index, 0, 4095),
        HWS_EMU__FIELD(hws_emu_sensor, "name", true, text, name, 1,
                       sizeof(((struct hws_emu_sensor *)0)->name)),
        {"celsius", true, read_celsius, offsetof(struct hws_emu_sensor, value), 0, 0},
        {"high", false, read_celsius, offsetof(struct hws_emu_sensor, threshold_hi), 0, 0},
        {"low", false, read_celsius, offsetof(struct hws_emu_sensor, threshold_lo), 0, 0},
    };
    struct hws_emu_profile *p = obj;
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_SENSORS, &n);

    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        rc = hws_emu__yaml_map(y, fy_node_sequence_iterate(node, &it), keys, HWS_EMU__COUNT(keys),
                               &p->sensors[i]);
        p->n_sensors = i + 1;
    }
    return rc;
}

/* ---- capabilities ---- */

struct cap_row {
    const char *name;
    uint16_t dw;
    uint8_t lsb_idx;
    uint8_t n_bits;
};

static const struct cap_row cap_rows[] = {
#define HWS_EMU_CAP_FIELD(name, dw, lsb, bits, source) {#name, (dw), (lsb), (bits)},
#include "emu/cap_fields.def"
#undef HWS_EMU_CAP_FIELD
};

static enum hws_code read_cap(struct hws_emu__yaml *y, struct fy_node *node,
                              const struct cap_row *row, struct hws_emu_cap *cap)
{
    uint64_t limit = row->n_bits == 32 ? UINT32_MAX : (UINT64_C(1) << row->n_bits) - 1;
    const struct hws_emu__key keys[] = {
        HWS_EMU__FIELD(hws_emu_cap, "cur", true, u32, cur, 0, limit),
        HWS_EMU__FIELD(hws_emu_cap, "max", true, u32, max, 0, limit),
    };
    const struct hws_emu__key one = {row->name, true, NULL, 0, 0, limit};
    uint64_t v = 0;

    *cap = (struct hws_emu_cap){.dw = row->dw, .lsb_idx = row->lsb_idx, .n_bits = row->n_bits};
    if (fy_node_get_type(node) == FYNT_MAPPING) {
        enum hws_code rc = hws_emu__yaml_map(y, node, keys, HWS_EMU__COUNT(keys), cap);
        if (rc == HWS_OK && cap->cur > cap->max) {
            rc = hws_emu__yaml_bad(y, node, "%s: cur is above max", row->name);
        }
        return rc;
    }
    enum hws_code rc = hws_emu__yaml_number(y, node, &one, &v);
    cap->cur = (uint32_t)v;
    cap->max = (uint32_t)v;
    return rc;
}

enum hws_code hws_emu__read_caps(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_profile *p = obj;
    char name[HWS_EMU__YAML_TEXT_BYTES];
    void *it = NULL;

    if (fy_node_get_type(node) != FYNT_MAPPING) {
        return hws_emu__yaml_bad(y, node, "%s: expected a mapping", key->name);
    }
    for (struct fy_node_pair *pair = fy_node_mapping_iterate(node, &it); pair != NULL;
         pair = fy_node_mapping_iterate(node, &it)) {
        struct fy_node *key_node = fy_node_pair_key(pair);
        enum hws_code rc = hws_emu__yaml_text(y, key_node, "capability", name);
        size_t i = 0;
        while (rc == HWS_OK && i < HWS_EMU__COUNT(cap_rows) &&
               !hws_str_eq(cap_rows[i].name, name)) {
            i++;
        }
        if (rc == HWS_OK && (i == HWS_EMU__COUNT(cap_rows) || p->n_caps == HWS_EMU_MAX_CAPS)) {
            rc = hws_emu__yaml_bad(y, key_node, "unknown capability %s", name);
        }
        if (rc == HWS_OK && fy_node_pair_value(pair) == NULL) {
            rc = hws_emu__yaml_bad(y, key_node, "%s: no value", name);
        }
        if (rc == HWS_OK) {
            rc = read_cap(y, fy_node_pair_value(pair), &cap_rows[i], &p->caps[p->n_caps++]);
        }
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}
