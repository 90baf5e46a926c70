/* What the files of this layer share. */
#ifndef HWS_TABLE_TABLE_PRIV_H
#define HWS_TABLE_TABLE_PRIV_H

#include "base/buf.h"
#include "base/err.h"

/* Appends fields.def as canonical text, one line a field. */
enum hws_code hws_table__fields_text(struct hws_buf *out) HWS_MUST_USE;

#endif
