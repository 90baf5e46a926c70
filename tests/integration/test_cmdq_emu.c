/* The command queue on the emulated card in virtual time, polled and by events: completions, lost
 * events, errors of the card, deadlines, close, and that nothing is allocated on the way. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "card.h"
#include "emu/incident.h"
#include "ifc/box.h"
#include "ifc/names.h"
#include "test.h"

static const char profile_head[] =
    "identity: {part: Q-1, product: Queue card, psid: TR_0000000001, serial: TR00001, "
    "pci_address: \"0000:01:00.0\",\n"
    "  hw_device_id: 0x218, pci_device_id: 0x1021, base_mac: \"02:00:00:00:00:01\"}\n"
    "firmware: {version: 28.43.2006, reset_delay_ms: 10, boot_pages: 2, init_pages: 3}\n"
    "pcie: {width: 16, width_cap: 16, generation: 5, generation_cap: 5}\n"
    "ports: [{type: eth, lanes: 4, speed: 200G, eth: [200G]}]\n"
    "capabilities: {uctx_cap: 4, cmdif_checksum: 3, log_max_eq: 6}\n";

static struct card card;
static struct card_call calls[40];

static void begin(bool events, const char *faults)
{
    char text[4096];

    assert_true(hws_str_print(text, sizeof(text), "%s%s", profile_head, faults));
    if (events) {
        card_open_events(&card, text, NULL);
    } else {
        card_open(&card, text, NULL);
    }
    card_bring_up(&card);
    assert_int_equal(card.q.events.on, events);
}

static void submit(unsigned i, size_t in_bytes, size_t out_bytes, uint64_t timeout_ms)
{
    struct hws_err err = {0};

    card_prepare(&card, &calls[i], HWS_OP_NOP, 0, in_bytes, out_bytes, timeout_ms);
    assert_ok(hws_cmdq_submit(&card.q, &calls[i].call, &err), &err);
}

/* Seed-drawn depths and lengths; every call ends once and well. */
static void every_command_ends_once(bool events)
{
    uint64_t r = hws_test_seed();

    begin(events, "");
    for (unsigned round = 0; round < 200; round++) {
        unsigned depth = 1 + (unsigned)(hws_test_rand(&r) % 31);
        for (unsigned i = 0; i < depth; i++) {
            submit(i, 16 + hws_test_rand(&r) % 1500, 16 + hws_test_rand(&r) % 1500, 1000);
        }
        card_step(&card, 1);
        for (unsigned i = 0; i < depth; i++) {
            assert_int_equal(calls[i].n_cb, 1);
            assert_code(calls[i].call.err.code, HWS_OK);
        }
    }
    card_take_down(&card);
    assert_false(card.q.events.on);
    card_close(&card);
}

static void polled_commands_end_once(void **state)
{
    (void)state;
    every_command_ends_once(false);
}

static void event_driven_commands_end_once(void **state)
{
    (void)state;
    every_command_ends_once(true);
}

static void a_lost_event_costs_one_look_and_not_the_deadline(void **state)
{
    (void)state;
    begin(true, "faults: [{opcode: NOP, action: drop_event}]\n");
    submit(0, 16, 16, 60000);
    card_step(&card, 1);
    assert_int_equal(calls[0].n_cb, 0);
    card_step(&card, HWS_CMDQ_CHECK_MS);
    assert_int_equal(calls[0].n_cb, 1);
    assert_code(calls[0].call.err.code, HWS_OK);
    card_close(&card);
}

static void a_lost_event_at_the_deadline_is_not_a_timeout(void **state)
{
    (void)state;
    begin(true, "faults: [{opcode: NOP, action: drop_event}]\n");
    submit(0, 16, 16, 5);
    card_step(&card, 5);
    assert_int_equal(calls[0].n_cb, 1);
    assert_code(calls[0].call.err.code, HWS_OK);
    assert_int_equal(hws_cmdq_n_stalled(&card.q), 0);
    card_close(&card);
}

