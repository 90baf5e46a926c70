/*
 * A vfio-user server for one adapter; see vfio_user.h.
 *
 * Way of a request: 16 bytes of header, then exactly its body (reading on would pair the next
 * request's descriptors with this one) -> protocol -> an operation below -> reply -> the card acts.
 * Failure modes: a header that cannot be one, too many descriptors, or a machine that does not read
 * its replies ends the connection; the card waits for the next machine.
 */
#include "vfio_user.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "common/log.h"

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* ---- the card's side: memory and interrupts ---- */

static bool vm_read(void *data, uint64_t addr, void *dst, size_t n)
{
    struct hws_vm_card *card = data;
    const uint8_t *src =
        hws_emu_pci_is_master(&card->pci) ? hws_vm_memory_at(&card->memory, addr, n, false) : NULL;

    if (src == NULL) {
        return false;
    }
    memcpy(dst, src, n);
    return true;
}

static bool vm_write(void *data, uint64_t addr, const void *src, size_t n)
{
    struct hws_vm_card *card = data;
    uint8_t *dst =
        hws_emu_pci_is_master(&card->pci) ? hws_vm_memory_at(&card->memory, addr, n, true) : NULL;

    if (dst == NULL) {
        return false;
    }
    memcpy(dst, src, n);
    return true;
}

static void interrupt(void *data, uint32_t vector)
{
    struct hws_vm_card *card = data;
    const uint64_t one = 1;

    if (vector < HWS_EMU_MAX_VECTORS && card->vectors[vector] >= 0 &&
        hws_emu_pci_is_master(&card->pci) &&
        write(card->vectors[vector], &one, sizeof one) != (ssize_t)sizeof one && errno != EAGAIN) {
        hws_log("vm_interrupt_failed", "serial=%s errno=%d", card->store.profile.serial, errno);
    }
}

static enum hws_code nv_dirty(void *data, const uint8_t *bytes, size_t n)
{
    struct hws_vm_card *card = data;

    return hws_card_store_write(&card->store, bytes, n);
}

/* ---- the protocol's side: operations ---- */

static int op_dma_map(void *data, const struct hws_emu_vfu_map *map, uint32_t n_fds)
{
    struct hws_vm_card *card = data;

    return hws_vm_memory_map(&card->memory, map, n_fds > 0 ? card->fds[0] : -1);
}

static int op_dma_unmap(void *data, uint64_t addr, uint64_t bytes, bool all)
{
    struct hws_vm_card *card = data;

    if (all) {
        hws_vm_memory_unmap_all(&card->memory);
        return 0;
    }
    return hws_vm_memory_unmap(&card->memory, addr, bytes);
}

static void close_vectors(struct hws_vm_card *card, uint32_t start, uint32_t count)
{
    for (uint32_t i = start; i < start + count; i++) {
        close_fd(&card->vectors[i]);
    }
}

static int op_set_vectors(void *data, uint32_t start, uint32_t count, uint32_t n_fds)
{
    struct hws_vm_card *card = data;

    if (count == 0) {
        close_vectors(card, 0, HWS_EMU_MAX_VECTORS);
        return 0;
    }
    close_vectors(card, start, count);
    for (uint32_t i = 0; i < n_fds; i++) {
        card->vectors[start + i] = card->fds[i];
        card->fds[i] = -1;
    }
    return 0;
}

static void op_read(void *data, uint32_t region, uint64_t offset, uint8_t *dst, uint32_t n)
{
    struct hws_vm_card *card = data;

    if (card->emu.state == HWS_EMU_UNPLUGGED) {
        memset(dst, 0xff, n); /* nobody answers on the bus */
    } else if (region == HWS_EMU_VFU_REGION_CONFIG) {
        hws_emu_pci_read(&card->pci, offset, dst, n);
    } else {
        hws_emu_bar_read(&card->emu, offset, dst, n);
    }
}

