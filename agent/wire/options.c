/* hawser-wire's command line by getopt_long. */
#include "options.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

static const struct option table[] = {
    {"hawserd-socket", required_argument, NULL, 's'},
    {"lock", required_argument, NULL, 'l'},
    {"local-socket", required_argument, NULL, 'u'},
    {"run-dir", required_argument, NULL, 'r'},
    {"listen", required_argument, NULL, 't'},
    {"cert", required_argument, NULL, 'c'},
    {"key", required_argument, NULL, 'k'},
    {"ca", required_argument, NULL, 'a'},
    {"limit", required_argument, NULL, 'm'},
    {"limits", no_argument, NULL, 'M'},
    {"crl", required_argument, NULL, 'R'},
    {"deny", required_argument, NULL, 'D'},
    {"trust", required_argument, NULL, 'T'},
    {"records", required_argument, NULL, 'e'},
    {"check", no_argument, NULL, 'C'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

const char *hws_wire_options_help(void)
{
    return "usage: hawser-wire --hawserd-socket PATH --lock PATH --local-socket PATH --run-dir "
           "DIR\n"
           "                   [--listen ADDRESS:PORT --cert FILE --key FILE --ca FILE\n"
           "                    [--trust DOMAIN=FILE]... [--crl FILE] [--deny FILE] [--records "
           "ENGINE]]\n"
           "                   [--limit NAME=VALUE]...\n"
           "       hawser-wire --check --cert FILE --key FILE --ca FILE [--trust DOMAIN=FILE]...\n"
           "                   [--crl FILE] [--deny FILE]\n"
           "       hawser-wire --limits\n"
           "\n"
           "Serves gRPC for hawserd, which starts it: over TCP with mutual TLS only, and on a "
           "Unix\n"
           "socket of this host with peer credentials. Keeps no state but its key.\n"
           "\n"
           "      --hawserd-socket PATH  the keeper's socket; tried every 20 ms while it is away\n"
           "      --lock PATH            held for life\n"
           "      --local-socket PATH    Unix socket to serve\n"
           "      --run-dir DIR          our own folder, made if need be; `listen`, the real TCP\n"
           "                             address, is written there\n"
           "      --listen ADDRESS:PORT  port 0: the one in DIR/listen again, or any\n"
           "      --cert, --key, --ca    PEM files: our chain, its key, the CAs of callers of our "
           "domain\n"
           "      --limit NAME=VALUE     another limit than the default; may be repeated\n"
           "      --limits               lists the limits with their defaults\n"
           "      --trust DOMAIN=FILE    CAs of callers of another trust domain; may be repeated\n"
           "      --crl FILE             revocation lists of those CAs\n"
           "      --deny FILE            callers kept out: principal, serial or sha256 a line\n"
           "      --records ENGINE       who seals and opens TLS records: auto (default; the "
           "fastest\n"
           "                             here), libcrypto or mbedtls\n"
           "      --check                judges the TLS files as a start would, serves nothing; "
           "exit\n"
           "                             status 78 and one line if they are not good\n"
           "  -h, --help                 this text\n"
           "  -V, --version              version\n"
           "\n"
           "Signals: SIGTERM finishes running calls and exits 0; again: within a second.\n"
           "SIGHUP reads the certificates again; so does a change of their folders.\n"
           "Example: hawser-wire --hawserd-socket run/hawserd.sock --lock run/wire/wire.lock \\\n"
           "             --local-socket run/wire/hawser.sock --run-dir run/wire\n";
}

static bool take_records(struct hws_wire_options *o, const char *name)
{
    static const char *const names[] = {
        [HWS_TLS_RECORDS_AUTO] = "auto",
        [HWS_TLS_RECORDS_LIBCRYPTO] = "libcrypto",
        [HWS_TLS_RECORDS_MBEDTLS] = "mbedtls",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            o->records = (enum hws_tls_records_choice)i;
            return true;
        }
    }
    return false;
}

static bool take(struct hws_wire_options *o, int opt)
{
    const char **slot[128] = {
        ['s'] = &o->hawserd_socket,
        ['l'] = &o->lock,
        ['u'] = &o->local_socket,
        ['r'] = &o->run_dir,
        ['t'] = &o->listen,
        ['c'] = &o->cert,
        ['k'] = &o->key,
        ['a'] = &o->ca,
        ['R'] = &o->crl,
        ['D'] = &o->deny,
    };

    if (opt == 'h') {
        o->help = true;
        return true;
    }
    if (opt == 'V') {
        o->version = true;
        return true;
    }
    if (opt == 'M') {
        o->list_limits = true;
        return true;
    }
    if (opt == 'C') {
        o->check = true;
        return true;
    }
    if (opt == 'm' && o->n_limits < HWS_WIRE_MAX_LIMITS) {
        o->limits[o->n_limits++] = optarg;
        return true;
    }
    if (opt == 'T' && o->n_trust < HWS_TLS_MAX_TRUST && strchr(optarg, '=') != NULL) {
        o->trust[o->n_trust++] = optarg;
        return true;
    }
    if (opt == 'e') {
        return take_records(o, optarg);
    }
    if (opt <= 0 || opt >= 128 || slot[opt] == NULL) {
        return false;
    }
    *slot[opt] = optarg;
    return true;
}

enum hws_code hws_wire_options_parse(int argc, char **argv, struct hws_wire_options *out,
                                     struct hws_err *err)
{
    struct hws_wire_options o;
    int opt;

    memset(&o, 0, sizeof(o));
    o.listener = -1;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "hV", table, NULL)) != -1) {
        if (!take(&o, opt)) {
            return hws_err_set(err, HWS_E_INVALID, "bad option; see hawser-wire --help");
        }
    }
    if (optind < argc) {
        return hws_err_set(err, HWS_E_INVALID, "unexpected argument \"%.60s\"", argv[optind]);
    }
    if (o.help || o.version || o.list_limits) {
        *out = o;
        return HWS_OK;
    }
    if (o.check && (o.cert == NULL || o.key == NULL || o.ca == NULL)) {
        return hws_err_set(err, HWS_E_INVALID, "--check needs --cert, --key and --ca");
    }
    if (!o.check && (o.hawserd_socket == NULL || o.lock == NULL || o.local_socket == NULL ||
                     o.run_dir == NULL)) {
        return hws_err_set(err, HWS_E_INVALID,
                           "--hawserd-socket, --lock, --local-socket and --run-dir are needed");
    }
    if (o.listen != NULL && (o.cert == NULL || o.key == NULL || o.ca == NULL)) {
        return hws_err_set(err, HWS_E_INVALID,
                           "--listen needs --cert, --key and --ca: TCP is served with mutual TLS "
                           "only");
    }
    *out = o;
    return HWS_OK;
}
