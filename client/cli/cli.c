/* Errors, confirmation, mutations and the end of a run. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/str.h"

#define LINE_BYTES 1600

int hws_cli_fail(struct hws_cli *cli, enum hws_exit code, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list args;

    if (cli->error_told) {
        return (int)code;
    }
    cli->error_told = true;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    for (char *p = line; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    (void)fprintf(cli->errors, "hawser: %s\n", line);
    return (int)code;
}

int hws_cli_fail_err(struct hws_cli *cli, const struct hws_err *err)
{
    static const enum hws_exit classes[HWS_N_CODES] = {
        [HWS_E_INVALID] = HWS_EXIT_INVALID,     [HWS_E_NOT_FOUND] = HWS_EXIT_NOT_FOUND,
        [HWS_E_EXISTS] = HWS_EXIT_STATE,        [HWS_E_DENIED] = HWS_EXIT_DENIED,
        [HWS_E_STATE] = HWS_EXIT_STATE,         [HWS_E_CONFLICT] = HWS_EXIT_STATE,
        [HWS_E_BUSY] = HWS_EXIT_INVALID,        [HWS_E_NOMEM] = HWS_EXIT_INTERNAL,
        [HWS_E_TIMEOUT] = HWS_EXIT_UNKNOWN,     [HWS_E_CANCELED] = HWS_EXIT_STATE,
        [HWS_E_UNSUPPORTED] = HWS_EXIT_INVALID, [HWS_E_PROTO] = HWS_EXIT_DIGEST,
        [HWS_E_DEVICE] = HWS_EXIT_DEVICE,       [HWS_E_GONE] = HWS_EXIT_UNAVAILABLE,
        [HWS_E_IO] = HWS_EXIT_INTERNAL,
    };
    enum hws_exit code = (unsigned)err->code < HWS_N_CODES ? classes[err->code] : HWS_EXIT_INTERNAL;

    return hws_cli_fail(cli, code == HWS_EXIT_OK ? HWS_EXIT_INTERNAL : code, "%s", err->msg);
}

/* What a person can do next; text holds cap bytes for it. */
static const char *advice(const struct hws_cli *cli, const struct hws_client_status *status,
                          char *text, size_t cap)
{
    switch (hws_cli_exit_of(status)) {
    case HWS_EXIT_DENIED:
        return "; see hawser agent whoami and hawser authz probe";
    case HWS_EXIT_UNAVAILABLE:
        if (status->from_agent) {
            return strstr(status->message, "try again") != NULL ? "" : "; try again shortly";
        }
        /* A peer that answered and was refused needs no such question: its text says why. */
        return strstr(status->message, "connect to ") != NULL ||
                       strstr(status->message, "resolve ") != NULL
                   ? "; is the agent running and reachable?"
                   : "";
    case HWS_EXIT_UNKNOWN:
        if (cli->request_id[0] == '\0') {
            return status->code == HWS_CLIENT_DEADLINE_EXCEEDED ? "; give more time with --timeout"
                                                                : "";
        }
        (void)hws_str_print(text, cap,
                            "; the same again with --request-id %s tells, and does not do it twice",
                            cli->request_id);
        return text;
    case HWS_EXIT_NOT_FOUND:
        return strstr(status->message, "has no row in the command table") != NULL
                   ? "; see hawser reg list"
                   : "";
    case HWS_EXIT_OK:
    case HWS_EXIT_INTERNAL:
    case HWS_EXIT_USAGE:
    case HWS_EXIT_INVALID:
    case HWS_EXIT_STATE:
    case HWS_EXIT_DEVICE:
    case HWS_EXIT_DIGEST:
    case HWS_EXIT_PARTIAL:
    case HWS_N_EXITS:
        break;
    }
    return "";
}

int hws_cli_fail_status(struct hws_cli *cli, const char *host,
                        const struct hws_client_status *status)
{
    char device[64] = "";
    char next[160];

    if (status->stage == HAWSER__V1__STAGE__STAGE_EXECUTED) {
        (void)hws_str_print(device, sizeof(device), " (status 0x%x, syndrome 0x%x)",
                            status->fw_status, status->syndrome);
    }
    return hws_cli_fail(cli, hws_cli_exit_of(status), "%s%s%s: %s%s%s", host != NULL ? host : "",
                        host != NULL ? ": " : "", hws_client_code_name(status->code),
                        status->message, device, advice(cli, status, next, sizeof(next)));
}

