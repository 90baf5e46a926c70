/* Credentials: three PEM files as one TLS bundle with the random source it needs. */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/creds_priv.h"
#include "client/file.h"
#include "client/status_priv.h"

/* Which of the three files the bundle's error is about: it begins with "cert", "key" or "ca". */
static size_t at_fault(const struct hws_err *err)
{
    if (hws_str_starts(err->msg, "ca:")) {
        return 2;
    }
    return hws_str_starts(err->msg, "key:") ? 1 : 0;
}

static enum hws_code load(struct hws_client_creds *creds, const char *const paths[3],
                          struct hws_buf bufs[3], struct hws_err *err)
{
    struct hws_span spans[3];
    struct timespec now;

    for (int i = 0; i < 3; i++) {
        enum hws_code rc = hws_file_read(paths[i], &bufs[i], err);
        if (rc != HWS_OK) {
            return rc;
        }
        spans[i] = (struct hws_span){hws_buf_peek(&bufs[i]), hws_buf_len(&bufs[i])};
    }
    enum hws_code rc = hws_tls_rng_open(&creds->rng, err);
    if (rc != HWS_OK) {
        return rc;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    /* TLS 1.3 is offered where the library has it, and 1.2 for agents whose library has only that.
     */
    const struct hws_tls_pem pem = {
        .cert = spans[0], .key = spans[1], .ca = spans[2], .allow_tls12 = true};
    rc = hws_tls_bundle_new(creds->rng, &pem, (uint64_t)now.tv_sec, &creds->bundle, err);
    return rc == HWS_OK ? HWS_OK : hws_err_wrap(err, "%.160s", paths[at_fault(err)]);
}

enum hws_client_code hws_client_creds_new(const char *cert_file, const char *key_file,
                                          const char *ca_file, struct hws_client_creds **out,
                                          struct hws_client_status *status)
{
    const char *const paths[3] = {cert_file, key_file, ca_file};
    struct hws_client_creds *creds = hws_mem_zalloc(1, sizeof(*creds));
    struct hws_buf bufs[3];
    struct hws_err err;

    if (creds == NULL) {
        return hws_client__fail(status, HWS_CLIENT_RESOURCE_EXHAUSTED, "out of memory");
    }
    creds->n_refs = 1;
    for (int i = 0; i < 3; i++) {
        hws_buf_init(&bufs[i], HWS_TLS_PEM_MAX_BYTES);
    }
    enum hws_code rc = load(creds, paths, bufs, &err);
    for (int i = 0; i < 3; i++) {
        if (bufs[i].bytes != NULL) {
            hws_mem_wipe(bufs[i].bytes, bufs[i].cap); /* one of them holds the key */
        }
        hws_buf_deinit(&bufs[i]);
    }
    if (rc != HWS_OK) {
        hws_client_creds_unref(creds);
        return hws_client__fail_err(status, &err);
    }
    *out = creds;
    return HWS_CLIENT_OK;
}

struct hws_client_creds *hws_client__creds_ref(struct hws_client_creds *creds)
{
    creds->n_refs++;
    return creds;
}

void hws_client_creds_unref(struct hws_client_creds *creds)
{
    if (creds == NULL || --creds->n_refs > 0) {
        return;
    }
    hws_tls_bundle_unref(creds->bundle);
    hws_tls_rng_free(creds->rng);
    hws_mem_free(creds);
}

const char *hws_client_creds_principal(const struct hws_client_creds *creds)
{
    return hws_tls_bundle_self(creds->bundle)->principal;
}

enum hws_code hws_client__creds_agent_identity(const struct hws_client_creds *creds, char *dst,
                                               size_t cap, struct hws_err *err)
{
    static const char scheme[] = "spiffe://";
    const char *self = hws_client_creds_principal(creds);
    const char *path = hws_str_starts(self, scheme) ? strchr(self + sizeof(scheme) - 1, '/') : NULL;

    if (path == NULL) {
        return hws_err_set(err, HWS_E_INVALID,
                           "our certificate has no SPIFFE ID (it is %.120s): say which identity "
                           "the agent must have (--server-identity)",
                           self);
    }
    if (!hws_str_print(dst, cap, "%.*s/agent/", (int)(path - self), self)) {
        return hws_err_set(err, HWS_E_INVALID, "our certificate's trust domain is too long");
    }
    return HWS_OK;
}
