/* What both programs of the benchmark need before they can speak: PEM files into a bundle, and
 * descriptors for many connections. */
#ifndef HWS_TESTS_BENCH_PEM_H
#define HWS_TESTS_BENCH_PEM_H

#include "tls/bundle.h"

/* Reads three files and makes a bundle of them; ends the program with a text when it cannot. */
struct hws_tls_bundle *bench_bundle(struct hws_tls_rng *rng, const char *cert, const char *key,
                                    const char *ca);

/* As many open descriptors as this user may have. */
void bench_raise_descriptors(void);

#endif
