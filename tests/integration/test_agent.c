/* A whole agent over its Unix socket: devices, commands, dumps, what it says of itself, errors.
 * Settings and what the audit log says of them: test_agent_settings.c. */
#include <stdio.h>
#include <string.h>

#include "agent_rig.h"
#include "base/str.h"
#include "crypt/digest.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "hawser/v1/dump.pb-c.h"
#include "rig_sweep.h"
#include "test.h"

#define PCI_A "0000:03:00.0"
#define PCI_B "0000:81:00.0"

static struct hws_rig rig;

static int start(void **state)
{
    struct hws_rig_options options = {0};

    *state = &rig;
    hws_rig_start(&rig, &options);
    return 0;
}

/* ---- devices --------------------------------------------------------------------------------- */

static void agent_serves_quickly(void **state)
{
    (void)state;

    print_message("    serving after %llu ms\n", (unsigned long long)rig.serving_ms);
    assert_true(rig.serving_ms <
                10000); /* the bench has the tight bound; builds here may be slow */
}

static void list_shows_both_adapters_in_pci_order(void **state)
{
    Hawser__V1__ListDevicesRequest q = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;
    hws_rig_wait_ready(&rig);

    hws_rig_call(&rig, "/hawser.v1.DeviceService/List", &q.base, 2000, &r);

    hws_rig_expect_ok(&r);
    Hawser__V1__ListDevicesResponse *list = hawser__v1__list_devices_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_string_equal(list->host, "host-a");
    assert_int_equal(list->n_devices, 2);
    assert_string_equal(list->devices[0]->pci_address, PCI_A);
    assert_string_equal(list->devices[0]->serial, "MT2334T00A17");
    assert_string_equal(list->devices[0]->id, "mlx5:MT2334T00A17@" PCI_A);
    assert_string_equal(list->devices[0]->psid, "MT_0000000834");
    assert_string_equal(list->devices[0]->firmware_version, "28.43.2006");
    assert_true(list->devices[0]->emulated);
    assert_string_equal(list->devices[1]->pci_address, PCI_B);
    hawser__v1__list_devices_response__free_unpacked(list, NULL);
    hws_rig_reply_free(&r);
}

static void unknown_device_names_the_ones_there_are(void **state)
{
    Hawser__V1__GetDeviceRequest q = HAWSER__V1__GET_DEVICE_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;
    hws_rig_wait_ready(&rig);
    q.device = "0000:99:00.0";

    hws_rig_call(&rig, "/hawser.v1.DeviceService/Get", &q.base, 2000, &r);

    assert_int_equal(r.code, HWS_GRPC_NOT_FOUND);
    assert_non_null(strstr(r.message, PCI_A));
    assert_non_null(strstr(r.message, PCI_B));
    assert_true(r.n_details > 0);
    hws_rig_reply_free(&r);
}

static bool until_synced(void *data, const uint8_t *bytes, size_t n)
{
    Hawser__V1__WatchDevicesResponse *w =
        hawser__v1__watch_devices_response__unpack(NULL, n, bytes);
    bool synced = w->kind == HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_SYNCED;

    (*(int *)data)++;
    hawser__v1__watch_devices_response__free_unpacked(w, NULL);
    return !synced;
}

static void watch_lists_then_says_synced(void **state)
{
    Hawser__V1__WatchDevicesRequest q = HAWSER__V1__WATCH_DEVICES_REQUEST__INIT;
    struct hws_rig_reply r;
    int n = 0;
    (void)state;
    hws_rig_wait_ready(&rig);

    hws_rig_stream(&rig, "/hawser.v1.DeviceService/Watch", &q.base, 3000, until_synced, &n, &r);

    assert_int_equal(n, 3);
    assert_int_equal(r.code, HWS_GRPC_CANCELLED);
    hws_rig_reply_free(&r);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void register_is_read_by_name(void **state)
{
    Hawser__V1__ExecuteRequest q = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;
    struct hws_rig_reply r;
    (void)state;
    hws_rig_wait_ready(&rig);
    a.register_ = "MGIR";
    q.device = "MT2334T00A17";
    q.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    q.register_ = &a;

    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 5000, &r);

    hws_rig_expect_ok(&r);
    Hawser__V1__ExecuteResponse *x =
        hawser__v1__execute_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_string_equal(x->name, "ACCESS_REG MGIR read");
    assert_int_equal(x->status->status, 0);
    assert_int_equal(x->status->stage, HAWSER__V1__STAGE__STAGE_EXECUTED);
    assert_true(x->n_fields > 5);
    assert_int_equal(x->scope, 1);
    hawser__v1__execute_response__free_unpacked(x, NULL);
    hws_rig_reply_free(&r);
}

