/* The scripted kernel; see fake_sys.h. */
#include "fake_sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/str.h"
#include "drv/fwctl_abi.h"
#include "test.h"

static const char *const names[] = {"open", "close", "info", "rpc", "readlink", "list"};

/* The next row if it is of that call; NULL and a note otherwise. Takes the lock. */
static const struct hws_fake_sys_row *next(struct hws_fake_sys *fake, enum hws_fake_sys_call call,
                                           const char *what)
{
    const struct hws_fake_sys_row *row = NULL;

    (void)pthread_mutex_lock(&fake->lock);
    if (fake->at < fake->n_rows && fake->rows[fake->at].call == call) {
        row = &fake->rows[fake->at++];
    } else if (fake->wrong[0] == 0) {
        (void)hws_str_print(fake->wrong, sizeof fake->wrong, "call %zu: unexpected %s %s", fake->at,
                            names[call], what);
    }
    return row;
}

static void mismatch(struct hws_fake_sys *fake, const char *what)
{
    if (fake->wrong[0] == 0) {
        (void)hws_str_print(fake->wrong, sizeof fake->wrong, "call %zu: wrong %s", fake->at - 1,
                            what);
    }
}

/* Waits at the gate if the row says so, then gives the lock back and the result. */
static int answer(struct hws_fake_sys *fake, const struct hws_fake_sys_row *row)
{
    int result = row != NULL ? row->result : -EPROTO;

    if (row != NULL && row->block) {
        fake->n_blocked++;
        while (!fake->gate_open) {
            (void)pthread_cond_wait(&fake->gate, &fake->lock);
        }
        fake->n_blocked--;
    }
    (void)pthread_mutex_unlock(&fake->lock);
    return result;
}

static int fake_open(void *data, const char *path)
{
    struct hws_fake_sys *fake = data;
    const struct hws_fake_sys_row *row = next(fake, HWS_FAKE_SYS_OPEN, path);

    if (row != NULL && !hws_str_eq(row->path, path)) {
        mismatch(fake, "path");
    }
    return answer(fake, row);
}

static int fake_close(void *data, int fd)
{
    struct hws_fake_sys *fake = data;
    const struct hws_fake_sys_row *row = next(fake, HWS_FAKE_SYS_CLOSE, "");

    if (row != NULL && row->fd != fd) {
        mismatch(fake, "descriptor");
    }
    return answer(fake, row);
}

static void *pointer_of(uint64_t address)
{
    void *p;
    uintptr_t value = (uintptr_t)address;

    memcpy(&p, &value, sizeof p);
    return p;
}

static void do_info(struct hws_fake_sys *fake, const struct hws_fake_sys_row *row,
                    struct hws_fwctl_info *info)
{
    if (info->size != sizeof *info || info->flags != 0 || info->device_data_len != 8) {
        mismatch(fake, "info struct");
    }
    info->out_device_type = row->type;
    if (row->bytes != NULL) {
        memcpy(pointer_of(info->out_device_data), row->bytes, row->n_bytes);
    }
}

static void do_rpc(struct hws_fake_sys *fake, const struct hws_fake_sys_row *row,
                   struct hws_fwctl_rpc *rpc)
{
    const uint8_t *in = pointer_of(rpc->in);

    if (rpc->size != sizeof *rpc || rpc->scope != row->scope || rpc->in_len != row->in_len ||
        rpc->out_len != row->out_len) {
        mismatch(fake, "rpc struct");
    } else if (hws_load_be16(in) != row->opcode) {
        mismatch(fake, "opcode");
    } else if (row->result == 0) {
        rpc->out_len = row->produced != 0 ? row->produced : rpc->out_len;
        if (row->bytes != NULL) {
            memcpy(pointer_of(rpc->out), row->bytes, row->n_bytes);
        }
    }
}

static int fake_ioctl(void *data, int fd, unsigned long request, void *arg)
{
    struct hws_fake_sys *fake = data;
    bool is_info = request == 0x9A00; /* include/uapi/fwctl/fwctl.h, written here once more */
    const struct hws_fake_sys_row *row =
        next(fake, is_info ? HWS_FAKE_SYS_INFO : HWS_FAKE_SYS_RPC, "");

    if (!is_info && request != 0x9A01) {
        mismatch(fake, "request");
    }
    if (row != NULL && row->fd != fd) {
        mismatch(fake, "descriptor");
    }
    if (row != NULL && is_info) {
        do_info(fake, row, arg);
    } else if (row != NULL) {
        do_rpc(fake, row, arg);
    }
    return answer(fake, row);
}

static int fake_bytes(struct hws_fake_sys *fake, enum hws_fake_sys_call call, const char *path,
                      char *out, size_t cap)
{
    const struct hws_fake_sys_row *row = next(fake, call, path);

    if (row != NULL && !hws_str_eq(row->path, path)) {
        mismatch(fake, "path");
    }
    if (row != NULL && row->bytes != NULL && row->n_bytes <= cap) {
        memcpy(out, row->bytes, row->n_bytes);
    }
    return answer(fake, row);
}

static int fake_readlink(void *data, const char *path, char *out, size_t cap)
{
    return fake_bytes(data, HWS_FAKE_SYS_READLINK, path, out, cap);
}

static int fake_list(void *data, const char *path, char *out, size_t cap)
{
    return fake_bytes(data, HWS_FAKE_SYS_LIST, path, out, cap);
}

void hws_fake_sys_init(struct hws_fake_sys *fake, const struct hws_fake_sys_row *rows,
                       size_t n_rows)
{
    memset(fake, 0, sizeof *fake);
    fake->sys = (struct hws_sys){.open = fake_open,
                                 .close = fake_close,
                                 .ioctl = fake_ioctl,
                                 .readlink = fake_readlink,
                                 .list = fake_list,
                                 .data = fake};
    fake->rows = rows;
    fake->n_rows = n_rows;
    assert_int_equal(pthread_mutex_init(&fake->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&fake->gate, NULL), 0);
}

void hws_fake_sys_open_gate(struct hws_fake_sys *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->gate_open = true;
    (void)pthread_cond_broadcast(&fake->gate);
    (void)pthread_mutex_unlock(&fake->lock);
}

unsigned hws_fake_sys_n_blocked(struct hws_fake_sys *fake)
{
    unsigned n;

    (void)pthread_mutex_lock(&fake->lock);
    n = fake->n_blocked;
    (void)pthread_mutex_unlock(&fake->lock);
    return n;
}

void hws_fake_sys_check(struct hws_fake_sys *fake)
{
    if (fake->wrong[0] != 0) {
        fail_msg("%s", fake->wrong);
    }
    if (fake->at != fake->n_rows) {
        fail_msg("%zu of %zu scripted calls were not made", fake->n_rows - fake->at, fake->n_rows);
    }
    (void)pthread_mutex_destroy(&fake->lock);
    (void)pthread_cond_destroy(&fake->gate);
}
