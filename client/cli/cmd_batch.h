/* `hawser cmd --batch` and `hawser reg --batch`: JSON lines in, JSON lines out. */
#ifndef HWS_CLI_CMD_BATCH_H
#define HWS_CLI_CMD_BATCH_H

#include "cli/cli.h"

/* Runs the batch that --batch names; returns an exit code. */
int hws_cli_batch_run(struct hws_cli *cli);

#endif
