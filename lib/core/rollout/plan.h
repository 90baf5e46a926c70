/*
 * What a rollout is to do, as data: which settings, on which adapters of which hosts, in what order
 * and under which limits. A plan is filled by calls (CLI options) or from YAML text, then checked
 * once; after that it does not change, and its encoded form is the first record of the rollout's
 * journal.
 *
 * YAML form, all keys but name, settings and hosts optional:
 *     name: sriov-16
 *     settings: {NUM_OF_VFS: 16, SRIOV_EN: 1}
 *     hosts:
 *       - {name: host-a, target: "10.0.0.1:7443", device: "0000:81:00.0"}   # no device: the first
 * by PCI address canary: 1          # hosts in the first wave wave: 50%          # hosts in each
 * later wave: a share of all hosts, or a count, or rest budget: 0          # failed + unknown
 * adapters tolerated after the canary in_flight: 8       # adapters worked on at once settle: 2s #
 * how long an adapter must stay healthy after its change gate_timeout: 30s  # how long past settle
 * to wait for health
 *
 * Thread rule: one thread at a time. Pure: no clock, no files.
 */
#ifndef HWS_ROLLOUT_PLAN_H
#define HWS_ROLLOUT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HWS_ROLLOUT_NAME_BYTES 41 /* with NUL: 1..40 of [A-Za-z0-9_.-], not starting with a dot */
#define HWS_ROLLOUT_ID_BYTES                                                                       \
    17 /* with NUL: 16 lower-case hex digits, drawn anew for each rollout */
#define HWS_ROLLOUT_HOST_BYTES   65  /* with NUL */
#define HWS_ROLLOUT_TARGET_BYTES 257 /* with NUL: host:port or unix:/path */
#define HWS_ROLLOUT_DEVICE_BYTES                                                                   \
    97 /* with NUL: id, PCI address or serial; empty = the first by PCI address */
#define HWS_ROLLOUT_SETTING_BYTES  65 /* with NUL: the vendor's spelling, [A-Z0-9_] */
#define HWS_ROLLOUT_VALUE_BYTES    65 /* with NUL: printable */
#define HWS_ROLLOUT_MAX_SETTINGS   64u
#define HWS_ROLLOUT_MAX_MEMBERS    16384u
#define HWS_ROLLOUT_MAX_IN_FLIGHT  256u
#define HWS_ROLLOUT_MAX_YAML_BYTES ((size_t)4 * 1024 * 1024)

#define HWS_ROLLOUT_DEFAULT_CANARY    1u
#define HWS_ROLLOUT_DEFAULT_IN_FLIGHT 8u
#define HWS_ROLLOUT_DEFAULT_SETTLE_MS 2000u
#define HWS_ROLLOUT_DEFAULT_GATE_MS   30000u
#define HWS_ROLLOUT_MAX_WAIT_MS       (24u * 3600 * 1000) /* of settle and gate_timeout */

struct hws_rollout_setting {
    char name[HWS_ROLLOUT_SETTING_BYTES];
    char value[HWS_ROLLOUT_VALUE_BYTES];
};

/* One adapter of one host. Adapters of the same host share its name and so its wave. */
struct hws_rollout_target {
    char host[HWS_ROLLOUT_HOST_BYTES];
    char target[HWS_ROLLOUT_TARGET_BYTES];
    char device[HWS_ROLLOUT_DEVICE_BYTES];
};

/* How large the waves after the canary are. */
enum hws_rollout_wave_kind {
    HWS_ROLLOUT_WAVE_REST,    /* one wave with everything that is left */
    HWS_ROLLOUT_WAVE_PERCENT, /* wave_size percent of all hosts, rounded up */
    HWS_ROLLOUT_WAVE_COUNT,   /* wave_size hosts */
    HWS_N_ROLLOUT_WAVE_KINDS
};

