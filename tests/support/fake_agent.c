/* The fake agent: one handler for each method the tests need. */
#include "fake_agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crc32c.h"
#include "crypt/digest.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "hawser.h"
#include "test.h"

static void reply(struct hws_grpc_call *call, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = hws_mem_alloc(n + 1);
    struct hws_err err;

    assert_non_null(bytes);
    (void)protobuf_c_message_pack(m, bytes);
    assert_ok(hws_grpc_call_send(call, bytes, n, &err), &err);
    hws_mem_free(bytes);
}

static void ok(struct hws_grpc_call *call, const ProtobufCMessage *m)
{
    reply(call, m);
    hws_grpc_call_finish(call, HWS_GRPC_OK, NULL, NULL, 0, NULL);
}

/* ---- devices ---- */

static void fill_device(const struct fake_agent *a, Hawser__V1__Device *d)
{
    static char id[] = FAKE_ID;
    static char pci[] = "0000:01:00.0";
    static char serial[] = "FAKE01";
    static char reason[] = "link is resetting";

    hawser__v1__device__init(d);
    d->id = id;
    d->pci_address = pci;
    d->serial = serial;
    d->state = a->not_ready ? HAWSER__V1__DEVICE_STATE__DEVICE_STATE_STUCK
                            : HAWSER__V1__DEVICE_STATE__DEVICE_STATE_READY;
    d->state_reason = a->not_ready ? reason : d->state_reason;
}

static void on_list(struct fake_agent *a, struct hws_grpc_call *call)
{
    Hawser__V1__ListDevicesResponse r = HAWSER__V1__LIST_DEVICES_RESPONSE__INIT;
    Hawser__V1__Device d;
    Hawser__V1__Device *list[] = {&d};

    if (a->n_list_refused > 0) {
        a->n_list_refused--;
        hws_grpc_call_finish_text(call, HWS_GRPC_UNAVAILABLE, "starting");
        return;
    }
    fill_device(a, &d);
    r.devices = list;
    r.n_devices = 1;
    ok(call, &r.base);
}

static void on_get(struct fake_agent *a, struct hws_grpc_call *call)
{
    Hawser__V1__GetDeviceResponse r = HAWSER__V1__GET_DEVICE_RESPONSE__INIT;
    Hawser__V1__Device d;

    fill_device(a, &d);
    r.device = &d;
    ok(call, &r.base);
}

static void on_watch(struct fake_agent *a, struct hws_grpc_call *call)
{
    for (int i = 0; i < 3; i++) {
        Hawser__V1__WatchDevicesResponse r = HAWSER__V1__WATCH_DEVICES_RESPONSE__INIT;
        Hawser__V1__Device d;
        fill_device(a, &d);
        r.kind = HAWSER__V1__WATCH_DEVICES_RESPONSE__KIND__KIND_CHANGED;
        r.device = &d;
        reply(call, &r.base);
    }
    hws_grpc_call_finish(call, HWS_GRPC_OK, NULL, NULL, 0, NULL);
}

/* ---- settings ---- */

static void on_plan(struct fake_agent *a, struct hws_grpc_call *call, const uint8_t *bytes,
                    size_t n)
{
    Hawser__V1__PlanConfigRequest *q = hawser__v1__plan_config_request__unpack(NULL, n, bytes);
    Hawser__V1__PlanConfigResponse r = HAWSER__V1__PLAN_CONFIG_RESPONSE__INIT;
    Hawser__V1__Change c = HAWSER__V1__CHANGE__INIT;
    Hawser__V1__Change *list[] = {&c};
    char hash[65];

    assert_non_null(q);
    assert_int_equal(q->n_settings, 1);
    memset(hash, 'a', 64);
    hash[64] = '\0';
    c.name = q->settings[0]->name;
    c.wanted = q->settings[0]->value;
    c.next_boot = a->value;
    c.running = a->value;
    c.changes = !hws_str_eq(a->value, c.wanted);
    r.changes = list;
    r.n_changes = 1;
    r.n_writes = c.changes ? 1 : 0;
    r.plan_hash = hash;
    ok(call, &r.base);
    hawser__v1__plan_config_request__free_unpacked(q, NULL);
}