static void raw_command_must_agree_with_its_inbox(void **state)
{
    Hawser__V1__ExecuteRequest q = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RawCommand c = HAWSER__V1__RAW_COMMAND__INIT;
    uint8_t inbox[16] = {0x01, 0x01}; /* QUERY_ADAPTER */
    struct hws_rig_reply r;
    (void)state;
    hws_rig_wait_ready(&rig);
    q.device = PCI_A;
    q.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW;
    q.raw = &c;
    c.command = "QUERY_ADAPTER";

    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 5000, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    c.inbox.data = inbox;
    c.inbox.len = sizeof(inbox);
    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 5000, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    c.command = "NOP";
    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_INVALID_ARGUMENT);
    hws_rig_reply_free(&r);
    inbox[0] = 0x7f; /* no such row */
    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_PERMISSION_DENIED);
    hws_rig_reply_free(&r);
}

static void table_is_described(void **state)
{
    Hawser__V1__DescribeRequest q = HAWSER__V1__DESCRIBE_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;
    q.name = "MGIR";

    hws_rig_call(&rig, "/hawser.v1.CommandService/Describe", &q.base, 2000, &r);

    hws_rig_expect_ok(&r);
    Hawser__V1__DescribeResponse *d =
        hawser__v1__describe_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_int_equal(d->n_rows, 1);
    assert_int_equal(d->rows[0]->register_id, 0x9020);
    assert_string_equal(d->rows[0]->method, "read");
    hawser__v1__describe_response__free_unpacked(d, NULL);
    hws_rig_reply_free(&r);
}

static void stream_answers_every_item_by_tag(void **state)
{
    struct hws_rig_async call;
    (void)state;
    hws_rig_wait_ready(&rig);
    hws_rig_begin(&rig, "/hawser.v1.CommandService/ExecuteStream", HWS_GRPC_BIDI, NULL, 10000,
                  &call);
    assert_non_null(call.call);

    for (uint64_t tag = 1; tag <= 40; tag++) {
        Hawser__V1__ExecuteStreamRequest q = HAWSER__V1__EXECUTE_STREAM_REQUEST__INIT;
        Hawser__V1__ExecuteRequest x = HAWSER__V1__EXECUTE_REQUEST__INIT;
        Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;
        uint8_t packed[256];
        a.register_ = tag % 10 == 0 ? "NOSUCH" : "MGIR";
        x.device = PCI_A;
        x.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
        x.register_ = &a;
        q.tag = tag;
        q.request = &x;
        size_t n = hawser__v1__execute_stream_request__pack(&q, packed);
        assert_code(hws_grpc_call_send(call.call, packed, n, NULL), HWS_OK);
    }
    hws_grpc_call_half_close(call.call);

    assert_true(hws_rig_wait(&rig, &call, 10000));
    hws_rig_expect_ok(&call.reply);
    assert_int_equal(call.reply.n_messages, 40);
    hws_rig_reply_free(&call.reply);
}

/* ---- dumps ----------------------------------------------------------------------------------- */

struct pulled {
    char id[32];
    char sha256[65];
    uint64_t total;
    uint64_t got;
    struct hws_sha256 sha;
    bool ended;
};

static bool on_dump(void *data, const uint8_t *bytes, size_t n)
{
    struct pulled *p = data;
    Hawser__V1__PullResponse *m = hawser__v1__pull_response__unpack(NULL, n, bytes);

    assert_non_null(m);
    switch (m->what_case) {
    case HAWSER__V1__PULL_RESPONSE__WHAT_MANIFEST:
        hws_str_copy(p->id, sizeof(p->id), m->manifest->dump_id);
        hws_str_copy(p->sha256, sizeof(p->sha256), m->manifest->sha256);
        p->total = m->manifest->total_bytes;
        break;
    case HAWSER__V1__PULL_RESPONSE__WHAT_CHUNK:
        assert_int_equal(m->chunk->offset, p->got);
        hws_sha256_update(&p->sha, m->chunk->data.data, m->chunk->data.len);
        p->got += m->chunk->data.len;
        break;
    case HAWSER__V1__PULL_RESPONSE__WHAT_END:
        p->ended = true;
        break;
    case HAWSER__V1__PULL_RESPONSE__WHAT__NOT_SET:
    case _HAWSER__V1__PULL_RESPONSE__WHAT__CASE_IS_INT_SIZE:
    default:
        fail_msg("an empty message");
    }
    hawser__v1__pull_response__free_unpacked(m, NULL);
    return true;
}

