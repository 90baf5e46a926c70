/* What main() calls: the keeper from its configuration to its exit status. */
#ifndef HWS_HAWSERD_ENTRY_H
#define HWS_HAWSERD_ENTRY_H

#include "base/err.h"
#include "hawserd/config.h"
#include "hawserd/options.h"

/* Judges what the configuration names (the policy file) without starting anything. */
enum hws_code hws_agent_check(const struct hws_config *config, struct hws_err *err) HWS_MUST_USE;

/* Runs the keeper to its end; returns the exit status for main. */
int hws_agent_run(const struct hws_config *config, const struct hws_options *options);

#endif
