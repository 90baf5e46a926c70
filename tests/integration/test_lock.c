/*
 * Locks and kills against a real agent: calls are refused by name, streams end, records are
 * written, a restart changes nothing, time ends them.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/audit.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "hawser/v1/config.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "hawser/v1/lock.pb-c.h"
#include "rig_settings.h"
#include "rig_sweep.h"
#include "test.h"

#define CALL_MS 30000u
#define CUT_MS  5000u  /* a lock cuts streams within this */
#define WAIT_MS 60000u /* for what must come, on a loaded machine */
#define PCI_A   "0000:03:00.0"
#define PCI_B   "0000:81:00.0"

static struct hws_rig rig;

/* The rig's user, and whoever comes over TLS, may do everything that the tests do. */
static const char s_policy[] =
    "version: 1\nlocal:\n  \"%u\": spiffe://d.test/rig\nrules:\n"
    "  - name: rig\n"
    "    principals: [spiffe://d.test/rig, spiffe://" HWS_PKI_DOMAIN "/operator/]\n"
    "    methods: [observe, configure, debug, admin, audit]\n"
    "    max_effect: config-live\n";

static enum hws_grpc_code call(const char *path, const ProtobufCMessage *q, char *message,
                               size_t cap)
{
    struct hws_rig_reply reply;

    hws_rig_call(&rig, path, q, CALL_MS, &reply);
    hws_str_copy(message, cap, reply.message);
    hws_rig_reply_free(&reply);
    return reply.code;
}

static enum hws_grpc_code lock(Hawser__V1__LockKind kind, const char *object, uint32_t for_s,
                               char *message, size_t cap)
{
    Hawser__V1__AddLockRequest r = HAWSER__V1__ADD_LOCK_REQUEST__INIT;
    struct hws_rig_mutation m;

    r.mutation = hws_rig_mutate(&m);
    r.kind = kind;
    r.object = hws_rig_text(object);
    r.for_s = for_s;
    r.reason = hws_rig_text("cable work");
    return call("/hawser.v1.LockService/Add", &r.base, message, cap);
}

static enum hws_grpc_code unlock(uint64_t id, char *message, size_t cap)
{
    Hawser__V1__RemoveLockRequest r = HAWSER__V1__REMOVE_LOCK_REQUEST__INIT;
    struct hws_rig_mutation m;

    r.mutation = hws_rig_mutate(&m);
    r.id = id;
    return call("/hawser.v1.LockService/Remove", &r.base, message, cap);
}

/* How many locks there are; the last one's number in *last. */
static size_t locks(uint64_t *last)
{
    Hawser__V1__ListLocksRequest q = HAWSER__V1__LIST_LOCKS_REQUEST__INIT;
    struct hws_rig_reply reply;

    hws_rig_call(&rig, "/hawser.v1.LockService/List", &q.base, CALL_MS, &reply);
    assert_int_equal(reply.code, HWS_GRPC_OK);
    Hawser__V1__ListLocksResponse *r = hawser__v1__list_locks_response__unpack(
        NULL, hws_buf_len(&reply.bytes), hws_buf_peek(&reply.bytes));
    assert_non_null(r);
    size_t n = r->n_locks;
    *last = n == 0 ? 0 : r->locks[n - 1]->id;
    hawser__v1__list_locks_response__free_unpacked(r, NULL);
    hws_rig_reply_free(&reply);
    return n;
}

static enum hws_grpc_code read_register(const char *device, const char *name, char *message,
                                        size_t cap)
{
    Hawser__V1__ExecuteRequest r = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;

    a.register_ = hws_rig_text(name);
    r.device = hws_rig_text(device);
    r.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    r.register_ = &a;
    return call("/hawser.v1.CommandService/Execute", &r.base, message, cap);
}

/* The same, waiting for the adapter: after a start it is identified first. */
static enum hws_grpc_code read_when_up(const char *device, const char *name, char *message,
                                       size_t cap)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    enum hws_grpc_code code = read_register(device, name, message, cap);

    while (code == HWS_GRPC_UNAVAILABLE && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 20);
        code = read_register(device, name, message, cap);
    }
    return code;
}

static void refused(enum hws_grpc_code code, enum hws_grpc_code expected, const char *message,
                    const char *part)
{
    if (code != expected || strstr(message, part) == NULL) {
        fail_msg("code %d: %s; expected %d: %s", (int)code, message, (int)expected, part);
    }
}

