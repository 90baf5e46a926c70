/* The command line of hawser-emu. */
#ifndef HWS_EMU_OPTIONS_H
#define HWS_EMU_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HWS_EMU_MAX_CARDS 16u

struct hws_emu_options {
    const char *socket_path; /* all borrowed from argv */
    const char *lock_path;
    const char *state_dir;
    const char *trust_path; /* as hawser-dev's; NULL: none */
    const char *memory_dir; /* with trust_path */
    const char *profiles[HWS_EMU_MAX_CARDS];
    size_t n_profiles;
    const char *vm_sockets[HWS_EMU_MAX_CARDS]; /* of each profile */
    size_t n_vm_sockets;      /* n_profiles: for virtual machines; 0: for hawserd */
    const char *control_path; /* NULL: no control socket */
    char **command;           /* for somebody else's control socket; n_command words */
    size_t n_command;
    bool help;
    bool version;
};

/* HWS_E_INVALID names the option that is unknown, missing or given too often. */
enum hws_code hws_emu_options_parse(int argc, char **argv, struct hws_emu_options *out,
                                    struct hws_err *err) HWS_MUST_USE;

/* The text of --help. */
const char *hws_emu_options_help(void);

#endif