static void op_reset(void *data)
{
    struct hws_vm_card *card = data;

    hws_emu_pci_init(&card->pci, &card->store.profile);
    hws_emu_function_reset(&card->emu, card->emu.now_ms);
}

static void op_write(void *data, uint32_t region, uint64_t offset, const uint8_t *src, uint32_t n)
{
    struct hws_vm_card *card = data;

    if (card->emu.state == HWS_EMU_UNPLUGGED) {
        return;
    }
    if (region == HWS_EMU_VFU_REGION_CONFIG) {
        hws_emu_pci_write(&card->pci, offset, src, n);
        if (hws_emu_pci_is_reset(offset, src, n)) {
            op_reset(card);
        }
    } else {
        hws_emu_bar_write(&card->emu, offset, src, n);
    }
}

static const struct hws_emu_vfu_ops operations = {.dma_map = op_dma_map,
                                                  .dma_unmap = op_dma_unmap,
                                                  .set_vectors = op_set_vectors,
                                                  .read = op_read,
                                                  .write = op_write,
                                                  .reset = op_reset};

/* ---- the connection ---- */

static void drop_fds(struct hws_vm_card *card)
{
    for (uint32_t i = 0; i < card->n_fds; i++) {
        close_fd(&card->fds[i]);
    }
    card->n_fds = 0;
}

static void disconnect(struct hws_vm_card *card, const char *reason)
{
    hws_log("vm_gone", "serial=%s reason=\"%s\"", card->store.profile.serial, reason);
    close_fd(&card->peer_fd);
    drop_fds(card);
    close_vectors(card, 0, HWS_EMU_MAX_VECTORS);
    hws_vm_memory_unmap_all(&card->memory);
    hws_emu_function_reset(&card->emu, card->emu.now_ms);
    card->n_in = 0;
}

static void connect_machine(struct hws_vm_card *card, uint64_t now_ms)
{
    card->peer_fd = accept4(card->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (card->peer_fd < 0) {
        return; /* it has gone again */
    }
    hws_log("vm_connected", "serial=%s", card->store.profile.serial);
    card->protocol = (struct hws_emu_vfu){.ops = &operations, .data = card};
    hws_emu_pci_init(&card->pci, &card->store.profile);
    hws_emu_power_cycle(&card->emu, now_ms);
}

/* Takes the descriptors out of the ancillary data; false if there are more than a request has. */
static bool take_fds(struct hws_vm_card *card, struct msghdr *msg)
{
    bool ok = (msg->msg_flags & MSG_CTRUNC) == 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (card->n_fds < HWS_EMU_VFU_MAX_FDS) {
                card->fds[card->n_fds++] = fd;
            } else {
                close_fd(&fd);
                ok = false;
            }
        }
    }
    return ok;
}

/* Up to `upto` bytes of the request. False: the connection has ended. */
static bool receive(struct hws_vm_card *card, uint32_t upto)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * HWS_EMU_VFU_MAX_FDS)];
    } control;
    struct iovec iov = {.iov_base = card->in + card->n_in, .iov_len = upto - card->n_in};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(card->peer_fd, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (n <= 0) {
        disconnect(card, "closed");
        return false;
    }
    if (!take_fds(card, &msg)) {
        disconnect(card, "too many descriptors");
        return false;
    }
    card->n_in += (uint32_t)n;
    return true;
}

static bool send_reply(struct hws_vm_card *card, size_t n)
{
    ssize_t sent = n == 0 ? 0 : send(card->peer_fd, card->reply, n, MSG_NOSIGNAL);

    if (sent != (ssize_t)n) {
        disconnect(card, "does not read its replies");
        return false;
    }
    return true;
}

