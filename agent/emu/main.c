/*
 * hawser-emu: the device process for emulated adapters. No privileges, no network; it opens its
 * profiles, its parameter files, its lock, and one socket to hawserd. SIGKILL is a power cycle of
 * its cards: what was stored is stored, what ran is forgotten. With --vfio-user it serves its cards
 * to virtual machines instead. With --control and a command it is the client of another's control
 * socket.
 *
 * Exit status: 0 after SIGTERM, 1 if it could not start, 2 for a bad command line.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "card.h"
#include "common/file.h"
#include "common/log.h"
#include "control.h"
#include "ctl/run.h"
#include "devproc/process.h"
#include "options.h"
#include "sandbox/sandbox.h"
#include "vm.h"

struct program {
    struct hws_devproc process;
    struct hws_card cards[HWS_EMU_MAX_CARDS];
    size_t n_cards;
    struct hws_control control;
};

static uint64_t turn(void *data, uint64_t now_ms)
{
    struct program *p = data;
    uint64_t next_ms = UINT64_MAX;

    hws_control_turn(&p->control, now_ms);
    for (size_t i = 0; i < p->n_cards; i++) {
        uint64_t due_ms = hws_card_turn(&p->cards[i], now_ms);

        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}

/* Emulated cards act in turn only. */
static size_t fds(void *data, int *out, size_t cap)
{
    hws_assert(cap >= HWS_CONTROL_MAX_FDS);
    return hws_control_fds(&((struct program *)data)->control, out);
}

static void close_cards(void *data)
{
    struct program *p = data;

    for (size_t i = 0; i < p->n_cards; i++) {
        hws_card_close(&p->cards[i]);
    }
}

static bool cards_closed(void *data)
{
    const struct program *p = data;

    for (size_t i = 0; i < p->n_cards; i++) {
        if (!p->cards[i].closed) {
            return false;
        }
    }
    return true;
}

static enum hws_code make_nv_dir(const char *state_dir, char *out, size_t cap, struct hws_err *err)
{
    enum hws_code code;

    if (!hws_str_print(out, cap, "%s/nv", state_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "%.120s: path too long", state_dir);
    }
    code = hws_file_make_dir(state_dir, err);
    return code == HWS_OK ? hws_file_make_dir(out, err) : code;
}

/* Two cards cannot sit in one slot or carry one serial number. */
static enum hws_code check_unique(const struct program *p, struct hws_err *err)
{
    for (size_t i = 0; i < p->n_cards; i++) {
        for (size_t k = i + 1; k < p->n_cards; k++) {
            const struct hws_emu_profile *a = &p->cards[i].store.profile;
            const struct hws_emu_profile *b = &p->cards[k].store.profile;

            if (hws_str_eq(a->serial, b->serial) || hws_str_eq(a->pci_address, b->pci_address)) {
                return hws_err_set(err, HWS_E_INVALID,
                                   "two profiles have serial %s or PCI address %s", b->serial,
                                   b->pci_address);
            }
        }
    }
    return HWS_OK;
}

static enum hws_code open_cards(struct program *p, const struct hws_emu_options *options,
                                struct hws_err *err)
{
    char nv_dir[400];
    enum hws_code code = make_nv_dir(options->state_dir, nv_dir, sizeof nv_dir, err);

    for (size_t i = 0; i < options->n_profiles && code == HWS_OK; i++) {
        code = hws_card_open(&p->cards[i], options->profiles[i], nv_dir, &p->process.serve,
                             hws_ctl_now_ms(), err);
        p->n_cards += code == HWS_OK ? 1 : 0;
        hws_control_add(&p->control, &p->cards[i].port.emu);
    }
    return code == HWS_OK ? check_unique(p, err) : code;
}

/* The cards that were opened are powered off by the end of the process. */
static int start_failed(struct hws_err *err)
{
    struct hws_log_q quoted;

    hws_log("start_failed", "reason=%s", hws_log_q(&quoted, err->msg));
    return 1;
}

