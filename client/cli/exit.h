/* Exit codes: one class of error each, at most twelve. */
#ifndef HWS_CLI_EXIT_H
#define HWS_CLI_EXIT_H

#include "hawser.h"

enum hws_exit {
#define HWS_EXIT(name, number, text) HWS_EXIT_##name = (number),
#include "cli/exits.def"
#undef HWS_EXIT
    HWS_N_EXITS
};

/* The class of a call's end. */
enum hws_exit hws_cli_exit_of(const struct hws_client_status *status);

/* What the code means; "?" out of range. */
const char *hws_cli_exit_text(enum hws_exit code);

#endif
