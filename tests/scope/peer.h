/*
 * The other end of a link, for tests that stand in hawserd's or hawser-wire's place: programs that
 * are started and stopped, packets that are sent, received and damaged.
 */
#ifndef HWS_TESTS_SCOPE_PEER_H
#define HWS_TESTS_SCOPE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "link/packet.h"

#define PEER_WAIT_MS 20000u
#define CX7          HWS_TESTS_DIR "/../agent/emu/profiles/connectx7.yaml"

/* Pseudo-random numbers from the printed seed. */
uint32_t peer_random(void);

uint64_t peer_now_ms(void);

/* How often something is done: n, or what HAWSER_SCOPE_N says. */
unsigned peer_rounds(unsigned n);

/* Starts a program with its output going to log (NULL: nowhere). */
pid_t peer_spawn(char *const argv[], const char *log);

/* Fails the test if the process has ended. */
void peer_assert_alive(pid_t pid, const char *name);

/* SIGTERM; returns the exit status, 128 + the signal, or -1 if it does not end. */
int peer_stop(pid_t pid);

/* Waits until fd is readable; false after ms. */
bool peer_readable(int fd, unsigned ms);

/* Encodes and sends; waits while the queue is full. False: the connection is gone. */
bool peer_send(int fd, const struct hws_link_packet *p);

/* Sends bytes as they are. */
bool peer_send_bytes(int fd, const uint8_t *bytes, size_t n);

/* Receives and decodes one packet into bytes[HWS_LINK_MAX_BYTES]; false: gone or silent for ms.
 * What the program under test sends must decode. */
bool peer_recv(int fd, uint8_t *bytes, struct hws_link_packet *p, unsigned ms);

/* As hawserd: listens at FOLDER/sock. */
int peer_listen(const char *folder);

/* Starts hawser-emu for that socket, with one adapter of CX7, its output going to log (NULL:
 * nowhere). memory: its trust file is FOLDER/keys/trust, and FOLDER/memory what it remembers. */
pid_t peer_spawn_emu(const char *folder, bool memory, const char *log);

/* As hawserd: takes the connection of hawser-emu (pid) with one adapter, to its ADAPTER packet;
 * *fd is closed before. Which rows are killed is not told yet. */
void peer_take_device(int listener, pid_t pid, int *fd, uint8_t *bytes);

/* As hawserd: the list of killed rows of adapter 0: that row for left_ms (0: as told before), or
 * none (row 0). */
void peer_tell_kills(int fd, uint16_t row, uint32_t left_ms);

/* Damages a packet of n bytes in place (at least 1); returns its new length, at most cap. */
size_t peer_damage(uint8_t *bytes, size_t n, size_t cap);

/* Makes a folder in /tmp and remembers it; removes it with all it holds. */
void peer_folder(char *out, size_t cap);
void peer_remove(const char *folder);

/* Makes a folder (mode 0700). */
void peer_make_dir(const char *path);

/* Writes a file into it. */
void peer_write(const char *folder, const char *name, const char *text);

#endif
