/* The card that is a table. Layouts are written out here on purpose: this code judges that of lib/.
 */
#include "fake_ctl.h"

#include <string.h>

#include "base/bits.h"
#include "test.h"

#define ACCESS_REG 0x805u
#define MNVDA      0x9024u
#define MNVDI      0x9025u
#define MNVQC      0x9030u
#define MNVGC      0x9034u
#define BAD_PARAM  3u
#define INT_ERR    1u

void hws_fake_init(struct hws_fake_ctl *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->reads_factory = true;
    fake->reads_current = true;
    fake->first_write = SIZE_MAX;
}

struct hws_fake_record *hws_fake_add_record(struct hws_fake_ctl *fake, uint32_t type,
                                            size_t n_bytes, const uint8_t *data)
{
    assert_true(fake->n_records < HWS_FAKE_MAX_RECORDS && n_bytes <= 32);
    struct hws_fake_record *r = &fake->records[fake->n_records++];
    memset(r, 0, sizeof(*r));
    r->type = type;
    r->n_bytes = n_bytes;
    r->readable = true;
    r->writable = true;
    if (data != NULL) {
        memcpy(r->next, data, n_bytes);
        memcpy(r->current, data, n_bytes);
        memcpy(r->factory, data, n_bytes);
    }
    return r;
}

struct hws_fake_record *hws_fake_record(struct hws_fake_ctl *fake, uint32_t type)
{
    for (size_t i = 0; i < fake->n_records; i++) {
        if (fake->records[i].type == type) {
            return &fake->records[i];
        }
    }
    return NULL;
}

void hws_fake_add_indexed_reg(struct hws_fake_ctl *fake, uint16_t id, const uint8_t *index,
                              size_t n_index, const uint8_t *bytes, size_t n_bytes)
{
    assert_true(fake->n_regs < HWS_FAKE_MAX_REGS);
    fake->regs[fake->n_regs++] = (struct hws_fake_reg){
        .id = id, .index = index, .n_index = n_index, .bytes = bytes, .n_bytes = n_bytes};
}

void hws_fake_add_reg(struct hws_fake_ctl *fake, uint16_t id, const uint8_t *bytes, size_t n_bytes)
{
    hws_fake_add_indexed_reg(fake, id, NULL, 0, bytes, n_bytes);
}

void hws_fake_refuse_reg(struct hws_fake_ctl *fake, uint16_t id, uint8_t status)
{
    hws_fake_add_reg(fake, id, NULL, 0);
    fake->regs[fake->n_regs - 1].status = status;
}

/* MNVDA: returns the status. dw0 [23:22] access mode, [8:0] length; type at 4; data at 12. */
static uint8_t do_mnvda(struct hws_fake_ctl *fake, bool write, const uint8_t *in, size_t n,
                        uint8_t *out, bool garble)
{
    struct hws_fake_record *r = n < 12 ? NULL : hws_fake_record(fake, hws_load_be32(in + 4));
    unsigned access = (in[1] >> 6) & 3u;
    unsigned length = (unsigned)(in[2] & 1u) << 8 | in[3];

    if (r == NULL || !r->readable || access > 2 || length != r->n_bytes || n < 12 + r->n_bytes) {
        return BAD_PARAM;
    }
    if (write && (access != 0 || !r->writable)) {
        return BAD_PARAM;
    }
    if (!write &&
        ((access == 1 && !fake->reads_current) || (access == 2 && !fake->reads_factory))) {
        return BAD_PARAM;
    }
    uint8_t *image = access == 1 ? r->current : access == 2 ? r->factory : r->next;
    if (write) {
        memcpy(image, in + 12, r->n_bytes);
        image[r->n_bytes - 1] ^= garble ? 1 : 0;
    }
    memcpy(out, in, 12);
    memcpy(out + 12, image, r->n_bytes);
    return 0;
}

static uint8_t do_reg(const struct hws_fake_ctl *fake, uint16_t id, const uint8_t *in, size_t n,
                      uint8_t *out)
{
    for (size_t i = 0; i < fake->n_regs; i++) {
        const struct hws_fake_reg *reg = &fake->regs[i];
        bool hit = reg->id == id && n >= reg->n_index &&
                   (reg->n_index == 0 || memcmp(in, reg->index, reg->n_index) == 0);
        if (hit && reg->status != 0) {
            return reg->status;
        }
        if (hit) {
            memcpy(out, reg->bytes, n < reg->n_bytes ? n : reg->n_bytes);
            return 0;
        }
    }
    return 4; /* BAD_SYS_STATE: no such register */
}

