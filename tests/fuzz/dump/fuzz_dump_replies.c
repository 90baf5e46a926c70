/* The register snapshot fed with outboxes of the input's making: whatever the card says, every line
 * is JSON. */
#include <jansson.h>
#include <string.h>

#include "base/assert.h"
#include "dump/snapshot.h"
#include "fuzz_ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_ctl f = {data, size, 0};
    struct hws_dump_snapshot snap;
    struct hws_ctl_call call = {0};
    struct hws_buf out;

    hws_buf_init(&out, 0);
    if (hws_dump_snapshot_init(&snap, "d", "f", 2, &out, NULL) != HWS_OK) {
        return 0;
    }
    while (hws_dump_snapshot_next(&snap, 0, &call) == HWS_STEP_CALL) {
        fuzz_answer(&f, &call);
        hws_dump_snapshot_feed(&snap, &call);
        hws_assert(f.n_calls < 1000);
    }
    const char *at = (const char *)hws_buf_peek(&out);
    size_t left = hws_buf_len(&out);
    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        hws_assert(end != NULL);
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        hws_assert(line != NULL);
        hws_assert((size_t)(end - at) < HWS_DUMP_LINE_MAX_BYTES);
        json_decref(line);
        left -= (size_t)(end - at) + 1;
        at = end + 1;
    }
    hws_buf_deinit(&out);
    return 0;
}