#define REFUSED(expr, code, part) refused((expr), (code), message, (part))

/* A lock of a device set by somebody else (over TLS) refuses this caller, by name. */
static void locked_device_refuses_all_but_who_locked_it(void **state)
{
    char message[512];
    uint64_t id = 0;
    (void)state;

    REFUSED(lock(HAWSER__V1__LOCK_KIND__LOCK_KIND_DEVICE, "none", 60, message, sizeof(message)),
            HWS_GRPC_NOT_FOUND, "none");
    REFUSED(lock(HAWSER__V1__LOCK_KIND__LOCK_KIND_DEVICE, PCI_A, 0, message, sizeof(message)),
            HWS_GRPC_INVALID_ARGUMENT, "for_s");
    hws_rig_disconnect(&rig);
    assert_true(hws_rig_connect_tls(&rig, "operator-olga"));
    assert_int_equal(
        lock(HAWSER__V1__LOCK_KIND__LOCK_KIND_DEVICE, PCI_A, 3600, message, sizeof(message)),
        HWS_GRPC_OK);
    assert_int_equal(locks(&id), 1);
    assert_int_equal(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_OK);
    hws_rig_disconnect(&rig);
    assert_true(hws_rig_connect(&rig));
    REFUSED(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED,
            "/operator/olga: cable work");
    assert_int_equal(read_when_up(PCI_B, "MGIR", message, sizeof(message)), HWS_GRPC_OK);

    /* It outlives the process. */
    assert_int_equal(hws_rig_terminate(&rig), 0);
    hws_rig_restart(&rig);
    REFUSED(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED,
            "lock 1 on device");
    assert_int_equal(unlock(id, message, sizeof(message)), HWS_GRPC_OK);
    REFUSED(unlock(id, message, sizeof(message)), HWS_GRPC_NOT_FOUND, "no lock");
    assert_int_equal(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_OK);
}

/* Streams that a lock bars end within seconds; one of another principal lives. */
static void locked_principal_loses_its_streams(void **state)
{
    Hawser__V1__WatchDevicesRequest watch = HAWSER__V1__WATCH_DEVICES_REQUEST__INIT;
    struct hws_rig_async stream;
    struct hws_rig_async items;
    char message[512];
    uint64_t id = 0;
    (void)state;

    hws_rig_begin(&rig, "/hawser.v1.DeviceService/Watch", HWS_GRPC_SERVER_STREAM, &watch.base, 0,
                  &stream);
    hws_rig_begin(&rig, "/hawser.v1.CommandService/ExecuteStream", HWS_GRPC_BIDI, NULL, 0, &items);
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    while (stream.reply.n_messages == 0 && hws_rig_now_ms() < until_ms) {
        (void)hws_rig_wait(&rig, &stream, 20);
    }
    assert_false(stream.done);
    assert_int_equal(lock(HAWSER__V1__LOCK_KIND__LOCK_KIND_PRINCIPAL, "spiffe://d.test/rig", 3600,
                          message, sizeof(message)),
                     HWS_GRPC_OK);
    uint64_t locked_ms = hws_rig_now_ms();
    assert_true(hws_rig_wait(&rig, &stream, WAIT_MS));
    assert_true(hws_rig_wait(&rig, &items, WAIT_MS));
    printf("streams ended %llu ms after the lock\n",
           (unsigned long long)(hws_rig_now_ms() - locked_ms));
    assert_true(hws_rig_now_ms() - locked_ms < CUT_MS);
    assert_int_equal(stream.reply.code, HWS_GRPC_PERMISSION_DENIED);
    assert_non_null(strstr(stream.reply.message, "lock 2 on principal spiffe://d.test/rig"));
    assert_int_equal(items.reply.code, HWS_GRPC_PERMISSION_DENIED);
    assert_non_null(strstr(items.reply.message, "lock 2 on principal"));
    hws_rig_reply_free(&stream.reply);
    hws_rig_reply_free(&items.reply);

    /* Nor may it lift its own lock; somebody else does. */
    REFUSED(unlock(2, message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED, "lock 2");
    hws_rig_disconnect(&rig);
    assert_true(hws_rig_connect_tls(&rig, "operator-olga"));
    assert_int_equal(locks(&id), 1);
    assert_int_equal(unlock(id, message, sizeof(message)), HWS_GRPC_OK);
    hws_rig_disconnect(&rig);
    assert_true(hws_rig_connect(&rig));
    assert_int_equal(locks(&id), 0);
}

static void send_read(struct hws_rig_async *stream, uint64_t tag, const char *device)
{
    Hawser__V1__ExecuteStreamRequest q = HAWSER__V1__EXECUTE_STREAM_REQUEST__INIT;
    Hawser__V1__ExecuteRequest x = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;
    uint8_t packed[256];

    a.register_ = hws_rig_text("MGIR");
    x.device = hws_rig_text(device);
    x.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    x.register_ = &a;
    q.tag = tag;
    q.request = &x;
    size_t n = hawser__v1__execute_stream_request__pack(&q, packed);
    assert_int_equal(hws_grpc_call_send(stream->call, packed, n, NULL), HWS_OK);
}

/* Sends a read and waits until the stream has so many answers; the last must be good. */
static void read_on(struct hws_rig_async *stream, const char *device, size_t n_answers)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;

    send_read(stream, n_answers, device);
    while (stream->reply.n_messages < n_answers && !stream->done && hws_rig_now_ms() < until_ms) {
        (void)hws_rig_wait(&rig, stream, 20);
    }
    assert_false(stream->done);
    assert_int_equal(stream->reply.n_messages, n_answers);
    Hawser__V1__ExecuteStreamResponse *r = hawser__v1__execute_stream_response__unpack(
        NULL, hws_buf_len(&stream->reply.bytes), hws_buf_peek(&stream->reply.bytes));
    assert_non_null(r);
    assert_int_equal(r->tag, n_answers);
    assert_int_equal(r->code, HWS_GRPC_OK);
    hawser__v1__execute_stream_response__free_unpacked(r, NULL);
}

