/*
 * The control lines; see control.h. A line is split into words; a row of the table says how many it
 * needs and what it does. Everything after the adapter's word belongs to `fault` as it stands.
 */
#include "emu/control.h"

#include <string.h>

#include "base/str.h"
#include "emu/emu_priv.h"
#include "emu/incident.h"

#define MAX_SYNDROME 255u

struct line {
    char command[32];
    char adapter[64];
    char rest[HWS_EMU_CONTROL_LINE_BYTES + 1]; /* behind the adapter */
    struct hws_emu *const *adapters;
    size_t n_adapters;
    struct hws_emu *e; /* the one that is meant; NULL for commands without */
    struct hws_buf *reply;
    struct hws_err err;
};

enum argument { ARG_NONE, ARG_ADAPTER, ARG_OPTIONAL, ARG_NEEDED };

struct row {
    const char *name;
    enum argument argument; /* what follows the command's word */
    enum hws_code (*run)(struct line *l);
};

static enum hws_code say_help(struct line *l)
{
    return hws_buf_printf(l->reply, "%s", hws_emu_control_help());
}

static const char *state_name(const struct hws_emu *e)
{
    static const char *const names[] = {
        [HWS_EMU_OFF] = "off",           [HWS_EMU_INITIALIZING] = "initializing",
        [HWS_EMU_READY] = "ready",       [HWS_EMU_QUEUE] = "running",
        [HWS_EMU_DISABLED] = "disabled", [HWS_EMU_UNPLUGGED] = "unplugged",
    };

    return e->hung_until_ms > e->now_ms && e->state != HWS_EMU_UNPLUGGED ? "hung" : names[e->state];
}

static enum hws_code list(struct line *l)
{
    enum hws_code code = HWS_OK;

    for (size_t i = 0; i < l->n_adapters && code == HWS_OK; i++) {
        const struct hws_emu *e = l->adapters[i];
        bool known = e != NULL && e->profile != NULL;
        code =
            hws_buf_printf(l->reply, "%zu serial=%s pci=%s part=%s state=%s\n", i,
                           known ? e->profile->serial : "-", known ? e->profile->pci_address : "-",
                           known ? e->profile->part : "-", known ? state_name(e) : "off");
    }
    return code;
}

static enum hws_code show_fault(struct line *l, uint32_t i)
{
    static const char *const access[] = {"any", "read", "write"};
    const struct hws_emu_fault *f = &l->e->faults[i];
    char op[16] = "any";
    char reg[16] = "any";

    if (!f->any_op) {
        (void)hws_str_print(op, sizeof(op), "0x%x", f->op);
    }
    if (!f->any_reg) {
        (void)hws_str_print(reg, sizeof(reg), "0x%x", f->reg);
    }
    return hws_buf_printf(l->reply,
                          "fault %u action=%s opcode=%s register=%s access=%s countdown=%u "
                          "repeat=%u percent=%u matches=%u hits=%u\n",
                          i, hws_emu_fault_action_name(f->action), op, reg, access[f->access],
                          f->countdown, f->repeat, f->percent, l->e->fault_counts[i].n_matches,
                          l->e->fault_counts[i].n_hits);
}

static enum hws_code show(struct line *l)
{
    const struct hws_emu *e = l->e;
    enum hws_code code =
        hws_buf_printf(l->reply, "serial=%s state=%s commands=%d health=0x%x fatal=%s faults=%u\n",
                       e->profile->serial, state_name(e), __builtin_popcount(e->pending_mask),
                       e->health.syndrome, e->health.fatal ? "yes" : "no", e->n_faults);

    for (uint32_t i = 0; i < e->n_faults && code == HWS_OK; i++) {
        code = show_fault(l, i);
    }
    return code;
}

static enum hws_code plant(struct line *l)
{
    struct hws_emu_fault fault;
    enum hws_code code = hws_emu_fault_parse(l->rest, strlen(l->rest), &fault, &l->err);

    if (code == HWS_OK) {
        code = hws_emu_plant(l->e, &fault, &l->err);
    }
    return code;
}

static enum hws_code clear(struct line *l)
{
    hws_emu_clear_faults(l->e);
    return HWS_OK;
}

/* A number behind the adapter; the least allowed where there is none. */
static enum hws_code number(struct line *l, uint64_t min, uint64_t max, uint64_t *out)
{
    *out = min;
    if (l->rest[0] == '\0') {
        return HWS_OK;
    }
    if (hws_str_to_u64(l->rest, max, out, NULL) != HWS_OK || *out < min) {
        return hws_err_set(&l->err, HWS_E_INVALID,
                           "%s: \"%.40s\" is not a number from %llu to %llu", l->command, l->rest,
                           (unsigned long long)min, (unsigned long long)max);
    }
    return HWS_OK;
}

