/*
 * Records: sealing, finding the next whole one, opening, and what is inside.
 *
 * Happy path of open: next_record -> unseal -> take_content -> data to the caller.
 * Failures: header or length out of bounds, a tag that does not fit, an inner type or handshake
 *   message that has no place here, the peer's alert; all but the last are told to the peer.
 */
#include "tls/records.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/* RFC 8446 5.1 and B.1, 6.2, 4. */
#define TYPE_ALERT               21u
#define TYPE_HANDSHAKE           22u
#define TYPE_DATA                23u
#define ALERT_WARNING            1u
#define ALERT_FATAL              2u
#define ALERT_CLOSE_NOTIFY       0u
#define ALERT_UNEXPECTED_MESSAGE 10u
#define ALERT_BAD_RECORD_MAC     20u
#define ALERT_RECORD_OVERFLOW    22u
#define ALERT_ILLEGAL_PARAMETER  47u
#define ALERT_DECODE_ERROR       50u
#define MESSAGE_NEW_TICKET       4u
#define MESSAGE_KEY_UPDATE       24u
#define MESSAGE_HEADER_BYTES     4u

#define HEADER_BYTES   5u
#define EXPLICIT_BYTES 8u /* TLS 1.2: the part of the nonce on the wire, RFC 5288 3 */
#define BLOCK_BYTES    16u

struct direction {
    struct hws_tls_aead aead;
    uint8_t secret[HWS_TLS_SECRET_MAX_BYTES]; /* TLS 1.3 */
    uint8_t iv[HWS_TLS_IV_BYTES];
    uint64_t seq;
    uint64_t n_blocks; /* under this key */
};

struct hws_tls_records {
    bool tls13;
    bool server;
    bool done;   /* the peer's close_notify came */
    bool failed; /* nothing more is opened */
    bool asked;  /* the peer was asked to change its keys */
    uint8_t n_key;
    enum hws_tls_aead_by by;
    enum hws_tls_hash hash;
    uint64_t soft_blocks;
    struct direction read;
    struct direction write;
    uint32_t n_idle; /* records in a row without data */
    uint8_t
        message[MESSAGE_HEADER_BYTES + 1]; /* head of a handshake message, and KeyUpdate's byte */
    uint8_t n_message;                     /* of it there */
    uint32_t n_skip;                       /* bytes of a ticket still to come */
    struct hws_buf partial;                /* the front of a record whose end has not come */
    struct hws_buf stash;                  /* data that the caller's buffer did not hold */
};

static void put_be64(uint8_t out[8], uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8) {
        out[i] = (uint8_t)v;
    }
}

static bool is_out_of(const struct direction *d, uint64_t soft_blocks)
{
    return d->n_blocks >= 2 * soft_blocks;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum hws_code take_keys(const struct hws_tls_records *r, struct direction *d,
                               const struct hws_tls_traffic *keys, bool seals, struct hws_err *err)
{
    enum hws_code rc = hws_tls_aead_set_key(&d->aead, r->by, keys->key, keys->n_key, seals, err);

    if (rc == HWS_OK) {
        memcpy(d->iv, keys->iv, sizeof(d->iv));
        d->n_blocks = 0;
    }
    return rc;
}

/* TLS 1.3: the keys of d's secret; the sequence begins again. */
static enum hws_code use_secret(struct hws_tls_records *r, struct direction *d, bool seals,
                                struct hws_err *err)
{
    struct hws_tls_traffic keys;
    enum hws_code rc = hws_tls_traffic13(r->hash, d->secret, r->n_key, &keys, err);

    if (rc == HWS_OK) {
        rc = take_keys(r, d, &keys, seals, err);
        d->seq = 0;
    }
    hws_mem_wipe(&keys, sizeof(keys));
    return rc;
}

static enum hws_code next_secret(struct hws_tls_records *r, struct direction *d, bool seals,
                                 struct hws_err *err)
{
    enum hws_code rc = hws_tls_secret_update(r->hash, d->secret, err);

    return rc == HWS_OK ? use_secret(r, d, seals, err) : rc;
}

enum hws_code hws_tls_records_new(const struct hws_tls_records_start *start,
                                  struct hws_tls_records **out, struct hws_err *err)
{
    struct hws_tls_records *r = hws_mem_zalloc(1, sizeof(*r));
    enum hws_code rc = HWS_OK;

    if (r == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "TLS records: out of memory");
    }
    r->tls13 = start->tls13;
    r->server = start->server;
    r->by = start->by;
    r->hash = start->hash;
    r->n_key = start->n_key;
    r->soft_blocks = start->soft_blocks == 0 ? HWS_TLS_RECORDS_SOFT : start->soft_blocks;
    hws_buf_init(&r->partial, 0);
    hws_buf_init(&r->stash, 0);
    if (start->tls13) {
        memcpy(r->read.secret, start->read_secret, sizeof(r->read.secret));
        memcpy(r->write.secret, start->write_secret, sizeof(r->write.secret));
        rc = use_secret(r, &r->read, false, err);
        rc = rc == HWS_OK ? use_secret(r, &r->write, true, err) : rc;
    } else {
        rc = take_keys(r, &r->read, &start->read, false, err);
        rc = rc == HWS_OK ? take_keys(r, &r->write, &start->write, true, err) : rc;
    }
    r->read.seq = start->seq;
    r->write.seq = start->seq;
    if (rc != HWS_OK) {
        hws_tls_records_free(r);
        return rc;
    }
    *out = r;
    return HWS_OK;
}

