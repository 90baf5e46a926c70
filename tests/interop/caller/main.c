/*
 * hawser-interop-client: calls a grpc.testing.TestService, for tests against foreign servers.
 *
 *     hawser-interop-client --target HOST:PORT --cert FILE --key FILE --ca FILE [OPTIONS]
 *     hawser-interop-client --target unix:/SOCKET [OPTIONS]
 *
 * Options: --cases NAME,NAME (default: all), --encoding gzip|zstd, --calls N (at once in
 * concurrent_large_unary), --rpcs N and --dials N (iterations of rpc_soak and channel_soak). One
 * line a case: "pass NAME" or "fail NAME: why". Status 0 only when every case passed.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cases.h"

#define DEFAULT_CALLS 100u
#define DEFAULT_RPCS  10u
#define DEFAULT_DIALS 10u
#define MAX_COUNT     1000000u

static const struct {
    const char *name;
    bool (*run)(struct rig *rig);
    bool by_name; /* only when it is named */
} cases[] = {
#define INTEROP_CASE(name)       {#name, case_##name, false},
#define INTEROP_HTTP2_CASE(name) {#name, case_##name, true},
#include "cases.def"
#undef INTEROP_HTTP2_CASE
#undef INTEROP_CASE
};

struct options {
    struct interop_files files;
    const char *target;
    const char *cases; /* NULL: all */
    const char *encoding;
    uint64_t n_calls;
    uint64_t n_rpcs;
    uint64_t n_dials;
};

static bool wanted(const char *list, const char *name, bool by_name)
{
    size_t n = strlen(name);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0')) {
            return true;
        }
    }
    return list == NULL && !by_name;
}

static int run_case(struct rig *rig, size_t i)
{
    rig->why[0] = '\0';
    bool ok = (rig->open || rig_connect(rig)) && cases[i].run(rig);
    (void)printf("%s %s%s%s\n", ok ? "pass" : "fail", cases[i].name, ok ? "" : ": ", rig->why);
    (void)fflush(stdout);
    if (!ok) {
        rig_disconnect(rig); /* the next case begins anew */
    }
    return ok ? 0 : 1;
}

static int parse(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        const char **text;
        uint64_t *number;
    } known[] = {
        {"--target", &o->target, NULL}, {"--cert", &o->files.cert, NULL},
        {"--key", &o->files.key, NULL}, {"--ca", &o->files.ca, NULL},
        {"--cases", &o->cases, NULL},   {"--encoding", &o->encoding, NULL},
        {"--calls", NULL, &o->n_calls}, {"--rpcs", NULL, &o->n_rpcs},
        {"--dials", NULL, &o->n_dials},
    };
    const size_t n = sizeof(known) / sizeof(known[0]);

    *o = (struct options){.encoding = "gzip",
                          .n_calls = DEFAULT_CALLS,
                          .n_rpcs = DEFAULT_RPCS,
                          .n_dials = DEFAULT_DIALS};
    for (int at = 1; at < argc; at += 2) {
        size_t i = 0;
        while (i < n && strcmp(known[i].name, argv[at]) != 0) {
            i++;
        }
        if (i == n || at + 1 == argc) {
            return -1;
        }
        if (known[i].text != NULL) {
            *known[i].text = argv[at + 1];
        } else if (hws_str_to_u64(argv[at + 1], MAX_COUNT, known[i].number, NULL) != HWS_OK) {
            return -1;
        }
    }
    return o->target != NULL ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct rig rig;
    struct options o;
    struct hws_err err;
    int failed = 0;

    if (parse(argc, argv, &o) != 0) {
        (void)fprintf(stderr, "usage: hawser-interop-client --target HOST:PORT --cert FILE --key "
                              "FILE --ca FILE [--cases NAMES] [--calls N] [--rpcs N] [--dials N]\n"
                              "       hawser-interop-client --target unix:/SOCKET ...\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    rig.target = o.target;
    rig.encoding = hws_grpc_encoding_parse((const uint8_t *)o.encoding, strlen(o.encoding));
    if (rig.encoding == HWS_GRPC_N_ENCODINGS) {
        (void)fprintf(stderr, "hawser-interop-client: encoding %s\n", o.encoding);
        return 2;
    }
    rig.n_calls = (uint32_t)o.n_calls;
    rig.n_rpcs = (uint32_t)o.n_rpcs;
    rig.n_dials = (uint32_t)o.n_dials;
    enum hws_code code = uv_loop_init(&rig.loop) == 0
                             ? hws_net_init(&rig.net, &rig.loop, &err)
                             : hws_err_set(&err, HWS_E_IO, "no event loop");
    if (code == HWS_OK) {
        code = hws_tls_rng_open(&rig.rng, &err);
    }
    if (code == HWS_OK && o.files.cert != NULL) {
        code = interop_bundle_load(rig.rng, &o.files, &rig.bundle, &err);
    }
    if (code != HWS_OK) {
        (void)fprintf(stderr, "hawser-interop-client: %s\n", err.msg);
        return 1;
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        failed += wanted(o.cases, cases[i].name, cases[i].by_name) ? run_case(&rig, i) : 0;
    }
    rig_disconnect(&rig);
    hws_tls_bundle_unref(rig.bundle);
    hws_tls_rng_free(rig.rng);
    hws_net_deinit(&rig.net);
    (void)uv_loop_close(&rig.loop);
    return failed == 0 ? 0 : 1;
}
