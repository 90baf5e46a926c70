/* What a connection costs the parties that share its accounts. */
#include "grpc/account.h"

#include "session_priv.h"

static void refuse(struct hws_grpc_conn *conn, struct hws_grpc_account *a)
{
    a->n_refused++;
    conn->stats->over_account++;
}

bool hws_grpc__account_take_call(struct hws_grpc_conn *conn)
{
    struct hws_grpc_account *const *all = conn->cfg.accounts;

    for (unsigned i = 0; i < HWS_GRPC_MAX_ACCOUNTS; i++) {
        if (all[i] != NULL && all[i]->n_calls >= all[i]->max_calls) {
            refuse(conn, all[i]);
            return false;
        }
    }
    for (unsigned i = 0; i < HWS_GRPC_MAX_ACCOUNTS; i++) {
        if (all[i] != NULL) {
            all[i]->n_calls++;
            all[i]->n_calls_started++;
        }
    }
    return true;
}

void hws_grpc__account_give_call(struct hws_grpc_conn *conn)
{
    for (unsigned i = 0; i < HWS_GRPC_MAX_ACCOUNTS; i++) {
        if (conn->cfg.accounts[i] != NULL) {
            conn->cfg.accounts[i]->n_calls--;
        }
    }
}

void hws_grpc__account_sync(struct hws_grpc_conn *conn)
{
    size_t holds = conn->recv_bytes + conn->unsent_bytes + conn->app_bytes + conn->out.n_bytes +
                   conn->transport_bytes;

    if (holds == conn->charged_bytes) {
        return;
    }
    for (unsigned i = 0; i < HWS_GRPC_MAX_ACCOUNTS; i++) {
        struct hws_grpc_account *a = conn->cfg.accounts[i];
        if (a != NULL) {
            a->held_bytes = a->held_bytes - conn->charged_bytes + holds;
            a->most_held_bytes =
                a->held_bytes > a->most_held_bytes ? a->held_bytes : a->most_held_bytes;
        }
    }
    conn->charged_bytes = holds;
}

bool hws_grpc__account_full(const struct hws_grpc_call *call)
{
    const struct hws_grpc_conn *conn = call->conn;

    if (call->counted + call->tx.n_bytes + call->app_bytes <= conn->cfg.limits.call_free_bytes) {
        return false;
    }
    for (unsigned i = 0; i < HWS_GRPC_MAX_ACCOUNTS; i++) {
        const struct hws_grpc_account *a = conn->cfg.accounts[i];
        if (a != NULL && a->held_bytes > a->max_held_bytes) {
            return true;
        }
    }
    return false;
}