static enum hws_code hang(struct line *l)
{
    uint64_t ms = 0;
    enum hws_code code = number(l, 0, HWS_EMU_MAX_DELAY_MS, &ms);

    if (code == HWS_OK) {
        hws_emu_hang(l->e, ms);
    }
    return code;
}

static enum hws_code resume(struct line *l)
{
    hws_emu_resume(l->e);
    return HWS_OK;
}

static enum hws_code late(struct line *l)
{
    hws_emu_late(l->e);
    return HWS_OK;
}

static enum hws_code raise_health(struct line *l, bool fatal)
{
    uint64_t syndrome = 0;
    enum hws_code code = number(l, 1, MAX_SYNDROME, &syndrome);

    if (code == HWS_OK) {
        hws_emu_health_raise(l->e, (uint8_t)syndrome, fatal);
    }
    return code;
}

static enum hws_code health(struct line *l)
{
    return raise_health(l, false);
}

static enum hws_code fatal(struct line *l)
{
    return raise_health(l, true);
}

static enum hws_code reset(struct line *l)
{
    hws_emu_firmware_reset(l->e);
    return HWS_OK;
}

static enum hws_code power_cycle(struct line *l)
{
    hws_emu_power_cycle(l->e, l->e->now_ms);
    return HWS_OK;
}

static enum hws_code unplug(struct line *l)
{
    uint64_t ms = 0;
    enum hws_code code = number(l, 0, HWS_EMU_MAX_DELAY_MS, &ms);

    if (code == HWS_OK) {
        hws_emu_unplug(l->e, ms);
    }
    return code;
}

static enum hws_code replug(struct line *l)
{
    hws_emu_replug(l->e);
    return HWS_OK;
}

static const struct row rows[] = {
    {"list", ARG_NONE, list},         {"show", ARG_ADAPTER, show},
    {"fault", ARG_NEEDED, plant},     {"clear", ARG_ADAPTER, clear},
    {"hang", ARG_OPTIONAL, hang},     {"resume", ARG_ADAPTER, resume},
    {"health", ARG_NEEDED, health},   {"fatal", ARG_NEEDED, fatal},
    {"reset", ARG_ADAPTER, reset},    {"power-cycle", ARG_ADAPTER, power_cycle},
    {"unplug", ARG_OPTIONAL, unplug}, {"replug", ARG_ADAPTER, replug},
    {"late", ARG_ADAPTER, late},      {"help", ARG_NONE, say_help},
};

const char *hws_emu_control_help(void)
{
    return "list                      the adapters, one a line\n"
           "show ADAPTER              state, health, and the plan of faults with its counts\n"
           "fault ADAPTER {YAML}      plants a fault, written as in a profile\n"
           "clear ADAPTER             empties the plan, the profile's faults too\n"
           "hang ADAPTER [MS]         the firmware stands still; without MS until resume or reset\n"
           "resume ADAPTER            it goes on; the health buffer is clean\n"
           "health ADAPTER SYNDROME   a syndrome (1..255) in the health buffer; commands go on\n"
           "fatal ADAPTER SYNDROME    the same with a reset request; the firmware stands still\n"
           "late ADAPTER              what drop and drop_event kept back arrives after all\n"
           "reset ADAPTER             the firmware resets\n"
           "power-cycle ADAPTER       off and on\n"
           "unplug ADAPTER [MS]       off the bus; without MS until replug\n"
           "replug ADAPTER            on the bus again\n"
           "help                      these lines\n"
           "ADAPTER is a number from list, a serial number or a PCI address.\n";
}

/* ---- reading a line ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Moves *s past spaces and copies the next word; "" at the end. False: longer than cap. */
static bool word(const char **s, char *out, size_t cap)
{
    const char *end;

    while (is_space(**s)) {
        (*s)++;
    }
    for (end = *s; *end != '\0' && !is_space(*end);) {
        end++;
    }
    const char *from = *s;
    *s = end;
    return hws_str_copy_n(out, cap, from, (size_t)(end - from));
}

/* The rest of the line without the spaces around it. */
static void take_rest(struct line *l, const char *s)
{
    while (is_space(*s)) {
        s++;
    }
    (void)hws_str_copy(l->rest, sizeof(l->rest), s);
    for (size_t n = strlen(l->rest); n > 0 && is_space(l->rest[n - 1]); n--) {
        l->rest[n - 1] = '\0';
    }
}

