/* What the device process is told of kills: rows of this adapter and this firmware, and for how
 * long. */
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "hawserd/barred.h"
#include "hawserd/device.h"
#include "link/kills.h"
#include "table/table.h"
#include "test.h"

#define HOUR_MS UINT64_C(3600000)

static struct hws_barred barred;
static struct hws_ctl_ipc_adapter ports[2] = {{.kind = "mlx5", .pci = "0000:3b:00.0"},
                                              {.kind = "mlx5", .pci = "0000:86:00.0"}};
static struct hws_adapter adapters[2];
static uint8_t rows[HWS_LINK_MAX_KILLS * HWS_LINK_KILL_BYTES];

static int setup(void **state)
{
    (void)state;
    memset(&barred, 0, sizeof(barred));
    memset(adapters, 0, sizeof(adapters));
    for (size_t i = 0; i < 2; i++) {
        adapters[i].port = &ports[i];
        adapters[i].known = true;
        assert_true(hws_str_print(adapters[i].id, sizeof(adapters[i].id), "mlx5:SN%zu@%s", i,
                                  ports[i].pci));
        assert_true(hws_str_copy(adapters[i].identity.fw_version,
                                 sizeof(adapters[i].identity.fw_version), "28.43.2006"));
    }
    return hws_bars_init(&barred.bars) == HWS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hws_bars_deinit(&barred.bars);
    return 0;
}

static void kill_row(const char *row, const char *object, const char *to, uint64_t for_ms)
{
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    struct hws_bar bar = {.kind = HWS_BAR_ROW,
                          .reason = "test",
                          .who = "spiffe://d/o/olga",
                          .until_unix_ms = now_ms + for_ms};
    struct hws_err err;
    uint64_t id = 0;

    assert_true(hws_str_copy(bar.row, sizeof(bar.row), row) &&
                hws_str_copy(bar.object, sizeof(bar.object), object) &&
                hws_str_copy(bar.to, sizeof(bar.to), to));
    assert_ok(hws_bars_add(&barred.bars, &bar, now_ms, &id, &err), &err);
}

static uint16_t told(size_t i)
{
    return hws_barred_kills(&barred, &adapters[i], rows);
}

static uint16_t id_of(uint16_t register_id, enum hws_reg_method method)
{
    return hws_table_id(hws_table_register(HWS_KIND_MLX5, register_id, method));
}

static void nothing_killed_is_an_empty_list(void **state)
{
    (void)state;
    assert_int_equal(told(0), 0);
}

/* The record is damaged: whatever the device process has been told goes on. */
static void damaged_record_lifts_nothing(void **state)
{
    (void)state;
    barred.unknown = true;
    assert_int_equal(told(0), hws_table_n() - 1);
    for (size_t i = 0; i < hws_table_n() - 1u; i++) {
        assert_int_equal(hws_link_kill_get(rows, i).row, i + 1);
        assert_int_equal(hws_link_kill_get(rows, i).left_ms, 0);
    }
}

static void name_without_a_method_is_every_row_of_it(void **state)
{
    (void)state;
    kill_row("PAOS", "*", "", HOUR_MS);
    assert_int_equal(told(0), 2);
    for (size_t i = 0; i < 2; i++) {
        struct hws_link_kill kill = hws_link_kill_get(rows, i);
        assert_string_equal(hws_table_at(kill.row)->name, "PAOS");
        assert_in_range(kill.left_ms, 1, HOUR_MS);
    }
    assert_true(hws_link_kill_get(rows, 0).row < hws_link_kill_get(rows, 1).row);
}

static void each_adapter_has_its_own(void **state)
{
    (void)state;
    kill_row("PAOS:write", "pci:0000:86:00.0", "", HOUR_MS);
    assert_int_equal(told(0), 0);
    assert_int_equal(told(1), 1);
    assert_int_equal(hws_link_kill_get(rows, 0).row, id_of(0x5006, HWS_REG_WRITE));
}

static void firmware_decides_as_it_is_now(void **state)
{
    struct hws_hca_identity *identity = &adapters[0].identity;

    (void)state;
    kill_row("PAOS:write", "*", "28.43.2006", HOUR_MS);
    assert_int_equal(told(0), 1);
    assert_true(hws_str_copy(identity->fw_version, sizeof(identity->fw_version), "28.44.1000"));
    assert_int_equal(told(0), 0);
    assert_true(hws_str_copy(identity->fw_version, sizeof(identity->fw_version), "unheard of"));
    assert_int_equal(told(0), 1); /* it may be one of these */
    assert_true(hws_link_kill_get(rows, 0).left_ms > 0);
}

static void firmware_that_is_not_read_yet_lifts_nothing_and_kills_nothing(void **state)
{
    (void)state;
    kill_row("PAOS:write", "*", "28.43.2006", HOUR_MS);
    kill_row("PAOS:read", "*", "", HOUR_MS);
    kill_row("MGIR:read", "serial:SN0", "", HOUR_MS);
    adapters[0].known = false;
    assert_int_equal(told(0), 3);
    for (size_t i = 0; i < 3; i++) {
        struct hws_link_kill kill = hws_link_kill_get(rows, i);
        assert_true((kill.left_ms > 0) == (kill.row == id_of(0x5006, HWS_REG_READ)));
    }
}

static void of_two_kills_of_a_row_the_longer_counts(void **state)
{
    (void)state;
    kill_row("PAOS:write", "*", "", HOUR_MS);
    kill_row("PAOS", "*", "", 3 * HOUR_MS);
    kill_row("PAOS:write", "*", "", 2 * HOUR_MS);
    assert_int_equal(told(0), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_in_range(hws_link_kill_get(rows, i).left_ms, 2 * HOUR_MS + 1, 3 * HOUR_MS);
    }
}

static void what_is_over_is_not_told_and_nothing_longer_than_a_kill_may_be(void **state)
{
    (void)state;
    kill_row("PAOS:write", "*", "", HWS_BAR_MAX_MS);
    barred.bars.items[0].until_unix_ms = (uint64_t)time(NULL) * 1000 - 1;
    assert_int_equal(told(0), 0);
    barred.bars.items[0].until_unix_ms = UINT64_MAX; /* a clock that was set back */
    assert_int_equal(told(0), 1);
    assert_int_equal(hws_link_kill_get(rows, 0).left_ms, HWS_LINK_KILL_MS);
    assert_int_equal(HWS_LINK_KILL_MS, HWS_BAR_MAX_MS);
}

static void card_of_another_kind_has_none_of_these_rows(void **state)
{
    struct hws_ctl_ipc_adapter other = {.kind = "cxl", .pci = "0000:3b:00.0"};

    (void)state;
    kill_row("PAOS", "*", "", HOUR_MS);
    adapters[0].port = &other;
    assert_int_equal(told(0), 0);
}

#define WITH_BARS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BARS(nothing_killed_is_an_empty_list),
        WITH_BARS(damaged_record_lifts_nothing),
        WITH_BARS(name_without_a_method_is_every_row_of_it),
        WITH_BARS(each_adapter_has_its_own),
        WITH_BARS(firmware_decides_as_it_is_now),
        WITH_BARS(firmware_that_is_not_read_yet_lifts_nothing_and_kills_nothing),
        WITH_BARS(of_two_kills_of_a_row_the_longer_counts),
        WITH_BARS(what_is_over_is_not_told_and_nothing_longer_than_a_kill_may_be),
        WITH_BARS(card_of_another_kind_has_none_of_these_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
