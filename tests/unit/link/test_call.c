/* One call on the link: what may come when, how fragments join, how messages are cut. */
#include <string.h>

#include "base/mem.h"
#include "link/call.h"
#include "test.h"

static struct hws_link_packet fragment(const char *text, bool more)
{
    struct hws_link_packet p = {.type = HWS_LINK_MSG, .id = 1};

    p.flags = (uint8_t)(more ? HWS_LINK_FLAG_MORE : 0);
    p.u.msg = hws_link_text(text);
    return p;
}

static struct hws_link_packet bare(enum hws_link_type type)
{
    return (struct hws_link_packet){.type = (uint8_t)type, .id = 1};
}

static enum hws_code feed(struct hws_link_call *c, struct hws_link_packet p,
                          enum hws_link_event *event)
{
    return hws_link_call_feed(c, &p, event, NULL);
}

static void fragments_join_into_one_message(void **state)
{
    struct hws_link_call c;
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 100);
    assert_code(feed(&c, fragment("ab", true), &ev), HWS_OK);
    assert_int_equal(ev, HWS_LINK_EV_NONE);
    assert_code(feed(&c, fragment("cd", true), &ev), HWS_OK);
    assert_code(feed(&c, fragment("", false), &ev), HWS_OK);
    assert_int_equal(ev, HWS_LINK_EV_MESSAGE);
    assert_int_equal(hws_buf_len(&c.message), 4);
    assert_memory_equal(hws_buf_peek(&c.message), "abcd", 4);
    assert_int_equal(c.credit.recv, HWS_LINK_FIRST_CREDIT - 1);
    hws_link_call_taken(&c);
    assert_code(feed(&c, fragment("", false), &ev), HWS_OK); /* an empty message is a message */
    assert_int_equal(ev, HWS_LINK_EV_MESSAGE);
    assert_int_equal(hws_buf_len(&c.message), 0);
    hws_link_call_deinit(&c);
}

static void message_over_the_limit_is_refused(void **state)
{
    struct hws_link_call c;
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_CALLER, 5);
    assert_code(feed(&c, fragment("abc", true), &ev), HWS_OK);
    assert_code(feed(&c, fragment("def", false), &ev), HWS_E_PROTO);
    hws_link_call_deinit(&c);
}

/* A call may go on for long behind its one large message. */
static void a_large_message_holds_no_memory_when_it_was_taken(void **state)
{
    static const uint8_t bytes[40000];
    struct hws_link_packet p = {.type = HWS_LINK_MSG, .id = 1};
    enum hws_link_event event;
    struct hws_link_call c;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 50000);
    for (size_t n = 100; n <= sizeof(bytes); n += sizeof(bytes) - 100) {
        p.u.msg.bytes = bytes;
        p.u.msg.n = n;
        assert_code(hws_link_call_feed(&c, &p, &event, NULL), HWS_OK);
        assert_int_equal(hws_buf_len(&c.message), n);
        hws_link_call_taken(&c);
        assert_true(c.message.cap <= HWS_LINK_CALL_KEPT_BYTES);
        assert_int_equal(c.message.max, 50000);
    }
    hws_link_call_deinit(&c);
}

static void message_before_the_last_was_taken_is_refused(void **state)
{
    struct hws_link_call c;
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 5);
    assert_code(feed(&c, fragment("a", false), &ev), HWS_OK);
    assert_code(feed(&c, fragment("b", false), &ev), HWS_E_PROTO);
    hws_link_call_deinit(&c);
}

static void message_without_credit_is_refused_until_more_is_given(void **state)
{
    struct hws_link_call c;
    struct hws_link_packet grant;
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 5);
    for (unsigned i = 0; i < HWS_LINK_FIRST_CREDIT; i++) {
        assert_code(feed(&c, fragment("a", false), &ev), HWS_OK);
        hws_link_call_taken(&c);
    }
    assert_code(feed(&c, fragment("a", false), &ev), HWS_E_PROTO);
    hws_link_call_give(&c, 2, &grant);
    assert_int_equal(grant.type, HWS_LINK_CREDIT);
    assert_int_equal(grant.u.credit, 2);
    assert_code(feed(&c, fragment("a", false), &ev), HWS_OK);
    hws_link_call_deinit(&c);
}