/* A second connection beside the one of the streams, which is returned. */
static struct hws_net_conn *connect_beside(const char *who)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    struct hws_net_conn *first = rig.conn;

    rig.conn = NULL;
    while (!hws_rig_connect_tls(&rig, who)) {
        hws_rig_disconnect(&rig);
        assert_true(hws_rig_now_ms() < until_ms);
    }
    return first;
}

/* Somebody else locks an adapter: the stream with items on it ends, though its last item went
 * elsewhere; a stream that never touched it goes on. */
static void locked_device_ends_the_streams_that_touched_it(void **state)
{
    struct hws_rig_async touched;
    struct hws_rig_async other;
    char message[512];
    uint64_t id = 0;
    (void)state;

    assert_int_equal(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(read_when_up(PCI_B, "MGIR", message, sizeof(message)), HWS_GRPC_OK);
    hws_rig_begin(&rig, "/hawser.v1.CommandService/ExecuteStream", HWS_GRPC_BIDI, NULL, 0,
                  &touched);
    hws_rig_begin(&rig, "/hawser.v1.CommandService/ExecuteStream", HWS_GRPC_BIDI, NULL, 0, &other);
    read_on(&touched, PCI_A, 1);
    read_on(&touched, PCI_B, 2);
    read_on(&other, PCI_B, 1);

    struct hws_net_conn *mine = connect_beside("operator-olga");
    assert_int_equal(
        lock(HAWSER__V1__LOCK_KIND__LOCK_KIND_DEVICE, PCI_A, 3600, message, sizeof(message)),
        HWS_GRPC_OK);
    uint64_t locked_ms = hws_rig_now_ms();
    assert_true(hws_rig_wait(&rig, &touched, WAIT_MS));
    printf("the stream ended %llu ms after the lock\n",
           (unsigned long long)(hws_rig_now_ms() - locked_ms));
    assert_true(hws_rig_now_ms() - locked_ms < CUT_MS);
    assert_int_equal(touched.reply.code, HWS_GRPC_PERMISSION_DENIED);
    assert_non_null(strstr(touched.reply.message, "on device"));
    assert_non_null(strstr(touched.reply.message, "/operator/olga: cable work"));
    hws_rig_reply_free(&touched.reply);
    read_on(&other, PCI_B, 2);

    assert_int_equal(locks(&id), 1);
    assert_int_equal(unlock(id, message, sizeof(message)), HWS_GRPC_OK);
    hws_rig_disconnect(&rig);
    rig.conn = mine;
    hws_grpc_call_half_close(other.call);
    assert_true(hws_rig_wait(&rig, &other, WAIT_MS));
    assert_int_equal(other.reply.code, HWS_GRPC_OK);
    hws_rig_reply_free(&other.reply);
}

static bool note_ended(void *data, const uint8_t *bytes, size_t n)
{
    Hawser__V1__TailResponse *r = hawser__v1__tail_response__unpack(NULL, n, bytes);

    assert_non_null(r);
    if (strcmp(r->record->principal, "hawserd") == 0 &&
        strstr(r->record->detail, "ended: lock") != NULL) {
        *(bool *)data = true;
    }
    hawser__v1__tail_response__free_unpacked(r, NULL);
    return true;
}

static void lock_ends_by_itself_and_that_is_on_record(void **state)
{
    Hawser__V1__TailRequest tail = HAWSER__V1__TAIL_REQUEST__INIT;
    struct hws_rig_reply reply;
    char message[512];
    bool noted = false;
    uint64_t id = 0;
    (void)state;

    assert_int_equal(lock(HAWSER__V1__LOCK_KIND__LOCK_KIND_HOST, "", 1, message, sizeof(message)),
                     HWS_GRPC_OK);
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    while (locks(&id) > 0 && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 50);
    }
    assert_int_equal(locks(&id), 0);
    while (!noted && hws_rig_now_ms() < until_ms) {
        tail.last = 1000;
        hws_rig_stream(&rig, "/hawser.v1.AuditService/Tail", &tail.base, CALL_MS, note_ended,
                       &noted, &reply);
        hws_rig_reply_free(&reply);
    }
    assert_true(noted);
}

