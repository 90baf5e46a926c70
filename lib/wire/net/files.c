/* PEM files into a bundle. */
#include "net/files.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/net.h"

struct text { /* of one file; room for one byte more than may be there */
    uint8_t *bytes;
    size_t n;
};

static enum hws_code read_file(const char *path, struct text *out, struct hws_err *err)
{
    FILE *f = fopen(path, "rbe");

    if (f == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "%.200s cannot be opened", path);
    }
    out->bytes = hws_mem_alloc(HWS_TLS_PEM_MAX_BYTES + 1);
    out->n = out->bytes == NULL ? 0 : fread(out->bytes, 1, HWS_TLS_PEM_MAX_BYTES + 1, f);
    bool failed = ferror(f) != 0;
    (void)fclose(f);
    if (out->bytes == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "%.200s", path);
    }
    if (failed) {
        return hws_err_set(err, HWS_E_IO, "%.200s cannot be read", path);
    }
    return out->n <= HWS_TLS_PEM_MAX_BYTES
               ? HWS_OK
               : hws_err_set(err, HWS_E_INVALID, "%.200s has more than %zu bytes", path,
                             HWS_TLS_PEM_MAX_BYTES);
}

enum hws_code hws_net_files_bundle(struct hws_tls_rng *rng, const struct hws_net_files *files,
                                   struct hws_tls_bundle **out_bundle, struct hws_err *err)
{
    const char *const paths[] = {files->cert, files->key, files->ca};
    struct text texts[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    enum hws_code code = HWS_OK;

    for (size_t i = 0; code == HWS_OK && i < 3; i++) {
        code = read_file(paths[i], &texts[i], err);
    }
    if (code == HWS_OK) {
        const struct hws_tls_pem pem = {.cert = {texts[0].bytes, texts[0].n},
                                        .key = {texts[1].bytes, texts[1].n},
                                        .ca = {texts[2].bytes, texts[2].n},
                                        .allow_tls12 = files->allow_tls12};
        code = hws_tls_bundle_new(rng, &pem, hws_net_now_s(), out_bundle, err);
    }
    for (size_t i = 0; i < 3; i++) {
        hws_mem_free_secret(texts[i].bytes, texts[i].n);
    }
    return code;
}
