/* Warrants: their one spelling (vectors.txt), what is signed, and every way to be refused. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "test.h"
#include "warrant/trust.h"
#include "warrant/warrant.h"

#define NOW   1796000100u
#define OLGA  "spiffe://hawser.example/operator/olga"
#define OTTO  "spiffe://hawser.example/operator/otto"
#define EVE   "spiffe://hawser.example/operator/eve"
#define N_BOX 80u

static struct hws_signer olga;
static struct hws_signer otto;
static struct hws_signer eve; /* nobody trusts her key */
static struct hws_trust trust;
static uint8_t box[N_BOX];

static struct hws_warrant unsigned_one(void)
{
    struct hws_warrant w = {.host = "host-a",
                            .device = "0000:3b:00.0",
                            .serial = "MT2231X01001",
                            .request_id = "req-0001",
                            .from_s = NOW - 60,
                            .until_s = NOW + 600,
                            .operator_id = OLGA,
                            .reason = "a stuck queue"};

    assert_ok(hws_warrant_bind(&w, box, sizeof box, NULL), NULL);
    return w;
}

static struct hws_warrant good_one(void)
{
    struct hws_warrant w = unsigned_one();

    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, OLGA, &olga, NULL), NULL);
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_APPROVER, OTTO, &otto, NULL), NULL);
    return w;
}

static struct hws_warrant_use usual(void)
{
    return (struct hws_warrant_use){.device = "0000:3b:00.0",
                                    .serial = "MT2231X01001",
                                    .in = box,
                                    .in_bytes = sizeof box,
                                    .now_s = NOW};
}

static void refused(const struct hws_warrant *w, const struct hws_warrant_use *use, const char *why)
{
    struct hws_warrant_signers s;
    struct hws_err err;

    assert_code(hws_warrant_judge(w, &trust, use, &s, &err), HWS_E_DENIED);
    if (strstr(err.msg, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
    }
}

/* ---- text ---- */

static void check_vector(const char *head, const char *text, size_t n)
{
    struct hws_warrant w;
    struct hws_err err;
    struct hws_digest hash;
    char hex[HWS_DIGEST_HEX_BYTES];

    if (strncmp(head, "bad ", 4) == 0) {
        assert_code(hws_warrant_parse(text, n, &w, &err), HWS_E_PROTO);
        if (strstr(err.msg, head + 4) == NULL) {
            fail_msg("\"%s\" does not name %s", err.msg, head + 4);
        }
        return;
    }
    assert_ok(hws_warrant_parse(text, n, &w, &err), &err);
    assert_ok(hws_warrant_hash(&w, &hash, &err), &err);
    hws_digest_hex(&hash, hex);
    assert_string_equal(hex, head + 3);
}

static void vectors_read_or_are_refused_as_written(void **state)
{
    static char file[64 * 1024];
    FILE *f = fopen(HWS_TESTS_DIR "/unit/warrant/vectors.txt", "r");
    unsigned n_seen = 0;

    (void)state;
    assert_non_null(f);
    file[fread(file, 1, sizeof file - 1, f)] = '\0';
    assert_int_equal(fclose(f), 0);
    for (char *at = strstr(file, "\n== "); at != NULL;) {
        char *head = at + 4;
        char *text = strchr(head, '\n') + 1;
        char *next = strstr(text - 1, "\n== ");
        size_t n = next == NULL ? strlen(text) : (size_t)(next + 1 - text);

        text[-1] = '\0';
        if (next != NULL && strncmp(next + 4, "cut", 3) == 0) {
            n--; /* this one has no end of its last line */
            next = strstr(next + 1, "\n== ");
        }
        check_vector(head, text, n);
        n_seen++;
        at = next;
    }
    assert_int_equal(n_seen, 27);
}

static void the_largest_fits(void **state)
{
    struct hws_warrant w = good_one();
    struct hws_buf text;
    struct hws_warrant again;

    (void)state;
    memset(w.host, 'h', sizeof w.host - 1);
    memset(w.device, 'd', sizeof w.device - 1);
    memset(w.serial, 's', sizeof w.serial - 1);
    memset(w.request_id, 'r', sizeof w.request_id - 1);
    memset(w.operator_id, 'o', sizeof w.operator_id - 1);
    memset(w.approver_id, 'a', sizeof w.approver_id - 1);
    memset(w.reason, ' ', sizeof w.reason - 1);
    w.in_bytes = UINT32_MAX;
    w.until_s = UINT64_MAX;
    w.from_s = UINT64_MAX;
    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    assert_ok(hws_warrant_format(&w, &text, NULL), NULL);
    assert_ok(hws_warrant_parse(hws_buf_peek(&text), hws_buf_len(&text), &again, NULL), NULL);
    assert_string_equal(again.reason, w.reason);
    hws_buf_deinit(&text);
}

static void fields_that_the_text_cannot_carry_are_named(void **state)
{
    struct hws_warrant w = unsigned_one();
    struct hws_digest hash;
    struct hws_err err;

    (void)state;
    (void)hws_str_copy(w.reason, sizeof w.reason, "two\nlines");
    assert_code(hws_warrant_hash(&w, &hash, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "reason"));
    w = unsigned_one();
    w.serial[0] = '\0';
    assert_code(hws_warrant_hash(&w, &hash, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "serial"));
    w = unsigned_one();
    assert_code(hws_warrant_sign(&w, HWS_WARRANT_APPROVER, OTTO, &otto, &err), HWS_E_STATE);
    assert_code(hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, "a b", &olga, &err), HWS_E_INVALID);
}