static uint8_t execute(struct hws_fake_ctl *fake, const struct hws_ctl_call *call, uint8_t *out,
                       bool garble)
{
    uint16_t id = hws_load_be16(call->in + 10);
    bool write = hws_load_be16(call->in + 6) == 0;
    const uint8_t *in = call->in + 16;
    size_t n = call->in_bytes - 16;
    struct hws_fake_record *r = n < 8 ? NULL : hws_fake_record(fake, hws_load_be32(in + 4));

    switch (id) {
    case MNVDA:
        return do_mnvda(fake, write, in, n, out, garble);
    case MNVDI:
        if (r == NULL || !write || !r->writable) {
            return BAD_PARAM;
        }
        memcpy(r->next, r->factory, sizeof(r->next));
        r->next[r->n_bytes - 1] ^= garble ? 1 : 0;
        return 0;
    case MNVQC:
        memcpy(out, in, 4);
        r = hws_fake_record(fake, hws_load_be32(in));
        out[7] = r == NULL ? 0 : (uint8_t)((r->readable ? 1 : 0) | (r->writable ? 2 : 0));
        return 0;
    case MNVGC:
        out[3] = (uint8_t)((fake->reads_factory ? 1 : 0) | (fake->reads_current ? 2 : 0));
        return 0;
    default:
        return write ? BAD_PARAM : do_reg(fake, id, in, n, out);
    }
}

static void end(struct hws_ctl_call *call, enum hws_code code, enum hws_stage stage,
                const char *text)
{
    (void)hws_err_set(&call->err, code, "%s", text);
    call->err.stage = stage;
    call->out_bytes = 0;
}

static void refuse(struct hws_ctl_call *call, uint8_t status)
{
    end(call, HWS_E_DEVICE, HWS_STAGE_EXECUTED, "firmware status");
    call->err.exec_status = status;
    call->err.syndrome = 0x1234;
    memset(call->out, 0, 16);
    call->out[0] = status;
    hws_store_be32(call->out + 4, 0x1234);
    call->out_bytes = 16;
}

void hws_fake_answer(struct hws_fake_ctl *fake, struct hws_ctl_call *call)
{
    uint8_t out[4096] = {0};

    assert_true(call->in_bytes >= 16 && call->in_bytes <= sizeof(out));
    assert_int_equal(call->out_cap_bytes, call->in_bytes);
    assert_int_equal(hws_load_be16(call->in), ACCESS_REG);
    uint16_t op_mod = hws_load_be16(call->in + 6);
    assert_true(op_mod <= 1);
    assert_int_equal(call->scope, op_mod == 1 ? 1 : 0); /* the kernel's filter */
    assert_true(fake->n_calls < HWS_FAKE_MAX_CALLS);

    size_t k = fake->n_calls++;
    fake->seen_reg[k] = hws_load_be16(call->in + 10);
    if (op_mod == 0) {
        fake->n_writes++;
        fake->first_write = fake->first_write == SIZE_MAX ? k : fake->first_write;
    }
    bool fails = k >= fake->fail_at && k - fake->fail_at < fake->n_fail;
    enum hws_fake_fault fault = fails ? fake->fault : HWS_FAKE_NONE;
    hws_err_clear(&call->err);
    switch (fault) {
    case HWS_FAKE_NOT_SENT:
        end(call, HWS_E_GONE, HWS_STAGE_NOT_SENT, "no such adapter");
        return;
    case HWS_FAKE_REJECTED:
        end(call, HWS_E_DEVICE, HWS_STAGE_REJECTED, "delivery status");
        call->err.delivery_status = 7;
        return;
    case HWS_FAKE_REFUSED:
        refuse(call, INT_ERR);
        return;
    case HWS_FAKE_UNKNOWN:
        end(call, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN, "no completion");
        return;
    case HWS_FAKE_REFUSED_DONE:
        (void)execute(fake, call, out + 16, false);
        refuse(call, INT_ERR);
        return;
    case HWS_FAKE_UNKNOWN_DONE:
        (void)execute(fake, call, out + 16, false);
        end(call, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN, "no completion");
        return;
    case HWS_FAKE_NONE:
    case HWS_FAKE_SHORT:
    case HWS_FAKE_GARBLED:
    case HWS_FAKE_N_FAULTS:
    default:
        break;
    }
    uint8_t status = execute(fake, call, out + 16, fault == HWS_FAKE_GARBLED);
    if (status != 0) {
        refuse(call, status);
        return;
    }
    size_t n = fault == HWS_FAKE_SHORT ? 16 : call->in_bytes;
    memcpy(call->out, out, n);
    call->out_bytes = n;
}
