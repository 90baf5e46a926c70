/* What the device process refuses by itself: dangerous commands without the program's word, and
 * killed rows. */
#include <string.h>

#include "serve_world.h"

static void a_dangerous_command_needs_the_programs_word(void **state)
{
    struct world *w = *state;
    uint8_t in[16] = {0x08, 0x20}; /* SET_DIAGNOSTIC_PARAMS */
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x820, 0);
    struct hws_link_packet cmd = nop(5);

    cmd.u.cmd.row = hws_table_id(row);
    cmd.u.cmd.scope = row->scope;
    cmd.u.cmd.in.bytes = in;
    cmd.u.cmd.warrant = hws_link_text("a warrant");
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 1);
    assert_int_equal(w->n_warrant_bytes, 9);
    assert_int_equal(hws_serve_running(&w->serve), 0);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_DENIED);
    assert_int_equal(sent(w, 2).u.done.stage, HWS_STAGE_NOT_SENT);

    w->authorized = true;
    cmd.id = 6;
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(hws_serve_running(&w->serve), 1);

    /* One that the gate refuses is not asked about, and a warrant makes nothing of it. */
    cmd.id = 7;
    cmd.u.cmd.scope = 1;
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 2);
    assert_int_equal(hws_serve_running(&w->serve), 1);

    /* One that needs no warrant is not asked about either. */
    cmd = nop(8);
    cmd.u.cmd.warrant = hws_link_text("a warrant");
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 2);
    assert_int_equal(hws_serve_running(&w->serve), 2);
}

/* The answer to a NOP: feeds it, turns at now_ms, reads the last packet. */
static struct hws_link_packet answer_to_nop(struct world *w, uint64_t id, uint64_t now_ms)
{
    struct hws_link_packet cmd = nop(id);
    size_t n_calls = w->held.n_calls;
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    size_t n = 0;

    assert_code(hws_link_encode(&cmd, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_serve_feed(&w->serve, bytes, n, -1, now_ms, NULL), HWS_OK);
    if (w->held.n_calls > n_calls) {
        hws_held_ok(&w->held, n_calls, 0, 16);
    }
    (void)hws_serve_turn(&w->serve, now_ms);
    assert_int_equal(sent(w, w->n_sent - 1).id, id);
    return sent(w, w->n_sent - 1);
}

static void killed_row_is_refused_until_its_time_is_over(void **state)
{
    struct world *w = *state;
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x80d, 0);
    struct hws_link_packet done;
    char text[256] = "";

    feed_kills(w, row, 5000); /* the clock says 1000 */
    assert_int_equal(w->n_notes, 1);
    assert_string_equal(w->note, "1 rows killed now: 1 more, 0 lifted");
    done = answer_to_nop(w, 5, 1001);
    assert_int_equal(done.u.done.code, HWS_E_DENIED);
    assert_int_equal(done.u.done.stage, HWS_STAGE_NOT_SENT);
    (void)hws_str_copy_n(text, sizeof text, done.u.done.msg.bytes, done.u.done.msg.n);
    assert_string_equal(text, "the device process refuses NOP on 0000:81:00.0: killed for 5 s "
                              "more; see hawser kill list");
    assert_int_equal(w->n_notes, 2);
    assert_string_equal(w->note, text);
    assert_int_equal(answer_to_nop(w, 6, 5999).u.done.code, HWS_E_DENIED);
    assert_int_equal(w->n_notes, 2); /* once for a list */
    assert_int_equal(w->held.n_calls, 0);
    assert_int_equal(answer_to_nop(w, 7, 6000).u.done.code, HWS_OK);
    assert_int_equal(w->held.n_calls, 1);
}

