/* A rollout's plan from the command line: --file first, then what the options say. */
#ifndef HWS_CLI_ROLLOUT_MAKE_H
#define HWS_CLI_ROLLOUT_MAKE_H

#include "cli/cli.h"
#include "rollout/plan.h"

/* Fills *plan (initialised here) and checks it, without an id. A plan that neither --name nor the
 * file names is called `unnamed`; NULL: it must have a name. Adapters of --device all are asked
 * for, so agents are reached then. On failure the error is told and *plan is empty. */
int hws_cli_rollout_make(struct hws_cli *cli, const char *unnamed, struct hws_rollout_plan *plan);

/* A random id and the election of this run. */
int hws_cli_rollout_name_it(struct hws_cli *cli, struct hws_rollout_plan *plan);

/* --state-dir, or the default, into dst[cap]. */
int hws_cli_state_dir(struct hws_cli *cli, char *dst, size_t cap);

#endif
