/*
 * One run of the program: its arguments, the hosts it talks to, its output. A command connects,
 * asks every host at once, waits, prints in host order, finishes.
 *
 *     hws_cli_connect -> [hws_cli_devices] -> hws_cli_ask for each host -> hws_cli_wait -> rows ->
 * hws_cli_finish
 *
 * A host that failed stays out of later steps and is told of by hws_cli_finish. One thread.
 */
#ifndef HWS_CLI_CLI_H
#define HWS_CLI_CLI_H

#include <uv.h>

#include "cli/args.h"
#include "cli/exit.h"
#include "cli/out.h"

#define HWS_CLI_NAME_BYTES   65 /* with NUL */
#define HWS_CLI_DEVICE_BYTES 97 /* with NUL */
#define HWS_CLI_MAX_HOSTS    16384u

struct hws_cli_host {
    struct hws_cli *cli; /* borrowed */
    char name[HWS_CLI_NAME_BYTES];
    char target[HWS_CLIENT_TARGET_BYTES];
    char device[HWS_CLI_DEVICE_BYTES]; /* empty until chosen */
    struct hws_client *client;         /* owned */
    struct hws_client_call call;       /* the latest; its response stays until the next ask */
    struct hws_client_status status;   /* why it failed */
    bool failed;
    bool asked;        /* a call is on loan */
    bool may_change;   /* and it carries a mutation: if it is lost, what it did is not known */
    bool shown;        /* it failed, and its answer is in the document all the same */
    bool streamed;     /* a message of the followed stream has come since it was begun */
    uint64_t last_seq; /* audit tail: the latest record seen */
    /* Of a followed stream: the request that goes on where it ended; NULL: not followed. */
    const ProtobufCMessage *(*resume)(struct hws_cli_host *host);
    ProtobufCMessage *kept; /* owned: an answer a command wants beside the latest; may be NULL */
};

struct hws_cli {
    struct hws_cli_args args;
    struct hws_out out;
    FILE *errors;    /* stderr; a test's own */
    bool errors_tty; /* progress bars and prompts */
    bool input_tty;
    uv_loop_t loop;
    bool loop_open;
    struct hws_client_creds *creds;
    struct hws_cli_host *hosts; /* owned */
    size_t n_hosts;
    size_t n_asked;  /* calls on loan */
    size_t n_open;   /* clients not closed yet */
    bool error_told; /* the one line on stderr is out */
    /* Ctrl-C while calls are waited for cancels them; another one ends the program. */
    uv_signal_t interrupt;
    bool interrupt_open;
    bool interrupted;
    char request_id[65]; /* of the change that was asked for last; empty: none */
};

/* One line on stderr, once; control characters become '?'. Returns code. */
int hws_cli_fail(struct hws_cli *cli, enum hws_exit code, const char *fmt, ...) HWS_PRINTF(3, 4);

/* The same from an error of ours: the code's class chooses the exit code. */
int hws_cli_fail_err(struct hws_cli *cli, const struct hws_err *err);

/* The same from a call's end, with the host's name (may be NULL) and what to do next. */
int hws_cli_fail_status(struct hws_cli *cli, const char *host,
                        const struct hws_client_status *status);

/* Makes the host list from -t, --inventory or the environment, without connecting. */
int hws_cli_find_hosts(struct hws_cli *cli);

/* The loop, and the credentials if a target needs them. */
int hws_cli_prepare(struct hws_cli *cli, bool tcp);

/* True if the target is reached over TCP. */
bool hws_cli_is_tcp(const char *target);

/* find_hosts, prepare, and one client a host. Nothing is dialled before the first ask. */
int hws_cli_connect(struct hws_cli *cli);

/* --timeout, or 30 s. HWS_EXIT_INVALID is told. */
int hws_cli_timeout(struct hws_cli *cli, uint32_t *out_ms);

/* The options for a client of this run; target and identity are borrowed from cli. */
void hws_cli_client_options(const struct hws_cli *cli, const char *target, uint32_t timeout_ms,
                            struct hws_client_options *out);

/* Chooses each host's adapter: --device, the inventory's, or the only one there is. */
void hws_cli_devices(struct hws_cli *cli);

/* Starts a call on one host; frees the answer before. No effect on a failed host. */
void hws_cli_ask(struct hws_cli_host *host, const struct hws_client_method *method,
                 const ProtobufCMessage *request);

/* hws_cli_ask for a stream; endless: no deadline unless --timeout was given. */
void hws_cli_stream(struct hws_cli_host *host, const struct hws_client_method *method,
                    const ProtobufCMessage *request,
                    void (*message)(struct hws_client_call *call, const ProtobufCMessage *message),
                    bool endless);

/*
 * Follows an endless stream: when it ends UNAVAILABLE after it had begun, one line says so on
 * stderr and it is begun again, with what resume returns (read at once), until the agent is back.
 * --timeout makes it end instead.
 */
void hws_cli_follow(struct hws_cli_host *host, const struct hws_client_method *method,
                    const ProtobufCMessage *(*resume)(struct hws_cli_host *host),
                    void (*message)(struct hws_client_call *call, const ProtobufCMessage *message));

/* Runs the loop until every call has ended; failed ones mark their host. */
void hws_cli_wait(struct hws_cli *cli);

/* The answer of a host that did not fail. */
#define hws_cli_answer(host, Type) ((const Hawser__V1__##Type *)(host)->call.response)

/* Marks a host as failed by this side. */
void hws_cli_host_fail(struct hws_cli_host *host, enum hws_client_code code, const char *fmt, ...)
    HWS_PRINTF(3, 4);

/* Failed hosts, the summary (for more than one host), the output; returns the exit code. One host
 * that failed: its error on stderr, and on stdout nothing but the answer of a device that refused;
 * a JSON document has it as a failure, too. */
int hws_cli_finish(struct hws_cli *cli);

/* Closes everything; accepts a half-made one. */
void hws_cli_close(struct hws_cli *cli);

/* True for a yes: --yes, or an answer at the terminal. Otherwise *out_exit is what to return. */
bool hws_cli_confirm(struct hws_cli *cli, const char *question, int *out_exit);

/* Fence, request_id and reason for a mutating request. The structs point into each other: do not
 * copy. */
struct hws_cli_mutation {
    Hawser__V1__Mutation mutation;
    Hawser__V1__Fence fence;
    char request_id[40];
};
int hws_cli_mutation(struct hws_cli *cli, struct hws_cli_mutation *out);

/* protobuf-c's strings are not const; it does not write to them. */
static inline char *hws_cli_str(const char *s)
{
    return (char *)(uintptr_t)s;
}

#define HWS_CLI_N_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