static void all_stalled_is_busy_until_a_late_completion(bool events)
{
    struct hws_err err;

    begin(events, "faults: [{opcode: NOP, action: delay, delay_ms: 500, repeat: 31}]\n");
    for (unsigned i = 0; i < 31; i++) {
        submit(i, 16, 16, 100);
    }
    card_step(&card, 1);
    card_step(&card, 100);
    for (unsigned i = 0; i < 31; i++) {
        assert_int_equal(calls[i].n_cb, 1);
        assert_code(calls[i].call.err.code, HWS_E_TIMEOUT);
        assert_int_equal(calls[i].call.err.stage, HWS_STAGE_UNKNOWN);
    }
    assert_int_equal(hws_cmdq_n_stalled(&card.q), 31);
    card_prepare(&card, &calls[31], HWS_OP_NOP, 0, 16, 16, 100);
    assert_code(hws_cmdq_submit(&card.q, &calls[31].call, &err), HWS_E_BUSY);
    assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    assert_non_null(strstr(err.msg, "all stalled"));
    /* Page traffic has its own slot. */
    card_prepare(&card, &calls[32], HWS_OP_MANAGE_PAGES, HWS_MANAGE_TAKE, 16, 16, 1000);
    hws_cmdq_set_uid(&card.q, 0);
    assert_ok(hws_cmdq_submit(&card.q, &calls[32].call, &err), &err);
    card_step(&card, 1);
    assert_int_equal(calls[32].n_cb, 1);

    card_step(&card, 500);
    assert_int_equal(hws_cmdq_n_stalled(&card.q), 0);
    for (unsigned i = 0; i < 31; i++) {
        assert_int_equal(calls[i].n_cb, 1); /* the late completion told nobody */
    }
    submit(33, 16, 16, 100);
    card_step(&card, 1);
    assert_code(calls[33].call.err.code, HWS_OK);
    card_close(&card);
}

static void polled_stalled_slots_come_back(void **state)
{
    (void)state;
    all_stalled_is_busy_until_a_late_completion(false);
}

static void event_driven_stalled_slots_come_back(void **state)
{
    (void)state;
    all_stalled_is_busy_until_a_late_completion(true);
}

static void stalled_slots_whose_events_are_lost_come_back(void **state)
{
    (void)state;
    begin(true, "faults: [{opcode: NOP, action: drop_event, repeat: 31}]\n");
    hws_emu_hang(&card.port.emu, 500);
    for (unsigned i = 0; i < 31; i++) {
        submit(i, 16, 16, 100);
    }
    card_step(&card, 1);
    card_step(&card, 100);
    assert_int_equal(hws_cmdq_n_stalled(&card.q), 31);
    uint64_t next_ms = hws_cmdq_turn(&card.q, card.now_ms);
    assert_true(next_ms > card.now_ms && next_ms <= card.now_ms + HWS_CMDQ_CHECK_MS);

    card_step(&card, 400); /* the card goes on and gives everything back, unsaid */
    card_step(&card, HWS_CMDQ_CHECK_MS);
    assert_int_equal(hws_cmdq_n_stalled(&card.q), 0);
    next_ms = hws_cmdq_turn(&card.q, card.now_ms);
    assert_true(next_ms > card.now_ms + 10 * (uint64_t)HWS_CMDQ_CHECK_MS); /* idle: no more looks */
    submit(31, 16, 16, 1000);
    card_step(&card, 1);
    assert_code(calls[31].call.err.code, HWS_OK);
    assert_int_equal(calls[31].n_cb, 1);
    card_close(&card);
}

static void a_stalled_queue_whose_card_is_gone_does_not_spin(void **state)
{
    (void)state;
    begin(true, "");
    hws_emu_hang(&card.port.emu, 0);
    submit(0, 16, 16, 100);
    card_step(&card, 1);
    card_step(&card, 100);
    assert_int_equal(hws_cmdq_n_stalled(&card.q), 1);
    hws_emu_unplug(&card.port.emu, 0);
    card_step(&card, HWS_CMDQ_CHECK_MS);
    assert_int_equal(card.q.state, HWS_CMDQ_GONE);
    assert_true(hws_cmdq_turn(&card.q, card.now_ms) == UINT64_MAX);
    card_close(&card);
}

static void a_fatal_error_aborts_what_is_in_flight(void **state)
{
    struct hws_err err;

    (void)state;
    begin(true, "faults: [{opcode: NOP, countdown: 3, action: fatal, syndrome: 8}]\n");
    for (unsigned i = 0; i < 5; i++) {
        submit(i, 16, 16, 60000);
    }
    card_step(&card, 1);
    card_step(&card, HWS_CMDQ_CHECK_MS);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(calls[i].n_cb, 1);
        assert_code(calls[i].call.err.code, i < 2 ? HWS_OK : HWS_E_GONE);
    }
    assert_int_equal(calls[4].call.err.stage, HWS_STAGE_UNKNOWN);
    assert_non_null(strstr(calls[4].call.err.msg, "health syndrome 0x8"));
    card_prepare(&card, &calls[5], HWS_OP_NOP, 0, 16, 16, 1000);
    assert_code(hws_cmdq_submit(&card.q, &calls[5].call, &err), HWS_E_GONE);
    assert_non_null(strstr(err.msg, "health syndrome 0x8"));
    card_close(&card);
}

