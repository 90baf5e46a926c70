/*
 * Tells when files come, go or change their mode in one folder that may itself come and go, as
 * /dev/fwctl does. What there is then is for somebody else to look up: events may be lost, so this
 * only makes a look due earlier.
 *
 * Thread rule: the owner's thread.
 */
#ifndef HWS_DRV_WATCH_H
#define HWS_DRV_WATCH_H

#include <stdbool.h>

#include "base/err.h"

struct hws_watch {
    int fd;           /* owned; readable when something happened; -1 = not open */
    char dir[128];    /* the folder */
    const char *name; /* its last part, in dir */
    int dir_wd;       /* -1 while it is not there */
};

/* dir is an absolute path whose parent exists. HWS_E_INVALID: it is not; HWS_E_IO: the kernel gives
 * no watch. A failed open needs no undo. */
enum hws_code hws_watch_open(struct hws_watch *w, const char *dir, struct hws_err *err)
    HWS_MUST_USE;

/* Takes what has happened; true if a look is due. */
bool hws_watch_changed(struct hws_watch *w);

/* Accepts one whose fd is -1. */
void hws_watch_close(struct hws_watch *w);

#endif
