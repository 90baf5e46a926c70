/* Certificates and descriptors. */
#include "pem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "net/files.h"

struct hws_tls_bundle *bench_bundle(struct hws_tls_rng *rng, const char *cert, const char *key,
                                    const char *ca)
{
    const struct hws_net_files files = {.cert = cert, .key = key, .ca = ca, .allow_tls12 = true};
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    if (hws_net_files_bundle(rng, &files, &bundle, &err) != HWS_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return bundle;
}

void bench_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}
