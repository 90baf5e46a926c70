/* Every kind of tampering with a chain of records is found and named by position. */
#include <stdio.h>
#include <string.h>

#include "record/verify.h"
#include "test.h"

#define N 20u

static void seal(struct hws_record *r, const struct hws_digest *prev)
{
    struct hws_buf buf = {0};

    r->prev_hash = *prev;
    assert_ok(hws_record_encode(r, &buf), NULL);
    assert_ok(hws_record_hash(prev, hws_buf_peek(&buf), hws_buf_len(&buf), &r->hash), NULL);
    hws_buf_deinit(&buf);
}

static void make_chain(struct hws_record *chain, size_t n)
{
    struct hws_digest prev = {{0}};

    for (size_t i = 0; i < n; i++) {
        chain[i] = (struct hws_record){.seq = i + 1,
                                       .unix_ms = 1000 + i,
                                       .phase = HWS_RECORD_READ,
                                       .effect = 1,
                                       .principal = "spiffe://d/viewer",
                                       .method = "/m",
                                       .detail = i % 2 == 0 ? "even" : "odd"};
        seal(&chain[i], &prev);
        prev = chain[i].hash;
    }
}

/* Walks n records from a chain that starts at seq 1; returns the fault found. */
static enum hws_verify_fault walk(const struct hws_record *chain, size_t n, struct hws_verify *v,
                                  const struct hws_record *head)
{
    static const struct hws_digest zero;
    struct hws_err err = {0};

    hws_verify_init(v, 1, &zero);
    if (head != NULL) {
        hws_verify_expect_head(v, head->seq, &head->hash);
    }
    for (size_t i = 0; i < n; i++) {
        if (hws_verify_feed(v, &chain[i], &err) != HWS_OK) {
            break;
        }
    }
    enum hws_code rc = hws_verify_end(v, &err);
    assert_code(rc, v->fault == HWS_VERIFY_SOUND ? HWS_OK : HWS_E_PROTO);
    return v->fault;
}

static void untouched_chain_is_sound(void **state)
{
    struct hws_record chain[N];
    struct hws_verify v;

    (void)state;
    make_chain(chain, N);
    assert_int_equal(walk(chain, N, &v, &chain[N - 1]), HWS_VERIFY_SOUND);
    assert_int_equal(v.n_seen, N);
}

static void edit_is_found_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        struct hws_record chain[N];
        struct hws_verify v;
        make_chain(chain, N);
        chain[i].principal = "spiffe://d/somebody-else";
        assert_int_equal(walk(chain, N, &v, NULL), HWS_VERIFY_EDITED);
        assert_int_equal(v.bad_idx, i);
        assert_int_equal(v.bad_seq, i + 1);
    }
}

static void edit_sealed_again_breaks_the_next_link(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < N; i++) {
        struct hws_record chain[N];
        struct hws_verify v;
        make_chain(chain, N);
        chain[i].detail = "nothing happened";
        seal(&chain[i], &chain[i].prev_hash);
        assert_int_equal(walk(chain, N, &v, NULL), HWS_VERIFY_UNLINKED);
        assert_int_equal(v.bad_idx, i + 1);
    }
}

static void dropped_record_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < N; i++) {
        struct hws_record chain[N];
        struct hws_verify v;
        make_chain(chain, N);
        memmove(&chain[i], &chain[i + 1], (N - i - 1) * sizeof(chain[0]));
        assert_int_equal(walk(chain, N - 1, &v, NULL), HWS_VERIFY_MISSING);
        assert_int_equal(v.bad_seq, i + 1);
        assert_int_equal(v.bad_idx, i);
    }
}

static void swapped_records_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < N; i++) {
        struct hws_record chain[N];
        struct hws_verify v;
        make_chain(chain, N);
        struct hws_record t = chain[i];
        chain[i] = chain[i + 1];
        chain[i + 1] = t;
        assert_int_equal(walk(chain, N, &v, NULL), HWS_VERIFY_MISSING);
        assert_int_equal(v.bad_idx, i);
    }
}

static void repeated_record_is_found(void **state)
{
    struct hws_record chain[N];
    struct hws_verify v;

    (void)state;
    make_chain(chain, N);
    chain[7] = chain[6];
    assert_int_equal(walk(chain, N, &v, NULL), HWS_VERIFY_REORDERED);
    assert_int_equal(v.bad_idx, 7);
}

