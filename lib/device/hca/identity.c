/*
 * Who an adapter is.
 *
 *   MGIR -> MSGI -> for each port: PAOS -> PTYS (Ethernet) -> PTYS (InfiniBand, if it is none) ->
 * done
 *
 * Failures: a command that fails (but for a refused PAOS or PTYS, which that port reports), text
 * fields with bytes no card prints, a port count that cannot be.
 */
#include "hca/identity.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

enum state { READ_MGIR, READ_MSGI, READ_PAOS, READ_PTYS_ETH, READ_PTYS_IB, ENDED, BROKEN };

#define ID_MGIR 0x9020u
#define ID_MSGI 0x9021u
#define ID_PAOS 0x5006u
#define ID_PTYS 0x5004u

/* PTYS proto_mask (mlx5-ifc). */
#define PROTO_IB  1u
#define PROTO_ETH 4u

void hws_hca_identify_init(struct hws_hca_identify *id)
{
    memset(id, 0, sizeof(*id));
    id->timeout_ms = HWS_HCA_CMD_TIMEOUT_MS;
}

enum hws_step hws_hca_identify_next(struct hws_hca_identify *id, uint64_t now_ms,
                                    struct hws_ctl_call *call)
{
    static const uint16_t reg_ids[] = {ID_MGIR, ID_MSGI, ID_PAOS, ID_PTYS, ID_PTYS};
    uint8_t data[HWS_REG_MAX_BYTES] = {0};

    if (id->state >= ENDED) {
        return id->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    const struct hws_reg *reg = hws_reg_by_id(reg_ids[id->state]);
    hws_assert(reg != NULL);
    if (id->state >= READ_PAOS) {
        hws_reg_put(reg, data, "local_port", id->identity.ports[id->port_idx].number);
    }
    if (id->state >= READ_PTYS_ETH) {
        hws_reg_put(reg, data, "proto_mask", id->state == READ_PTYS_ETH ? PROTO_ETH : PROTO_IB);
    }
    hws_hca_regio_prepare(&id->io, reg->id, false, data, reg->size_bytes, now_ms + id->timeout_ms,
                          call);
    return HWS_STEP_CALL;
}

static enum hws_code take_mgir(struct hws_hca_identity *out, const uint8_t *b, struct hws_err *err)
{
    const struct hws_reg *reg = hws_reg_by_id(ID_MGIR);
    uint64_t n_ports = hws_reg_get(reg, b, "hw_info.num_ports");

    if (n_ports == 0 || n_ports > HWS_HCA_MAX_PORTS) {
        return hws_err_set(err, HWS_E_PROTO,
                           "register MGIR: field hw_info.num_ports is %" PRIu64
                           ", allowed is 1..%u",
                           n_ports, HWS_HCA_MAX_PORTS);
    }
    out->n_ports = (uint8_t)n_ports;
    out->hw_dev_id = (uint16_t)hws_reg_get(reg, b, "hw_info.hw_dev_id");
    out->hw_revision = (uint16_t)hws_reg_get(reg, b, "hw_info.device_hw_revision");
    out->base_mac = hws_reg_get(reg, b, "hw_info.manufacturing_base_mac_47_32") << 32 |
                    hws_reg_get(reg, b, "hw_info.manufacturing_base_mac_31_0");
    out->uptime_s = (uint32_t)hws_reg_get(reg, b, "hw_info.uptime");
    const char *name = hws_reg_meaning(reg, "hw_info.hw_dev_id", out->hw_dev_id);
    (void)hws_str_copy(out->device_name, sizeof(out->device_name),
                       name[0] != '\0' ? name : "unknown");

