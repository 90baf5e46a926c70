/* Any bytes as a line of an exported log: what is read is printed as the same bytes, and nothing
 * else is read. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "record/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_line line;
    struct hws_buf out = {0};
    char *text = hws_mem_alloc(size + 1);

    hws_assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (hws_line_read(text, size, &line, NULL) == HWS_OK) {
        enum hws_code rc = hws_line_print(&line, &out);
        hws_assert(rc == HWS_OK && hws_buf_len(&out) == size + 1);
        hws_assert(memcmp(hws_buf_peek(&out), data, size) == 0);
    }
    hws_buf_deinit(&out);
    hws_mem_free(text);
    return 0;
}
