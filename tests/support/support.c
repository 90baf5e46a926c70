/* Helpers for every test program. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

void hws_test_assert_code(enum hws_code actual, enum hws_code expected, const struct hws_err *err,
                          const char *file, int line)
{
    if (actual != expected) {
        print_error("%s:%d: got %s, expected %s%s%s\n", file, line, hws_code_name(actual),
                    hws_code_name(expected), err != NULL ? ": " : "", err != NULL ? err->msg : "");
        _fail(file, line);
    }
}

void *hws_test_assert_got(void *p, const char *what, const char *file, int line)
{
    if (p == NULL) {
        print_error("%s:%d: %s is NULL\n", file, line, what);
        _fail(file, line);
    }
    return p;
}

uint64_t hws_test_rand(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void hws_test_fill(void *bytes, size_t n, uint64_t *state)
{
    uint8_t *to = bytes;

    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)hws_test_rand(state);
    }
}

uint64_t hws_test_seed(void)
{
    static uint64_t seed;

    if (seed != 0) {
        return seed;
    }
    const char *given = getenv("HAWSER_TEST_SEED");
    if (given != NULL) {
        seed = strtoull(given, NULL, 0);
    } else {
        struct timespec ts;
        (void)clock_gettime(CLOCK_REALTIME, &ts);
        uint64_t state =
            (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec + (uint64_t)getpid();
        seed = hws_test_rand(&state);
    }
    seed |= 1;
    (void)fprintf(stderr, "seed: HAWSER_TEST_SEED=0x%" PRIx64 "\n", seed);
    return seed;
}

static void sweep_one(enum hws_code (*scenario)(void *arg), void *arg, uint64_t k, bool sticky)
{
    hws_mem_fail_after(k, sticky);
    enum hws_code rc = scenario(arg);
    hws_mem_fail_after(0, false);
    if (rc != HWS_OK && rc != HWS_E_NOMEM) {
        fail_msg("allocation %" PRIu64 "%s: got %s", k, sticky ? " and later" : "",
                 hws_code_name(rc));
    }
}

uint64_t hws_test_oom_sweep(enum hws_code (*scenario)(void *arg), void *arg)
{
    hws_test_sweeps_itself();
    hws_mem_count_reset();
    assert_int_equal(scenario(arg), HWS_OK);
    uint64_t n = hws_mem_n_allocs();

    for (uint64_t k = 1; k <= n; k++) {
        sweep_one(scenario, arg, k, false);
        sweep_one(scenario, arg, k, true);
    }
    assert_int_equal(scenario(arg), HWS_OK);
    return n;
}
