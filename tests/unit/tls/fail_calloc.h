/*
 * Lets the n-th calloc of the whole program fail. mbedTLS as packaged takes no allocator hook, and
 * it allocates by calloc alone, so this stands in front of the C library's (and of a sanitizer's).
 */
#ifndef HWS_TESTS_FAIL_CALLOC_H
#define HWS_TESTS_FAIL_CALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* Call number `countdown` from now returns NULL (and, if sticky, all after it); 0 = off. */
void hws_calloc_fail_after(uint64_t countdown, bool sticky);

/* Calls since the last hws_calloc_fail_after. */
uint64_t hws_calloc_count(void);

#endif
