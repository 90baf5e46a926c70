/*
 * What is refused on its way is on record: status, reason and counter of each step's refusal, over
 * a real store in a temporary folder.
 */
#include <string.h>

#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/config.pb-c.h"
#include "hawserd/audit.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "keeper.h"
#include "store/audit.h"

#define OLGA   "spiffe://d/operator/olga"
#define NOBODY "spiffe://d/nobody"
#define NIC    "0000:3b:00.0"

static const char policy[] = "version: 1\n"
                             "rules:\n"
                             "  - name: operators\n"
                             "    principals: [spiffe://d/operator/]\n"
                             "    methods: [observe, configure, admin]\n"
                             "    max_effect: config-live\n";

static struct hws_ctl_ipc_adapter port;
static struct hws_adapter adapter;
static uint64_t n_calls;

static void load_policy(void)
{
    struct hws_policy_method known[HWS_N_METHODS];
    struct hws_err err;

    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        known[i].path = hws_method_at(i)->path;
        known[i].permission = hws_method_at(i)->permission;
    }
    assert_ok(hws_policy_load(policy, strlen(policy), "policy.yaml", known, HWS_N_METHODS,
                              &agent->policy, &err),
              &err);
}

static void plug_adapter(void)
{
    memset(&port, 0, sizeof(port));
    memset(&adapter, 0, sizeof(adapter));
    hws_str_copy(port.pci, sizeof(port.pci), NIC);
    hws_str_copy(port.kind, sizeof(port.kind), "mlx5");
    hws_str_copy(adapter.id, sizeof(adapter.id), "mlx5:SN0@" NIC);
    adapter.port = &port;
    adapter.agent = agent;
    adapter.known = true;
    adapter.state = HWS_DEVICE_READY;
    agent->devices.greeted = true;
    agent->devices.n_promised = 1;
    agent->devices.adapters[agent->devices.n++] = &adapter;
}

static int start(void **state)
{
    (void)state;

    keeper_open((struct hws_store_options){.max_jobs = 64});
    assert_int_equal(uv_timer_init(&agent->loop, &agent->refused_timer), 0);
    agent->refused_timer.data = agent;
    hws_list_init(&agent->wire.ready);
    agent->wire.agent = agent;
    agent->rotation.agent = agent;
    agent->danger.agent = agent;
    load_policy();
    plug_adapter();
    return 0;
}

static int stop(void **state)
{
    (void)state;

    assert_int_equal(agent->n_ops, 0);
    uv_close((uv_handle_t *)&agent->refused_timer, NULL);
    hws_bars_deinit(&agent->barred.bars);
    hws_policy_unref(agent->policy);
    keeper_close();
    return 0;
}

/* ---- one call -------------------------------------------------------------------------------- */

static struct hws_rpc *open_rpc(const char *principal, enum hws_method_id method)
{
    static const struct hws_link_call_open none;
    struct hws_rpc *rpc = hws_rpc_new(&agent->wire, ++n_calls, hws_method_at(method));

    assert_non_null(rpc);
    rpc->handler = hws_handler_at(method);
    rpc->caller = hws_caller_new(principal, &none);
    assert_non_null(rpc->caller);
    return rpc;
}

static uint32_t last_retry_ms; /* of the last call */

/* How a call of these bytes ended: its gRPC status; the text in message. */
static uint8_t call_bytes(const char *principal, enum hws_method_id method, const void *bytes,
                          size_t n, char message[HWS_ERR_MSG_BYTES])
{
    struct hws_rpc *rpc = open_rpc(principal, method);

    hws_task_begin(rpc, bytes, n);
    while (!rpc->ended) {
        keeper_turn();
    }
    uint8_t status = rpc->status;
    hws_str_copy(message, HWS_ERR_MSG_BYTES, rpc->message);
    last_retry_ms = rpc->retry_ms;
    hws_rpc_free(rpc);
    return status;
}

static uint8_t call(const char *principal, enum hws_method_id method, const ProtobufCMessage *q,
                    char message[HWS_ERR_MSG_BYTES])
{
    struct hws_buf bytes;

    hws_buf_init(&bytes, 0);
    assert_code(hws_svc_pack(q, &bytes), HWS_OK);
    uint8_t status =
        call_bytes(principal, method, hws_buf_peek(&bytes), hws_buf_len(&bytes), message);
    hws_buf_deinit(&bytes);
    return status;
}