static void refuse(struct hws_grpc_call *call)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Any *list[] = {&any};
    Google__Rpc__ErrorInfo__MetadataEntry e[3] = {GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT,
                                                  GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT,
                                                  GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT};
    Google__Rpc__ErrorInfo__MetadataEntry *entries[] = {&e[0], &e[1], &e[2]};
    char texts[][16] = {"stage", "executed", "status", "0x3", "syndrome", "0x1234", "E_DEVICE"};
    char type[] = "type.googleapis.com/google.rpc.ErrorInfo";
    uint8_t info_bytes[256];
    uint8_t status_bytes[512];

    for (size_t i = 0; i < 3; i++) {
        e[i].key = texts[2 * i];
        e[i].value = texts[2 * i + 1];
    }
    info.reason = texts[6];
    info.metadata = entries;
    info.n_metadata = 3;
    any.type_url = type;
    any.value.len = google__rpc__error_info__pack(&info, info_bytes);
    any.value.data = info_bytes;
    status.code = HWS_GRPC_FAILED_PRECONDITION;
    status.details = list;
    status.n_details = 1;
    size_t n = google__rpc__status__pack(&status, status_bytes);
    hws_grpc_call_finish(call, HWS_GRPC_FAILED_PRECONDITION, "NUM_OF_VFS: bad parameter",
                         status_bytes, n, NULL);
}

static void on_apply(struct fake_agent *a, struct hws_grpc_call *call, const uint8_t *bytes,
                     size_t n)
{
    Hawser__V1__ApplyConfigRequest *q = hawser__v1__apply_config_request__unpack(NULL, n, bytes);
    const Hawser__V1__ApplyConfigResponse r = HAWSER__V1__APPLY_CONFIG_RESPONSE__INIT;

    assert_non_null(q);
    assert_non_null(q->mutation);
    a->n_applies++;
    (void)hws_str_copy(a->request_id, sizeof(a->request_id), q->mutation->request_id);
    (void)hws_str_copy(a->role, sizeof(a->role), q->mutation->fence->role);
    a->election = q->mutation->fence->election_low;
    if (!a->refuse_apply && !a->ignore_apply) {
        (void)hws_str_copy(a->value, sizeof(a->value), q->settings[0]->value);
    }
    hawser__v1__apply_config_request__free_unpacked(q, NULL);
    if (a->refuse_apply) {
        refuse(call);
    } else if (a->drop_apply) {
        a->drop_apply = false;
        hws_net_conn_close(a->conn); /* the call ends with it */
    } else {
        ok(call, &r.base);
    }
}

/* ---- dumps ---- */

static void send_manifest(struct fake_agent *a, struct hws_grpc_call *call, const char *id,
                          const uint8_t *data)
{
    Hawser__V1__PullResponse r = HAWSER__V1__PULL_RESPONSE__INIT;
    Hawser__V1__Manifest m = HAWSER__V1__MANIFEST__INIT;
    struct hws_digest digest;
    char hex[HWS_DIGEST_HEX_BYTES];
    char dump_id[32];

    assert_code(hws_sha256_of(data, FAKE_DUMP_BYTES, &digest), HWS_OK);
    hws_digest_hex(&digest, hex);
    if (a->dump_corrupt) {
        hex[0] = hex[0] == '0' ? '1' : '0';
    }
    (void)hws_str_copy(dump_id, sizeof(dump_id), id);
    m.dump_id = dump_id;
    m.total_bytes = FAKE_DUMP_BYTES;
    m.chunk_bytes = FAKE_CHUNK_BYTES;
    m.sha256 = hex;
    r.what_case = HAWSER__V1__PULL_RESPONSE__WHAT_MANIFEST;
    r.manifest = &m;
    reply(call, &r.base);
    (void)hws_str_copy(a->sha256, sizeof(a->sha256), hex);
}

static size_t send_chunk(const struct fake_agent *a, struct hws_grpc_call *call, uint64_t offset,
                         uint8_t *data)
{
    Hawser__V1__PullResponse r = HAWSER__V1__PULL_RESPONSE__INIT;
    Hawser__V1__Chunk c = HAWSER__V1__CHUNK__INIT;
    size_t left = (size_t)(FAKE_DUMP_BYTES - offset);

    c.offset = offset;
    c.data.len = left < FAKE_CHUNK_BYTES ? left : FAKE_CHUNK_BYTES;
    c.data.data = data + offset;
    c.crc32c = hws_crc32c(0, c.data.data, c.data.len) ^ (a->dump_bad_crc ? 1u : 0u);
    r.what_case = HAWSER__V1__PULL_RESPONSE__WHAT_CHUNK;
    r.chunk = &c;
    reply(call, &r.base);
    return c.data.len;
}

