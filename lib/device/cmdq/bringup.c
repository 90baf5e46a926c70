/*
 * Bring-up and teardown as tables of steps. A step is a builder (fills the inbox, or says it is not
 * needed) and a reader (takes the outbox; may ask for the same step again, for the next run of
 * pages).
 *
 * Failure modes: any refused command ends the stepper with its error, but for QUERY_ISSI with
 * BAD_OP (an old card: step 0), for the event queue (polled then) and for the way down, where a
 * refusal is passed over: what matters there is to get to the end.
 */
#include "cmdq/bringup.h"

#include <string.h>

#include "base/assert.h"
#include "ifc/eq.h"
#include "ifc/init_seg.h"
#include "ifc/names.h"

/* Fields of the general capability area that bring-up reads (mlx5_ifc.h cmd_hca_cap, Linux 7.2.13).
 */
#define CAP_PKEY_DW       0x30u /* pkey_table_size [15:0]: 0x80 << n entries are written as n */
#define CAP_CHECKSUM_DW   0x40u /* cmdif_checksum [15:14]: 3 = both ways */
#define CAP_CHECKSUM_LSB  14u
#define CAP_CHECKSUM_BOTH 3u
#define CAP_UCTX_CAP_DW   0xd4u /* uctx_cap */

struct step {
    uint16_t op;
    uint16_t op_mod;
    uint16_t in_bytes;
    uint16_t out_bytes;
    bool optional; /* a refusal is passed over */
    /* False: skip this step. NULL: nothing to fill in. */
    bool (*build)(struct hws_cmdq_bringup *b);
    /* True: this step again. NULL: nothing to read. */
    bool (*read)(struct hws_cmdq_bringup *b);
};

static bool read_issi(struct hws_cmdq_bringup *b)
{
    uint32_t supported = hws_load_be32(b->out + HWS_ISSI_SUPPORTED_DW0);

    b->card.issi = hws_load_be16(b->out + HWS_ISSI_CURRENT);
    if ((supported & 2u) != 0) {
        b->card.issi = 1;
    }
    return false;
}

static bool build_set_issi(struct hws_cmdq_bringup *b)
{
    hws_store_be16(b->in + HWS_ISSI_CURRENT, b->card.issi);
    return b->card.issi == 1;
}

static bool read_query_pages(struct hws_cmdq_bringup *b)
{
    int32_t n = (int32_t)hws_load_be32(b->out + HWS_QUERY_PAGES_N);
    b->n_wanted = n > 0 ? (uint32_t)n : 0;
    return false;
}

static bool build_give(struct hws_cmdq_bringup *b)
{
    uint32_t n = b->n_wanted < HWS_CMDQ_PAGES_PER_CALL ? b->n_wanted : HWS_CMDQ_PAGES_PER_CALL;

    if (n == 0) {
        return false;
    }
    enum hws_code rc = HWS_OK;
    if (b->n_runs == HWS_CMDQ_MAX_PAGE_RUNS) {
        rc = hws_err_set(&b->err, HWS_E_BUSY, "the card wants more than %u pages",
                         HWS_CMDQ_MAX_PAGE_RUNS * HWS_CMDQ_PAGES_PER_CALL);
    } else {
        rc = b->bar->ops->dma_alloc(b->bar, (size_t)n * HWS_MANAGE_PAGE_BYTES,
                                    HWS_MANAGE_PAGE_BYTES, &b->runs[b->n_runs], &b->err);
    }
    if (rc != HWS_OK) {
        hws_err_at(&b->err, HWS_STAGE_NOT_SENT);
        b->failed = true;
        return false;
    }
    uint64_t addr = b->runs[b->n_runs].dev_addr;
    hws_store_be32(b->in + HWS_MANAGE_IN_N, n);
    for (uint32_t i = 0; i < n; i++) {
        hws_store_be64(b->in + HWS_MANAGE_ADDRS + (size_t)8 * i,
                       addr + (uint64_t)i * HWS_MANAGE_PAGE_BYTES);
    }
    b->in_bytes = HWS_MANAGE_ADDRS + 8u * n;
    b->n_run = n;
    b->n_runs++;
    return true;
}

static bool read_give(struct hws_cmdq_bringup *b)
{
    b->n_wanted -= b->n_run;
    b->card.n_pages += b->n_run;
    return b->n_wanted > 0;
}

static bool read_caps(struct hws_cmdq_bringup *b)
{
    memcpy(b->caps, b->out + HWS_HCA_CAP_AREA, sizeof(b->caps));
    b->card.uctx_cap = hws_load_be32(b->caps + CAP_UCTX_CAP_DW) & b->wanted_uctx_cap;
    return false;
}

/* The driver's copy of CUR, with 128 pkeys as mlx5_core asks, but checksums on: we verify what
 * comes back. */
