/*
 * The fwctl channel; see ctl_fwctl.h.
 *
 * A call: submit copies the inbox into a slot and queues a job -> a worker runs FWCTL_RPC -> turn
 * takes the job, judges errno and the outbox's status byte, copies the outbox, runs the callback.
 * Failure modes:
 *   - errno: the table below says code and stage
 *   - errno 0 and a status byte in the outbox: firmware executed and refused
 *   - deadline or cancel: NOT_SENT while the job waits for a worker; else UNKNOWN, the slot stalls
 *   - ENODEV: the channel is GONE, in-flight calls end as their ioctls return
 */
#include "drv/ctl_fwctl.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmdq/entry.h"
#include "drv/fwctl_abi.h"

struct errno_row {
    int value;
    enum hws_code code;
    enum hws_stage stage;
    uint8_t delivery_status; /* where one errno means one status */
    const char *text;
};

/* drivers/fwctl/main.c, drivers/fwctl/mlx5/main.c and core/cmd.c of mlx5, Linux 7.2.13. */
static const struct errno_row errno_rows[] = {
    {ENOTTY, HWS_E_UNSUPPORTED, HWS_STAGE_NOT_SENT, 0, "the kernel knows no such request"},
    {E2BIG, HWS_E_UNSUPPORTED, HWS_STAGE_NOT_SENT, 0, "the kernel's interface is older than ours"},
    {EOPNOTSUPP, HWS_E_UNSUPPORTED, HWS_STAGE_NOT_SENT, 0, "the kernel does not know the scope"},
    {EMSGSIZE, HWS_E_INVALID, HWS_STAGE_NOT_SENT, 0, "the kernel refuses the length"},
    {EBADMSG, HWS_E_DENIED, HWS_STAGE_NOT_SENT, 0, "the kernel's filter refuses it in this scope"},
    {EPERM, HWS_E_DENIED, HWS_STAGE_NOT_SENT, 0, "the kernel wants CAP_SYS_RAWIO for this scope"},
    {ENOMEM, HWS_E_NOMEM, HWS_STAGE_NOT_SENT, 0, "the kernel is out of memory"},
    {ENODEV, HWS_E_GONE, HWS_STAGE_NOT_SENT, 0, "the device was unbound or unplugged"},
    {EBUSY, HWS_E_BUSY, HWS_STAGE_NOT_SENT, 0, "no slot of the command interface came free"},
    {EAGAIN, HWS_E_BUSY, HWS_STAGE_NOT_SENT, 0, "all slots of the command interface are stalled"},
    {ECANCELED, HWS_E_CANCELED, HWS_STAGE_NOT_SENT, 0, "the driver cancelled it before it started"},
    {ENXIO, HWS_E_GONE, HWS_STAGE_UNKNOWN, 0, "the command interface is down"},
    {ETIMEDOUT, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN, 0, "the driver's command timeout"},
    {EHWPOISON, HWS_E_PROTO, HWS_STAGE_UNKNOWN, 0, "the card's answer has a wrong signature"},
    {EBADR, HWS_E_DEVICE, HWS_STAGE_REJECTED, 0, "delivery status: signature or token"},
    {EFAULT, HWS_E_DEVICE, HWS_STAGE_REJECTED, 0, "delivery status: block number or alignment"},
    {ENOMSG, HWS_E_DEVICE, HWS_STAGE_REJECTED, 0, "delivery status: length or descriptor"},
    {EIO, HWS_E_DEVICE, HWS_STAGE_REJECTED, 6, "delivery status: firmware internal error"},
    {EINVAL, HWS_E_DEVICE, HWS_STAGE_REJECTED, 0, "delivery status unknown to the driver"},
};

void hws_ctl_fwctl_errno(int errno_value, struct hws_err *out)
{
    for (size_t i = 0; i < sizeof errno_rows / sizeof errno_rows[0]; i++) {
        const struct errno_row *row = &errno_rows[i];

        if (row->value == errno_value) {
            hws_err_set(out, row->code, "fwctl: %s (errno %d)", row->text, errno_value);
            hws_err_at(out, row->stage);
            out->delivery_status = row->delivery_status;
            return;
        }
    }
    hws_err_set(out, HWS_E_IO, "fwctl: unexpected errno %d", errno_value);
    hws_err_at(out, HWS_STAGE_UNKNOWN);
}

static struct hws_ctl_fwctl *self(struct hws_ctl *ctl)
{
    return hws_container_of(ctl, struct hws_ctl_fwctl, ctl);
}

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* ---- on a worker ---- */

