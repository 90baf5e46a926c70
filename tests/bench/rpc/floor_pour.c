/*
 * A stream over one connection: the sender writes as much at once as the engine does, the receiver
 * reads as much at once as the engine does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "floor.h"
#include "net/net.h"
#include "tls/aead.h"
#include "tls/conn.h"
#include "tls/records.h"

#define HEADER_BYTES 13u /* of a TLS 1.2 record, with the part of the nonce on the wire */
#define SEALED_BYTES (HEADER_BYTES + HWS_TLS_RECORD_MAX_BYTES + HWS_TLS_TAG_BYTES)
#define WARM_BYTES   (UINT64_C(16) << 20)

static struct hws_tls_aead s_aead;
static uint8_t s_plain[HWS_TLS_RECORD_MAX_BYTES];
static uint8_t s_buf[HWS_TLS_UNSENT_MAX_BYTES + SEALED_BYTES];
static uint64_t s_seq;

static void begin(bool seals)
{
    static const uint8_t key[16] = {1};

    if (hws_tls_aead_set_key(&s_aead, HWS_TLS_AEAD_BEST, key, sizeof(key), seals, NULL) != HWS_OK) {
        floor_die("AES-GCM");
    }
    s_seq = 0;
}

static void nonce_of(uint8_t nonce[HWS_TLS_NONCE_BYTES])
{
    memset(nonce, 0, HWS_TLS_NONCE_BYTES);
    memcpy(nonce, &s_seq, sizeof(s_seq));
    s_seq++;
}

static void seal(uint8_t *to)
{
    uint8_t nonce[HWS_TLS_NONCE_BYTES];
    const struct hws_span text = {s_plain, sizeof(s_plain)};

    nonce_of(nonce);
    memset(to, 23, HEADER_BYTES);
    if (!hws_tls_aead_seal(&s_aead, nonce, (struct hws_span){to, HEADER_BYTES}, &text, 1,
                           to + HEADER_BYTES)) {
        floor_die("seal");
    }
}

static void open_one(const uint8_t *record)
{
    uint8_t nonce[HWS_TLS_NONCE_BYTES];
    const struct hws_span sealed = {record + HEADER_BYTES, SEALED_BYTES - HEADER_BYTES};

    nonce_of(nonce);
    if (!hws_tls_aead_open(&s_aead, nonce, (struct hws_span){record, HEADER_BYTES}, sealed,
                           s_plain)) {
        floor_die("a record does not open");
    }
}

static void write_all(int fd, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(fd, s_buf + done, n - done);
        if (k <= 0) {
            floor_die("write");
        }
        done += (size_t)k;
    }
}

/* Whole records, at least so many bytes of data. */
static uint64_t pour(int fd, bool sealed, uint64_t bytes)
{
    uint64_t sent = 0;

    while (sent < bytes) {
        size_t n = 0;
        while (n < HWS_TLS_UNSENT_MAX_BYTES && sent < bytes) {
            if (sealed) {
                seal(s_buf + n);
            }
            n += SEALED_BYTES;
            sent += HWS_TLS_RECORD_MAX_BYTES;
        }
        write_all(fd, n);
    }
    return sent;
}

/* A byte from the client asks for each pour. */
static void serve(int listener, const struct floor_want *want)
{
    int fd = floor_accept(listener);
    char asked = 0;

    begin(true);
    for (int i = 0; i < 2; i++) {
        if (read(fd, &asked, 1) != 1) {
            floor_die("read");
        }
        (void)pour(fd, want->sealed, i == 0 ? WARM_BYTES : want->total_bytes);
    }
    (void)read(fd, &asked, 1); /* lives until its clock has been read */
}

static uint64_t take(int fd, bool sealed, uint64_t bytes)
{
    static uint8_t in[HWS_NET_READ_BYTES + SEALED_BYTES];
    size_t have = 0;
    uint64_t got = 0;

    if (write(fd, "", 1) != 1) {
        floor_die("write");
    }
    while (got < bytes) {
        ssize_t n = read(fd, in + have, HWS_NET_READ_BYTES);
        if (n <= 0) {
            floor_die("read");
        }
        have += (size_t)n;
        size_t at = 0;
        for (; have - at >= SEALED_BYTES; at += SEALED_BYTES) {
            if (sealed) {
                open_one(in + at);
            }
            got += HWS_TLS_RECORD_MAX_BYTES;
        }
        memmove(in, in + at, have - at);
        have -= at;
    }
    return got;
}

void floor_pour(const struct floor_want *want)
{
    struct sockaddr_in address;
    pid_t child = floor_serve(serve, want, &address);
    clockid_t clock = floor_clock_of(child);
    int fd = floor_connect(&address);

    begin(false);
    (void)take(fd, want->sealed, WARM_BYTES);
    double cpu_s = floor_now_s(clock);
    double own_s = floor_now_s(CLOCK_PROCESS_CPUTIME_ID);
    double began_s = floor_now_s(CLOCK_MONOTONIC);
    double gb = (double)take(fd, want->sealed, want->total_bytes) / 1e9;
    double took_s = floor_now_s(CLOCK_MONOTONIC) - began_s;
    own_s = floor_now_s(CLOCK_PROCESS_CPUTIME_ID) - own_s;
    cpu_s = floor_now_s(clock) - cpu_s;
    (void)close(fd);
    floor_end(child);
    hws_tls_aead_deinit(&s_aead);
    (void)printf("mb_s %.1f\ncpu_s_per_gb %.4f\nrecv_cpu_s_per_gb %.4f\n", gb * 1000 / took_s,
                 cpu_s / gb, own_s / gb);
}
