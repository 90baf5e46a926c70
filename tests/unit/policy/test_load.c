/* Policy files: what is read, and how each kind of bad file is refused with its place. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "known_methods.h"
#include "test.h"

#define HEAD "version: 1\nrules:\n"

/* Texts just over a limit. */
#define X64   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define U64   "UUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUU"
#define X256  X64 X64 X64 X64
#define X2049 X256 X256 X256 X256 X256 X256 X256 X256 "x"
#define GOOD                                                                                       \
    "  - name: a\n    principals: [spiffe://d/x/]\n    methods: [config.get]\n    max_effect: "    \
    "read\n"

static enum hws_code load(const char *text, struct hws_policy **out, struct hws_err *err)
{
    return hws_policy_load(text, strlen(text), "p.yaml", s_known, N_KNOWN, out, err);
}

static const struct {
    const char *text;
    const char *message; /* the refusal begins with this */
} s_bad[] = {
    {"", "p.yaml:1:1: the file is empty"},
    {"# only a remark\n", "p.yaml:1:1: the file is empty"},
    {"just text\n", "p.yaml:1:1: \"key: value\" lines were expected here"},
    {"- 1\n", "p.yaml:1:3: \"key: value\" lines were expected here"},
    {"rules:\n" GOOD, "p.yaml:1:1: key \"version\" is missing"},
    {"version: 2\nrules:\n" GOOD, "p.yaml:1:10: version 2 is not known"},
    {"version: 1\n", "p.yaml:1:1: key \"rules\" is missing"},
    {"version: 1\nrules: []\n", "p.yaml:2:1: an empty list"},
    /* Where an empty value stands differs: column 1 in libfyaml 0.7, after its key in 0.8. */
    {"version: 1\nrules:\n", "p.yaml:2:~: a list was expected here"},
    {"version: 1\nroles: 1\n",
     "p.yaml:2:1: unknown key \"roles\"; known are version, local, rules"},
    {HEAD GOOD "version: 1\n", "p.yaml:"},
    {HEAD GOOD GOOD, "p.yaml:7:11: two rules are named \"a\""},
    {HEAD "  - name: A\n", "p.yaml:3:11: a rule's name is 1 to 64 lower-case"},
    {HEAD "  - name: " X64 "x\n", "p.yaml:3:11: a rule's name is 1 to 64 lower-case"},
    {HEAD "  - name: \"\"\n", "p.yaml:3:~: a text of 1 to 2048 bytes"},
    {HEAD "  - name: " X2049 "\n", "p.yaml:3:~: a text of 1 to 2048 bytes"},
    {HEAD "  - name: \"a\\x01\"\n", "p.yaml:3:12: a control character"},
    {HEAD "  - name: \"a\\x7f\"\n", "p.yaml:3:12: a control character"},
    {HEAD "  - name:\n", "p.yaml:3:~: a text of 1 to 2048 bytes"},
    {HEAD "  - name: {}\n", "p.yaml:3:5: a plain text was expected"},
    {HEAD "  - name: [[[[[[[[[[x]]]]]]]]]]\n", "p.yaml:3:5: a plain text was expected"},
    {HEAD "  - {}\n", "p.yaml:2:1: key \"name\" is missing"},
    {HEAD "  - &r {name: a}\n", "p.yaml:3:~: anchors and aliases"},
    {HEAD "  - {name}\n", "p.yaml:3:~: a text of 1 to 2048 bytes"},
    {HEAD "  - {name: a, \"n\\x61me\": b}\n", "p.yaml:3:"},
    {HEAD "  - {name: a, !!str name: b}\n", "p.yaml:3:"},
    {HEAD "  - {&n name: a, name: b}\n", "p.yaml:3:"},
    {HEAD "  - {name: a, max_effect}\n", "p.yaml:3:~: rule a: a text of 1 to 2048 bytes"},
    {HEAD "  - {name: a, ? }\n", "p.yaml:3:~: rule a: a text of 1 to 2048 bytes"},
    {HEAD "  - &n name: a\n    *n : b\n", "p.yaml:"},
    {HEAD "  - name: a\n    methods: [x]\n",
     "p.yaml:4:15: rule a: \"x\" is no method of this agent"},
    {HEAD "  - name: a\n    methods: [&m x]\n", "p.yaml:4:~: rule a: anchors and aliases"},
    {HEAD "  - name: a\n    metods: [config.get]\n", "p.yaml:4:5: rule a: unknown key \"metods\""},
    {HEAD "  - name: a\n    methods: [config.get]\n    max_effect: read\n",
     "p.yaml:3:5: rule a: key \"principals\" is missing"},
    {HEAD "  - name: a\n    principals: [spiffe://d/x]\n    methods: [config.get]\n",
     "p.yaml:3:5: rule a: key \"max_effect\" is missing"},
    {HEAD "  - name: a\n    principals: spiffe://d/x\n",
     "p.yaml:4:17: rule a: a list was expected"},
    {HEAD "  - name: a\n    principals: []\n", "p.yaml:4:5: rule a: an empty list"},
    {HEAD "  - name: a\n    principals: [[x]]\n", "p.yaml:4:19: rule a: a plain text was expected"},
    {HEAD "  - name: a\n    principals: [http://d/x]\n",
     "p.yaml:4:18: rule a: principal \"http://d/x\": not a principal"},
    {HEAD "  - name: a\n    principals: [spiffe://D/x]\n",
     "p.yaml:4:18: rule a: principal \"spiffe://D/x\": a trust domain is"},
    {HEAD "  - name: a\n    principals: [spiffe://d]\n",
     "p.yaml:4:18: rule a: principal \"spiffe://d\": a path must follow"},
    {HEAD "  - name: a\n    principals: [\"spiffe:///x\"]\n",
     "p.yaml:4:19: rule a: principal \"spiffe:///x\": a trust domain is"},
    {HEAD "  - name: a\n    principals: [\"spiffe://" X256 "/x\"]\n", "p.yaml:4:19: rule a: "},
    {HEAD "  - name: a\n    principals: [\"spiffe://d/.\"]\n",
     "p.yaml:4:19: rule a: principal \"spiffe://d/.\": a path segment may not be"},
    {HEAD "  - name: a\n    principals: [\"dns:\"]\n",
     "p.yaml:4:19: rule a: principal \"dns:\": a DNS name is 1 to 253"},
    {HEAD "  - name: a\n    principals: [\"dns:" X256 "\"]\n", "p.yaml:4:19: rule a: "},
    {HEAD "  - name: a\n    principals: [\"unix:uid:\"]\n",
     "p.yaml:4:19: rule a: principal \"unix:uid:\": a Unix user is"},
    {HEAD "  - name: a\n    principals: [\"unix:uid:4294967296\"]\n",
     "p.yaml:4:19: rule a: principal \"unix:uid:4294967296\": a Unix user is"},
    {HEAD "  - name: a\n    principals: [spiffe://d//x]\n",
     "p.yaml:4:18: rule a: principal \"spiffe://d//x\": an empty path segment"},
    {HEAD "  - name: a\n    principals: [spiffe://d/../x]\n",
     "p.yaml:4:18: rule a: principal \"spiffe://d/../x\": a path segment may not be"},
    {HEAD "  - name: a\n    principals: [\"spiffe://d/x%41\"]\n",
     "p.yaml:4:19: rule a: principal \"spiffe://d/x%41\": a path segment may hold"},
    {HEAD "  - name: a\n    principals: [\"unix:uid:x\"]\n",
     "p.yaml:4:19: rule a: principal \"unix:uid:x\": a Unix user is"},
    {HEAD "  - name: a\n    principals: [\"dns:Host\"]\n",
     "p.yaml:4:19: rule a: principal \"dns:Host\": a DNS name is"},
    {HEAD "  - name: a\n    principals: [\"*\"]\n    methods: [config.get]\n    max_effect: read\n",
     "p.yaml:3:5: rule a: \"*\" for principals or methods is for deny rules only"},
    {HEAD
     "  - name: a\n    principals: [spiffe://d/x]\n    methods: [\"*\"]\n    max_effect: read\n",
     "p.yaml:3:5: rule a: \"*\" for principals or methods is for deny rules only"},
    {HEAD "  - name: a\n    methods: [config.set]\n",
     "p.yaml:4:15: rule a: \"config.set\" is no method of this agent"},
    {HEAD "  - name: a\n    methods: [hawser.v1.ConfigService/Get]\n",
     "p.yaml:4:15: rule a: \"hawser.v1.ConfigService/Get\" is no method of this agent"},
    {HEAD "  - name: a\n    methods: [operate]\n",
     "p.yaml:4:15: rule a: \"operate\" is no method of this agent"},
    {HEAD "  - name: a\n    max_effect: everything\n",
     "p.yaml:4:17: rule a: effect \"everything\" is unknown; known are read, "},
    {HEAD "  - name: a\n    max_effect: read\n    min_effect: full\n",
     "p.yaml:5:17: rule a: max_effect is for allow rules"},
    {HEAD "  - name: a\n    principals: [spiffe://d/x]\n    methods: [config.get]\n"
          "    min_effect: read\n",
     "p.yaml:3:5: rule a: max_effect is for allow rules"},
    {HEAD "  - name: a\n    decision: maybe\n",
     "p.yaml:4:15: rule a: decision is \"allow\" or \"deny\""},
    {HEAD "  - name: a\n    decision: [deny]\n", "p.yaml:4:16: rule a: a plain text was expected"},
    {HEAD "  - name: a\n    devices: [\"guid:1\"]\n",
     "p.yaml:4:16: rule a: \"guid:1\": not a device"},
    {HEAD "  - name: a\n    devices: [\"part:\"]\n",
     "p.yaml:4:16: rule a: \"part:\": not a device"},
    {HEAD "  - name: a\n    devices: [\"part:*\"]\n",
     "p.yaml:4:16: rule a: \"part:*\": not a device"},
    {HEAD "  - name: a\n    devices: [\"psid:\"]\n",
     "p.yaml:4:16: rule a: \"psid:\": not a device"},
    {HEAD "  - name: a\n    devices: [\"pci:\"]\n", "p.yaml:4:16: rule a: \"pci:\": not a device"},
    {HEAD "  - name: a\n    devices: [\"serial:S*\"]\n",
     "p.yaml:4:16: rule a: \"serial:S*\": not a device"},
    {HEAD "  - name: a\n    devices: [\"mlx5:S1\"]\n",
     "p.yaml:4:16: rule a: \"mlx5:S1\": not a device"},
    {HEAD "  - name: a\n    devices: [\"psid:M*T\"]\n",
     "p.yaml:4:16: rule a: \"psid:M*T\": not a device"},
    {HEAD "  - name: a\n    devices: [\"part:a b\"]\n",
     "p.yaml:4:16: rule a: \"part:a b\": not a device"},
    {HEAD "  - name: a\n    devices: [\"mlx5:S1/x@y\"]\n",
     "p.yaml:4:16: rule a: \"mlx5:S1/x@y\": not a device"},
    {HEAD "  - name: a\n    devices: [card]\n", "p.yaml:4:15: rule a: \"card\": not a device"},
    {HEAD "  - name: a\n    targets: [mgir]\n", "p.yaml:4:15: rule a: \"mgir\": not a target"},
    {HEAD "  - name: a\n    targets: [\"MGIR:execute\"]\n",
     "p.yaml:4:16: rule a: \"MGIR:execute\": after the colon"},
    {HEAD "  - name: a\n    targets: [\":read\"]\n",
     "p.yaml:4:16: rule a: \":read\": not a target"},
    {HEAD "  - name: a\n    targets: [" U64 "U]\n", "p.yaml:4:15: rule a: \"UUUU"},
    {HEAD "  - name: a\n    fields: [" X64 X64 "x]\n", "p.yaml:4:14: rule a: \"xxxx"},
    {HEAD "  - name: a\n    fields: [\"a b\"]\n", "p.yaml:4:15: rule a: \"a b\": not a field"},
    {HEAD GOOD "    fields: [x]\n", "p.yaml:3:5: rule a: fields are those of a register"},
    {HEAD GOOD "    when: {}\n    times: x\n", "p.yaml:8:5: rule a: unknown key \"times\""},
    {HEAD GOOD "    when: {day: [mon]}\n",
     "p.yaml:7:12: rule a: unknown key \"day\"; known are days, hours, approval, lock"},
    {HEAD GOOD "    when: {days: [monday]}\n", "p.yaml:7:19: rule a: day \"monday\": a day is mon"},
    {HEAD GOOD "    when: {days: [[x]]}\n", "p.yaml:7:20: rule a: a plain text was expected"},
    {HEAD GOOD "    when: {days: []}\n", "p.yaml:7:12: rule a: an empty list"},
    {HEAD GOOD "    when: {hours: \"8:00-18:00\"}\n", "p.yaml:7:20: rule a: hours \"8:00-18:00\""},
    {HEAD GOOD "    when: {hours: \"08:00-18.00\"}\n",
     "p.yaml:7:20: rule a: hours \"08:00-18.00\""},
    {HEAD GOOD "    when: {hours: \"08:60-18:00\"}\n",
     "p.yaml:7:20: rule a: hours \"08:60-18:00\""},
    {HEAD GOOD "    when: {hours: \"08:00-24:01\"}\n",
     "p.yaml:7:20: rule a: hours \"08:00-24:01\""},
    {HEAD GOOD "    when: {hours: \"08:00-08:00\"}\n",
     "p.yaml:7:20: rule a: hours \"08:00-08:00\": the window is empty"},
    {HEAD GOOD "    when: {hours: [a]}\n", "p.yaml:7:20: rule a: a plain text was expected"},
    {HEAD GOOD "    when: {hours: \"/8:00-18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \":8:00-18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \"0a:00-18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \"08.00-18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \"08:a0-18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \"08:0a-18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \"08:00 18:00\"}\n", "p.yaml:7:20: rule a: hours"},
    {HEAD GOOD "    when: {hours: \"00:00-00:00\"}\n",
     "p.yaml:7:20: rule a: hours \"00:00-00:00\": the window is empty"},
    {HEAD GOOD "    when: {hours: \"24:00-00:00\"}\n",
     "p.yaml:7:20: rule a: hours \"24:00-00:00\": the window is empty"},
    {HEAD GOOD "    when: {approval: [required]}\n", "p.yaml:7:23: rule a: a plain text"},
    {HEAD GOOD "    when: {approval: yes}\n", "p.yaml:7:22: rule a: \"required\" was expected"},
    {HEAD GOOD "    when: {lock: required}\n", "p.yaml:7:18: rule a: \"held\" was expected"},
    {HEAD "  - name: a\n    decision: deny\n    principals: [\"*\"]\n    methods: [\"*\"]\n"
          "    when: {approval: required}\n",
     "p.yaml:3:5: rule a: approval and lock are conditions of allow rules only"},
    {HEAD "  - name: a\n    decision: deny\n    principals: [\"*\"]\n    methods: [\"*\"]\n"
          "    when: {lock: held}\n",
     "p.yaml:3:5: rule a: approval and lock are conditions of allow rules only"},
    {HEAD "  - name: &n a\n", "p.yaml:3:14: anchors and aliases"},
    {HEAD "  - name: *n\n", "p.yaml:3:"},
    {HEAD "  - name: !!str a\n", "p.yaml:3:17: tags are not used"},
    {HEAD "  - {name: a, name: b}\n", "p.yaml:3:"},
    {"version: 1\nlocal: {root: spiffe://d/x}\n", "p.yaml:2:9: local: \"root\" is no Unix user"},
    {"version: 1\nlocal: {\"0\": spiffe://d/x/}\n",
     "p.yaml:2:14: local: principal \"spiffe://d/x/\": an empty path segment"},
    {"version: 1\nlocal: {\"0\": spiffe://d/x, \"00\": spiffe://d/y}\n",
     "p.yaml:2:29: local: user 0 stands here twice"},
    {"version: 1\nlocal: {\"4294967296\": spiffe://d/x}\n", "p.yaml:2:10: local: \"4294967296\""},
    {"version: 1\nlocal: {\"0\": spiffe://d/x, \"1\": spiffe://d/y, \"00\": spiffe://d/z}\n",
     "p.yaml:2:48: local: user 0 stands here twice"},
    {"version: 1\nlocal: {\"0\": [x]}\n", "p.yaml:2:15: a plain text was expected"},
    {"version: 1\nlocal: {\"0\": &a spiffe://d/x}\n", "p.yaml:2:~: anchors and aliases"},
    {"version: 1\nlocal: {[0]: spiffe://d/x}\n", "p.yaml:2:~: a plain text was expected"},
    {"version: 1\nlocal: {\"0\"}\n", "p.yaml:2:~: "},
    {"[]\n", "p.yaml:1:1: \"key: value\" lines were expected here"},
    {"&a {version: 1}\n", "p.yaml:1:~: anchors and aliases"},
    {"version: 1\nlocal: [1]\n", "p.yaml:2:9: local: \"uid: principal\" lines"},
    {HEAD GOOD "---\n" HEAD GOOD, "p.yaml: a second document follows"},
    {HEAD GOOD "...\n[", "p.yaml:"},
    {"version: [1,2\n", "p.yaml:2:1: flow sequence without a closing bracket"},
    {"\tversion: 1\n", "p.yaml:1:"},
    {"%YAML 1.2\n---\n", "p.yaml:1:1: directives"},
    {"version: 1 # \xff\n", "p.yaml:1:14: a byte that is no text"},
};