/* ---- judgement ---- */

static void two_persons_with_their_keys_are_enough(void **state)
{
    struct hws_warrant w = good_one();
    struct hws_warrant_use use = usual();
    struct hws_warrant_signers s;
    struct hws_digest hash;
    struct hws_err err;

    (void)state;
    assert_ok(hws_warrant_judge(&w, &trust, &use, &s, &err), &err);
    assert_ok(hws_warrant_hash(&w, &hash, NULL), NULL);
    assert_true(hws_digest_eq(&hash, &s.hash));
    assert_true(hws_public_eq(&s.operator_key, &trust.keys[0].key));
    assert_true(hws_public_eq(&s.approver_key, &trust.keys[1].key));
    use.serial = NULL;
    use.now_s = w.from_s;
    assert_ok(hws_warrant_judge(&w, &trust, &use, &s, &err), &err);
    use.now_s = w.until_s;
    assert_ok(hws_warrant_judge(&w, &trust, &use, &s, &err), &err);
}

static void another_place_or_command_is_refused(void **state)
{
    struct hws_warrant w = good_one();
    struct hws_warrant_use use = usual();
    uint8_t other[N_BOX];

    (void)state;
    use.device = "0000:3b:00.1";
    refused(&w, &use, "for adapter");
    use = usual();
    use.serial = "MT0";
    refused(&w, &use, "for adapter");
    use = usual();
    use.in = other;
    for (size_t i = 0; i < sizeof box; i++) {
        memcpy(other, box, sizeof box);
        other[i] ^= 1;
        refused(&w, &use, "hash mismatch");
    }
    use = usual();
    use.in_bytes--;
    refused(&w, &use, "hash mismatch");
    (void)hws_str_copy(trust.host, sizeof trust.host, "host-b");
    use = usual();
    refused(&w, &use, "for host host-a, this is host-b");
    (void)hws_str_copy(trust.host, sizeof trust.host, "host-a");
}

static void its_time_is_obeyed(void **state)
{
    struct hws_warrant w = good_one();
    struct hws_warrant_use use = usual();

    (void)state;
    use.now_s = w.until_s + 1;
    refused(&w, &use, "expired 1 s ago");
    use.now_s = w.from_s - 7;
    refused(&w, &use, "future-dated by 7 s");
    w = unsigned_one();
    w.until_s = w.from_s + HWS_WARRANT_LIFE_S + 1;
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, OLGA, &olga, NULL), NULL);
    use = usual();
    refused(&w, &use, "valid for longer than 3600 s");
    w.until_s = w.from_s - 1;
    refused(&w, &use, "valid for longer than 3600 s");
}

static void one_person_is_not_two(void **state)
{
    struct hws_warrant w = unsigned_one();
    struct hws_warrant_use use = usual();

    (void)state;
    refused(&w, &use, "the operator has not signed");
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, OLGA, &olga, NULL), NULL);
    refused(&w, &use, "no second person");
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_APPROVER, OLGA, &olga, NULL), NULL);
    refused(&w, &use, "same principal");
    /* The operator's signature is none of an approver, by whatever name. */
    w.approver_sig = w.operator_sig;
    (void)hws_str_copy(w.approver_id, sizeof w.approver_id, OTTO);
    refused(&w, &use, "not by a trusted key of " OTTO);
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_APPROVER, OTTO, &olga, NULL), NULL);
    refused(&w, &use, "not by a trusted key of " OTTO);
    /* A list that a careless hand gave the same key twice is refused where it is read; and here. */
    struct hws_public kept = trust.keys[1].key;
    trust.keys[1].key = trust.keys[0].key;
    refused(&w, &use, "operator's own key");
    trust.keys[1].key = kept;
}

