/*
 * The system calls of hawser-dev answered by a folder instead of a kernel: HAWSER_SCRIPTED_KERNEL
 * names it. Each file dev/fwctlN there is a node; its one line is "PCI-ADDRESS PROFILE". Behind
 * each is an emulated adapter, reached through the command queue, as a driver would.
 *
 *   dev/fwctlN removed    the node is gone from sysfs, and what has it open gets ENODEV
 *   hang-fwctlN exists    a command in it does not return until the file is gone, whatever happens
 *   lost-fwctlN exists    it then returns ETIMEDOUT and is not executed
 *
 * The descriptors are real ones, of those files. Any thread; a card serves one command at a time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmdq/bringup.h"
#include "cmdq/queue.h"
#include "ctl/run.h"
#include "drv/fwctl_abi.h"
#include "drv/sys.h"
#include "emu/port.h"
#include "emu/profile.h"

#define MAX_CARDS 8u
#define PATH      512u

struct card {
    ino_t ino; /* of the node's file; 0 = unused */
    char name[32];
    struct hws_emu_profile profile;
    struct hws_emu_port port;
    struct hws_cmdq queue;
    struct hws_cmdq_bringup bringup;
    pthread_mutex_t lock;
    bool done;
};

static struct card cards[MAX_CARDS];
static pthread_mutex_t cards_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *folder(void)
{
    const char *dir = getenv("HAWSER_SCRIPTED_KERNEL");

    hws_assert(dir != NULL);
    return dir;
}

static bool exists(const char *what, const char *name)
{
    char path[PATH];

    return hws_str_print(path, sizeof path, "%s/%s-%s", folder(), what, name) &&
           access(path, F_OK) == 0;
}

/* ---- a card ---- */

static void call_done(struct hws_ctl_call *call)
{
    ((struct card *)call->data)->done = true;
}

/* One command to its end; its result in call->err. */
static enum hws_code run(struct card *card, struct hws_ctl_call *call)
{
    call->cb = call_done;
    call->data = card;
    card->done = false;
    enum hws_code code = hws_cmdq_submit(&card->queue, call, &call->err);
    while (code == HWS_OK && !card->done) {
        (void)hws_cmdq_turn(&card->queue, hws_ctl_now_ms());
    }
    return code == HWS_OK ? call->err.code : code;
}

static bool bring_up(struct card *card)
{
    struct hws_err err;

    while (hws_cmdq_open(&card->queue, &card->port.bar, NULL, hws_ctl_now_ms(), &err) ==
           HWS_E_STATE) {
        (void)poll(NULL, 0, 1);
    }
    hws_cmdq_bringup_init(&card->bringup, &card->port.bar, NULL, HWS_UCTX_CAP_TOOLS, 0);
    for (;;) {
        struct hws_ctl_call call = {0};
        enum hws_step step = hws_cmdq_bringup_next(&card->bringup, hws_ctl_now_ms(), &call);
        if (step != HWS_STEP_CALL) {
            hws_cmdq_set_uid(&card->queue, card->bringup.card.uid);
            return step == HWS_STEP_DONE;
        }
        (void)run(card, &call);
        hws_cmdq_bringup_feed(&card->bringup, &call);
    }
}

static size_t read_text(const char *path, char *text, size_t cap)
{
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, cap - 1, f) : 0;

    if (f != NULL) {
        (void)fclose(f);
    }
    text[n] = '\0';
    return n;
}

/* "PCI PROFILE" of a node. False: there is no such node. */
static bool read_node(const char *name, char pci[32], char profile[PATH])
{
    char path[PATH];
    char line[PATH];

    return hws_str_print(path, sizeof path, "%s/dev/%s", folder(), name) &&
           read_text(path, line, sizeof line) > 0 && sscanf(line, "%31s %511s", pci, profile) == 2;
}

static bool power_on(struct card *card, ino_t ino, const char *name)
{
    static char text[HWS_EMU_PROFILE_MAX_BYTES];
    char pci[32];
    char profile[PATH];
    struct hws_err err;

    if (!read_node(name, pci, profile)) {
        return false;
    }
    size_t n = read_text(profile, text, sizeof text);
    if (hws_emu_profile_parse(text, n, &card->profile, &err) != HWS_OK ||
        hws_emu_port_init(&card->port, &card->profile, NULL, NULL, 0, hws_ctl_now_ms(), &err) !=
            HWS_OK ||
        pthread_mutex_init(&card->lock, NULL) != 0 || !bring_up(card)) {
        return false;
    }
    (void)hws_str_copy(card->name, sizeof card->name, name);
    card->ino = ino;
    return true;
}

