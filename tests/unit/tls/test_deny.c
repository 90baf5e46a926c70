/* tls/deny: lines that are entries, lines that are not, and whom an entry names. */
#include <string.h>

#include "base/mem.h"
#include "test.h"
#include "tls/deny.h"

static struct hws_span span(const char *text)
{
    return (struct hws_span){(const uint8_t *)text, strlen(text)};
}

#define HASH "00000000000000000000000000000000000000000000000000000000000000ff"

static void lines_of_another_form_are_refused_with_their_number(void **state)
{
    static const struct {
        const char *text;
        enum hws_code code;
        const char *says;
    } rows[] = {
        {"", HWS_OK, ""},
        {"\n\n# nothing\n   \t# at all\r\n", HWS_OK, ""},
        {"serial 0a", HWS_OK, ""},
        {"serial 0A\nprincipal dns:a.b\nsha256 " HASH "\n", HWS_OK, ""},
        {"\nserial", HWS_E_INVALID, "line 2"},
        {"serial \n", HWS_E_INVALID, "line 1"},
        {"serial 0", HWS_E_INVALID, "line 1"},
        {"serial 0x0a", HWS_E_INVALID, "line 1"},
        {"serial 0102030405060708090a0b0c0d0e0f101112131415", HWS_E_INVALID, "line 1"},
        {"sha256 00", HWS_E_INVALID, "line 1"},
        {"principal olga", HWS_E_INVALID, "line 1"},
        {"serial 00000102030405060708090a0b0c0d0e0f10111213", HWS_OK, ""},
        {"principal spiffe://d/\nprincipal spiffe://d/a/\nprincipal spiffe://d/a", HWS_OK, ""},
        {"\nprincipal spiffe://d", HWS_E_INVALID, "line 2"},
        {"principal spiffe:///", HWS_E_INVALID, "trust domain"},
        {"principal spiffe://", HWS_E_INVALID, "line 1"},
        {"principal spiffe://D/a", HWS_E_INVALID, "trust domain"},
        {"principal spiffe://D/", HWS_E_INVALID, "trust domain"},
        {"principal spiffe://d//a", HWS_E_INVALID, "segment"},
        {"principal spiffe://d//", HWS_E_INVALID, "segment"},
        {"principal spiffe://d/a//", HWS_E_INVALID, "segment"},
        {"principal spiffe://d/../", HWS_E_INVALID, "segment"},
        {"principal spiffe://d/o lga", HWS_E_INVALID, "0x20"},
        {"principal dns:", HWS_E_INVALID, "host name"},
        {"principal dns:a.b/", HWS_E_INVALID, "host name"},
        {"principal dns:*.b", HWS_E_INVALID, "host name"},
        {"spiffe://a/b", HWS_E_INVALID, "line 1"},
        {"# ok\n\nallow spiffe://a/b", HWS_E_INVALID, "line 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_tls_deny *deny = NULL;
        struct hws_err err = {0};
        enum hws_code rc = hws_tls_deny_parse(span(rows[i].text), &deny, &err);
        if (rc != rows[i].code || strstr(err.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s: %s", i, hws_code_name(rc), err.msg);
        }
        hws_tls_deny_free(deny);
    }
}

/* Copies a text without its end. */
static void put(char *dst, const char *text)
{
    while (*text != '\0') {
        *dst++ = *text++;
    }
}

static void a_line_may_be_long_and_no_longer(void **state)
{
    char text[HWS_TLS_DENY_MAX_LINE_BYTES + 64];
    struct hws_tls_deny *deny = NULL;
    struct hws_err err;
    (void)state;
    memset(text, 'a', sizeof(text));
    put(text, "principal spiffe://d/");
    text[10 + HWS_TLS_PRINCIPAL_MAX_BYTES] = '\n';
    assert_ok(
        hws_tls_deny_parse((struct hws_span){(uint8_t *)text, 11 + HWS_TLS_PRINCIPAL_MAX_BYTES},
                           &deny, &err),
        &err);
    hws_tls_deny_free(deny);
    text[10 + HWS_TLS_PRINCIPAL_MAX_BYTES] = 'a';
    assert_code(hws_tls_deny_parse((struct hws_span){(uint8_t *)text, sizeof(text)}, &deny, &err),
                HWS_E_INVALID);
}

static void too_many_entries_are_said(void **state)
{
    size_t n = (size_t)(HWS_TLS_DENY_MAX_ENTRIES + 1) * 10;
    char *text = assert_got(hws_mem_alloc(n));
    struct hws_tls_deny *deny = NULL;
    struct hws_err err;
    (void)state;
    for (size_t i = 0; i < n; i += 10) {
        put(text + i, "serial 0a\n");
    }
    assert_code(hws_tls_deny_parse((struct hws_span){(uint8_t *)text, n}, &deny, &err), HWS_E_BUSY);
    assert_ok(hws_tls_deny_parse((struct hws_span){(uint8_t *)text, n - 10}, &deny, &err), &err);
    hws_tls_deny_free(deny);
    hws_mem_free(text);
}

static void an_entry_names_one_a_folder_a_serial_or_a_digest(void **state)
{
    static const struct {
        const char *entry;
        bool named;
    } rows[] = {
        {"principal spiffe://d/op/olga", true},
        {"principal spiffe://d/op/olg", false},
        {"principal spiffe://d/op/olga2", false},
        {"principal spiffe://d/op/", true},
        {"principal spiffe://d/", true},
        {"principal spiffe://d/op/olga/", false},
        {"serial FF01", true},
        {"serial 0000ff01", true},
        {"serial 00", false},
        {"serial ff", false},
        {"sha256 " HASH, true},
        {"", false},
    };
    struct hws_tls_peer peer = {.principal = "spiffe://d/op/olga", .serial = "ff01"};
    (void)state;
    peer.sha256[31] = 0xff;
    assert_false(hws_tls_deny_has(NULL, &peer));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_tls_deny *deny = NULL;
        struct hws_err err;
        assert_ok(hws_tls_deny_parse(span(rows[i].entry), &deny, &err), &err);
        if (hws_tls_deny_has(deny, &peer) != rows[i].named) {
            fail_msg("%s", rows[i].entry);
        }
        hws_tls_deny_free(deny);
    }
}

static void entries_take_the_form_of_the_peer_they_name(void **state)
{
    const struct hws_tls_peer peer = {.principal = "dns:host-1.example", .serial = "00"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct hws_tls_deny *deny = NULL;
        struct hws_err err;
        assert_ok(hws_tls_deny_parse(
                      span(i == 0 ? "principal dns:Host-1.EXAMPLE" : "serial 000000"), &deny, &err),
                  &err);
        assert_true(hws_tls_deny_has(deny, &peer));
        hws_tls_deny_free(deny);
    }
}

static enum hws_code parse_some(void *arg)
{
    struct hws_tls_deny *deny = NULL;
    struct hws_err err;
    (void)arg;
    enum hws_code rc = hws_tls_deny_parse(span("serial 0a\nprincipal dns:a.b\n"), &deny, &err);
    hws_tls_deny_free(rc == HWS_OK ? deny : NULL);
    return rc;
}

static void no_memory_is_said_and_nothing_leaks(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(parse_some, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_another_form_are_refused_with_their_number),
        cmocka_unit_test(a_line_may_be_long_and_no_longer),
        cmocka_unit_test(too_many_entries_are_said),
        cmocka_unit_test(an_entry_names_one_a_folder_a_serial_or_a_digest),
        cmocka_unit_test(entries_take_the_form_of_the_peer_they_name),
        cmocka_unit_test(no_memory_is_said_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
