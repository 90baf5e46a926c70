/* Error codes, texts and the outermost-first message. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

enum hws_code hws_err_vset(struct hws_err *err, enum hws_code code, const char *fmt, va_list args)
{
    if (err == NULL) {
        return code;
    }
    hws_err_clear(err);
    err->code = code;
    (void)vsnprintf(err->msg, sizeof(err->msg), fmt, args);
    return code;
}

enum hws_code hws_err_set(struct hws_err *err, enum hws_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)hws_err_vset(err, code, fmt, args);
    va_end(args);
    return code;
}

enum hws_code hws_err_wrap(struct hws_err *err, const char *fmt, ...)
{
    char prefix[HWS_ERR_MSG_BYTES];
    char inner[HWS_ERR_MSG_BYTES];
    va_list args;

    if (err == NULL) {
        return HWS_E_IO;
    }
    va_start(args, fmt);
    int n = vsnprintf(prefix, sizeof(prefix) - 2, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used > sizeof(prefix) - 3) {
        used = sizeof(prefix) - 3;
    }
    prefix[used++] = ':';
    prefix[used++] = ' ';

    memcpy(inner, err->msg, sizeof(inner));
    size_t room = sizeof(err->msg) - 1 - used;
    size_t len = strnlen(inner, sizeof(inner) - 1);
    if (len > room) {
        len = room;
    }
    memcpy(err->msg, prefix, used);
    memcpy(err->msg + used, inner, len);
    err->msg[used + len] = '\0';
    return err->code;
}

void hws_err_at(struct hws_err *err, enum hws_stage stage)
{
    if (err != NULL) {
        err->stage = stage;
    }
}

void hws_err_clear(struct hws_err *err)
{
    if (err != NULL) {
        memset(err, 0, sizeof(*err));
    }
}

const char *hws_code_name(enum hws_code code)
{
    static const char *const names[HWS_N_CODES] = {
#define HWS_CODE(name, text) #name,
#include "base/codes.def"
#undef HWS_CODE
    };
    return (unsigned)code < HWS_N_CODES ? names[code] : "?";
}

const char *hws_code_text(enum hws_code code)
{
    static const char *const texts[HWS_N_CODES] = {
#define HWS_CODE(name, text) text,
#include "base/codes.def"
#undef HWS_CODE
    };
    return (unsigned)code < HWS_N_CODES ? texts[code] : "?";
}

const char *hws_stage_name(enum hws_stage stage)
{
    static const char *const names[HWS_N_STAGES] = {"none", "not-sent", "rejected", "executed",
                                                    "unknown"};
    return (unsigned)stage < HWS_N_STAGES ? names[stage] : "?";
}
