/*
 * Many commands on their way to one agent at once, over CommandService.ExecuteStream, and what came
 * of each, in the order in which they were added. Nothing that was added is lost: whatever becomes
 * of the connection, each slot ends with an outcome.
 *
 *     open -> [ add -> queue | add (ended by the caller) ]* , turn, [ head -> pop ]* -> close
 *
 * What happens when it goes wrong: a connection that cannot be made at first, or not again before
 * the oldest command's time is over: that one and all later ones are NOT_SENT. A stream that
 * breaks: what was sent on it and not answered is UNKNOWN, unless the agent surely never saw it; a
 * new stream carries the rest. Ctrl-C: what was not sent is not sent any more, what was is waited
 * for; a second Ctrl-C gives up on that, too: UNKNOWN.
 *
 * One thread, the loop's. Callers are told by turn only; there are no callbacks.
 */
#ifndef HWS_CLI_PIPELINE_H
#define HWS_CLI_PIPELINE_H

#include "cli/cli.h"

#define HWS_CLI_PIPELINE_WINDOW   32u   /* commands at once: what the agent takes of one stream */
#define HWS_CLI_PIPELINE_GRACE_MS 2000u /* past a deadline, for the agent's own word about it */
#define HWS_CLI_PIPELINE_ID_BYTES 65    /* with NUL */

enum hws_cli_outcome {
    HWS_CLI_OUTCOME_NONE, /* not ended yet */
    HWS_CLI_OUTCOME_OK,
    HWS_CLI_OUTCOME_REFUSED,  /* by agent or device; what the card did not execute, or said no to */
    HWS_CLI_OUTCOME_UNKNOWN,  /* it may have run */
    HWS_CLI_OUTCOME_NOT_SENT, /* it surely did not run */
    HWS_CLI_OUTCOME_SKIPPED,
    HWS_CLI_OUTCOME_INVALID
};

/* "ok", "refused", ... */
const char *hws_cli_outcome_name(enum hws_cli_outcome outcome);

struct hws_cli_slot {
    size_t line;                                /* the caller's */
    char *tag;                                  /* the caller's, owned; may be NULL */
    void *asked;                                /* the caller's: json_t, owned; may be NULL */
    char request_id[HWS_CLI_PIPELINE_ID_BYTES]; /* the caller's */
    enum hws_cli_outcome outcome;               /* NONE: it is on its way */
    enum hws_client_code code;                  /* of what ended it */
    Hawser__V1__Stage stage;                    /* what the card saw; UNSPECIFIED: not known */
    char message[HWS_CLIENT_MESSAGE_BYTES];     /* why it is not OK */
    Hawser__V1__ExecuteResponse *answer;        /* owned; NULL: there is none */
    Hawser__V1__ExecuteStreamRequest *to_send;  /* owned; inside */
    bool sent;                                  /* inside */
    uint64_t deadline_ms;                       /* inside */
};

struct hws_cli_pipeline {
    struct hws_cli *cli;
    struct hws_cli_host *host;
    struct hws_cli_slot slots[HWS_CLI_PIPELINE_WINDOW]; /* a ring: n from first */
    size_t first;
    size_t n;
    uint64_t next_tag; /* of the first slot on the wire; the others' follow */
    struct hws_client_call call;
    bool streaming;                      /* call is on loan */
    bool ever;                           /* something was sent once */
    uint64_t retry_ms;                   /* pause before the next stream; 0 = none yet */
    uint64_t not_before;                 /* the next stream begins then */
    char gone[HWS_CLIENT_MESSAGE_BYTES]; /* why nothing is sent any more; empty: it is */
    enum hws_client_code gone_code;
    unsigned n_interrupts;
    uv_timer_t timer;
    uv_signal_t signal;
    unsigned n_handles; /* not closed yet */
};

/* HWS_EXIT_OK, or an exit code that has been told. host is borrowed; it is connected. */
int hws_cli_pipeline_open(struct hws_cli_pipeline *p, struct hws_cli_host *host);

/* The next slot, all zero; NULL if the window is full. It holds the window until popped. */
struct hws_cli_slot *hws_cli_pipeline_add(struct hws_cli_pipeline *p);

/* Sends the request (copied) when its turn comes; timeout_ms from now. The slot ends by itself. */
void hws_cli_pipeline_queue(struct hws_cli_pipeline *p, struct hws_cli_slot *slot,
                            Hawser__V1__ExecuteRequest *request, uint32_t timeout_ms);

/* Ends a slot. */
void hws_cli_pipeline_end(struct hws_cli_slot *slot, enum hws_cli_outcome outcome,
                          enum hws_client_code code, const char *message);

/* The oldest slot if it has ended, NULL if not. */
struct hws_cli_slot *hws_cli_pipeline_head(struct hws_cli_pipeline *p);
void hws_cli_pipeline_pop(struct hws_cli_pipeline *p);

/* Sends what may be sent and waits for one event of the loop. */
void hws_cli_pipeline_turn(struct hws_cli_pipeline *p);

/* Ends the stream and closes the handles; every slot has been popped. Accepts a zeroed one. */
void hws_cli_pipeline_close(struct hws_cli_pipeline *p);

#endif
