/*
 * What many connections of one party cost together: calls, and bytes held for them. The owner of
 * the connections keeps an account for each party (an identity, an address, everybody) and names
 * them in a connection's configuration; the engine charges all of them and stays within each.
 *
 * A call that would exceed a cap of calls is refused (REFUSED_STREAM: nothing was processed). Bytes
 * are what the peer made us buffer: messages being put together or waiting for their handler, and
 * messages that the peer does not take, from where they were made down to the transport's buffers
 * (hws_grpc_conn_transport_holds), and what the application says it holds beside that
 * (hws_grpc_call_hold). Over the cap a call that already holds more than
 * call_free_bytes may hold no more: a request ends RESOURCE_EXHAUSTED, a send answers HWS_E_BUSY.
 *
 * Plain data, one thread; it outlives its connections.
 */
#ifndef HWS_GRPC_ACCOUNT_H
#define HWS_GRPC_ACCOUNT_H

#include <stdint.h>

#define HWS_GRPC_MAX_ACCOUNTS 3u

struct hws_grpc_account {
    uint32_t max_calls; /* open at once */
    uint32_t n_calls;
    uint64_t max_held_bytes;
    uint64_t held_bytes;
    uint64_t n_calls_started; /* ever */
    uint64_t n_refused;       /* calls refused or ended for this account */
    uint64_t most_held_bytes; /* ever */
};

#endif
