/* hawserd's command line by getopt_long. */
#include "hawserd/options.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"run-dir", required_argument, NULL, 'r'},
    {"state-dir", required_argument, NULL, 's'},
    {"bin-dir", required_argument, NULL, 'b'},
    {"supervise", no_argument, NULL, 'S'},
    {"no-spawn", no_argument, NULL, 'n'},
    {"new-audit-key", no_argument, NULL, 'K'},
    {"check", no_argument, NULL, 'C'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static bool take(struct hws_options *o, int opt)
{
    switch (opt) {
    case 'c':
        o->config = optarg;
        return true;
    case 'r':
        o->run_dir = optarg;
        return true;
    case 's':
        o->state_dir = optarg;
        return true;
    case 'b':
        o->bin_dir = optarg;
        return true;
    case 'S':
        o->supervise = true;
        return true;
    case 'n':
        o->no_spawn = true;
        return true;
    case 'K':
        o->new_audit_key = true;
        return true;
    case 'C':
        o->check = true;
        return true;
    case 'h':
        o->help = true;
        return true;
    case 'V':
        o->version = true;
        return true;
    default:
        return false;
    }
}

enum hws_code hws_options_parse(int argc, char **argv, struct hws_options *out, struct hws_err *err)
{
    struct hws_options o;
    int opt;

    memset(&o, 0, sizeof(o));
    optind = 0; /* glibc: start over, so that tests may parse many */
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
        if (!take(&o, opt)) {
            const char *what = optind > 0 && optind <= argc ? argv[optind - 1] : "?";
            return hws_err_set(err, HWS_E_INVALID, "bad option \"%.60s\"; see hawserd --help",
                               what);
        }
    }
    if (optind < argc) {
        return hws_err_set(err, HWS_E_INVALID, "unexpected argument \"%.60s\"; see hawserd --help",
                           argv[optind]);
    }
    if (o.config == NULL && !o.help && !o.version) {
        return hws_err_set(err, HWS_E_INVALID, "--config FILE is required; see hawserd --help");
    }
    *out = o;
    return HWS_OK;
}

const char *hws_options_help(void)
{
    return "usage: hawserd --config FILE [options]\n"
           "\n"
           "Keeps one host's adapters: policy, ledger, audit, scheduling. Starts hawser-wire\n"
           "(network) and hawser-emu or hawser-dev (device) and restarts what dies.\n"
           "\n"
           "  -c, --config FILE    agent configuration (YAML)\n"
           "      --run-dir DIR    sockets and locks, instead of run_dir of the file\n"
           "      --state-dir DIR  database and spool, instead of state_dir of the file\n"
           "      --bin-dir DIR    where the other programs are; default: beside hawserd\n"
           "      --supervise      be the parent that restarts hawserd when it dies\n"
           "      --no-spawn       a service manager starts the other processes\n"
           "      --new-audit-key  make the key that the audit log changes to at the next reload "
           "or\n"
           "                       start, print its public half, then exit\n"
           "      --check          judge configuration, policy and the files they name, then exit\n"
           "  -h, --help           this text\n"
           "  -V, --version        version\n"
           "\n"
           "Signals: SIGTERM drains and exits 0; SIGHUP reads the policy file again.\n"
           "Exit status: 0 done, 2 usage, 3 configuration, 4 failure.\n"
           "Example: hawserd --config /etc/hawser/agent.yaml --supervise\n";
}
