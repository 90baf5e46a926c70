/* The method table, and what the server answers to requests that nobody well-behaved sends: raw
 * header lists through a bare nghttp2 client. */
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "grpc/server.h"
#include "grpc/session.h"
#include "test.h"

static void paths_are_canonical_or_nothing(void **state)
{
    static const char *const good[] = {"/a/b", "/pkg.v1.Service/Method", "/a_b.C/d-e", "/x/y.z"};
    static const char *const bad[] = {
        "",       "/",       "a/b",  "//b",   "/a/",  "/a",    "/a/b/",   "/a/b/c", "/a//b",
        "/a?b/c", "/a/b%2e", "/./b", "/../b", "/a/.", "/a/..", "/a..b/c", "/a/b c", "http://h/a/b"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(hws_grpc_path_ok((const uint8_t *)good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(hws_grpc_path_ok((const uint8_t *)bad[i], strlen(bad[i])));
    }
}

static const struct hws_grpc_call_ops no_ops = {0};

static void table_finds_exact_paths_only(void **state)
{
    static const struct hws_grpc_method rows[] = {{"/t.S/B", HWS_GRPC_UNARY, false},
                                                  {"/t.S/A", HWS_GRPC_BIDI, false},
                                                  {"/t.S/AA", HWS_GRPC_UNARY, false}};
    struct hws_grpc_server s;

    (void)state;
    hws_grpc_server_init(&s);
    assert_null(hws_grpc_server_find(&s, (const uint8_t *)"/t.S/A", 6));
    assert_code(hws_grpc_server_add(&s, rows, 3, &no_ops, NULL, NULL), HWS_OK);
    assert_int_equal(hws_grpc_server_find(&s, (const uint8_t *)"/t.S/A", 6)->method_idx, 1);
    assert_int_equal(hws_grpc_server_find(&s, (const uint8_t *)"/t.S/AAx", 7)->method_idx, 2);
    assert_null(hws_grpc_server_find(&s, (const uint8_t *)"/t.S/a", 6));
    assert_null(hws_grpc_server_find(&s, (const uint8_t *)"/t.S/AAA", 8));
    assert_code(hws_grpc_server_add(&s, rows, 1, &no_ops, NULL, NULL), HWS_E_EXISTS);
    assert_int_equal(s.n_routes, 3);
    hws_grpc_server_deinit(&s);
}

/* ---- raw requests ---- */

struct raw {
    char status[8];  /* :status */
    char grpc[8];    /* grpc-status */
    char accept[32]; /* grpc-accept-encoding */
    char words[32];  /* the first of the body */
    uint32_t closed; /* the reset's error code */
    bool done;
};

static void keep(char *dst, size_t cap, const uint8_t *value, size_t n)
{
    n = n < cap - 1 ? n : cap - 1;
    memcpy(dst, value, n);
    dst[n] = '\0';
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static int raw_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                      size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags,
                      void *data)
{
    struct raw *raw = data;

    (void)h2;
    (void)frame;
    (void)flags;
    if (n_name == 7 && memcmp(name, ":status", 7) == 0) {
        keep(raw->status, sizeof(raw->status), value, n_value);
    }
    if (n_name == 11 && memcmp(name, "grpc-status", 11) == 0) {
        keep(raw->grpc, sizeof(raw->grpc), value, n_value);
    }
    if (n_name == 20 && memcmp(name, "grpc-accept-encoding", 20) == 0) {
        keep(raw->accept, sizeof(raw->accept), value, n_value);
    }
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static int raw_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                    size_t n, void *data)
{
    struct raw *raw = data;

    (void)h2;
    (void)flags;
    (void)stream_id;
    keep(raw->words, sizeof(raw->words), bytes, n);
    return 0;
}

static int raw_close(nghttp2_session *h2, int32_t stream_id, uint32_t error, void *data)
{
    struct raw *raw = data;

    (void)h2;
    (void)stream_id;
    raw->closed = error;
    raw->done = true;
    return 0;
}

static void exchange(nghttp2_session *h2, struct hws_grpc_conn *conn, uint64_t now_ms)
{
    for (size_t moved = 1; moved > 0;) {
        const uint8_t *bytes = NULL;
        moved = 0;
        for (ssize_t n = nghttp2_session_mem_send(h2, &bytes); n > 0;
             n = nghttp2_session_mem_send(h2, &bytes)) {
            moved += (size_t)n;
            assert_code(hws_grpc_conn_recv(conn, bytes, (size_t)n, now_ms, NULL), HWS_OK);
        }
        (void)hws_grpc_conn_turn(conn, now_ms);
        for (;;) {
            size_t n = 0;
            hws_grpc_conn_pull(conn, now_ms, &bytes, &n);
            if (n == 0) {
                break;
            }
            assert_int_equal(nghttp2_session_mem_recv(h2, bytes, n), n);
            hws_grpc_conn_sent(conn, n, now_ms);
            moved += n;
        }
    }
}

static const char *const normal[][2] = {
    {":method", "POST"}, {":scheme", "https"}, {":path", "/t.S/A"},
    {":authority", "h"}, {"te", "trailers"},   {"content-type", "application/grpc"},
};

#define N_NORMAL (sizeof(normal) / sizeof(normal[0]))

/* nghttp2 has no const. */
static void *no_const(const void *p)
{
    union {
        const void *in;
        void *out;
    } both = {.in = p};
    return both.out;
}

/* Sends the normal fields with one replaced (value NULL: left out) or added. */
static int32_t ask_with(nghttp2_session *h2, const char *name, const char *value,
                        const nghttp2_data_provider *body)
{
    nghttp2_nv nv[N_NORMAL + 1];
    size_t n = 0;
    bool replaced = false;

    for (size_t i = 0; i < N_NORMAL; i++) {
        const char *v = normal[i][1];
        if (strcmp(normal[i][0], name) == 0) {
            replaced = true;
            v = value;
        }
        if (v != NULL) {
            nv[n++] = (nghttp2_nv){no_const(normal[i][0]), no_const(v), strlen(normal[i][0]),
                                   strlen(v), NGHTTP2_NV_FLAG_NONE};
        }
    }
    if (!replaced) {
        nv[n++] = (nghttp2_nv){no_const(name), no_const(value), strlen(name), strlen(value),
                               NGHTTP2_NV_FLAG_NONE};
    }
    int32_t id = nghttp2_submit_request(h2, NULL, nv, n, body, NULL);
    assert_true(id > 0);
    return id;
}

static void ask(nghttp2_session *h2, const char *name, const char *value)
{
    (void)ask_with(h2, name, value, NULL);
}

/* A body that is nothing, and ends at the second time of asking. */
/* NOLINTBEGIN(readability-function-size,readability-non-const-parameter): the type is nghttp2's */
static ssize_t read_never(nghttp2_session *h2, int32_t stream_id, uint8_t *bytes, size_t cap,
                          uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct raw *raw = data;

    (void)h2;
    (void)stream_id;
    (void)bytes;
    (void)cap;
    (void)source;
    if (raw->status[0] == '\0') {
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 0;
}
/* NOLINTEND(readability-function-size,readability-non-const-parameter) */

static const nghttp2_data_provider never = {.read_callback = read_never};

static unsigned n_called;

static enum hws_grpc_code count_call(struct hws_grpc_call *call, void *data)
{
    (void)call;
    (void)data;
    n_called++;
    return HWS_GRPC_PERMISSION_DENIED;
}

/* A server of one method, and a bare client. */
struct world {
    struct hws_grpc_server server;
    struct hws_grpc_conn conn;
    nghttp2_session *h2;
    struct raw raw;
};

static void world_open(struct world *w)
{
    static const struct hws_grpc_method methods[] = {{"/t.S/A", HWS_GRPC_UNARY, false}};
    static const struct hws_grpc_call_ops ops = {.on_call = count_call};
    struct hws_grpc_conn_config cfg = {.server = &w->server};
    nghttp2_session_callbacks *callbacks = NULL;

    n_called = 0;
    hws_grpc_server_init(&w->server);
    assert_code(hws_grpc_server_add(&w->server, methods, 1, &ops, NULL, NULL), HWS_OK);
    hws_grpc_limits_server(&cfg.limits);
    assert_code(hws_grpc_conn_init(&w->conn, &cfg, 1000, NULL), HWS_OK);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, raw_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, raw_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, raw_close);
    assert_int_equal(nghttp2_session_client_new(&w->h2, callbacks, &w->raw), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(w->h2, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

static void world_close(struct world *w)
{
    nghttp2_session_del(w->h2);
    hws_grpc_conn_deinit(&w->conn);
    hws_grpc_server_deinit(&w->server);
}

static void odd_requests_get_the_documented_answers(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        const char *status;
        const char *grpc;
    } rows[] = {
        {"x", "y", "200", "7"},         /* reaches the handler, which refuses */
        {":method", "GET", "405", "2"}, /* and words, below */
        {":method", "HEAD", "405", "2"},
        {"content-type", "text/html", "415", "2"},
        {"content-type", "application/grpcx", "415", "2"},
        {"content-type", NULL, "415", "2"},
        {"content-type", "application/grpc+proto", "200", "7"},
        {":path", "/t.S/Nothing", "200", "12"},
        {":path", "/t.S/A/", "200", "12"},
        {":path", "//t.S/A", "200", "12"},
        {":path", "/T.S/A", "200", "12"},
        {"te", NULL, "200", "13"},
        {"grpc-encoding", "br", "200", "12"},
        {"grpc-encoding", "gzip", "200", "7"},
        {"grpc-encoding", "zstd", "200", "7"},
        {"grpc-encoding", "identity", "200", "7"},
        {"grpc-timeout", "5", "200", "13"},
        {"grpc-timeout", "5S", "200", "7"},
        {"x-bin", "!", "200", "13"},
        {"grpc-unknown", "anything", "200", "7"},
    };
    static struct world w;

    (void)state;
    world_open(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&w.raw, 0, sizeof(w.raw));
        ask(w.h2, rows[i].name, rows[i].value);
        exchange(w.h2, &w.conn, 1000);
        assert_true(w.raw.done);
        assert_string_equal(w.raw.status, rows[i].status);
        assert_string_equal(w.raw.grpc, rows[i].grpc);
        assert_int_equal(hws_grpc_conn_n_calls(&w.conn), 0);
        assert_int_equal(w.conn.unsent_bytes, 0);
        assert_int_equal(strncmp(w.raw.words, "This port speaks gRPC", 21) == 0,
                         strcmp(rows[i].value == NULL ? "" : rows[i].value, "GET") == 0);
        if (strcmp(rows[i].grpc, "12") == 0) {
            assert_string_equal(w.raw.accept, "identity,gzip,zstd");
        }
    }

    assert_int_equal(n_called, 7);
    world_close(&w);
}

/* Many HTTP clients take a reset for a failure even when the answer is there. */
static void a_request_that_is_not_grpc_may_end_in_its_own_time(void **state)
{
    static struct world w;
    uint64_t wait_ms = 0;

    (void)state;
    world_open(&w);
    wait_ms = w.conn.cfg.limits.progress_ms;
    for (size_t ends = 0; ends < 2; ends++) {
        uint64_t now_ms = 1000 + ends * wait_ms;
        memset(&w.raw, 0, sizeof(w.raw));
        int32_t id = ask_with(w.h2, "content-type", "text/html", &never);
        exchange(w.h2, &w.conn, now_ms);
        assert_string_equal(w.raw.status, "415");
        assert_false(w.raw.done);
        assert_int_equal(hws_grpc_conn_n_calls(&w.conn), 1);
        if (ends == 1) {
            assert_int_equal(nghttp2_session_resume_data(w.h2, id), 0);
            exchange(w.h2, &w.conn, now_ms);
        } else {
            exchange(w.h2, &w.conn, now_ms + wait_ms - 1);
            assert_false(w.raw.done);
            exchange(w.h2, &w.conn, now_ms + wait_ms);
        }
        assert_true(w.raw.done);
        assert_int_equal(w.raw.closed, ends == 1 ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
        assert_int_equal(hws_grpc_conn_n_calls(&w.conn), 0);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_canonical_or_nothing),
        cmocka_unit_test(table_finds_exact_paths_only),
        cmocka_unit_test(odd_requests_get_the_documented_answers),
        cmocka_unit_test(a_request_that_is_not_grpc_may_end_in_its_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