/* The newest record: phase, status and text. */
static void newest_is(uint8_t phase, const char *code, const char *text, uint32_t n_others)
{
    struct hws_store_query q;
    struct hws_err err;

    hws_store_query_init(&q);
    q.last_n = 1;
    assert_ok(hws_store_run(agent->store, &q.job, &err), &err);
    assert_int_equal(q.n_records, 1);
    const struct hws_record *r = &q.records[0];
    if (r->phase != phase || strcmp(r->code, code) != 0 || strstr(r->detail, text) == NULL) {
        fail_msg("%s %s: %s; expected %s: %s", hws_record_phase_name(r->phase), r->code, r->detail,
                 code, text);
    }
    assert_int_equal(r->n_others, n_others);
    hws_store_job_deinit(&q.job);
}

static uint64_t n_records(void)
{
    return hws_store_audit_head(agent->store);
}

static uint64_t counted[HWS_N_REFUSALS];

static void expect_counted(enum hws_refusal why)
{
    counted[why]++;
    for (unsigned i = 0; i < HWS_N_REFUSALS; i++) {
        if (agent->refusals[i] != counted[i]) {
            fail_msg("%s: %llu, expected %llu", hws_refusal_name((enum hws_refusal)i),
                     (unsigned long long)agent->refusals[i], (unsigned long long)counted[i]);
        }
    }
}

/* It ended so, and exactly one record and one counter say so. */
static void refused(uint8_t status, uint8_t expected, const char *message, const char *part,
                    enum hws_refusal why)
{
    if (status != expected || strstr(message, part) == NULL) {
        fail_msg("status %u: %s; expected %u: %s", status, message, expected, part);
    }
    expect_counted(why);
    newest_is(HWS_RECORD_DENIED, hws_convert_name((enum hws_rpc_code)expected), part, 0);
}

/* ---- the steps ------------------------------------------------------------------------------- */

static Hawser__V1__Mutation mutation = HAWSER__V1__MUTATION__INIT;
static Hawser__V1__Fence fence = HAWSER__V1__FENCE__INIT;

/* protobuf-c's strings are not const; it does not write to them. */
static char *text(const char *s)
{
    char *out;

    memcpy(&out, &s, sizeof(out));
    return out;
}

static Hawser__V1__Mutation *mutate(const char *request_id, uint64_t election)
{
    fence.role = text("operator");
    fence.election_low = election;
    mutation.fence = &fence;
    mutation.request_id = text(request_id);
    return &mutation;
}

/* A change of the agent that fails when it is run: no policy is on trial. */
static uint8_t finalize(const char *request_id, uint64_t election, char message[HWS_ERR_MSG_BYTES])
{
    Hawser__V1__FinalizeRequest q = HAWSER__V1__FINALIZE_REQUEST__INIT;

    q.policy_hash = text("00");
    q.mutation = request_id == NULL ? NULL : mutate(request_id, election);
    return call(OLGA, HWS_METHOD_AGENT_FINALIZE, &q.base, message);
}

static uint8_t reset(const char *device, const char *request_id, char message[HWS_ERR_MSG_BYTES])
{
    char *names[] = {text("NUM_OF_VFS")};
    Hawser__V1__ResetConfigRequest q = HAWSER__V1__RESET_CONFIG_REQUEST__INIT;

    q.device = text(device);
    q.names = names;
    q.n_names = 1;
    q.mutation = mutate(request_id, 1);
    return call(OLGA, HWS_METHOD_CONFIG_RESET, &q.base, message);
}

static int fresh(void **state)
{
    memset(counted, 0, sizeof(counted));
    return start(state);
}

static void form_request_and_policy(void **state)
{
    Hawser__V1__WhoAmIRequest who = HAWSER__V1__WHO_AM_IREQUEST__INIT;
    Hawser__V1__ProbeRequest probe = HAWSER__V1__PROBE_REQUEST__INIT;
    char m[HWS_ERR_MSG_BYTES];
    (void)state;

    uint8_t status = call_bytes(OLGA, HWS_METHOD_AGENT_WHO_AM_I, "\xff", 1, m);
    refused(status, HWS_RPC_INTERNAL, m, "does not parse as hawser.v1.WhoAmIRequest",
            HWS_REFUSAL_FORM);
    status = call(OLGA, HWS_METHOD_AGENT_PROBE, &probe.base, m);
    refused(status, HWS_RPC_INVALID_ARGUMENT, m, "principal is required", HWS_REFUSAL_REQUEST);
    status = reset("0000:99:00.0", "request-1", m);
    refused(status, HWS_RPC_NOT_FOUND, m, "0000:99:00.0", HWS_REFUSAL_REQUEST);
    status = call(NOBODY, HWS_METHOD_AGENT_WHO_AM_I, &who.base, m);
    refused(status, HWS_RPC_PERMISSION_DENIED, m, "no rule names this principal",
            HWS_REFUSAL_POLICY);
    assert_int_equal(agent->counters[HWS_COUNT_DENIED], 1);
}

