/*
 * A channel for fuzz targets: the input's bytes become the outcomes and outboxes of calls, one
 * after the other. When the input is used up every call is gone. Each call takes a control byte:
 *   bit 0..1  0 success, 1 refused by the firmware, 2 unknown fate, 3 not sent
 *   bit 2     the reply echoes the request's data first, then the input's bytes go over it (xor)
 *   bit 3     the outbox is short: the next byte says how many bytes it has
 */
#ifndef HWS_TESTS_FUZZ_CTL_H
#define HWS_TESTS_FUZZ_CTL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ifc/call.h"

struct fuzz_ctl {
    const uint8_t *at;
    size_t left;
    size_t n_calls;
};

static inline uint8_t fuzz_byte(struct fuzz_ctl *f)
{
    if (f->left == 0) {
        return 0;
    }
    f->left--;
    return *f->at++;
}

static inline void fuzz_fail(struct hws_ctl_call *call, enum hws_code code, enum hws_stage stage,
                             uint8_t status)
{
    (void)hws_err_set(&call->err, code, "fuzzed");
    call->err.stage = stage;
    call->err.exec_status = status;
    call->out_bytes = 0;
}

static inline void fuzz_answer(struct fuzz_ctl *f, struct hws_ctl_call *call)
{
    f->n_calls++;
    hws_err_clear(&call->err);
    if (f->left == 0) {
        fuzz_fail(call, HWS_E_GONE, HWS_STAGE_NOT_SENT, 0);
        return;
    }
    uint8_t control = fuzz_byte(f);
    if ((control & 3) == 1) {
        fuzz_fail(call, HWS_E_DEVICE, HWS_STAGE_EXECUTED, fuzz_byte(f));
        return;
    }
    if ((control & 3) == 2) {
        fuzz_fail(call, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN, 0);
        return;
    }
    if ((control & 3) == 3) {
        fuzz_fail(call, HWS_E_DENIED, HWS_STAGE_NOT_SENT, 0);
        return;
    }
    memset(call->out, 0, call->out_cap_bytes);
    size_t n = call->out_cap_bytes;
    if ((control & 8) != 0) {
        size_t want = fuzz_byte(f);
        n = want < n ? want : n;
    }
    if ((control & 4) != 0 && n > 16) {
        memcpy(call->out + 16, call->in + 16, n - 16);
        uint8_t n_over = fuzz_byte(f);
        for (size_t i = 0; i < n_over && n > 16; i++) {
            size_t low = fuzz_byte(f);
            size_t high = fuzz_byte(f) & 1u;
            size_t pos = 16 + (low | high << 8) % (n - 16);
            call->out[pos] = (uint8_t)(call->out[pos] ^ fuzz_byte(f));
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            call->out[i] = fuzz_byte(f);
        }
    }
    call->out_bytes = n;
}

#endif