struct hws_rollout_plan {
    char name[HWS_ROLLOUT_NAME_BYTES];
    char id[HWS_ROLLOUT_ID_BYTES]; /* part of every request_id, so a repeated request is recognised
                                    */
    uint64_t election;             /* fencing token of every change this rollout makes */
    struct hws_rollout_setting *settings; /* owned */
    size_t n_settings;                    /* 1..HWS_ROLLOUT_MAX_SETTINGS */
    struct hws_rollout_target *targets;   /* owned */
    size_t n_targets;                     /* 1..HWS_ROLLOUT_MAX_MEMBERS */
    size_t cap_targets;
    uint32_t canary; /* hosts in the first wave; 0 = no canary */
    enum hws_rollout_wave_kind wave_kind;
    uint32_t wave_size;
    uint32_t budget;
    uint32_t in_flight;
    uint32_t settle_ms;
    uint32_t gate_timeout_ms;
};

/* An empty plan with the default limits. */
void hws_rollout_plan_init(struct hws_rollout_plan *plan);

/* Frees what it owns and zeroes it; accepts a zeroed one. */
void hws_rollout_plan_deinit(struct hws_rollout_plan *plan);

/* Adds NAME=VALUE. HWS_E_INVALID for a malformed name or value, HWS_E_EXISTS if the name is there,
 * HWS_E_BUSY at the limit, HWS_E_NOMEM. */
enum hws_code hws_rollout_plan_set(struct hws_rollout_plan *plan, const char *name,
                                   const char *value, struct hws_err *err) HWS_MUST_USE;

/* Adds an adapter; device may be NULL or empty. HWS_E_INVALID for an empty, over-long or
 * unprintable text, HWS_E_BUSY at the limit, HWS_E_NOMEM. */
enum hws_code hws_rollout_plan_add(struct hws_rollout_plan *plan, const char *host,
                                   const char *target, const char *device, struct hws_err *err)
    HWS_MUST_USE;

/* Sets wave_kind and wave_size from "rest", "50%" or "3". HWS_E_INVALID. */
enum hws_code hws_rollout_plan_wave(struct hws_rollout_plan *plan, const char *text,
                                    struct hws_err *err) HWS_MUST_USE;

/* Parses "250ms", "2s", "5m" or "1h" (at most HWS_ROLLOUT_MAX_WAIT_MS). HWS_E_INVALID. */
enum hws_code hws_rollout_parse_ms(const char *text, uint32_t *out_ms, struct hws_err *err)
    HWS_MUST_USE;

/* Judges the whole: names, limits, each adapter once. HWS_E_INVALID says which field and what is
 * allowed. The id may be empty only if need_id is false. */
enum hws_code hws_rollout_plan_check(const struct hws_rollout_plan *plan, bool need_id,
                                     struct hws_err *err) HWS_MUST_USE;

/*
 * Fills a plan (initialised by this call) from YAML text and checks it, except its id.
 * HWS_E_INVALID with line and reason; HWS_E_BUSY over HWS_ROLLOUT_MAX_YAML_BYTES; HWS_E_NOMEM. On
 * failure *plan is deinitialised. With hosts_optional the text may lack `hosts` (the caller adds
 * targets and checks again).
 */
enum hws_code hws_rollout_plan_from_yaml(struct hws_rollout_plan *plan, const char *text, size_t n,
                                         bool hosts_optional, struct hws_err *err) HWS_MUST_USE;

/* Appends the encoded form. HWS_E_NOMEM, HWS_E_BUSY by the buffer's ceiling. */
enum hws_code hws_rollout_plan_encode(const struct hws_rollout_plan *plan, struct hws_buf *out)
    HWS_MUST_USE;

/* Fills a plan (initialised by this call) from its encoded form and checks it. HWS_E_PROTO,
 * HWS_E_NOMEM; on failure *plan is deinitialised. */
enum hws_code hws_rollout_plan_decode(struct hws_rollout_plan *plan, const uint8_t *bytes, size_t n,
                                      struct hws_err *err) HWS_MUST_USE;

#endif
