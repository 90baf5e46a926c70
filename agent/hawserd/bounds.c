/* What an adapter allows of the settings: nvconfig's reader, run once and kept. */
#include "hawserd/bounds.h"

#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/device.h"

HWS_STEPPER(read, hws_nv_reader, hws_nv_reader)

static void read_done(struct hws_run *run)
{
    struct hws_bounds *l = run->data;
    struct hws_log_q id;
    struct hws_log_q why;

    if (run->err.code != HWS_OK || l->stale) {
        hws_log("bounds_unknown", "adapter=%s reason=%s", hws_log_q(&id, run->adapter->id),
                hws_log_q(&why, run->err.code != HWS_OK ? run->err.msg : "the adapter went away"));
        return;
    }
    l->known = true;
}

void hws_bounds_read(struct hws_bounds *l, struct hws_adapter *a)
{
    struct hws_stepper s = {read_next, read_feed, &l->reader.err, &l->reader};
    struct hws_err err;

    if (l->known || l->run.state != HWS_RUN_IDLE) {
        return;
    }
    hws_nv_reader_init(&l->reader);
    l->stale = false;
    l->run.done = read_done;
    l->run.data = l;
    l->run.deadline_ms = hws_agent_now(a->agent) + HWS_BOUNDS_MS;
    l->run.queue_deadline_ms = l->run.deadline_ms;
    if (hws_run_start(&l->run, a, HWS_SCHED_READ, "hawserd", &s, &err) != HWS_OK) {
        struct hws_log_q id;
        struct hws_log_q why;
        hws_log("bounds_unknown", "adapter=%s reason=%s", hws_log_q(&id, a->id),
                hws_log_q(&why, err.msg));
    }
}

void hws_bounds_forget(struct hws_bounds *l)
{
    l->known = false;
    l->stale = true;
}

enum hws_code hws_bounds_check(const struct hws_bounds *l, const struct hws_nv_param *p,
                               uint32_t value, struct hws_err *err)
{
    return l->known ? hws_nv_reader_allows(&l->reader, p, &value, err) : HWS_OK;
}