static void spoiled_replies_are_refused_and_the_slot_is_free(void **state)
{
    static const char *const actions[] = {"bad_token", "bad_signature"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char fault[96];
        (void)hws_str_print(fault, sizeof(fault), "faults: [{opcode: NOP, action: %s}]\n",
                            actions[i]);
        begin(true, fault);
        submit(0, 16, 900, 1000);
        card_step(&card, 1);
        assert_code(calls[0].call.err.code, HWS_E_PROTO);
        assert_int_equal(calls[0].call.err.stage, HWS_STAGE_UNKNOWN);
        assert_int_equal(calls[0].call.out_bytes, 0);
        assert_int_equal(hws_cmdq_n_stalled(&card.q), 0);
        submit(1, 16, 900, 1000);
        card_step(&card, 1);
        assert_code(calls[1].call.err.code, HWS_OK);
        card_close(&card);
    }
}

static void close_ends_everything_once_whatever_the_card_does(void **state)
{
    static const char *const actions[] = {"delay, delay_ms: 300", "drop", "hang", "unplug",
                                          "fatal, syndrome: 1"};

    (void)state;
    for (unsigned a = 0; a < sizeof(actions) / sizeof(actions[0]); a++) {
        char fault[128];
        (void)hws_str_print(fault, sizeof(fault),
                            "faults: [{opcode: NOP, countdown: 4, repeat: 0, action: %s}]\n",
                            actions[a]);
        begin(a % 2 == 0, fault);
        for (unsigned i = 0; i < 12; i++) {
            submit(i, 600, 600, 60000);
        }
        card_step(&card, 1);
        hws_cmdq_close(&card.q, NULL);
        card_close(&card);
        for (unsigned i = 0; i < 12; i++) {
            assert_int_equal(calls[i].n_cb, 1);
        }
    }
}

static void close_does_not_wait_for_an_event_that_is_lost(void **state)
{
    (void)state;
    begin(true, "faults: [{opcode: NOP, action: drop_event}]\n");
    submit(0, 16, 16, 60000);
    hws_cmdq_close(&card.q, NULL);
    card_step(&card, 1); /* cancelled while the card had it */
    card_step(&card, HWS_CMDQ_POLL_MS);
    assert_int_equal(card.q.state, HWS_CMDQ_CLOSED);
    assert_int_equal(calls[0].n_cb, 1);
    card_close(&card);
}

static void nothing_is_allocated_on_the_command_path(bool events)
{
    begin(events,
          "faults: [{opcode: NOP, countdown: 50, repeat: 3, action: delay, delay_ms: 20}]\n");
    hws_mem_fail_after(UINT64_MAX, false); /* counts from here */
    hws_mem_count_reset();
    hws_mem_free(hws_mem_alloc(1));
    assert_int_equal(hws_mem_n_allocs(), 1); /* the count counts */
    hws_mem_count_reset();
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 31; i++) {
            submit(i, i % 2 == 0 ? 16 : 4000, i % 3 == 0 ? 16 : 4000, 10);
        }
        hws_cmdq_cancel(&card.q, &calls[round].call);
        card_step(&card, 1);
        card_step(&card, 10);
        card_step(&card, 30);
    }
    assert_int_equal(hws_mem_n_allocs(), 0);
    hws_mem_fail_after(0, false);
    card_close(&card);
}

static void polled_commands_allocate_nothing(void **state)
{
    (void)state;
    nothing_is_allocated_on_the_command_path(false);
}

static void event_driven_commands_allocate_nothing(void **state)
{
    (void)state;
    nothing_is_allocated_on_the_command_path(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polled_commands_end_once),
        cmocka_unit_test(event_driven_commands_end_once),
        cmocka_unit_test(a_lost_event_costs_one_look_and_not_the_deadline),
        cmocka_unit_test(a_lost_event_at_the_deadline_is_not_a_timeout),
        cmocka_unit_test(polled_stalled_slots_come_back),
        cmocka_unit_test(event_driven_stalled_slots_come_back),
        cmocka_unit_test(stalled_slots_whose_events_are_lost_come_back),
        cmocka_unit_test(a_stalled_queue_whose_card_is_gone_does_not_spin),
        cmocka_unit_test(a_fatal_error_aborts_what_is_in_flight),
        cmocka_unit_test(spoiled_replies_are_refused_and_the_slot_is_free),
        cmocka_unit_test(close_ends_everything_once_whatever_the_card_does),
        cmocka_unit_test(close_does_not_wait_for_an_event_that_is_lost),
        cmocka_unit_test(polled_commands_allocate_nothing),
        cmocka_unit_test(event_driven_commands_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
