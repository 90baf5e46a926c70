/*
 * What the libraries below cannot do is told, and leaks nothing. Their functions are defined here
 * once more, and this program's own come first: each goes on to the library's, until it is the one
 * that is to fail.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "known_methods.h"
#include "test.h"

static const char *s_failing = ""; /* the function that fails */
static fy_diag_output_fn s_output; /* what the loader gave for the library's own messages */

/* The library's function of that name; NULL if it is to fail. */
static void *next(const char *name)
{
    void *found = strcmp(name, s_failing) == 0 ? NULL : dlsym(RTLD_NEXT, name);

    assert_true(found != NULL || strcmp(name, s_failing) == 0);
    return found;
}

struct fy_diag *fy_diag_create(const struct fy_diag_cfg *cfg)
{
    void *found = next("fy_diag_create");
    struct fy_diag *(*real)(const struct fy_diag_cfg *);

    s_output = cfg->output_fn;
    memcpy(&real, &found, sizeof(real));
    return found == NULL ? NULL : real(cfg);
}

struct fy_parser *fy_parser_create(const struct fy_parse_cfg *cfg)
{
    void *found = next("fy_parser_create");
    struct fy_parser *(*real)(const struct fy_parse_cfg *);

    memcpy(&real, &found, sizeof(real));
    return found == NULL ? NULL : real(cfg);
}

int fy_parser_set_string(struct fy_parser *fyp, const char *str, size_t len)
{
    void *found = next("fy_parser_set_string");
    int (*real)(struct fy_parser *, const char *, size_t);

    memcpy(&real, &found, sizeof(real));
    return found == NULL ? -1 : real(fyp, str, len);
}

/* An error that has lost its text, as one has that was built without memory for it. */
struct fy_diag_error *fy_diag_errors_iterate(struct fy_diag *diag, void **prevp)
{
    static struct fy_diag_error mute;
    void *found = next("fy_diag_errors_iterate");
    struct fy_diag_error *(*real)(struct fy_diag *, void **);

    memcpy(&real, &found, sizeof(real));
    return found == NULL ? &mute : real(diag, prevp);
}

int EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *impl)
{
    void *found = next("EVP_DigestInit_ex");
    int (*real)(EVP_MD_CTX *, const EVP_MD *, ENGINE *);

    memcpy(&real, &found, sizeof(real));
    return found == NULL ? 0 : real(ctx, type, impl);
}

static const char s_good[] = "version: 1\nrules:\n  - name: a\n    principals: [spiffe://d/x]\n"
                             "    methods: [config.get]\n    max_effect: read\n";

static void library_that_fails_is_out_of_memory(void **state)
{
    static const char *const functions[] = {"fy_diag_create", "fy_parser_create",
                                            "fy_parser_set_string", "EVP_DigestInit_ex"};

    (void)state;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        struct hws_policy *p = NULL;
        struct hws_err err;

        s_failing = functions[i];
        assert_code(hws_policy_load(s_good, strlen(s_good), "p.yaml", s_known, N_KNOWN, &p, &err),
                    HWS_E_NOMEM);
        assert_string_equal(err.msg, "p.yaml: out of memory");
        assert_null(p);
        s_failing = "";
        assert_ok(hws_policy_load(s_good, strlen(s_good), "p.yaml", s_known, N_KNOWN, &p, &err),
                  &err);
        hws_policy_unref(p);
    }
}

static void fault_without_a_text_is_told_all_the_same(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;

    (void)state;
    s_failing = "fy_diag_errors_iterate";
    assert_code(hws_policy_load("[", 1, "p.yaml", s_known, N_KNOWN, &p, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "p.yaml:1:1: the file is empty or no YAML");
    s_failing = "";
}

/* The library's own words go nowhere: a program's log has one line for a bad policy, which is ours.
 */
static void library_has_no_voice(void **state)
{
    struct hws_policy *p = NULL;
    struct hws_err err;
    char heard[8] = "";
    int pipes[2];
    int out = dup(STDOUT_FILENO);
    int log = dup(STDERR_FILENO);

    (void)state;
    assert_ok(hws_policy_load(s_good, strlen(s_good), "p.yaml", s_known, N_KNOWN, &p, &err), &err);
    hws_policy_unref(p);
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    assert_int_equal(fflush(NULL), 0);
    assert_true(dup2(pipes[1], STDOUT_FILENO) >= 0 && dup2(pipes[1], STDERR_FILENO) >= 0);
    s_output(NULL, NULL, "a word", 6);
    bool flushed = fflush(NULL) == 0;
    assert_true(dup2(out, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0);
    assert_true(flushed);
    assert_int_equal(read(pipes[0], heard, sizeof(heard)), -1); /* nothing in it */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(close(pipes[i]), 0);
    }
    assert_int_equal(close(out), 0);
    assert_int_equal(close(log), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_that_fails_is_out_of_memory),
        cmocka_unit_test(fault_without_a_text_is_told_all_the_same),
        cmocka_unit_test(library_has_no_voice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
