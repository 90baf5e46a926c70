/*
 * One connection's bytes: transport -> TLS -> gRPC engine -> TLS -> transport.
 *
 * What is read goes up at once, and what it makes due is written once, behind the last read of the
 * turn; what comes due otherwise is written once before the loop waits again. A connection with
 * more to send than one write takes goes on in the next turn, after the others.
 * Output is sealed into a buffer that is lent by the loop's pool and goes back when the socket has
 * taken it, so an idle connection holds none.
 *
 * Failures: transport errors, TLS's and truncation end the connection; the engine's own queue a
 * GOAWAY, and the connection closes behind it.
 */
#include <sys/socket.h>

#include "base/assert.h"
#include "net/conn_priv.h"

static uint64_t now_ms(const struct hws_net_conn *conn)
{
    return hws_net_now_ms(conn->net);
}

static void fail_uv(struct hws_net_conn *conn, int status, const char *what)
{
    struct hws_err err;

    (void)hws_net_fail(&err, status, what);
    hws_net__conn_fail(conn, &err);
}

/* ---- writing ------------------------------------------------------------------------------------
 */

/* Moves what the engine has into TLS, until TLS has enough waiting. */
static enum hws_code seal(struct hws_net_conn *conn, struct hws_err *err)
{
    hws_net__bufs_get(conn->net, &conn->sending);
    hws_tls_conn_lend(&conn->tls, &conn->sending);
    /* A TLS that has ended seals nothing more, but its alert is to leave. */
    while (conn->opened &&
           (conn->tls.state == HWS_TLS_STATE_OPEN || conn->tls.state == HWS_TLS_STATE_PEER_DONE) &&
           hws_tls_conn_unsent(&conn->tls) < HWS_TLS_UNSENT_MAX_BYTES) {
        struct hws_span spans[HWS_GRPC_OUT_SPANS];
        size_t taken = 0;
        size_t n_spans =
            hws_grpc_conn_pull_spans(&conn->grpc, now_ms(conn), spans, HWS_GRPC_OUT_SPANS);

        if (n_spans == 0) {
            break;
        }
        enum hws_code rc = hws_tls_conn_gather(&conn->tls, spans, n_spans, &taken, err);
        if (rc != HWS_OK) {
            return rc;
        }
        hws_grpc_conn_sent(&conn->grpc, taken, now_ms(conn));
    }
    return HWS_OK;
}

static void written(uv_write_t *req, int status)
{
    struct hws_net_conn *conn = req->data;

    conn->write_since_ms = 0;
    if (status == 0 && !conn->hung_up) {
        if (hws_net__has_tls(conn)) {
            hws_net__bufs_put(conn->net, &conn->sending);
        } else {
            hws_grpc_conn_sent(&conn->grpc, conn->grpc_in_flight, now_ms(conn));
        }
        conn->grpc_in_flight = 0;
        hws_net__pump(conn);
    } else if (status != 0) {
        fail_uv(conn, status, "write");
    }
    hws_net_closer_drop(&conn->closer);
}

/* Takes what has left off the front of the buffers; returns the first that has something left. */
static unsigned skip(uv_buf_t *bufs, size_t done)
{
    unsigned at = 0;

    while (done >= bufs[at].len) {
        done -= bufs[at++].len;
    }
    bufs[at].base += done;
    bufs[at].len -= done;
    return at;
}

/* Writes n bytes in n_bufs buffers that stay in place until they are gone: at once if the socket
 * takes them. Returns what has left already; the rest, if any, is in flight. */
static size_t write_some(struct hws_net_conn *conn, uv_buf_t *bufs, unsigned n_bufs, size_t n)
{
    int done = uv_try_write(&conn->io.stream, bufs, n_bufs);

    if (done == UV_EAGAIN) {
        done = 0;
    }
    if (done < 0) {
        fail_uv(conn, done, "write");
        return 0;
    }
    conn->net->stats.writes++;
    conn->net->stats.bytes_out += n;
    if ((size_t)done == n) {
        return n;
    }
    unsigned at = skip(bufs, (size_t)done);
    conn->write_req.data = conn;
    int status = uv_write(&conn->write_req, &conn->io.stream, bufs + at, n_bufs - at, written);
    if (status != 0) {
        fail_uv(conn, status, "write");
        return 0;
    }
    hws_net_closer_hold(&conn->closer);
    conn->write_since_ms = now_ms(conn);
    conn->grpc_in_flight = n - (size_t)done;
    return (size_t)done;
}

static void flush_tls(struct hws_net_conn *conn, bool *out_more)
{
    struct hws_err err;

    if (seal(conn, &err) != HWS_OK) {
        hws_net__conn_fail(conn, &err);
        return;
    }
    *out_more = hws_tls_conn_unsent(&conn->tls) >= HWS_TLS_UNSENT_MAX_BYTES;
    hws_tls_conn_pull(&conn->tls, &conn->sending);
    size_t n = hws_buf_len(&conn->sending);
    if (n > 0) {
        uv_buf_t buf = uv_buf_init((char *)hws_buf_peek(&conn->sending), (unsigned)n);
        (void)write_some(conn, &buf, 1, n);
    }
    if (conn->write_since_ms == 0) {
        hws_net__bufs_put(conn->net, &conn->sending);
    }
    if (conn->opened) {
        hws_grpc_conn_transport_holds(&conn->grpc,
                                      hws_buf_len(&conn->sending) + hws_tls_conn_holds(&conn->tls));
    }
}

