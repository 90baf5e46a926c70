/*
 * hawser-wire's certificates: the bundle in use, and how the next one takes its place.
 *
 * A new bundle is looked for when a file or its folder changes (inotify, quiet for
 * HWS_CERTS_QUIET_MS, so that certificate, key and CA may be written one after the other or swapped
 * by a symlink), and when told to (SIGHUP, which hawserd passes on, and RELOAD, which it sends for
 * AgentService.Reload and which is answered). It takes over only if it loads, is valid for an hour
 * more and shakes hands with itself; otherwise the one in use stays, and the reason is logged once
 * per content. What the system kept us from (a file that cannot be read, no memory) is tried again
 * every HWS_CERTS_AGAIN_MS, and where a folder cannot be watched its files are looked at every
 * HWS_CERTS_CHECK_MS. Connections keep the bundle that they began with; those whose peer the new
 * lists name are closed by the listener.
 *
 * Thread rule: the loop thread.
 */
#ifndef HWS_WIRE_CERTS_H
#define HWS_WIRE_CERTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <uv.h>

#include "base/err.h"
#include "options.h"
#include "tls/bundle.h"
#include "tls/rng.h"

#define HWS_CERTS_QUIET_MS  200u   /* after the last change, before the files are read */
#define HWS_CERTS_AGAIN_MS  2000u  /* after a load that the system failed, before the next */
#define HWS_CERTS_CHECK_MS  30000u /* how often the age of revocation lists is looked at */
#define HWS_CERTS_MAX_FILES (5u + HWS_TLS_MAX_TRUST)

/* Why the files were read again. */
enum hws_certs_trigger {
    HWS_CERTS_BY_WATCH,  /* a file or its folder changed */
    HWS_CERTS_BY_SIGNAL, /* SIGHUP */
    HWS_CERTS_BY_RELOAD, /* AgentService.Reload */
    HWS_CERTS_N_TRIGGERS
};

/* What tells two states of a file apart without reading it. */
struct hws_certs_mark {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    struct timespec changed;
};

struct hws_certs {
    uv_loop_t *loop;                        /* borrowed */
    const struct hws_wire_options *options; /* borrowed */
    struct hws_tls_rng *rng;                /* owned */
    struct hws_tls_bundle *bundle;          /* owned reference */
    const char *files[HWS_CERTS_MAX_FILES]; /* of the options */
    size_t n_files;
    struct hws_certs_mark marks[HWS_CERTS_MAX_FILES]; /* at the last load, good or not */
    uv_fs_event_t watches[HWS_CERTS_MAX_FILES];       /* of folders */
    size_t n_watches;
    uv_timer_t quiet;
    uv_timer_t check;
    enum hws_tls_freshness freshness;    /* as logged last */
    uint64_t n_loaded;                   /* bundles that took over */
    uint64_t n_refused;                  /* that did not */
    uint64_t n_by[HWS_CERTS_N_TRIGGERS]; /* times the files were read again, for what */
    bool can_wait;                       /* no bundle, and files that may change */
    bool watching;
    bool again;                  /* the last load failed by the system, not by what a file holds */
    bool unwatched;              /* a folder cannot be watched */
    void (*changed)(void *data); /* a new bundle, or another freshness */
    void *data;
};

#define HWS_WIRE_EXIT_TLS 78 /* of --check: EX_CONFIG of sysexits.h */

/* Loads and proves the bundle of these files and drops it: HWS_OK, or why a start with them could
 * not listen: the file, what is wrong with it, what to do. */
enum hws_code hws_certs_check(const struct hws_wire_options *options, struct hws_err *err)
    HWS_MUST_USE;

/* Loads and proves the first bundle. HWS_E_INVALID naming the file, HWS_E_IO, HWS_E_NOMEM. Close
 * and deinit are due also after a failure. Where can_wait is set after one, it is for the files
 * alone: hws_certs_watch may follow, and the bundle is NULL until they load. */
enum hws_code hws_certs_open(struct hws_certs *c, uv_loop_t *loop,
                             const struct hws_wire_options *options, struct hws_err *err)
    HWS_MUST_USE;

/* Begins to watch; changed is called on the loop, not inside. */
void hws_certs_watch(struct hws_certs *c, void (*changed)(void *data), void *data);

/* Looks at the files now, changed or not. HWS_OK if a new bundle took over, else why not (logged).
 */
enum hws_code hws_certs_reload(struct hws_certs *c, enum hws_certs_trigger by, struct hws_err *err)
    HWS_MUST_USE;

/* "watch", "signal", "reload". */
const char *hws_certs_trigger_name(enum hws_certs_trigger by);

/* Closes handles; the loop must turn once before deinit. */
void hws_certs_close(struct hws_certs *c);

/* Frees the rest, after the last connection; accepts a zeroed one. */
void hws_certs_deinit(struct hws_certs *c);

#endif