void hws_vm_card_read(struct hws_vm_card *card, uint64_t now_ms)
{
    if (card->peer_fd < 0) {
        connect_machine(card, now_ms);
        return;
    }
    if (card->n_in < HWS_EMU_VFU_HEAD_BYTES) {
        if (!receive(card, HWS_EMU_VFU_HEAD_BYTES) || card->n_in < HWS_EMU_VFU_HEAD_BYTES) {
            return;
        }
        if (!hws_emu_vfu_head_decode(card->in, &card->head)) {
            disconnect(card, "not a vfio-user request");
            return;
        }
    }
    if (card->n_in < card->head.bytes &&
        (!receive(card, card->head.bytes) || card->n_in < card->head.bytes)) {
        return;
    }
    size_t n = hws_emu_vfu_serve(&card->protocol, &card->head, card->in + HWS_EMU_VFU_HEAD_BYTES,
                                 card->n_fds, card->reply);
    card->n_in = 0;
    drop_fds(card);
    if (send_reply(card, n)) {
        (void)hws_emu_turn(&card->emu, now_ms);
    }
}

/* ---- life ---- */

static enum hws_code listen_at(const char *path, int *out_fd, struct hws_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (!hws_str_copy(addr.sun_path, sizeof addr.sun_path, path)) {
        return hws_err_set(err, HWS_E_INVALID, "--vfio-user %.120s: path too long", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return hws_err_set(err, HWS_E_IO, "socket (errno %d)", errno);
    }
    (void)unlink(path); /* of a process that was killed */
    if (bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 1) != 0) {
        (void)close(fd);
        return hws_err_set(err, HWS_E_IO, "--vfio-user %.120s (errno %d)", path, errno);
    }
    *out_fd = fd;
    return HWS_OK;
}

static enum hws_code power_on(struct hws_vm_card *card, uint64_t now_ms, struct hws_err *err)
{
    struct hws_emu_config config = {
        .dma = {.read = vm_read, .write = vm_write, .data = card},
        .nv_dirty = nv_dirty,
        .interrupt = interrupt,
        .data = card,
    };
    struct hws_buf nv;
    enum hws_code code = hws_card_store_read(&card->store, &nv, err);

    if (code == HWS_OK) {
        code = hws_emu_init(&card->emu, &card->store.profile, &config, hws_buf_peek(&nv),
                            hws_buf_len(&nv), now_ms, err);
    }
    hws_buf_deinit(&nv);
    return code;
}

enum hws_code hws_vm_card_open(struct hws_vm_card *card, const char *profile_path,
                               const char *nv_dir, const char *socket_path, uint64_t now_ms,
                               struct hws_err *err)
{
    memset(card, 0, sizeof *card);
    card->socket_path = socket_path;
    card->listen_fd = -1;
    card->peer_fd = -1;
    for (uint32_t i = 0; i < HWS_EMU_MAX_VECTORS; i++) {
        card->vectors[i] = -1;
    }
    enum hws_code code = hws_card_store_open(&card->store, profile_path, nv_dir, err);
    if (code == HWS_OK) {
        code = power_on(card, now_ms, err);
    }
    if (code == HWS_OK) {
        code = listen_at(socket_path, &card->listen_fd, err);
    }
    if (code != HWS_OK) {
        hws_emu_deinit(&card->emu);
        hws_card_store_deinit(&card->store);
    }
    return code;
}

int hws_vm_card_fd(const struct hws_vm_card *card)
{
    return card->peer_fd >= 0 ? card->peer_fd : card->listen_fd;
}

uint64_t hws_vm_card_turn(struct hws_vm_card *card, uint64_t now_ms)
{
    uint64_t next_ms = hws_emu_turn(&card->emu, now_ms);

    if (card->emu.state == HWS_EMU_UNPLUGGED) { /* what comes back is not configured */
        hws_emu_pci_init(&card->pci, &card->store.profile);
    }
    return next_ms;
}

void hws_vm_card_close(struct hws_vm_card *card)
{
    if (card->peer_fd >= 0) {
        disconnect(card, "stopping");
    }
    close_fd(&card->listen_fd);
    (void)unlink(card->socket_path);
    hws_emu_deinit(&card->emu);
    hws_card_store_deinit(&card->store);
}
