/*
 * What the parts of the configuration share: config.c has the tables of keys and walks the document
 * by them, config_value.c reads a key's value, config_check.c judges what depends on what.
 */
#ifndef HWS_HAWSERD_CONFIG_PRIV_H
#define HWS_HAWSERD_CONFIG_PRIV_H

#include <libfyaml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hawserd/config.h"

/* The shape of a key's value. */
enum hws_config__kind {
    HWS_CONFIG__TEXT,
    HWS_CONFIG__HOST,
    HWS_CONFIG__ADDRESS,
    HWS_CONFIG__PATH,
    HWS_CONFIG__BACKEND,
    HWS_CONFIG__RECORDS,
    HWS_CONFIG__TRUST,
    HWS_CONFIG__LIMITS,
    HWS_CONFIG__PATHS,
    HWS_CONFIG__NUMBER,
    HWS_CONFIG__TIME,
    HWS_CONFIG__MAP
};

struct hws_config__field {
    const char *key;
    enum hws_config__kind kind;
    bool required;
    size_t offset; /* of a char array in struct hws_config */
    size_t cap;    /* of a number: the bytes of its member */
    uint64_t min;  /* HWS_CONFIG__NUMBER and HWS_CONFIG__TIME (milliseconds) */
    uint64_t max;
    const struct hws_config__field *fields; /* of a HWS_CONFIG__MAP; ends with a NULL key */
};

/* One parse. dir and name are hws_config_parse's. */
struct hws_config__reader {
    struct hws_config cfg;
    const char *dir;
    const char *name;
    struct hws_err err; /* why, when something was refused */
};

/* Where a scalar stands, from 1; 0 for what is none. */
unsigned hws_config__line_of(struct fy_node *node);

/* Keeps "<name>:<line>: <what> <reason>"; HWS_E_INVALID. */
enum hws_code hws_config__refuse(struct hws_config__reader *r, unsigned line, const char *what,
                                 const char *reason);

/* Copies a scalar into dst; refuses aliases, emptiness, NULs and what does not fit. */
enum hws_code hws_config__read_text(struct hws_config__reader *r, struct fy_node *node,
                                    unsigned line, const char *key, char *dst, size_t cap);

/* Reads the field's value, which is not a HWS_CONFIG__MAP's, into its member. HWS_E_INVALID. */
enum hws_code hws_config__read_value(struct hws_config__reader *r,
                                     const struct hws_config__field *f, struct fy_node *value,
                                     unsigned line);

/* What one key says about another, when all have been read. HWS_E_INVALID. */
enum hws_code hws_config__check(struct hws_config__reader *r);

#endif
