/*
 * A release barrier for memory that a device reads: stores before it are seen before stores after
 * it. ThreadSanitizer does not model fences and gcc refuses them there; in its build both sides
 * share one thread, so nothing is lost.
 */
#ifndef HWS_BASE_BARRIER_H
#define HWS_BASE_BARRIER_H

#include <stdatomic.h>

static inline void hws_barrier_release(void)
{
#ifndef __SANITIZE_THREAD__
    atomic_thread_fence(memory_order_release);
#endif
}

#endif
