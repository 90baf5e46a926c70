/*
 * What every cmocka program of this tree includes: cmocka with its prerequisites, typed comparisons
 * of codes, the printed seed, and the OOM sweep.
 */
#ifndef HWS_TESTS_TEST_H
#define HWS_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "sweep.h"

/* Each program can be swept: sweep.h. */
#undef cmocka_run_group_tests
/* NOLINTNEXTLINE(readability-identifier-naming): stands in for cmocka's */
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    hws_test_run_group(#tests, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

/* Compares result codes by name; prints err->msg if it is not NULL. */
#define assert_code(actual, expected)                                                              \
    hws_test_assert_code((actual), (expected), NULL, __FILE__, __LINE__)
#define assert_ok(actual, err) hws_test_assert_code((actual), HWS_OK, (err), __FILE__, __LINE__)

/* p, which must not be NULL. */
#define assert_got(p) hws_test_assert_got((p), #p, __FILE__, __LINE__)

void *hws_test_assert_got(void *p, const char *what, const char *file, int line);

void hws_test_assert_code(enum hws_code actual, enum hws_code expected, const struct hws_err *err,
                          const char *file, int line);

/* The seed of this run: HAWSER_TEST_SEED if set, else drawn once; printed on first use so a failure
 * can be repeated. */
uint64_t hws_test_seed(void);

/* A deterministic generator (splitmix64) for tests; *state starts at hws_test_seed(). */
uint64_t hws_test_rand(uint64_t *state);

/* n bytes of it. */
void hws_test_fill(void *bytes, size_t n, uint64_t *state);

/*
 * Runs scenario(arg) once to count its allocations, then once per allocation with that one failing
 * and once with all from there on failing. The scenario returns HWS_OK or HWS_E_NOMEM (anything
 * else fails the test), must leak nothing and must pass again at the end. Returns the number of
 * allocations swept.
 */
uint64_t hws_test_oom_sweep(enum hws_code (*scenario)(void *arg), void *arg);

#endif
