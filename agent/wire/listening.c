/*
 * Opening the listeners.
 *
 * Happy path: local socket -> TCP at the last run's address, or the one that was asked for ->
 * publish. Failures: an address in use or malformed; a run directory that takes no file is logged.
 */
#include "listening.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "service.h"

#define LOCAL_MODE 0666u /* who may do what is the policy's; the folder may be stricter */

/* With port 0 the address of the last run is tried first, so that clients find a restarted process
 * where it was. */
static void last_address(const struct hws_service *s, char *dst, size_t cap)
{
    char path[512];
    struct hws_buf text;
    const char *listen = s->options->listen;
    const char *colon = strrchr(listen, ':');

    dst[0] = '\0';
    if (colon == NULL || !hws_str_eq(colon, ":0") ||
        !hws_str_print(path, sizeof(path), "%s/listen", s->options->run_dir)) {
        return;
    }
    hws_buf_init(&text, 0);
    if (hws_file_read(path, cap - 1, &text, NULL) == HWS_OK) {
        const char *last = hws_buf_cstr(&text);
        if (last != NULL && strncmp(last, listen, (size_t)(colon - listen) + 1) == 0) {
            hws_str_copy_n(dst, cap, last, strcspn(last, "\n"));
        }
    }
    hws_buf_deinit(&text);
}

enum hws_code hws_listening_open_tcp(struct hws_service *s, struct hws_err *err)
{
    char last[HWS_NET_PEER_BYTES];
    struct hws_net_listen_config c = {.bundle = s->certs.bundle,
                                      .ops = &hws_service_conn_ops,
                                      .owner = s,
                                      .limits = &s->limits->listener};
    enum hws_code code = HWS_E_EXISTS;

    last_address(s, last, sizeof(last));
    c.has_fd = s->options->listener >= 0;
    c.fd = s->options->listener;
    if (last[0] != '\0' && !c.has_fd) {
        c.address = last;
        code = hws_net_listener_open(&s->tcp, &s->net, &c, err);
        if (code != HWS_OK) {
            (void)uv_run(&s->loop, UV_RUN_NOWAIT); /* lets the failed listener's handle close */
        }
    }
    if (code != HWS_OK) {
        c.address = s->options->listen;
        code = hws_net_listener_open(&s->tcp, &s->net, &c, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    s->has_tcp = true;
    hws_log("listening", "address=%s", hws_net_listener_address(&s->tcp));
    if (s->relay.up) { /* hawserd was faster */
        hws_listening_publish(s);
    }
    return HWS_OK;
}

enum hws_code hws_listening_open_local(struct hws_service *s, struct hws_err *err)
{
    struct hws_net_listen_config c = {
        .address = s->options->local_socket,
        .unix_mode = LOCAL_MODE,
        .limits = &s->limits->listener,
        .ops = &hws_service_conn_ops,
        .owner = s,
    };
    char whole[512];

    /* Only a path that starts with "/" is a Unix socket here. */
    if (c.address[0] != '/') {
        char cwd[256];
        size_t n = sizeof(cwd);
        if (uv_cwd(cwd, &n) != 0 ||
            !hws_str_print(whole, sizeof(whole), "%s/%s", cwd, s->options->local_socket)) {
            return hws_err_set(err, HWS_E_INVALID, "--local-socket is too long");
        }
        c.address = whole;
    }
    enum hws_code code = hws_net_listener_open(&s->local, &s->net, &c, err);
    s->has_local = code == HWS_OK;
    return code;
}

static enum hws_code write_address(const struct hws_service *s, struct hws_err *err)
{
    char path[512];
    char line[HWS_NET_PEER_BYTES + 2];

    if (!hws_str_print(path, sizeof(path), "%s/listen", s->options->run_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "--run-dir is too long");
    }
    hws_str_print(line, sizeof(line), "%s\n", hws_net_listener_address(&s->tcp));
    return hws_file_replace(path, line, strlen(line), err);
}

void hws_listening_publish(const struct hws_service *s)
{
    struct hws_err err;

    if (s->has_tcp && write_address(s, &err) != HWS_OK) {
        struct hws_log_q q;
        hws_log("address_not_written", "reason=%s", hws_log_q(&q, err.msg));
    }
}
