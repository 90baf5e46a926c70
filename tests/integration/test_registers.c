/*
 * Model and decoder together: every register that the card lists has a layout here, and not one bit
 * of what it answers is left undecoded.
 */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "hca/reg.h"
#include "test.h"

static struct guest g;
static char text[65536];

static void start(void)
{
    static const char *const keys[] = {"boot_pages: ", "init_pages: "};

    FILE *f = fopen(HWS_TESTS_DIR "/../agent/emu/profiles/connectx7.yaml", "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < 2; i++) { /* this host has little memory */
        char *at = strstr(text, keys[i]);
        assert_non_null(at);
        at += strlen(keys[i]);
        *at++ = '4';
        while (*at >= '0' && *at <= '9') {
            *at++ = ' ';
        }
    }
    guest_start(&g, text, NULL, 0);
    g.now_ms = 4000000; /* long enough for every counter to have moved */
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
}

static const char *reading;
static unsigned n_rows;

static void row(void *arg, const struct hws_reg_row *r)
{
    (void)arg;
    n_rows++;
    if (strncmp(r->name, "undecoded", 9) == 0) {
        fail_msg("%s: %s is 0x%s", reading, r->name, r->value);
    }
}

/* What a read must be sent for the register to answer. */
struct ask {
    const char *name;
    struct hws_reg_assign fields[4];
    size_t n;
};

