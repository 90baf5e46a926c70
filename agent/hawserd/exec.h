/*
 * One scoped firmware command, from typed fields to decoded reply: what Execute and the items of
 * ExecuteStream share. The caller never chooses the scope: it is the table row's.
 */
#ifndef HWS_HAWSERD_EXEC_H
#define HWS_HAWSERD_EXEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hawserd/run.h"
#include "hca/reg.h"
#include "table/row.h"

#define HWS_EXEC_MAX_MS 60000u /* the longest a command may take */

/* A stepper of one command. */
struct hws_exec {
    const struct hws_table_row *row;
    const char *field; /* of the request, when building was refused */
    uint8_t *in;       /* owned */
    size_t in_bytes;
    uint8_t *out; /* owned */
    size_t out_cap;
    size_t out_bytes; /* result */
    uint64_t deadline_ms;
    uint64_t taint_before; /* the kernel's mask when the command was begun */
    const char *warrant;   /* of a dangerous command; borrowed; NULL: none */
    size_t warrant_bytes;
    bool fed;
    struct hws_err err;    /* why the run failed: NOT_SENT or UNKNOWN */
    struct hws_err answer; /* what the card said: HWS_OK, REJECTED or EXECUTED with status */
};

/* A register access as asked for: fields or data, not both. Borrowed for the call only. */
struct hws_exec_access {
    const struct hws_reg_assign *fields;
    size_t n_fields;
    const uint8_t *data;
    size_t n_data;
};

/* A raw command as asked for. Borrowed for the call only. */
struct hws_exec_command {
    const char *command; /* name or number */
    uint32_t op_mod;     /* used without an inbox */
    const uint8_t *inbox;
    size_t n_inbox;
    uint32_t out_bytes; /* 0 = the row's usual length */
};

/* HWS_E_INVALID and others naming what is allowed; x->field is the request's field to blame. */
enum hws_code hws_exec_register(struct hws_exec *x, const struct hws_table_row *row,
                                const struct hws_exec_access *q, struct hws_err *err) HWS_MUST_USE;

/* With an inbox, its opcode must agree with `command`; without, the header is made from row and
 * op_mod. Errors as register. */
enum hws_code hws_exec_raw(struct hws_exec *x, enum hws_kind kind, const struct hws_exec_command *q,
                           struct hws_err *err) HWS_MUST_USE;

/* "ACCESS_REG MGIR read", "QUERY_ADAPTER". */
void hws_exec_name(const struct hws_table_row *row, char *dst, size_t cap);

/* The stepper. */
struct hws_stepper hws_exec_stepper(struct hws_exec *x);

void hws_exec_deinit(struct hws_exec *x);

#endif
