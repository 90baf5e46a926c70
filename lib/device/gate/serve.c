/*
 * Serving the keeper; see serve.h.
 *
 * A command, when all goes well:
 *   1. CMD is decoded and finds a free slot of its adapter.
 *   2. The inbox is copied into the slot's own memory.
 *   3. The gate judges that copy; its row must not be killed; a dangerous one needs the program's
 *      authorization as well.
 *   4. The control channel runs it; its callback marks the slot ANSWER.
 *   5. turn sends DONE, with the outbox inside or in the memory file, and frees the slot. That
 *      something of it is still stuck below is announced with the adapter, before DONE.
 * What can go wrong:
 *   - the gate refuses, the row is killed, the kills are not told yet, the adapter is away, memory
 *     is short: DONE with NOT_SENT, at once
 *   - the socket is full: the slot stays ANSWER and the next turn tries again
 *   - the connection breaks: RUNNING slots go on, ANSWER slots are freed
 *   - a packet breaks the protocol: HWS_E_PROTO, the program drops the connection
 */
#include "gate/serve.h"

#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "gate/gate.h"
#include "gate/serve_priv.h"
#include "table/table.h"

static const uint32_t moves[] = {
    [HWS_SERVE_FREE] = HWS_FSM_TO(HWS_SERVE_RUNNING) | HWS_FSM_TO(HWS_SERVE_ANSWER),
    [HWS_SERVE_RUNNING] = HWS_FSM_TO(HWS_SERVE_ANSWER) | HWS_FSM_TO(HWS_SERVE_FREE),
    [HWS_SERVE_ANSWER] = HWS_FSM_TO(HWS_SERVE_FREE),
};

void hws_serve_init(struct hws_serve *s, const struct hws_serve_io *io, const char *name,
                    const char *build, uint64_t generation, uint32_t pid)
{
    memset(s, 0, sizeof *s);
    s->io = *io;
    s->name = name;
    s->build = build;
    s->generation = generation;
    s->pid = pid;
}

void hws_serve__slot_free(struct hws_serve_slot *slot)
{
    struct hws_serve *s = slot->adapter->serve;

    if (slot->fd >= 0) {
        s->io.fd_close(s->io.data, slot->fd);
        slot->fd = -1;
    }
    if (slot->in_cap > HWS_SERVE_KEEP_BYTES) {
        hws_mem_free(slot->in);
        slot->in = NULL;
        slot->in_cap = 0;
    }
    if (slot->out_cap > HWS_SERVE_KEEP_BYTES) {
        hws_mem_free(slot->out);
        slot->out = NULL;
        slot->out_cap = 0;
    }
    slot->id = 0;
    hws_fsm_move(moves, &slot->state, HWS_SERVE_FREE);
}

void hws_serve_deinit(struct hws_serve *s)
{
    for (size_t i = 0; i < s->n_adapters; i++) {
        struct hws_serve_adapter *a = s->adapters[i];

        for (size_t k = 0; k < a->depth; k++) {
            hws_assert(a->slots[k].state != HWS_SERVE_RUNNING);
            if (a->slots[k].state == HWS_SERVE_ANSWER) {
                hws_serve__slot_free(&a->slots[k]);
            }
            hws_mem_free(a->slots[k].in);
            hws_mem_free(a->slots[k].out);
        }
        hws_gate_kills_deinit(&a->kills);
        hws_mem_free(a);
    }
    memset(s, 0, sizeof *s);
}

/* Copies a name that goes into a packet: what is not printable ASCII becomes '_'. */
static void copy_token(char *dst, size_t cap, const char *src, const char *if_empty)
{
    (void)hws_str_copy(dst, cap, src[0] != 0 ? src : if_empty);
    for (char *c = dst; *c != 0; c++) {
        if (*c <= 0x20 || *c >= 0x7f) {
            *c = '_';
        }
    }
}

static void set_facts(struct hws_serve_adapter *a, struct hws_ctl *ctl,
                      const struct hws_serve_facts *facts)
{
    hws_assert((facts->state == HWS_LINK_ADAPTER_UP) == (ctl != NULL));
    a->ctl = ctl;
    a->kind = facts->kind;
    a->state = facts->state;
    a->emulated = facts->emulated;
    copy_token(a->pci, sizeof a->pci, facts->pci, "unknown");
    copy_token(a->node, sizeof a->node, facts->node, "");
    copy_token(a->backend, sizeof a->backend, facts->backend, "");
    (void)hws_str_copy(a->reason, sizeof a->reason, facts->reason);
    a->announce = true;
}

enum hws_code hws_serve_add(struct hws_serve *s, struct hws_ctl *ctl,
                            const struct hws_serve_facts *facts, struct hws_serve_adapter **out,
                            struct hws_err *err)
{
    struct hws_serve_adapter *a;

