/* What a caller calls an adapter, and what he hears of one that is not there, or not there yet. */
#include <string.h>

#include "base/str.h"
#include "hawserd/device.h"
#include "test.h"

#define N 2u

struct host {
    struct hws_ctl_ipc_adapter ports[N];
    struct hws_adapter adapters[N];
    struct hws_devices devices;
};

/* The first n of two adapters have been announced, of n_promised, and are identified. */
static void make(struct host *h, size_t n, size_t n_promised)
{
    static const char *const pcis[N] = {"0000:3b:00.0", "0000:5e:00.0"};

    memset(h, 0, sizeof(*h));
    h->devices.greeted = true;
    h->devices.n_promised = n_promised;
    for (size_t i = 0; i < n; i++) {
        struct hws_adapter *a = &h->adapters[i];
        hws_str_copy(h->ports[i].pci, sizeof(h->ports[i].pci), pcis[i]);
        hws_str_print(a->identity.serial, sizeof(a->identity.serial), "SN%zu", i);
        hws_str_print(a->id, sizeof(a->id), "mlx5:SN%zu@%s", i, pcis[i]);
        a->port = &h->ports[i];
        a->known = true;
        a->state = HWS_DEVICE_READY;
        h->devices.adapters[h->devices.n++] = a;
    }
}

static void expect(const struct host *h, const char *text, enum hws_code code, const char *said)
{
    struct hws_adapter *a;
    struct hws_err err;

    assert_int_equal(hws_devices_find(&h->devices, text, &a, &err), code);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.msg, said));
    assert_true(code != HWS_E_GONE || err.stage == HWS_STAGE_NOT_SENT);
}

static void an_adapter_has_three_names(void **state)
{
    static const char *const names[] = {"mlx5:SN1@0000:5e:00.0", "0000:5e:00.0", "SN1"};
    struct host h;
    (void)state;

    make(&h, 2, 2);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct hws_adapter *a = NULL;
        struct hws_err err;
        assert_ok(hws_devices_find(&h.devices, names[i], &a, &err), &err);
        assert_ptr_equal(a, &h.adapters[1]);
    }
}

static void names_that_cannot_mean_one_adapter(void **state)
{
    struct host h;
    (void)state;

    make(&h, 2, 2);
    expect(&h, "", HWS_E_INVALID, "this host has mlx5:SN0@0000:3b:00.0, mlx5:SN1@0000:5e:00.0");
    expect(&h, "SN2", HWS_E_NOT_FOUND, "mlx5:SN0@0000:3b:00.0, mlx5:SN1@0000:5e:00.0");
    hws_str_copy(h.adapters[1].identity.serial, sizeof(h.adapters[1].identity.serial), "SN0");
    expect(&h, "SN0", HWS_E_INVALID, "several adapters");
    make(&h, 0, 0);
    expect(&h, "SN0", HWS_E_NOT_FOUND, "this host has none");
}

static void what_is_not_announced_yet_is_unavailable_not_missing(void **state)
{
    struct host h;
    struct hws_err err;
    (void)state;

    make(&h, 0, 0);
    h.devices.greeted = false;
    expect(&h, "0000:5e:00.0", HWS_E_GONE, "not told yet");
    assert_int_equal(hws_devices_all_told(&h.devices, &err), HWS_E_GONE);
    make(&h, 1, 2);
    expect(&h, "0000:5e:00.0", HWS_E_GONE, "not told yet");
    assert_int_equal(hws_devices_all_told(&h.devices, &err), HWS_E_GONE);
    make(&h, 2, 2);
    assert_ok(hws_devices_all_told(&h.devices, &err), &err);
}

static void what_is_not_identified_yet_is_unavailable_not_missing(void **state)
{
    static const enum hws_device_state waiting[] = {HWS_DEVICE_STARTING, HWS_DEVICE_STUCK,
                                                    HWS_DEVICE_GONE};
    struct host h;
    (void)state;

    make(&h, 2, 2);
    h.adapters[1].known = false;
    hws_str_copy(h.adapters[1].reason, sizeof(h.adapters[1].reason), "the reason");
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
        h.adapters[1].state = waiting[i];
        expect(&h, "SN1", HWS_E_GONE, "the adapter at 0000:5e:00.0 is");
        expect(&h, "SN1", HWS_E_GONE, "the reason");
    }
    h.adapters[1].state = HWS_DEVICE_FAILED; /* nothing more is to be expected of it */
    expect(&h, "SN1", HWS_E_NOT_FOUND, "no device \"SN1\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_has_three_names),
        cmocka_unit_test(names_that_cannot_mean_one_adapter),
        cmocka_unit_test(what_is_not_announced_yet_is_unavailable_not_missing),
        cmocka_unit_test(what_is_not_identified_yet_is_unavailable_not_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