static enum hws_code find_adapter(struct line *l)
{
    uint64_t idx = 0;

    if (hws_str_to_u64(l->adapter, UINT32_MAX, &idx, NULL) == HWS_OK && idx < l->n_adapters) {
        l->e = l->adapters[idx];
    }
    for (size_t i = 0; i < l->n_adapters && l->e == NULL; i++) {
        struct hws_emu *e = l->adapters[i];
        if (e != NULL && e->profile != NULL &&
            (hws_str_eq(e->profile->serial, l->adapter) ||
             hws_str_eq(e->profile->pci_address, l->adapter))) {
            l->e = e;
        }
    }
    if (l->e == NULL || l->e->state == HWS_EMU_OFF) {
        return hws_err_set(&l->err, HWS_E_NOT_FOUND,
                           "%s: no adapter \"%.40s\" is powered; see list", l->command, l->adapter);
    }
    return HWS_OK;
}

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (hws_str_eq(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* What the row wants behind the command is there, and nothing else is. */
static enum hws_code check_words(struct line *l, const struct row *row)
{
    bool extra = row->argument == ARG_NONE ? l->adapter[0] != '\0'
                                           : row->argument == ARG_ADAPTER && l->rest[0] != '\0';

    if (extra) {
        return hws_err_set(&l->err, HWS_E_INVALID, "%s: unexpected \"%.40s\"; see help", l->command,
                           row->argument == ARG_NONE ? l->adapter : l->rest);
    }
    if (row->argument != ARG_NONE && l->adapter[0] == '\0') {
        return hws_err_set(&l->err, HWS_E_INVALID, "%s: which adapter? See list and help",
                           l->command);
    }
    if (row->argument == ARG_NEEDED && l->rest[0] == '\0') {
        return hws_err_set(&l->err, HWS_E_INVALID, "%s: an argument is missing; see help",
                           l->command);
    }
    return HWS_OK;
}

static enum hws_code obey(struct line *l, const char *text, uint64_t now_ms)
{
    const char *at = text;

    if (!word(&at, l->command, sizeof(l->command)) || find_row(l->command) == NULL) {
        return hws_err_set(&l->err, HWS_E_INVALID, "no command \"%.40s\"; see help", l->command);
    }
    if (!word(&at, l->adapter, sizeof(l->adapter))) {
        return hws_err_set(&l->err, HWS_E_INVALID, "%s: the adapter's name is too long",
                           l->command);
    }
    take_rest(l, at);
    const struct row *row = find_row(l->command);
    enum hws_code code = check_words(l, row);
    if (code == HWS_OK && row->argument != ARG_NONE) {
        code = find_adapter(l);
    }
    if (code == HWS_OK && l->e != NULL) {
        (void)hws_emu_turn(l->e, now_ms); /* what it does starts now, not at its last turn */
    }
    return code == HWS_OK ? row->run(l) : code;
}

enum hws_code hws_emu_control(struct hws_emu *const *adapters, size_t n_adapters, const char *line,
                              size_t n, uint64_t now_ms, struct hws_buf *reply)
{
    char text[HWS_EMU_CONTROL_LINE_BYTES + 1];
    struct hws_buf body;
    struct line l = {.adapters = adapters, .n_adapters = n_adapters, .reply = &body};
    enum hws_code code;

    hws_buf_init(&body, HWS_EMU_CONTROL_REPLY_BYTES - HWS_ERR_MSG_BYTES - 32);
    if (n > HWS_EMU_CONTROL_LINE_BYTES || memchr(line, '\0', n) != NULL) {
        code = hws_err_set(&l.err, HWS_E_INVALID, "a line has at most %u bytes of text",
                           HWS_EMU_CONTROL_LINE_BYTES);
    } else {
        (void)hws_str_copy_n(text, sizeof(text), line, n);
        code = obey(&l, text, now_ms);
    }
    if (code != HWS_OK) {
        code = hws_buf_printf(reply, "error: %s\n",
                              l.err.msg[0] != '\0' ? l.err.msg : hws_code_text(code));
    } else {
        code = hws_buf_printf(reply, "ok\n");
        if (code == HWS_OK && hws_buf_len(&body) > 0) {
            code = hws_buf_put(reply, hws_buf_peek(&body), hws_buf_len(&body));
        }
    }
    hws_buf_deinit(&body);
    return code;
}
