/* Message credit counters of one call. */
#include "link/credit.h"

#include "base/assert.h"

void hws_link_credit_init(struct hws_link_credit *c)
{
    c->send = HWS_LINK_FIRST_CREDIT;
    c->recv = HWS_LINK_FIRST_CREDIT;
}

bool hws_link_credit_may_send(const struct hws_link_credit *c)
{
    return c->send > 0;
}

void hws_link_credit_sent(struct hws_link_credit *c)
{
    hws_assert(c->send > 0);
    c->send--;
}

enum hws_code hws_link_credit_granted(struct hws_link_credit *c, uint32_t n, struct hws_err *err)
{
    if (n == 0 || n > HWS_LINK_CREDIT_CAP - c->send) {
        return hws_err_set(err, HWS_E_PROTO, "credit of %u on top of %u", n, c->send);
    }
    c->send += n;
    return HWS_OK;
}

enum hws_code hws_link_credit_received(struct hws_link_credit *c, struct hws_err *err)
{
    if (c->recv == 0) {
        return hws_err_set(err, HWS_E_PROTO, "message without credit");
    }
    c->recv--;
    return HWS_OK;
}

void hws_link_credit_give(struct hws_link_credit *c, uint32_t n)
{
    hws_assert(n > 0 && n <= HWS_LINK_CREDIT_CAP - c->recv);
    c->recv += n;
}
