/*
 * What `hawser authz test` says of a policy file is what the agent says that runs by it: 10,000
 * cases, drawn from the printed seed, under a policy drawn with them.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "link/methods.h"
#include "rig_sweep.h"
#include "table/table.h"
#include "test.h"

#define N_CASES   10000u
#define N_FLIGHT  100u /* probes under way at once */
#define N_RULES   60u
#define CALL_MS   60000u
#define N_PICK(a) (sizeof(a) / sizeof((a)[0]))
#define PICK(a)   ((a)[draw(N_PICK(a))])

static struct hws_rig rig;
static uint64_t s_random;

static size_t draw(size_t n)
{
    return (size_t)(hws_test_rand(&s_random) % n);
}

static const char *const s_principals[] = {
    "spiffe://d.test/operator/olga",
    "spiffe://d.test/operator/oscar",
    "spiffe://d.test/viewer/vic",
    "spiffe://d.test/viewer/team/x",
    "dns:mon.d.test",
    "unix:uid:1234",
};
static const char *const s_who[] = {
    "spiffe://d.test/operator/", "spiffe://d.test/viewer/", "spiffe://d.test/operator/oscar",
    "\"dns:mon.d.test\"",        "\"unix:uid:1234\"",       "spiffe://d.test/viewer/team/",
};
static const char *const s_what[] = {
    "observe",         "configure",    "update",   "debug",    "audit",     "admin",
    "command.execute", "config.apply", "config.*", "device.*", "dump.pull", "command.*",
};
static const char *const s_devices[] = {
    "", "mlx5:S1@0000:81:00.0", "mlx5:S2@0000:82:00.0", "mlx5:S1@0000:83:00.0", "elsewhere",
};
static const char *const s_selectors[] = {
    "\"*\"",         "\"pci:0000:81:00.0\"", "\"serial:S1\"", "\"mlx5:S2@0000:82:00.0\"",
    "\"serial:S9\"", "\"part:P1-HEAT\"",     "\"part:P1*\"",  "\"psid:MT_0000000001\"",
    "\"psid:DEL*\"",
};
static const char *const s_parts[] = {"", "P1-HEAT", "P1-CAT", "P2"};
static const char *const s_psids[] = {"", "MT_0000000001", "MT_0000000002", "DEL0000000001"};
static const char *const s_objects[] = {
    "",           "MGIR",       "MNVDA:read",    "MNVDA:write",   "PAOS:read",
    "PAOS:write", "MFRL:write", "QUERY_ADAPTER", "QUERY_HCA_CAP",
};
static const char *const s_targets[] = {"MGIR", "\"MNVDA:write\"", "PAOS", "\"PAOS:write\"",
                                        "QUERY_ADAPTER"};
static const char *const s_fields[] = {"local_port", "admin_status", "swid", "e"};
static const char *const s_windows[] = {
    "days: [mon, wed, sun]",
    "hours: \"08:00-18:00\"",
    "hours: \"22:30-05:15\", days: [fri, sat]",
    "days: [tue]",
};

static void put(struct hws_buf *b, const char *text)
{
    assert_ok(hws_buf_put(b, text, strlen(text)), NULL);
}

/* "    key: [a, b]\n" with one or two entries of a list. */
static void put_list(struct hws_buf *b, const char *key, const char *const *from, size_t n)
{
    assert_ok(hws_buf_printf(b, "    %s: [%s", key, from[draw(n)]), NULL);
    if (draw(2) == 0) {
        assert_ok(hws_buf_printf(b, ", %s", from[draw(n)]), NULL);
    }
    put(b, "]\n");
}

static void put_when(struct hws_buf *b, bool deny)
{
    const char *gap = "";

    put(b, "    when: {");
    if (deny || draw(2) == 0) {
        put(b, PICK(s_windows));
        gap = ", ";
    }
    if (!deny && draw(3) == 0) {
        assert_ok(hws_buf_printf(b, "%sapproval: required", gap), NULL);
        gap = ", ";
    }
    if (!deny && draw(3) == 0) {
        assert_ok(hws_buf_printf(b, "%slock: held", gap), NULL);
    }
    put(b, "}\n");
}

static void put_rule(struct hws_buf *b, unsigned number)
{
    bool deny = draw(12) == 0;
    bool targets = draw(3) == 0;

    assert_ok(
        hws_buf_printf(b, "  - name: r%u\n    decision: %s\n", number, deny ? "deny" : "allow"),
        NULL);
    put_list(b, "principals", s_who, N_PICK(s_who));
    put_list(b, "methods", s_what, N_PICK(s_what));
    if (draw(3) == 0) {
        put_list(b, "devices", s_selectors, N_PICK(s_selectors));
    }
    if (targets) {
        put_list(b, "targets", s_targets, N_PICK(s_targets));
    }
    if (targets && draw(2) == 0) {
        put_list(b, "fields", s_fields, N_PICK(s_fields));
    }
    assert_ok(hws_buf_printf(b, "    %s: %s\n", deny ? "min_effect" : "max_effect",
                             hws_effect_name((enum hws_effect)(1 + draw(HWS_N_EFFECTS - 1)))),
              NULL);
    if (draw(3) == 0) {
        put_when(b, deny);
    }
}

