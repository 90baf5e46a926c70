/*
 * The programs of the whole agent again, each test with an allocation of hawser-wire failing. With
 * HAWSER_OOM_SWEEP set each of a program's tests runs in a child, with an agent of its own whose
 * hawser-wire fails allocation K, counted from its start and over its restarts (failing.h). The
 * test may end by an assertion: it was not written for a lack of memory. Then there is memory
 * again, and the agent is judged: it answers, it ends with status 0, its sanitizers found nothing
 * (which hawser-wire leaked, too), and no call of the test hung.
 *
 * HAWSER_OOM_SWEEP=all      the first allocation of each site of each test, once and for good
 * HAWSER_OOM_SWEEP=N        N of the program's, drawn from the seed
 * HAWSER_OOM_SWEEP=NAME:K   test NAME with allocation K failing; K+ for good
 */
#ifndef HWS_TESTS_RIG_SWEEP_H
#define HWS_TESTS_RIG_SWEEP_H

#include "test.h"

/* As cmocka's, which it is unless HAWSER_OOM_SWEEP is set. Setup starts the agent, teardown stops
 * it. Prints, for the table of `./test oom`, the line of hws_test_run_group. */
#define hws_rig_run_group(tests, setup, teardown)                                                  \
    hws_rig_sweep_group(#tests, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

int hws_rig_sweep_group(const char *name, const struct CMUnitTest *tests, size_t n,
                        int (*setup)(void **state), int (*teardown)(void **state));

#endif
