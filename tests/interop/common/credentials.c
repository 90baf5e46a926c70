/* Three PEM files into a bundle. */
#include "credentials.h"

#include <stdio.h>

#include "base/buf.h"
#include "net/net.h"

static enum hws_code read_file(const char *path, struct hws_buf *out, struct hws_err *err)
{
    uint8_t *space = NULL;
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "cannot read %s", path);
    }
    enum hws_code code = hws_buf_reserve(out, HWS_TLS_PEM_MAX_BYTES, &space);
    if (code == HWS_OK) {
        hws_buf_commit(out, fread(space, 1, HWS_TLS_PEM_MAX_BYTES, f));
    }
    (void)fclose(f);
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "%s", path);
}

static struct hws_span span_of(const struct hws_buf *b)
{
    return (struct hws_span){hws_buf_peek(b), hws_buf_len(b)};
}

enum hws_code interop_bundle_load(struct hws_tls_rng *rng, const struct interop_files *files,
                                  struct hws_tls_bundle **out_bundle, struct hws_err *err)
{
    struct hws_buf cert = {0};
    struct hws_buf key = {0};
    struct hws_buf ca = {0};
    enum hws_code code = read_file(files->cert, &cert, err);

    if (code == HWS_OK) {
        code = read_file(files->key, &key, err);
    }
    if (code == HWS_OK) {
        code = read_file(files->ca, &ca, err);
    }
    if (code == HWS_OK) {
        const struct hws_tls_pem pem = {
            .cert = span_of(&cert), .key = span_of(&key), .ca = span_of(&ca), .allow_tls12 = true};
        code = hws_tls_bundle_new(rng, &pem, hws_net_now_s(), out_bundle, err);
    }
    hws_buf_deinit(&cert);
    hws_buf_deinit(&key);
    hws_buf_deinit(&ca);
    return code;
}
