/*
 * The device process's own judgement of warrants: keys from a file of root's, and a memory of used
 * warrants in a folder that hawserd cannot write. Nothing that hawserd says is believed; without a
 * trust file every dangerous command is refused.
 *
 * The trust file is read at each use, so keys change without a restart. The memory is a file of
 * lines (warrant/spent.h), written out to the disk before the command runs: that blocks the loop
 * for one write, for the few commands it concerns. Thread rule: one thread.
 */
#ifndef HWS_DEVPROC_WARRANTS_H
#define HWS_DEVPROC_WARRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "gate/serve.h"
#include "warrant/spent.h"

#define HWS_WARRANTS_FILE       "used-warrants"
#define HWS_WARRANTS_PATH_BYTES 400u
#define HWS_WARRANTS_LOCKDOWN   "/sys/kernel/security/lockdown"
#define HWS_WARRANTS_FOLD_BYTES ((size_t)64 * 1024)   /* a longer memory is written anew at start */
#define HWS_WARRANTS_FILE_BYTES ((size_t)1024 * 1024) /* a longer one is refused */

struct hws_warrants {
    const char *trust;    /* path; borrowed; NULL: dangerous commands are off */
    const char *lockdown; /* path; borrowed */
    uint64_t (*now_s)(void);
    char path[HWS_WARRANTS_PATH_BYTES]; /* of the memory */
    char broken[HWS_ERR_MSG_BYTES];     /* why it cannot be used, or "" */
    int fd;                             /* owned; -1 = not open */
    struct hws_spent spent;
};

/*
 * Opens, or makes, the memory in the folder dir (made if it is not there). trust NULL: nothing is
 * opened. A memory that cannot be read whole is no error of the start: every dangerous command is
 * refused with the reason. HWS_E_INVALID: a path is too long.
 */
enum hws_code hws_warrants_open(struct hws_warrants *w, const char *trust, const char *dir,
                                struct hws_err *err) HWS_MUST_USE;
void hws_warrants_close(struct hws_warrants *w);

/* As hws_serve_io.authorize: judges, and if it is good remembers the use for good. HWS_E_DENIED,
 * HWS_E_BUSY, HWS_E_IO: not to be run. */
enum hws_code hws_warrants_use(struct hws_warrants *w, const struct hws_serve_danger *d,
                               struct hws_err *err) HWS_MUST_USE;

/* True if the trust file at path (NULL: none) can be read, is guarded and says "scope full". */
bool hws_warrants_full_scope(const char *trust);

#endif
