/*
 * What hawser-emu and hawser-dev have in common: one lock file, one connection to hawserd that is
 * made again every 20 ms when it breaks, one poll loop around hws_serve, and an orderly end on
 * SIGTERM, SIGINT or the keeper's DRAIN.
 *
 * Thread rule: one thread, the caller's. SIGTERM and SIGINT are blocked by open and read from a
 * descriptor, so open comes before any thread is started.
 */
#ifndef HWS_DEVPROC_PROCESS_H
#define HWS_DEVPROC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "common/notify.h"
#include "devproc/warrants.h"
#include "gate/serve.h"

#define HWS_DEVPROC_RECONNECT_MS 20u
#define HWS_DEVPROC_CLOSE_WAIT_MS                                                                  \
    2000u /* for channels to close; a stuck ioctl may never return                                 \
           */
#define HWS_DEVPROC_MAX_FDS 96u

struct hws_devproc_config {
    const char *name;        /* "hawser-emu"; borrowed */
    const char *build_id;    /* borrowed */
    const char *socket_path; /* of hawserd; borrowed */
    const char *lock_path;   /* held for life; borrowed */
    const char *trust_path;  /* keys for dangerous commands; borrowed; NULL: there are none */
    const char *memory_dir;  /* of used warrants; borrowed; with trust_path */
    /* Lets the program's own objects act, control channels that are not UP among them. Returns the
     * next time it wants to be called. */
    uint64_t (*turn)(void *data, uint64_t now_ms);
    /* Fills out[cap] with descriptors whose being readable makes turn due; returns how many. */
    size_t (*fds)(void *data, int *out, size_t cap);
    /* Begins to close every control channel; turn goes on being called. */
    void (*close)(void *data);
    bool (*closed)(void *data);
    void *data; /* borrowed */
};

struct hws_devproc {
    struct hws_devproc_config config;
    struct hws_serve serve; /* the program adds its adapters here */
    struct hws_warrants warrants;
    struct hws_notify notify; /* of the service manager */
    uint64_t alive_ms;        /* when to tell it next that we live */
    int lock_fd;              /* owned */
    int signal_fd;            /* owned */
    int sock_fd;              /* owned; -1 = not connected */
    uint64_t connect_ms;      /* not before */
    uint64_t close_by_ms;     /* UINT64_MAX until the channels are being closed */
    bool stopping;
    uint8_t packet[HWS_LINK_MAX_BYTES];
};

/* Takes the lock, blocks the signals. HWS_E_STATE: another device process runs here. HWS_E_IO. */
enum hws_code hws_devproc_open(struct hws_devproc *p, const struct hws_devproc_config *config,
                               struct hws_err *err) HWS_MUST_USE;

/* Serves until told to stop. True: every channel is closed and deinit may be called. False: one
 * could not be closed in time (a stuck ioctl); exit without deinit. */
bool hws_devproc_run(struct hws_devproc *p);

void hws_devproc_deinit(struct hws_devproc *p);

#endif
