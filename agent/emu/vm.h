/* hawser-emu for virtual machines: serves each profile as a PCI device, until a signal ends it. */
#ifndef HWS_EMU_VM_H
#define HWS_EMU_VM_H

#include "options.h"

/* Runs until SIGTERM or SIGINT. Returns the program's exit status. */
int hws_vm_run(const struct hws_emu_options *options);

#endif
