/* Short names of the API's enumerations, as people see and type them. "?" for values out of range.
 */
#ifndef HWS_CLI_NAMES_H
#define HWS_CLI_NAMES_H

#include <stdbool.h>

#include "cli/out.h"

const char *hws_cli_device_state(Hawser__V1__DeviceState state);
const char *hws_cli_reset(Hawser__V1__ResetLevel level);
const char *hws_cli_effect(Hawser__V1__Effect effect);
const char *hws_cli_phase(Hawser__V1__AuditPhase phase);
const char *hws_cli_stage(Hawser__V1__Stage stage);
const char *hws_cli_link(Hawser__V1__LinkState link);
const char *hws_cli_type(Hawser__V1__ParameterType type);
const char *hws_cli_watch_kind(Hawser__V1__WatchDevicesResponse__Kind kind);

/* False if there is no such effect. */
bool hws_cli_effect_parse(const char *name, Hawser__V1__Effect *out);

/* How good a state is. */
enum hws_tone hws_cli_state_tone(Hawser__V1__DeviceState state);

/* "2026-01-31T08:15:00.123Z" into dst[32]. */
void hws_cli_time(uint64_t unix_ms, char *dst);

#define HWS_CLI_TIME_BYTES 32

#endif
