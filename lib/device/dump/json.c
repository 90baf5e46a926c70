/* JSON strings and pairs. */
#include "dump/json.h"

/* How many characters from here on need no escape. */
static size_t plain_run(const char *text)
{
    size_t n = 0;
    while (text[n] >= 0x20 && text[n] <= 0x7E && text[n] != '"' && text[n] != '\\') {
        n++;
    }
    return n;
}

enum hws_code hws_dump_json_string(struct hws_buf *out, const char *text)
{
    enum hws_code rc = hws_buf_put(out, "\"", 1);

    for (const char *p = text; rc == HWS_OK && *p != '\0';) {
        size_t n = plain_run(p);
        unsigned char c = (unsigned char)*p;
        if (n > 0) {
            rc = hws_buf_put(out, p, n);
        } else if (c == '"' || c == '\\') {
            rc = hws_buf_printf(out, "\\%c", c);
        } else {
            rc = hws_buf_printf(out, "\\u%04x", c);
        }
        p += n > 0 ? n : 1;
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
