/* Timeouts and the tracer's strings of a profile. */
#include <string.h>

#include "emu/profile_priv.h"

#define MAX_TIMEOUT_MS 86400000u

enum hws_code hws_emu__read_timeouts(struct hws_emu__yaml *y, struct fy_node *node,
                                     const struct hws_emu__key *key, void *obj)
{
    enum {
#define HWS_EMU_TIMEOUT(name, offset, source) ROW_##name,
#include "emu/timeout.def"
#undef HWS_EMU_TIMEOUT
    };
    static const struct hws_emu__key keys[] = {
#define HWS_EMU_TIMEOUT(name, offset, source)                                                      \
    {#name,                                                                                        \
     false,                                                                                        \
     hws_emu__read_u64,                                                                            \
     offsetof(struct hws_emu_profile, timeouts_ms) + ROW_##name * sizeof(uint64_t),                \
     0,                                                                                            \
     MAX_TIMEOUT_MS},
#include "emu/timeout.def"
#undef HWS_EMU_TIMEOUT
    };

    (void)key;
    return hws_emu__yaml_map(y, node, keys, sizeof(keys) / sizeof(keys[0]), obj);
}

static enum hws_code read_strings(struct hws_emu__yaml *y, struct fy_node *node,
                                  const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_tracer *t = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_TRACE_STRINGS, &n);

    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        struct fy_node *item = fy_node_sequence_iterate(node, &it);
        rc = hws_emu__yaml_text(y, item, key->name, text);
        size_t len = rc == HWS_OK ? strlen(text) + 1 : 0;
        if (rc == HWS_OK && len > sizeof(t->strings) - t->n_bytes) {
            rc = hws_emu__yaml_bad(y, item, "%s: more than %zu bytes together", key->name,
                                   sizeof(t->strings));
        }
        memcpy(t->strings + t->n_bytes, text, rc == HWS_OK ? len : 0);
        t->n_bytes += rc == HWS_OK ? (uint32_t)len : 0;
    }
    return rc;
}

enum hws_code hws_emu__read_tracer(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        {"base", true, hws_emu__read_u32, offsetof(struct hws_emu_tracer, base), 0, UINT32_MAX},
        {"first_string", true, hws_emu__read_u8, offsetof(struct hws_emu_tracer, first_string), 0,
         UINT8_MAX},
        {"n_strings", true, hws_emu__read_u8, offsetof(struct hws_emu_tracer, n_strings), 0,
         UINT8_MAX},
        {"strings", true, read_strings, 0, 0, 0},
    };

    (void)key;
    return hws_emu__yaml_map(y, node, keys, sizeof(keys) / sizeof(keys[0]),
                             &((struct hws_emu_profile *)obj)->tracer);
}