    if (s->n_adapters == HWS_LINK_MAX_ADAPTERS) {
        return hws_err_set(err, HWS_E_BUSY, "at most %u adapters", HWS_LINK_MAX_ADAPTERS);
    }
    a = hws_mem_zalloc(1, sizeof *a);
    if (a == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "adapter %s", facts->pci);
    }
    if (hws_gate_kills_init(&a->kills, hws_table_n(), err) != HWS_OK) {
        hws_mem_free(a);
        return HWS_E_NOMEM;
    }
    hws_assert(facts->depth >= 1 && facts->depth <= HWS_LINK_MAX_DEPTH);
    a->serve = s;
    a->index = s->n_adapters;
    a->depth = facts->depth;
    for (size_t i = 0; i < a->depth; i++) {
        a->slots[i].adapter = a;
        a->slots[i].fd = -1;
    }
    set_facts(a, ctl, facts);
    s->adapters[s->n_adapters++] = a;
    *out = a;
    return HWS_OK;
}

void hws_serve_update(struct hws_serve_adapter *a, struct hws_ctl *ctl,
                      const struct hws_serve_facts *facts)
{
    set_facts(a, ctl, facts);
}

void hws_serve_connected(struct hws_serve *s)
{
    s->connected = true;
    s->greeted = false;
    s->hello_due = true;
    for (size_t i = 0; i < s->n_adapters; i++) {
        s->adapters[i]->announce = true;
        s->adapters[i]->kills_told = false;
    }
}

void hws_serve_disconnected(struct hws_serve *s)
{
    s->connected = false;
    s->hello_due = false;
    for (size_t i = 0; i < s->n_adapters; i++) {
        struct hws_serve_adapter *a = s->adapters[i];

        for (size_t k = 0; k < a->depth; k++) {
            if (a->slots[k].state == HWS_SERVE_ANSWER) {
                hws_serve__slot_free(&a->slots[k]);
            }
        }
    }
}

/* The control channel's callback: the answer waits in the slot for turn to send it. */
static void call_ended(struct hws_ctl_call *call)
{
    struct hws_serve_slot *slot = call->data;

    if (slot->adapter->serve->connected) {
        hws_fsm_move(moves, &slot->state, HWS_SERVE_ANSWER);
    } else {
        hws_serve__slot_free(slot);
    }
}

/* The slot will answer with this error; nothing reached the card. */
static void refuse(struct hws_serve_slot *slot, const struct hws_err *why)
{
    slot->call.out_bytes = 0;
    slot->call.err = *why;
    hws_err_at(&slot->call.err, HWS_STAGE_NOT_SENT);
    hws_fsm_move(moves, &slot->state, HWS_SERVE_ANSWER);
}

static enum hws_code grow(uint8_t **bytes, size_t *cap, size_t need, struct hws_err *err)
{
    uint8_t *more;

    if (need <= *cap) {
        return HWS_OK;
    }
    more = hws_mem_alloc(need);
    if (more == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for a command of %zu bytes", need);
    }
    hws_mem_free(*bytes);
    *bytes = more;
    *cap = need;
    return HWS_OK;
}

/* Copies the inbox into the slot's own memory, makes room for the outbox. */
static enum hws_code take_copy(struct hws_serve_slot *slot, const struct hws_link_cmd *cmd,
                               struct hws_err *err)
{
    struct hws_serve *s = slot->adapter->serve;
    enum hws_code code = grow(&slot->in, &slot->in_cap, cmd->in_bytes, err);