static bool build_set_caps(struct hws_cmdq_bringup *b)
{
    uint8_t *area = b->in + HWS_HCA_CAP_AREA;

    memcpy(area, b->caps, sizeof(b->caps));
    hws_bits_put(area + CAP_PKEY_DW, 0, 16, 0);
    hws_bits_put(area + CAP_CHECKSUM_DW, CAP_CHECKSUM_LSB, 2, CAP_CHECKSUM_BOTH);
    return true;
}

static bool build_alloc_uar(struct hws_cmdq_bringup *b)
{
    return b->events != NULL;
}

static bool read_alloc_uar(struct hws_cmdq_bringup *b)
{
    b->events->uar = hws_load_be24(b->out + HWS_UAR_IDX);
    b->has_uar = true;
    return false;
}

/* One page of entries, command completions only, vector 0. */
static bool build_create_eq(struct hws_cmdq_bringup *b)
{
    uint8_t *context = b->in + HWS_CREATE_EQ_CTX;

    if (!b->has_uar) {
        return false;
    }
    hws_store_be32(context + HWS_EQ_CTX_SIZE_UAR, HWS_CMDQ_LOG_EVENTS << 24 | b->events->uar);
    hws_store_be64(b->in + HWS_CREATE_EQ_MASK, UINT64_C(1) << HWS_EVENT_CMD);
    hws_store_be64(b->in + HWS_CREATE_EQ_PAGES, b->events->ring.dev_addr);
    return true;
}

static bool read_create_eq(struct hws_cmdq_bringup *b)
{
    hws_cmdq_events_start(b->events, b->out[HWS_EQ_NUMBER]);
    b->has_eq = true;
    return false;
}

static bool read_adapter(struct hws_cmdq_bringup *b)
{
    memcpy(b->card.psid, b->out + HWS_QUERY_ADAPTER_PSID, HWS_PSID_BYTES);
    b->card.psid[HWS_PSID_BYTES] = '\0';
    return false;
}

static bool build_create_uctx(struct hws_cmdq_bringup *b)
{
    hws_store_be32(b->in + HWS_CREATE_UCTX_CAP, b->card.uctx_cap);
    return b->card.uctx_cap != 0;
}

static bool read_create_uctx(struct hws_cmdq_bringup *b)
{
    b->card.uid = hws_load_be16(b->out + HWS_UCTX_UID);
    return false;
}

static const struct step up_steps[] = {
    {HWS_OP_ENABLE_HCA, 0, 16, 16, false, NULL, NULL},
    {HWS_OP_QUERY_ISSI, 0, 16, HWS_QUERY_ISSI_OUT_BYTES, false, NULL, read_issi},
    {HWS_OP_SET_ISSI, 0, 16, 16, false, build_set_issi, NULL},
    {HWS_OP_QUERY_PAGES, HWS_PAGES_BOOT, 16, 16, false, NULL, read_query_pages},
    {HWS_OP_MANAGE_PAGES, HWS_MANAGE_GIVE, 16, 16, false, build_give, read_give},
    {HWS_OP_QUERY_HCA_CAP, HWS_HCA_CAP_GENERAL << 1 | HWS_HCA_CAP_CUR, 16, HWS_HCA_CAP_BYTES, false,
     NULL, read_caps},
    {HWS_OP_SET_HCA_CAP, HWS_HCA_CAP_GENERAL << 1, HWS_HCA_CAP_BYTES, 16, false, build_set_caps,
     NULL},
    {HWS_OP_QUERY_PAGES, HWS_PAGES_INIT, 16, 16, false, NULL, read_query_pages},
    {HWS_OP_MANAGE_PAGES, HWS_MANAGE_GIVE, 16, 16, false, build_give, read_give},
    {HWS_OP_INIT_HCA, 0, HWS_INIT_HCA_IN_BYTES, 16, false, NULL, NULL},
    {HWS_OP_ALLOC_UAR, 0, 16, 16, true, build_alloc_uar, read_alloc_uar},
    {HWS_OP_CREATE_EQ, 0, HWS_CREATE_EQ_PAGES + 8, 16, true, build_create_eq, read_create_eq},
    {HWS_OP_QUERY_ADAPTER, 0, 16, HWS_QUERY_ADAPTER_OUT_BYTES, false, NULL, read_adapter},
    {HWS_OP_CREATE_UCTX, 0, HWS_CREATE_UCTX_IN_BYTES, 16, false, build_create_uctx,
     read_create_uctx},
};

static bool build_destroy_uctx(struct hws_cmdq_bringup *b)
{
    hws_store_be16(b->in + HWS_UCTX_UID, b->card.uid);
    return b->card.uid != 0;
}

static bool build_take(struct hws_cmdq_bringup *b)
{
    b->n_run =
        b->card.n_pages < HWS_CMDQ_PAGES_PER_CALL ? b->card.n_pages : HWS_CMDQ_PAGES_PER_CALL;
    hws_store_be32(b->in + HWS_MANAGE_IN_N, b->n_run);
    return b->n_run > 0;
}