static const struct ask asks[] = {
    {"PMLP", {{"local_port", "1"}}, 1},
    {"PTYS", {{"local_port", "1"}, {"proto_mask", "4"}}, 2},
    {"PAOS", {{"local_port", "2"}}, 1},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "1"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "2"}}, 2},
    {"PPCNT", {{"local_port", "2"}, {"grp", "3"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "5"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "6"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0x10"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0x11"}}, 2},
    {"PPCNT", {{"local_port", "2"}, {"grp", "0x12"}}, 2},
    {"PPCNT", {{"local_port", "2"}, {"grp", "0x16"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0x1a"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0x20"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0x21"}}, 2},
    {"PPCNT", {{"local_port", "1"}, {"grp", "0x23"}}, 2},
    {"PMAOS", {{"module", "1"}}, 1},
    {"PPLM", {{"local_port", "1"}}, 1},
    {"SLTP", {{"local_port", "1"}, {"lane", "3"}}, 2},
    {"PDDR", {{"local_port", "1"}, {"page_select", "0"}}, 2},
    {"PDDR", {{"local_port", "1"}, {"page_select", "1"}}, 2},
    {"PDDR", {{"local_port", "1"}, {"page_select", "2"}}, 2},
    {"PDDR", {{"local_port", "2"}, {"page_select", "3"}}, 2},
    {"PDDR", {{"local_port", "1"}, {"page_select", "6"}}, 2},
    {"PDDR", {{"local_port", "1"}, {"page_select", "8"}}, 2},
    {"PMDR", {{"local_port", "2"}}, 1},
    {"PPAOS", {{"local_port", "1"}}, 1},
    {"PPCR", {{"local_port", "1"}}, 1},
    {"MTMP", {{"sensor_index", "64"}}, 1},
    {"MCIA", {{"module", "1"}, {"i2c_device_address", "0x50"}, {"size", "128"}}, 3},
    {"MNVDA", {{"type", "0x80"}, {"length", "256"}}, 2},
    {"MTRC_STDB", {{"read_size", "16"}}, 1},
    {"MPCNT", {{"grp", "0"}}, 1},
    {"MPCNT", {{"grp", "3"}}, 1},
    {"MPCNT", {{"grp", "4"}}, 1},
    {"MCQI", {{"info_type", "0"}, {"data_size", "124"}}, 2},
    {"MCQI", {{"info_type", "1"}, {"data_size", "124"}}, 2},
    {"MCQI", {{"info_type", "5"}, {"data_size", "124"}}, 2},
    {"MQIS", {{"info_type", "1"}, {"read_length", "8"}}, 2},
    {"RESOURCE_DUMP", {{"inline_dump", "1"}, {"segment_type", "0xffff"}}, 2},
};

static void read_and_decode(const struct hws_reg *reg, const struct ask *ask)
{
    uint8_t d[HWS_REG_MAX_BYTES] = {0};
    struct hws_err err = {0};
    uint32_t syndrome = 0;

    reading = reg->name;
    if (ask != NULL) {
        assert_ok(hws_reg_encode(reg, false, ask->fields, ask->n, d, sizeof(d), &err), &err);
    }
    uint8_t status = guest_reg(&g, reg->id, false, d, reg->size_bytes, &syndrome);
    if (status != 0) {
        fail_msg("%s: status 0x%x, syndrome 0x%x", reg->name, status, syndrome);
    }
    n_rows = 0;
    assert_ok(hws_reg_decode(reg, d, reg->size_bytes, row, NULL, &err), &err);
    assert_true(n_rows > 0);
}

/* The id is listed by the card as there; those outside the three spaces are asked. */
static bool listed(uint16_t id)
{
    static const struct {
        uint16_t reg;
        uint16_t base;
        uint8_t group;
        uint8_t bytes;
    } masks[] = {{0x4019, 0x4000, 0, 0x48}, {0x507f, 0x5000, 0, 0x50}, {0x907f, 0x9000, 0, 0x48},
                 {0x907f, 0x9080, 1, 0x48}, {0x907f, 0x9100, 2, 0x48}, {0x907f, 0x9180, 3, 0x48}};

    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        uint8_t d[0x50] = {0, 0, 0, masks[i].group};
        if (id < masks[i].base || id >= masks[i].base + 128) {
            continue;
        }
        assert_int_equal(guest_reg(&g, masks[i].reg, false, d, masks[i].bytes, NULL), 0);
        uint32_t bit = id - (uint32_t)masks[i].base;
        return (hws_load_be32(d + 0x14 - (size_t)4 * (bit >> 5)) >> (bit & 31) & 1) != 0;
    }
    return false;
}

/* How many registers of first to last are listed; each has a layout. */
static unsigned count_with_layout(uint16_t first, uint16_t last)
{
    unsigned n = 0;

    for (uint32_t id = first; id <= last; id++) {
        bool is_listed = listed((uint16_t)id);
        n += is_listed ? 1 : 0;
        if (is_listed && hws_reg_by_id((uint16_t)id) == NULL) {
            fail_msg("register 0x%04x has no layout", id);
        }
    }
    return n;
}

static void every_listed_register_has_a_layout(void **state)
{
    (void)state;
    start();
    assert_int_equal(count_with_layout(0x4000, 0x407f), 1);
    assert_true(count_with_layout(0x5000, 0x507f) >= 12);
    assert_true(count_with_layout(0x9000, 0x91ff) >= 25);
    guest_stop(&g);
}

static const struct ask *ask_for(const char *name)
{
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        if (strcmp(asks[i].name, name) == 0) {
            return &asks[i];
        }
    }
    return NULL;
}

/* The model has it, and it is not write-only. */
static bool can_be_read(const struct hws_reg *reg)
{
    uint8_t d[HWS_REG_MAX_BYTES] = {0};
    uint32_t syndrome = 0;

    return guest_reg(&g, reg->id, false, d, reg->size_bytes, &syndrome) == 0 ||
           (syndrome != 0xe30022 && syndrome != 0xe30020);
}

static void every_answer_is_decoded_to_its_last_bit(void **state)
{
    (void)state;
    start();
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        const struct hws_reg *reg = hws_reg_by_name(asks[i].name);
        assert_non_null(reg);
        read_and_decode(reg, &asks[i]);
    }
    for (size_t i = 0; i < hws_reg_count(); i++) {
        const struct hws_reg *reg = hws_reg_at(i);
        if (ask_for(reg->name) == NULL && can_be_read(reg)) {
            read_and_decode(reg, NULL);
        }
    }
    guest_stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_listed_register_has_a_layout),
        cmocka_unit_test(every_answer_is_decoded_to_its_last_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
