/*
 * The filter: classic BPF made from calls.def. For each row: is it this call, are its arguments as
 * wanted: let it pass. What no row let pass is EPERM. Foreign calling conventions (i386, x32) match
 * no row.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "sandbox/sandbox_priv.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the sandbox knows x86-64 and 64-bit ARM"
#endif
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "halves of arguments lie low, high");

/* asm-generic/unistd.h; not in every C library's list. */
#define SYS_CLONE3         435u
#define SYS_IO_URING_SETUP 425u

/* Roles of calls.def. */
#define W   (1u << HWS_SANDBOX_WIRE)
#define K   (1u << HWS_SANDBOX_KEEPER)
#define D   (1u << HWS_SANDBOX_DEV)
#define E   (1u << HWS_SANDBOX_EMU)
#define ALL (W | K | D | E)
#define S   (HWS_SANDBOX__SANITIZED ? ALL : 0u)

#define START(roles) ((roles) << HWS_SANDBOX_N_ROLES)

struct condition {
    uint8_t argument;
    uint32_t mask; /* of the low half; all ones also want the high half to be zero */
    uint32_t value;
};

#define MAX_CONDITIONS 3u

struct call {
    uint32_t number;
    unsigned roles;
    bool self; /* the one condition's value is our process id */
    uint8_t n_conditions;
    struct condition conditions[MAX_CONDITIONS];
};

#define NONE                                                                                       \
    {                                                                                              \
        0, 0, 0                                                                                    \
    }
#define HWS_CALL(name, roles) {SYS_##name, (roles), false, 0, {NONE, NONE, NONE}},
#define HWS_CALL_SELF(name, roles, arg)                                                            \
    {SYS_##name, (roles), true, 1, {{(arg), ~0u, 0}, NONE, NONE}},
#define HWS_CALL_ARG(name, roles, arg, mask, value)                                                \
    {SYS_##name, (roles), false, 1, {{(arg), (mask), (value)}, NONE, NONE}},
#define HWS_CALL_ARG2(name, roles, arg1, mask1, value1, arg2, mask2, value2)                       \
    {SYS_##name,                                                                                   \
     (roles),                                                                                      \
     false,                                                                                        \
     2,                                                                                            \
     {{(arg1), (mask1), (value1)}, {(arg2), (mask2), (value2)}, NONE}},
#define HWS_CALL_ARG3(name, roles, arg1, mask1, value1, arg2, mask2, value2, arg3, mask3, value3)  \
    {SYS_##name,                                                                                   \
     (roles),                                                                                      \
     false,                                                                                        \
     3,                                                                                            \
     {{(arg1), (mask1), (value1)}, {(arg2), (mask2), (value2)}, {(arg3), (mask3), (value3)}}},
static const struct call calls[] = {
#include "sandbox/calls.def"
};
#undef HWS_CALL
#undef HWS_CALL_ARG
#undef HWS_CALL_ARG2
#undef HWS_CALL_ARG3
#undef HWS_CALL_SELF
#undef NONE

#define N_CALLS       (sizeof calls / sizeof calls[0])
#define MAX_PER_CALL  18u /* number, three conditions of five, pass, number again */
#define MAX_AROUND    8u
#define OFF_NUMBER    ((uint32_t)offsetof(struct seccomp_data, nr))
#define OFF_ARCH      ((uint32_t)offsetof(struct seccomp_data, arch))
#define OFF_ARGUMENTS ((uint32_t)offsetof(struct seccomp_data, args))

struct program {
    struct sock_filter at[N_CALLS * MAX_PER_CALL + MAX_AROUND];
    uint16_t n;
};
_Static_assert(N_CALLS *MAX_PER_CALL + MAX_AROUND <= BPF_MAXINSNS, "the kernel takes so many");

static void put(struct program *p, uint16_t code, uint32_t k, uint8_t if_not)
{
    p->at[p->n++] = (struct sock_filter){.code = code, .jf = if_not, .k = k};
}

static void load(struct program *p, uint32_t offset)
{
    put(p, BPF_LD | BPF_W | BPF_ABS, offset, 0);
}

static void if_not_skip(struct program *p, uint32_t value, size_t n)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, value, (uint8_t)n);
}

static void answer(struct program *p, uint32_t what)
{
    put(p, BPF_RET | BPF_K, what, 0);
}

static bool is_whole(const struct condition *c)
{
    return c->mask == UINT32_MAX;
}

/* Instructions that one condition takes. */
static size_t length_of(const struct condition *c)
{
    return is_whole(c) ? 5 : 3;
}

/* `after` instructions follow this condition before the next row's first. */
static void put_condition(struct program *p, const struct condition *c, size_t after)
{
    uint32_t offset = OFF_ARGUMENTS + c->argument * 8u;

    load(p, offset);
    put(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0);
    if_not_skip(p, c->value, after + (is_whole(c) ? 2 : 0));
    if (is_whole(c)) {
        load(p, offset + 4);
        if_not_skip(p, 0, after);
    }
}

static void put_call(struct program *p, const struct call *call)
{
    struct condition c[MAX_CONDITIONS];
    size_t left = 1; /* the answer */

    for (size_t i = 0; i < call->n_conditions; i++) {
        left += length_of(&call->conditions[i]);
    }
    if_not_skip(p, call->number, left + (call->n_conditions > 0 ? 1 : 0));
    for (size_t i = 0; i < call->n_conditions; i++) {
        c[i] = call->conditions[i];
        c[i].value = call->self ? (uint32_t)getpid() : c[i].value;
        left -= length_of(&c[i]);
        put_condition(p, &c[i], left);
    }
    answer(p, SECCOMP_RET_ALLOW);
    if (call->n_conditions > 0) {
        load(p, OFF_NUMBER); /* a condition has loaded over it */
    }
}

static enum hws_code install(struct sock_filter *at, uint16_t n, struct hws_err *err)
{
    struct sock_fprog prog = {.len = n, .filter = at};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0) {
        return hws_err_set(err, HWS_E_IO, "seccomp (errno %d)", errno);
    }
    return HWS_OK;
}

enum hws_code hws_sandbox_no_rings(struct hws_err *err)
{
    static struct program p;

    p.n = 0;
    load(&p, OFF_NUMBER); /* the same number on every architecture, and ENOSYS harms none */
    if_not_skip(&p, SYS_IO_URING_SETUP, 1);
    answer(&p, SECCOMP_RET_ERRNO | ENOSYS);
    answer(&p, SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return hws_err_set(err, HWS_E_IO, "no_new_privs (errno %d)", errno);
    }
    return install(p.at, p.n, err);
}

enum hws_code hws_sandbox__seccomp(enum hws_sandbox_role role, bool starting, struct hws_err *err)
{
    unsigned ours = 1u << role | (starting ? START(1u << role) : 0u);
    static struct program p;

    p.n = 0;
    load(&p, OFF_ARCH);
    p.at[p.n++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OUR_ARCH};
    answer(&p, SECCOMP_RET_ERRNO | EPERM);
    load(&p, OFF_NUMBER);
    if_not_skip(&p, SYS_CLONE3, 1);
    answer(&p, SECCOMP_RET_ERRNO | ENOSYS);
    for (size_t i = 0; i < N_CALLS; i++) {
        if ((calls[i].roles & ours) != 0) {
            put_call(&p, &calls[i]);
        }
    }
    answer(&p, SECCOMP_RET_ERRNO | EPERM);
    hws_assert(p.n <= sizeof p.at / sizeof p.at[0]);
    return install(p.at, p.n, err);
}
