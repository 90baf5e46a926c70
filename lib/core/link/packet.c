/*
 * The packet codec: the header, the small payloads, and the dispatch to the larger ones.
 *
 * Decoding: header (type known, flags allowed for the type, reserved zero, length exact, id present
 * exactly where it belongs), then the payload, then "nothing left over". Any of these that fails is
 * HWS_E_PROTO with the field's name; nothing is repaired.
 *
 *   CALL     method u16, transport u8, zero u8, deadline_ms u64, principal text, serial text,
 *            sha256 text, peer text
 *   CREDIT   n u32          STATUS  code u8, message text, details text
 *   CANCEL   code u8
 *   MSG, STATS              the rest of the packet
 *   RELOADED state u8, ends_s u64, text
 *   HALF_CLOSE, DRAIN, RELOAD, CANCEL_CMD  no payload
 */
#include "link/packet.h"

#include <string.h>

#include "base/bits.h"
#include "link/codec_priv.h"
#include "link/methods.h"

#define MAX_GRPC_CODE 16u

struct type_row {
    const char *name;
    uint8_t flags; /* that it may carry */
    bool has_id;
};

static const struct type_row types[] = {
    [HWS_LINK_HELLO] = {"HELLO", 0, false},
    [HWS_LINK_CALL] = {"CALL", 0, true},
    [HWS_LINK_MSG] = {"MSG", HWS_LINK_FLAG_MORE, true},
    [HWS_LINK_HALF_CLOSE] = {"HALF_CLOSE", 0, true},
    [HWS_LINK_CANCEL] = {"CANCEL", 0, true},
    [HWS_LINK_CREDIT] = {"CREDIT", 0, true},
    [HWS_LINK_STATUS] = {"STATUS", 0, true},
    [HWS_LINK_DRAIN] = {"DRAIN", 0, false},
    [HWS_LINK_STATS] = {"STATS", 0, false},
    [HWS_LINK_RELOAD] = {"RELOAD", 0, true},
    [HWS_LINK_RELOADED] = {"RELOADED", 0, true},
    [HWS_LINK_ADAPTER] = {"ADAPTER", 0, false},
    [HWS_LINK_CMD] = {"CMD", HWS_LINK_FLAG_FD, true},
    [HWS_LINK_DONE] = {"DONE", HWS_LINK_FLAG_FD, true},
    [HWS_LINK_CANCEL_CMD] = {"CANCEL_CMD", 0, true},
    [HWS_LINK_KILLS] = {"KILLS", 0, false},
};

static const struct type_row *type_row(uint8_t type)
{
    return type < sizeof types / sizeof types[0] && types[type].name != NULL ? &types[type] : NULL;
}

const char *hws_link_type_name(uint8_t type)
{
    const struct type_row *row = type_row(type);

    return row != NULL ? row->name : "?";
}

struct hws_span hws_link_text(const char *s)
{
    return (struct hws_span){(const uint8_t *)s, s != NULL ? strlen(s) : 0};
}

static bool call_ok(const struct hws_link_call_open *c)
{
    return c->method < HWS_N_METHODS && c->transport > HWS_LINK_TRANSPORT_NONE &&
           c->transport < HWS_LINK_N_TRANSPORTS;
}

static bool sha256_ok(struct hws_span s)
{
    return s.n == 0 || s.n == HWS_LINK_SHA256_BYTES;
}

static void put_call(struct hws_link__writer *w, const struct hws_link_call_open *c)
{
    hws_link__need(w, "method or transport", call_ok(c));
    hws_link__need(w, "principal", c->principal.n > 0);
    hws_link__need(w, "sha256", sha256_ok(c->sha256));
    hws_link__put_u16(w, c->method);
    hws_link__put_u8(w, c->transport);
    hws_link__put_u8(w, 0);
    hws_link__put_u64(w, c->deadline_ms);
    hws_link__put_text(w, "principal", c->principal, HWS_LINK_PRINCIPAL_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "serial", c->serial, HWS_LINK_SERIAL_BYTES, HWS_LINK__TOKEN);
    hws_link__put_text(w, "sha256", c->sha256, HWS_LINK_SHA256_BYTES, HWS_LINK__BYTES);
    hws_link__put_text(w, "peer", c->peer, HWS_LINK_PEER_BYTES, HWS_LINK__TOKEN);
}

static void get_call(struct hws_link__reader *r, struct hws_link_call_open *c)
{
    c->method = hws_link__get_u16(r, "method");
    c->transport = hws_link__get_u8(r, "transport");
    hws_link__want(r, "method or transport", call_ok(c));
    hws_link__want(r, "reserved", hws_link__get_u8(r, "reserved") == 0);
    c->deadline_ms = hws_link__get_u64(r, "deadline");
    c->principal = hws_link__get_text(r, "principal", HWS_LINK_PRINCIPAL_BYTES, HWS_LINK__TOKEN);
    hws_link__want(r, "principal", c->principal.n > 0);
    c->serial = hws_link__get_text(r, "serial", HWS_LINK_SERIAL_BYTES, HWS_LINK__TOKEN);
    c->sha256 = hws_link__get_text(r, "sha256", HWS_LINK_SHA256_BYTES, HWS_LINK__BYTES);
    hws_link__want(r, "sha256", sha256_ok(c->sha256));
    c->peer = hws_link__get_text(r, "peer", HWS_LINK_PEER_BYTES, HWS_LINK__TOKEN);
}

