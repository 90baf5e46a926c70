/* The card of the nvconfig tests; types, sizes and bits are written by hand from the documents. */
#include "nv_card.h"

#include <string.h>

#include "test.h"

void nv_card_init(struct hws_fake_ctl *card)
{
    static const struct {
        uint32_t type;
        uint8_t n_bytes;
    } plain[] = {
        {0x0C, 16},      {0x0E, 20},       {0x06, 4},       {0x84, 4},        {0x117, 16},
        {0x111, 4},      {0x11D, 8},       {0x01010107, 4}, {0x0101010A, 12}, {0x0101018E, 4},
        {KEEP1_TYPE, 4}, {0x01010192, 12}, {0x01020107, 4}, {0x0102010A, 12}, {0x0102018E, 4},
        {0x01020190, 4}, {0x01020192, 12}, {0x03000010, 4}, {PF_TYPE, 16},    {0x03000112, 4},
        {0x03000195, 4}, {0x03000221, 4},  {0x07000080, 4}, {0x07000082, 4},
    };
    static const uint8_t pci[12] = {0x80, 0, 0, 0, 0x80, 0x00, 0x00, 0x08};
    static const uint8_t pci_cap[20] = {0x80, 0, 0, 0, 0x80, 0x00, 0x00, 0x7F};
    static const uint8_t soft[8] = {0, 0, 0x01, 0};
    static const uint8_t link[4] = {0, 0, 0, 0x04};

    hws_fake_init(card);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        (void)hws_fake_add_record(card, plain[i].type, plain[i].n_bytes, NULL);
    }
    (void)hws_fake_add_record(card, PCI_TYPE, 12, pci);
    hws_fake_add_record(card, PCI_CAP_TYPE, 20, pci_cap)->writable = false;
    (void)hws_fake_add_record(card, SOFT_TYPE, 8, soft);
    hws_fake_add_record(card, 0x10B, 4, soft)->writable = false;
    (void)hws_fake_add_record(card, LINK1_TYPE, 4, link);
    (void)hws_fake_add_record(card, LINK2_TYPE, 4, link);
    assert_int_equal(card->n_records, hws_nv_tlv_count());
}

enum hws_step nv_run_get(struct hws_fake_ctl *card, struct hws_nv_get *get)
{
    struct hws_ctl_call call = {0};
    enum hws_step step;

    while ((step = hws_nv_get_next(get, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(card, &call);
        hws_nv_get_feed(get, &call);
    }
    return step;
}

enum hws_step nv_run_plan(struct hws_fake_ctl *card, struct hws_nv_plan *plan)
{
    struct hws_ctl_call call = {0};
    enum hws_step step;

    while ((step = hws_nv_plan_next(plan, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(card, &call);
        hws_nv_plan_feed(plan, &call);
    }
    return step;
}

enum hws_step nv_run_apply(struct hws_fake_ctl *card, struct hws_nv_apply *apply)
{
    struct hws_ctl_call call = {0};
    enum hws_step step;

    while ((step = hws_nv_apply_next(apply, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(card, &call);
        hws_nv_apply_feed(apply, &call);
    }
    return step;
}

const char *nv_text(const char *name, const uint8_t *data)
{
    static char text[HWS_NV_VALUE_BYTES];
    const struct hws_nv_param *p = NULL;

    assert_ok(hws_nv_param_find(name, &p, NULL), NULL);
    hws_nv_reader_text(p, data, text);
    return text;
}
