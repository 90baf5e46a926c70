/* The control socket and its client; see control.h. */
#include "control.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "emu/control.h"
#include "sock/sock.h"

#define ANSWER_WAIT_MS 10000

enum hws_code hws_control_open(struct hws_control *c, const char *path, struct hws_err *err)
{
    memset(c, 0, sizeof *c);
    c->listen_fd = -1;
    for (size_t i = 0; i < HWS_CONTROL_MAX_CLIENTS; i++) {
        c->clients[i] = -1;
    }
    hws_buf_init(&c->reply, HWS_EMU_CONTROL_REPLY_BYTES);
    if (path == NULL) {
        return HWS_OK;
    }
    enum hws_code code = hws_sock_listen(path, &c->listen_fd, err);
    if (code != HWS_OK) {
        c->listen_fd = -1;
        return hws_err_wrap(err, "--control");
    }
    c->path = path;
    return HWS_OK;
}

void hws_control_add(struct hws_control *c, struct hws_emu *emu)
{
    if (c->n_adapters < HWS_EMU_MAX_CARDS) {
        c->adapters[c->n_adapters++] = emu;
    }
}

size_t hws_control_fds(const struct hws_control *c, int *out)
{
    size_t n = 0;
    bool room = false;

    if (c->path == NULL) {
        return 0;
    }
    for (size_t i = 0; i < HWS_CONTROL_MAX_CLIENTS; i++) {
        room = room || c->clients[i] < 0;
        if (c->clients[i] >= 0) {
            out[n++] = c->clients[i];
        }
    }
    if (room) {
        out[n++] = c->listen_fd;
    }
    return n;
}

/* One packet of a client, if there is one. A client that cannot take its answer is dropped. */
static void serve(struct hws_control *c, int *fd, uint64_t now_ms)
{
    char line[HWS_EMU_CONTROL_LINE_BYTES + 1];
    size_t n = 0;
    int passed = -1;
    enum hws_code code = hws_sock_recv(*fd, line, sizeof line, &n, &passed, NULL);

    if (code == HWS_E_BUSY) {
        return;
    }
    if (code == HWS_OK) {
        hws_sock_close(&passed);
        hws_buf_reset(&c->reply);
        code = hws_emu_control(c->adapters, c->n_adapters, line, n, now_ms, &c->reply);
    }
    if (code == HWS_OK) {
        code = hws_sock_send(*fd, hws_buf_peek(&c->reply), hws_buf_len(&c->reply), -1, NULL);
    }
    if (code != HWS_OK) {
        hws_sock_close(fd);
    }
}

void hws_control_turn(struct hws_control *c, uint64_t now_ms)
{
    if (c->path == NULL) {
        return;
    }
    for (size_t i = 0; i < HWS_CONTROL_MAX_CLIENTS; i++) {
        if (c->clients[i] < 0 && hws_sock_accept(c->listen_fd, &c->clients[i], NULL) != HWS_OK) {
            c->clients[i] = -1;
        }
        if (c->clients[i] >= 0) {
            serve(c, &c->clients[i], now_ms);
        }
    }
}

void hws_control_close(struct hws_control *c)
{
    if (c->path != NULL) {
        for (size_t i = 0; i < HWS_CONTROL_MAX_CLIENTS; i++) {
            hws_sock_close(&c->clients[i]);
        }
        hws_sock_close(&c->listen_fd);
        (void)unlink(c->path);
    }
    hws_buf_deinit(&c->reply);
    memset(c, 0, sizeof *c);
}

/* ---- the client ---- */

static enum hws_code join_words(const struct hws_emu_options *options, char *line, size_t cap,
                                struct hws_err *err)
{
    size_t at = 0;

    for (size_t i = 0; i < options->n_command; i++) {
        size_t n = strlen(options->command[i]);

        if (n + 2 > cap - at) {
            return hws_err_set(err, HWS_E_INVALID, "the command is longer than %u bytes",
                               HWS_EMU_CONTROL_LINE_BYTES);
        }
        if (i > 0) {
            line[at++] = ' ';
        }
        memcpy(line + at, options->command[i], n + 1);
        at += n;
    }
    return HWS_OK;
}

static enum hws_code ask(const char *path, const char *line, char *answer, size_t cap,
                         struct hws_err *err)
{
    struct pollfd pfd = {.events = POLLIN};
    size_t n = 0;
    int passed = -1;
    enum hws_code code = hws_sock_connect(path, &pfd.fd, err);

    if (code != HWS_OK) {
        return code;
    }
    code = hws_sock_send(pfd.fd, line, strlen(line), -1, err);
    if (code == HWS_OK && poll(&pfd, 1, ANSWER_WAIT_MS) != 1) {
        code = hws_err_set(err, HWS_E_TIMEOUT, "%.120s: no answer in %d ms", path, ANSWER_WAIT_MS);
    }
    if (code == HWS_OK) {
        code = hws_sock_recv(pfd.fd, answer, cap - 1, &n, &passed, err);
    }
    answer[code == HWS_OK ? n : 0] = '\0';
    hws_sock_close(&passed);
    hws_sock_close(&pfd.fd);
    return code;
}

int hws_control_send(const struct hws_emu_options *options)
{
    char line[HWS_EMU_CONTROL_LINE_BYTES + 1];
    char answer[HWS_EMU_CONTROL_REPLY_BYTES + 1];
    struct hws_err err;
    enum hws_code code = join_words(options, line, sizeof line, &err);

    if (code == HWS_OK) {
        code = ask(options->control_path, line, answer, sizeof answer, &err);
    }
    if (code != HWS_OK) {
        (void)fprintf(stderr, "hawser-emu: %s\n", err.msg);
        return 1;
    }
    if (!hws_str_starts(answer, "ok\n")) {
        (void)fprintf(stderr, "hawser-emu: %s", answer);
        return 1;
    }
    return fputs(answer + strlen("ok\n"), stdout) < 0 ? 1 : 0;
}
