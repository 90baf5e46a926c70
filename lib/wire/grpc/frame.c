/* The message reader: prefix, limit check, then the body as it comes. */
#include "grpc/frame.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

void hws_grpc_reader_init(struct hws_grpc_reader *r, uint32_t max_bytes)
{
    *r = (struct hws_grpc_reader){.max_bytes = max_bytes};
}

void hws_grpc_reader_deinit(struct hws_grpc_reader *r)
{
    hws_buf_deinit(&r->body);
    *r = (struct hws_grpc_reader){0};
}

static enum hws_code check_prefix(struct hws_grpc_reader *r, struct hws_err *err)
{
    if (r->prefix[0] > 1) {
        return hws_err_set(err, HWS_E_PROTO, "message flag byte is %u, not 0 or 1", r->prefix[0]);
    }
    r->want = hws_load_be32(r->prefix + 1);
    if (r->want > r->max_bytes) {
        return hws_err_set(err, HWS_E_BUSY,
                           "a message of %u bytes is not received: max_recv_message_bytes is %u",
                           r->want, r->max_bytes);
    }
    return HWS_OK;
}

enum hws_code hws_grpc_reader_next(struct hws_grpc_reader *r, const uint8_t **bytes, size_t *n,
                                   bool *out_whole, struct hws_grpc_framed *out_msg,
                                   struct hws_err *err)
{
    *out_whole = false;
    if (r->n_prefix < HWS_GRPC_PREFIX_BYTES) {
        if (hws_buf_len(&r->body) == 0 && r->body.bytes != NULL) {
            hws_buf_reset(&r->body);
        }
        while (r->n_prefix<HWS_GRPC_PREFIX_BYTES && * n> 0) {
            r->prefix[r->n_prefix++] = *(*bytes)++;
            (*n)--;
        }
        if (r->n_prefix < HWS_GRPC_PREFIX_BYTES) {
            return HWS_OK;
        }
        enum hws_code code = check_prefix(r, err);
        if (code != HWS_OK) {
            return code;
        }
    }
    size_t have = hws_buf_len(&r->body);
    size_t take = r->want - have < *n ? r->want - have : *n;
    out_msg->compressed = r->prefix[0] == 1;
    out_msg->n = r->want;
    if (have == 0 && take == r->want) {
        out_msg->bytes = *bytes; /* whole in the input: no copy */
    } else {
        enum hws_code code = hws_buf_put(&r->body, *bytes, take);
        if (code != HWS_OK) {
            return hws_err_set(err, code, "message of %u bytes", r->want);
        }
        out_msg->bytes = hws_buf_peek(&r->body);
    }
    *bytes += take;
    *n -= take;
    if (have + take < r->want) {
        return HWS_OK;
    }
    /* The bytes stay readable in the buffer until the next call writes there. */
    hws_buf_take(&r->body, hws_buf_len(&r->body));
    r->n_prefix = 0;
    *out_whole = true;
    return HWS_OK;
}

bool hws_grpc_reader_midway(const struct hws_grpc_reader *r)
{
    return r->n_prefix > 0;
}

void hws_grpc_prefix_write(uint8_t dst[HWS_GRPC_PREFIX_BYTES], bool compressed, size_t n)
{
    hws_assert(n <= UINT32_MAX);
    dst[0] = compressed ? 1 : 0;
    hws_store_be32(dst + 1, (uint32_t)n);
}