static void run_rpc(struct hws_job *job)
{
    struct hws_ctl_fwctl_slot *slot = hws_container_of(job, struct hws_ctl_fwctl_slot, job);
    const struct hws_sys *sys = slot->owner->sys;
    struct hws_fwctl_rpc rpc = {.size = sizeof rpc,
                                .scope = slot->scope,
                                .in_len = (uint32_t)slot->in_bytes,
                                .out_len = (uint32_t)slot->out_bytes,
                                .in = address_of(slot->in),
                                .out = address_of(slot->out)};

    slot->result = sys->ioctl(sys->data, slot->owner->fd, HWS_FWCTL_RPC, &rpc);
    if (slot->result >= 0) {
        slot->result = 0;
        /* The kernel copied the smaller of the two. */
        slot->out_bytes = rpc.out_len < slot->out_bytes ? rpc.out_len : slot->out_bytes;
    }
}

static void run_open(struct hws_job *job)
{
    struct hws_ctl_fwctl *c = hws_container_of(job, struct hws_ctl_fwctl, node_job);
    struct hws_fwctl_info_mlx5 mlx5 = {0};
    struct hws_fwctl_info info = {
        .size = sizeof info, .device_data_len = sizeof mlx5, .out_device_data = address_of(&mlx5)};

    c->fd = c->sys->open(c->sys->data, c->node);
    c->node_result = c->fd;
    if (c->fd < 0) {
        c->fd = -1;
        return;
    }
    c->node_result = c->sys->ioctl(c->sys->data, c->fd, HWS_FWCTL_INFO, &info);
    if (c->node_result < 0) {
        (void)c->sys->close(c->sys->data, c->fd);
        c->fd = -1;
        return;
    }
    c->device_type = info.out_device_type;
    c->uid = mlx5.uid;
}

static void run_close(struct hws_job *job)
{
    struct hws_ctl_fwctl *c = hws_container_of(job, struct hws_ctl_fwctl, node_job);

    (void)c->sys->close(c->sys->data, c->fd);
    c->fd = -1;
}

/* ---- open and close ---- */

static const struct hws_ctl_ops ops;

static void free_buffers(struct hws_ctl_fwctl *c)
{
    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        hws_mem_free(c->slots[i].in);
        hws_mem_free(c->slots[i].out);
    }
}

/* As large as a command may be, so that no submit allocates; the kernel gives pages to what is
 * used. */
static enum hws_code make_buffers(struct hws_ctl_fwctl *c, struct hws_err *err)
{
    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        c->slots[i].in = hws_mem_alloc(HWS_CALL_MAX_BYTES);
        c->slots[i].out = hws_mem_alloc(HWS_CALL_MAX_BYTES);
        if (c->slots[i].in == NULL || c->slots[i].out == NULL) {
            return hws_err_set(err, HWS_E_NOMEM, "no memory for the commands of %s", c->node);
        }
    }
    return HWS_OK;
}

enum hws_code hws_ctl_fwctl_open(struct hws_ctl_fwctl *c, const struct hws_sys *sys,
                                 const char *node, void (*on_state)(struct hws_ctl_fwctl *c),
                                 void *data, struct hws_err *err)
{
    enum hws_code code;

    memset(c, 0, sizeof *c);
    c->ctl.ops = &ops;
    c->ctl.data = data;
    c->sys = sys;
    c->fd = -1;
    c->on_state = on_state;
    hws_list_init(&c->ended);
    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        c->slots[i].owner = c;
        c->slots[i].job.run = run_rpc;
    }
    if (!hws_str_copy(c->node, sizeof c->node, node)) {
        return hws_err_set(err, HWS_E_INVALID, "fwctl node \"%.80s\": too long", node);
    }
    code = make_buffers(c, err);
    if (code == HWS_OK) {
        code = hws_pool_open(&c->pool, HWS_CTL_FWCTL_DEPTH, err);
    }
    if (code != HWS_OK) {
        free_buffers(c);
        return code;
    }
    c->node_job.run = run_open;
    code = hws_pool_submit(&c->pool, &c->node_job, err);
    if (code != HWS_OK) {
        hws_pool_deinit(&c->pool);
        free_buffers(c);
        return code;
    }
    c->node_busy = true;
    c->state = HWS_CTL_FWCTL_OPENING;
    return HWS_OK;
}

void hws_ctl_fwctl_deinit(struct hws_ctl_fwctl *c)
{
    hws_assert(c->state == HWS_CTL_FWCTL_CLOSED);
    free_buffers(c);
    hws_pool_deinit(&c->pool);
    memset(c, 0, sizeof *c);
}

