/* Who an adapter is, from replies written by hand. */
#include <string.h>

#include "fake_ctl.h"
#include "hca/identity.h"
#include "test.h"

struct card {
    struct hws_fake_ctl fake;
    uint8_t mgir[0xA0];
    uint8_t msgi[0x80];
    uint8_t paos[2][0x10];
    uint8_t ptys[2][0x40];
    uint8_t index[2][4];
};

static struct card card;

static void set_up(void)
{
    struct card *c = &card;
    memset(c, 0, sizeof(*c));
    hws_fake_init(&c->fake);
    c->mgir[0x05] = 2;
    c->mgir[0x0A] = 0x02;
    c->mgir[0x0B] = 0x18;
    c->mgir[0x12] = 0xB8; /* base MAC b8:ce:f6:00:00:10 */
    c->mgir[0x13] = 0xCE;
    c->mgir[0x14] = 0xF6;
    c->mgir[0x17] = 0x10;
    c->mgir[0x1F] = 77;
    memcpy(c->mgir + 0x30, "MT_0000000834", 13);
    c->mgir[0x47] = 28;
    c->mgir[0x4B] = 43;
    c->mgir[0x4E] = 0x07;
    c->mgir[0x4F] = 0xD6;
    memcpy(c->msgi, "MT2216X01234", 12);
    memcpy(c->msgi + 0x20, "MCX755106AS-HEA_Ax", 18);
    memcpy(c->msgi + 0x38, "A7", 2);
    memcpy(c->msgi + 0x40, "ConnectX-7 adapter card", 23);
    hws_fake_add_reg(&c->fake, 0x9020, c->mgir, sizeof(c->mgir));
    hws_fake_add_reg(&c->fake, 0x9021, c->msgi, sizeof(c->msgi));
    for (uint8_t p = 0; p < 2; p++) {
        c->index[p][1] = (uint8_t)(p + 1);
        c->paos[p][1] = (uint8_t)(p + 1);
        c->paos[p][2] = 1;
        c->paos[p][3] = p == 0 ? 1 : 2;
        c->ptys[p][1] = (uint8_t)(p + 1);
        c->ptys[p][0x22] = 0x10; /* ext eth oper bit 12: 200G x4 */
        hws_fake_add_indexed_reg(&c->fake, 0x5006, c->index[p], 2, c->paos[p], 0x10);
        hws_fake_add_indexed_reg(&c->fake, 0x5004, c->index[p], 2, c->ptys[p], 0x40);
    }
}

static enum hws_step identify(struct hws_hca_identify *id)
{
    struct hws_ctl_call call = {0};
    enum hws_step step;

    hws_hca_identify_init(id);
    while ((step = hws_hca_identify_next(id, 1000, &call)) == HWS_STEP_CALL) {
        assert_int_equal(call.deadline_ms, 1000 + HWS_HCA_CMD_TIMEOUT_MS);
        hws_fake_answer(&card.fake, &call);
        hws_hca_identify_feed(id, &call);
    }
    return step;
}

static void the_facts_of_a_two_port_card_are_read(void **state)
{
    (void)state;
    struct hws_hca_identify id;
    set_up();

    assert_int_equal(identify(&id), HWS_STEP_DONE);

    assert_string_equal(id.identity.device_name, "ConnectX-7");
    assert_string_equal(id.identity.part_number, "MCX755106AS-HEA_Ax");
    assert_string_equal(id.identity.product_name, "ConnectX-7 adapter card");
    assert_string_equal(id.identity.serial, "MT2216X01234");
    assert_string_equal(id.identity.revision, "A7");
    assert_string_equal(id.identity.psid, "MT_0000000834");
    assert_string_equal(id.identity.fw_version, "28.43.2006");
    assert_int_equal(id.identity.hw_dev_id, 0x218);
    assert_true(id.identity.base_mac == UINT64_C(0xB8CEF6000010));
    assert_int_equal(id.identity.uptime_s, 77);
    assert_int_equal(id.identity.n_ports, 2);
    assert_int_equal(id.identity.ports[0].link, HWS_HCA_LINK_UP);
    assert_true(id.identity.ports[0].admin_up);
    assert_string_equal(id.identity.ports[0].speed, "200G x4");
    assert_int_equal(id.identity.ports[1].number, 2);
    assert_int_equal(id.identity.ports[1].link, HWS_HCA_LINK_DOWN);
    assert_string_equal(id.identity.ports[1].speed, "");
    assert_int_equal(
        card.fake.n_calls,
        6); /* a port that is up and Ethernet, or down, is not asked about InfiniBand */
}