static void wipe_buf(struct hws_buf *b)
{
    if (b->bytes != NULL) {
        hws_mem_wipe(b->bytes, b->cap);
    }
    hws_buf_deinit(b);
}

void hws_tls_records_free(struct hws_tls_records *r)
{
    if (r == NULL) {
        return;
    }
    hws_tls_aead_deinit(&r->read.aead);
    hws_tls_aead_deinit(&r->write.aead);
    hws_buf_deinit(&r->partial);
    wipe_buf(&r->stash);
    hws_mem_free_secret(r, sizeof(*r));
}

const char *hws_tls_records_name(const struct hws_tls_records *r)
{
    return hws_tls_aead_name(r->by);
}

size_t hws_tls_records_holds(const struct hws_tls_records *r)
{
    return hws_buf_len(&r->partial) + hws_buf_len(&r->stash);
}

bool hws_tls_records_is_done(const struct hws_tls_records *r)
{
    return r->done;
}

bool hws_tls_records_is_worn(const struct hws_tls_records *r)
{
    return !r->tls13 && (r->read.n_blocks >= r->soft_blocks || r->write.n_blocks >= r->soft_blocks);
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* RFC 8446 5.3: the sequence number on top of the IV. */
static void nonce13(const struct direction *d, uint8_t nonce[HWS_TLS_NONCE_BYTES])
{
    uint8_t seq[8];

    put_be64(seq, d->seq);
    memcpy(nonce, d->iv, HWS_TLS_NONCE_BYTES);
    for (size_t i = 0; i < sizeof(seq); i++) {
        nonce[HWS_TLS_NONCE_BYTES - sizeof(seq) + i] ^= seq[i];
    }
}

/* RFC 5246 6.2.3.3. */
static void aad12(const struct direction *d, uint8_t type, size_t n, uint8_t aad[13])
{
    put_be64(aad, d->seq);
    aad[8] = type;
    aad[9] = 3;
    aad[10] = 3;
    aad[11] = (uint8_t)(n >> 8);
    aad[12] = (uint8_t)n;
}

/* What goes into a record: its spans, with room for TLS 1.3's type behind them. */
struct content {
    struct hws_span spans[HWS_TLS_RECORD_SPANS + 1];
    size_t n_spans;
    size_t n; /* bytes */
    uint8_t type;
};

static void add_span(struct content *c, const uint8_t *bytes, size_t n)
{
    if (n > 0) {
        c->spans[c->n_spans++] = (struct hws_span){bytes, n};
        c->n += n;
    }
}

static bool seal_bytes(struct hws_tls_records *r, struct content *c, uint8_t *to)
{
    struct direction *d = &r->write;
    uint8_t nonce[HWS_TLS_NONCE_BYTES];

    to[1] = 3;
    to[2] = 3;
    if (r->tls13) {
        add_span(c, &c->type, 1);
        size_t n = c->n + HWS_TLS_TAG_BYTES;
        to[0] = TYPE_DATA;
        to[3] = (uint8_t)(n >> 8);
        to[4] = (uint8_t)n;
        nonce13(d, nonce);
        return hws_tls_aead_seal(&d->aead, nonce, (struct hws_span){to, HEADER_BYTES}, c->spans,
                                 c->n_spans, to + HEADER_BYTES);
    }
    uint8_t aad[13];
    size_t n = EXPLICIT_BYTES + c->n + HWS_TLS_TAG_BYTES;
    to[0] = c->type;
    to[3] = (uint8_t)(n >> 8);
    to[4] = (uint8_t)n;
    put_be64(to + HEADER_BYTES, d->seq);
    memcpy(nonce, d->iv, HWS_TLS_SALT_BYTES);
    memcpy(nonce + HWS_TLS_SALT_BYTES, to + HEADER_BYTES, EXPLICIT_BYTES);
    aad12(d, c->type, c->n, aad);
    return hws_tls_aead_seal(&d->aead, nonce, (struct hws_span){aad, sizeof(aad)}, c->spans,
                             c->n_spans, to + HEADER_BYTES + EXPLICIT_BYTES);
}

/* One record of any type at the end of out. */
static enum hws_code seal_content(struct hws_tls_records *r, struct content *c, struct hws_buf *out,
                                  struct hws_err *err)
{
    size_t n = HEADER_BYTES + (r->tls13 ? 1 : EXPLICIT_BYTES) + c->n + HWS_TLS_TAG_BYTES;
    uint8_t *to = NULL;

    if (is_out_of(&r->write, r->soft_blocks)) {
        return hws_err_set(err, HWS_E_STATE, "TLS keys have sealed all they may");
    }
    enum hws_code rc = hws_buf_reserve(out, n, &to);
    if (rc != HWS_OK || !seal_bytes(r, c, to)) {
        return hws_err_set(err, HWS_E_NOMEM, "TLS record: out of memory");
    }
    hws_buf_commit(out, n);
    r->write.seq++;
    r->write.n_blocks += c->n / BLOCK_BYTES + 2;
    return HWS_OK;
}

static enum hws_code seal_record(struct hws_tls_records *r, uint8_t type, struct hws_span text,
                                 struct hws_buf *out, struct hws_err *err)
{
    struct content c = {.type = type};

    add_span(&c, text.bytes, text.n);
    return seal_content(r, &c, out, err);
}

/* Says that our writing keys change (and asks for the peer's to), then changes them. */
static enum hws_code send_key_update(struct hws_tls_records *r, bool ask, struct hws_buf *out,
                                     struct hws_err *err)
{
    const uint8_t message[] = {MESSAGE_KEY_UPDATE, 0, 0, 1, ask ? 1 : 0};
    struct hws_span text = {.bytes = message, .n = sizeof(message)};
    enum hws_code rc = seal_record(r, TYPE_HANDSHAKE, text, out, err);

    return rc == HWS_OK ? next_secret(r, &r->write, true, err) : rc;
}

enum hws_code hws_tls_records_seal(struct hws_tls_records *r, const struct hws_span *spans,
                                   size_t n_spans, struct hws_buf *out, size_t *out_taken,
                                   struct hws_err *err)
{
    struct content c = {.type = TYPE_DATA};
    enum hws_code rc = HWS_OK;

    for (size_t i = 0; i < n_spans && c.n_spans < HWS_TLS_RECORD_SPANS; i++) {
        size_t room = HWS_TLS_RECORD_MAX_BYTES - c.n;
        add_span(&c, spans[i].bytes, spans[i].n < room ? spans[i].n : room);
    }
    size_t take = c.n;
    if (r->tls13 && r->write.n_blocks >= r->soft_blocks) {
        rc = send_key_update(r, false, out, err);
    }
    if (rc == HWS_OK) {
        rc = seal_content(r, &c, out, err);
    }
    if (rc == HWS_OK) {
        *out_taken = take;
    }
    return rc;
}

enum hws_code hws_tls_records_close(struct hws_tls_records *r, struct hws_buf *out,
                                    struct hws_err *err)
{
    static const uint8_t alert[] = {ALERT_WARNING, ALERT_CLOSE_NOTIFY};

    return seal_record(r, TYPE_ALERT, (struct hws_span){alert, sizeof(alert)}, out, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Ends the connection with an alert for the peer; alert 0: none. */
static enum hws_code refuse(struct hws_tls_records *r, uint8_t alert, struct hws_buf *reply,
                            struct hws_err *err, const char *what)
{
    const uint8_t bytes[] = {ALERT_FATAL, alert};

    r->failed = true;
    if (alert != 0) { /* its own failure is of no interest any more */
        (void)seal_record(r, TYPE_ALERT, (struct hws_span){bytes, sizeof(bytes)}, reply, NULL);
    }
    return hws_err_set(err, HWS_E_PROTO, "TLS record: %s", what);
}

/* The bytes that follow a header, checked; 0 if no record may look so, and the alert that is due.
 */
static size_t body_bytes(const struct hws_tls_records *r, const uint8_t *header, uint8_t *alert)
{
    size_t n = (size_t)header[3] << 8 | header[4];
    size_t least = HWS_TLS_TAG_BYTES + (r->tls13 ? 1 : EXPLICIT_BYTES);
    size_t most = HWS_TLS_RECORD_MAX_BYTES + (r->tls13 ? 256 : HWS_TLS_TAG_BYTES + EXPLICIT_BYTES);
    bool type =
        r->tls13 ? header[0] == TYPE_DATA : header[0] >= TYPE_ALERT && header[0] <= TYPE_DATA;

    *alert = ALERT_UNEXPECTED_MESSAGE;
    if (!type || header[1] != 3 || header[2] != 3) {
        return 0;
    }
    *alert = n > most ? ALERT_RECORD_OVERFLOW : ALERT_BAD_RECORD_MAC; /* no room for a tag */
    return n >= least && n <= most ? n : 0;
}

/*
 * The next whole record, in place or put together in `partial`; out->n = 0 when its end has not
 * come. It stays where it is until drop_record.
 */
static enum hws_code next_record(struct hws_tls_records *r, struct hws_span *in,
                                 struct hws_span *out, struct hws_buf *reply, struct hws_err *err)
{
    out->n = 0;
    for (;;) {
        size_t have = hws_buf_len(&r->partial);
        const uint8_t *front = have > 0 ? hws_buf_peek(&r->partial) : in->bytes;
        size_t there = have > 0 ? have : in->n;
        size_t want = HEADER_BYTES;
        if (there >= HEADER_BYTES) {
            uint8_t alert = 0;
            size_t n = body_bytes(r, front, &alert);
            if (n == 0) {
                return refuse(r, alert, reply, err, "not one of this connection");
            }
            want += n;
        }
        if (there >= want && want > HEADER_BYTES) {
            *out = (struct hws_span){.bytes = front, .n = want};
            return HWS_OK;
        }
        size_t k = want - have < in->n ? want - have : in->n;
        if (k == 0) {
            return HWS_OK;
        }
        if (hws_buf_put(&r->partial, in->bytes, k) != HWS_OK) {
            r->failed = true;
            return hws_err_set(err, HWS_E_NOMEM, "TLS record: out of memory");
        }
        in->bytes += k;
        in->n -= k;
    }
}

static void drop_record(struct hws_tls_records *r, struct hws_span *in, size_t n)
{
    if (hws_buf_len(&r->partial) > 0) {
        hws_buf_deinit(&r->partial); /* an idle connection holds no buffer */
    } else {
        in->bytes += n;
        in->n -= n;
    }
}

/* Bytes of what is inside a record, TLS 1.3's type and padding included. */
static size_t content_bytes(const struct hws_tls_records *r, size_t n_record)
{
    return n_record - HEADER_BYTES - HWS_TLS_TAG_BYTES - (r->tls13 ? 0 : EXPLICIT_BYTES);
}

/* Decrypts a record to `to`; its content's type and length. */
static bool unseal(struct hws_tls_records *r, struct hws_span record, uint8_t *to,
                   uint8_t *out_type, size_t *out_n)
{
    struct direction *d = &r->read;
    uint8_t nonce[HWS_TLS_NONCE_BYTES];
    size_t n = content_bytes(r, record.n);
    bool ok = false;

    if (r->tls13) {
        nonce13(d, nonce);
        ok = hws_tls_aead_open(
            &d->aead, nonce, (struct hws_span){record.bytes, HEADER_BYTES},
            (struct hws_span){record.bytes + HEADER_BYTES, record.n - HEADER_BYTES}, to);
        while (ok && n > 0 && to[n - 1] == 0) { /* padding */
            n--;
        }
        *out_type = ok && n > 0 ? to[n - 1] : 0;
        n = n > 0 ? n - 1 : 0;
    } else {
        uint8_t aad[13];
        size_t head = HEADER_BYTES + EXPLICIT_BYTES;
        memcpy(nonce, d->iv, HWS_TLS_SALT_BYTES);
        memcpy(nonce + HWS_TLS_SALT_BYTES, record.bytes + HEADER_BYTES, EXPLICIT_BYTES);
        aad12(d, record.bytes[0], n, aad);
        ok = hws_tls_aead_open(&d->aead, nonce, (struct hws_span){aad, sizeof(aad)},
                               (struct hws_span){record.bytes + head, record.n - head}, to);
        *out_type = record.bytes[0];
    }
    d->seq++;
    d->n_blocks += content_bytes(r, record.n) / BLOCK_BYTES + 2;
    *out_n = n;
    return ok;
}

static enum hws_code take_alert(struct hws_tls_records *r, const uint8_t *bytes, size_t n,
                                struct hws_buf *reply, struct hws_err *err)
{
    if (n != 2) {
        return refuse(r, ALERT_DECODE_ERROR, reply, err, "an alert of a wrong length");
    }
    if (bytes[1] == ALERT_CLOSE_NOTIFY) {
        r->done = true;
        return HWS_OK;
    }
    r->failed = true;
    return hws_err_set(err, HWS_E_GONE, "the peer ended TLS with alert %u", bytes[1]);
}

static enum hws_code take_key_update(struct hws_tls_records *r, uint8_t request,
                                     struct hws_buf *reply, struct hws_err *err)
{
    if (request > 1) {
        return refuse(r, ALERT_ILLEGAL_PARAMETER, reply, err, "a KeyUpdate of an unknown kind");
    }
    enum hws_code rc = next_secret(r, &r->read, false, err);
    r->asked = false;
    if (rc == HWS_OK && request == 1) {
        rc = send_key_update(r, false, reply, err);
    }
    r->failed = rc != HWS_OK;
    return rc;
}

/* Handshake messages after the handshake, in pieces as records cut them. */
static enum hws_code take_messages(struct hws_tls_records *r, const uint8_t *bytes, size_t n,
                                   struct hws_buf *reply, struct hws_err *err)
{
    if (!r->tls13) {
        return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "a handshake after the handshake");
    }
    if (n == 0) {
        return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "an empty handshake record");
    }
    while (n > 0) {
        if (r->n_skip > 0) { /* a ticket: not ours to keep */
            size_t k = n < r->n_skip ? n : r->n_skip;
            r->n_skip -= (uint32_t)k;
            bytes += k;
            n -= k;
            continue;
        }
        r->message[r->n_message++] = *bytes++;
        n--;
        if (r->n_message < MESSAGE_HEADER_BYTES) {
            continue;
        }
        size_t body = (size_t)r->message[1] << 16 | (size_t)r->message[2] << 8 | r->message[3];
        if (r->message[0] == MESSAGE_NEW_TICKET && !r->server && body > 0 &&
            body <= HWS_TLS_TICKET_MAX_BYTES) {
            r->n_skip = (uint32_t)body;
            r->n_message = 0;
        } else if (r->message[0] == MESSAGE_KEY_UPDATE && body != 1) {
            return refuse(r, ALERT_DECODE_ERROR, reply, err, "a KeyUpdate of a wrong length");
        } else if (r->message[0] != MESSAGE_KEY_UPDATE) {
            return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "a message with no place here");
        } else if (r->n_message == sizeof(r->message)) {
            r->n_message = 0;
            if (n > 0) { /* RFC 8446 5.1: a key change ends its record */
                return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "bytes after a KeyUpdate");
            }
            return take_key_update(r, r->message[MESSAGE_HEADER_BYTES], reply, err);
        }
    }
    return HWS_OK;
}