static int exit_of_failures(struct hws_cli *cli, size_t n_failed)
{
    const struct hws_client_status *first = NULL;
    bool same = true;

    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        if (!h->failed) {
            continue;
        }
        first = first == NULL ? &h->status : first;
        same = same && hws_cli_exit_of(&h->status) == hws_cli_exit_of(first);
    }
    if (first == NULL || n_failed < cli->n_hosts || !same) {
        return hws_cli_fail(cli, HWS_EXIT_PARTIAL, "%zu of %zu hosts failed", n_failed,
                            cli->n_hosts);
    }
    return hws_cli_fail(cli, hws_cli_exit_of(first), "all %zu hosts failed: %s: %s", cli->n_hosts,
                        hws_client_code_name(first->code), first->message);
}

int hws_cli_finish(struct hws_cli *cli)
{
    struct hws_err err;
    size_t n_failed = 0;

    for (size_t i = 0; i < cli->n_hosts; i++) {
        n_failed += cli->hosts[i].failed ? 1 : 0;
    }
    bool only = cli->n_hosts == 1 && n_failed == 1;
    if (only && !cli->hosts[0].shown && !hws_out_has_document(&cli->out)) {
        return hws_cli_fail_status(cli, cli->hosts[0].name, &cli->hosts[0].status);
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        if (cli->hosts[i].failed && (!only || hws_out_is_json(&cli->out))) {
            hws_out_failure(&cli->out, cli->hosts[i].name, &cli->hosts[i].status);
        }
    }
    if (cli->n_hosts > 1) {
        hws_out_summary(&cli->out, cli->n_hosts - n_failed, n_failed);
    }
    if (hws_out_end(&cli->out, &err) != HWS_OK) {
        return hws_cli_fail_err(cli, &err);
    }
    if (only) {
        return hws_cli_fail_status(cli, cli->hosts[0].name, &cli->hosts[0].status);
    }
    return n_failed == 0 ? HWS_EXIT_OK : exit_of_failures(cli, n_failed);
}

bool hws_cli_confirm(struct hws_cli *cli, const char *question, int *out_exit)
{
    char answer[16];

    if (cli->args.given[HWS_OPT_YES]) {
        return true;
    }
    if (!cli->input_tty) {
        *out_exit = hws_cli_fail(cli, HWS_EXIT_USAGE,
                                 "this changes adapters: give --yes, or run it on a terminal");
        return false;
    }
    (void)fprintf(cli->errors, "%s [y/N] ", question);
    (void)fflush(cli->errors);
    if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y')) {
        return true;
    }
    *out_exit = hws_cli_fail(cli, HWS_EXIT_STATE, "not confirmed: nothing was changed");
    return false;
}

int hws_cli_mutation(struct hws_cli *cli, struct hws_cli_mutation *out)
{
    uint8_t random[16];
    struct timespec now;
    struct hws_err err;
    uint64_t election = 0;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (hws_cli_number(&cli->args, HWS_OPT_ELECTION, UINT64_MAX, now_ns, &election, &err) !=
        HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "%s", err.msg);
    }
    hawser__v1__mutation__init(&out->mutation);
    hawser__v1__fence__init(&out->fence);
    out->fence.role = hws_cli_str("operator");
    out->fence.election_low = election;
    out->mutation.fence = &out->fence;
    out->mutation.request_id = out->request_id;
    if (cli->args.given[HWS_OPT_REASON]) {
        out->mutation.reason = hws_cli_str(cli->args.value[HWS_OPT_REASON]);
    }
    if (cli->args.given[HWS_OPT_REQUEST_ID]) {
        out->mutation.request_id = hws_cli_str(cli->args.value[HWS_OPT_REQUEST_ID]);
        (void)hws_str_copy(cli->request_id, sizeof(cli->request_id), out->mutation.request_id);
        return HWS_EXIT_OK;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return hws_cli_fail(cli, HWS_EXIT_INTERNAL, "no random numbers: %s", strerror(errno));
    }
    memcpy(out->request_id, "cli-", 4);
    hws_hex_encode(random, sizeof(random), out->request_id + 4);
    (void)hws_str_copy(cli->request_id, sizeof(cli->request_id), out->request_id);
    return HWS_EXIT_OK;
}