static struct card *card_of(int fd, const char *name)
{
    struct card *found = NULL;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return NULL;
    }
    (void)pthread_mutex_lock(&cards_lock);
    for (size_t i = 0; i < MAX_CARDS && found == NULL; i++) {
        if (cards[i].ino == st.st_ino) {
            found = &cards[i];
        } else if (cards[i].ino == 0 && name != NULL) {
            found = power_on(&cards[i], st.st_ino, name) ? &cards[i] : NULL;
            break;
        } else if (cards[i].ino == 0) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&cards_lock);
    return found;
}

/* ---- the calls ---- */

static int sys_open(void *data, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char file[PATH];

    (void)data;
    if (!hws_str_print(file, sizeof file, "%s/dev/%s", folder(), name)) {
        return -ENAMETOOLONG;
    }
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (card_of(fd, name) == NULL) {
        (void)close(fd);
        return -EIO;
    }
    return fd;
}

static int sys_close(void *data, int fd)
{
    (void)data;
    return close(fd) == 0 ? 0 : -errno;
}

/* A pointer that came as a number, as the kernel's interface has it. */
static void *pointer_of(uint64_t address)
{
    uintptr_t value = (uintptr_t)address;
    void *p;

    memcpy(&p, &value, sizeof p);
    return p;
}

static int rpc(struct card *card, struct hws_fwctl_rpc *rpc)
{
    struct hws_ctl_call call = {.in = pointer_of(rpc->in),
                                .in_bytes = rpc->in_len,
                                .out = pointer_of(rpc->out),
                                .out_cap_bytes = rpc->out_len,
                                .scope = (uint8_t)rpc->scope,
                                .deadline_ms = hws_ctl_now_ms() + 60000};
    bool waited = false;

    while (exists("hang", card->name)) {
        waited = true;
        (void)poll(NULL, 0, 2);
    }
    if (waited && exists("lost", card->name)) {
        return -ETIMEDOUT;
    }
    (void)pthread_mutex_lock(&card->lock);
    (void)run(card, &call);
    (void)pthread_mutex_unlock(&card->lock);
    return call.err.code == HWS_OK || call.err.stage == HWS_STAGE_EXECUTED ? 0 : -EIO;
}

static int sys_ioctl(void *data, int fd, unsigned long request, void *arg)
{
    struct card *card = card_of(fd, NULL);
    struct stat st;

    (void)data;
    if (card == NULL || fstat(fd, &st) != 0 || st.st_nlink == 0) {
        return -ENODEV;
    }
    if (request == HWS_FWCTL_INFO) {
        ((struct hws_fwctl_info *)arg)->out_device_type = HWS_FWCTL_TYPE_MLX5;
        return 0;
    }
    return request == HWS_FWCTL_RPC ? rpc(card, arg) : -ENOTTY;
}

static int sys_readlink(void *data, const char *path, char *out, size_t cap)
{
    char name[32] = "";
    char pci[32];
    char profile[PATH];

    (void)data;
    if (sscanf(path, "/sys/class/fwctl/%31[^/]/device", name) != 1 ||
        !read_node(name, pci, profile)) {
        return -ENOENT;
    }
    return hws_str_print(out, cap, "../../../%s", pci) ? (int)strlen(out) : -ENAMETOOLONG;
}

/* The names in dev/, each with a NUL. */
static int sys_list(void *data, const char *path, char *out, size_t cap)
{
    char dir[PATH];
    const struct dirent *entry;
    size_t at = 0;

    (void)data;
    (void)path;
    (void)hws_str_print(dir, sizeof dir, "%s/dev", folder());
    DIR *d = opendir(dir);
    if (d == NULL) {
        return -errno;
    }
    while ((entry = readdir(d)) != NULL) {
        size_t n = strlen(entry->d_name) + 1;
        if (entry->d_name[0] != '.' && n <= cap - at) {
            memcpy(out + at, entry->d_name, n);
            at += n;
        }
    }
    (void)closedir(d);
    return (int)at;
}

const struct hws_sys *hws_sys_real(void)
{
    static char host[PATH]; /* the script, and beside it the profiles */
    static const struct hws_sys_root roots[] = {{host, true}, {NULL, false}};
    static const struct hws_sys scripted = {.roots = roots,
                                            .open = sys_open,
                                            .close = sys_close,
                                            .ioctl = sys_ioctl,
                                            .readlink = sys_readlink,
                                            .list = sys_list};
    const char *last = strrchr(folder(), '/');

    (void)hws_str_copy_n(host, sizeof host, folder(), (size_t)(last - folder()));
    return &scripted;
}
