/* When a rule counts: days and hours of UTC. */
#include <string.h>

#include "base/str.h"
#include "policy/policy_priv.h"

#define DAY_MIN      1440u
#define EPOCH_DAY    4u  /* 1970-01-01 was a Thursday; Sunday is 0 */
#define HOURS_LENGTH 11u /* "08:00-18:00" */

static const char *const s_days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

#define N_DAYS ((unsigned)(sizeof(s_days) / sizeof(s_days[0])))

const char *hws_policy__read_day(const char *item, struct hws_policy_when *out)
{
    for (size_t i = 0; i < N_DAYS; i++) {
        if (hws_str_eq(s_days[i], item)) {
            out->days |= (uint8_t)(1u << i);
            return NULL;
        }
    }
    return "a day is mon, tue, wed, thu, fri, sat or sun";
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HH:MM" into minutes; false if it is none. 24:00 is the end of a day. */
static bool read_clock(const char *s, uint16_t *out)
{
    if (!is_digit(s[0]) || !is_digit(s[1]) || s[2] != ':' || !is_digit(s[3]) || !is_digit(s[4])) {
        return false;
    }
    unsigned hour = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
    unsigned minute = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
    *out = (uint16_t)(hour * 60 + minute);
    return minute < 60 && *out <= DAY_MIN;
}

const char *hws_policy__read_hours(const char *text, struct hws_policy_when *out)
{
    if (strlen(text) != HOURS_LENGTH || text[5] != '-' || !read_clock(text, &out->from_min) ||
        !read_clock(text + 6, &out->to_min)) {
        return "hours are \"HH:MM-HH:MM\", UTC, 00:00 to 24:00";
    }
    if (out->from_min % DAY_MIN == out->to_min % DAY_MIN &&
        !(out->from_min == 0 && out->to_min == DAY_MIN)) {
        return "the window is empty; for a whole day give 00:00-24:00";
    }
    out->hours = true;
    return NULL;
}

bool hws_policy__time_fits(const struct hws_policy_rule *r, uint64_t unix_s)
{
    const struct hws_policy_when *w = &r->when;

    if (w->days == 0 && !w->hours) {
        return true;
    }
    if (unix_s == 0) {
        return r->deny;
    }
    uint64_t unix_min = unix_s / 60;
    unsigned day = (unsigned)((unix_min / DAY_MIN + EPOCH_DAY) % N_DAYS);
    unsigned minute = (unsigned)(unix_min % DAY_MIN);
    bool over_midnight = w->hours && w->to_min < w->from_min;
    if (w->hours && !over_midnight && (minute < w->from_min || minute >= w->to_min)) {
        return false;
    }
    if (over_midnight && minute < w->from_min) {
        if (minute >= w->to_min) {
            return false;
        }
        day = (day + N_DAYS - 1) % N_DAYS; /* the window began on the day before */
    }
    return w->days == 0 || (w->days >> day & 1u) != 0;
}
