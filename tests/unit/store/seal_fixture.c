/* What the programs of signed logs share. */
#include "seal_fixture.h"

#include <string.h>

struct hws_signer s_key;
struct hws_signer s_next;

int setup(void **state)
{
    if (fixture_setup(state) != 0 || hws_signer_new(&s_key, NULL) != HWS_OK ||
        hws_signer_new(&s_next, NULL) != HWS_OK) {
        return -1;
    }
    struct fixture *f = *state;
    f->options.signer = &s_key;
    f->options.host = "host-a";
    fixture_reopen(f);
    return 0;
}

int teardown(void **state)
{
    int rc = fixture_teardown(state);

    hws_signer_deinit(&s_key);
    hws_signer_deinit(&s_next);
    return rc;
}

void fill(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[32];
        (void)hws_str_print(text, sizeof(text), "record %u", i);
        assert_code(fixture_append(f, text), HWS_OK);
    }
}

struct hws_checkpoint take_checkpoint(struct fixture *f)
{
    struct hws_store_checkpoint r;
    struct hws_err err;

    hws_store_checkpoint_init(&r);
    assert_ok(hws_store_run(f->store, &r.job, &err), &err);
    struct hws_checkpoint c = r.checkpoint;
    hws_store_job_deinit(&r.job);
    return c;
}

struct verdict check_as(struct fixture *f, const struct hws_checkpoint *pin, uint64_t max_unsigned,
                        const struct hws_signer *by)
{
    struct hws_log_check c;
    struct hws_err err;

    hws_log_check_init(&c);
    c.max_unsigned = max_unsigned;
    c.has_key = by != NULL;
    if (by != NULL) {
        assert_ok(hws_signer_public(by, &c.must_be_by, &err), &err);
    }
    struct verdict v = {.code = hws_store_check_file(f->path, pin, &c, &err)};
    v.bad_seq = c.bad_seq;
    (void)hws_str_copy(v.fault, sizeof(v.fault), c.fault == NULL ? "" : c.fault);
    v.signed_seq = c.signed_seq;
    v.first_seq = c.first_seq;
    v.last_seq = c.last_seq;
    hws_log_check_deinit(&c);
    return v;
}

struct verdict check(struct fixture *f, const struct hws_checkpoint *pin)
{
    return check_as(f, pin, 0, NULL);
}

enum hws_code rotate(struct fixture *f, const struct hws_signer *next)
{
    struct hws_store_rotate r;

    hws_store_rotate_init(&r);
    r.next = next;
    r.unix_ms = 77;
    return hws_store_run(f->store, &r.job, NULL);
}
