/* Profile text: parsed or refused with a reason; what is parsed powers on. */
#include "base/assert.h"
#include "emu/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hws_emu_profile p;
    static struct hws_emu_port port;
    struct hws_err err = {0};

    if (hws_emu_profile_parse((const char *)data, size, &p, &err) != HWS_OK) {
        hws_assert(err.msg[0] != '\0');
        return 0;
    }
    if (hws_emu_port_init(&port, &p, NULL, NULL, 0, 0, &err) == HWS_OK) {
        (void)port.bar.ops->turn(&port.bar, 1000);
        hws_emu_port_deinit(&port);
    }
    hws_emu_profile_deinit(&p);
    return 0;
}