/* Does text begin with the pattern, in which a '~' stands for one number? */
static bool begins_like(const char *text, const char *pattern)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '~') {
            text += strspn(text, "0123456789");
        } else if (*text++ != *pattern) {
            return false;
        }
    }
    return true;
}

static void bad_files_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_bad) / sizeof(s_bad[0]); i++) {
        struct hws_policy *p = NULL;
        struct hws_err err;
        enum hws_code rc = load(s_bad[i].text, &p, &err);
        if (rc != HWS_E_INVALID || !begins_like(err.msg, s_bad[i].message)) {
            fail_msg("case %zu\n%s\ngot %s: %s\nexpected: %s", i, s_bad[i].text, hws_code_name(rc),
                     err.msg, s_bad[i].message);
        }
        assert_null(p);
    }
}

static void zero_bytes_and_oversize_are_refused(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;
    char *big = hws_mem_zalloc(HWS_POLICY_MAX_BYTES + 1, 1);

    (void)state;
    assert_non_null(big);
    assert_code(hws_policy_load("version: 1\0", 11, "p.yaml", s_known, N_KNOWN, &p, &err),
                HWS_E_INVALID);
    memset(big, ' ', HWS_POLICY_MAX_BYTES + 1);
    assert_code(
        hws_policy_load(big, HWS_POLICY_MAX_BYTES + 1, "p.yaml", s_known, N_KNOWN, &p, &err),
        HWS_E_BUSY);
    hws_mem_free(big);
}

