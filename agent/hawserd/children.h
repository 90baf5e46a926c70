/*
 * The other two processes: started when their lock is free, adopted by HELLO when it is held,
 * restarted when they die (child.h decides when), stopped at the end.
 *
 * They run in sessions of their own and outlive hawserd. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_CHILDREN_H
#define HWS_HAWSERD_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "hawserd/child.h"
#include "hawserd/config.h"
#include "hawserd/options.h"
#include "hawserd/spawner.h"
#include "link/hello.h"

#define HWS_CHILDREN_PATH_BYTES 512u
#define HWS_CHILDREN_MAX_ARGS   (64u + 2 * HWS_CONFIG_MAX_LIMITS)
#define HWS_CHILDREN_REAP_MS    1000u /* from the end of the connection to the exit, usually */
#define HWS_CHILDREN_MAX_LEFT   8u    /* processes that the kernel does not let end, of one role */

struct hws_agent;
struct hws_children;

struct hws_process {
    struct hws_children *all;
    const char *name; /* "hawser-wire" */
    enum hws_link_role role;
    struct hws_child child;
    char program[HWS_CHILDREN_PATH_BYTES];
    char lock[HWS_CHILDREN_PATH_BYTES];      /* lock file */
    const char *args[HWS_CHILDREN_MAX_ARGS]; /* ends with NULL; borrowed from the texts below */
    unsigned number;                         /* at the spawner: 0 wire, 1 device */
    bool spawned; /* we asked for its start, and it has neither failed nor ended since */
    int pid;      /* of what we started; 0 until the spawner has said so */
    int left[HWS_CHILDREN_MAX_LEFT]; /* pids: replaced, but not reaped yet; 0 = none */
    int foreign; /* pid of the last one that came and that another hawserd had started; 0 = none */
};

struct hws_children {
    struct hws_agent *agent; /* borrowed */
    struct hws_process wire;
    struct hws_process device;
    struct hws_spawner spawner;
    uv_poll_t poll;   /* watches the spawner */
    uv_timer_t timer; /* runs only while somebody is away or started */
    bool open;
    bool stopping;
    char socket[HWS_CHILDREN_PATH_BYTES];   /* RUN/hawserd.sock */
    char wire_dir[HWS_CHILDREN_PATH_BYTES]; /* RUN/wire: hawser-wire may write here, not in RUN */
    char local[HWS_CHILDREN_PATH_BYTES];    /* RUN/wire/hawser.sock */
    char control[HWS_CHILDREN_PATH_BYTES];  /* RUN/emu.control: faults for emulated adapters */
};

/* Where a program of ours is: --bin-dir, or beside our own executable. false if it does not fit. */
bool hws_children_program(const struct hws_options *options, const char *name, char *dst,
                          size_t cap);

/* Finds programs and makes their arguments, and forks the spawner; starts none of them. To be
 * called before the sandbox is entered. HWS_E_INVALID: a path is too long; HWS_E_IO. */
enum hws_code hws_children_open(struct hws_children *c, struct hws_agent *agent,
                                struct hws_err *err) HWS_MUST_USE;

/* Starts what is not there. */
void hws_children_start(struct hws_children *c);

/* HELLO came; the connection of a role ended. */
void hws_children_hello(struct hws_children *c, const struct hws_link_hello *hello);
void hws_children_lost(struct hws_children *c, enum hws_link_role role, const struct hws_err *why);

/* True while a device process has lost its connection and has not ended (one that we started: has
 * not been reaped): the kernel may still be at work for it. */
bool hws_children_device_lingers(const struct hws_children *c);

/* Whether the device process can be seen to end: ours, or one that was adopted. */
bool hws_children_device_is_watched(const struct hws_children *c);

/* No restarts from now on. */
void hws_children_stop(struct hws_children *c);

/* True while one of them holds its lock. */
bool hws_children_running(const struct hws_children *c);

/* Tells hawser-wire, if it is connected, to read its certificates again. */
void hws_children_reload(struct hws_children *c);

/* Kills what is still connected or was started by us. */
void hws_children_kill(struct hws_children *c, int signal);

/* Closes handles. */
void hws_children_close(struct hws_children *c);

#endif
