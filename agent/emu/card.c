/*
 * One emulated adapter; see card.h.
 *
 * Power-on: profile -> parameters of the last life -> model -> queue -> announced as AWAY; UP when
 * the queue has brought the card up. Failure modes: a bad profile stops the program before it
 * serves; a parameter file that is torn, or another card's, makes this card FAILED and leaves the
 * others alone.
 */
#include "card.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"

static uint16_t depth_of(const struct hws_emu_profile *profile)
{
    unsigned depth = (1u << profile->log_queue_size) - 1; /* the last slot is for pages */

    return (uint16_t)(depth < HWS_LINK_MAX_DEPTH ? depth : HWS_LINK_MAX_DEPTH);
}

static struct hws_serve_facts facts_of(const struct hws_card *card, const char *reason)
{
    return (struct hws_serve_facts){.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_FAILED,
                                    .emulated = true,
                                    .depth = depth_of(&card->profile),
                                    .pci = card->profile.pci_address,
                                    .node = "",
                                    .backend = "queue",
                                    .reason = reason};
}

/* UP came or went: tell the keeper. */
static void state_changed(struct hws_ctl_queue *queue)
{
    struct hws_card *card = queue->ctl.data;
    bool up = hws_ctl_queue_is_up(queue);
    struct hws_serve_facts facts = facts_of(card, up ? "" : queue->why.msg);
    struct hws_log_q quoted;

    facts.state = up ? HWS_LINK_ADAPTER_UP : HWS_LINK_ADAPTER_AWAY;
    hws_serve_update(card->adapter, up ? &queue->ctl : NULL, &facts);
    hws_log(up ? "adapter_up" : "adapter_away", "pci=%s serial=%s reason=%s",
            card->profile.pci_address, card->profile.serial, hws_log_q(&quoted, facts.reason));
}

static enum hws_code nv_dirty(void *data, const uint8_t *bytes, size_t n)
{
    struct hws_card *card = data;
    struct hws_log_q quoted;
    struct hws_err err;
    enum hws_code code = hws_file_replace(card->nv_path, bytes, n, &err);

    if (code != HWS_OK) {
        hws_log("nv_write_failed", "serial=%s reason=%s", card->profile.serial,
                hws_log_q(&quoted, err.msg));
    }
    return code;
}

/* The serial number becomes a file name: letters, digits, '-' and '_' only. */
static bool name_ok(const char *serial)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return serial[0] != 0 && strspn(serial, allowed) == strlen(serial);
}

static enum hws_code read_profile(struct hws_card *card, const char *path, struct hws_err *err)
{
    struct hws_buf text;
    enum hws_code code;

    hws_buf_init(&text, 0);
    code = hws_file_read(path, HWS_EMU_PROFILE_MAX_BYTES, &text, err);
    if (code == HWS_OK) {
        code = hws_emu_profile_parse((const char *)hws_buf_peek(&text), hws_buf_len(&text),
                                     &card->profile, err);
    }
    hws_buf_deinit(&text);
    if (code == HWS_OK && !name_ok(card->profile.serial)) {
        code = hws_err_set(err, HWS_E_INVALID, "serial \"%s\": letters, digits, - and _ only",
                           card->profile.serial);
        hws_emu_profile_deinit(&card->profile);
    }
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "profile %.120s", path);
    }
    return code;
}

/* Powers the model on with the parameters of its last life. */
static enum hws_code power_on(struct hws_card *card, uint64_t now_ms, struct hws_err *err)
{
    struct hws_emu_config config = {.nv_dirty = nv_dirty, .data = card};
    struct hws_buf nv;
    enum hws_code code;

    hws_buf_init(&nv, 0);
    code = hws_file_read(card->nv_path, HWS_EMU_NV_MAX_BYTES, &nv, err);
    if (code == HWS_OK || code == HWS_E_NOT_FOUND) { /* not found: a new card */
        const uint8_t *bytes = code == HWS_OK ? hws_buf_peek(&nv) : NULL;

        code = hws_emu_port_init(&card->port, &card->profile, &config, bytes, hws_buf_len(&nv),
                                 now_ms, err);
    }
    hws_buf_deinit(&nv);
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "parameters %.120s", card->nv_path);
    }
    return code;
}

enum hws_code hws_card_open(struct hws_card *card, const char *profile_path, const char *nv_dir,
                            struct hws_serve *serve, uint64_t now_ms, struct hws_err *err)
{
    struct hws_serve_facts facts;
    struct hws_log_q quoted;
    enum hws_code code;

    memset(card, 0, sizeof *card);
    code = read_profile(card, profile_path, err);
    if (code != HWS_OK) {
        return code;
    }
    if (!hws_str_print(card->nv_path, sizeof card->nv_path, "%s/%s.nv", nv_dir,
                       card->profile.serial)) {
        hws_emu_profile_deinit(&card->profile);
        return hws_err_set(err, HWS_E_INVALID, "%.120s: path too long", nv_dir);
    }
    card->powered = power_on(card, now_ms, err) == HWS_OK;
    card->closed = !card->powered;
    facts = facts_of(card, card->powered ? "the card is starting" : err->msg);
    if (card->powered) {
        facts.state = HWS_LINK_ADAPTER_AWAY;
        hws_ctl_queue_init(&card->queue, &card->port.bar, NULL, state_changed, card);
    } else {
        hws_log("adapter_failed", "serial=%s reason=%s", card->profile.serial,
                hws_log_q(&quoted, err->msg));
    }
    return hws_serve_add(serve, NULL, &facts, &card->adapter, err);
}

uint64_t hws_card_turn(struct hws_card *card, uint64_t now_ms)
{
    return card->powered && !card->closed ? card->queue.ctl.ops->turn(&card->queue.ctl, now_ms)
                                          : UINT64_MAX;
}

static void queue_closed(struct hws_ctl *ctl)
{
    struct hws_card *card = ctl->data;

    card->closed = true;
}

void hws_card_close(struct hws_card *card)
{
    if (card->powered && !card->closed) {
        struct hws_serve_facts facts = facts_of(card, "the device process is stopping");

        facts.state = HWS_LINK_ADAPTER_AWAY;
        hws_serve_update(card->adapter, NULL, &facts);
        card->queue.ctl.ops->close(&card->queue.ctl, queue_closed);
    }
}

void hws_card_deinit(struct hws_card *card)
{
    if (card->powered) {
        hws_ctl_queue_deinit(&card->queue);
        hws_emu_port_deinit(&card->port);
    }
    hws_emu_profile_deinit(&card->profile);
    memset(card, 0, sizeof *card);
}