static enum hws_grpc_code add_kill(const char *row, const char *from, const char *to, char *message,
                                   size_t cap)
{
    Hawser__V1__AddKillRequest r = HAWSER__V1__ADD_KILL_REQUEST__INIT;
    struct hws_rig_mutation m;

    r.mutation = hws_rig_mutate(&m);
    r.row = hws_rig_text(row);
    r.firmware_from = hws_rig_text(from);
    r.firmware_to = hws_rig_text(to);
    r.for_s = 3600;
    r.reason = hws_rig_text("firmware bug 17");
    return call("/hawser.v1.KillService/Add", &r.base, message, cap);
}

static enum hws_grpc_code unkill(uint64_t id, char *message, size_t cap)
{
    Hawser__V1__RemoveKillRequest r = HAWSER__V1__REMOVE_KILL_REQUEST__INIT;
    struct hws_rig_mutation m;

    r.mutation = hws_rig_mutate(&m);
    r.id = id;
    return call("/hawser.v1.KillService/Remove", &r.base, message, cap);
}

/* Plans a setting and applies the plan. */
static enum hws_grpc_code apply(char *message, size_t cap)
{
    Hawser__V1__ApplyConfigRequest r = HAWSER__V1__APPLY_CONFIG_REQUEST__INIT;
    Hawser__V1__Setting setting = HAWSER__V1__SETTING__INIT;
    Hawser__V1__Setting *settings[] = {&setting};
    struct hws_rig_mutation m;

    Hawser__V1__PlanConfigResponse *plan = hws_rig_plan(&rig, PCI_A, "NUM_OF_VFS", "4");
    setting.name = hws_rig_text("NUM_OF_VFS");
    setting.value = hws_rig_text("4");
    r.mutation = hws_rig_mutate(&m);
    r.device = hws_rig_text(PCI_A);
    r.settings = settings;
    r.n_settings = 1;
    r.plan_hash = plan->plan_hash;
    enum hws_grpc_code code = call("/hawser.v1.ConfigService/Apply", &r.base, message, cap);
    hawser__v1__plan_config_response__free_unpacked(plan, NULL);
    return code;
}

/* How often the text stands in the processes' log. */
static unsigned in_log(const char *text)
{
    static char log[1 << 20];
    char path[128];
    unsigned n = 0;

    assert_true(hws_str_print(path, sizeof(path), "%s/log", rig.dir));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    log[fread(log, 1, sizeof(log) - 1, f)] = '\0';
    assert_int_equal(fclose(f), 0);
    for (const char *at = strstr(log, text); at != NULL; at = strstr(at + 1, text)) {
        n++;
    }
    return n;
}

