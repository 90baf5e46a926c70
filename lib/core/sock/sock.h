/*
 * The few system calls between processes of one host: SOCK_SEQPACKET sockets with file descriptors,
 * memory files, lock files. No loop and no protocol in here; every socket is non-blocking and
 * close-on-exec. Stateless; any thread.
 *
 * Backpressure: send returns HWS_E_BUSY when the peer does not read (EAGAIN). The caller keeps the
 * packet in its own bounded queue and tries again when the socket is writable.
 */
#ifndef HWS_SOCK_SOCK_H
#define HWS_SOCK_SOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Binds path as a seqpacket listener of mode 0600 and sets *out_fd. A file left by a dead process
 * is replaced; one that somebody listens on is HWS_E_EXISTS. HWS_E_INVALID: path too long.
 */
enum hws_code hws_sock_listen(const char *path, int *out_fd, struct hws_err *err) HWS_MUST_USE;

/* HWS_E_BUSY: nobody waiting. HWS_E_IO otherwise. */
enum hws_code hws_sock_accept(int listen_fd, int *out_fd, struct hws_err *err) HWS_MUST_USE;

/* HWS_E_GONE: nobody listens there (now). HWS_E_BUSY: its backlog is full. */
enum hws_code hws_sock_connect(const char *path, int *out_fd, struct hws_err *err) HWS_MUST_USE;

/* A connected pair, both ends as above; for tests. */
enum hws_code hws_sock_pair(int out_fds[2], struct hws_err *err) HWS_MUST_USE;

/*
 * Sends one packet, with a copy of pass_fd unless it is -1; the caller keeps pass_fd. HWS_E_BUSY:
 * the peer's queue is full, nothing was sent. HWS_E_GONE: the peer has closed.
 */
enum hws_code hws_sock_send(int fd, const void *bytes, size_t n, int pass_fd, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Receives one packet into bytes[cap]. *out_fd gets a passed descriptor (close-on-exec, now the
 * caller's) or -1. HWS_E_BUSY: none waiting. HWS_E_GONE: the peer has closed. HWS_E_PROTO: longer
 * than cap, empty, or more than one descriptor (all are closed).
 */
enum hws_code hws_sock_recv(int fd, void *bytes, size_t cap, size_t *out_n, int *out_fd,
                            struct hws_err *err) HWS_MUST_USE;

/* The peer's user and process, as the kernel knows them. */
enum hws_code hws_sock_peer(int fd, uint32_t *out_uid, uint32_t *out_pid, struct hws_err *err)
    HWS_MUST_USE;

/* A new memory file of `bytes` zero bytes. Name is for people (/proc). */
enum hws_code hws_sock_memfd(const char *name, size_t bytes, int *out_fd, struct hws_err *err)
    HWS_MUST_USE;

/* HWS_OK if fd is a memory file: reading or writing it can neither block nor reach anything else.
 */
enum hws_code hws_sock_is_memfd(int fd, struct hws_err *err) HWS_MUST_USE;

/* pread and pwrite of exactly n bytes from offset 0. HWS_E_IO, HWS_E_PROTO when it is shorter. */
enum hws_code hws_sock_pread(int fd, void *bytes, size_t n, struct hws_err *err) HWS_MUST_USE;
enum hws_code hws_sock_pwrite(int fd, const void *bytes, size_t n, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Takes an exclusive flock on path (created with mode 0600) for as long as *out_fd stays open.
 * HWS_E_STATE: another process holds it.
 */
enum hws_code hws_sock_lock(const char *path, int *out_fd, struct hws_err *err) HWS_MUST_USE;

/* HWS_OK: nobody holds path's lock (or there is no such file). HWS_E_STATE: somebody does. */
enum hws_code hws_sock_lock_free(const char *path, struct hws_err *err) HWS_MUST_USE;

/* Closes *fd unless it is -1, and sets it to -1. */
void hws_sock_close(int *fd);

#endif
