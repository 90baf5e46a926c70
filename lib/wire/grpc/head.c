/*
 * Header blocks: what incoming fields mean, and how outgoing blocks are built.
 *
 * In: every field is counted against the limits before anything else; gRPC's own fields go to
 * struct hws_grpc_head or the call's end, others to metadata. Nothing is judged here but the single
 * field; server.c and client.c judge the block. Out: nghttp2 copies names and values on submit, so
 * encoded values live in the connection's scratch buffer only until then.
 */
#include <string.h>

#include "base/assert.h"
#include "grpc/timeout.h"
#include "session_priv.h"

#define MAX_OWN 16u /* fields of ours in one block */
#define MAX_NV  (MAX_OWN + HWS_GRPC_META_SENT_FIELDS)

/* ---- in ---- */

void hws_grpc__head_begin(struct hws_grpc_call *call)
{
    call->head = (struct hws_grpc_head){.timeout_ms = HWS_GRPC_NEVER};
}

static bool is(const uint8_t *bytes, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(bytes, text, n) == 0;
}

static bool starts(const uint8_t *bytes, size_t n, const char *text)
{
    size_t len = strlen(text);
    return n >= len && memcmp(bytes, text, len) == 0;
}

static bool content_type_ok(const uint8_t *value, size_t n)
{
    static const char grpc[] = "application/grpc";
    size_t len = sizeof(grpc) - 1;

    return starts(value, n, grpc) && (n == len || value[len] == '+' || value[len] == ';');
}

/* The encodings of ours that the comma-separated list names, a bit each. */
static uint32_t encodings_of(const uint8_t *list, size_t n)
{
    uint32_t found = 0;
    size_t at = 0;

    while (at < n) {
        while (at < n && (list[at] == ' ' || list[at] == ',')) {
            at++;
        }
        size_t end = at;
        while (end < n && list[end] != ',' && list[end] != ' ') {
            end++;
        }
        found |= 1u << hws_grpc_encoding_parse(list + at, end - at);
        at = end;
    }
    return found;
}

static void field_http_status(struct hws_grpc_call *call, const uint8_t *value, size_t n)
{
    unsigned v = 0;

    for (size_t i = 0; i < n && i < 3; i++) {
        v = v * 10 + (unsigned)(value[i] - '0');
    }
    call->head.http_status = v;
}

static void field_path(struct hws_grpc_call *call, const uint8_t *value, size_t n)
{
    call->head.have_path = true;
    if (call->conn->cfg.server != NULL && hws_grpc_path_ok(value, n)) {
        call->route = hws_grpc_server_find(call->conn->cfg.server, value, n);
    }
}

static void field_message(struct hws_grpc_call *call, const uint8_t *value, size_t n)
{
    uint8_t *space = NULL;

    hws_buf_reset(&call->end_message);
    if (hws_buf_reserve(&call->end_message, n + 1, &space) != HWS_OK) {
        return; /* the code says enough */
    }
    size_t got = hws_grpc_percent_decode(value, n, (char *)space, n + 1);
    hws_buf_commit(&call->end_message, got < HWS_GRPC_MESSAGE_BYTES ? got : HWS_GRPC_MESSAGE_BYTES);
}

static void field_details(struct hws_grpc_call *call, const uint8_t *value, size_t n)
{
    uint8_t *space = NULL;
    size_t got = 0;

    hws_buf_reset(&call->end_details);
    if (n / 4 * 3 > HWS_GRPC_DETAILS_BYTES ||
        hws_buf_reserve(&call->end_details, n / 4 * 3 + 3, &space) != HWS_OK) {
        return;
    }
    if (hws_grpc_base64_decode(value, n, space, &got) == HWS_OK) {
        hws_buf_commit(&call->end_details, got);
    }
}

static void field_metadata(struct hws_grpc_call *call, const uint8_t *name, size_t n_name,
                           const uint8_t *value, size_t n_value)
{
    struct hws_grpc_meta *meta = call->headers_in ? &call->peer_trailers : &call->peer_meta;
    enum hws_code code = hws_grpc_meta_add_wire(meta, name, n_name, value, n_value, NULL);

    call->head.bad_meta = call->head.bad_meta || code == HWS_E_PROTO;
    call->head.over = call->head.over || code == HWS_E_BUSY;
    call->head.no_memory = call->head.no_memory || code == HWS_E_NOMEM;
}