static void too_many_entries_are_refused(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;
    struct hws_buf text = {0};

    (void)state;
    assert_ok(hws_buf_printf(&text, HEAD "  - name: a\n    principals:\n"), NULL);
    for (unsigned i = 0; i <= HWS_POLICY_MAX_ITEMS; i++) {
        assert_ok(hws_buf_printf(&text, "      - spiffe://d/x%u\n", i), NULL);
    }
    assert_code(load(hws_buf_cstr(&text), &p, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "limit 256"));
    hws_buf_deinit(&text);
}

static void too_many_local_users_are_refused(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;
    struct hws_buf text = {0};

    (void)state;
    assert_ok(hws_buf_printf(&text, "version: 1\nlocal:\n"), NULL);
    for (unsigned i = 0; i <= HWS_POLICY_MAX_ITEMS; i++) {
        assert_ok(hws_buf_printf(&text, "  \"%u\": spiffe://d/x\n", i), NULL);
    }
    assert_code(load(hws_buf_cstr(&text), &p, &err), HWS_E_BUSY);
    assert_string_equal(err.msg, "p.yaml: local: more than 256 users");
    hws_buf_deinit(&text);
}

/* Everything that a rule may hold, each at its shortest or in its rarer form. */
static void rare_forms_are_read(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;
    struct hws_policy_verdict v;
    const struct hws_policy_request req = {.principal = "spiffe://d/a/bc/.d",
                                           .path = "/hawser.v1.CommandService/Execute",
                                           .permission = "command.execute",
                                           .effect = HWS_EFFECT_CONFIG_LIVE,
                                           .target = "PAOS",
                                           .target_method = "write"};

    (void)state;
    assert_ok(load(HEAD "  - name: a\n    decision: allow\n"
                        "    principals: [spiffe://d/a/bc/.d, spiffe://d/e/f.]\n"
                        "    methods: [command.execute]\n    targets: [\"PAOS:write\"]\n"
                        "    max_effect: config-live\n",
                   &p, &err),
              &err);
    hws_policy_verdict(p, 0, &req, &v);
    assert_true(v.matches);
    hws_policy_unref(p);
}

