/* The functions of commands.def. Each returns an exit code and has printed what there is to say. */
#ifndef HWS_CLI_COMMANDS_H
#define HWS_CLI_COMMANDS_H

#include "cli/args.h"

#define HWS_COMMAND(area, name, fn, groups, min, max, args, help, example)                         \
    int fn(struct hws_cli *cli);
#include "cli/commands.def"
#undef HWS_COMMAND

#endif
