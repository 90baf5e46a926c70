/* Any bytes as a trust file. */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "warrant/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hws_trust t;

    if (hws_trust_parse(data, size, "trust", &t, NULL) == HWS_OK) {
        hws_assert(t.host[0] != '\0' && t.n_keys <= HWS_TRUST_MAX_KEYS);
    }
    return 0;
}