static unsigned op_stalled(const struct hws_ctl *ctl, uint64_t *out_since_ms)
{
    const struct hws_ctl_fwctl *c =
        (const struct hws_ctl_fwctl *)(const void *)ctl; /* its first member */
    unsigned n = 0;

    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        const struct hws_ctl_fwctl_slot *slot = &c->slots[i];

        if (slot->busy && slot->call == NULL) {
            *out_since_ms =
                n == 0 || slot->stalled_ms < *out_since_ms ? slot->stalled_ms : *out_since_ms;
            n++;
        }
    }
    return n;
}

/* ---- ending calls ---- */

static void end_call(struct hws_ctl_fwctl *c, struct hws_ctl_call *call, const struct hws_err *err)
{
    call->err = *err;
    hws_list_push(&c->ended, &call->link);
}

/* Ends the slot's call before its ioctl has answered. */
static void give_up(struct hws_ctl_fwctl_slot *slot, enum hws_code code, const char *why)
{
    struct hws_ctl_fwctl *c = slot->owner;
    struct hws_ctl_call *call = slot->call;
    bool unsent = hws_pool_take_back(&c->pool, &slot->job);
    struct hws_err err;

    slot->call = NULL;
    slot->busy = !unsent;
    slot->stalled_ms = c->now_ms;
    hws_err_set(&err, code, "%s: %s", c->node, why);
    hws_err_at(&err, unsent ? HWS_STAGE_NOT_SENT : HWS_STAGE_UNKNOWN);
    call->out_bytes = 0;
    end_call(c, call, &err);
}

static void set_gone(struct hws_ctl_fwctl *c)
{
    if (c->state != HWS_CTL_FWCTL_UP) {
        return;
    }
    hws_ctl_fwctl_errno(ENODEV, &c->why);
    c->state = HWS_CTL_FWCTL_GONE;
    if (c->on_state != NULL) {
        c->on_state(c);
    }
}

static void slot_ended(struct hws_ctl_fwctl_slot *slot)
{
    struct hws_ctl_fwctl *c = slot->owner;
    struct hws_ctl_call *call = slot->call;
    struct hws_err err;

    slot->busy = false;
    slot->call = NULL;
    if (call != NULL && slot->result == 0) {
        hws_err_clear(&err);
        memcpy(call->out, slot->out, slot->out_bytes);
        call->out_bytes = slot->out_bytes;
        if (slot->out_bytes < HWS_CALL_MIN_BYTES) {
            hws_err_set(&err, HWS_E_PROTO, "%s: an answer of %zu bytes", c->node, slot->out_bytes);
            hws_err_at(&err, HWS_STAGE_UNKNOWN);
            call->out_bytes = 0;
        } else if (hws_cmdq_out_judge(slot->out, slot->in, &err) == HWS_OK) {
            hws_err_clear(&err);
        }
        end_call(c, call, &err);
    } else if (call != NULL) {
        hws_ctl_fwctl_errno(-slot->result, &err);
        call->out_bytes = 0;
        end_call(c, call, &err);
    }
    if (slot->result == -ENODEV) {
        set_gone(c);
    }
}

static void node_ended(struct hws_ctl_fwctl *c)
{
    c->node_busy = false;
    if (c->state != HWS_CTL_FWCTL_OPENING) {
        return; /* closing: maybe_closed goes on */
    }
    if (c->node_result < 0) {
        hws_err_set(&c->why, HWS_E_IO, "opening %s (errno %d)", c->node, -c->node_result);
        c->state = HWS_CTL_FWCTL_FAILED;
    } else {
        c->state = HWS_CTL_FWCTL_UP;
    }
    if (c->on_state != NULL) {
        c->on_state(c);
    }
}

/* ---- the channel ---- */

static struct hws_ctl_fwctl_slot *free_slot(struct hws_ctl_fwctl *c)
{
    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        if (!c->slots[i].busy) {
            return &c->slots[i];
        }
    }
    return NULL;
}

static bool length_ok(size_t n)
{
    return n >= HWS_CALL_MIN_BYTES && n <= HWS_CALL_MAX_BYTES;
}

static enum hws_code start(struct hws_ctl_fwctl *c, struct hws_ctl_call *call, struct hws_err *err)
{
    struct hws_ctl_fwctl_slot *slot = free_slot(c);
    uint64_t since_ms = 0;
    enum hws_code code;

