/* JSON strings and pairs. */
#include "dump/json.h"

#include <string.h>

enum hws_code hws_dump_json_string(struct hws_buf *out, const char *text)
{
    enum hws_code rc = hws_buf_put(out, "\"", 1);

    for (const char *p = text; rc == HWS_OK && *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            rc = hws_buf_printf(out, "\\%c", c);
        } else if (c < 0x20 || c > 0x7E) {
            rc = hws_buf_printf(out, "\\u%04x", c);
        } else {
            rc = hws_buf_put(out, p, 1);
        }
    }
    return rc == HWS_OK ? hws_buf_put(out, "\"", 1) : rc;
}

enum hws_code hws_dump_json_pair(struct hws_buf *out, bool first, const char *name,
                                 const char *text)
{
    enum hws_code rc = first ? HWS_OK : hws_buf_put(out, ",", 1);

    if (rc == HWS_OK) {
        rc = hws_dump_json_string(out, name);
    }
    if (rc == HWS_OK) {
        rc = hws_buf_put(out, ":", 1);
    }
    return rc == HWS_OK ? hws_dump_json_string(out, text) : rc;
}
