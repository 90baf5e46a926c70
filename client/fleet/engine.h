/*
 * The fleet engine: drives a rollout (lib/core/rollout) against real agents. Each adapter in flight
 * has one connection and one call at a time: plan   list the host's adapters, choose, ask for the
 * plan apply  under the rollout's request id and fence check  the adapter's state, then the plan
 * again: nothing left to write means it reads back as wanted Journal records go to disk before the
 * actions that follow from them.
 *
 * What is safe to repeat is repeated while an agent cannot be reached, for HWS_FLEET_PATIENCE_MS;
 * an apply is repeated only if the agent surely never saw it.
 *
 * Thread rule: one thread, the loop's. Everything in the options is borrowed until closed.
 */
#ifndef HWS_FLEET_ENGINE_H
#define HWS_FLEET_ENGINE_H

#include <uv.h>

#include "fleet/journal.h"
#include "hawser.h"
#include "rollout/rollout.h"

#define HWS_FLEET_PATIENCE_MS  10000u /* reaching an agent, for what is safe to repeat */
#define HWS_FLEET_RETRY_MS     250u
#define HWS_FLEET_CHECK_MS     5000u /* one health check */
#define HWS_FLEET_REASON_BYTES 257   /* with NUL; longer ones are cut */
#define HWS_FLEET_ROLE         "operator"

struct hws_fleet_options {
    uv_loop_t *loop;
    struct hws_rollout *rollout;       /* started or resumed */
    struct hws_fleet_journal *journal; /* attached to the loop */
    struct hws_client_creds *creds;    /* NULL if every target is a Unix socket */
    const char *server_identity;       /* NULL: the default */
    const char *reason;       /* for audit records, after the rollout's name; may be NULL */
    uint32_t call_timeout_ms; /* 0 = the library's default */
    void (*changed)(void *data,
                    size_t member); /* an adapter's state may have changed; may be NULL */
    /* Once: the rollout has finished (err NULL), or the journal failed and nothing more may be
     * done. */
    void (*finished)(void *data, const struct hws_err *err);
    void *data;
};

struct hws_fleet_work;

struct hws_fleet {
    struct hws_fleet_options o;
    struct hws_fleet_work **work; /* owned; one for each member, NULL while it has none */
    uv_timer_t timer;
    size_t n_work;
    bool journaling;
    bool ended; /* finished was told */
    bool closing;
    bool timer_open;
    bool pumping;
    void (*closed)(void *data);
    void *closed_data;
};

/* Begins. HWS_E_NOMEM, HWS_E_IO; then there is nothing to close. */
enum hws_code hws_fleet_open(struct hws_fleet *f, const struct hws_fleet_options *options,
                             struct hws_err *err) HWS_MUST_USE;

/* Nothing new starts; what is in flight ends; then finished. */
void hws_fleet_pause(struct hws_fleet *f, const char *reason);

/* Drops what is in flight (the journal knows) and frees everything; closed once, from the loop. */
void hws_fleet_close(struct hws_fleet *f, void (*closed)(void *data), void *data);

#endif
