/* hawserd's command line: what it may say, and the texts of --help and --version. */
#ifndef HWS_HAWSERD_OPTIONS_H
#define HWS_HAWSERD_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"

/* Exit statuses of hawserd; the supervisor restarts on everything but these first three. */
enum hws_exit {
    HWS_EXIT_OK = 0,
    HWS_EXIT_USAGE = 2,  /* the command line */
    HWS_EXIT_CONFIG = 3, /* the configuration, or another keeper holds the run folder */
    HWS_EXIT_FAILED = 4  /* anything else; a restart may help */
};

struct hws_options {
    const char *config;    /* borrowed from argv; required */
    const char *run_dir;   /* overrides the file's; may be NULL */
    const char *state_dir; /* overrides the file's; may be NULL */
    const char *bin_dir;   /* where hawser-wire, hawser-emu and hawser-dev are; NULL = beside us */
    bool supervise;        /* be the parent that only restarts hawserd */
    bool no_spawn;         /* a service manager starts the other processes */
    bool new_audit_key;    /* make the audit key to change to, then exit */
    bool check;            /* judge configuration and policy, then exit */
    bool help;
    bool version;
};

/* HWS_E_INVALID with a text for stderr. */
enum hws_code hws_options_parse(int argc, char **argv, struct hws_options *out, struct hws_err *err)
    HWS_MUST_USE;

/* The text of --help. */
const char *hws_options_help(void);

#endif