static void dump_is_pulled_whole_and_can_be_resumed(void **state)
{
    Hawser__V1__PullRequest q = HAWSER__V1__PULL_REQUEST__INIT;
    struct pulled p = {.total = 0};
    struct hws_rig_reply r;
    struct hws_digest digest;
    char hex[HWS_DIGEST_HEX_BYTES];
    (void)state;
    hws_rig_wait_ready(&rig);
    q.device = PCI_A;
    q.source = "registers";
    assert_code(hws_sha256_init(&p.sha), HWS_OK);

    hws_rig_stream(&rig, "/hawser.v1.DumpService/Pull", &q.base, 10000, on_dump, &p, &r);

    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    assert_true(p.ended);
    assert_int_equal(p.got, p.total);
    assert_code(hws_sha256_final(&p.sha, &digest), HWS_OK);
    hws_digest_hex(&digest, hex);
    assert_string_equal(hex, p.sha256);

    struct pulled rest = {.got = p.total / 65536 * 65536};
    q.dump_id = p.id;
    q.offset = rest.got;
    assert_code(hws_sha256_init(&rest.sha), HWS_OK);
    hws_rig_stream(&rig, "/hawser.v1.DumpService/Pull", &q.base, 10000, on_dump, &rest, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    hws_sha256_deinit(&rest.sha);
    assert_true(rest.ended);
    assert_int_equal(rest.got, p.total);
    q.dump_id = "0123456789abcdef";
    hws_rig_stream(&rig, "/hawser.v1.DumpService/Pull", &q.base, 10000, on_dump, &rest, &r);
    assert_int_equal(r.code, HWS_GRPC_NOT_FOUND);
    hws_rig_reply_free(&r);
}

/* ---- the agent ------------------------------------------------------------------------------- */

static void info_says_how_each_process_is_confined(void **state)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;
    (void)hws_rig_pid(&rig, "hawser-emu"); /* waits for it */

    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, 2000, &r);
    hws_rig_expect_ok(&r);
    Hawser__V1__InfoResponse *info =
        hawser__v1__info_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_non_null(info);
    assert_int_equal(info->n_processes, 3);
    for (size_t i = 0; i < info->n_processes; i++) {
        assert_true(info->processes[i]->confined);
        assert_int_equal(info->processes[i]->capabilities, 0);
        assert_true(hws_str_starts(info->processes[i]->sandbox, "level="));
    }
    assert_true(info->lockdown[0] != '\0');
    assert_int_equal(info->taint_fwctl, (info->kernel_taint >> 19 & 1) != 0);
    hawser__v1__info_response__free_unpacked(info, NULL);
    hws_rig_reply_free(&r);
}

static void caller_is_mapped_and_may_probe(void **state)
{
    Hawser__V1__WhoAmIRequest q = HAWSER__V1__WHO_AM_IREQUEST__INIT;
    Hawser__V1__ProbeRequest pq = HAWSER__V1__PROBE_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;

    hws_rig_call(&rig, "/hawser.v1.AgentService/WhoAmI", &q.base, 2000, &r);

    hws_rig_expect_ok(&r);
    Hawser__V1__WhoAmIResponse *w =
        hawser__v1__who_am_iresponse__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_string_equal(w->principal, "spiffe://unit.test/operator/local");
    assert_int_equal(w->n_rules, 1);
    hawser__v1__who_am_iresponse__free_unpacked(w, NULL);
    hws_rig_reply_free(&r);

    pq.principal = "spiffe://unit.test/viewer/vic";
    pq.method = "/hawser.v1.CommandService/Execute";
    pq.effect = HAWSER__V1__EFFECT__EFFECT_READ;
    hws_rig_call(&rig, "/hawser.v1.AgentService/Probe", &pq.base, 2000, &r);
    hws_rig_expect_ok(&r);
    Hawser__V1__ProbeResponse *p =
        hawser__v1__probe_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_false(p->allowed);
    hawser__v1__probe_response__free_unpacked(p, NULL);
    hws_rig_reply_free(&r);
}

static void bad_policy_is_refused_and_the_old_one_stays(void **state)
{
    Hawser__V1__ReloadRequest q = HAWSER__V1__RELOAD_REQUEST__INIT;
    struct hws_rig_mutation m;
    Hawser__V1__InfoRequest info = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;
    char path[128];
    char keep[128];
    (void)state;
    hws_str_print(path, sizeof(path), "%s/policy.yaml", rig.dir);
    hws_str_print(keep, sizeof(keep), "%s/policy.keep", rig.dir);
    assert_int_equal(rename(path, keep), 0);
    hws_rig_write(&rig, "policy.yaml", "version: 1\nrulez: []\n");
    q.mutation = hws_rig_mutate(&m);

    hws_rig_call(&rig, "/hawser.v1.AgentService/Reload", &q.base, 2000, &r);

    assert_int_equal(r.code, HWS_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(r.message, "policy.yaml:2"));
    hws_rig_reply_free(&r);
    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &info.base, 2000, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    assert_int_equal(rename(keep, path), 0);
}

static void unknown_method_is_unimplemented(void **state)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;

    hws_rig_call(&rig, "/hawser.v1.AgentService/NoSuch", &q.base, 2000, &r);

    assert_int_equal(r.code, HWS_GRPC_UNIMPLEMENTED);
    hws_rig_reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agent_serves_quickly),
        cmocka_unit_test(info_says_how_each_process_is_confined),
        cmocka_unit_test(list_shows_both_adapters_in_pci_order),
        cmocka_unit_test(unknown_device_names_the_ones_there_are),
        cmocka_unit_test(watch_lists_then_says_synced),
        cmocka_unit_test(register_is_read_by_name),
        cmocka_unit_test(raw_command_must_agree_with_its_inbox),
        cmocka_unit_test(table_is_described),
        cmocka_unit_test(stream_answers_every_item_by_tag),
        cmocka_unit_test(dump_is_pulled_whole_and_can_be_resumed),
        cmocka_unit_test(caller_is_mapped_and_may_probe),
        cmocka_unit_test(bad_policy_is_refused_and_the_old_one_stays),
        cmocka_unit_test(unknown_method_is_unimplemented),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
