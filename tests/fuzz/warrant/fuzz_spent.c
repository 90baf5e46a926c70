/* Any bytes as the memory of used warrants: what was read is refused a second time. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "warrant/spent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hws_spent s;
    size_t whole = 0;

    memset(&s, 0, sizeof(s));
    if (hws_spent_load(&s, (const char *)data, size, &whole, NULL) != HWS_OK) {
        return 0;
    }
    hws_assert(whole <= size && s.n <= HWS_SPENT_MAX);
    for (size_t i = 0; i < s.n; i++) {
        enum hws_code rc = hws_spent_check(&s, &s.uses[i].hash, NULL);
        hws_assert(rc == HWS_E_DENIED && s.uses[i].until_s >= s.high_s);
    }
    return 0;
}
