/* JSON text into a buffer: the few shapes a dump's lines need. Pure; one thread at a time. */
#ifndef HWS_DUMP_JSON_H
#define HWS_DUMP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

/* A JSON string with its quotes: quotes, backslashes and all bytes outside printable ASCII are
 * escaped. HWS_E_NOMEM, HWS_E_BUSY. */
enum hws_code hws_dump_json_string(struct hws_buf *out, const char *text) HWS_MUST_USE;

/* `"name":"text"`, after a comma unless it is the first. */
enum hws_code hws_dump_json_pair(struct hws_buf *out, bool first, const char *name,
                                 const char *text) HWS_MUST_USE;

#endif
