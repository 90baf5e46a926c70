/* The floor's parts: a server in a child process (floor.c), and what is done with it (floor_pour.c,
 * floor_echo.c). A failure ends the program with a text. */
#ifndef HWS_TESTS_BENCH_FLOOR_H
#define HWS_TESTS_BENCH_FLOOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct floor_want {
    uint64_t total_bytes; /* pour */
    bool sealed;
    uint32_t conns; /* echo */
    uint32_t bytes;
    uint32_t warm_ms;
    uint32_t ms;
};

_Noreturn void floor_die(const char *what);
double floor_now_s(clockid_t clock);
clockid_t floor_clock_of(pid_t pid);

/* Blocking, without Nagle's delay. */
int floor_connect(const struct sockaddr_in *to);
int floor_accept(int listener);

/* Runs serve in a child, which ends with this process. */
pid_t floor_serve(void (*serve)(int listener, const struct floor_want *want),
                  const struct floor_want *want, struct sockaddr_in *out_address);

/* Waits for the child, which ends by itself. */
void floor_end(pid_t child);

void floor_pour(const struct floor_want *want);
void floor_echo(const struct floor_want *want);

#endif