static void flush_plain(struct hws_net_conn *conn, bool *out_more)
{
    struct hws_span spans[HWS_GRPC_OUT_SPANS];
    uv_buf_t bufs[HWS_GRPC_OUT_SPANS];
    size_t n = 0;
    size_t n_spans = !conn->opened ? 0
                                   : hws_grpc_conn_pull_spans(&conn->grpc, now_ms(conn), spans,
                                                              HWS_GRPC_OUT_SPANS);

    for (size_t i = 0; i < n_spans; i++) {
        bufs[i] = uv_buf_init((char *)spans[i].bytes, (unsigned)spans[i].n);
        n += spans[i].n;
    }
    if (n == 0) {
        return;
    }
    size_t done = write_some(conn, bufs, (unsigned)n_spans, n);
    if (done > 0 && !conn->hung_up) {
        hws_grpc_conn_sent(&conn->grpc, done, now_ms(conn));
    }
    *out_more = done == n; /* one pull is not always all there is */
}

bool hws_net__flush(struct hws_net_conn *conn, bool *out_more)
{
    *out_more = false;
    if (conn->hung_up || conn->write_since_ms != 0) {
        return !conn->hung_up;
    }
    if (hws_net__has_tls(conn)) {
        flush_tls(conn, out_more);
    } else {
        flush_plain(conn, out_more);
    }
    *out_more = *out_more && !conn->hung_up && conn->write_since_ms == 0;
    return !conn->hung_up;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static void read_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)handle->data;

    (void)hint;
    *buf = uv_buf_init((char *)conn->net->read, HWS_NET_READ_BYTES);
}

static bool wants_read(const struct hws_net_conn *conn)
{
    size_t unsent = hws_buf_len(&conn->sending);

    if (conn->hung_up || conn->eof) {
        return false;
    }
    if (conn->lingering) {
        return true;
    }
    /* A server makes a peer wait that does not read. A client reads on, whatever waits to leave, or
     * the two would wait for each other; what may come is bounded by its windows and limits. */
    if (conn->server && conn->write_since_ms != 0 &&
        (hws_net__has_tls(conn) ? unsent : conn->grpc_in_flight) > HWS_NET_UNSENT_BYTES) {
        return false;
    }
    return !conn->opened || hws_grpc_conn_want_read(&conn->grpc);
}

/* Plaintext for the engine. Its own errors queue a GOAWAY: the connection closes after the flush.
 */
static void feed(struct hws_net_conn *conn, const uint8_t *bytes, size_t n)
{
    struct hws_err err;

    if (hws_grpc_conn_recv(&conn->grpc, bytes, n, now_ms(conn), &err) != HWS_OK &&
        conn->err.code == HWS_OK) {
        conn->err = err;
    }
}

static void stream_ended(struct hws_net_conn *conn)
{
    struct hws_err err;

    conn->eof = true;
    (void)uv_read_stop(&conn->io.stream);
    conn->reading = false;
    if (hws_net__has_tls(conn) && hws_tls_conn_eof(&conn->tls, &err) != HWS_OK) {
        conn->net->stats.truncated += conn->opened ? 1 : 0;
        hws_net__conn_fail(conn, &err);
        return;
    }
    if (hws_net__has_tls(conn) &&
        !conn->hung_up) { /* RFC 5246 7.2.1: close_notify for close_notify */
        bool more = false;
        hws_tls_conn_close(&conn->tls);
        (void)hws_net__flush(conn, &more);
    }
    (void)hws_err_set(&err, HWS_E_GONE, "the peer closed the connection");
    hws_net__conn_fail(conn, &err);
}

static void take_tls(struct hws_net_conn *conn, const uint8_t *bytes, size_t n)
{
    struct hws_err err;
    size_t got = 0;
    enum hws_code rc = hws_tls_conn_recv(&conn->tls, bytes, n, &err);

    do {
        if (rc == HWS_OK && conn->state == HWS_NET_HANDSHAKE &&
            conn->tls.state >= HWS_TLS_STATE_OPEN && conn->tls.state != HWS_TLS_STATE_FAILED) {
            hws_net__conn_identified(conn);
        }
        if (rc != HWS_OK || conn->hung_up) {
            break;
        }
        rc = hws_tls_conn_read(&conn->tls, conn->net->plain, HWS_NET_PLAIN_BYTES, &got, &err);
        if (rc == HWS_OK && got > 0) {
            feed(conn, conn->net->plain, got);
        }
    } while (rc == HWS_OK && got > 0);

    if (rc != HWS_OK && !conn->hung_up) {
        bool more = false;
        (void)hws_net__flush(conn, &more); /* the alert, if any */
        hws_net__conn_fail(conn, &err);
    } else if (!conn->hung_up && conn->tls.state == HWS_TLS_STATE_PEER_DONE) {
        stream_ended(conn);
    }
}

