/* The compiler attributes this project uses beyond C11; nothing else may use __attribute__
 * directly. */
#ifndef HWS_BASE_ATTR_H
#define HWS_BASE_ATTR_H

#define HWS_MUST_USE           __attribute__((warn_unused_result))
#define HWS_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define HWS_AUTO(fn)           __attribute__((cleanup(fn))) /* locals of tests, tools and parsers only */
#define HWS_NORETURN           __attribute__((noreturn))
#define HWS_UNUSED             __attribute__((unused))
#define HWS_NOINLINE           __attribute__((noinline))    /* what a profiler counts by its name */
#define HWS_CONSTRUCTOR        __attribute__((constructor)) /* before main; in tests only */
#define HWS_EXPORT             __attribute__((visibility("default"))) /* libhawser's public symbols */

#endif
