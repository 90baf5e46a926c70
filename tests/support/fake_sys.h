/*
 * A scripted kernel behind struct hws_sys: a table of the calls that are expected, in order, with
 * their replies. A call that is not the next one is noted and answered with -EPROTO;
 * hws_fake_sys_check fails the test if there was one, or if a row is left over.
 *
 * Calls may come from worker threads (they are serialised). A row with `block` waits until the test
 * opens the gate; other calls go on meanwhile, from the next row.
 */
#ifndef HWS_TESTS_FAKE_SYS_H
#define HWS_TESTS_FAKE_SYS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drv/sys.h"

#define HWS_FAKE_SYS_MAX 64u

enum hws_fake_sys_call {
    HWS_FAKE_SYS_OPEN,
    HWS_FAKE_SYS_CLOSE,
    HWS_FAKE_SYS_INFO,
    HWS_FAKE_SYS_RPC,
    HWS_FAKE_SYS_READLINK,
    HWS_FAKE_SYS_LIST
};

struct hws_fake_sys_row {
    enum hws_fake_sys_call call;
    const char *path;  /* expected; open, readlink, list */
    int fd;            /* expected; close, info, rpc */
    uint32_t scope;    /* expected; rpc */
    uint32_t in_len;   /* expected; rpc */
    uint32_t out_len;  /* expected; rpc */
    uint16_t opcode;   /* expected in the inbox; rpc */
    bool block;        /* waits for the gate before it answers */
    int result;        /* what comes back */
    const void *bytes; /* written to the caller: link text, names, outbox */
    size_t n_bytes;
    uint32_t type;     /* info: device type */
    uint32_t produced; /* rpc: out_len that comes back; 0 = as asked for */
};

struct hws_fake_sys {
    struct hws_sys sys;                  /* what the code under test gets */
    const struct hws_fake_sys_row *rows; /* borrowed */
    size_t n_rows;
    size_t at;
    bool gate_open;
    unsigned n_blocked;
    char wrong[256]; /* the first call that was not expected */
    pthread_mutex_t lock;
    pthread_cond_t gate;
};

/* Starts a script; rows are borrowed. */
void hws_fake_sys_init(struct hws_fake_sys *fake, const struct hws_fake_sys_row *rows,
                       size_t n_rows);

/* Lets blocked calls, and those to come, go on. */
void hws_fake_sys_open_gate(struct hws_fake_sys *fake);

/* Calls that wait at the gate now. */
unsigned hws_fake_sys_n_blocked(struct hws_fake_sys *fake);

/* Fails the test unless the script was followed to its end. */
void hws_fake_sys_check(struct hws_fake_sys *fake);

#endif
