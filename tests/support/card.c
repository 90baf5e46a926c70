/* A command queue on an emulated card in one process. */
#include "card.h"

#include <string.h>

#include "ifc/box.h"
#include "ifc/names.h"
#include "test.h"

static void count_cb(struct hws_ctl_call *call)
{
    struct card_call *c = call->data;
    c->n_cb++;
}

static void open_card(struct card *c, const char *profile, const struct hws_trace *trace,
                      bool events)
{
    struct hws_err err = {0};
    struct hws_emu_config emu_config = {0};
    struct hws_cmdq_config config = {.n_blocks = 512, .events = events};

    memset(c, 0, sizeof(*c));
    c->events = events;
    if (trace != NULL) {
        emu_config.trace = *trace;
        config.trace = *trace;
    }
    assert_ok(hws_emu_profile_parse(profile, strlen(profile), &c->profile, &err), &err);
    assert_ok(hws_emu_port_init(&c->port, &c->profile, &emu_config, NULL, 0, c->now_ms, &err),
              &err);
    assert_ok(hws_cmdq_open(&c->q, &c->port.bar, &config, c->now_ms, &err), &err);
    hws_cmdq_bringup_init(&c->bringup, &c->port.bar, c->events ? &c->q.events : NULL,
                          HWS_UCTX_CAP_TOOLS, 0);
}

void card_open(struct card *c, const char *profile, const struct hws_trace *trace)
{
    open_card(c, profile, trace, false);
}

void card_open_events(struct card *c, const char *profile, const struct hws_trace *trace)
{
    open_card(c, profile, trace, true);
}

static enum hws_step run_bringup(struct card *c)
{
    static struct card_call call;
    enum hws_step step;

    memset(&call, 0, sizeof(call));
    call.call.cb = count_cb;
    call.call.data = &call;
    for (;;) {
        step = hws_cmdq_bringup_next(&c->bringup, c->now_ms, &call.call);
        if (step != HWS_STEP_CALL) {
            return step;
        }
        (void)card_run(c, &call);
        hws_cmdq_bringup_feed(&c->bringup, &call.call);
    }
}

void card_bring_up(struct card *c)
{
    if (run_bringup(c) != HWS_STEP_DONE) {
        fail_msg("%s", c->bringup.err.msg);
    }
    hws_cmdq_set_uid(&c->q, c->bringup.card.uid);
}

void card_take_down(struct card *c)
{
    hws_cmdq_set_uid(&c->q, 0);
    hws_cmdq_bringup_down(&c->bringup);
    assert_int_equal(run_bringup(c), HWS_STEP_DONE);
}

void card_close(struct card *c)
{
    hws_cmdq_close(&c->q, NULL);
    while (c->q.state != HWS_CMDQ_CLOSED) {
        uint64_t next_ms = hws_cmdq_turn(&c->q, c->now_ms);
        assert_true(c->q.state == HWS_CMDQ_CLOSED || next_ms != UINT64_MAX);
        c->now_ms = next_ms > c->now_ms && next_ms != UINT64_MAX ? next_ms : c->now_ms;
    }
    hws_cmdq_bringup_deinit(&c->bringup);
    hws_emu_port_deinit(&c->port);
    hws_emu_profile_deinit(&c->profile);
}

void card_prepare(struct card *c, struct card_call *call, uint16_t op, uint16_t op_mod,
                  size_t in_bytes, size_t out_bytes, uint64_t timeout_ms)
{
    memset(call, 0, sizeof(*call));
    memset(call->out, 0xa5, sizeof(call->out));
    hws_box_begin(call->in, op, op_mod);
    call->call = (struct hws_ctl_call){
        .in = call->in,
        .in_bytes = in_bytes,
        .out = call->out,
        .out_cap_bytes = out_bytes,
        .deadline_ms = c->now_ms + timeout_ms,
        .cb = count_cb,
        .data = call,
    };
}

enum hws_code card_run(struct card *c, struct card_call *call)
{
    struct hws_err err = {0};
    unsigned before = call->n_cb;

    assert_ok(hws_cmdq_submit(&c->q, &call->call, &err), &err);
    while (call->n_cb == before) {
        uint64_t next_ms = hws_cmdq_turn(&c->q, c->now_ms);
        if (call->n_cb == before) {
            assert_true(next_ms != UINT64_MAX);
            c->now_ms = next_ms > c->now_ms ? next_ms : c->now_ms;
        }
    }
    return call->call.err.code;
}

void card_step(struct card *c, uint64_t ms)
{
    c->now_ms += ms;
    (void)hws_cmdq_turn(&c->q, c->now_ms);
}

enum hws_code card_reg(struct card *c, uint16_t id, bool write, uint8_t *data, size_t n,
                       struct hws_err *err)
{
    static struct card_call call;

    card_prepare(c, &call, HWS_OP_ACCESS_REG,
                 (uint16_t)(write ? HWS_ACCESS_REG_WRITE : HWS_ACCESS_REG_READ),
                 HWS_ACCESS_REG_DATA + n, HWS_ACCESS_REG_DATA + n, 60000);
    hws_store_be16(call.in + HWS_ACCESS_REG_ID, id);
    memcpy(call.in + HWS_ACCESS_REG_DATA, data, n);
    enum hws_code rc = card_run(c, &call);
    if (err != NULL) {
        *err = call.call.err;
    }
    if (rc == HWS_OK) {
        memcpy(data, call.out + HWS_ACCESS_REG_DATA, n);
    }
    return rc;
}
