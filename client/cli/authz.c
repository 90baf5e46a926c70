/* A policy file and a question about it. */
#include "cli/authz.h"

#include <string.h>
#include <time.h>

#include "client/file.h"
#include "link/methods.h"

enum hws_code hws_cli_authz_load(const char *path, struct hws_policy **out, struct hws_err *err)
{
    struct hws_policy_method known[HWS_N_METHODS];
    struct hws_buf text;

    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        known[i].path = hws_method_at(i)->path;
        known[i].permission = hws_method_at(i)->permission;
    }
    hws_buf_init(&text, HWS_POLICY_MAX_BYTES + 1);
    enum hws_code rc = hws_file_read(path, &text, err);
    if (rc == HWS_OK) {
        rc = hws_policy_load(hws_buf_peek(&text), hws_buf_len(&text), path, known, HWS_N_METHODS,
                             out, err);
    }
    hws_buf_deinit(&text);
    return rc;
}

static enum hws_code check(const Hawser__V1__ProbeRequest *q, struct hws_err *err)
{
    if (q->principal[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "principal is required");
    }
    if (hws_method_find(q->method, strlen(q->method)) == NULL) {
        return hws_err_set(err, HWS_E_INVALID,
                           "no method \"%.100s\": give e.g. /hawser.v1.ConfigService/Apply",
                           q->method);
    }
    if (q->n_fields > HWS_CLI_AUTHZ_MAX_FIELDS) {
        return hws_err_set(err, HWS_E_INVALID, "fields: %zu of them (limit %u)", q->n_fields,
                           HWS_CLI_AUTHZ_MAX_FIELDS);
    }
    return HWS_OK;
}

enum hws_code hws_cli_authz_ask(const Hawser__V1__ProbeRequest *q, struct hws_cli_authz *out,
                                struct hws_err *err)
{
    enum hws_code rc = check(q, err);

    if (rc != HWS_OK) {
        return rc;
    }
    for (size_t i = 0; i < q->n_fields; i++) {
        out->fields[i] = q->fields[i];
    }
    const struct hws_method *row = hws_method_find(q->method, strlen(q->method));
    out->req = (struct hws_policy_request){
        .principal = q->principal,
        .path = row->path,
        .permission = row->permission,
        .effect = (enum hws_effect)q->effect,
        .fields = out->fields,
        .n_fields = q->n_fields,
        .raw = q->raw,
        .unix_s = q->unix_s != 0 ? q->unix_s : (uint64_t)time(NULL),
        .approved = q->approved,
        .holds_lock = q->holds_lock,
    };
    hws_policy_device(q->device, &out->device, &out->req);
    out->req.device.part = q->part;
    out->req.device.psid = q->psid;
    return hws_policy_object(q->target, out->target, sizeof(out->target), &out->req, err);
}