static void read_done(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)stream->data;

    if (conn->lingering) {
        conn->linger_bytes += n > 0 ? (size_t)n : 0;
        if (n < 0 || conn->linger_bytes > HWS_NET_LINGER_BYTES) {
            hws_net__conn_hang_up(conn);
        }
        return;
    }
    if (n == UV_EOF) {
        stream_ended(conn);
        return;
    }
    if (n < 0) {
        fail_uv(conn, (int)n, "read");
        return;
    }
    if (n == 0 || conn->hung_up) {
        return;
    }
    bool handshake = conn->state == HWS_NET_HANDSHAKE;
    conn->net->stats.bytes_in += (uint64_t)n;
    if (hws_net__has_tls(conn)) {
        take_tls(conn, (const uint8_t *)buf->base, (size_t)n);
    } else {
        feed(conn, (const uint8_t *)buf->base, (size_t)n);
    }
    /* What a read makes due leaves at once if it was the last of this turn, while its memory is in
     * the cache; and a step of a handshake takes milliseconds: the peer goes on meanwhile. */
    bool last = (size_t)n < HWS_NET_READ_BYTES;
    if (last || handshake) {
        hws_net__pump(conn);
    } else {
        hws_net__pump_soon(conn);
    }
}

static void set_reading(struct hws_net_conn *conn)
{
    bool want = wants_read(conn);

    if (want == conn->reading || conn->hung_up) {
        return;
    }
    conn->reading = want;
    if (!want) {
        (void)uv_read_stop(&conn->io.stream);
        return;
    }
    int status = uv_read_start(&conn->io.stream, read_alloc, read_done);
    if (status != 0) {
        fail_uv(conn, status, "read");
    }
}

/* ---- when ---------------------------------------------------------------------------------------
 */

static void wake_due(uv_prepare_t *prepare)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)prepare->data;

    (void)uv_prepare_stop(prepare);
    hws_net__pump(conn);
}

void hws_net__pump_soon(struct hws_net_conn *conn)
{
    if (!conn->hung_up) {
        (void)uv_prepare_start(&conn->wake, wake_due); /* no effect if it runs already */
    }
}

/*
 * Our last words are out. A socket that is closed while bytes of the peer are unread resets the
 * connection, and the peer loses the GOAWAY that tells it why; so its bytes are read and dropped
 * for a while.
 */
static void linger(struct hws_net_conn *conn)
{
    uv_os_fd_t fd = -1;

    if (conn->eof || !conn->server || !hws_net__has_tls(conn) ||
        uv_fileno(&conn->io.handle, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        hws_net__conn_hang_up(conn);
        return;
    }
    hws_net__conn_linger(conn);
}

/* The engine is done and all its output has left: says goodbye. Returns false when that ended the
 * connection. */
static bool say_goodbye(struct hws_net_conn *conn)
{
    bool more = false;
    bool alive = true;

    if (hws_net__has_tls(conn)) {
        hws_tls_conn_close(&conn->tls);
        alive = hws_net__flush(conn, &more);
    }
    if (alive && conn->write_since_ms == 0) {
        linger(conn);
        return !conn->hung_up;
    }
    return alive;
}

/* No GOAWAY reaches the peer: it takes nothing, part of a frame is lost, or it is silent. */
static bool beyond_words(const struct hws_net_conn *conn)
{
    return conn->grpc.state == HWS_GRPC_CONN_CLOSED ||
           (conn->grpc.state == HWS_GRPC_CONN_CLOSING && conn->grpc.silent);
}

void hws_net__pump(struct hws_net_conn *conn)
{
    uint64_t due_ms = UINT64_MAX;
    bool more = false;

    if (conn->hung_up || conn->pumping) {
        return;
    }
    if (conn->lingering) {
        set_reading(conn);
        hws_net__conn_arm(conn, due_ms);
        return;
    }
    conn->pumping = true;
    if (conn->opened) {
        due_ms = hws_grpc_conn_turn(&conn->grpc, now_ms(conn));
    }
    bool alive = hws_net__flush(conn, &more);
    if (alive && conn->opened && beyond_words(conn)) {
        hws_net__conn_hang_up(conn);
        alive = false;
    }
    if (alive && conn->opened && !conn->worn && hws_tls_conn_is_worn(&conn->tls)) {
        conn->worn = true; /* its keys have sealed enough: calls end, the peer dials again */
        hws_grpc_conn_drain(&conn->grpc, 0, now_ms(conn));
        hws_net__pump_soon(conn);
    }
    if (alive && conn->opened && conn->write_since_ms == 0 && !more &&
        hws_grpc_conn_want_close(&conn->grpc)) {
        alive = say_goodbye(conn);
    }
    if (alive) {
        set_reading(conn);
        hws_net__conn_arm(conn, more ? now_ms(conn) : due_ms);
    }
    conn->pumping = false;
}
