/* The command line of hawser-emu, by getopt_long over one table. */
#include "options.h"

#include <getopt.h>

static const struct option table[] = {
    {"socket", required_argument, NULL, 's'},
    {"lock", required_argument, NULL, 'l'},
    {"state-dir", required_argument, NULL, 'd'},
    {"trust", required_argument, NULL, 't'},
    {"memory", required_argument, NULL, 'm'},
    {"profile", required_argument, NULL, 'p'},
    {"vfio-user", required_argument, NULL, 'v'},
    {"control", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

const char *hws_emu_options_help(void)
{
    return "Usage: hawser-emu --socket PATH --lock PATH --state-dir DIR [--trust FILE --memory "
           "DIR]\n"
           "                  --profile FILE...\n"
           "       hawser-emu --state-dir DIR {--vfio-user PATH --profile FILE}...\n"
           "       hawser-emu --control PATH COMMAND [ARGUMENT...]\n"
           "The device process of Hawser for emulated adapters: serves one for each profile,\n"
           "through a real command queue, to hawserd; or each as a PCI device of a virtual\n"
           "machine, to that machine's own driver. Non-volatile parameters live in DIR/nv.\n"
           "\n"
           "      --socket PATH    hawserd's socket; tried again every 20 ms while it is away\n"
           "      --lock PATH      held for life, so that there is one device process only\n"
           "      --state-dir DIR  where DIR/nv/SERIAL.nv is kept\n"
           "      --trust FILE     whose keys sign dangerous commands here; without it there are "
           "none\n"
           "      --memory DIR     where used warrants are remembered\n"
           "      --profile FILE   an adapter; at most 16 times\n"
           "      --vfio-user PATH socket for the next profile's adapter (QEMU: vfio-user-pci)\n"
           "      --control PATH   with profiles: offers a local socket (mode 0600) on which "
           "faults\n"
           "                       are planted while the adapters serve; without: sends COMMAND\n"
           "                       there and prints the answer (COMMAND help lists them all)\n"
           "      --help           this text\n"
           "      --version        the version\n"
           "\n"
           "Example:\n"
           "  hawser-emu --socket run/hawserd.sock --lock run/dev.lock --state-dir state \\\n"
           "             --profile connectx7.yaml\n"
           "  hawser-emu --state-dir state --vfio-user card.sock --profile connectx7.yaml\n"
           "  hawser-emu --control emu.control fault 0 '{register: MTMP, action: drop}'\n"
           "  hawser-emu --control emu.control fatal 0 1\n";
}

static enum hws_code take(struct hws_emu_options *o, int option, struct hws_err *err)
{
    switch (option) {
    case 's':
        o->socket_path = optarg;
        return HWS_OK;
    case 'l':
        o->lock_path = optarg;
        return HWS_OK;
    case 'd':
        o->state_dir = optarg;
        return HWS_OK;
    case 't':
        o->trust_path = optarg;
        return HWS_OK;
    case 'm':
        o->memory_dir = optarg;
        return HWS_OK;
    case 'p':
        if (o->n_profiles == HWS_EMU_MAX_CARDS) {
            return hws_err_set(err, HWS_E_INVALID, "--profile: at most %u", HWS_EMU_MAX_CARDS);
        }
        o->profiles[o->n_profiles++] = optarg;
        return HWS_OK;
    case 'v':
        if (o->n_vm_sockets != o->n_profiles || o->n_vm_sockets == HWS_EMU_MAX_CARDS) {
            return hws_err_set(err, HWS_E_INVALID, "--vfio-user: one before each --profile");
        }
        o->vm_sockets[o->n_vm_sockets++] = optarg;
        return HWS_OK;
    case 'c':
        o->control_path = optarg;
        return HWS_OK;
    case 'h':
        o->help = true;
        return HWS_OK;
    case 'V':
        o->version = true;
        return HWS_OK;
    default:
        return hws_err_set(err, HWS_E_INVALID, "unknown option, or a value is missing");
    }
}

static enum hws_code check_agent(const struct hws_emu_options *o, struct hws_err *err)
{
    if (o->socket_path == NULL || o->lock_path == NULL || o->state_dir == NULL ||
        o->n_profiles == 0) {
        return hws_err_set(err, HWS_E_INVALID,
                           "--socket, --lock, --state-dir and --profile are needed");
    }
    if ((o->trust_path == NULL) != (o->memory_dir == NULL)) {
        return hws_err_set(err, HWS_E_INVALID, "--trust and --memory only together");
    }
    return HWS_OK;
}

static enum hws_code check_machines(const struct hws_emu_options *o, struct hws_err *err)
{
    if (o->socket_path != NULL || o->lock_path != NULL || o->state_dir == NULL ||
        o->n_profiles != o->n_vm_sockets) {
        return hws_err_set(err, HWS_E_INVALID,
                           "--vfio-user: with --state-dir, one before each --profile, without "
                           "--socket and --lock");
    }
    return HWS_OK;
}

enum hws_code hws_emu_options_parse(int argc, char **argv, struct hws_emu_options *out,
                                    struct hws_err *err)
{
    struct hws_emu_options o = {0};
    int option;

    opterr = 0;
    optind = 1;
    /* "+": options come first, so that a command's arguments are left alone. */
    while ((option = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        enum hws_code code = take(&o, option, err);

        if (code != HWS_OK) {
            return code;
        }
    }
    if (optind < argc && o.control_path != NULL && o.n_profiles == 0) {
        o.command = &argv[optind];
        o.n_command = (size_t)(argc - optind);
    } else if (optind < argc) {
        return hws_err_set(err, HWS_E_INVALID, "unexpected argument \"%.64s\"", argv[optind]);
    }
    if (!o.help && !o.version && o.n_command == 0) {
        enum hws_code code = o.n_vm_sockets > 0 ? check_machines(&o, err) : check_agent(&o, err);

        if (code != HWS_OK) {
            return code;
        }
    }
    *out = o;
    return HWS_OK;
}