static void put_status(struct hws_link__writer *w, const struct hws_link_status *s)
{
    hws_link__need(w, "code", s->code <= MAX_GRPC_CODE);
    hws_link__put_u8(w, s->code);
    hws_link__put_text(w, "message", s->message, HWS_LINK_MESSAGE_BYTES, HWS_LINK__TEXT);
    hws_link__put_text(w, "details", s->details, HWS_LINK_DETAILS_BYTES, HWS_LINK__BYTES);
}

static void get_status(struct hws_link__reader *r, struct hws_link_status *s)
{
    s->code = hws_link__get_u8(r, "code");
    hws_link__want(r, "code", s->code <= MAX_GRPC_CODE);
    s->message = hws_link__get_text(r, "message", HWS_LINK_MESSAGE_BYTES, HWS_LINK__TEXT);
    s->details = hws_link__get_text(r, "details", HWS_LINK_DETAILS_BYTES, HWS_LINK__BYTES);
}

static void put_reloaded(struct hws_link__writer *w, const struct hws_link_reloaded *r)
{
    hws_link__need(w, "state", r->state < HWS_LINK_N_RELOADED);
    hws_link__put_u8(w, r->state);
    hws_link__put_u64(w, r->ends_s);
    hws_link__put_text(w, "text", r->text, HWS_LINK_MESSAGE_BYTES, HWS_LINK__TEXT);
}

static void get_reloaded(struct hws_link__reader *r, struct hws_link_reloaded *out)
{
    out->state = hws_link__get_u8(r, "state");
    hws_link__want(r, "state", out->state < HWS_LINK_N_RELOADED);
    out->ends_s = hws_link__get_u64(r, "ends");
    out->text = hws_link__get_text(r, "text", HWS_LINK_MESSAGE_BYTES, HWS_LINK__TEXT);
}

/* An unfinished message must make progress, or a peer could keep us busy for nothing. */
static bool fragment_ok(const struct hws_link_packet *p)
{
    return (p->flags & HWS_LINK_FLAG_MORE) == 0 || p->u.msg.n > 0;
}

static bool credit_ok(uint32_t n)
{
    return n >= 1 && n <= HWS_LINK_MAX_CREDIT;
}

static bool cancel_ok(uint8_t code)
{
    return code >= 1 && code <= MAX_GRPC_CODE;
}

static void put_payload(struct hws_link__writer *w, const struct hws_link_packet *p)
{
    bool fd = (p->flags & HWS_LINK_FLAG_FD) != 0;

    switch ((enum hws_link_type)p->type) {
    case HWS_LINK_HELLO:
        hws_link__put_hello(w, &p->u.hello);
        break;
    case HWS_LINK_CALL:
        put_call(w, &p->u.call);
        break;
    case HWS_LINK_MSG:
        hws_link__need(w, "fragment", fragment_ok(p));
        hws_link__put_raw(w, p->u.msg);
        break;
    case HWS_LINK_CREDIT:
        hws_link__need(w, "credit", credit_ok(p->u.credit));
        hws_link__put_u32(w, p->u.credit);
        break;
    case HWS_LINK_STATUS:
        put_status(w, &p->u.status);
        break;
    case HWS_LINK_CANCEL:
        hws_link__need(w, "code", cancel_ok(p->u.cancel));
        hws_link__put_u8(w, p->u.cancel);
        break;
    case HWS_LINK_STATS:
        hws_link__need(w, "stats", hws_link__text_ok(p->u.stats, HWS_LINK__TEXT));
        hws_link__put_raw(w, p->u.stats);
        break;
    case HWS_LINK_RELOADED:
        put_reloaded(w, &p->u.reloaded);
        break;
    case HWS_LINK_ADAPTER:
        hws_link__put_adapter(w, &p->u.adapter);
        break;
    case HWS_LINK_CMD:
        hws_link__put_cmd(w, &p->u.cmd, fd);
        break;
    case HWS_LINK_DONE:
        hws_link__put_done(w, &p->u.done, fd);
        break;
    case HWS_LINK_KILLS:
        hws_link__put_kills(w, &p->u.kills);
        break;
    case HWS_LINK_HALF_CLOSE:
    case HWS_LINK_DRAIN:
    case HWS_LINK_RELOAD:
    case HWS_LINK_CANCEL_CMD:
    default:
        break;
    }
}

