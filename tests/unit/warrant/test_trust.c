/* Trust files. */
#include <string.h>

#include "base/str.h"
#include "test.h"
#include "warrant/trust.h"

#define KEY                                                                                        \
    "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6" /* RFC 6979, A.2.5 */
#define KEY2                                                                                       \
    "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" /* the generator */

static void host_keys_comments_and_blanks_are_read(void **state)
{
    static const char text[] =
        "# who\n\nhost host-a  # this one\n key  a:b\t" KEY "\r\nkey c:d " KEY2;
    struct hws_trust t;
    struct hws_err err;

    (void)state;
    assert_ok(hws_trust_parse(text, strlen(text), "trust", &t, &err), &err);
    assert_string_equal(t.host, "host-a");
    assert_int_equal(t.n_keys, 2);
    assert_string_equal(t.keys[1].principal, "c:d");
    assert_false(t.full_scope || t.debug_write_under_lockdown);

    static const char opened[] = "host a\nscope full\nlockdown debug-write\n";
    assert_ok(hws_trust_parse(opened, strlen(opened), "trust", &t, &err), &err);
    assert_true(t.full_scope && t.debug_write_under_lockdown);
}

static void refused(const char *text, size_t n, const char *why)
{
    struct hws_trust t;
    struct hws_err err;

    assert_true(hws_trust_parse(text, n, "trust", &t, &err) != HWS_OK);
    if (strstr(err.msg, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
    }
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    static char big[HWS_TRUST_MAX_BYTES + 1];
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {
        {"", "no line \"host NAME\""},
        {"host a\nhost b\n", "trust:2: the host is named twice"},
        {"host a b\n", "trust:1: a line is"},
        {"host a\nkey a:b\n", "trust:2: a line is"},
        {"host a\nkeys a:b " KEY "\n", "trust:2: a line is"},
        {"host a\nlockdown full\n", "trust:2: after \"lockdown\" stands \"debug-write\""},
        {"host a\nlockdown\n", "trust:2: a line is"},
        {"host a\nscope 3\n", "trust:2: after \"scope\" stands \"full\""},
        {"host a\nscope full full\n", "trust:2: a line is"},
        {"host a\nkey ab " KEY "\n", "trust:2: a principal is"},
        {"host a\nkey a:b 02ff\n", "trust:2: a key is"},
        {"host a\nkey a:b " KEY "\nkey c:d " KEY "\n", "trust:3: this key stands here already"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(bad[i].text, strlen(bad[i].text), bad[i].why);
    }
    memset(big, 'x', sizeof big);
    refused(big, sizeof big, "more than 65536 bytes");
    refused(big, 1000, "trust:1: the line is too long");
    refused("host a\0b\n", 9, "NUL byte");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_keys_comments_and_blanks_are_read),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
