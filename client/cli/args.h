/*
 * The command line: options by getopt_long behind options.def, commands by commands.def. Parsing
 * touches nothing but its arguments: values stay where argv has them.
 */
#ifndef HWS_CLI_ARGS_H
#define HWS_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define HWS_CLI_MAX_REPEATS 1024u /* -t and --set, each */

/* Which commands accept an option. */
enum hws_cli_group {
    HWS_GROUP_ALL = 0,
    HWS_GROUP_CONN = 1u << 0,
    HWS_GROUP_DEVICE = 1u << 1,
    HWS_GROUP_MUTATE = 1u << 2,
    HWS_GROUP_CONFIRM = 1u << 3,
    HWS_GROUP_APPLY = 1u << 4,
    HWS_GROUP_RAW = 1u << 5,
    HWS_GROUP_PROBE = 1u << 6,
    HWS_GROUP_DUMP = 1u << 7,
    HWS_GROUP_AUDIT = 1u << 8,
    HWS_GROUP_ROLLOUT = 1u << 9,
    HWS_GROUP_STATE = 1u << 10,
    HWS_GROUP_RESUME = 1u << 11,
    HWS_GROUP_POLICY = 1u << 13,
    HWS_GROUP_BATCH = 1u << 14,
    HWS_GROUP_TRIAL = 1u << 15,
    HWS_GROUP_FINALIZE = 1u << 16,
    HWS_GROUP_SIGN = 1u << 17,
    HWS_GROUP_LIFE = 1u << 18,
    HWS_GROUP_APPROVED = 1u << 19,
    HWS_GROUP_PIN = 1u << 28,
    HWS_GROUP_VERIFY = 1u << 29,
    HWS_GROUP_EXPORT = 1u << 30,
    HWS_GROUP_FIRMWARE = 1u << 20,
    HWS_GROUP_STOP = 1u << 21,
    HWS_GROUP_SHOW = 1u << 22,
    HWS_GROUP_ALONE = 1u << 12 /* no command's: stands instead of one */
};

enum hws_cli_option {
#define HWS_OPTION(id, name, letter, arg, group, help) HWS_OPT_##id,
#include "cli/options.def"
#undef HWS_OPTION
    HWS_N_OPTS
};

struct hws_cli;

struct hws_cli_command {
    const char *area;
    const char *name;                /* "" where the area is the command */
    int (*run)(struct hws_cli *cli); /* returns an exit code */
    unsigned groups;                 /* enum hws_cli_group bits */
    int min_args;
    int max_args;
    const char *args; /* "NAME=VALUE..." */
    const char *help;
    const char *example;
};

/* A parsed command line; everything borrowed from argv. */
struct hws_cli_args {
    const struct hws_cli_command *command; /* NULL: only help was asked for */
    const char *area;                      /* help for one area, if command is NULL; may be NULL */
    bool given[HWS_N_OPTS];
    const char *value[HWS_N_OPTS]; /* the last one given */
    const char *targets[HWS_CLI_MAX_REPEATS];
    size_t n_targets;
    const char *sets[HWS_CLI_MAX_REPEATS];
    size_t n_sets;
    char **args; /* after area and name */
    int n_args;
    bool json;
};

extern const struct hws_cli_command hws_cli_commands[];
extern const size_t hws_cli_n_commands;

/* HWS_E_INVALID with what is wrong and what is allowed. argv is reordered. Not reentrant: getopt.
 */
enum hws_code hws_cli_parse(int argc, char **argv, struct hws_cli_args *out, struct hws_err *err)
    HWS_MUST_USE;

/* An unsigned number option, or fallback if it was not given. HWS_E_INVALID names the option. */
enum hws_code hws_cli_number(const struct hws_cli_args *args, enum hws_cli_option option,
                             uint64_t max, uint64_t fallback, uint64_t *out, struct hws_err *err)
    HWS_MUST_USE;

/* Splits "NAME=VALUE": copies the name into name[cap], returns the value's place in text. NULL if
 * there is no '=' or the name is empty or too long. */
const char *hws_cli_split(const char *text, char *name, size_t cap);

/* Help for everything, an area, or one command. */
void hws_cli_help(FILE *out, const struct hws_cli_args *args);

#endif
