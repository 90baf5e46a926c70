/*
 * The dump source "registers": one read after the other, one JSON line each.
 *
 *   for each row of source.def: for each index of its set: read -> line
 *
 * Failures: a refusal (by firmware, card, gate or kernel) or a reply of the wrong length becomes a
 * line; a lost channel, an unknown fate and a buffer that is full end the snapshot.
 */
#include "dump/snapshot.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "dump/json.h"
#include "hca/identity.h"
#include "ifc/names.h"

enum state { READING, ENDED, BROKEN };
enum set { ONCE, PORTS, MODULES, SENSORS, LIST, COMPONENTS };

/* An end to LIST, should a card never say last_index_flag. */
#define MAX_COMPONENTS 32u

struct read {
    const char *reg;
    enum set set;
    const char *set_field;
    const char *fields[2];
    uint32_t values[2];
};

static const struct read reads[] = {
#define HWS_DUMP_READ(reg, set, set_field, f1, v1, f2, v2)                                         \
    {#reg, (set), (set_field), {(f1), (f2)}, {(v1), (v2)}},
#include "dump/source.def"
#undef HWS_DUMP_READ
};

#define N_READS (sizeof(reads) / sizeof(reads[0]))

size_t hws_dump_snapshot_estimate_bytes(uint8_t n_ports)
{
    size_t n_lines = 64;
    for (size_t i = 0; i < N_READS; i++) {
        n_lines += reads[i].set == PORTS || reads[i].set == MODULES ? n_ports : 1u;
    }
    return n_lines * 4096;
}

enum hws_code hws_dump_snapshot_init(struct hws_dump_snapshot *snap, const char *device_id,
                                     const char *fw_version, uint8_t n_ports, struct hws_buf *out,
                                     struct hws_err *err)
{
    memset(snap, 0, sizeof(*snap));
    if (n_ports == 0 || n_ports > HWS_HCA_MAX_PORTS) {
        return hws_err_set(err, HWS_E_INVALID, "%u ports; allowed: 1..%u", n_ports,
                           HWS_HCA_MAX_PORTS);
    }
    snap->timeout_ms = HWS_HCA_CMD_TIMEOUT_MS;
    snap->out = out;
    snap->n_ports = n_ports;
    enum hws_code rc = hws_buf_put(out, "{", 1);
    if (rc == HWS_OK) {
        rc = hws_dump_json_pair(out, true, "schema", "hawser.registers.v1");
    }
    if (rc == HWS_OK) {
        rc = hws_dump_json_pair(out, false, "device", device_id);
    }
    if (rc == HWS_OK) {
        rc = hws_dump_json_pair(out, false, "firmware", fw_version);
    }
    if (rc == HWS_OK) {
        rc = hws_buf_printf(out, ",\"ports\":%u}\n", n_ports);
    }
    return rc == HWS_OK ? HWS_OK : hws_err_set(err, rc, "dump buffer");
}

/* The value of the set field for the sub-index. */
static uint32_t set_value(const struct hws_dump_snapshot *snap, const struct read *read)
{
    if (read->set == PORTS) {
        return snap->sub_idx + 1;
    }
    if (read->set != SENSORS) {
        return snap->sub_idx;
    }
    unsigned left = snap->sub_idx;
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((snap->sensor_map >> bit & 1) != 0 && left-- == 0) {
            return bit;
        }
    }
    return 0;
}

static unsigned set_size(const struct hws_dump_snapshot *snap, const struct read *read)
{
    unsigned n = 0;

    switch (read->set) {
    case PORTS:
    case MODULES:
        return snap->n_ports;
    case SENSORS:
        for (unsigned bit = 0; bit < 64; bit++) {
            n += (unsigned)(snap->sensor_map >> bit & 1);
        }
        return n > 0 ? n : 1;
    case LIST:
        return snap->list_ended ? 0 : MAX_COMPONENTS;
    case COMPONENTS:
        return snap->n_components;
    case ONCE:
    default:
        return 1;
    }
}