/* Which packet may come to which side in which state. */
static void state_table_is_kept(void **state)
{
    static const struct {
        enum hws_link_side side;
        enum hws_link_call_state in;
        enum hws_link_type type;
        enum hws_code code;
        enum hws_link_event event;
        enum hws_link_call_state out;
    } rows[] = {
        {HWS_LINK_SERVER, HWS_LINK_CALL_OPEN, HWS_LINK_HALF_CLOSE, HWS_OK, HWS_LINK_EV_HALF_CLOSED,
         HWS_LINK_CALL_HALF_CLOSED},
        {HWS_LINK_SERVER, HWS_LINK_CALL_OPEN, HWS_LINK_CANCEL, HWS_OK, HWS_LINK_EV_CANCELED,
         HWS_LINK_CALL_ENDED},
        {HWS_LINK_SERVER, HWS_LINK_CALL_OPEN, HWS_LINK_STATUS, HWS_E_PROTO, 0, HWS_LINK_CALL_OPEN},
        {HWS_LINK_SERVER, HWS_LINK_CALL_HALF_CLOSED, HWS_LINK_HALF_CLOSE, HWS_E_PROTO, 0,
         HWS_LINK_CALL_HALF_CLOSED},
        {HWS_LINK_SERVER, HWS_LINK_CALL_HALF_CLOSED, HWS_LINK_MSG, HWS_E_PROTO, 0,
         HWS_LINK_CALL_HALF_CLOSED},
        {HWS_LINK_SERVER, HWS_LINK_CALL_HALF_CLOSED, HWS_LINK_CANCEL, HWS_OK, HWS_LINK_EV_CANCELED,
         HWS_LINK_CALL_ENDED},
        {HWS_LINK_SERVER, HWS_LINK_CALL_ENDED, HWS_LINK_MSG, HWS_OK, HWS_LINK_EV_NONE,
         HWS_LINK_CALL_ENDED},
        {HWS_LINK_CALLER, HWS_LINK_CALL_OPEN, HWS_LINK_HALF_CLOSE, HWS_E_PROTO, 0,
         HWS_LINK_CALL_OPEN},
        {HWS_LINK_CALLER, HWS_LINK_CALL_OPEN, HWS_LINK_CANCEL, HWS_E_PROTO, 0, HWS_LINK_CALL_OPEN},
        {HWS_LINK_CALLER, HWS_LINK_CALL_OPEN, HWS_LINK_STATUS, HWS_OK, HWS_LINK_EV_STATUS,
         HWS_LINK_CALL_ENDED},
        {HWS_LINK_CALLER, HWS_LINK_CALL_HALF_CLOSED, HWS_LINK_MSG, HWS_OK, HWS_LINK_EV_MESSAGE,
         HWS_LINK_CALL_HALF_CLOSED},
        {HWS_LINK_CALLER, HWS_LINK_CALL_HALF_CLOSED, HWS_LINK_STATUS, HWS_OK, HWS_LINK_EV_STATUS,
         HWS_LINK_CALL_ENDED},
        {HWS_LINK_CALLER, HWS_LINK_CALL_ENDED, HWS_LINK_STATUS, HWS_OK, HWS_LINK_EV_NONE,
         HWS_LINK_CALL_ENDED},
        {HWS_LINK_CALLER, HWS_LINK_CALL_OPEN, HWS_LINK_CMD, HWS_E_PROTO, 0, HWS_LINK_CALL_OPEN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hws_link_call c;
        enum hws_link_event ev = HWS_LINK_EV_NONE;

        hws_link_call_init(&c, 1, rows[i].side, 5);
        c.state = (int)rows[i].in;
        assert_code(feed(&c, bare(rows[i].type), &ev), rows[i].code);
        if (rows[i].code == HWS_OK) {
            assert_int_equal(ev, rows[i].event);
        }
        assert_int_equal(c.state, rows[i].out);
        hws_link_call_deinit(&c);
    }
}

static void half_close_inside_a_message_is_refused(void **state)
{
    struct hws_link_call c;
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 5);
    assert_code(feed(&c, fragment("a", true), &ev), HWS_OK);
    assert_code(feed(&c, bare(HWS_LINK_HALF_CLOSE), &ev), HWS_E_PROTO);
    hws_link_call_deinit(&c);
}

static void long_message_is_cut_and_joins_again(void **state)
{
    static uint8_t bytes[2 * HWS_LINK_FRAGMENT_BYTES + 5];
    struct hws_link_call from;
    struct hws_link_call to;
    struct hws_link_fragments f;
    struct hws_link_packet p;
    enum hws_link_event ev = HWS_LINK_EV_NONE;
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    hws_link_call_init(&from, 1, HWS_LINK_SERVER, sizeof bytes);
    hws_link_call_init(&to, 1, HWS_LINK_CALLER, sizeof bytes);
    hws_link_call_send(&from, bytes, sizeof bytes, &f);
    while (hws_link_fragment_next(&f, &p)) {
        assert_int_not_equal(ev, HWS_LINK_EV_MESSAGE);
        assert_code(hws_link_call_feed(&to, &p, &ev, NULL), HWS_OK);
        n++;
    }
    assert_int_equal(n, 3);
    assert_int_equal(ev, HWS_LINK_EV_MESSAGE);
    assert_int_equal(hws_buf_len(&to.message), sizeof bytes);
    assert_memory_equal(hws_buf_peek(&to.message), bytes, sizeof bytes);
    hws_link_call_deinit(&from);
    hws_link_call_deinit(&to);
}