/* A shipped profile is known even to an agent that has none of its methods. */
static void profile_of_methods_that_the_agent_lacks_is_taken(void **state)
{
    static const char text[] = HEAD "  - name: a\n    principals: [spiffe://d/x]\n"
                                    "    methods: [update]\n    max_effect: read\n";
    struct hws_policy *p = NULL;
    struct hws_err err;

    (void)state;
    assert_ok(hws_policy_load(text, strlen(text), "p.yaml", s_known, 1, &p, &err), &err);
    hws_policy_unref(p);
}

static void hash_is_that_of_the_bytes(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;
    struct hws_digest want;

    (void)state;
    assert_ok(load(HEAD GOOD, &p, &err), &err);
    assert_ok(hws_sha256_of(HEAD GOOD, strlen(HEAD GOOD), &want), NULL);
    assert_true(hws_digest_eq(hws_policy_hash(p), &want));
    hws_policy_unref(p);
}

static void json_is_read_too(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;

    (void)state;
    assert_ok(load("{\"version\": 1, \"rules\": [{\"name\": \"a\", \"principals\": "
                   "[\"spiffe://d/x\"], \"methods\": [\"observe\"], \"max_effect\": \"read\"}]}",
                   &p, &err),
              &err);
    hws_policy_unref(p);
}

