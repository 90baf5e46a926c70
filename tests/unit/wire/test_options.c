/* hawser-wire's command line. */
#include <getopt.h>
#include <string.h>

#include "options.h"
#include "test.h"

static enum hws_code parse(const char *line, struct hws_wire_options *out, struct hws_err *err)
{
    static char text[512];
    char *argv[32];
    char *rest;
    int argc = 0;

    memcpy(text, line, strlen(line) + 1);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    optind = 0;
    return hws_wire_options_parse(argc, argv, out, err);
}

#define NEEDED "hawser-wire --hawserd-socket s --lock l --local-socket u --run-dir r"

static void needed_options_suffice_for_the_unix_socket(void **state)
{
    struct hws_wire_options o;
    struct hws_err err;
    (void)state;

    assert_ok(parse(NEEDED, &o, &err), &err);

    assert_string_equal(o.local_socket, "u");
    assert_null(o.listen);
}

static void tcp_without_certificates_is_refused(void **state)
{
    struct hws_wire_options o;
    struct hws_err err;
    (void)state;

    assert_code(parse(NEEDED " --listen 127.0.0.1:0 --cert c --key k", &o, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "mutual TLS"));

    assert_ok(parse(NEEDED " --listen 127.0.0.1:0 --cert c --key k --ca a", &o, &err), &err);
    assert_string_equal(o.ca, "a");
    assert_int_equal(o.records, HWS_TLS_RECORDS_AUTO);
}

static void check_needs_the_tls_files_and_nothing_else(void **state)
{
    struct hws_wire_options o;
    struct hws_err err;
    (void)state;

    assert_code(parse("hawser-wire --check --cert c --key k", &o, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "--ca"));

    assert_ok(parse("hawser-wire --check --cert c --key k --ca a --crl r", &o, &err), &err);
    assert_true(o.check);
    assert_string_equal(o.crl, "r");
}

static void other_domains_and_lists_are_files(void **state)
{
    struct hws_wire_options o;
    struct hws_err err;
    (void)state;

    assert_ok(parse(NEEDED " --trust a.test=x --trust b.test=y --crl c --deny d", &o, &err), &err);
    assert_int_equal(o.n_trust, 2);
    assert_string_equal(o.trust[1], "b.test=y");
    assert_string_equal(o.crl, "c");
    assert_string_equal(o.deny, "d");
    assert_code(parse(NEEDED " --trust a.test", &o, &err), HWS_E_INVALID);
}

static void the_record_engine_is_one_of_three(void **state)
{
    struct hws_wire_options o;
    struct hws_err err;
    (void)state;

    assert_ok(parse(NEEDED " --records mbedtls", &o, &err), &err);
    assert_int_equal(o.records, HWS_TLS_RECORDS_MBEDTLS);
    assert_ok(parse(NEEDED " --records libcrypto", &o, &err), &err);
    assert_int_equal(o.records, HWS_TLS_RECORDS_LIBCRYPTO);
    assert_code(parse(NEEDED " --records openssl", &o, &err), HWS_E_INVALID);
}

static void missing_and_unknown_options_are_refused(void **state)
{
    struct hws_wire_options o;
    struct hws_err err;
    (void)state;

    assert_code(parse("hawser-wire", &o, &err), HWS_E_INVALID);
    assert_code(parse(NEEDED " --plain", &o, &err), HWS_E_INVALID);
    assert_code(parse(NEEDED " extra", &o, &err), HWS_E_INVALID);
    assert_ok(parse("hawser-wire --help", &o, &err), &err);
    assert_true(o.help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needed_options_suffice_for_the_unix_socket),
        cmocka_unit_test(tcp_without_certificates_is_refused),
        cmocka_unit_test(check_needs_the_tls_files_and_nothing_else),
        cmocka_unit_test(other_domains_and_lists_are_files),
        cmocka_unit_test(the_record_engine_is_one_of_three),
        cmocka_unit_test(missing_and_unknown_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