    if (code == HWS_OK) {
        code = grow(&slot->out, &slot->out_cap, cmd->out_cap, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    if (slot->fd >= 0) {
        return s->io.fd_read(s->io.data, slot->fd, slot->in, cmd->in_bytes, err);
    }
    memcpy(slot->in, cmd->in.bytes, cmd->in_bytes);
    return HWS_OK;
}

/* The second judge of kills: the keeper has refused these already, unless it is not what it should
 * be. */
static enum hws_code check_kills(struct hws_serve_adapter *a, uint16_t row, struct hws_err *err)
{
    struct hws_serve *s = a->serve;
    uint64_t left_ms = hws_gate_kills_left_ms(&a->kills, row, s->now_ms);

    if (!a->kills_told) {
        return hws_err_set(err, HWS_E_GONE, "adapter %s: it is not told yet which rows are killed",
                           a->pci);
    }
    if (left_ms == 0) {
        return HWS_OK;
    }
    const struct hws_table_row *r = hws_table_at(row);
    hws_err_set(err, HWS_E_DENIED,
                "the device process refuses %s%s%s on %s: killed for %llu s more; see hawser kill "
                "list",
                r->name, r->method == HWS_REG_NONE ? "" : ":", hws_reg_method_name(r->method),
                a->pci, (unsigned long long)(left_ms + 999) / 1000);
    if (!a->kill_noted) {
        a->kill_noted = true;
        s->io.note(s->io.data, a->pci, err->msg);
    }
    return HWS_E_DENIED;
}

/* The last word on a dangerous command; others need none. */
static enum hws_code authorize(struct hws_serve_adapter *a, const struct hws_gate_ask *ask,
                               const struct hws_link_cmd *cmd, struct hws_err *err)
{
    struct hws_serve_danger d = {.device = a->pci,
                                 .scope = ask->scope,
                                 .in = ask->in,
                                 .in_bytes = ask->in_bytes,
                                 .warrant = cmd->warrant};

    if (!hws_gate_needs_warrant(a->kind, ask->in, ask->in_bytes)) {
        return HWS_OK;
    }
    return a->serve->io.authorize(a->serve->io.data, &d, err);
}

static enum hws_code run(struct hws_serve_slot *slot, const struct hws_link_cmd *cmd,
                         struct hws_err *err)
{
    struct hws_serve_adapter *a = slot->adapter;
    struct hws_gate_ask ask = {.kind = a->kind, .row = cmd->row, .scope = cmd->scope};
    enum hws_code code;

    if (a->ctl == NULL) {
        return hws_err_set(err, HWS_E_GONE, "adapter %s is away%s%.150s", a->pci,
                           a->reason[0] != 0 ? ": " : "", a->reason);
    }
    code = take_copy(slot, cmd, err);
    if (code != HWS_OK) {
        return code;
    }
    ask.in = slot->in;
    ask.in_bytes = cmd->in_bytes;
    ask.out_cap_bytes = cmd->out_cap;
    code = hws_gate_judge(&ask, err);
    code = code == HWS_OK ? check_kills(a, cmd->row, err) : code;
    code = code == HWS_OK ? authorize(a, &ask, cmd, err) : code;
    if (code != HWS_OK) {
        return code;
    }
    memset(slot->out, 0, cmd->out_cap);
    slot->call = (struct hws_ctl_call){.in = slot->in,
                                       .in_bytes = cmd->in_bytes,
                                       .out = slot->out,
                                       .out_cap_bytes = cmd->out_cap,
                                       .scope = cmd->scope,
                                       .deadline_ms = a->serve->now_ms + cmd->deadline_ms,
                                       .cb = call_ended,
                                       .data = slot};
    code = a->ctl->ops->submit(a->ctl, &slot->call, err);
    if (code == HWS_OK) {
        hws_fsm_move(moves, &slot->state, HWS_SERVE_RUNNING);
    }
    return code;
}

static struct hws_serve_slot *slot_of(struct hws_serve *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_adapters; i++) {
        struct hws_serve_adapter *a = s->adapters[i];

        for (size_t k = 0; k < a->depth; k++) {
            if (a->slots[k].state != HWS_SERVE_FREE && a->slots[k].id == id) {
                return &a->slots[k];
            }
        }
    }
    return NULL;
}

/* Takes *fd when a slot was found; the caller closes it otherwise. */
static enum hws_code feed_cmd(struct hws_serve *s, const struct hws_link_packet *p, int *fd,
                              struct hws_err *err)
{
    const struct hws_link_cmd *cmd = &p->u.cmd;
    bool with_fd = (p->flags & HWS_LINK_FLAG_FD) != 0;
    struct hws_serve_slot *slot = NULL;
    struct hws_serve_adapter *a;
    struct hws_err why;

    if (with_fd != (*fd >= 0)) {
        return hws_err_set(err, HWS_E_PROTO, "CMD: descriptor and flag disagree");
    }
    if (cmd->adapter >= s->n_adapters || slot_of(s, p->id) != NULL) {
        return hws_err_set(err, HWS_E_PROTO, "CMD: unknown adapter %u or repeated id",
                           cmd->adapter);
    }
    a = s->adapters[cmd->adapter];
    for (size_t k = 0; k < a->depth && slot == NULL; k++) {
        slot = a->slots[k].state == HWS_SERVE_FREE ? &a->slots[k] : NULL;
    }
    if (slot == NULL) {
        return hws_err_set(err, HWS_E_PROTO, "CMD: over the depth %u of adapter %s", a->depth,
                           a->pci);
    }
    slot->id = p->id;
    slot->row = cmd->row;
    slot->started_ms = s->now_ms;
    slot->fd = *fd;
    *fd = -1;
    if (run(slot, cmd, &why) != HWS_OK) {
        refuse(slot, &why);
    }
    return HWS_OK;
}

static enum hws_code feed_kills(struct hws_serve *s, const struct hws_link_kills *list,
                                struct hws_err *err)
{
    struct hws_gate_kills_news news;
    struct hws_serve_adapter *a;
    char text[96];

