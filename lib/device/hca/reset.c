/* One read of MFRL. */
#include "hca/reset.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

enum step { READ, ENDED, BROKEN };

#define ID_MFRL 0x9028u

void hws_hca_reset_init(struct hws_hca_reset *reset)
{
    memset(reset, 0, sizeof(*reset));
    reset->timeout_ms = HWS_HCA_CMD_TIMEOUT_MS;
}

enum hws_step hws_hca_reset_next(struct hws_hca_reset *reset, uint64_t now_ms,
                                 struct hws_ctl_call *call)
{
    if (reset->step != READ) {
        return reset->step == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    hws_hca_regio_prepare(&reset->io, ID_MFRL, false, NULL, hws_reg_by_id(ID_MFRL)->size_bytes,
                          now_ms + reset->timeout_ms, call);
    return HWS_STEP_CALL;
}

void hws_hca_reset_feed(struct hws_hca_reset *reset, const struct hws_ctl_call *call)
{
    const struct hws_reg *reg = hws_reg_by_id(ID_MFRL);
    const uint8_t *b = NULL;

    hws_assert(reset->step == READ);
    if (hws_hca_regio_result(&reset->io, call, &b, &reset->err) != HWS_OK) {
        reset->step = BROKEN;
        return;
    }
    reset->step = ENDED;
    reset->levels = (uint8_t)hws_reg_get(reg, b, "reset_level");
    reset->types = (uint8_t)hws_reg_get(reg, b, "reset_type");
    reset->state = (uint8_t)hws_reg_get(reg, b, "reset_state");
    const char *text = hws_reg_meaning(reg, "reset_state", reset->state);
    (void)hws_str_copy(reset->state_text, sizeof(reset->state_text),
                       text[0] != '\0' ? text : "unknown");
}