/* gRPC's own fields that both sides may get; false for another name. */
static bool field_grpc(struct hws_grpc_call *call, const uint8_t *name, size_t n_name,
                       const uint8_t *value, size_t n_value)
{
    if (is(name, n_name, "grpc-encoding")) {
        call->head.encoding = hws_grpc_encoding_parse(value, n_value);
    } else if (is(name, n_name, "grpc-accept-encoding")) {
        call->peer_takes = encodings_of(value, n_value);
    } else if (call->server && is(name, n_name, "grpc-timeout")) {
        call->head.bad_timeout =
            hws_grpc_timeout_parse(value, n_value, &call->head.timeout_ms) != HWS_OK;
    } else if (!call->server && is(name, n_name, "grpc-status")) {
        call->head.have_status = true;
        call->code = hws_grpc_code_parse(value, n_value);
    } else if (!call->server && is(name, n_name, "grpc-message")) {
        field_message(call, value, n_value);
    } else if (!call->server && is(name, n_name, "grpc-status-details-bin")) {
        field_details(call, value, n_value);
    } else {
        return is(name, n_name, "grpc-retry-pushback-ms") ||
                       is(name, n_name, "grpc-previous-rpc-attempts")
                   ? false
                   : true;
    }
    return true;
}

/* Pseudo fields and HTTP's own; false for another name. */
static bool field_http(struct hws_grpc_call *call, const uint8_t *name, size_t n_name,
                       const uint8_t *value, size_t n_value)
{
    if (is(name, n_name, ":path")) {
        field_path(call, value, n_value);
    } else if (is(name, n_name, ":method")) {
        call->head.post = is(value, n_value, "POST");
        call->head.get = is(value, n_value, "GET");
    } else if (is(name, n_name, ":status")) {
        field_http_status(call, value, n_value);
    } else if (is(name, n_name, "content-type")) {
        call->head.content_type_ok = content_type_ok(value, n_value);
    } else if (is(name, n_name, "te")) {
        call->head.te_ok = is(value, n_value, "trailers");
    } else {
        return name[0] == ':' || is(name, n_name, "user-agent") || is(name, n_name, "host");
    }
    return true;
}

bool hws_grpc__head_count(struct hws_grpc_call *call, size_t n_name, size_t n_value)
{
    const struct hws_grpc_limits *l = &call->conn->cfg.limits;
    struct hws_grpc_head *head = &call->head;

    head->n_fields++;
    head->n_bytes += (uint32_t)(n_name + n_value + HWS_GRPC_FIELD_COST);
    head->over =
        head->over || head->n_fields > l->max_header_fields || head->n_bytes > l->max_header_bytes;
    return !head->over;
}

void hws_grpc__head_field(struct hws_grpc_call *call, const uint8_t *name, size_t n_name,
                          const uint8_t *value, size_t n_value)
{
    if (!hws_grpc__head_count(call, n_name, n_value)) {
        return;
    }
    if (n_name == 0 || (call->server && call->headers_in)) {
        return; /* a request's trailers mean nothing */
    }
    if (starts(name, n_name, "grpc-") && field_grpc(call, name, n_name, value, n_value)) {
        return;
    }
    if (!field_http(call, name, n_name, value, n_value)) {
        field_metadata(call, name, n_name, value, n_value);
    }
}

/* ---- out ---- */

struct block {
    nghttp2_nv nv[MAX_NV];
    size_t n;
};

/* nghttp2 has no const: it only reads the field before submit returns. */
static uint8_t *no_const(const void *p)
{
    union {
        const void *in;
        uint8_t *out;
    } both = {.in = p};
    return both.out;
}

static void put_n(struct block *b, const char *name, size_t n_name, const void *value,
                  size_t n_value)
{
    hws_assert(b->n < MAX_NV);
    b->nv[b->n++] = (nghttp2_nv){.name = no_const(name),
                                 .value = no_const(value),
                                 .namelen = n_name,
                                 .valuelen = n_value,
                                 .flags = NGHTTP2_NV_FLAG_NONE};
}

