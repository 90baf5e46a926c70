/* The life of another process as a table of states; see child.h. */
#include "hawserd/child.h"

#include <string.h>

#include "base/fsm.h"
#include "hawserd/supervise.h"

static const uint32_t moves[] = {
    [HWS_CHILD_AWAY] = HWS_FSM_TO(HWS_CHILD_STARTED) | HWS_FSM_TO(HWS_CHILD_CONNECTED) |
                       HWS_FSM_TO(HWS_CHILD_STOPPED),
    [HWS_CHILD_STARTED] = HWS_FSM_TO(HWS_CHILD_AWAY) | HWS_FSM_TO(HWS_CHILD_CONNECTED) |
                          HWS_FSM_TO(HWS_CHILD_STOPPED),
    [HWS_CHILD_CONNECTED] = HWS_FSM_TO(HWS_CHILD_AWAY) | HWS_FSM_TO(HWS_CHILD_STOPPED),
    [HWS_CHILD_STOPPED] = 0,
};

static void move(struct hws_child *c, enum hws_child_state to, uint64_t now_ms)
{
    hws_fsm_move(moves, &c->state, (int)to);
    c->since_ms = now_ms;
}

void hws_child_init(struct hws_child *c, bool no_spawn, uint64_t now_ms)
{
    memset(c, 0, sizeof(*c));
    c->no_spawn = no_spawn;
    c->since_ms = now_ms;
}

/* A run shorter than the reset time counts as a failure and makes the next start wait longer. */
static void count_end(struct hws_child *c, uint64_t now_ms)
{
    bool quick = c->spawned_ms != 0 && now_ms - c->spawned_ms < HWS_BACKOFF_RESET_MS;

    c->n_failed = quick ? c->n_failed + 1 : 1;
}

enum hws_child_action hws_child_turn(struct hws_child *c, bool lock_is_free, uint64_t now_ms,
                                     uint64_t *out_next_ms)
{
    *out_next_ms = UINT64_MAX;
    if (c->state == HWS_CHILD_STARTED) {
        *out_next_ms = c->since_ms + HWS_CHILD_START_MS;
        return now_ms >= *out_next_ms ? HWS_CHILD_KILL : HWS_CHILD_WAIT;
    }
    if (c->state != HWS_CHILD_AWAY || c->no_spawn) {
        return HWS_CHILD_WAIT;
    }
    uint64_t earliest = c->spawned_ms + hws_backoff_ms(c->n_failed);
    if (lock_is_free && now_ms >= earliest) {
        return HWS_CHILD_SPAWN;
    }
    *out_next_ms = lock_is_free ? earliest : now_ms + HWS_CHILD_POLL_MS;
    return HWS_CHILD_WAIT;
}

void hws_child_spawned(struct hws_child *c, uint64_t now_ms)
{
    c->spawned_ms = now_ms;
    move(c, HWS_CHILD_STARTED, now_ms);
}

void hws_child_exited(struct hws_child *c, uint64_t now_ms)
{
    if (c->state == HWS_CHILD_STARTED) {
        count_end(c, now_ms);
        move(c, HWS_CHILD_AWAY, now_ms);
    } else if (c->state == HWS_CHILD_AWAY && c->spawned_ms == 0) {
        c->spawned_ms = now_ms; /* the very first start failed in us */
        c->n_failed++;
    }
}

void hws_child_hello(struct hws_child *c, uint32_t pid, uint64_t generation, uint64_t now_ms)
{
    if (c->state == HWS_CHILD_STOPPED) {
        return;
    }
    if (c->seen && generation != c->generation) {
        c->n_restarts++;
    }
    c->seen = true;
    c->pid = pid;
    c->generation = generation;
    if (c->state != HWS_CHILD_CONNECTED) {
        move(c, HWS_CHILD_CONNECTED, now_ms);
    }
}

void hws_child_lost(struct hws_child *c, uint64_t now_ms)
{
    if (c->state == HWS_CHILD_CONNECTED) {
        count_end(c, now_ms);
        move(c, HWS_CHILD_AWAY, now_ms);
    }
}

void hws_child_stop(struct hws_child *c, uint64_t now_ms)
{
    if (c->state != HWS_CHILD_STOPPED) {
        move(c, HWS_CHILD_STOPPED, now_ms);
    }
}

bool hws_child_connected(const struct hws_child *c)
{
    return c->state == HWS_CHILD_CONNECTED;
}
