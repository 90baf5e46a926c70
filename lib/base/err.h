/*
 * Errors: a code for callers, a stage that says how far a command came, a text for people.
 *
 * Functions that can fail return enum hws_code and take `struct hws_err *err` last (NULL is
 * allowed). The text is set where the error is born and wrapped where it passes, so that it reads
 * outermost first: "reload: bundle: ca.crt: no such file". Thread rule: a struct belongs to one
 * thread at a time. Nothing here allocates.
 */
#ifndef HWS_BASE_ERR_H
#define HWS_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum hws_code {
#define HWS_CODE(name, text) HWS_##name,
#include "base/codes.def"
#undef HWS_CODE
    HWS_N_CODES
};

/* What the far end saw of a failed command. Callers decide on this; UNKNOWN is read back before any
 * retry. */
enum hws_stage {
    HWS_STAGE_NONE,     /* not about a command */
    HWS_STAGE_NOT_SENT, /* never reached the far end: safe to retry */
    HWS_STAGE_REJECTED, /* refused on delivery: not executed */
    HWS_STAGE_EXECUTED, /* executed, and answered with a status and a syndrome */
    HWS_STAGE_UNKNOWN,  /* timeout or lost link: it may or may not have taken effect */
    HWS_N_STAGES
};

#define HWS_ERR_MSG_BYTES 256

struct hws_err {
    enum hws_code code;
    enum hws_stage stage;
    uint8_t delivery_status;     /* why it was refused; 0 unless stage is REJECTED */
    uint8_t exec_status;         /* how it ended; 0 unless stage is EXECUTED */
    uint32_t syndrome;           /* with exec_status: a diagnostic code of the far end's own */
    char msg[HWS_ERR_MSG_BYTES]; /* NUL-terminated UTF-8, possibly cut */
};

/* Sets code and text, clears stage and statuses, returns code. err may be NULL. */
enum hws_code hws_err_set(struct hws_err *err, enum hws_code code, const char *fmt, ...)
    HWS_PRINTF(3, 4);

/* As hws_err_set, with a va_list. */
enum hws_code hws_err_vset(struct hws_err *err, enum hws_code code, const char *fmt, va_list args)
    HWS_PRINTF(3, 0);

/* Prefixes the text with "<fmt>: ", keeps code, stage and statuses, returns the code (HWS_E_IO if
 * err is NULL). */
enum hws_code hws_err_wrap(struct hws_err *err, const char *fmt, ...) HWS_PRINTF(2, 3);

/* Records what the far end saw; call after hws_err_set. */
void hws_err_at(struct hws_err *err, enum hws_stage stage);

/* Makes err all zero: HWS_OK, no stage, empty text. */
void hws_err_clear(struct hws_err *err);

/* "E_TIMEOUT" for HWS_E_TIMEOUT; "?" for a value out of range. */
const char *hws_code_name(enum hws_code code);

/* The generic text of a code. */
const char *hws_code_text(enum hws_code code);

/* "none", "not-sent", "rejected", "executed", "unknown". */
const char *hws_stage_name(enum hws_stage stage);

#endif