static void broken(struct hws_dump_snapshot *snap, enum hws_code rc)
{
    (void)hws_err_set(&snap->err, rc, "dump buffer");
    snap->state = BROKEN;
}

/* Moves on to the next read that has something to ask; false at the end. */
static bool settle(struct hws_dump_snapshot *snap)
{
    while (snap->read_idx < N_READS && snap->sub_idx >= set_size(snap, &reads[snap->read_idx])) {
        snap->read_idx++;
        snap->sub_idx = 0;
    }
    return snap->read_idx < N_READS;
}

enum hws_step hws_dump_snapshot_next(struct hws_dump_snapshot *snap, uint64_t now_ms,
                                     struct hws_ctl_call *call)
{
    uint8_t data[HWS_REG_MAX_BYTES] = {0};

    if (snap->state == READING && !settle(snap)) {
        snap->state = ENDED;
        enum hws_code rc = hws_buf_printf(
            snap->out, "{\"end\":true,\"answered\":%" PRIu32 ",\"refused\":%" PRIu32 "}\n",
            snap->n_answered, snap->n_refused);
        if (rc != HWS_OK) {
            broken(snap, rc);
        }
    }
    if (snap->state != READING) {
        return snap->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    const struct read *read = &reads[snap->read_idx];
    const struct hws_reg *reg = hws_reg_by_name(read->reg);
    hws_assert(reg != NULL);
    for (size_t i = 0; i < 2; i++) {
        if (read->fields[i] != NULL) {
            hws_reg_put(reg, data, read->fields[i], read->values[i]);
        }
    }
    if (read->set_field != NULL) {
        hws_reg_put(reg, data, read->set_field, set_value(snap, read));
    }
    hws_hca_regio_prepare(&snap->io, reg->id, false, data, reg->size_bytes,
                          now_ms + snap->timeout_ms, call);
    return HWS_STEP_CALL;
}

/* `{"register":"PTYS","id":"0x5004","index":{"local_port":1,"proto_mask":4}` */
static enum hws_code line_head(struct hws_dump_snapshot *snap, const struct read *read,
                               const struct hws_reg *reg)
{
    const char *sep = "";

    enum hws_code rc = hws_buf_printf(
        snap->out, "{\"register\":\"%s\",\"id\":\"0x%04x\",\"index\":{", reg->name, reg->id);
    if (rc == HWS_OK && read->set_field != NULL) {
        rc = hws_buf_printf(snap->out, "\"%s\":%" PRIu32, read->set_field, set_value(snap, read));
        sep = ",";
    }
    for (size_t i = 0; rc == HWS_OK && i < 2; i++) {
        if (read->fields[i] != NULL) {
            rc = hws_buf_printf(snap->out, "%s\"%s\":%" PRIu32, sep, read->fields[i],
                                read->values[i]);
            sep = ",";
        }
    }
    return rc == HWS_OK ? hws_buf_put(snap->out, "}", 1) : rc;
}

struct rows {
    struct hws_buf *out;
    size_t n;
    enum hws_code rc;
};

static void put_row(void *arg, const struct hws_reg_row *row)
{
    struct rows *rows = arg;

    if (rows->rc != HWS_OK) {
        return;
    }
    rows->rc = hws_buf_put(rows->out, rows->n > 0 ? ",{" : "{", rows->n > 0 ? 2 : 1);
    rows->n++;
    if (rows->rc == HWS_OK) {
        rows->rc = hws_dump_json_pair(rows->out, true, "name", row->name);
    }
    if (rows->rc == HWS_OK) {
        rows->rc = hws_dump_json_pair(rows->out, false, "value", row->value);
    }
    if (rows->rc == HWS_OK && row->meaning[0] != '\0') {
        rows->rc = hws_dump_json_pair(rows->out, false, "meaning", row->meaning);
    }
    if (rows->rc == HWS_OK) {
        rows->rc = hws_buf_put(rows->out, "}", 1);
    }
}

static enum hws_code line_answer(struct hws_dump_snapshot *snap, const struct hws_reg *reg,
                                 const uint8_t *bytes)
{
    char hex[2 * HWS_REG_MAX_BYTES + 1];
    struct rows rows = {snap->out, 0, HWS_OK};

    enum hws_code rc = hws_buf_printf(snap->out, ",\"status\":\"ok\",\"fields\":[");
    if (rc == HWS_OK) {
        rc = hws_reg_decode(reg, bytes, reg->size_bytes, put_row, &rows, NULL);
    }
    rc = rc == HWS_OK ? rows.rc : rc;
    if (rc == HWS_OK) {
        hws_hex_encode(bytes, reg->size_bytes, hex);
        rc = hws_buf_printf(snap->out, "],\"raw\":\"%s\"}\n", hex);
    }
    return rc;
}

static enum hws_code line_refusal(struct hws_dump_snapshot *snap, const struct hws_err *err)
{
    enum hws_code rc = hws_buf_printf(
        snap->out,
        ",\"status\":\"refused\",\"code\":\"%s\",\"stage\":\"%s\",\"delivery_status\":%u,"
        "\"fw_status\":\"0x%02x\",\"fw_status_name\":\"%s\",\"syndrome\":\"0x%08" PRIx32 "\"",
        hws_code_name(err->code), hws_stage_name(err->stage), err->delivery_status,
        err->exec_status, err->exec_status != 0 ? hws_ifc_fw_status_name(err->exec_status) : "",
        err->syndrome);
    if (rc == HWS_OK) {
        rc = hws_dump_json_pair(snap->out, false, "error", err->msg);
    }
    return rc == HWS_OK ? hws_buf_put(snap->out, "}\n", 2) : rc;
}

/* True if the snapshot can go on after this error: somebody said no, and nothing is pending. */
static bool is_line(const struct hws_err *err)
{
    if (err->code == HWS_E_PROTO || err->stage == HWS_STAGE_EXECUTED ||
        err->stage == HWS_STAGE_REJECTED) {
        return true;
    }
    return err->stage != HWS_STAGE_UNKNOWN &&
           (err->code == HWS_E_DENIED || err->code == HWS_E_UNSUPPORTED ||
            err->code == HWS_E_INVALID);
}

/* What later sets need from this reply. */
static void learn(struct hws_dump_snapshot *snap, const struct read *read,
                  const struct hws_reg *reg, const uint8_t *bytes)
{
    if (strcmp(read->reg, "MTCAP") == 0 && bytes != NULL) {
        snap->sensor_map = hws_reg_get(reg, bytes, "sensor_map");
    }
    if (read->set == LIST) {
        snap->n_components += bytes != NULL ? 1u : 0u;
        snap->list_ended = bytes == NULL || hws_reg_get(reg, bytes, "last_index_flag") != 0;
    }
}

void hws_dump_snapshot_feed(struct hws_dump_snapshot *snap, const struct hws_ctl_call *call)
{
    const uint8_t *bytes = NULL;
    struct hws_err err = {0};

    hws_assert(snap->state == READING);
    const struct read *read = &reads[snap->read_idx];
    const struct hws_reg *reg = hws_reg_by_name(read->reg);
    enum hws_code result = hws_hca_regio_result(&snap->io, call, &bytes, &err);
    if (result != HWS_OK && !is_line(&err)) {
        snap->err = err;
        snap->state = BROKEN;
        return;
    }
    enum hws_code rc = line_head(snap, read, reg);
    if (rc == HWS_OK) {
        rc = result == HWS_OK ? line_answer(snap, reg, bytes) : line_refusal(snap, &err);
    }
    if (rc != HWS_OK) {
        broken(snap, rc);
        return;
    }
    if (result == HWS_OK) {
        snap->n_answered++;
    } else {
        snap->n_refused++;
    }
    learn(snap, read, reg, bytes);
    snap->sub_idx++;
}