static void an_infiniband_port_shows_rate_and_width(void **state)
{
    (void)state;
    struct hws_hca_identify id;
    set_up();
    card.ptys[0][0x22] = 0;
    card.ptys[0][0x29] = 0x04; /* width 4x */
    card.ptys[0][0x2B] = 0x40; /* HDR */

    assert_int_equal(identify(&id), HWS_STEP_DONE);

    assert_string_equal(id.identity.ports[0].speed, "HDR 4x");
}

static void old_firmware_gives_its_short_version(void **state)
{
    (void)state;
    struct hws_hca_identify id;
    set_up();
    memset(card.mgir + 0x44, 0, 12);
    card.mgir[0x21] = 16;
    card.mgir[0x22] = 35;
    card.mgir[0x23] = 4;

    assert_int_equal(identify(&id), HWS_STEP_DONE);

    assert_string_equal(id.identity.fw_version, "16.35.0004");
}

static void a_refused_port_register_leaves_that_port_unknown_with_a_reason(void **state)
{
    (void)state;
    struct hws_hca_identify id;
    set_up();
    card.fake.n_regs = 2;
    hws_fake_refuse_reg(&card.fake, 0x5006, 4);
    hws_fake_refuse_reg(&card.fake, 0x5004, 4);

    assert_int_equal(identify(&id), HWS_STEP_DONE);

    assert_int_equal(id.identity.ports[0].link, HWS_HCA_LINK_UNKNOWN);
    assert_non_null(strstr(id.identity.ports[0].reason, "PTYS"));
    assert_string_equal(id.identity.serial, "MT2216X01234");
}

static void replies_that_cannot_be_are_refused_naming_the_field(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        char where; /* g MGIR, s MSGI, p PAOS */
        const char *says;
    } cases[] = {
        {0x05, 0, 'g', "num_ports"}, {0x05, 200, 'g', "num_ports"}, {0x31, 0x80, 'g', "psid"},
        {0x00, 0, 's', "serial"},    {0x45, 0x01, 's', "product"},  {0x01, 7, 'p', "local_port"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_hca_identify id;
        set_up();
        uint8_t *b = cases[i].where == 'g'   ? card.mgir
                     : cases[i].where == 's' ? card.msgi
                                             : card.paos[0];
        b[cases[i].at] = cases[i].value;

        assert_int_equal(identify(&id), HWS_STEP_FAILED);

        assert_code(id.err.code, HWS_E_PROTO);
        if (strstr(id.err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s", i, id.err.msg);
        }
    }
}

static void every_failure_at_every_call_ends_it_with_that_error_and_stage(void **state)
{
    (void)state;
    static const struct {
        enum hws_fake_fault fault;
        enum hws_stage stage;
    } faults[] = {{HWS_FAKE_NOT_SENT, HWS_STAGE_NOT_SENT},
                  {HWS_FAKE_REJECTED, HWS_STAGE_REJECTED},
                  {HWS_FAKE_REFUSED, HWS_STAGE_EXECUTED},
                  {HWS_FAKE_UNKNOWN, HWS_STAGE_UNKNOWN},
                  {HWS_FAKE_SHORT, HWS_STAGE_UNKNOWN}};
    for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
        for (size_t k = 0; k < 6; k++) {
            struct hws_hca_identify id;
            set_up();
            card.fake.fault = faults[f].fault;
            card.fake.fail_at = k;
            card.fake.n_fail = 1;

            assert_int_equal(identify(&id), HWS_STEP_FAILED);

            assert_int_equal(id.err.stage, faults[f].stage);
            assert_int_equal(card.fake.n_calls, k + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts_of_a_two_port_card_are_read),
        cmocka_unit_test(an_infiniband_port_shows_rate_and_width),
        cmocka_unit_test(old_firmware_gives_its_short_version),
        cmocka_unit_test(a_refused_port_register_leaves_that_port_unknown_with_a_reason),
        cmocka_unit_test(replies_that_cannot_be_are_refused_naming_the_field),
        cmocka_unit_test(every_failure_at_every_call_ends_it_with_that_error_and_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