    if (c->state != HWS_CTL_FWCTL_UP) {
        return hws_err_set(err, HWS_E_GONE, "%s is not open%s%.150s", c->node,
                           c->why.msg[0] != 0 ? ": " : "", c->why.msg);
    }
    if (!length_ok(call->in_bytes) || !length_ok(call->out_cap_bytes)) {
        return hws_err_set(err, HWS_E_INVALID, "command of %zu and %zu bytes, allowed are %u..%u",
                           call->in_bytes, call->out_cap_bytes, HWS_CALL_MIN_BYTES,
                           HWS_CALL_MAX_BYTES);
    }
    if (slot == NULL) {
        return hws_err_set(err, HWS_E_BUSY, "%s has its %u commands in flight, %u of them stalled",
                           c->node, HWS_CTL_FWCTL_DEPTH, op_stalled(&c->ctl, &since_ms));
    }
    memcpy(slot->in, call->in, call->in_bytes);
    memset(slot->out, 0, call->out_cap_bytes);
    slot->in_bytes = call->in_bytes;
    slot->out_bytes = call->out_cap_bytes;
    slot->scope = call->scope;
    slot->call = call;
    slot->busy = true;
    code = hws_pool_submit(&c->pool, &slot->job, err);
    if (code != HWS_OK) {
        slot->call = NULL;
        slot->busy = false;
    }
    return code;
}

static enum hws_code op_submit(struct hws_ctl *ctl, struct hws_ctl_call *call, struct hws_err *err)
{
    enum hws_code code = start(self(ctl), call, err);

    if (code != HWS_OK) {
        hws_err_at(err, HWS_STAGE_NOT_SENT);
    }
    return code;
}

static void op_cancel(struct hws_ctl *ctl, struct hws_ctl_call *call)
{
    struct hws_ctl_fwctl *c = self(ctl);

    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        if (c->slots[i].call == call) {
            give_up(&c->slots[i], HWS_E_CANCELED, "cancelled");
        }
    }
}

static int op_fd(struct hws_ctl *ctl)
{
    return hws_pool_fd(&self(ctl)->pool);
}

static uint64_t expire(struct hws_ctl_fwctl *c, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        struct hws_ctl_call *call = c->slots[i].call;

        if (call != NULL && call->deadline_ms <= now_ms) {
            give_up(&c->slots[i], HWS_E_TIMEOUT, "no answer before the deadline");
        } else if (call != NULL && call->deadline_ms < next_ms) {
            next_ms = call->deadline_ms;
        }
    }
    return next_ms;
}

/* The only place that ends a close: no call on loan, no ioctl under way, the node closed. */
static void maybe_closed(struct hws_ctl_fwctl *c)
{
    void (*closed)(struct hws_ctl *) = c->closed;

    if (c->state != HWS_CTL_FWCTL_CLOSING || c->node_busy || !hws_list_empty(&c->ended)) {
        return;
    }
    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        if (c->slots[i].busy) {
            return;
        }
    }
    if (c->fd >= 0) {
        c->node_job.run = run_close;
        c->node_busy = hws_pool_submit(&c->pool, &c->node_job, NULL) == HWS_OK;
        return;
    }
    c->state = HWS_CTL_FWCTL_CLOSED;
    c->closed = NULL;
    if (closed != NULL) {
        closed(&c->ctl);
    }
}

static uint64_t op_turn(struct hws_ctl *ctl, uint64_t now_ms)
{
    struct hws_ctl_fwctl *c = self(ctl);
    struct hws_list *it;
    uint64_t next_ms;

    c->now_ms = now_ms;
    for (struct hws_job *job = hws_pool_next(&c->pool); job != NULL;
         job = hws_pool_next(&c->pool)) {
        if (job == &c->node_job) {
            node_ended(c);
        } else {
            slot_ended(hws_container_of(job, struct hws_ctl_fwctl_slot, job));
        }
    }
    (void)expire(c, now_ms);
    for (it = hws_list_pop(&c->ended); it != NULL; it = hws_list_pop(&c->ended)) {
        struct hws_ctl_call *call = hws_container_of(it, struct hws_ctl_call, link);

        call->cb(call);
    }
    next_ms = expire(c, now_ms); /* callbacks may have submitted */
    next_ms = hws_list_empty(&c->ended) ? next_ms : now_ms;
    maybe_closed(c); /* last: closed() may free the channel */
    return next_ms;
}

static void op_close(struct hws_ctl *ctl, void (*closed)(struct hws_ctl *ctl))
{
    struct hws_ctl_fwctl *c = self(ctl);

    if (c->state == HWS_CTL_FWCTL_CLOSING || c->state == HWS_CTL_FWCTL_CLOSED) {
        return;
    }
    c->state = HWS_CTL_FWCTL_CLOSING;
    c->closed = closed;
    for (size_t i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        if (c->slots[i].call != NULL) {
            give_up(&c->slots[i], HWS_E_CANCELED, "the channel was closed");
        }
    }
}

static const struct hws_ctl_ops ops = {
    .submit = op_submit,
    .cancel = op_cancel,
    .fd = op_fd,
    .turn = op_turn,
    .close = op_close,
    .stalled = op_stalled,
};
