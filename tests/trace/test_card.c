/* Scenarios of one card: the transcripts of both halves, in virtual time. */
#include <string.h>

#include "base/str.h"
#include "card.h"
#include "ifc/box.h"
#include "ifc/names.h"
#include "test.h"
#include "transcript.h"

static struct card card;
static struct transcript transcript;
static struct card_call calls[40];

static const char profile_head[] =
    "identity: {part: TRACE-1, product: Trace card, psid: TR_0000000001, serial: TR00001, "
    "pci_address: \"0000:01:00.0\",\n"
    "  hw_device_id: 0x218, pci_device_id: 0x1021, base_mac: \"02:00:00:00:00:01\"}\n"
    "firmware: {version: 28.43.2006, reset_delay_ms: 10, boot_pages: 2, init_pages: 3}\n"
    "pcie: {width: 16, width_cap: 16, generation: 5, generation_cap: 5}\n"
    "ports: [{type: eth, lanes: 4, speed: 200G, eth: [200G]}]\n"
    "capabilities: {uctx_cap: 4, cmdif_checksum: 3}\n"
    "parameters:\n"
    "  - {name: pci, type: 0x80, bytes: 12, fields: [{name: NUM_OF_VFS, dw: 4, lsb: 0, bits: 16, "
    "max: 64}]}\n";

static void begin(const char *faults)
{
    static char text[8192];
    struct hws_trace hook;

    transcript_init(&transcript);
    hook = transcript_hook(&transcript);
    assert_true(hws_str_print(text, sizeof(text), "%s%s", profile_head, faults));
    card_open(&card, text, &hook);
}

static void end(const char *name)
{
    card_close(&card);
    transcript_check(&transcript, name);
}

/* The bring-up has a scenario of its own; elsewhere it is not shown. */
static void bring_up_quietly(void)
{
    transcript.muted = true;
    card_bring_up(&card);
    transcript.muted = false;
}

static void submit(unsigned i, uint16_t op, uint16_t op_mod, size_t in_bytes, size_t out_bytes,
                   uint64_t timeout_ms)
{
    struct hws_err err = {0};

    card_prepare(&card, &calls[i], op, op_mod, in_bytes, out_bytes, timeout_ms);
    if (hws_cmdq_submit(&card.q, &calls[i].call, &err) != HWS_OK) {
        transcript_note(&transcript, card.now_ms, "test: call %u refused: %s", i, err.msg);
    }
}

static void report(unsigned i)
{
    transcript_note(&transcript, card.now_ms, "test: call %u callbacks=%u %s %s%s%s", i,
                    calls[i].n_cb, hws_code_name(calls[i].call.err.code),
                    hws_stage_name(calls[i].call.err.stage),
                    calls[i].call.err.msg[0] != '\0' ? ": " : "", calls[i].call.err.msg);
}

static void bring_up_and_down(void **state)
{
    (void)state;
    begin("");
    card_bring_up(&card);
    transcript_note(&transcript, card.now_ms, "test: psid=%s issi=%u uid=%u pages=%u",
                    card.bringup.card.psid, card.bringup.card.issi, card.bringup.card.uid,
                    card.bringup.card.n_pages);
    card_take_down(&card);
    assert_int_equal(card.bringup.card.n_pages, 0);
    end("bring_up");
}

static void nop_and_query(void **state)
{
    (void)state;
    begin("");
    submit(0, HWS_OP_NOP, 0, 16, 16, 100);
    card_step(&card, 0);
    report(0);
    submit(1, HWS_OP_QUERY_ADAPTER, 0, 16, HWS_QUERY_ADAPTER_OUT_BYTES, 100);
    card_step(&card, 0);
    report(1);
    bring_up_quietly();
    submit(2, HWS_OP_QUERY_ADAPTER, 0, 16, HWS_QUERY_ADAPTER_OUT_BYTES, 100);
    card_step(&card, 0);
    report(2);
    assert_memory_equal(calls[2].out + HWS_QUERY_ADAPTER_PSID, "TR_0000000001", 14);
    end("nop_and_query");
}

static void mnvda(unsigned i, uint32_t n_vfs)
{
    struct hws_err err = {0};

    card_prepare(&card, &calls[i], HWS_OP_ACCESS_REG, HWS_ACCESS_REG_WRITE, 16 + 24, 16 + 24, 100);
    hws_store_be16(calls[i].in + HWS_ACCESS_REG_ID, 0x9024);
    hws_store_be32(calls[i].in + 16, 12);
    hws_store_be32(calls[i].in + 20, 0x80);
    hws_store_be32(calls[i].in + 16 + 12 + 4, n_vfs);
    assert_ok(hws_cmdq_submit(&card.q, &calls[i].call, &err), &err);
    card_step(&card, 0);
    report(i);
}

