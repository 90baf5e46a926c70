/* PEM files into a bundle. */
#include "net/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"

#define N_INPUTS 3
static const char *const inputs[N_INPUTS] = {"cert", "key", "ca"}; /* as a bundle's errors begin */

struct text { /* of one file; room for one byte more than may be there */
    uint8_t *bytes;
    size_t n;
};

static enum hws_code read_file(const char *path, struct text *out, struct hws_err *err)
{
    FILE *f = fopen(path, "rbe");

    if (f == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "%.160s cannot be opened: %s", path,
                           uv_strerror(uv_translate_sys_error(errno)));
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

/* A bundle's error says which input is wrong: here it is a file. */
static void name_file(enum hws_code code, const char *const *paths, struct hws_err *err)
{
    for (size_t i = 0; code != HWS_OK && err != NULL && i < N_INPUTS; i++) {
        size_t n = strlen(inputs[i]);
        if (hws_str_starts(err->msg, inputs[i]) && err->msg[n] == ':') {
            (void)hws_err_wrap(err, "%.100s", paths[i]);
            return;
        }
    }
}

enum hws_code hws_net_files_bundle(struct hws_tls_rng *rng, const struct hws_net_files *files,
                                   struct hws_tls_bundle **out_bundle, struct hws_err *err)
{
    const char *const paths[N_INPUTS] = {files->cert, files->key, files->ca};
    struct text texts[N_INPUTS] = {{NULL, 0}};
    enum hws_code code = HWS_OK;

    for (size_t i = 0; code == HWS_OK && i < N_INPUTS; i++) {
        code = read_file(paths[i], &texts[i], err);
        if (code != HWS_OK) {
            (void)hws_err_wrap(err, "%s", inputs[i]);
        }
    }
    if (code == HWS_OK) {
        const struct hws_tls_pem pem = {.cert = {texts[0].bytes, texts[0].n},
                                        .key = {texts[1].bytes, texts[1].n},
                                        .ca = {texts[2].bytes, texts[2].n},
                                        .allow_tls12 = files->allow_tls12};
        code = hws_tls_bundle_new(rng, &pem, hws_net_now_s(), out_bundle, err);
        name_file(code, paths, err);
    }
    for (size_t i = 0; i < N_INPUTS; i++) {
        hws_mem_free_secret(texts[i].bytes, texts[i].n);
    }
    return code;
}