/* The rig's own user keeps what it needs, whatever is drawn. */
static void write_policy(void)
{
    struct hws_buf b;

    hws_buf_init(&b, 0);
    assert_ok(hws_buf_printf(&b,
                             "version: 1\nlocal:\n  \"%u\": spiffe://d.test/rig\nrules:\n"
                             "  - name: rig\n    principals: [spiffe://d.test/rig]\n"
                             "    methods: [observe, admin]\n    max_effect: config-live\n",
                             (unsigned)getuid()),
              NULL);
    for (unsigned i = 0; i < N_RULES; i++) {
        put_rule(&b, i);
    }
    hws_rig_write(&rig, "policy.yaml", hws_buf_cstr(&b));
    hws_buf_deinit(&b);
}

/* One question, as Probe takes it and as a line of a batch says it. */
struct question {
    const char *principal;
    const char *method;
    const char *device;
    const char *part;
    const char *psid;
    const char *object;
    enum hws_effect effect;
    const char *fields[2];
    size_t n_fields;
    bool raw;
    bool approved;
    bool holds_lock;
    uint64_t at;
    /* What the file's judge said. */
    bool allowed;
    char rule[64];
    unsigned line;
    char reason[512];
};

static struct question s_questions[N_CASES];

static void draw_question(struct question *q)
{
    q->principal = PICK(s_principals);
    q->method =
        hws_method_at(draw(2) == 0 ? HWS_METHOD_COMMAND_EXECUTE : draw(HWS_N_METHODS))->path;
    q->device = PICK(s_devices);
    q->part = PICK(s_parts);
    q->psid = PICK(s_psids);
    q->object = PICK(s_objects);
    q->effect = q->object[0] == '\0' || draw(3) == 0
                    ? (enum hws_effect)(1 + draw(HWS_N_EFFECTS - 1))
                    : HWS_EFFECT_NONE;
    q->n_fields = draw(3);
    for (size_t i = 0; i < q->n_fields; i++) {
        q->fields[i] = PICK(s_fields);
    }
    q->raw = draw(5) == 0;
    q->approved = draw(2) == 0;
    q->holds_lock = draw(2) == 0;
    q->at = 1700000000u + draw(1209600) /* two weeks */;
}

/* ---- the file's judge: hawser authz test --batch ------------------------------------------------
 */

static void write_batch(const char *path)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (size_t i = 0; i < N_CASES; i++) {
        const struct question *q = &s_questions[i];
        json_t *line =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:[]}", "principal",
                      q->principal, "method", q->method, "device", q->device, "part", q->part,
                      "psid", q->psid, "object", q->object, "bytes", q->raw, "approved",
                      q->approved, "holds_lock", q->holds_lock, "at", (json_int_t)q->at, "fields");
        assert_non_null(line);
        if (q->effect != HWS_EFFECT_NONE) {
            json_object_set_new(line, "effect", json_string(hws_effect_name(q->effect)));
        }
        for (size_t k = 0; k < q->n_fields; k++) {
            json_array_append_new(json_object_get(line, "fields"), json_string(q->fields[k]));
        }
        assert_int_equal(json_dumpf(line, f, JSON_COMPACT), 0);
        assert_int_not_equal(fputc('\n', f), EOF);
        json_decref(line);
    }
    assert_int_equal(fclose(f), 0);
}

static const char *text_or_empty(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));

    return text == NULL ? "" : text;
}

static void ask_the_file(void)
{
    char batch[128];
    char command[512];
    char line[4096];
    size_t n = 0;

    hws_str_print(batch, sizeof(batch), "%s/questions.jsonl", rig.dir);
    write_batch(batch);
    hws_str_print(command, sizeof(command),
                  HWS_BIN_DIR "/hawser authz test --policy %s/policy.yaml --batch %s", rig.dir,
                  batch);
    FILE *answers = popen(command, "r"); /* NOLINT(cert-env33-c): a command line as a user's */
    assert_non_null(answers);
    while (fgets(line, sizeof(line), answers) != NULL && n < N_CASES) {
        struct question *q = &s_questions[n++];
        json_t *a = json_loads(line, 0, NULL);
        assert_non_null(a);
        assert_string_equal(text_or_empty(a, "error"), "");
        q->allowed = json_is_true(json_object_get(a, "allowed"));
        q->line = (unsigned)json_integer_value(json_object_get(a, "line"));
        assert_true(hws_str_copy(q->rule, sizeof(q->rule), text_or_empty(a, "rule")));
        assert_true(hws_str_copy(q->reason, sizeof(q->reason), text_or_empty(a, "reason")));
        json_decref(a);
    }
    assert_int_equal(pclose(answers), 0);
    assert_int_equal(n, N_CASES);
}