static void register_write(void **state)
{
    (void)state;
    begin("");
    bring_up_quietly();
    mnvda(0, 64);
    mnvda(1, 65);
    end("register_write");
}

static void timeout_then_late_completion(void **state)
{
    (void)state;
    begin("faults: [{opcode: NOP, action: delay, delay_ms: 300}]\n");
    submit(0, HWS_OP_NOP, 0, 16, 16, 100);
    card_step(&card, 0);
    report(0);
    card_step(&card, 100);
    report(0);
    /* The slot is not taken again until the card gives it back. */
    submit(1, HWS_OP_NOP, 0, 16, 16, 50);
    card_step(&card, 10);
    report(1);
    card_step(&card, 190);
    submit(2, HWS_OP_NOP, 0, 16, 16, 50);
    card_step(&card, 0);
    report(2);
    end("late_completion");
}

static void all_slots_stalled(void **state)
{
    (void)state;
    begin(
        "queue: {log_size: 2, log_stride: 6}\nfaults: [{opcode: NOP, action: drop, repeat: 0}]\n");
    for (unsigned i = 0; i < 4; i++) {
        submit(i, HWS_OP_NOP, 0, 16, 16, 100);
    }
    card_step(&card, 100);
    report(0);
    submit(4, HWS_OP_NOP, 0, 16, 16, 100);
    /* Page traffic still has its own slot. */
    submit(5, HWS_OP_MANAGE_PAGES, HWS_MANAGE_CANT_GIVE, 16, 16, 100);
    card_step(&card, 0);
    report(5);
    end("all_stalled");
}

static void cancel_and_close_with_commands_in_flight(void **state)
{
    (void)state;
    begin("faults: [{opcode: NOP, action: delay, delay_ms: 200, repeat: 0}]\n");
    submit(0, HWS_OP_NOP, 0, 16, 16, 1000);
    submit(1, HWS_OP_NOP, 0, 16, 16, 1000);
    card_step(&card, 1);
    hws_cmdq_cancel(&card.q, &calls[0].call);
    card_step(&card, 1);
    report(0);
    hws_cmdq_close(&card.q, NULL);
    submit(2, HWS_OP_NOP, 0, 16, 16, 1000);
    card_step(&card, 1);
    report(1);
    end("close_in_flight");
}

static void close_gives_up_on_lost_commands(void **state)
{
    (void)state;
    begin("faults: [{opcode: NOP, action: drop}]\n");
    submit(0, HWS_OP_NOP, 0, 16, 16, 100);
    card_step(&card, 0);
    card_step(&card, 100);
    report(0);
    end("close_lost");
}

static void reset_takes_the_queue_away(void **state)
{
    uint8_t mfrl[8] = {0};
    struct hws_err err = {0};

    (void)state;
    begin("");
    bring_up_quietly();
    hws_store_be32(mfrl + 4, UINT32_C(1) << 29 | 0x08);
    assert_ok(card_reg(&card, 0x9028, true, mfrl, sizeof(mfrl), &err), &err);
    card_step(&card, 20);
    submit(0, HWS_OP_NOP, 0, 16, 16, 100);
    end("reset");
}

static void spoiled_reply_is_noticed(void **state)
{
    (void)state;
    begin("faults:\n"
          "  - {opcode: QUERY_ADAPTER, countdown: 2, action: flip, offset: 0x102, mask: 0x20}\n"
          "  - {opcode: NOP, action: flip, offset: 8, mask: 0x01}\n");
    bring_up_quietly();
    submit(0, HWS_OP_QUERY_ADAPTER, 0, 16, HWS_QUERY_ADAPTER_OUT_BYTES, 100);
    card_step(&card, 0);
    report(0);
    submit(1, HWS_OP_NOP, 0, 16, 16, 100);
    card_step(&card, 0);
    report(1);
    end("spoiled_reply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bring_up_and_down),
        cmocka_unit_test(nop_and_query),
        cmocka_unit_test(register_write),
        cmocka_unit_test(timeout_then_late_completion),
        cmocka_unit_test(all_slots_stalled),
        cmocka_unit_test(cancel_and_close_with_commands_in_flight),
        cmocka_unit_test(close_gives_up_on_lost_commands),
        cmocka_unit_test(reset_takes_the_queue_away),
        cmocka_unit_test(spoiled_reply_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