static void locks_and_rates(void **state)
{
    struct hws_bar bar = {.kind = HWS_BAR_HOST};
    char m[HWS_ERR_MSG_BYTES];
    struct hws_err err;
    uint64_t id;
    (void)state;

    agent->rates.per_min[HWS_EFFECT_CONFIG_LIVE] = 1;
    uint8_t status = finalize(NULL, 0, m);
    refused(status, HWS_RPC_INVALID_ARGUMENT, m, "mutation is required", HWS_REFUSAL_MUTATION);
    status = finalize("request-1", 1, m);
    refused(status, HWS_RPC_RESOURCE_EXHAUSTED, m, "effect config-live, 1 a minute",
            HWS_REFUSAL_RATE);
    assert_int_equal(last_retry_ms, 60000);
    hws_str_copy(bar.who, sizeof(bar.who), "spiffe://d/operator/otto");
    hws_str_copy(bar.reason, sizeof(bar.reason), "cable work");
    bar.until_unix_ms = hws_agent_unix_ms() + 3600000;
    assert_code(hws_bars_init(&agent->barred.bars), HWS_OK);
    assert_ok(hws_bars_add(&agent->barred.bars, &bar, hws_agent_unix_ms(), &id, &err), &err);
    status = reset(NIC, "request-1", m);
    refused(status, HWS_RPC_PERMISSION_DENIED, m, "cable work", HWS_REFUSAL_LOCK);
}

static void states_and_unfinished_changes(void **state)
{
    char m[HWS_ERR_MSG_BYTES];
    (void)state;

    adapter.recovering = true;
    uint8_t status = reset(NIC, "request-1", m);
    refused(status, HWS_RPC_FAILED_PRECONDITION, m, "still being resolved", HWS_REFUSAL_STATE);
    agent->state = HWS_AGENT_SAFE;
    hws_str_copy(agent->state_reason, sizeof(agent->state_reason), "the disk has failed");
    status = finalize("request-1", 1, m);
    refused(status, HWS_RPC_FAILED_PRECONDITION, m, "the disk has failed", HWS_REFUSAL_STATE);
}

static void fence_and_request_id(void **state)
{
    char m[HWS_ERR_MSG_BYTES];
    (void)state;

    uint8_t status = finalize("short", 1, m);
    refused(status, HWS_RPC_INVALID_ARGUMENT, m, "mutation.request_id", HWS_REFUSAL_MUTATION);
    assert_int_equal(finalize("request-1", 5, m), HWS_RPC_FAILED_PRECONDITION);
    assert_non_null(strstr(m, "no policy is on trial"));
    newest_is(HWS_RECORD_OUTCOME, "FAILED_PRECONDITION", "no policy is on trial", 0);
    uint64_t before = n_records();
    status = finalize("request-2", 4, m);
    refused(status, HWS_RPC_PERMISSION_DENIED, m, "fence", HWS_REFUSAL_MUTATION);
    assert_int_equal(n_records(), before + 1); /* once, by the store */
}

