/*
 * What a TLS record costs, by engine: two ends joined in memory, so each figure is sealing and
 * opening together. Prints "name value unit" lines; takes a number of rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "mint.h"
#include "tls/aead.h"
#include "tls/conn.h"

#define BULK_BYTES ((size_t)64 * 1024)
#define MAX_ROUNDS 99u
#define SPAN_NS    30000000.0 /* of one measurement */

static struct hws_tls_conn s_ends[2]; /* server, client */
static struct hws_buf s_wire;
static uint8_t s_plain[BULK_BYTES + 32768];
static uint8_t s_data[BULK_BYTES];

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_tls: %s\n", what);
        exit(1);
    }
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t pass(struct hws_tls_conn *from, struct hws_tls_conn *to)
{
    size_t total = 0;
    size_t n = 0;

    hws_buf_reset(&s_wire);
    hws_tls_conn_pull(from, &s_wire);
    if (hws_buf_len(&s_wire) > 0) {
        must(hws_tls_conn_recv(to, hws_buf_peek(&s_wire), hws_buf_len(&s_wire), NULL) == HWS_OK,
             "recv");
        do {
            must(hws_tls_conn_read(to, s_plain, sizeof(s_plain), &n, NULL) == HWS_OK, "read");
            total += n;
        } while (n > 0);
    }
    return total;
}

static void meet(struct hws_tls_bundle *bundle)
{
    struct hws_tls_options options = {.now_ms = 1, .now_s = (uint64_t)time(NULL)};

    for (int i = 0; i < 2; i++) {
        must(hws_tls_conn_init(&s_ends[i], i == 0 ? HWS_TLS_SERVER : HWS_TLS_CLIENT, bundle,
                               &options, NULL) == HWS_OK,
             "init");
    }
    for (int i = 0; i < 6; i++) {
        (void)pass(&s_ends[1], &s_ends[0]);
        (void)pass(&s_ends[0], &s_ends[1]);
    }
    must(s_ends[0].state == HWS_TLS_STATE_OPEN && s_ends[1].state == HWS_TLS_STATE_OPEN,
         "handshake");
}

/* Nanoseconds to send n bytes from one end to the other. */
static double measure(size_t n)
{
    double began = now_ns();
    double took = 0;
    unsigned turns = 0;

    do {
        for (size_t at = 0; at < n;) {
            size_t taken = 0;
            must(hws_tls_conn_write(&s_ends[0], s_data + at, n - at, &taken, NULL) == HWS_OK,
                 "write");
            at += taken;
        }
        must(pass(&s_ends[0], &s_ends[1]) == n, "all bytes");
        turns++;
        took = now_ns() - began;
    } while (took < SPAN_NS);
    return took / turns;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(size_t n, unsigned long rounds)
{
    double got[MAX_ROUNDS];

    for (unsigned long i = 0; i < rounds; i++) {
        got[i] = measure(n);
    }
    qsort(got, rounds, sizeof(got[0]), by_value);
    return got[rounds / 2];
}

static struct hws_tls_bundle *make_bundle(struct hws_tls_rng *rng,
                                          enum hws_tls_records_choice choice)
{
    struct hws_mint ca;
    struct hws_mint leaf;
    const struct hws_mint *leaves[] = {&leaf};
    const struct hws_mint *cas[] = {&ca};
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err = {0};

    hws_mint_make(&ca, NULL, &(struct hws_mint_spec){.cn = "CA", .ext = HWS_MINT_CA_EXT});
    hws_mint_make(&leaf, &ca,
                  &(struct hws_mint_spec){.ext = HWS_MINT_LEAF_EXT HWS_MINT_BOTH
                                          "subjectAltName=URI:spiffe://bench.test/agent/a\n"});
    char *cert = hws_mint_certs_pem(leaves, 1);
    char *key = hws_mint_key_pem(&leaf);
    char *ca_pem = hws_mint_certs_pem(cas, 1);
    struct hws_tls_pem pem = {.cert = {(const uint8_t *)cert, strlen(cert)},
                              .key = {(const uint8_t *)key, strlen(key)},
                              .ca = {(const uint8_t *)ca_pem, strlen(ca_pem)},
                              .allow_tls12 = true,
                              .records = choice};
    must(hws_tls_bundle_new(rng, &pem, (uint64_t)time(NULL), &bundle, &err) == HWS_OK, err.msg);
    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca_pem);
    hws_mint_free(&leaf);
    hws_mint_free(&ca);
    return bundle;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
    struct hws_tls_rng *rng = NULL;
    struct hws_err err;

    rounds = rounds < 1 || rounds > MAX_ROUNDS ? 5 : rounds;
    must(hws_tls_rng_open(&rng, &err) == HWS_OK, "rng");
    for (int i = HWS_TLS_RECORDS_AUTO; i <= HWS_TLS_RECORDS_MBEDTLS; i++) {
        if (i == HWS_TLS_RECORDS_AUTO &&
            hws_str_eq(hws_tls_aead_name(HWS_TLS_AEAD_BEST), "libcrypto")) {
            continue; /* the same as the next */
        }
        struct hws_tls_bundle *bundle = make_bundle(rng, (enum hws_tls_records_choice)i);
        double began = now_ns();
        meet(bundle);
        const char *name = hws_tls_conn_records(&s_ends[0]);
        (void)printf("tls.handshake.%s.us %.0f us\n", name, (now_ns() - began) / 1e3);
        (void)printf("tls.record.256b.%s.ns %.0f ns\n", name, median(256, rounds));
        (void)printf("tls.record.4k.%s.ns %.0f ns\n", name, median(4096, rounds));
        (void)printf("tls.bulk.%s.mb_s %.0f MB/s\n", name,
                     (double)BULK_BYTES * 1e3 / median(BULK_BYTES, rounds));
        for (int k = 0; k < 2; k++) {
            hws_tls_conn_deinit(&s_ends[k]);
        }
        hws_tls_bundle_unref(bundle);
    }
    hws_buf_deinit(&s_wire);
    hws_tls_rng_free(rng);
    return 0;
}