static void put(struct block *b, const char *name, const char *value)
{
    put_n(b, name, strlen(name), value, strlen(value));
}

/* A static field: nghttp2 need not copy it. */
static void put_fixed(struct block *b, const char *name, const char *value)
{
    put(b, name, value);
    b->nv[b->n - 1].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
}

static size_t base64_len(size_t n)
{
    return (n * 4 + 2) / 3;
}

/* Scratch bytes that the "-bin" values of meta need. */
static size_t meta_room(const struct hws_grpc_meta *meta)
{
    size_t room = 0;

    for (uint32_t i = 0; meta != NULL && i < meta->n_entries; i++) {
        room += base64_len(meta->entries[i].n_value);
    }
    return room;
}

/* Appends metadata of at most HWS_GRPC_META_SENT_FIELDS; *scratch has meta_room bytes and moves on.
 */
static void put_meta(struct block *b, const struct hws_grpc_meta *meta, uint8_t **scratch)
{
    for (uint32_t i = 0; meta != NULL && i < meta->n_entries; i++) {
        struct hws_span name;
        struct hws_span value;
        hws_grpc_meta_at(meta, i, &name, &value);
        if (hws_grpc_meta_is_bin(name.bytes, name.n)) {
            size_t n = hws_grpc_base64_encode(value.bytes, value.n, (char *)*scratch);
            value = (struct hws_span){*scratch, n};
            *scratch += n;
        }
        put_n(b, (const char *)name.bytes, name.n, value.bytes, value.n);
    }
}

static enum hws_code scratch_room(struct hws_grpc_call *call, size_t n, uint8_t **out_space)
{
    struct hws_buf *scratch = &call->conn->spares->scratch;

    hws_buf_reset(scratch);
    return hws_buf_reserve(scratch, n + 1, out_space);
}

/* grpc-status and what goes with it; *scratch has status_room bytes. */
static size_t status_room(const struct hws_grpc_call *call)
{
    return hws_buf_len(&call->end_message) * 3 + base64_len(hws_buf_len(&call->end_details)) +
           meta_room(&call->end_trailers);
}

static void put_status(struct block *b, const struct hws_grpc_call *call, uint8_t *scratch)
{
    static const char *const digits[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                         "9", "10", "11", "12", "13", "14", "15", "16"};
    size_t n_message = hws_buf_len(&call->end_message);
    size_t n_details = hws_buf_len(&call->end_details);

    put_fixed(b, "grpc-status", (unsigned)call->code < HWS_GRPC_N_CODES ? digits[call->code] : "2");
    if (n_message > 0) {
        size_t n = hws_grpc_percent_encode((const char *)hws_buf_peek(&call->end_message),
                                           n_message, (char *)scratch, n_message * 3);
        put_n(b, "grpc-message", 12, scratch, n);
        scratch += n;
    }
    if (n_details > 0) {
        size_t n =
            hws_grpc_base64_encode(hws_buf_peek(&call->end_details), n_details, (char *)scratch);
        put_n(b, "grpc-status-details-bin", 23, scratch, n);
        scratch += n;
    }
    put_meta(b, &call->end_trailers, &scratch);
}