/* What was inside a record; *out_data = n if it is for the caller. */
static enum hws_code take_content(struct hws_tls_records *r, uint8_t type, const uint8_t *bytes,
                                  size_t n, size_t *out_data, struct hws_buf *reply,
                                  struct hws_err *err)
{
    if (n > HWS_TLS_RECORD_MAX_BYTES) {
        return refuse(r, ALERT_RECORD_OVERFLOW, reply, err, "too long");
    }
    if (type != TYPE_HANDSHAKE && (r->n_message > 0 || r->n_skip > 0)) {
        return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "inside a handshake message");
    }
    if (type == TYPE_ALERT) {
        return take_alert(r, bytes, n, reply, err);
    }
    r->n_idle = type == TYPE_DATA && n > 0 ? 0 : r->n_idle + 1;
    if (r->n_idle > HWS_TLS_RECORDS_MAX_IDLE) {
        return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "too many in a row without data");
    }
    if (type == TYPE_HANDSHAKE) {
        return take_messages(r, bytes, n, reply, err);
    }
    if (type != TYPE_DATA) {
        return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "of an unknown type");
    }
    *out_data = n;
    return HWS_OK;
}

/* Opens one record to `to`, which holds content_bytes of it. */
static enum hws_code open_record(struct hws_tls_records *r, struct hws_span record, uint8_t *to,
                                 size_t *out_data, struct hws_buf *reply, struct hws_err *err)
{
    uint8_t type = 0;
    size_t n = 0;

    if (is_out_of(&r->read, r->soft_blocks)) {
        return refuse(r, ALERT_UNEXPECTED_MESSAGE, reply, err, "sealed with keys that are used up");
    }
    if (!unseal(r, record, to, &type, &n)) {
        return refuse(r, ALERT_BAD_RECORD_MAC, reply, err, "forged or damaged");
    }
    enum hws_code rc = take_content(r, type, to, n, out_data, reply, err);
    if (rc == HWS_OK && r->tls13 && !r->asked && r->read.n_blocks >= r->soft_blocks) {
        r->asked = true;
        rc = send_key_update(r, true, reply, err);
        r->failed = rc != HWS_OK;
    }
    return rc;
}

