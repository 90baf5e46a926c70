/*
 * hws_assert: a check on ourselves that stays on in release builds. Peers, files, the kernel and
 * the device can never trip it; what they send is judged with error codes.
 */
#ifndef HWS_BASE_ASSERT_H
#define HWS_BASE_ASSERT_H

#include "base/attr.h"

/* Prints one line on stderr and aborts. */
HWS_NORETURN void hws_assert_fail(const char *expr, const char *file, int line, const char *func);

#define hws_assert(expr) ((expr) ? (void)0 : hws_assert_fail(#expr, __FILE__, __LINE__, __func__))

#endif
