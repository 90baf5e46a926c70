/*
 * The gate's verdict over any inbox and claim. Input: row u16, scope u8, zero u8, out_cap u32,
 * inbox. What passes must be harmless by rules that are written here once more.
 */
#include "base/assert.h"
#include "base/bits.h"
#include "gate/gate.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_passed(const struct hws_gate_ask *ask)
{
    uint16_t opcode = hws_load_be16(ask->in);
    uint16_t op_mod = hws_load_be16(ask->in + 6);
    uint16_t id = hws_load_be16(ask->in + 10);

    hws_assert(ask->row != 0 && ask->row < hws_table_n());
    hws_assert(ask->scope <= 2);
    hws_assert(hws_load_be16(ask->in + 2) == 0);
    if (opcode == 0x805) {
        hws_assert(op_mod <= 1 && ask->scope == op_mod);
        hws_assert(id != 0x9010 && id != 0x9011 && id != 0x9012 && id != 0x905c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_gate_ask ask = {.kind = HWS_KIND_MLX5};
    struct hws_err err;

    if (size < 8) {
        return 0;
    }
    ask.row = hws_load_be16(data);
    ask.scope = data[2];
    ask.out_cap_bytes = hws_load_be32(data + 4);
    ask.in = data + 8;
    ask.in_bytes = size - 8;
    if (hws_gate_judge(&ask, &err) == HWS_OK) {
        check_passed(&ask);
    } else {
        hws_assert(err.stage == HWS_STAGE_NOT_SENT && err.msg[0] != 0);
    }
    return 0;
}
