/*
 * CMD and DONE payloads.
 *
 *   CMD   adapter u16, row u16, scope u8, zero u8, warrant_bytes u16, deadline_ms u32, in_bytes
 * u32, out_cap u32, warrant, inbox bytes (none with FLAG_FD) DONE  code u8, stage u8,
 * delivery_status u8, fw_status u8, syndrome u32, out_bytes u32, msg text, outbox bytes (none with
 * FLAG_FD)
 */
#include "link/command.h"

#include <string.h>

#include "link/codec_priv.h"

#define MAX_SCOPE 3u

bool hws_link_needs_fd(uint32_t in_bytes, uint32_t out_cap)
{
    return in_bytes > HWS_LINK_INLINE_BYTES || out_cap > HWS_LINK_INLINE_BYTES;
}

void hws_link_done_err(const struct hws_link_done *done, struct hws_err *err)
{
    hws_err_clear(err);
    err->code = (enum hws_code)done->code;
    err->stage = (enum hws_stage)done->stage;
    err->delivery_status = done->delivery_status;
    err->exec_status = done->fw_status;
    err->syndrome = done->syndrome;
    (void)hws_str_copy_n(err->msg, sizeof err->msg, done->msg.bytes, done->msg.n);
}

void hws_link_done_from(struct hws_link_done *done, const struct hws_err *err)
{
    done->code = (uint8_t)err->code;
    done->stage = (uint8_t)err->stage;
    done->delivery_status = err->delivery_status;
    done->fw_status = err->exec_status;
    done->syndrome = err->syndrome;
    done->msg.bytes = (const uint8_t *)err->msg;
    done->msg.n = strnlen(err->msg, sizeof err->msg - 1);
}

static bool length_ok(uint32_t n)
{
    return n >= HWS_LINK_COMMAND_MIN && n <= HWS_LINK_COMMAND_BYTES;
}

static bool cmd_ok(const struct hws_link_cmd *c, bool with_fd)
{
    return c->adapter < HWS_LINK_MAX_ADAPTERS && c->scope <= MAX_SCOPE && c->deadline_ms >= 1 &&
           length_ok(c->in_bytes) && length_ok(c->out_cap) &&
           with_fd == hws_link_needs_fd(c->in_bytes, c->out_cap);
}

void hws_link__put_cmd(struct hws_link__writer *w, const struct hws_link_cmd *c, bool with_fd)
{
    hws_link__need(w, "adapter, scope, deadline or length", cmd_ok(c, with_fd));
    hws_link__need(w, "warrant", c->warrant.n <= HWS_LINK_WARRANT_BYTES);
    hws_link__need(w, "inbox", c->in.n == (with_fd ? 0 : c->in_bytes));
    hws_link__put_u16(w, c->adapter);
    hws_link__put_u16(w, c->row);
    hws_link__put_u8(w, c->scope);
    hws_link__put_u8(w, 0);
    hws_link__put_u16(w, (uint16_t)c->warrant.n);
    hws_link__put_u32(w, c->deadline_ms);
    hws_link__put_u32(w, c->in_bytes);
    hws_link__put_u32(w, c->out_cap);
    hws_link__put_raw(w, c->warrant);
    hws_link__put_raw(w, c->in);
}

void hws_link__get_cmd(struct hws_link__reader *r, struct hws_link_cmd *c, bool with_fd)
{
    uint16_t n_warrant;

    c->adapter = hws_link__get_u16(r, "adapter");
    c->row = hws_link__get_u16(r, "row");
    c->scope = hws_link__get_u8(r, "scope");
    hws_link__want(r, "reserved", hws_link__get_u8(r, "reserved") == 0);
    n_warrant = hws_link__get_u16(r, "warrant");
    hws_link__want(r, "warrant", n_warrant <= HWS_LINK_WARRANT_BYTES);
    c->deadline_ms = hws_link__get_u32(r, "deadline");
    c->in_bytes = hws_link__get_u32(r, "in_bytes");
    c->out_cap = hws_link__get_u32(r, "out_cap");
    hws_link__want(r, "adapter, scope, deadline or length", cmd_ok(c, with_fd));
    c->warrant = hws_link__get_raw(r, "warrant", n_warrant);
    c->in = hws_link__get_raw(r, "inbox", with_fd ? 0 : c->in_bytes);
}

static bool done_ok(const struct hws_link_done *d, bool in_fd)
{
    return d->code < HWS_N_CODES && d->stage < HWS_N_STAGES &&
           d->out_bytes <= HWS_LINK_COMMAND_BYTES &&
           (in_fd ? d->out_bytes > 0 : d->out_bytes <= HWS_LINK_INLINE_BYTES);
}

void hws_link__put_done(struct hws_link__writer *w, const struct hws_link_done *d, bool in_fd)
{
    hws_link__need(w, "code, stage or length", done_ok(d, in_fd));
    hws_link__need(w, "outbox", d->out.n == (in_fd ? 0 : d->out_bytes));
    hws_link__put_u8(w, d->code);
    hws_link__put_u8(w, d->stage);
    hws_link__put_u8(w, d->delivery_status);
    hws_link__put_u8(w, d->fw_status);
    hws_link__put_u32(w, d->syndrome);
    hws_link__put_u32(w, d->out_bytes);
    hws_link__put_text(w, "msg", d->msg, HWS_ERR_MSG_BYTES - 1, HWS_LINK__TEXT);
    hws_link__put_raw(w, d->out);
}

void hws_link__get_done(struct hws_link__reader *r, struct hws_link_done *d, bool in_fd)
{
    d->code = hws_link__get_u8(r, "code");
    d->stage = hws_link__get_u8(r, "stage");
    d->delivery_status = hws_link__get_u8(r, "delivery status");
    d->fw_status = hws_link__get_u8(r, "firmware status");
    d->syndrome = hws_link__get_u32(r, "syndrome");
    d->out_bytes = hws_link__get_u32(r, "out_bytes");
    hws_link__want(r, "code, stage or length", done_ok(d, in_fd));
    d->msg = hws_link__get_text(r, "msg", HWS_ERR_MSG_BYTES - 1, HWS_LINK__TEXT);
    d->out = hws_link__get_raw(r, "outbox", in_fd ? 0 : d->out_bytes);
}