static void references_keep_a_policy_alive(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;

    (void)state;
    assert_ok(load(HEAD GOOD, &p, &err), &err);
    assert_ptr_equal(hws_policy_ref(p), p);
    hws_policy_unref(p);
    assert_false(hws_digest_is_zero(hws_policy_hash(p)));
    hws_policy_unref(p);
    hws_policy_unref(NULL);
}

static enum hws_code load_once(void *arg)
{
    struct hws_policy *p = NULL;
    struct hws_err err;

    (void)arg;
    enum hws_code rc = load("version: 1\nlocal: {\"0\": spiffe://d/x}\nrules:\n" GOOD
                            "    devices: [\"*\"]\n    targets: [MGIR]\n",
                            &p, &err);
    if (rc == HWS_OK) {
        hws_policy_unref(p);
    }
    return rc;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(load_once, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_refused_with_their_place),
        cmocka_unit_test(zero_bytes_and_oversize_are_refused),
        cmocka_unit_test(too_many_entries_are_refused),
        cmocka_unit_test(too_many_local_users_are_refused),
        cmocka_unit_test(rare_forms_are_read),
        cmocka_unit_test(profile_of_methods_that_the_agent_lacks_is_taken),
        cmocka_unit_test(hash_is_that_of_the_bytes),
        cmocka_unit_test(json_is_read_too),
        cmocka_unit_test(references_keep_a_policy_alive),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
