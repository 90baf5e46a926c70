/* A client of OpenSSL's libssl with whatever certificate, at the door of a server of ours. */
#ifndef HWS_TESTS_STRANGER_H
#define HWS_TESTS_STRANGER_H

#include "mint.h"
#include "tls/conn.h"

struct hws_pair_stranger {
    struct hws_tls_conn conn; /* ours, after the handshake */
    struct ssl_ctx_st *ctx;
    struct ssl_st *ssl;
};

/* The client speaks TLS 1.2 or 1.3, shows chain (leaf first) and believes every server. */
void hws_pair_stranger_meet(struct hws_pair_stranger *s, struct hws_tls_bundle *server, bool tls13,
                            const struct hws_mint *const *chain, size_t n);
void hws_pair_stranger_part(struct hws_pair_stranger *s);

#endif