static size_t take_stash(struct hws_tls_records *r, uint8_t *out, size_t cap)
{
    size_t n = hws_buf_len(&r->stash) < cap ? hws_buf_len(&r->stash) : cap;

    if (n > 0) {
        memcpy(out, hws_buf_peek(&r->stash), n);
        hws_buf_take(&r->stash, n);
    }
    if (hws_buf_len(&r->stash) == 0) {
        wipe_buf(&r->stash);
    }
    return n;
}

/* A record that the caller's buffer is too small for, opened aside. */
static enum hws_code open_aside(struct hws_tls_records *r, struct hws_span record,
                                struct hws_buf *reply, struct hws_err *err)
{
    uint8_t *to = NULL;
    size_t data = 0;

    if (hws_buf_reserve(&r->stash, content_bytes(r, record.n), &to) != HWS_OK) {
        r->failed = true;
        return hws_err_set(err, HWS_E_NOMEM, "TLS record: out of memory");
    }
    enum hws_code rc = open_record(r, record, to, &data, reply, err);
    hws_buf_commit(&r->stash, rc == HWS_OK ? data : 0);
    return rc;
}

enum hws_code hws_tls_records_open(struct hws_tls_records *r, struct hws_span *in, uint8_t *out,
                                   size_t cap, size_t *out_n, struct hws_buf *reply,
                                   struct hws_err *err)
{
    size_t n = take_stash(r, out, cap);

    while (n < cap && !r->done) {
        struct hws_span record;
        size_t data = 0;
        if (r->failed) {
            return hws_err_set(err, HWS_E_STATE, "TLS records have failed before");
        }
        enum hws_code rc = next_record(r, in, &record, reply, err);
        if (rc != HWS_OK || record.n == 0) {
            if (rc != HWS_OK) {
                return rc;
            }
            break;
        }
        if (content_bytes(r, record.n) > cap - n) {
            if (n > 0) {
                break; /* it fits next time, or goes aside */
            }
            rc = open_aside(r, record, reply, err);
            data = rc == HWS_OK ? take_stash(r, out, cap) : 0;
        } else {
            rc = open_record(r, record, out + n, &data, reply, err);
        }
        drop_record(r, in, record.n);
        if (rc != HWS_OK) {
            return rc;
        }
        n += data;
    }
    *out_n = n;
    return HWS_OK;
}
