/*
 * One call on the link, fed any sequence of packets. Input: a byte (bit 0: which side we are), then
 * packets, each behind a 16-bit length; a length of 0 takes the waiting message and grants credit.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "link/call.h"

#define LIMIT 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(struct hws_link_call *call, const uint8_t *bytes, size_t n)
{
    struct hws_link_packet packet;
    enum hws_link_event event = HWS_LINK_EV_NONE;

    if (hws_link_decode(bytes, n, &packet, NULL) == HWS_OK &&
        hws_link_call_feed(call, &packet, &event, NULL) == HWS_OK) {
        hws_assert(hws_buf_len(&call->message) <= LIMIT);
        hws_assert((event == HWS_LINK_EV_MESSAGE) <= call->whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_link_call call;
    size_t at = 1;

    if (size < 1) {
        return 0;
    }
    hws_link_call_init(&call, 1, (data[0] & 1) != 0 ? HWS_LINK_SERVER : HWS_LINK_CALLER, LIMIT);
    while (at + 2 <= size) {
        size_t n = hws_load_be16(data + at);
        struct hws_link_packet grant;

        at += 2;
        n = n < size - at ? n : size - at;
        if (n == 0 && call.credit.recv < HWS_LINK_CREDIT_CAP) {
            hws_link_call_taken(&call);
            hws_link_call_give(&call, 1, &grant);
        } else {
            feed(&call, data + at, n);
        }
        at += n;
    }
    hws_link_call_deinit(&call);
    return 0;
}
