/*
 * The shape of a row: one firmware command, or one register with one method, that this agent may
 * run, and what running it means. commands.def and registers.def hold the rows; table.h finds them.
 */
#ifndef HWS_TABLE_ROW_H
#define HWS_TABLE_ROW_H

#include <stdbool.h>
#include <stdint.h>

/* What a setting or command does; numbers as hawser.v1.Effect, from harmless to total. */
enum hws_effect {
    HWS_EFFECT_NONE = 0,              /* the zero row's; never allowed */
    HWS_EFFECT_READ = 1,              /* no secrets, no change */
    HWS_EFFECT_READ_SENSITIVE = 2,    /* may show keys, addresses or other people's data */
    HWS_EFFECT_CONFIG_NEXT_RESET = 3, /* stored; lives after the next reset */
    HWS_EFFECT_CONFIG_LIVE = 4,       /* at once */
    HWS_EFFECT_DEBUG_WRITE = 5,       /* changes debug state; taints the kernel from scope 2 on */
    HWS_EFFECT_FULL = 6,              /* reaches beyond this function or beyond what we can undo */
    HWS_N_EFFECTS
};

enum hws_kind {
    HWS_KIND_NONE,
    HWS_KIND_MLX5, /* NVIDIA ConnectX and BlueField */
    HWS_KIND_CXL,  /* memory expanders; no rows: known by name only, as the following */
    HWS_KIND_BNXT, /* Broadcom NetXtreme */
    HWS_KIND_PDS,  /* AMD Pensando DSC */
    HWS_N_KINDS
};

enum hws_reg_method {
    HWS_REG_NONE, /* the row is a command */
    HWS_REG_READ, /* op_mod 1 */
    HWS_REG_WRITE /* op_mod 0 */
};

#define HWS_OP_MOD_ANY 0x10000u /* wider than any op_mod: the row takes all of them */

struct hws_table_row {
    enum hws_kind kind;
    const char *name;     /* the vendor's spelling: "QUERY_ADAPTER", "MGIR" */
    uint16_t opcode;      /* ACCESS_REG for registers */
    uint32_t op_mod;      /* 0..0xFFFF or HWS_OP_MOD_ANY */
    uint16_t register_id; /* 0 for commands */
    enum hws_reg_method method;
    uint8_t scope; /* the lowest fwctl scope the kernel lets it pass with */
    enum hws_effect effect;
    uint32_t in_min_bytes; /* whole inbox, header included */
    uint32_t in_max_bytes;
    uint32_t out_min_bytes; /* what may be asked for, header included */
    uint32_t out_max_bytes;
    uint32_t out_bytes;     /* the usual outbox length */
    const char *kernel_api; /* the kernel's own way to the same, or "" */
    const char *source;     /* where opcode, scope and lengths come from */
};

#endif
