/* A policy of the tests, which has to load. */
#ifndef HWS_TESTS_LOAD_KNOWN_H
#define HWS_TESTS_LOAD_KNOWN_H

#include <string.h>

#include "known_methods.h"
#include "test.h"

static inline struct hws_policy *load(const char *text)
{
    struct hws_policy *p = NULL;
    struct hws_err err;

    assert_ok(hws_policy_load(text, strlen(text), "policy.yaml", s_known, N_KNOWN, &p, &err), &err);
    return p;
}

#endif
