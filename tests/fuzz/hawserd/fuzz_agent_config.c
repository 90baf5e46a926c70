/* Any bytes as an agent configuration: refused with a text, or a struct whose paths are not empty.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "hawserd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hws_config c;
    struct hws_err err;

    hws_err_clear(&err);
    if (hws_config_parse((const char *)data, size, "/etc", "f", &c, &err) != HWS_OK) {
        hws_assert(err.code != HWS_OK && err.msg[0] != '\0');
        return 0;
    }
    hws_assert(c.host[0] != '\0' && c.run_dir[0] == '/' && c.policy[0] == '/');
    hws_assert(c.listen[0] == '\0' || c.tls_key[0] != '\0');
    return 0;
}
