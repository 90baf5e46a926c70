/* The packet codec: any bytes; what is accepted must encode to the same bytes again. */
#include <string.h>

#include "base/assert.h"
#include "link/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[HWS_LINK_MAX_BYTES];
    struct hws_link_packet packet;
    struct hws_err err;
    size_t n = 0;

    if (hws_link_decode(data, size, &packet, &err) != HWS_OK) {
        hws_assert(err.code == HWS_E_PROTO && err.msg[0] != 0);
        return 0;
    }
    hws_assert(hws_link_encode(&packet, again, sizeof again, &n, &err) == HWS_OK);
    hws_assert(n == size && memcmp(again, data, n) == 0);
    return 0;
}
