/* The steps of hws_sandbox_enter. */
#ifndef HWS_SANDBOX_SANDBOX_PRIV_H
#define HWS_SANDBOX_SANDBOX_PRIV_H

#include "sandbox/sandbox.h"

/* A sanitizer's runtime takes more than the program: it looks for leaks with a process of its own,
 * which reads /proc. Builds with one are for tests. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HWS_SANDBOX__SANITIZED 1
#else
#define HWS_SANDBOX__SANITIZED 0
#endif

/* Drops every capability that is not in keep and forbids new ones. HWS_E_IO. */
enum hws_code hws_sandbox__drop_capabilities(uint64_t keep, uint64_t *out_left, struct hws_err *err)
    HWS_MUST_USE;

/* Restricts files, TCP and signals; *out_abi is what is in force (0: the kernel has none). */
enum hws_code hws_sandbox__landlock(const struct hws_sandbox *s, int *out_abi, int *out_kernel_abi,
                                    struct hws_err *err) HWS_MUST_USE;

/* Installs the role's filter for all threads, with what it may do while it starts, or without.
 * HWS_E_IO. */
enum hws_code hws_sandbox__seccomp(enum hws_sandbox_role role, bool starting, struct hws_err *err)
    HWS_MUST_USE;

#endif
