/*
 * hawser-dev: the device process for real adapters through the kernel's fwctl. It needs to open
 * /dev/fwctl/ nodes and nothing else: no network, no capability, but for CAP_SYS_RAWIO, which the
 * kernel wants for scope 3: that stays if its unit's drop-in grants it and root's trust file says
 * "scope full". Without any node it serves no adapter and goes on looking.
 *
 * Exit status: 0 after SIGTERM, 1 if it could not start, 2 for a bad command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "devproc/process.h"
#include "devproc/warrants.h"
#include "drv/sys.h"
#include "nodes.h"
#include "sandbox/sandbox.h"

static const char help[] =
    "Usage: hawser-dev --socket PATH --lock PATH [--trust FILE --memory DIR] [--state-dir DIR]\n"
    "The device process of Hawser for adapters behind the kernel's fwctl: finds /dev/fwctl nodes\n"
    "and serves them to hawserd.\n"
    "\n"
    "      --socket PATH    hawserd's socket; tried again every 20 ms while it is away\n"
    "      --lock PATH      held for life, so that there is one device process only\n"
    "      --trust FILE     whose keys sign dangerous commands here (decision record 10); root's;\n"
    "                       without it there are none\n"
    "      --memory DIR     where used warrants are remembered; not hawserd's\n"
    "      --state-dir DIR  accepted as for hawser-emu; cards keep their own state\n"
    "      --help           this text\n"
    "      --version        the version\n"
    "\n"
    "Example:\n"
    "  hawser-dev --socket run/hawserd.sock --lock run/dev.lock\n";

#define NODES "/dev/fwctl"

struct program {
    struct hws_devproc process;
    struct stat walled; /* the folder of the nodes as it was when the sandbox was entered */
    bool restarting;
    struct hws_watch watch;
    struct hws_nodes nodes;
};

/* Landlock binds to the folder, not to its name: when the kernel makes a new one (the last adapter
 * has gone and one has come), only a new process can open what is in it. */
static void check_folder(struct program *p)
{
    struct stat st;

    if (!p->restarting && stat(NODES, &st) == 0 &&
        (st.st_dev != p->walled.st_dev || st.st_ino != p->walled.st_ino)) {
        hws_log("restarting", "reason=\"%s is new; hawserd starts us again\"", NODES);
        p->restarting = true;
        p->process.stopping = true;
    }
}

static uint64_t turn(void *data, uint64_t now_ms)
{
    struct program *p = data;

    check_folder(p);
    return hws_nodes_turn(&p->nodes, now_ms);
}

static size_t fds(void *data, int *out, size_t cap)
{
    return hws_nodes_fds(&((struct program *)data)->nodes, out, cap);
}

static void close_nodes(void *data)
{
    hws_nodes_close(&((struct program *)data)->nodes);
}

static bool nodes_closed(void *data)
{
    return hws_nodes_closed(&((struct program *)data)->nodes);
}

/* What the command line says. */
struct options {
    const char *socket_path;
    const char *lock_path;
    const char *trust_path;
    const char *memory_dir;
};

/* Files: the nodes and what says which there are; keys to read, and the memory of their use to
 * write. Its lock is open already. */
static enum hws_code enter_sandbox(struct program *p, const struct options *o, struct hws_err *err)
{
    static struct hws_sandbox box = {.role = HWS_SANDBOX_DEV};
    struct hws_sandbox_report report;
    struct hws_log_q quoted;
    char text[HWS_SANDBOX_TEXT_BYTES];

    box.keep = hws_warrants_full_scope(o->trust_path) ? HWS_SANDBOX_RAWIO : 0;
    (void)stat(NODES, &p->walled); /* none: zero, so that any folder is a new one */
    for (const struct hws_sys_root *r = hws_sys_real()->roots; r->path != NULL; r++) {
        hws_sandbox_allow(&box, r->path, r->nodes ? HWS_SANDBOX_DEVICE : HWS_SANDBOX_READ);
    }
    hws_sandbox_allow_folder_of(&box, o->trust_path, HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, o->memory_dir, HWS_SANDBOX_WRITE);
    hws_sandbox_allow(&box, "/sys/kernel/security", HWS_SANDBOX_READ);
    enum hws_code code = hws_sandbox_enter(&box, &report, err);
    if (code == HWS_OK) {
        hws_sandbox_note(&report, p->process.lock_fd);
        hws_sandbox_text(&report, text, sizeof text);
        hws_log("sandbox", "state=%s", hws_log_q(&quoted, text));
    }
    return code;
}

static int serve(struct program *p, const struct options *o)
{
    struct hws_devproc_config config = {.name = "hawser-dev",
                                        .build_id = HWS_VERSION,
                                        .socket_path = o->socket_path,
                                        .lock_path = o->lock_path,
                                        .trust_path = o->trust_path,
                                        .memory_dir = o->memory_dir,
                                        .turn = turn,
                                        .fds = fds,
                                        .close = close_nodes,
                                        .closed = nodes_closed,
                                        .data = p};
    struct hws_log_q quoted;
    struct hws_err err;

    if (hws_devproc_open(&p->process, &config, &err) != HWS_OK ||
        enter_sandbox(p, o, &err) != HWS_OK) {
        hws_log("start_failed", "reason=%s", hws_log_q(&quoted, err.msg));
        return 1;
    }
    bool watched = hws_watch_open(&p->watch, "/dev/fwctl", &err) == HWS_OK;
    if (!watched) {
        hws_log("not_watched", "reason=%s next_look_ms=%u", hws_log_q(&quoted, err.msg),
                HWS_NODES_SCAN_MS);
    }
    hws_nodes_init(&p->nodes, hws_sys_real(), watched ? &p->watch : NULL, &p->process.serve);
    hws_log("serving", "socket=%s", o->socket_path);
    if (hws_devproc_run(&p->process)) {
        hws_devproc_deinit(&p->process);
        hws_nodes_deinit(&p->nodes);
        hws_watch_close(&p->watch);
    }
    hws_log("stopped", "socket=%s", o->socket_path);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option table[] = {
        {"socket", required_argument, NULL, 's'},    {"lock", required_argument, NULL, 'l'},
        {"trust", required_argument, NULL, 't'},     {"memory", required_argument, NULL, 'm'},
        {"state-dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},         {NULL, 0, NULL, 0},
    };
    /* Static: it lives as long as the process, also when a worker is stuck at the end. */
    static struct program program;
    struct options o = {.socket_path = NULL};
    int option;

    hws_log_open("hawser-dev");
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'h') {
            return fputs(help, stdout) < 0 ? 1 : 0;
        }
        if (option == 'V') {
            return puts("hawser-dev " HWS_VERSION) < 0 ? 1 : 0;
        }
        o.socket_path = option == 's' ? optarg : o.socket_path;
        o.lock_path = option == 'l' ? optarg : o.lock_path;
        o.trust_path = option == 't' ? optarg : o.trust_path;
        o.memory_dir = option == 'm' ? optarg : o.memory_dir;
        if (option == '?') {
            (void)fputs("hawser-dev: unknown option, or a value is missing (see --help)\n", stderr);
            return 2;
        }
    }
    if (o.socket_path == NULL || o.lock_path == NULL || optind < argc ||
        (o.trust_path == NULL) != (o.memory_dir == NULL)) {
        (void)fputs("hawser-dev: --socket and --lock are needed, and --trust and --memory only "
                    "together (see --help)\n",
                    stderr);
        return 2;
    }
    return serve(&program, &o);
}
