/* tls/peer: the identity rule on subject alternative names written by hand, and server
 * expectations. */
#include <string.h>

#include "test.h"
#include "tls/peer.h"

#define URI "\x86" /* context tag 6 */
#define DNS "\x82"
#define IP4 "\x87\x04"

static struct hws_span span(const char *bytes, size_t n)
{
    return (struct hws_span){(const uint8_t *)bytes, n};
}
#define SPAN(literal) span(literal, sizeof(literal) - 1)

static void one_uri_san_is_the_identity(void **state)
{
    char out[HWS_TLS_PRINCIPAL_MAX_BYTES + 1];
    struct hws_err err;
    (void)state;

    assert_ok(hws_tls_san_principal(SPAN(DNS "\x01"
                                             "x" URI "\x0c"
                                             "spiffe://d/a" IP4 "\x7f\x00\x00\x01"),
                                    out, sizeof(out), &err),
              &err);

    assert_string_equal(out, "spiffe://d/a");
}

static void a_dns_san_counts_only_without_a_uri(void **state)
{
    char out[HWS_TLS_PRINCIPAL_MAX_BYTES + 1];
    struct hws_err err;
    (void)state;

    assert_ok(hws_tls_san_principal(SPAN(DNS "\x06host.a"), out, sizeof(out), &err), &err);

    assert_string_equal(out, "dns:host.a");
}

static void names_that_break_the_rule_are_denied(void **state)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t n;
        enum hws_code code;
    } rows[] = {
        {"nothing", "", 0, HWS_E_DENIED},
        {"two URIs", URI "\x0cspiffe://d/a" URI "\x0cspiffe://d/b", 28, HWS_E_DENIED},
        {"two DNS names", DNS "\x01x" DNS "\x01y", 6, HWS_E_DENIED},
        {"another scheme",
         URI "\x0b"
             "https://d/a",
         13, HWS_E_DENIED},
        {"a URI that is bad beside a good DNS",
         URI "\x03"
             "x:y" DNS "\x01x",
         8, HWS_E_DENIED},
        {"a length past the end", URI "\x7fspiffe://d/a", 14, HWS_E_PROTO},
        {"a tag without a length", URI, 1, HWS_E_PROTO},
        {"an indefinite length", URI "\x80\x00\x00", 4, HWS_E_PROTO},
        {"a NUL inside", URI "\x0dspiffe://d/a\0", 15, HWS_E_DENIED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[HWS_TLS_PRINCIPAL_MAX_BYTES + 1] = "kept";
        struct hws_err err;
        enum hws_code rc =
            hws_tls_san_principal(span(rows[i].bytes, rows[i].n), out, sizeof(out), &err);
        if (rc != rows[i].code) {
            fail_msg("%s: got %s (%s)", rows[i].what, hws_code_name(rc),
                     rc == HWS_OK ? out : err.msg);
        }
    }
}

static void spiffe_ids_follow_the_text_of_the_standard(void **state)
{
    static const struct {
        const char *id;
        bool ok;
    } rows[] = {
        {"spiffe://example.org/a", true},
        {"spiffe://example.org/a/b-c_d.e", true},
        {"spiffe://e_x-a.m/p", true},
        {"spiffe://Example.org/a", false},
        {"spiffe://example.org", false},
        {"spiffe://example.org/", false},
        {"spiffe://example.org/a/", false},
        {"spiffe://example.org//a", false},
        {"spiffe://example.org/./a", false},
        {"spiffe://example.org/a/..", false},
        {"spiffe://example.org:80/a", false},
        {"spiffe://u@example.org/a", false},
        {"spiffe://example.org/a?q", false},
        {"spiffe://example.org/a#f", false},
        {"spiffe://example.org/%61", false},
        {"SPIFFE://example.org/a", false},
        {"spiffe:///a", false},
        {"spiffe://", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum hws_code rc = hws_tls_spiffe_check(rows[i].id, strlen(rows[i].id), NULL);
        if ((rc == HWS_OK) != rows[i].ok) {
            fail_msg("%s: %s", rows[i].id, hws_code_name(rc));
        }
    }
}

static void an_id_over_its_length_is_refused(void **state)
{
    char id[HWS_TLS_URI_MAX_BYTES + 2];
    (void)state;
    static const char start[] = {'s', 'p', 'i', 'f', 'f', 'e', ':', '/', '/', 'd', '/'};
    memset(id, 'a', sizeof(id));
    memcpy(id, start, sizeof(start));

    assert_code(hws_tls_spiffe_check(id, HWS_TLS_URI_MAX_BYTES, NULL), HWS_OK);
    assert_code(hws_tls_spiffe_check(id, HWS_TLS_URI_MAX_BYTES + 1, NULL), HWS_E_INVALID);
}

static void a_server_must_be_the_one_that_was_asked_for(void **state)
{
    static const struct {
        const char *expect;
        enum hws_code code;
    } rows[] = {
        {"spiffe://d/agent/a", HWS_OK},
        {"spiffe://d/agent/", HWS_OK},
        {"spiffe://d/agent", HWS_E_DENIED},
        {"spiffe://d/agent/a/", HWS_E_DENIED},
        {"spiffe://e/agent/", HWS_E_DENIED},
        {"dns:host.x", HWS_OK},
        {"dns:HOST.X", HWS_OK},
        {"dns:ost.x", HWS_E_DENIED},
        {"ip:127.0.0.1", HWS_OK},
        {"ip:127.0.0.2", HWS_E_DENIED},
        {"host.x", HWS_E_INVALID},
        {"", HWS_E_INVALID},
    };
    static const char san[] = URI "\x12spiffe://d/agent/a" DNS "\x06host.x" IP4 "\x7f\x00\x00\x01";
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum hws_code rc = hws_tls_san_expect(span(san, sizeof(san) - 1), "spiffe://d/agent/a",
                                              rows[i].expect, NULL);
        if (rc != rows[i].code) {
            fail_msg("%s: %s", rows[i].expect, hws_code_name(rc));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_uri_san_is_the_identity),
        cmocka_unit_test(a_dns_san_counts_only_without_a_uri),
        cmocka_unit_test(names_that_break_the_rule_are_denied),
        cmocka_unit_test(spiffe_ids_follow_the_text_of_the_standard),
        cmocka_unit_test(an_id_over_its_length_is_refused),
        cmocka_unit_test(a_server_must_be_the_one_that_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
