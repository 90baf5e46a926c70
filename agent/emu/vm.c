/*
 * hawser-emu for virtual machines: one loop over the cards' sockets, their next deadlines and the
 * signals. No hawserd is involved: the machine's own kernel drives the cards.
 */
#include "vm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "control.h"
#include "ctl/run.h"
#include "sandbox/sandbox.h"
#include "vfio_user.h"

struct machine_room {
    struct hws_vm_card *cards; /* owned */
    size_t n_cards;
    int signal_fd;
    struct hws_control control;
};

static enum hws_code take_signals(int *out_fd, struct hws_err *err)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return hws_err_set(err, HWS_E_IO, "signals (errno %d)", errno);
    }
    *out_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *out_fd >= 0 ? HWS_OK : hws_err_set(err, HWS_E_IO, "signalfd (errno %d)", errno);
}

/* Two cards cannot keep their parameters in one file. */
static enum hws_code check_unique(const struct machine_room *room, struct hws_err *err)
{
    for (size_t i = 0; i < room->n_cards; i++) {
        for (size_t k = i + 1; k < room->n_cards; k++) {
            if (hws_str_eq(room->cards[i].store.nv_path, room->cards[k].store.nv_path)) {
                return hws_err_set(err, HWS_E_INVALID, "two profiles have serial %s",
                                   room->cards[k].store.profile.serial);
            }
        }
    }
    return HWS_OK;
}

static enum hws_code open_room(struct machine_room *room, const struct hws_emu_options *options,
                               struct hws_err *err)
{
    char nv_dir[400];
    enum hws_code code = hws_control_open(&room->control, options->control_path, err);

    if (code == HWS_OK) {
        code = take_signals(&room->signal_fd, err);
    }
    if (code == HWS_OK && !hws_str_print(nv_dir, sizeof nv_dir, "%s/nv", options->state_dir)) {
        code = hws_err_set(err, HWS_E_INVALID, "%.120s: path too long", options->state_dir);
    }
    if (code == HWS_OK) {
        code = hws_file_make_dir(options->state_dir, err);
    }
    if (code == HWS_OK) {
        code = hws_file_make_dir(nv_dir, err);
    }
    for (size_t i = 0; i < options->n_profiles && code == HWS_OK; i++) {
        code = hws_vm_card_open(&room->cards[i], options->profiles[i], nv_dir,
                                options->vm_sockets[i], hws_ctl_now_ms(), err);
        room->n_cards += code == HWS_OK ? 1 : 0;
        hws_control_add(&room->control, &room->cards[i].emu);
    }
    if (code == HWS_OK) {
        code = check_unique(room, err);
    }
    return code;
}

static int wait_ms(uint64_t next_ms, uint64_t now_ms)
{
    if (next_ms == UINT64_MAX) {
        return -1;
    }
    uint64_t ms = next_ms > now_ms ? next_ms - now_ms : 0;
    return ms < 60000 ? (int)ms : 60000;
}

/* One wait and what it brought. False: a signal ends it. */
static bool step(struct machine_room *room)
{
    struct pollfd fds[HWS_EMU_MAX_CARDS + 1 + HWS_CONTROL_MAX_FDS];
    int control_fds[HWS_CONTROL_MAX_FDS];
    size_t n = 0;
    uint64_t next_ms = UINT64_MAX;
    uint64_t now_ms = hws_ctl_now_ms();

    for (; n < room->n_cards; n++) {
        uint64_t due_ms = hws_vm_card_turn(&room->cards[n], now_ms);
        next_ms = due_ms < next_ms ? due_ms : next_ms;
        fds[n] = (struct pollfd){.fd = hws_vm_card_fd(&room->cards[n]), .events = POLLIN};
    }
    fds[n++] = (struct pollfd){.fd = room->signal_fd, .events = POLLIN};
    size_t n_control = hws_control_fds(&room->control, control_fds);
    for (size_t i = 0; i < n_control; i++) {
        fds[n++] = (struct pollfd){.fd = control_fds[i], .events = POLLIN};
    }
    if (poll(fds, n, wait_ms(next_ms, now_ms)) < 0) {
        return errno == EINTR;
    }
    now_ms = hws_ctl_now_ms();
    hws_control_turn(&room->control, now_ms);
    for (size_t i = 0; i < room->n_cards; i++) {
        if (fds[i].revents != 0) {
            hws_vm_card_read(&room->cards[i], now_ms);
        }
    }
    return fds[room->n_cards].revents == 0;
}

int hws_vm_run(const struct hws_emu_options *options)
{
    struct machine_room room = {.signal_fd = -1};
    struct hws_log_q quoted;
    struct hws_err err;
    int status = 0;

    room.cards = hws_mem_zalloc(HWS_EMU_MAX_CARDS, sizeof *room.cards);
    if (room.cards == NULL) {
        hws_log("start_failed", "reason=\"out of memory\"");
        return 1;
    }
    if (open_room(&room, options, &err) != HWS_OK ||
        hws_sandbox_settle(HWS_SANDBOX_EMU, &err) != HWS_OK) {
        hws_log("start_failed", "reason=%s", hws_log_q(&quoted, err.msg));
        status = 1;
    } else {
        hws_log("serving_machines", "adapters=%zu", room.n_cards);
        while (step(&room)) {
        }
    }
    for (size_t i = 0; i < room.n_cards; i++) {
        hws_vm_card_close(&room.cards[i]);
    }
    hws_control_close(&room.control);
    if (room.signal_fd >= 0) {
        (void)close(room.signal_fd);
    }
    hws_mem_free(room.cards);
    hws_log("stopped", "adapters=%zu", options->n_profiles);
    return status;
}
