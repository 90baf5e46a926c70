/*
 * The OOM sweep of whole test programs. With HAWSER_OOM_SWEEP set, a program runs each of its tests
 * many times, each time in a forked child with another allocation of base/mem.h failing, once or
 * with all after it. A test may then pass or end by an assertion: it was not written for a lack of
 * memory. It must not crash, hang, or trip a sanitizer, and what it leaves when it passes is
 * searched for leaks.
 *
 * HAWSER_OOM_SWEEP=all       each allocation of each test, once and for good
 * HAWSER_OOM_SWEEP=N         N of them a test, drawn from the seed
 * HAWSER_OOM_SWEEP=Ns        as many as N seconds a test have room for: all of a quick one
 * HAWSER_OOM_SWEEP=NAME:K    test NAME with allocation K failing, here and not in a child; K+ for
 * good
 */
#ifndef HWS_TESTS_SWEEP_H
#define HWS_TESTS_SWEEP_H

#include <stddef.h>

struct CMUnitTest;

/* As cmocka's _cmocka_run_group_tests, which it is unless HAWSER_OOM_SWEEP is set. Prints, for the
 * table of `./test oom`: "oom PROGRAM tests allocations runs passed asserted own faults". Returns
 * the number of faults. */
int hws_test_run_group(const char *name, const struct CMUnitTest *tests, size_t n,
                       int (*setup)(void **state), int (*teardown)(void **state));

/* The running test sweeps by itself: it is not run again for each of its allocations. */
void hws_test_sweeps_itself(void);

#endif