static enum hws_code code_of(int rc)
{
    if (rc >= 0) {
        return HWS_OK;
    }
    return rc == NGHTTP2_ERR_NOMEM ? HWS_E_NOMEM : HWS_E_GONE;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is nghttp2's */
static ssize_t on_read(nghttp2_session *h2, int32_t stream_id, uint8_t *bytes, size_t cap,
                       uint32_t *data_flags, nghttp2_data_source *source, void *data)
{
    struct hws_grpc_call *call = nghttp2_session_get_stream_user_data(h2, stream_id);

    (void)bytes;
    (void)source;
    (void)data;
    return call == NULL ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
                        : hws_grpc__call_read(call, cap, data_flags);
}

enum hws_code hws_grpc__head_send_response(struct hws_grpc_call *call,
                                           const struct hws_grpc_meta *meta)
{
    struct block b;
    uint8_t *scratch = NULL;
    const nghttp2_data_provider source = {.read_callback = on_read};

    b.n = 0;
    if (scratch_room(call, meta_room(meta), &scratch) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    put_fixed(&b, ":status", "200");
    put_fixed(&b, "content-type", "application/grpc");
    put_fixed(&b, "grpc-accept-encoding", HWS_GRPC_ACCEPT_ENCODING);
    if (call->compress != HWS_GRPC_IDENTITY) {
        put_fixed(&b, "grpc-encoding", hws_grpc_encoding_name(call->compress));
    }
    put_meta(&b, meta, &scratch);
    enum hws_code code =
        code_of(nghttp2_submit_response(call->conn->h2, call->stream_id, b.nv, b.n, &source));
    call->headers_out = call->headers_out || code == HWS_OK;
    return code;
}

static const char *http_text(unsigned http_status)
{
    return http_status == 415 ? "415" : http_status == 405 ? "405" : "200";
}

enum hws_code hws_grpc__head_send_words(struct hws_grpc_call *call, unsigned http_status)
{
    const nghttp2_data_provider source = {.read_callback = on_read};
    struct block b;

    b.n = 0;
    put_fixed(&b, ":status", http_text(http_status));
    put_fixed(&b, "content-type", "text/plain");
    enum hws_code code =
        code_of(nghttp2_submit_response(call->conn->h2, call->stream_id, b.nv, b.n, &source));
    call->headers_out = call->headers_out || code == HWS_OK;
    return code;
}

enum hws_code hws_grpc__head_send_status(struct hws_grpc_call *call, unsigned http_status)
{
    struct block b;
    uint8_t *scratch = NULL;

    b.n = 0;
    if (scratch_room(call, status_room(call), &scratch) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    put_fixed(&b, ":status", http_text(http_status));
    put_fixed(&b, "content-type", "application/grpc");
    if (call->code == HWS_GRPC_UNIMPLEMENTED) {
        put_fixed(&b, "grpc-accept-encoding", HWS_GRPC_ACCEPT_ENCODING);
    }
    put_status(&b, call, scratch);
    enum hws_code code =
        code_of(nghttp2_submit_response(call->conn->h2, call->stream_id, b.nv, b.n, NULL));
    call->headers_out = call->headers_out || code == HWS_OK;
    return code;
}

enum hws_code hws_grpc__head_send_trailers(struct hws_grpc_call *call)
{
    struct block b;
    uint8_t *scratch = NULL;

    b.n = 0;
    if (scratch_room(call, status_room(call), &scratch) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    put_status(&b, call, scratch);
    return code_of(nghttp2_submit_trailer(call->conn->h2, call->stream_id, b.nv, b.n));
}

enum hws_code hws_grpc__head_send_request(struct hws_grpc_call *call,
                                          const struct hws_grpc_meta *meta, uint64_t timeout_ms)
{
    const struct hws_grpc_conn_config *cfg = &call->conn->cfg;
    const nghttp2_data_provider source = {.read_callback = on_read};
    char timeout[HWS_GRPC_TIMEOUT_TEXT_BYTES];
    struct block b;
    uint8_t *scratch = NULL;

    b.n = 0;
    if (scratch_room(call, meta_room(meta), &scratch) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    put_fixed(&b, ":method", "POST");
    put(&b, ":scheme", cfg->scheme == NULL ? "https" : cfg->scheme);
    put(&b, ":path", call->path);
    put(&b, ":authority", cfg->authority == NULL ? "localhost" : cfg->authority);
    put_fixed(&b, "te", "trailers");
    put_fixed(&b, "content-type", "application/grpc");
    put(&b, "user-agent", cfg->user_agent == NULL ? "hawser-grpc-c/0.1" : cfg->user_agent);
    put_fixed(&b, "grpc-accept-encoding", HWS_GRPC_ACCEPT_ENCODING);
    if (call->compress != HWS_GRPC_IDENTITY) {
        put_fixed(&b, "grpc-encoding", hws_grpc_encoding_name(call->compress));
    }
    if (timeout_ms > 0) {
        (void)hws_grpc_timeout_print(timeout_ms, timeout);
        put(&b, "grpc-timeout", timeout);
    }
    put_meta(&b, meta, &scratch);
    int32_t stream_id = nghttp2_submit_request(call->conn->h2, NULL, b.nv, b.n, &source, call);
    if (stream_id < 0) {
        return code_of(stream_id);
    }
    call->stream_id = stream_id;
    return HWS_OK;
}
