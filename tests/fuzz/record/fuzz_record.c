/* Any bytes as a record's canonical form: what decodes encodes to the same bytes, and there is no
 * other form. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "record/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_record r;
    struct hws_buf out;
    struct hws_buf texts;

    if (hws_record_decode(data, size, &r, NULL) != HWS_OK) {
        return 0;
    }
    hws_buf_init(&out, HWS_RECORD_MAX_BYTES);
    enum hws_code rc = hws_record_encode(&r, &out);
    hws_assert(rc == HWS_OK && hws_buf_len(&out) == size);
    hws_assert(memcmp(hws_buf_peek(&out), data, size) == 0);

    hws_buf_init(&texts, 0);
    rc = hws_record_clean(&r, &texts);
    hws_assert(rc == HWS_OK);
    hws_buf_reset(&out);
    rc = hws_record_encode(&r, &out);
    hws_assert(rc == HWS_OK);
    hws_buf_deinit(&texts);
    hws_buf_deinit(&out);
    return 0;
}
