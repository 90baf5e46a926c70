/* The channel that holds calls; see held_ctl.h. */
#include "held_ctl.h"

#include <string.h>

#include "base/assert.h"

static struct hws_held_ctl *self(struct hws_ctl *ctl)
{
    return hws_container_of(ctl, struct hws_held_ctl, ctl);
}

static enum hws_code held_submit(struct hws_ctl *ctl, struct hws_ctl_call *call,
                                 struct hws_err *err)
{
    struct hws_held_ctl *held = self(ctl);

    if (held->refuse != HWS_OK || held->n_calls == HWS_HELD_MAX) {
        hws_err_set(err, held->refuse != HWS_OK ? held->refuse : HWS_E_BUSY, "held: refused");
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        return err->code;
    }
    held->calls[held->n_calls++] = call;
    return HWS_OK;
}

static void end(struct hws_held_ctl *held, size_t i)
{
    struct hws_ctl_call *call = held->calls[i];

    held->calls[i] = NULL;
    hws_list_push(&held->ended, &call->link);
}

static void held_cancel(struct hws_ctl *ctl, struct hws_ctl_call *call)
{
    struct hws_held_ctl *held = self(ctl);

    held->n_cancels++;
    for (size_t i = 0; i < held->n_calls; i++) {
        if (held->calls[i] == call) {
            hws_held_fail(held, i, HWS_E_CANCELED, HWS_STAGE_UNKNOWN);
        }
    }
}

static int held_fd(struct hws_ctl *ctl)
{
    (void)ctl;
    return -1;
}

static uint64_t held_turn(struct hws_ctl *ctl, uint64_t now_ms)
{
    struct hws_held_ctl *held = self(ctl);

    (void)now_ms;
    held->n_turns++;
    for (struct hws_list *it = hws_list_pop(&held->ended); it != NULL;
         it = hws_list_pop(&held->ended)) {
        struct hws_ctl_call *call = hws_container_of(it, struct hws_ctl_call, link);

        call->cb(call);
    }
    return UINT64_MAX;
}

static void held_close(struct hws_ctl *ctl, void (*closed)(struct hws_ctl *ctl))
{
    closed(ctl);
}

void hws_held_init(struct hws_held_ctl *held)
{
    static const struct hws_ctl_ops ops = {.submit = held_submit,
                                           .cancel = held_cancel,
                                           .fd = held_fd,
                                           .turn = held_turn,
                                           .close = held_close};

    memset(held, 0, sizeof *held);
    held->ctl.ops = &ops;
    hws_list_init(&held->ended);
}

void hws_held_ok(struct hws_held_ctl *held, size_t i, uint8_t fill, size_t out_bytes)
{
    struct hws_ctl_call *call = held->calls[i];

    hws_assert(call != NULL && out_bytes <= call->out_cap_bytes);
    memset(call->out, fill, out_bytes);
    call->out_bytes = out_bytes;
    hws_err_clear(&call->err);
    end(held, i);
}

void hws_held_fail(struct hws_held_ctl *held, size_t i, enum hws_code code, enum hws_stage stage)
{
    struct hws_ctl_call *call = held->calls[i];

    hws_assert(call != NULL);
    call->out_bytes = 0;
    hws_err_set(&call->err, code, "held: failed");
    hws_err_at(&call->err, stage);
    end(held, i);
}
