/* PEM files into a bundle. */
#include "pem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "net/net.h"

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static struct hws_span read_file(const char *path, struct hws_buf *out)
{
    uint8_t *space = NULL;
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        die(path, "cannot be read");
    }
    if (hws_buf_reserve(out, HWS_TLS_PEM_MAX_BYTES, &space) != HWS_OK) {
        die(path, "no memory");
    }
    hws_buf_commit(out, fread(space, 1, HWS_TLS_PEM_MAX_BYTES, f));
    (void)fclose(f);
    return (struct hws_span){hws_buf_peek(out), hws_buf_len(out)};
}

struct hws_tls_bundle *bench_bundle(struct hws_tls_rng *rng, const char *cert, const char *key,
                                    const char *ca)
{
    struct hws_buf bufs[3];
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    memset(bufs, 0, sizeof(bufs));
    const struct hws_tls_pem pem = {.cert = read_file(cert, &bufs[0]),
                                    .key = read_file(key, &bufs[1]),
                                    .ca = read_file(ca, &bufs[2]),
                                    .allow_tls12 = true};
    if (hws_tls_bundle_new(rng, &pem, hws_net_now_s(), &bundle, &err) != HWS_OK) {
        die(cert, err.msg);
    }
    for (size_t i = 0; i < 3; i++) {
        hws_buf_deinit(&bufs[i]);
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
