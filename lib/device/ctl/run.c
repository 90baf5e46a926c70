/*
 * One call to its end: submit, then turn and poll until the callback has run. The channel ends the
 * call at its deadline, so the loop needs no clock of its own to stop.
 */
#include "ctl/run.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define MAX_WAIT_MS 1000u /* one poll; then turn again whatever the channel said */

uint64_t hws_ctl_now_ms(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) {
        return 0; /* UNTESTED: Linux always has this clock */
    }
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void mark_done(struct hws_ctl_call *call)
{
    bool *done = call->data;

    *done = true;
}

enum hws_code hws_ctl_run(struct hws_ctl *ctl, struct hws_ctl_call *call, uint32_t timeout_ms,
                          struct hws_err *err)
{
    bool done = false;
    enum hws_code code;

    call->cb = mark_done;
    call->data = &done;
    call->deadline_ms = hws_ctl_now_ms() + timeout_ms;
    code = ctl->ops->submit(ctl, call, err);
    if (code != HWS_OK) {
        return code;
    }
    for (;;) {
        struct pollfd pfd = {.fd = ctl->ops->fd(ctl), .events = POLLIN};
        uint64_t now_ms = hws_ctl_now_ms();
        uint64_t due_ms = ctl->ops->turn(ctl, now_ms);
        uint64_t wait_ms;

        if (done) {
            break;
        }
        wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
        wait_ms = wait_ms < MAX_WAIT_MS ? wait_ms : MAX_WAIT_MS;
        if (poll(&pfd, 1, (int)wait_ms) < 0 && errno != EINTR) {
            /* UNTESTED: poll fails only for want of kernel memory; turn still makes progress */
            continue;
        }
    }
    if (err != NULL) {
        *err = call->err;
    }
    return call->err.code;
}