static void empty_message_is_one_packet(void **state)
{
    struct hws_link_call c;
    struct hws_link_fragments f;
    struct hws_link_packet p;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_CALLER, 5);
    hws_link_call_send(&c, NULL, 0, &f);
    assert_true(hws_link_fragment_next(&f, &p));
    assert_int_equal(p.flags, 0);
    assert_int_equal(p.u.msg.n, 0);
    assert_false(hws_link_fragment_next(&f, &p));
    hws_link_call_deinit(&c);
}

static void sending_ends_with_half_close_credit_or_end(void **state)
{
    struct hws_link_call c;
    struct hws_link_fragments f;
    struct hws_link_packet credit = bare(HWS_LINK_CREDIT);
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_CALLER, 5);
    for (unsigned i = 0; i < HWS_LINK_FIRST_CREDIT; i++) {
        hws_link_call_send(&c, NULL, 0, &f);
    }
    assert_false(hws_link_call_may_send(&c));
    credit.u.credit = 1;
    assert_code(hws_link_call_feed(&c, &credit, &ev, NULL), HWS_OK);
    assert_int_equal(ev, HWS_LINK_EV_CREDIT);
    assert_true(hws_link_call_may_send(&c));
    hws_link_call_half_closed(&c);
    assert_false(hws_link_call_may_send(&c));
    hws_link_call_ended(&c);
    assert_false(hws_link_call_may_send(&c));
    hws_link_call_ended(&c);
    hws_link_call_deinit(&c);
}

static void server_answers_after_the_callers_half_close(void **state)
{
    struct hws_link_call c;
    enum hws_link_event ev;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 5);
    assert_code(feed(&c, bare(HWS_LINK_HALF_CLOSE), &ev), HWS_OK);
    assert_true(hws_link_call_may_send(&c));
    assert_code(feed(&c, bare(HWS_LINK_CANCEL), &ev), HWS_OK);
    assert_false(hws_link_call_may_send(&c));
    hws_link_call_deinit(&c);
}

static void credit_beyond_the_ceiling_is_refused(void **state)
{
    struct hws_link_call c;
    struct hws_link_packet credit = bare(HWS_LINK_CREDIT);
    enum hws_link_event ev;
    struct hws_err err;

    (void)state;
    hws_link_call_init(&c, 1, HWS_LINK_CALLER, 5);
    credit.u.credit = HWS_LINK_CREDIT_CAP - HWS_LINK_FIRST_CREDIT + 1;
    assert_code(hws_link_call_feed(&c, &credit, &ev, &err), HWS_E_PROTO);
    assert_memory_equal(err.msg, "call 1: credit of ", 18);
    assert_int_equal(c.credit.send, HWS_LINK_FIRST_CREDIT);
    credit.u.credit--;
    assert_code(hws_link_call_feed(&c, &credit, &ev, &err), HWS_OK);
    hws_link_call_deinit(&c);
}

static enum hws_code join_two(void *arg)
{
    struct hws_link_call c;
    enum hws_link_event ev;
    enum hws_code code;

    (void)arg;
    hws_link_call_init(&c, 1, HWS_LINK_SERVER, 100);
    code = feed(&c, fragment("ab", true), &ev);
    if (code == HWS_OK) {
        code = feed(&c, fragment("cd", false), &ev);
    }
    hws_link_call_deinit(&c);
    return code;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(join_two, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments_join_into_one_message),
        cmocka_unit_test(message_over_the_limit_is_refused),
        cmocka_unit_test(a_large_message_holds_no_memory_when_it_was_taken),
        cmocka_unit_test(message_before_the_last_was_taken_is_refused),
        cmocka_unit_test(message_without_credit_is_refused_until_more_is_given),
        cmocka_unit_test(state_table_is_kept),
        cmocka_unit_test(half_close_inside_a_message_is_refused),
        cmocka_unit_test(long_message_is_cut_and_joins_again),
        cmocka_unit_test(empty_message_is_one_packet),
        cmocka_unit_test(sending_ends_with_half_close_credit_or_end),
        cmocka_unit_test(server_answers_after_the_callers_half_close),
        cmocka_unit_test(credit_beyond_the_ceiling_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
