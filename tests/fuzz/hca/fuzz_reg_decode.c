/* Bytes of every register, and whole inboxes and outboxes: the first byte picks the register, the
 * rest are its bytes. */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "hca/cmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_row(void *arg, const struct hws_reg_row *row)
{
    size_t *n = arg;
    *n += strlen(row->name) + strlen(row->value) + strlen(row->meaning);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n_chars = 0;
    uint8_t in[32];

    if (size < 1) {
        return 0;
    }
    const struct hws_reg *reg = hws_reg_at(data[0] % hws_reg_count());
    enum hws_code rc = hws_reg_decode(reg, data + 1, size - 1, put_row, &n_chars, NULL);
    hws_assert((rc == HWS_OK) == (size - 1 >= reg->size_bytes));

    /* The same bytes as an inbox of 16 bytes and an outbox. */
    if (size >= 17) {
        rc = hws_hca_decode(data + 1, 16, data + 17, size - 17, put_row, &n_chars, NULL);
        hws_assert(rc < HWS_N_CODES);
    }
    rc = hws_hca_decode_request(data + 1, size - 1, put_row, &n_chars, NULL);
    hws_assert((rc == HWS_OK) == (size - 1 >= 16));
    (void)hws_hca_access_reg(in, sizeof(in), reg->id, false, NULL, 16);
    rc = hws_hca_decode(in, sizeof(in), data + 1, size - 1, put_row, &n_chars, NULL);
    hws_assert(rc < HWS_N_CODES);
    return 0;
}