static bool read_take(struct hws_cmdq_bringup *b)
{
    uint32_t n = hws_load_be32(b->out + HWS_MANAGE_OUT_N);

    n = n <= b->n_run ? n : b->n_run;
    b->card.n_pages -= n;
    return n > 0 && b->card.n_pages > 0;
}

/* The queue polls again before its events end. */
static bool build_destroy_eq(struct hws_cmdq_bringup *b)
{
    if (!b->has_eq) {
        return false;
    }
    hws_cmdq_events_stop(b->events);
    b->in[HWS_EQ_NUMBER] = b->events->number;
    return true;
}

static bool build_dealloc_uar(struct hws_cmdq_bringup *b)
{
    if (b->has_uar) {
        hws_store_be24(b->in + HWS_UAR_IDX, b->events->uar);
    }
    return b->has_uar;
}

static const struct step down_steps[] = {
    {HWS_OP_DESTROY_UCTX, 0, 16, 16, true, build_destroy_uctx, NULL},
    {HWS_OP_DESTROY_EQ, 0, 16, 16, true, build_destroy_eq, NULL},
    {HWS_OP_DEALLOC_UAR, 0, 16, 16, true, build_dealloc_uar, NULL},
    {HWS_OP_TEARDOWN_HCA, 0, 16, 16, true, NULL, NULL},
    {HWS_OP_MANAGE_PAGES, HWS_MANAGE_TAKE, 16, HWS_MANAGE_ADDRS + 8u * HWS_CMDQ_PAGES_PER_CALL,
     true, build_take, read_take},
    {HWS_OP_DISABLE_HCA, 0, 16, 16, true, NULL, NULL},
};

static const struct step *current(const struct hws_cmdq_bringup *b)
{
    size_t n = b->down ? sizeof(down_steps) / sizeof(down_steps[0])
                       : sizeof(up_steps) / sizeof(up_steps[0]);

    if (b->step_idx >= n) {
        return NULL;
    }
    return b->down ? &down_steps[b->step_idx] : &up_steps[b->step_idx];
}

void hws_cmdq_bringup_init(struct hws_cmdq_bringup *b, struct hws_bar *bar,
                           struct hws_cmdq_events *events, uint32_t uctx_cap, uint64_t step_ms)
{
    *b = (struct hws_cmdq_bringup){
        .bar = bar,
        .events = events,
        .wanted_uctx_cap = uctx_cap,
        .step_ms = step_ms != 0 ? step_ms : HWS_ISEG_COMMAND_TIMEOUT_MS,
    };
}

void hws_cmdq_bringup_down(struct hws_cmdq_bringup *b)
{
    b->down = true;
    b->failed = false;
    b->step_idx = 0;
}

enum hws_step hws_cmdq_bringup_next(struct hws_cmdq_bringup *b, uint64_t now_ms,
                                    struct hws_ctl_call *call)
{
    for (const struct step *s = current(b); s != NULL && !b->failed;
         b->step_idx++, s = current(b)) {
        b->in_bytes = s->in_bytes;
        hws_assert(b->in_bytes <= sizeof(b->in) && s->out_bytes <= sizeof(b->out));
        memset(b->in, 0, sizeof(b->in));
        hws_box_begin(b->in, s->op, s->op_mod);
        if (s->build == NULL || s->build(b)) {
            call->in = b->in;
            call->in_bytes = b->in_bytes;
            call->out = b->out;
            call->out_cap_bytes = s->out_bytes;
            call->scope = HWS_SCOPE_CONFIG;
            call->deadline_ms = now_ms + b->step_ms;
            return HWS_STEP_CALL;
        }
        if (b->failed) {
            break;
        }
    }
    return b->failed ? HWS_STEP_FAILED : HWS_STEP_DONE;
}

/* An old card does not know interface steps; that is step 0, not a failure. Nor is it one where the
 * card refuses what can be done without. */
static bool may_be_refused(const struct step *s, const struct hws_ctl_call *call)
{
    if (s->optional && call->err.stage == HWS_STAGE_EXECUTED) {
        return true;
    }
    return s->op == HWS_OP_QUERY_ISSI && call->err.code == HWS_E_DEVICE &&
           call->err.stage == HWS_STAGE_EXECUTED && call->err.exec_status == HWS_FW_BAD_OP;
}

void hws_cmdq_bringup_feed(struct hws_cmdq_bringup *b, const struct hws_ctl_call *call)
{
    const struct step *s = current(b);

    hws_assert(s != NULL && !b->failed);
    if (call->err.code == HWS_OK) {
        if (s->read == NULL || !s->read(b)) {
            b->step_idx++;
        }
        return;
    }
    if (b->down || may_be_refused(s, call)) {
        b->step_idx++;
        return;
    }
    b->err = call->err;
    hws_err_wrap(&b->err, "bring-up");
    b->failed = true;
}

void hws_cmdq_bringup_deinit(struct hws_cmdq_bringup *b)
{
    for (uint32_t i = 0; i < b->n_runs; i++) {
        b->bar->ops->dma_free(b->bar, &b->runs[i]);
    }
    b->n_runs = 0;
}
