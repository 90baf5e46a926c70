/* The message reader: any bytes in any cuts give the same messages as in one piece. */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "grpc/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    unsigned n_messages;
    uint64_t n_bytes;
    uint32_t sum; /* over message bytes, in order */
    enum hws_code code;
};

static struct result read_all(const uint8_t *data, size_t size, size_t step)
{
    struct result res = {0};
    struct hws_grpc_reader r;

    hws_grpc_reader_init(&r, 4096);
    for (size_t at = 0; at < size && res.code == HWS_OK; at += step) {
        const uint8_t *bytes = data + at;
        size_t n = size - at < step ? size - at : step;
        while (n > 0 && res.code == HWS_OK) {
            struct hws_grpc_framed msg = {0};
            bool whole = false;
            res.code = hws_grpc_reader_next(&r, &bytes, &n, &whole, &msg, NULL);
            if (res.code != HWS_OK || !whole) {
                continue;
            }
            res.n_messages++;
            res.n_bytes += msg.n;
            for (size_t i = 0; i < msg.n; i++) {
                res.sum = res.sum * 31 + msg.bytes[i];
            }
        }
    }
    hws_grpc_reader_deinit(&r);
    return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct result whole = read_all(data + 1, size - 1, size);
    struct result cut = read_all(data + 1, size - 1, (size_t)data[0] % 32 + 1);
    hws_assert(whole.n_messages == cut.n_messages && whole.n_bytes == cut.n_bytes &&
               whole.sum == cut.sum && whole.code == cut.code);
    return 0;
}
