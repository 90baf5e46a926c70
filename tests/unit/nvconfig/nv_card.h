/* A fake card with the records the documents name, and loops that drive the steppers against it. */
#ifndef HWS_TESTS_NV_CARD_H
#define HWS_TESTS_NV_CARD_H

#include "fake_ctl.h"
#include "nvconfig/apply.h"
#include "nvconfig/get.h"
#include "nvconfig/plan.h"

#define PCI_TYPE     0x00000080u
#define PCI_CAP_TYPE 0x00000081u
#define SOFT_TYPE    0x0000010Au
#define LINK1_TYPE   0x01010012u
#define LINK2_TYPE   0x01020012u
#define KEEP1_TYPE   0x01010190u
#define PF_TYPE      0x03000080u

/*
 * Every record this build knows, zero, but for: 8 virtual functions by default with SR-IOV on, at
 * most 127; user contexts on and supported; both ports InfiniBand.
 */
void nv_card_init(struct hws_fake_ctl *card);

enum hws_step nv_run_get(struct hws_fake_ctl *card, struct hws_nv_get *get);
enum hws_step nv_run_plan(struct hws_fake_ctl *card, struct hws_nv_plan *plan);
enum hws_step nv_run_apply(struct hws_fake_ctl *card, struct hws_nv_apply *apply);

/* The value's text of one parameter in data of its record. */
const char *nv_text(const char *name, const uint8_t *data);

#endif
