/*
 * YAML as this layer needs it: a parsed document without aliases, walked as maps and lists of short
 * scalars. A map is read by a table of keys; a key that is not in the table is refused by name and
 * line.
 */
#ifndef HWS_ROLLOUT_YAML_PRIV_H
#define HWS_ROLLOUT_YAML_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HWS_ROLLOUT__SCALAR_BYTES 260 /* with NUL: the longest scalar anything here accepts */

struct fy_document;
struct fy_node;

struct hws_rollout__yaml {
    struct fy_document *doc; /* owned */
    struct fy_node *root;    /* borrowed from doc */
};

/* One key of a map and what to do with its value; node is never NULL. */
struct hws_rollout__key {
    const char *name;
    enum hws_code (*take)(void *ctx, struct fy_node *node, struct hws_err *err);
    bool required;
};

/* Parses n bytes; the root must be a map. HWS_E_INVALID with line and reason; HWS_E_BUSY over
 * max_bytes; HWS_E_NOMEM. */
enum hws_code hws_rollout__yaml_open(struct hws_rollout__yaml *y, const char *text, size_t n,
                                     struct hws_err *err);
void hws_rollout__yaml_close(struct hws_rollout__yaml *y);

/* Calls take for each key of the map that is in the table. HWS_E_INVALID for another key, a key
 * given twice, a missing required one, or a node that is no map. what names the map in messages. */
enum hws_code hws_rollout__yaml_map(struct fy_node *node, const char *what,
                                    const struct hws_rollout__key *keys, size_t n_keys, void *ctx,
                                    struct hws_err *err);

/* Calls take for each key and value of a map with free keys. */
enum hws_code hws_rollout__yaml_pairs(struct fy_node *node, const char *what,
                                      enum hws_code (*take)(void *ctx, const char *key,
                                                            struct fy_node *value,
                                                            struct hws_err *err),
                                      void *ctx, struct hws_err *err);

/* Calls take for each item of a list. */
enum hws_code hws_rollout__yaml_list(struct fy_node *node, const char *what,
                                     enum hws_code (*take)(void *ctx, struct fy_node *item,
                                                           struct hws_err *err),
                                     void *ctx, struct hws_err *err);

/* A scalar's text into dst[cap]. HWS_E_INVALID if it is none, too long or holds a NUL. */
enum hws_code hws_rollout__yaml_text(struct fy_node *node, const char *what, char *dst, size_t cap,
                                     struct hws_err *err);

/* An unsigned number up to max. */
enum hws_code hws_rollout__yaml_u32(struct fy_node *node, const char *what, uint32_t max,
                                    uint32_t *out, struct hws_err *err);

/* Prefixes err with "line N". */
enum hws_code hws_rollout__yaml_at(struct fy_node *node, struct hws_err *err);

#endif