static void renumbered_record_is_found(void **state)
{
    struct hws_record chain[N];
    struct hws_verify v;

    (void)state;
    make_chain(chain, N);
    memmove(&chain[5], &chain[6], (N - 6) * sizeof(chain[0]));
    for (size_t i = 5; i < N - 1; i++) {
        chain[i].seq--;
    }
    assert_int_equal(walk(chain, N - 1, &v, NULL), HWS_VERIFY_EDITED);
    assert_int_equal(v.bad_idx, 5);
}

static void truncation_shows_against_a_known_head(void **state)
{
    (void)state;
    for (size_t n = 0; n < N; n++) {
        struct hws_record chain[N];
        struct hws_verify v;
        make_chain(chain, N);
        assert_int_equal(walk(chain, n, &v, &chain[N - 1]), HWS_VERIFY_TRUNCATED);
        assert_int_equal(v.bad_seq, n + 1);
        assert_int_equal(walk(chain, n, &v, NULL), HWS_VERIFY_SOUND);
    }
}

static void log_rewritten_as_a_whole_shows_against_a_known_head(void **state)
{
    struct hws_record chain[N];
    struct hws_verify v;

    (void)state;
    make_chain(chain, N);
    struct hws_record head = chain[N - 1];
    chain[3].detail = "nothing happened";
    for (size_t i = 3; i < N; i++) {
        seal(&chain[i], &chain[i - 1].hash);
    }

    assert_int_equal(walk(chain, N, &v, NULL), HWS_VERIFY_SOUND);
    assert_int_equal(walk(chain, N, &v, &head), HWS_VERIFY_REWRITTEN);
    assert_int_equal(v.bad_seq, N);
}

static void walk_may_start_at_the_horizon(void **state)
{
    struct hws_record chain[N];
    struct hws_verify v;
    struct hws_err err;

    (void)state;
    make_chain(chain, N);
    hws_verify_init(&v, 0, NULL);
    for (size_t i = 9; i < N; i++) {
        assert_ok(hws_verify_feed(&v, &chain[i], &err), &err);
    }
    assert_ok(hws_verify_end(&v, &err), &err);
}

static void malformed_record_is_found(void **state)
{
    struct hws_record chain[N];
    struct hws_verify v;
    struct hws_err err;

    (void)state;
    make_chain(chain, N);
    chain[4].phase = 99;
    assert_int_equal(walk(chain, N, &v, NULL), HWS_VERIFY_MALFORMED);
    assert_int_equal(v.bad_idx, 4);
    assert_code(hws_verify_end(&v, &err), HWS_E_PROTO);
    assert_string_equal(err.msg, "audit record 5 (position 4) is malformed");
}

static void any_random_damage_is_found(void **state)
{
    uint64_t rand = hws_test_seed();

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct hws_record chain[N];
        struct hws_verify v;
        make_chain(chain, N);
        struct hws_record *r = &chain[hws_test_rand(&rand) % N];
        switch (hws_test_rand(&rand) % 6) {
        case 0:
            r->unix_ms ^= UINT64_C(1) << hws_test_rand(&rand) % 64;
            break;
        case 1:
            r->seq ^= UINT64_C(1) << hws_test_rand(&rand) % 64;
            break;
        case 2:
            r->hash.b[hws_test_rand(&rand) % 32] ^= 1;
            break;
        case 3:
            r->prev_hash.b[hws_test_rand(&rand) % 32] ^= 0x80;
            break;
        case 4:
            r->intent_seq++;
            break;
        default:
            r->rule = "r"; /* the boundary between two texts may not move */
            r->device = "";
            break;
        }
        assert_int_not_equal(walk(chain, N, &v, &chain[N - 1]), HWS_VERIFY_SOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untouched_chain_is_sound),
        cmocka_unit_test(edit_is_found_at_its_place),
        cmocka_unit_test(edit_sealed_again_breaks_the_next_link),
        cmocka_unit_test(dropped_record_is_named),
        cmocka_unit_test(swapped_records_are_found),
        cmocka_unit_test(repeated_record_is_found),
        cmocka_unit_test(renumbered_record_is_found),
        cmocka_unit_test(truncation_shows_against_a_known_head),
        cmocka_unit_test(log_rewritten_as_a_whole_shows_against_a_known_head),
        cmocka_unit_test(walk_may_start_at_the_horizon),
        cmocka_unit_test(malformed_record_is_found),
        cmocka_unit_test(any_random_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
