/* Every kind of call and every way of its end, with each allocation failing in turn: the call ends
 * once, as it should or for want of memory, nothing is lost, and the next one is whole. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "pair.h"
#include "test.h"

enum ending { END_ITSELF, END_CANCEL, END_DEADLINE, END_DRAIN, END_LOST };

struct row {
    enum pair_method method;
    unsigned n_sent;
    const char *text;                /* each message */
    enum hws_grpc_encoding encoding; /* of the answers */
    bool meta;
    enum ending ending;
    enum hws_grpc_code code; /* without a failure */
};

#define DEADLINE_MS 500u

static const struct row rows[] = {
    {PAIR_ECHO, 1, "abc", HWS_GRPC_IDENTITY, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_ECHO, 1, "with metadata", HWS_GRPC_IDENTITY, true, END_ITSELF, HWS_GRPC_OK},
    {PAIR_ECHO, 1, "fail", HWS_GRPC_IDENTITY, false, END_ITSELF, HWS_GRPC_FAILED_PRECONDITION},
    {PAIR_ECHO, 1, "small by gzip", HWS_GRPC_GZIP, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_ECHO, 1, "small by zstd", HWS_GRPC_ZSTD, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_ECHO, 1, "abc", HWS_GRPC_IDENTITY, false, END_DRAIN, HWS_GRPC_OK},
    {PAIR_COUNT, 1, "3", HWS_GRPC_IDENTITY, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_SUM, 3, "to be counted", HWS_GRPC_IDENTITY, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_CHAT, 3, "forth and back", HWS_GRPC_IDENTITY, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_CHAT, 2, "forth and back", HWS_GRPC_GZIP, false, END_ITSELF, HWS_GRPC_OK},
    {PAIR_CHAT, 1, "forth", HWS_GRPC_IDENTITY, false, END_CANCEL, HWS_GRPC_CANCELLED},
    {PAIR_CHAT, 1, "forth", HWS_GRPC_IDENTITY, false, END_DEADLINE, HWS_GRPC_DEADLINE_EXCEEDED},
    {PAIR_CHAT, 1, "forth", HWS_GRPC_IDENTITY, false, END_LOST, HWS_GRPC_UNAVAILABLE},
};

static enum hws_code start(struct pair *p, const struct row *row, struct seen *s)
{
    struct hws_grpc_meta meta = {0};
    enum hws_code code = HWS_OK;

    if (row->meta) {
        code = hws_grpc_meta_add_text(&meta, "x-initial", "said first", NULL);
        code = code == HWS_OK ? hws_grpc_meta_add(&meta, "x-more-bin", "\x00\xff", 2, NULL) : code;
    }
    if (code == HWS_OK) {
        code = seen_start(p, s, row->method, row->ending == END_DEADLINE ? DEADLINE_MS : 0, &meta);
    }
    hws_grpc_meta_deinit(&meta);
    return code;
}

static void send_all(struct pair *p, const struct row *row, struct seen *s)
{
    for (unsigned i = 0; i < row->n_sent && s->call != NULL; i++) {
        if (hws_grpc_call_send(s->call, row->text, strlen(row->text), NULL) != HWS_OK) {
            hws_grpc_call_cancel(s->call);
        }
        if (i + 1 < row->n_sent) {
            (void)pair_run(p);
        }
    }
}

static void end(struct pair *p, const struct row *row, struct seen *s)
{
    if (row->ending == END_DRAIN) {
        hws_grpc_conn_drain(&p->server, 0, p->now_ms);
    }
    if ((row->ending == END_ITSELF || row->ending == END_DRAIN) && s->call != NULL) {
        hws_grpc_call_half_close(s->call);
    }
    (void)pair_run(p);
    if (row->ending == END_CANCEL && s->call != NULL) {
        hws_grpc_call_cancel(s->call);
        (void)pair_run(p);
    }
    if (row->ending == END_DEADLINE) {
        pair_advance(p, DEADLINE_MS);
    }
    hws_grpc_conn_lost(&p->client, "end");
    hws_grpc_conn_lost(&p->server, "end");
}

