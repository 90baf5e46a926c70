/* Any bytes as a warrant: what reads writes as the same bytes and has a hash; and a warrant made of
 * any bytes as fields is refused or comes back as it was. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "warrant/warrant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_in(const uint8_t *data, size_t size)
{
    struct hws_warrant w;
    struct hws_digest hash;
    struct hws_buf out;

    if (hws_warrant_parse(data, size, &w, NULL) != HWS_OK) {
        return;
    }
    hws_buf_init(&out, HWS_WARRANT_MAX_BYTES);
    enum hws_code rc = hws_warrant_format(&w, &out, NULL);
    hws_assert(rc == HWS_OK && hws_buf_len(&out) == size);
    hws_assert(memcmp(hws_buf_peek(&out), data, size) == 0);
    rc = hws_warrant_hash(&w, &hash, NULL);
    hws_assert(rc == HWS_OK);
    hws_buf_deinit(&out);
}

static void fields_in(const uint8_t *data, size_t size)
{
    struct hws_warrant w = {.from_s = size, .until_s = size * 3, .has_operator = size % 2 == 0};
    struct hws_warrant again;
    struct hws_buf out;
    size_t n = size / 6;

    w.has_approver = w.has_operator && size % 4 == 0;
    (void)hws_str_copy_n(w.host, sizeof(w.host), data, n);
    (void)hws_str_copy_n(w.device, sizeof(w.device), data + n, n);
    (void)hws_str_copy_n(w.serial, sizeof(w.serial), data + 2 * n, n);
    (void)hws_str_copy_n(w.operator_id, sizeof(w.operator_id), data + 3 * n, n);
    (void)hws_str_copy_n(w.approver_id, sizeof(w.approver_id), data + 4 * n, n);
    (void)hws_str_copy_n(w.reason, sizeof(w.reason), data + 5 * n, n);
    (void)hws_str_copy(w.request_id, sizeof(w.request_id), "request");
    hws_buf_init(&out, HWS_WARRANT_MAX_BYTES);
    if (hws_warrant_format(&w, &out, NULL) == HWS_OK) {
        enum hws_code rc = hws_warrant_parse(hws_buf_peek(&out), hws_buf_len(&out), &again, NULL);
        hws_assert(rc == HWS_OK && hws_str_eq(again.reason, w.reason));
        hws_assert(again.has_approver == w.has_approver);
    }
    hws_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    text_in(data, size);
    fields_in(data, size);
    return 0;
}
