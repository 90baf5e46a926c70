/* Names and values as foreign text: a value that is taken prints as one that is taken the same. */
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "nvconfig/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[128];
    const struct hws_nv_param *p = NULL;
    struct hws_err err;

    if (size < 1) {
        return 0;
    }
    (void)hws_str_copy_n(text, sizeof(text), data + 1, size - 1);
    hws_assert(hws_nv_param_find(text, &p, &err) == HWS_OK || err.msg[0] != '\0');
    p = hws_nv_param_at(data[0] % hws_nv_param_count());
    uint32_t v = 0;
    if (hws_nv_param_parse(p, text, &v, &err) == HWS_OK) {
        uint32_t back = 0;
        char again[HWS_NV_VALUE_BYTES];
        hws_assert(v >= p->min && v <= p->max);
        hws_nv_param_format(p, v, again, sizeof(again));
        hws_assert(hws_nv_param_parse(p, again, &back, &err) == HWS_OK && back == v);
    }
    return 0;
}