static void send_end(struct fake_agent *a, struct hws_grpc_call *call)
{
    Hawser__V1__PullResponse r = HAWSER__V1__PULL_RESPONSE__INIT;
    Hawser__V1__End e = HAWSER__V1__END__INIT;

    e.total_bytes = FAKE_DUMP_BYTES;
    e.sha256 = a->sha256;
    r.what_case = HAWSER__V1__PULL_RESPONSE__WHAT_END;
    r.end = &e;
    ok(call, &r.base);
}

static void drop_later(uv_timer_t *timer)
{
    struct fake_agent *a = timer->data;

    if (a->conn != NULL) {
        hws_net_conn_close(a->conn);
    }
}

static void on_pull(struct fake_agent *a, struct hws_grpc_call *call, const uint8_t *bytes,
                    size_t n)
{
    Hawser__V1__PullRequest *q = hawser__v1__pull_request__unpack(NULL, n, bytes);
    uint8_t data[FAKE_DUMP_BYTES];
    char id[32];

    assert_non_null(q);
    a->last_offset = q->offset;
    bool resumed = q->dump_id[0] != '\0';
    if (resumed && a->dump_forgets) {
        a->dump_forgets = false;
        hws_grpc_call_finish_text(call, HWS_GRPC_NOT_FOUND, "no such dump");
        hawser__v1__pull_request__free_unpacked(q, NULL);
        return;
    }
    a->n_dumps += resumed ? 0 : 1;
    (void)hws_str_print(id, sizeof(id), "dump-%u", a->n_dumps);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + a->n_dumps);
    }
    send_manifest(a, call, id, data);
    uint64_t offset = q->offset;
    hawser__v1__pull_request__free_unpacked(q, NULL);
    if (a->n_dump_drops > 0) {
        a->n_dump_drops--;
        (void)send_chunk(a, call, offset, data);
        (void)uv_timer_start(&a->drop, drop_later, 50, 0); /* the chunk leaves first */
        return;
    }
    while (offset < FAKE_DUMP_BYTES) {
        offset += send_chunk(a, call, offset, data);
    }
    send_end(a, call);
}

/* ---- commands ---- */

void fake_agent_answer(struct hws_grpc_call *call, const Hawser__V1__ExecuteStreamResponse *m)
{
    reply(call, &m->base);
}

static void on_item(struct fake_agent *a, struct hws_grpc_call *call, const uint8_t *bytes,
                    size_t n)
{
    Hawser__V1__ExecuteStreamRequest *q =
        hawser__v1__execute_stream_request__unpack(NULL, n, bytes);

    assert_non_null(q);
    a->n_items++;
    if (a->on_item != NULL) {
        a->on_item(a, call, q);
    }
    hawser__v1__execute_stream_request__free_unpacked(q, NULL);
}

/* ---- the server ---- */

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    struct fake_agent *a = data;

    (void)call;
    a->n_calls++;
    hws_grpc_call_set_data(call, a);
    return HWS_GRPC_OK;
}

static bool is_stream_of_commands(const struct hws_grpc_call *call)
{
    return hws_str_eq(hws_grpc_call_path(call), hws_client_method_command_execute_stream.path);
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct fake_agent *a = hws_grpc_call_data(call);
    const char *path = hws_grpc_call_path(call);

    if (a->hold) {
        a->held = call;
    } else if (a->malformed) {
        assert_code(hws_grpc_call_send(call, "\xff\xff\xff", 3, NULL), HWS_OK);
        hws_grpc_call_finish(call, HWS_GRPC_OK, NULL, NULL, 0, NULL);
    } else if (hws_str_eq(path, hws_client_method_device_list.path)) {
        on_list(a, call);
    } else if (hws_str_eq(path, hws_client_method_device_get.path)) {
        on_get(a, call);
    } else if (hws_str_eq(path, hws_client_method_device_watch.path)) {
        on_watch(a, call);
    } else if (hws_str_eq(path, hws_client_method_config_plan.path)) {
        on_plan(a, call, bytes, n);
    } else if (hws_str_eq(path, hws_client_method_dump_pull.path)) {
        on_pull(a, call, bytes, n);
    } else if (is_stream_of_commands(call)) {
        on_item(a, call, bytes, n);
    } else {
        on_apply(a, call, bytes, n);
    }
}