static void limits(void **state)
{
    Hawser__V1__WhoAmIRequest who = HAWSER__V1__WHO_AM_IREQUEST__INIT;
    char m[HWS_ERR_MSG_BYTES];
    struct hws_err err;
    unsigned n_places = 0;
    (void)state;

    size_t n_ops = agent->n_ops;
    agent->n_ops = HWS_TASK_MAX_LIVE;
    uint8_t status = call(OLGA, HWS_METHOD_AGENT_WHO_AM_I, &who.base, m);
    agent->n_ops = n_ops;
    refused(status, HWS_RPC_RESOURCE_EXHAUSTED, m, "operations at once", HWS_REFUSAL_LIMIT);

    /* Nothing fits into the store's queue: it is told when something does. */
    uint64_t before = n_records();
    while (hws_store_reserve(agent->store, &err) == HWS_OK) {
        n_places++;
    }
    status = call(OLGA, HWS_METHOD_AGENT_WHO_AM_I, &who.base, m);
    assert_int_equal(status, HWS_RPC_RESOURCE_EXHAUSTED);
    expect_counted(HWS_REFUSAL_LIMIT);
    hws_audit_tell_refused(agent, false);
    assert_true(hws_refused_waits(&agent->refused));
    while (n_places-- > 0) {
        hws_store_unreserve(agent->store);
    }
    hws_audit_tell_refused(agent, true);
    newest_is(HWS_RECORD_DENIED, "RESOURCE_EXHAUSTED",
              "1 refused calls not recorded singly (1 limit)", 1);
    assert_int_equal(n_records(), before + 1);
}

/* Whatever the reasons, a principal gets so many records and then counts. */
static void a_flood_of_any_kind_is_bounded_and_counted(void **state)
{
    Hawser__V1__ProbeRequest probe = HAWSER__V1__PROBE_REQUEST__INIT;
    char m[HWS_ERR_MSG_BYTES];
    (void)state;

    for (unsigned i = 0; i < 1000; i++) {
        (void)call_bytes(OLGA, HWS_METHOD_AGENT_WHO_AM_I, "\xff", 1, m);
        (void)call(OLGA, HWS_METHOD_AGENT_PROBE, &probe.base, m);
        hws_store_turn(agent->store);
    }
    assert_int_equal(agent->refusals[HWS_REFUSAL_FORM], 1000);
    assert_int_equal(agent->refusals[HWS_REFUSAL_REQUEST], 1000);
    hws_audit_tell_refused(agent, true);
    char said[80];
    hws_str_print(said, sizeof(said), "%u refused calls not recorded singly (%u form, %u request)",
                  2000 - HWS_REFUSED_BURST, 1000 - HWS_REFUSED_BURST / 2,
                  1000 - HWS_REFUSED_BURST / 2);
    newest_is(HWS_RECORD_DENIED, "INVALID_ARGUMENT", said, 2000 - HWS_REFUSED_BURST);
    assert_int_equal(n_records(), HWS_REFUSED_BURST + 1);
}

static void a_request_that_is_never_whole_is_on_record(void **state)
{
    struct hws_rpc *rpc = open_rpc(OLGA, HWS_METHOD_AGENT_WHO_AM_I);
    (void)state;

    hws_rpc_message(rpc, NULL, 0);
    hws_rpc_abandon(rpc, HWS_E_CANCELED);
    expect_counted(HWS_REFUSAL_FORM);
    newest_is(HWS_RECORD_DENIED, "CANCELLED", "given up before its request was whole", 0);
    hws_rpc_free(rpc);
}

/* Over a limit of hawser-wire: the record says what the caller was told. */
static void a_request_that_hawser_wire_refused_is_on_record_as_that(void **state)
{
    struct hws_rpc *rpc = open_rpc(OLGA, HWS_METHOD_AGENT_WHO_AM_I);
    (void)state;

    rpc->cut = HWS_E_BUSY;
    hws_rpc_abandon(rpc, HWS_E_CANCELED);
    expect_counted(HWS_REFUSAL_FORM);
    newest_is(HWS_RECORD_DENIED, "RESOURCE_EXHAUSTED", "refused before its request was whole", 0);
    hws_rpc_free(rpc);
}

static void more_messages_than_one_are_refused(void **state)
{
    struct hws_rpc *rpc = open_rpc(OLGA, HWS_METHOD_AGENT_WHO_AM_I);
    (void)state;

    hws_rpc_message(rpc, NULL, 0);
    hws_rpc_message(rpc, NULL, 0);
    refused(rpc->status, HWS_RPC_UNIMPLEMENTED, rpc->message, "takes one request message",
            HWS_REFUSAL_FORM);
    hws_rpc_free(rpc);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, stop)
    const struct CMUnitTest tests[] = {
        T(form_request_and_policy),
        T(locks_and_rates),
        T(states_and_unfinished_changes),
        T(fence_and_request_id),
        T(limits),
        T(a_flood_of_any_kind_is_bounded_and_counted),
        T(a_request_that_is_never_whole_is_on_record),
        T(a_request_that_hawser_wire_refused_is_on_record_as_that),
        T(more_messages_than_one_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