/* Files: profiles, parameters, lock, sockets. Nothing of the host's devices. */
static enum hws_code enter_sandbox(const struct hws_emu_options *o, struct hws_sandbox_report *out,
                                   struct hws_err *err)
{
    static struct hws_sandbox box = {.role = HWS_SANDBOX_EMU};
    struct hws_log_q quoted;
    char text[HWS_SANDBOX_TEXT_BYTES];
    enum hws_code code = o->state_dir == NULL ? HWS_OK : hws_file_make_dir(o->state_dir, err);

    if (code == HWS_OK && o->memory_dir != NULL) {
        code = hws_file_make_dir(o->memory_dir, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    hws_sandbox_allow(&box, o->state_dir, HWS_SANDBOX_WRITE);
    hws_sandbox_allow(&box, o->memory_dir, HWS_SANDBOX_WRITE);
    hws_sandbox_allow_folder_of(&box, o->trust_path, HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, "/sys/kernel/security", HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, o->lock_path, HWS_SANDBOX_WRITE);
    hws_sandbox_allow_folder_of(&box, o->control_path, HWS_SANDBOX_WRITE);
    for (size_t i = 0; i < o->n_profiles; i++) {
        hws_sandbox_allow(&box, o->profiles[i], HWS_SANDBOX_READ);
    }
    for (size_t i = 0; i < o->n_vm_sockets; i++) {
        hws_sandbox_allow_folder_of(&box, o->vm_sockets[i], HWS_SANDBOX_WRITE);
    }
    code = hws_sandbox_enter(&box, out, err);
    if (code == HWS_OK) {
        hws_sandbox_text(out, text, sizeof text);
        hws_log("sandbox", "state=%s", hws_log_q(&quoted, text));
    }
    return code;
}

static int serve(struct program *p, const struct hws_emu_options *options,
                 const struct hws_sandbox_report *report)
{
    struct hws_devproc_config config = {.name = "hawser-emu",
                                        .build_id = HWS_VERSION,
                                        .socket_path = options->socket_path,
                                        .lock_path = options->lock_path,
                                        .trust_path = options->trust_path,
                                        .memory_dir = options->memory_dir,
                                        .turn = turn,
                                        .fds = fds,
                                        .close = close_cards,
                                        .closed = cards_closed,
                                        .data = p};
    struct hws_err err;

    if (hws_devproc_open(&p->process, &config, &err) != HWS_OK) {
        return start_failed(&err);
    }
    hws_sandbox_note(report, p->process.lock_fd);
    if (hws_control_open(&p->control, options->control_path, &err) != HWS_OK ||
        open_cards(p, options, &err) != HWS_OK ||
        hws_sandbox_settle(HWS_SANDBOX_EMU, &err) != HWS_OK) {
        return start_failed(&err);
    }
    hws_log("serving", "adapters=%zu", p->n_cards);
    bool closed = hws_devproc_run(&p->process);
    hws_control_close(&p->control);
    if (closed) {
        hws_devproc_deinit(&p->process);
        for (size_t i = 0; i < p->n_cards; i++) {
            hws_card_deinit(&p->cards[i]);
        }
    }
    hws_log("stopped", "adapters=%zu", options->n_profiles);
    return 0;
}

int main(int argc, char **argv)
{
    /* Static: it lives as long as the process, also when a start fails half-way. */
    static struct program program;
    struct hws_sandbox_report report;
    struct hws_emu_options options;
    struct hws_err err;

    hws_log_open("hawser-emu");
    if (hws_emu_options_parse(argc, argv, &options, &err) != HWS_OK) {
        (void)fprintf(stderr, "hawser-emu: %s (see --help)\n", err.msg);
        return 2;
    }
    if (options.help) {
        return fputs(hws_emu_options_help(), stdout) < 0 ? 1 : 0;
    }
    if (options.version) {
        return puts("hawser-emu " HWS_VERSION) < 0 ? 1 : 0;
    }
    if (options.n_command > 0) {
        return hws_control_send(&options);
    }
    if (enter_sandbox(&options, &report, &err) != HWS_OK) {
        return start_failed(&err);
    }
    return options.n_vm_sockets > 0 ? hws_vm_run(&options) : serve(&program, &options, &report);
}
