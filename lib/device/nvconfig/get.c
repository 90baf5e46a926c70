/*
 * Parameters in their four images: choose, read, show.
 *
 * Failures: an unknown or repeated name before any I/O; what the reader ends with.
 */
#include "nvconfig/get.h"

#include <string.h>

#include "base/str.h"
#include "nvconfig/plan_priv.h"

enum hws_code hws_nv_choose(const char *const *names, size_t n_names, uint8_t *chosen,
                            size_t *out_n, struct hws_err *err)
{
    bool seen[HWS_NV_MAX_PARAMS] = {false};

    if (names == NULL || n_names == 0) {
        for (size_t i = 0; i < hws_nv_param_count(); i++) {
            chosen[i] = (uint8_t)i;
        }
        *out_n = hws_nv_param_count();
        return HWS_OK;
    }
    if (n_names > hws_nv_param_count()) {
        return hws_err_set(err, HWS_E_INVALID, "%zu parameters named, there are %zu", n_names,
                           hws_nv_param_count());
    }
    for (size_t i = 0; i < n_names; i++) {
        const struct hws_nv_param *p = NULL;
        enum hws_code rc = hws_nv_param_find(names[i], &p, err);
        if (rc != HWS_OK) {
            return rc;
        }
        size_t idx = hws_nv_param_idx(p);
        if (seen[idx]) {
            return hws_err_set(err, HWS_E_INVALID, "%s is named twice", p->name);
        }
        seen[idx] = true;
        chosen[i] = (uint8_t)idx;
    }
    *out_n = n_names;
    return HWS_OK;
}

enum hws_code hws_nv_get_init(struct hws_nv_get *get, const char *const *names, size_t n_names,
                              struct hws_err *err)
{
    memset(get, 0, sizeof(*get));
    hws_nv_reader_init(&get->reader);
    get->timeout_ms = get->reader.timeout_ms;
    enum hws_code rc = hws_nv_choose(names, n_names, get->chosen, &get->n_values, err);
    for (size_t i = 0; rc == HWS_OK && i < get->n_values; i++) {
        get->reader.records[hws_nv_param_at(get->chosen[i])->field.tlv_idx].wanted = true;
    }
    return rc;
}

enum hws_step hws_nv_get_next(struct hws_nv_get *get, uint64_t now_ms, struct hws_ctl_call *call)
{
    get->reader.timeout_ms = get->timeout_ms;
    enum hws_step step = hws_nv_reader_next(&get->reader, now_ms, call);
    if (step == HWS_STEP_FAILED) {
        get->err = get->reader.err;
    }
    if (step == HWS_STEP_DONE && hws_nv_reader_revision(&get->reader, &get->revision) != HWS_OK) {
        (void)hws_err_set(&get->err, HWS_E_NOMEM, "revision");
        return HWS_STEP_FAILED;
    }
    return step;
}

void hws_nv_get_feed(struct hws_nv_get *get, const struct hws_ctl_call *call)
{
    hws_nv_reader_feed(&get->reader, call);
}

void hws_nv_get_value(const struct hws_nv_get *get, size_t idx, struct hws_nv_value *out)
{
    const struct hws_nv_param *p = hws_nv_param_at(get->chosen[idx]);
    const struct hws_nv_record *rec = &get->reader.records[p->field.tlv_idx];

    memset(out, 0, sizeof(*out));
    out->param = p;
    out->max = hws_nv_reader_max(&get->reader, p);
    out->supported = hws_nv_reader_supports(&get->reader, p, out->reason, sizeof(out->reason));
    if (!out->supported) {
        return;
    }
    out->read_only = !rec->writable;
    if (rec->has[HWS_NV_FACTORY]) {
        hws_nv_reader_text(p, rec->data[HWS_NV_FACTORY], out->default_value);
    }
    if (rec->has[HWS_NV_NEXT]) {
        hws_nv_reader_text(p, rec->data[HWS_NV_NEXT], out->next_boot);
        (void)hws_str_copy(out->stored, sizeof(out->stored), out->next_boot);
    }
    if (rec->has[HWS_NV_CURRENT]) {
        hws_nv_reader_text(p, rec->data[HWS_NV_CURRENT], out->running);
        out->pending = !hws_str_eq(out->running, out->next_boot);
    }
}