/* Not as the row says: the want of memory is said, or was the end of the connection, or the client
 * could not send (send_all). */
static bool ended_in_other_ways(const struct row *row, const struct seen *s)
{
    enum hws_grpc_code code = s->outcome.code;

    if (code != row->code && code != HWS_GRPC_RESOURCE_EXHAUSTED && code != HWS_GRPC_UNAVAILABLE &&
        (code != HWS_GRPC_CANCELLED || s->outcome.from_peer)) {
        fail_msg("%s: %s", hws_grpc_code_name(code), s->message);
    }
    return code != row->code;
}

static enum hws_code scenario(void *arg)
{
    const struct row *row = arg;
    struct pair p;
    struct seen s;
    enum hws_code code = pair_init(&p);

    p.encoding = row->encoding;
    code = code == HWS_OK ? pair_open(&p) : code;
    code = code == HWS_OK ? start(&p, row, &s) : code;
    if (code == HWS_OK) {
        send_all(&p, row, &s);
        end(&p, row, &s);
        assert_true(s.closed);
        code = ended_in_other_ways(row, &s) ? HWS_E_NOMEM : HWS_OK;
    }
    pair_deinit(&p);
    return code;
}

static void every_call_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct row row = rows[i];
        uint64_t n = hws_test_oom_sweep(scenario, &row);

        print_message("row %zu: %llu allocations\n", i, (unsigned long long)n);
        assert_true(n > 20);
    }
}

/* What is written is one pull: nobody asks again until something happens. */
static enum hws_code answer_in_one_pull(void *arg)
{
    struct pair p;
    struct seen s;
    struct hws_err err;
    const uint8_t *bytes = NULL;
    size_t n = 0;
    uint64_t k_of_pull = *(uint64_t *)arg;
    enum hws_code code = pair_init(&p);

    assert_code(code, HWS_OK);
    assert_code(pair_open(&p), HWS_OK);
    (void)pair_run(&p);
    assert_code(seen_start(&p, &s, PAIR_ECHO, 0, NULL), HWS_OK);
    assert_code(hws_grpc_call_send(s.call, "abc", 3, &err), HWS_OK);
    hws_grpc_conn_pull(&p.client, p.now_ms, &bytes, &n);
    assert_code(hws_grpc_conn_recv(&p.server, bytes, n, p.now_ms, &err), HWS_OK);
    hws_grpc_conn_sent(&p.client, n, p.now_ms);

    hws_mem_fail_after(k_of_pull / 2 + 1, k_of_pull % 2 == 1);
    hws_grpc_conn_pull(&p.server, p.now_ms, &bytes, &n);
    hws_mem_fail_after(0, false);

    if (p.server.state == HWS_GRPC_CONN_CLOSING) {
        assert_true(n > 0 || hws_grpc_conn_want_close(&p.server)); /* the GOAWAY, or the end */
        code = HWS_E_NOMEM;
    } else if (p.server.state == HWS_GRPC_CONN_CLOSED) {
        code = HWS_E_NOMEM;
    } else {
        assert_true(n > 0);
    }
    hws_grpc_conn_sent(&p.server, n, p.now_ms);
    hws_grpc_conn_lost(&p.client, "end");
    hws_grpc_conn_lost(&p.server, "end");
    pair_deinit(&p);
    return code;
}

static void the_want_of_memory_for_an_answer_is_said_by_the_same_pull(void **state)
{
    unsigned n_failed = 0;
    (void)state;
    hws_test_sweeps_itself();
    for (uint64_t k = 0; k < 20; k++) {
        n_failed += answer_in_one_pull(&k) == HWS_E_NOMEM;
    }
    assert_true(n_failed > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_want_of_memory_for_an_answer_is_said_by_the_same_pull),
        cmocka_unit_test(every_call_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
