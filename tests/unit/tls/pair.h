/* Two ends of TLS joined in memory, and bundles from minted certificates. */
#ifndef HWS_TESTS_PAIR_H
#define HWS_TESTS_PAIR_H

#include "base/buf.h"
#include "mint.h"
#include "tls/conn.h"

struct hws_pair {
    struct hws_tls_conn server;
    struct hws_tls_conn client;
};

/* Both ends in their handshake at at_s; expect is the client's, may be NULL. */
void hws_pair_init(struct hws_pair *p, struct hws_tls_bundle *server, struct hws_tls_bundle *client,
                   uint64_t at_s, const char *expect);
void hws_pair_deinit(struct hws_pair *p);

/* Moves what `from` has to `to`; plaintext that comes out is appended to got (may be NULL). */
enum hws_code hws_pair_move(struct hws_tls_conn *from, struct hws_tls_conn *to,
                            struct hws_buf *got);

/* Runs the handshake until both have nothing more to say. */
void hws_pair_shake(struct hws_pair *p);

/* The clock of certificates. */
uint64_t hws_pair_now_s(void);

/* A bundle of minted certificates: chain[0] is the leaf, cas are believed. */
enum hws_code hws_pair_bundle(struct hws_tls_rng *rng, const struct hws_mint *const *chain,
                              size_t n_chain, const struct hws_mint *const *cas, size_t n_cas,
                              struct hws_tls_bundle **out, struct hws_err *err);

/* The record engine of the bundles made from now on; AUTO at first. */
extern enum hws_tls_records_choice hws_pair_records;

#endif
