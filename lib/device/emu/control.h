/*
 * Commands to a bench of emulated adapters, as lines of text: what a test or a person does to a
 * card while it serves. hawser-emu offers them on a local socket (--control).
 *
 * A line is a command, an adapter, and arguments, separated by spaces. An adapter is its number
 * from `list`, its serial number or its PCI address. The answer is lines of text; the first is
 * "ok", or "error: " and what is wrong, which command or adapter, and what is allowed.
 *
 *   list                      the adapters, one a line
 *   show ADAPTER              state, health, and the plan of faults with its counts
 *   fault ADAPTER {YAML}      plants a fault, written as in a profile
 *   clear ADAPTER             empties the plan, the profile's faults too
 *   hang ADAPTER [MS]         the firmware stands still; without MS until resume or a reset
 *   resume ADAPTER            it goes on; the health buffer is clean
 *   health ADAPTER SYNDROME   a syndrome (1..255) in the health buffer; commands go on
 *   fatal ADAPTER SYNDROME    the same with a reset request; the firmware stands still
 *   reset ADAPTER             the firmware resets
 *   power-cycle ADAPTER       off and on
 *   late ADAPTER              what drop and drop_event kept back arrives after all
 *   unplug ADAPTER [MS]       off the bus; without MS until replug
 *   replug ADAPTER            on the bus again
 *   help                      these lines
 *
 * Thread rule: the models' thread. The owner lets the adapters act afterwards.
 */
#ifndef HWS_EMU_CONTROL_H
#define HWS_EMU_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "emu/emu.h"

#define HWS_EMU_CONTROL_LINE_BYTES 1024u /* a line, at most */
#define HWS_EMU_CONTROL_REPLY_BYTES                                                                \
    8192u /* an answer, at most: more than 16 adapters or 32 faults take */

/*
 * Obeys one line of n bytes for adapters[0..n_adapters-1] (one that is not powered may be NULL, or
 * off: it keeps its number and refuses) and appends the answer, a refusal too, to reply.
 * HWS_E_NOMEM, HWS_E_BUSY: reply has no room for an answer.
 */
enum hws_code hws_emu_control(struct hws_emu *const *adapters, size_t n_adapters, const char *line,
                              size_t n, uint64_t now_ms, struct hws_buf *reply) HWS_MUST_USE;

/* The lines of `help`. */
const char *hws_emu_control_help(void);

#endif