static void keys_that_are_not_trusted_sign_nothing(void **state)
{
    struct hws_warrant w = unsigned_one();
    struct hws_warrant_use use = usual();
    size_t n = trust.n_keys;

    (void)state;
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, OLGA, &eve, NULL), NULL);
    refused(&w, &use, "not by a trusted key of " OLGA);
    (void)hws_str_copy(w.operator_id, sizeof w.operator_id, EVE);
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, EVE, &eve, NULL), NULL);
    refused(&w, &use, "unknown key");
    w = good_one();
    assert_ok(hws_warrant_sign(&w, HWS_WARRANT_APPROVER, EVE, &eve, NULL), NULL);
    refused(&w, &use, "unknown key");
    trust.n_keys = 0;
    refused(&w, &use, "no operator key is trusted");
    trust.n_keys = n;
}

static void any_changed_byte_of_the_text_is_refused(void **state)
{
    struct hws_warrant good = good_one();
    struct hws_warrant_use use = usual();
    uint64_t rand = hws_test_seed();
    struct hws_warrant_signers s;
    struct hws_buf text;

    (void)state;
    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    assert_ok(hws_warrant_format(&good, &text, NULL), NULL);
    for (size_t i = 0; i < hws_buf_len(&text); i++) {
        struct hws_warrant w;
        uint8_t was = text.bytes[text.head + i];

        text.bytes[text.head + i] ^= (uint8_t)(1 + hws_test_rand(&rand) % 255);
        if (hws_warrant_parse(hws_buf_peek(&text), hws_buf_len(&text), &w, NULL) == HWS_OK) {
            assert_code(hws_warrant_judge(&w, &trust, &use, &s, NULL), HWS_E_DENIED);
        }
        text.bytes[text.head + i] = was;
    }
    hws_buf_deinit(&text);
}

static enum hws_code whole_road(void *arg)
{
    struct hws_warrant w = *(const struct hws_warrant *)arg;
    struct hws_buf text;
    struct hws_digest hash;

    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    enum hws_code code = hws_warrant_format(&w, &text, NULL);
    if (code == HWS_OK) {
        code = hws_warrant_parse(hws_buf_peek(&text), hws_buf_len(&text), &w, NULL);
    }
    code = code == HWS_OK ? hws_warrant_hash(&w, &hash, NULL) : code;
    hws_buf_deinit(&text);
    return code;
}

static void memory_may_fail_anywhere(void **state)
{
    struct hws_warrant w = good_one();

    (void)state;
    assert_true(hws_test_oom_sweep(whole_road, &w) > 0);
}

static int setup(void **state)
{
    uint64_t rand = hws_test_seed();

    (void)state;
    for (size_t i = 0; i < sizeof box; i++) {
        box[i] = (uint8_t)hws_test_rand(&rand);
    }
    assert_ok(hws_signer_new(&olga, NULL), NULL);
    assert_ok(hws_signer_new(&otto, NULL), NULL);
    assert_ok(hws_signer_new(&eve, NULL), NULL);
    (void)hws_str_copy(trust.host, sizeof trust.host, "host-a");
    (void)hws_str_copy(trust.keys[0].principal, sizeof trust.keys[0].principal, OLGA);
    assert_ok(hws_signer_public(&olga, &trust.keys[0].key, NULL), NULL);
    (void)hws_str_copy(trust.keys[1].principal, sizeof trust.keys[1].principal, OTTO);
    assert_ok(hws_signer_public(&otto, &trust.keys[1].key, NULL), NULL);
    trust.n_keys = 2;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_signer_deinit(&olga);
    hws_signer_deinit(&otto);
    hws_signer_deinit(&eve);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_read_or_are_refused_as_written),
        cmocka_unit_test(the_largest_fits),
        cmocka_unit_test(fields_that_the_text_cannot_carry_are_named),
        cmocka_unit_test(two_persons_with_their_keys_are_enough),
        cmocka_unit_test(another_place_or_command_is_refused),
        cmocka_unit_test(its_time_is_obeyed),
        cmocka_unit_test(one_person_is_not_two),
        cmocka_unit_test(keys_that_are_not_trusted_sign_nothing),
        cmocka_unit_test(any_changed_byte_of_the_text_is_refused),
        cmocka_unit_test(memory_may_fail_anywhere),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
