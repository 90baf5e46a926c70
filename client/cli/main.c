/* The program: parse, run one command, close. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) == 1 && (no == NULL || no[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

int main(int argc, char **argv)
{
    static struct hws_cli cli; /* the repeat lists make it large for a stack */
    struct hws_err err;

    (void)signal(SIGPIPE, SIG_IGN);
    cli.errors = stderr;
    cli.errors_tty = isatty(STDERR_FILENO) == 1;
    cli.input_tty = isatty(STDIN_FILENO) == 1;
    if (hws_cli_parse(argc, argv, &cli.args, &err) != HWS_OK) {
        return hws_cli_fail(&cli, HWS_EXIT_USAGE, "%s", err.msg);
    }
    if (cli.args.given[HWS_OPT_HELP]) {
        hws_cli_help(stdout, &cli.args);
        return fflush(stdout) == 0 ? HWS_EXIT_OK : HWS_EXIT_INTERNAL;
    }
    hws_out_init(&cli.out, cli.args.json, stdout, wants_colour());
    int rc = cli.args.command->run(&cli);
    hws_cli_close(&cli);
    return rc;
}