    if (list->adapter >= s->n_adapters) {
        return hws_err_set(err, HWS_E_PROTO, "KILLS: unknown adapter %u", list->adapter);
    }
    a = s->adapters[list->adapter];
    news = hws_gate_kills_take(&a->kills, list, s->now_ms);
    a->kills_told = true;
    a->kill_noted = false;
    if (news.n_added > 0 || news.n_lifted > 0) {
        (void)hws_str_print(text, sizeof text, "%u rows killed now: %u more, %u lifted",
                            news.n_killed, news.n_added, news.n_lifted);
        s->io.note(s->io.data, a->pci, text);
    }
    return HWS_OK;
}

static enum hws_code feed_packet(struct hws_serve *s, const struct hws_link_packet *p, int *fd,
                                 struct hws_err *err)
{
    struct hws_serve_slot *slot;

    if (p->type == HWS_LINK_HELLO && !s->greeted) {
        if (p->u.hello.role != HWS_LINK_ROLE_KEEPER || p->u.hello.version != HWS_LINK_VERSION) {
            return hws_err_set(err, HWS_E_PROTO, "HELLO of role %u, version %u", p->u.hello.role,
                               p->u.hello.version);
        }
        s->greeted = true;
        return HWS_OK;
    }
    if (s->greeted && p->type == HWS_LINK_CMD) {
        return feed_cmd(s, p, fd, err);
    }
    if (s->greeted && p->type == HWS_LINK_KILLS) {
        return feed_kills(s, &p->u.kills, err);
    }
    if (s->greeted && p->type == HWS_LINK_CANCEL_CMD) {
        slot = slot_of(s, p->id); /* NULL: its DONE is on the way */
        if (slot != NULL && slot->state == HWS_SERVE_RUNNING && slot->adapter->ctl != NULL) {
            slot->adapter->ctl->ops->cancel(slot->adapter->ctl, &slot->call);
        }
        return HWS_OK;
    }
    if (s->greeted && p->type == HWS_LINK_DRAIN) {
        s->drain = true;
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_PROTO, "%s is out of place", hws_link_type_name(p->type));
}

enum hws_code hws_serve_feed(struct hws_serve *s, const uint8_t *bytes, size_t n, int fd,
                             uint64_t now_ms, struct hws_err *err)
{
    struct hws_link_packet packet;
    enum hws_code code = hws_link_decode(bytes, n, &packet, err);

    s->now_ms = now_ms;
    if (code == HWS_OK) {
        code = feed_packet(s, &packet, &fd, err);
    }
    if (fd >= 0) {
        s->io.fd_close(s->io.data, fd);
    }
    return code;
}

/* The keeper must know of commands that do not return: it gives the adapter no others. */
static void look_for_stalled(struct hws_serve_adapter *a)
{
    uint64_t since_ms = 0;
    unsigned n = a->ctl != NULL && a->ctl->ops->stalled != NULL
                     ? a->ctl->ops->stalled(a->ctl, &since_ms)
                     : 0;

    if (n != a->n_stalled || since_ms != a->stalled_since_ms) {
        a->n_stalled = (uint16_t)n;
        a->stalled_since_ms = since_ms;
        a->announce = true;
    }
}

uint64_t hws_serve_turn(struct hws_serve *s, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    s->now_ms = now_ms;
    for (size_t i = 0; i < s->n_adapters; i++) {
        struct hws_ctl *ctl = s->adapters[i]->ctl;

        if (ctl != NULL) {
            uint64_t due_ms = ctl->ops->turn(ctl, now_ms);

            next_ms = due_ms < next_ms ? due_ms : next_ms;
        }
        look_for_stalled(s->adapters[i]);
    }
    if (s->connected) {
        hws_serve__flush(s);
    }
    return next_ms;
}

bool hws_serve_wants_write(const struct hws_serve *s)
{
    bool wants = s->hello_due;

    for (size_t i = 0; i < s->n_adapters && !wants; i++) {
        const struct hws_serve_adapter *a = s->adapters[i];

        wants = a->announce;
        for (size_t k = 0; k < a->depth && !wants; k++) {
            wants = a->slots[k].state == HWS_SERVE_ANSWER;
        }
    }
    return s->connected && wants;
}

size_t hws_serve_running(const struct hws_serve *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_adapters; i++) {
        for (size_t k = 0; k < s->adapters[i]->depth; k++) {
            n += s->adapters[i]->slots[k].state == HWS_SERVE_RUNNING ? 1u : 0u;
        }
    }
    return n;
}