static void get_payload(struct hws_link__reader *r, struct hws_link_packet *p)
{
    bool fd = (p->flags & HWS_LINK_FLAG_FD) != 0;

    switch ((enum hws_link_type)p->type) {
    case HWS_LINK_HELLO:
        hws_link__get_hello(r, &p->u.hello);
        break;
    case HWS_LINK_CALL:
        get_call(r, &p->u.call);
        break;
    case HWS_LINK_MSG:
        p->u.msg = hws_link__get_rest(r);
        hws_link__want(r, "fragment", fragment_ok(p));
        break;
    case HWS_LINK_CREDIT:
        p->u.credit = hws_link__get_u32(r, "credit");
        hws_link__want(r, "credit", credit_ok(p->u.credit));
        break;
    case HWS_LINK_STATUS:
        get_status(r, &p->u.status);
        break;
    case HWS_LINK_CANCEL:
        p->u.cancel = hws_link__get_u8(r, "code");
        hws_link__want(r, "code", cancel_ok(p->u.cancel));
        break;
    case HWS_LINK_STATS:
        p->u.stats = hws_link__get_rest(r);
        hws_link__want(r, "stats", hws_link__text_ok(p->u.stats, HWS_LINK__TEXT));
        break;
    case HWS_LINK_RELOADED:
        get_reloaded(r, &p->u.reloaded);
        break;
    case HWS_LINK_ADAPTER:
        hws_link__get_adapter(r, &p->u.adapter);
        break;
    case HWS_LINK_CMD:
        hws_link__get_cmd(r, &p->u.cmd, fd);
        break;
    case HWS_LINK_DONE:
        hws_link__get_done(r, &p->u.done, fd);
        break;
    case HWS_LINK_KILLS:
        hws_link__get_kills(r, &p->u.kills);
        break;
    case HWS_LINK_HALF_CLOSE:
    case HWS_LINK_DRAIN:
    case HWS_LINK_RELOAD:
    case HWS_LINK_CANCEL_CMD:
    default:
        break;
    }
}

static bool header_ok(const struct type_row *row, uint8_t flags, uint64_t id)
{
    return (flags & (uint8_t)~row->flags) == 0 && (id != 0) == row->has_id;
}

enum hws_code hws_link_encode(const struct hws_link_packet *packet, uint8_t *out, size_t cap,
                              size_t *out_bytes, struct hws_err *err)
{
    const struct type_row *row = type_row(packet->type);
    struct hws_link__writer w = {.bytes = out,
                                 .cap = cap < HWS_LINK_MAX_BYTES ? cap : HWS_LINK_MAX_BYTES};

    if (row == NULL || !header_ok(row, packet->flags, packet->id)) {
        return hws_err_set(err, HWS_E_INVALID, "link packet: type %u with flags 0x%02x and id %s",
                           packet->type, packet->flags, packet->id != 0 ? "set" : "zero");
    }
    hws_link__put_u8(&w, packet->type);
    hws_link__put_u8(&w, packet->flags);
    hws_link__put_u16(&w, 0);
    hws_link__put_u32(&w, 0);
    hws_link__put_u64(&w, packet->id);
    put_payload(&w, packet);
    if (w.bad != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "link packet %s: %s out of range", row->name, w.bad);
    }
    if (w.full) {
        return hws_err_set(err, HWS_E_BUSY, "link packet %s: longer than %zu bytes", row->name,
                           w.cap);
    }
    hws_store_be32(out + 4, (uint32_t)(w.n - HWS_LINK_HEADER_BYTES));
    *out_bytes = w.n;
    return HWS_OK;
}

enum hws_code hws_link_decode(const uint8_t *bytes, size_t n, struct hws_link_packet *packet,
                              struct hws_err *err)
{
    struct hws_link_packet p;
    struct hws_link__reader r = {.bytes = bytes, .n = n, .at = HWS_LINK_HEADER_BYTES};
    const struct type_row *row;

    if (n < HWS_LINK_HEADER_BYTES || n > HWS_LINK_MAX_BYTES) {
        return hws_err_set(err, HWS_E_PROTO, "link packet of %zu bytes", n);
    }
    memset(&p, 0, sizeof p);
    p.type = bytes[0];
    p.flags = bytes[1];
    p.id = hws_load_be64(bytes + 8);
    row = type_row(p.type);
    if (row == NULL) {
        return hws_err_set(err, HWS_E_PROTO, "link packet of unknown type %u", p.type);
    }
    if (!header_ok(row, p.flags, p.id) || hws_load_be16(bytes + 2) != 0 ||
        hws_load_be32(bytes + 4) != n - HWS_LINK_HEADER_BYTES) {
        return hws_err_set(err, HWS_E_PROTO, "link packet %s: bad header", row->name);
    }
    get_payload(&r, &p);
    if (r.bad != NULL) {
        return hws_err_set(err, HWS_E_PROTO, "link packet %s: bad %s", row->name, r.bad);
    }
    if (r.at != n) {
        return hws_err_set(err, HWS_E_PROTO, "link packet %s: %zu bytes left over", row->name,
                           n - r.at);
    }
    *packet = p;
    return HWS_OK;
}