static void killed_register_is_named_with_its_method(void **state)
{
    struct world *w = *state;
    static const uint8_t in[32] = {0x08, 0x05, [10] = 0x50, 0x06}; /* ACCESS_REG, a write of PAOS */
    const struct hws_table_row *row = hws_table_register(HWS_KIND_MLX5, 0x5006, HWS_REG_WRITE);
    struct hws_link_packet cmd = nop(5);

    cmd.u.cmd.row = hws_table_id(row);
    cmd.u.cmd.scope = row->scope;
    cmd.u.cmd.in = (struct hws_span){in, sizeof in};
    cmd.u.cmd.in_bytes = sizeof in;
    cmd.u.cmd.out_cap = sizeof in;
    feed_kills(w, row, 5000);
    feed(w, &cmd, -1, HWS_OK);
    assert_non_null(strstr(w->note, "refuses PAOS:write on 0000:81:00.0: killed for 5 s"));
    assert_int_equal(w->held.n_calls, 0);
}

static void lifted_row_runs_and_another_one_is_not_concerned(void **state)
{
    struct world *w = *state;

    feed_kills(w, hws_table_command(HWS_KIND_MLX5, 0x101, 0), 5000);
    assert_int_equal(answer_to_nop(w, 5, 1001).u.done.code, HWS_OK);
    feed_kills(w, hws_table_command(HWS_KIND_MLX5, 0x80d, 0), 5000);
    assert_string_equal(w->note, "1 rows killed now: 1 more, 1 lifted");
    assert_int_equal(answer_to_nop(w, 6, 1001).u.done.code, HWS_E_DENIED);
    feed_kills(w, NULL, 0);
    assert_string_equal(w->note, "0 rows killed now: 0 more, 1 lifted");
    assert_int_equal(answer_to_nop(w, 7, 1001).u.done.code, HWS_OK);
}

/* A warrant is not asked about, and so not used up. */
static void killed_row_runs_with_no_warrant_either(void **state)
{
    struct world *w = *state;
    uint8_t in[16] = {0x08, 0x20}; /* SET_DIAGNOSTIC_PARAMS */
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x820, 0);
    struct hws_link_packet cmd = nop(5);

    w->authorized = true;
    cmd.u.cmd.row = hws_table_id(row);
    cmd.u.cmd.scope = row->scope;
    cmd.u.cmd.in.bytes = in;
    cmd.u.cmd.warrant = hws_link_text("a warrant");
    feed_kills(w, row, 5000);
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(w->n_asked, 0);
    assert_int_equal(hws_serve_running(&w->serve), 0);
}

static void nothing_runs_before_the_kills_are_told(void **state)
{
    struct world *w = *state;
    const struct hws_table_row *row = hws_table_command(HWS_KIND_MLX5, 0x80d, 0);
    struct hws_link_packet done;

    feed_kills(w, row, 60000);
    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1000);
    feed_hello(w);
    done = answer_to_nop(w, 5, 1001);
    assert_int_equal(done.u.done.code, HWS_E_GONE);
    assert_int_equal(done.u.done.stage, HWS_STAGE_NOT_SENT);

    /* The list is still there, for a keeper that does not know it. */
    feed_kills(w, row, 0);
    assert_int_equal(answer_to_nop(w, 6, 1001).u.done.code, HWS_E_DENIED);
    assert_int_equal(w->held.n_calls, 0);
    feed_kills(w, NULL, 0);
    assert_int_equal(answer_to_nop(w, 7, 1001).u.done.code, HWS_OK);
    struct hws_link_packet other = {.type = HWS_LINK_KILLS, .u.kills.adapter = 1};
    feed(w, &other, -1, HWS_E_PROTO); /* no such adapter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_dangerous_command_needs_the_programs_word),
        WITH_WORLD(killed_row_is_refused_until_its_time_is_over),
        WITH_WORLD(lifted_row_runs_and_another_one_is_not_concerned),
        WITH_WORLD(killed_register_is_named_with_its_method),
        WITH_WORLD(killed_row_runs_with_no_warrant_either),
        WITH_WORLD(nothing_runs_before_the_kills_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
