/* Names of enumerations: tables in the order of the proto files. */
#include "cli/names.h"

#include <time.h>

#include "base/str.h"

#define NAME(table, value)                                                                         \
    ((unsigned)(value) < sizeof(table) / sizeof((table)[0]) ? (table)[(unsigned)(value)] : "?")

static const char *const effects[] = {
    "", "read", "read-sensitive", "config-next-reset", "config-live", "debug-write", "full"};

const char *hws_cli_device_state(Hawser__V1__DeviceState state)
{
    static const char *const names[] = {"", "ready", "starting", "stuck", "gone", "failed"};

    return NAME(names, state);
}

const char *hws_cli_reset(Hawser__V1__ResetLevel level)
{
    static const char *const names[] = {
        "", "none", "driver restart", "firmware reset", "warm reboot", "power cycle"};

    return NAME(names, level);
}

const char *hws_cli_effect(Hawser__V1__Effect effect)
{
    return NAME(effects, effect);
}

const char *hws_cli_phase(Hawser__V1__AuditPhase phase)
{
    static const char *const names[] = {"", "intent", "outcome", "read", "denied", "note"};

    return NAME(names, phase);
}

const char *hws_cli_stage(Hawser__V1__Stage stage)
{
    static const char *const names[] = {"", "not-sent", "rejected", "executed", "unknown"};

    return NAME(names, stage);
}

const char *hws_cli_link(Hawser__V1__LinkState link)
{
    static const char *const names[] = {"", "up", "down", "failed"};

    return NAME(names, link);
}

const char *hws_cli_type(Hawser__V1__ParameterType type)
{
    static const char *const names[] = {"", "bool", "unsigned", "enum"};

    return NAME(names, type);
}

const char *hws_cli_watch_kind(Hawser__V1__WatchDevicesResponse__Kind kind)
{
    static const char *const names[] = {"", "present", "added", "changed", "removed", "synced"};

    return NAME(names, kind);
}

bool hws_cli_effect_parse(const char *name, Hawser__V1__Effect *out)
{
    for (size_t i = 1; i < sizeof(effects) / sizeof(effects[0]); i++) {
        if (hws_str_eq(name, effects[i])) {
            *out = (Hawser__V1__Effect)i;
            return true;
        }
    }
    return false;
}

enum hws_tone hws_cli_state_tone(Hawser__V1__DeviceState state)
{
    switch (state) {
    case HAWSER__V1__DEVICE_STATE__DEVICE_STATE_READY:
        return HWS_TONE_GOOD;
    case HAWSER__V1__DEVICE_STATE__DEVICE_STATE_STARTING:
        return HWS_TONE_WARN;
    case HAWSER__V1__DEVICE_STATE__DEVICE_STATE_STUCK:
    case HAWSER__V1__DEVICE_STATE__DEVICE_STATE_GONE:
    case HAWSER__V1__DEVICE_STATE__DEVICE_STATE_FAILED:
        return HWS_TONE_BAD;
    case HAWSER__V1__DEVICE_STATE__DEVICE_STATE_UNSPECIFIED:
    case _HAWSER__V1__DEVICE_STATE_IS_INT_SIZE:
        break;
    }
    return HWS_TONE_PLAIN;
}

void hws_cli_time(uint64_t unix_ms, char *dst)
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm;
    char date[24];

    dst[0] = '\0';
    if (unix_ms != 0 && gmtime_r(&s, &tm) != NULL &&
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) > 0) {
        (void)hws_str_print(dst, HWS_CLI_TIME_BYTES, "%s.%03uZ", date, (unsigned)(unix_ms % 1000));
    }
}
