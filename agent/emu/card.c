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
#include "common/log.h"

/* Event-driven, as a driver has it. */
static const struct hws_cmdq_config queue_config = {.events = true};

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
                                    .depth = depth_of(&card->store.profile),
                                    .pci = card->store.profile.pci_address,
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
            card->store.profile.pci_address, card->store.profile.serial,
            hws_log_q(&quoted, facts.reason));
}

/* Powers the model on with the parameters of its last life. */
static enum hws_code power_on(struct hws_card *card, uint64_t now_ms, struct hws_err *err)
{
    struct hws_emu_config config = {.nv_dirty = hws_card_store_write, .data = &card->store};
    struct hws_buf nv;
    enum hws_code code = hws_card_store_read(&card->store, &nv, err);

    if (code == HWS_OK) {
        code = hws_emu_port_init(&card->port, &card->store.profile, &config, hws_buf_peek(&nv),
                                 hws_buf_len(&nv), now_ms, err);
        if (code != HWS_OK) {
            (void)hws_err_wrap(err, "parameters %.120s", card->store.nv_path);
        }
    }
    hws_buf_deinit(&nv);
    return code;
}

enum hws_code hws_card_open(struct hws_card *card, const char *profile_path, const char *nv_dir,
                            struct hws_serve *serve, uint64_t now_ms, struct hws_err *err)
{
    struct hws_serve_facts facts;
    struct hws_log_q quoted;
    enum hws_code code;

    memset(card, 0, sizeof *card);
    code = hws_card_store_open(&card->store, profile_path, nv_dir, err);
    if (code != HWS_OK) {
        return code;
    }
    card->powered = power_on(card, now_ms, err) == HWS_OK;
    card->closed = !card->powered;
    facts = facts_of(card, card->powered ? "the card is starting" : err->msg);
    if (card->powered) {
        facts.state = HWS_LINK_ADAPTER_AWAY;
        hws_ctl_queue_init(&card->queue, &card->port.bar, &queue_config, state_changed, card);
    } else {
        hws_log("adapter_failed", "serial=%s reason=%s", card->store.profile.serial,
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
    hws_card_store_deinit(&card->store);
    memset(card, 0, sizeof *card);
}
