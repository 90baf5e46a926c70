/*
 * A table-driven reader of YAML mappings into structs: one row per key. Refuses unknown keys,
 * missing ones, aliases and values of the wrong kind, with the line.
 */
#ifndef HWS_EMU_YAML_PRIV_H
#define HWS_EMU_YAML_PRIV_H

#include <libfyaml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_EMU__YAML_MAX_KEYS   64u
#define HWS_EMU__YAML_TEXT_BYTES 128u /* the longest scalar */

struct hws_emu__yaml {
    struct hws_err *err;
    void *data; /* for read functions */
};

struct hws_emu__key;
typedef enum hws_code (*hws_emu__read_cb)(struct hws_emu__yaml *y, struct fy_node *node,
                                          const struct hws_emu__key *key, void *obj);

struct hws_emu__key {
    const char *name;
    bool required;
    hws_emu__read_cb read;
    size_t offset; /* of the field in obj */
    uint64_t min;
    uint64_t max; /* of a number; for a text the field's size with the NUL */
};

/* A row for a field of a struct; kind is one of the read functions below. */
#define HWS_EMU__FIELD(type, key, required, kind, field, least, most)                              \
    {                                                                                              \
        key, required, hws_emu__read_##kind, offsetof(struct type, field), (least), (most)         \
    }
#define HWS_EMU__COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* "line L: ..." and HWS_E_INVALID. node may be NULL. */
enum hws_code hws_emu__yaml_bad(struct hws_emu__yaml *y, struct fy_node *node, const char *fmt, ...)
    HWS_PRINTF(3, 4);

/* Reads a mapping into obj. */
enum hws_code hws_emu__yaml_map(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *keys, size_t n_keys, void *obj)
    HWS_MUST_USE;

/* Copies a scalar into text[HWS_EMU__YAML_TEXT_BYTES]. */
enum hws_code hws_emu__yaml_text(struct hws_emu__yaml *y, struct fy_node *node, const char *what,
                                 char *text) HWS_MUST_USE;

/* A number from min to max. */
enum hws_code hws_emu__yaml_number(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, uint64_t *out) HWS_MUST_USE;

/* How many items a sequence has; HWS_E_INVALID if it is none, or has more than max. */
enum hws_code hws_emu__yaml_items(struct hws_emu__yaml *y, struct fy_node *node, const char *what,
                                  uint32_t max, uint32_t *out_n) HWS_MUST_USE;

/*
 * Parses n bytes (no directives, see base/text.h) into a document, hands its root to read, and
 * frees it. HWS_E_INVALID with line and column for what is no YAML; HWS_E_NOMEM; what read returns.
 */
enum hws_code hws_emu__yaml_document(const char *text, size_t n,
                                     enum hws_code (*read)(struct hws_emu__yaml *y,
                                                           struct fy_node *root, void *obj),
                                     void *obj, struct hws_err *err) HWS_MUST_USE;

/* Read functions for rows. */
enum hws_code hws_emu__read_text(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_u8(struct hws_emu__yaml *y, struct fy_node *node,
                               const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_u16(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_u32(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_u64(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_bool(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj);

#endif