static void on_half_close(struct hws_grpc_call *call)
{
    if (is_stream_of_commands(call)) {
        hws_grpc_call_finish(call, HWS_GRPC_OK, NULL, NULL, 0, NULL);
    }
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    struct fake_agent *a = hws_grpc_call_data(call);

    (void)why;
    a->held = a->held == call ? NULL : a->held;
    hws_grpc_call_finish_text(call, HWS_GRPC_CANCELLED, "");
}

static const struct hws_grpc_call_ops call_ops = {.on_call = on_call,
                                                  .on_message = on_message,
                                                  .on_half_close = on_half_close,
                                                  .on_cancel = on_cancel};

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct fake_agent *a = hws_net_conn_owner(conn);

    (void)err;
    cfg->server = &a->server;
    a->conn = conn;
    a->n_conns++;
    return HWS_OK;
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct fake_agent *a = hws_net_conn_owner(conn);

    (void)err;
    a->conn = a->conn == conn ? NULL : a->conn;
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_closed = on_closed};

void fake_agent_start(struct fake_agent *a)
{
    const struct hws_net_listen_config config = {.address = a->path, .ops = &conn_ops, .owner = a};
    struct hws_err err;

    memset(&a->listener, 0, sizeof(a->listener));
    assert_ok(hws_net_listener_open(&a->listener, &a->net, &config, &err), &err);
    a->listener.data = a;
    a->listening = true;
}

void fake_agent_init(struct fake_agent *a, uv_loop_t *loop)
{
    static const enum hws_grpc_kind unary = HWS_GRPC_UNARY;
    const struct hws_grpc_method methods[] = {
        {hws_client_method_device_list.path, unary, false},
        {hws_client_method_device_get.path, unary, false},
        {hws_client_method_device_watch.path, HWS_GRPC_SERVER_STREAM, true},
        {hws_client_method_dump_pull.path, HWS_GRPC_SERVER_STREAM, true},
        {hws_client_method_config_plan.path, unary, false},
        {hws_client_method_config_apply.path, unary, false},
        {hws_client_method_command_execute_stream.path, HWS_GRPC_BIDI, true},
    };
    struct hws_err err;

    memset(a, 0, sizeof(*a));
    (void)hws_str_copy(a->dir, sizeof(a->dir), "/tmp/hawser-fake-XXXXXX");
    assert_non_null(mkdtemp(a->dir));
    (void)hws_str_print(a->path, sizeof(a->path), "%s/agent.sock", a->dir);
    (void)hws_str_print(a->target, sizeof(a->target), "unix:%s", a->path);
    (void)hws_str_copy(a->value, sizeof(a->value), "0");
    assert_ok(hws_net_init(&a->net, loop, &err), &err);
    assert_int_equal(uv_timer_init(loop, &a->drop), 0);
    a->drop.data = a;
    hws_grpc_server_init(&a->server);
    assert_ok(hws_grpc_server_add(&a->server, methods, sizeof(methods) / sizeof(methods[0]),
                                  &call_ops, a, &err),
              &err);
    fake_agent_start(a);
}

static void listener_closed(struct hws_net_listener *listener)
{
    struct fake_agent *a = listener->data;

    a->listening = false;
}

void fake_agent_stop(struct fake_agent *a)
{
    if (a->listening) {
        hws_net_listener_close(&a->listener, listener_closed);
    }
    while (a->listening) {
        (void)uv_run(a->net.loop, UV_RUN_ONCE);
    }
    (void)unlink(a->path);
}

void fake_agent_deinit(struct fake_agent *a)
{
    fake_agent_stop(a);
    uv_close((uv_handle_t *)&a->drop, NULL);
    (void)uv_run(a->net.loop, UV_RUN_NOWAIT);
    hws_grpc_server_deinit(&a->server);
    hws_net_deinit(&a->net);
    (void)rmdir(a->dir);
}