    /* The short version has 8 bits a part; the extended one is 0 on firmware too old to have it. */
    uint64_t major = hws_reg_get(reg, b, "fw_info.extended_major");
    uint64_t minor = hws_reg_get(reg, b, "fw_info.extended_minor");
    uint64_t sub = hws_reg_get(reg, b, "fw_info.extended_sub_minor");
    if ((major | minor | sub) == 0) {
        major = hws_reg_get(reg, b, "fw_info.major");
        minor = hws_reg_get(reg, b, "fw_info.minor");
        sub = hws_reg_get(reg, b, "fw_info.sub_minor");
    }
    (void)hws_str_print(out->fw_version, sizeof(out->fw_version),
                        "%" PRIu64 ".%02" PRIu64 ".%04" PRIu64, major, minor, sub);
    for (unsigned i = 0; i < out->n_ports; i++) {
        out->ports[i].number = (uint8_t)(i + 1);
    }
    return hws_reg_get_text(reg, b, "fw_info.psid", out->psid, sizeof(out->psid), err);
}

static enum hws_code take_msgi(struct hws_hca_identity *out, const uint8_t *b, struct hws_err *err)
{
    const struct hws_reg *reg = hws_reg_by_id(ID_MSGI);
    const struct {
        const char *field;
        char *dst;
        size_t cap;
    } texts[] = {{"serial_number", out->serial, sizeof(out->serial)},
                 {"part_number", out->part_number, sizeof(out->part_number)},
                 {"revision", out->revision, sizeof(out->revision)},
                 {"product_name", out->product_name, sizeof(out->product_name)}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        enum hws_code rc =
            hws_reg_get_text(reg, b, texts[i].field, texts[i].dst, texts[i].cap, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    if (out->serial[0] == '\0') {
        return hws_err_set(err, HWS_E_PROTO, "register MSGI: field serial_number is empty");
    }
    return HWS_OK;
}

static void take_paos(struct hws_hca_port *port, const uint8_t *b)
{
    const struct hws_reg *reg = hws_reg_by_id(ID_PAOS);
    uint64_t oper = hws_reg_get(reg, b, "oper_status");
    uint64_t admin = hws_reg_get(reg, b, "admin_status");

    port->admin_up = admin == 1 || admin == 3; /* up, up once */
    if (oper == 1) {
        port->link = HWS_HCA_LINK_UP;
    } else if (oper == 2) {
        port->link = HWS_HCA_LINK_DOWN;
    } else if (oper == 4) {
        port->link = HWS_HCA_LINK_FAILED;
    } else {
        (void)hws_str_print(port->reason, sizeof(port->reason), "PAOS oper_status %" PRIu64, oper);
    }
}

/* The fastest rate a bitmap names; several bits at once are shown by the highest. */
static const char *highest(const struct hws_reg *reg, const char *field, uint64_t bits)
{
    for (unsigned bit = 32; bit-- > 0;) {
        if ((bits >> bit & 1) != 0) {
            return hws_reg_meaning(reg, field, bit);
        }
    }
    return "";
}

static void take_ptys(struct hws_hca_port *port, const uint8_t *b)
{
    const struct hws_reg *reg = hws_reg_by_id(ID_PTYS);
    uint64_t eth = hws_reg_get(reg, b, "ext_eth_proto_oper");
    uint64_t ib = hws_reg_get(reg, b, "ib_proto_oper");
    uint64_t width = hws_reg_get(reg, b, "ib_link_width_oper");

    if (port->link != HWS_HCA_LINK_UP) {
        return; /* what a port that is down would run at is not its speed */
    }
    if (eth != 0) {
        const char *text = highest(reg, "ext_eth_proto_oper", eth);
        (void)hws_str_print(port->speed, sizeof(port->speed), text[0] != '\0' ? "%s" : "%s0x%x",
                            text, (unsigned)eth);
    } else if (ib != 0) {
        (void)hws_str_print(port->speed, sizeof(port->speed), "%s %s",
                            highest(reg, "ib_proto_oper", ib),
                            highest(reg, "ib_link_width_oper", width));
    }
}

/* The next question about this port, the next port, or the end. */
static void advance(struct hws_hca_identify *id)
{
    const struct hws_hca_port *port = &id->identity.ports[id->port_idx];
    bool ask_ib = port->link == HWS_HCA_LINK_UP && port->speed[0] == '\0';

    if (id->state < READ_PTYS_ETH || (id->state == READ_PTYS_ETH && ask_ib)) {
        id->state++;
        return;
    }
    id->port_idx++;
    id->state = id->port_idx < id->identity.n_ports ? READ_PAOS : ENDED;
}

/* A reply must be about the port that was asked for. */
static enum hws_code check_port(const struct hws_hca_regio *io, const uint8_t *b,
                                const struct hws_hca_port *port, struct hws_err *err)
{
    const struct hws_reg *reg = hws_reg_by_id(io->reg_id);
    uint64_t got = hws_reg_get(reg, b, "local_port");
    if (got != port->number) {
        return hws_err_set(err, HWS_E_PROTO,
                           "register %s: field local_port is %" PRIu64 ", asked for %u", reg->name,
                           got, port->number);
    }
    return HWS_OK;
}

static enum hws_code take(struct hws_hca_identify *id, const uint8_t *b)
{
    if (id->state == READ_MGIR) {
        return take_mgir(&id->identity, b, &id->err);
    }
    if (id->state == READ_MSGI) {
        return take_msgi(&id->identity, b, &id->err);
    }
    struct hws_hca_port *port = &id->identity.ports[id->port_idx];
    enum hws_code rc = check_port(&id->io, b, port, &id->err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (id->state == READ_PAOS) {
        take_paos(port, b);
    } else {
        take_ptys(port, b);
    }
    return HWS_OK;
}

void hws_hca_identify_feed(struct hws_hca_identify *id, const struct hws_ctl_call *call)
{
    const uint8_t *b = NULL;

    hws_assert(id->state < ENDED);
    enum hws_code rc = hws_hca_regio_result(&id->io, call, &b, &id->err);
    if (rc != HWS_OK && id->state >= READ_PAOS && hws_hca_is_refusal(&id->err)) {
        struct hws_hca_port *port = &id->identity.ports[id->port_idx];
        (void)hws_str_copy(port->reason, sizeof(port->reason), id->err.msg);
        hws_err_clear(&id->err);
        advance(id);
        return;
    }
    if (rc == HWS_OK) {
        rc = take(id, b);
    }
    if (rc != HWS_OK) {
        id->state = BROKEN;
        return;
    }
    advance(id);
}