static void wait_for_log(const char *text, unsigned n)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;

    while (in_log(text) < n && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 20);
    }
    assert_int_equal(in_log(text), n);
}

/* The device process is told, keeps what it was told while hawserd is away, and is told the end. */
static void kill_reaches_the_device_process_and_outlives_hawserd(void **state)
{
    static const char killed[] =
        "adapter=\"" PCI_A "\" note=\"1 rows killed now: 1 more, 0 lifted\"";
    static const char lifted[] =
        "adapter=\"" PCI_A "\" note=\"0 rows killed now: 0 more, 1 lifted\"";
    unsigned n_killed = in_log(killed);
    unsigned n_lifted = in_log(lifted);
    char message[512];
    (void)state;

    assert_int_equal(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(add_kill("MTCAP:read", "", "99.0.0", message, sizeof(message)), HWS_GRPC_OK);
    wait_for_log(killed, n_killed + 1);

    pid_t emu = hws_rig_pid(&rig, "hawser-emu");
    assert_int_equal(kill(hws_rig_pid(&rig, "hawserd"), SIGKILL), 0);
    REFUSED(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED,
            "of MTCAP:read on *, firmware ..99.0.0");
    assert_int_equal(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(hws_rig_pid(&rig, "hawser-emu"), emu);
    assert_int_equal(unkill(7, message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_OK);
    wait_for_log(lifted, n_lifted + 1); /* once: not when hawserd was gone */
    assert_int_equal(in_log(killed), n_killed + 1);
}

/* A killed row runs for nobody and by no way: neither as a command nor inside a configuration. */
static void killed_row_does_not_run_by_any_way(void **state)
{
    char message[512];
    (void)state;

    REFUSED(add_kill("NOTHING", "", "", message, sizeof(message)), HWS_GRPC_INVALID_ARGUMENT,
            "row");
    assert_int_equal(add_kill("MTCAP:read", "1.0.0", "2.0.0", message, sizeof(message)),
                     HWS_GRPC_OK);
    assert_int_equal(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(add_kill("MTCAP:read", "", "99.0.0", message, sizeof(message)), HWS_GRPC_OK);
    REFUSED(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED,
            "of MTCAP:read on *, firmware ..99.0.0");
    assert_int_equal(read_when_up(PCI_A, "MGIR", message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(add_kill("MNVDA:write", "", "", message, sizeof(message)), HWS_GRPC_OK);
    REFUSED(apply(message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED, "of MNVDA:write");

    assert_int_equal(hws_rig_terminate(&rig), 0);
    hws_rig_restart(&rig);
    REFUSED(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_PERMISSION_DENIED,
            "of MTCAP:read on *, firmware ..99.0.0");
    for (uint64_t id = 4; id <= 6; id++) {
        assert_int_equal(unkill(id, message, sizeof(message)), HWS_GRPC_OK);
    }
    assert_int_equal(read_when_up(PCI_A, "MTCAP", message, sizeof(message)), HWS_GRPC_OK);
}

static int start(void **state)
{
    struct hws_rig_options options = {.tls = true};
    Hawser__V1__ReloadRequest r = HAWSER__V1__RELOAD_REQUEST__INIT;
    struct hws_rig_mutation m;
    char message[512];
    char policy[1024];

    *state = &rig;
    hws_rig_start(&rig, &options);
    (void)snprintf(policy, sizeof(policy), s_policy, (unsigned)getuid());
    hws_rig_write(&rig, "policy.yaml", policy);
    r.mutation = hws_rig_mutate(&m);
    assert_int_equal(call("/hawser.v1.AgentService/Reload", &r.base, message, sizeof(message)),
                     HWS_GRPC_OK);
    /* The principal changed: the calls to come are the new one's. */
    hws_rig_disconnect(&rig);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locked_device_refuses_all_but_who_locked_it),
        cmocka_unit_test(locked_principal_loses_its_streams),
        cmocka_unit_test(lock_ends_by_itself_and_that_is_on_record),
        cmocka_unit_test(killed_row_does_not_run_by_any_way),
        cmocka_unit_test(kill_reaches_the_device_process_and_outlives_hawserd),
        cmocka_unit_test(locked_device_ends_the_streams_that_touched_it),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
