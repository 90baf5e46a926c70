/* What both programs of the benchmark need before they can speak. */
#ifndef HWS_TESTS_BENCH_PEM_H
#define HWS_TESTS_BENCH_PEM_H

#include "tls/bundle.h"

/* Makes a bundle of three PEM files; ends the program with a text when it cannot. */
struct hws_tls_bundle *bench_bundle(struct hws_tls_rng *rng, const char *cert, const char *key,
                                    const char *ca);

/* As many open descriptors as this user may have. */
void bench_raise_descriptors(void);

#endif