/* ---- the agent's judge --------------------------------------------------------------------------
 */

static void ask_the_agent(const struct question *q, struct hws_rig_async *out)
{
    Hawser__V1__ProbeRequest r = HAWSER__V1__PROBE_REQUEST__INIT;
    char *fields[2] = {hws_rig_text(q->fields[0]), hws_rig_text(q->fields[1])};

    r.principal = hws_rig_text(q->principal);
    r.method = hws_rig_text(q->method);
    r.device = hws_rig_text(q->device);
    r.part = hws_rig_text(q->part);
    r.psid = hws_rig_text(q->psid);
    r.target = hws_rig_text(q->object);
    r.effect = (Hawser__V1__Effect)q->effect;
    r.fields = fields;
    r.n_fields = q->n_fields;
    r.raw = q->raw;
    r.approved = q->approved;
    r.holds_lock = q->holds_lock;
    r.unix_s = q->at;
    hws_rig_begin(&rig, "/hawser.v1.AgentService/Probe", HWS_GRPC_UNARY, &r.base, CALL_MS, out);
}

static void compare(const struct question *q, struct hws_rig_async *call)
{
    uint64_t until_ms = hws_rig_now_ms() + CALL_MS;

    assert_true(hws_rig_wait(&rig, call, CALL_MS + 10000));
    /* A disk that is slower than the questions: their records wait, and so do we. */
    while (call->reply.code == HWS_GRPC_RESOURCE_EXHAUSTED && hws_rig_now_ms() < until_ms) {
        hws_rig_reply_free(&call->reply);
        hws_rig_idle(&rig, 20);
        ask_the_agent(q, call);
        assert_true(hws_rig_wait(&rig, call, CALL_MS + 10000));
    }
    if (call->reply.code != HWS_GRPC_OK) {
        fail_msg("%s", call->reply.message);
    }
    Hawser__V1__ProbeResponse *a = hawser__v1__probe_response__unpack(
        NULL, hws_buf_len(&call->reply.bytes), hws_buf_peek(&call->reply.bytes));
    assert_non_null(a);
    if (a->allowed != q->allowed || strcmp(a->rule, q->rule) != 0 || a->line != q->line ||
        strcmp(a->reason, q->reason) != 0) {
        fail_msg("%s %s %s on \"%s\": the agent says %d by \"%s\" (line %u): %s; the file says %d "
                 "by \"%s\" (line %u): %s",
                 q->principal, q->method, q->object, q->device, a->allowed, a->rule, a->line,
                 a->reason, q->allowed, q->rule, q->line, q->reason);
    }
    hawser__v1__probe_response__free_unpacked(a, NULL);
    hws_rig_reply_free(&call->reply);
}

static void reload(void)
{
    Hawser__V1__ReloadRequest r = HAWSER__V1__RELOAD_REQUEST__INIT;
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    Hawser__V1__Fence fence = HAWSER__V1__FENCE__INIT;
    struct hws_rig_reply reply;

    fence.role = hws_rig_text("operator");
    fence.election_low = HWS_RIG_FENCE;
    m.fence = &fence;
    m.request_id = hws_rig_text("authz-reload");
    r.mutation = &m;
    hws_rig_call(&rig, "/hawser.v1.AgentService/Reload", &r.base, CALL_MS, &reply);
    if (reply.code != HWS_GRPC_OK) {
        fail_msg("%s", reply.message);
    }
    hws_rig_reply_free(&reply);
}

static void file_and_agent_agree_on_ten_thousand_cases(void **state)
{
    static struct hws_rig_async calls[N_FLIGHT];
    size_t n_allowed = 0;
    size_t n_ruled = 0;
    (void)state;

    s_random = hws_test_seed();
    write_policy();
    reload();
    for (size_t i = 0; i < N_CASES; i++) {
        draw_question(&s_questions[i]);
    }
    ask_the_file();
    for (size_t i = 0; i < N_CASES; i += N_FLIGHT) {
        for (size_t k = 0; k < N_FLIGHT; k++) {
            ask_the_agent(&s_questions[i + k], &calls[k]);
        }
        for (size_t k = 0; k < N_FLIGHT; k++) {
            compare(&s_questions[i + k], &calls[k]);
            n_allowed += s_questions[i + k].allowed ? 1 : 0;
            n_ruled += s_questions[i + k].rule[0] != '\0' ? 1 : 0;
        }
    }
    printf("%u cases under %u rules: %zu allowed, %zu denied by a rule, %zu by none\n", N_CASES,
           N_RULES, n_allowed, n_ruled - n_allowed, N_CASES - n_ruled);
    assert_true(n_allowed > N_CASES / 100); /* the draw says something about both verdicts */
    assert_true(n_allowed < N_CASES - N_CASES / 100);
}

static int start(void **state)
{
    struct hws_rig_options options = {0};

    *state = &rig;
    hws_rig_start(&rig, &options);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_and_agent_agree_on_ten_thousand_cases),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
