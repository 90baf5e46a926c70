/* hawser-wire's command line; hawserd writes it. */
#ifndef HWS_WIRE_OPTIONS_H
#define HWS_WIRE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "tls/bundle.h"

#define HWS_WIRE_MAX_LIMITS 64u

struct hws_wire_options {
    const char *hawserd_socket; /* all borrowed from argv; required */
    const char *lock;           /* required */
    const char *local_socket;   /* required */
    const char *run_dir;        /* required */
    const char *listen;         /* "address:port"; NULL = no TCP */
    int listener;               /* a socket that the service manager listens on; -1 = none. Not an
                                   option: main's */
    const char *cert;           /* PEM files; required with listen */
    const char *key;
    const char *ca;
    const char *limits[HWS_WIRE_MAX_LIMITS]; /* "name=value" */
    size_t n_limits;
    bool list_limits;
    const char *crl;                      /* NULL = none */
    const char *deny;                     /* NULL = none */
    const char *trust[HWS_TLS_MAX_TRUST]; /* "domain=file" */
    size_t n_trust;
    enum hws_tls_records_choice records; /* --records */
    bool check;                          /* judge the TLS files, and no more */
    bool help;
    bool version;
};

/* HWS_E_INVALID with a text for stderr. */
enum hws_code hws_wire_options_parse(int argc, char **argv, struct hws_wire_options *out,
                                     struct hws_err *err) HWS_MUST_USE;

/* The text of --help. */
const char *hws_wire_options_help(void);

#endif
