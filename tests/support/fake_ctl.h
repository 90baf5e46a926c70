/*
 * A control channel with a card behind it that is a table: registers with fixed replies, and
 * non-volatile records with three images. Faults are scripted: from call number fail_at on (0 = the
 * first), n_fail calls fail in one way.
 *
 * It answers at once, in the caller's stack: call hws_fake_answer in place of submit and turn. It
 * has no queue, no timing, and no opinion about layouts beyond the MNVDA header, written here a
 * second time from the documents.
 */
#ifndef HWS_TESTS_FAKE_CTL_H
#define HWS_TESTS_FAKE_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ifc/call.h"

#define HWS_FAKE_MAX_RECORDS 48u
#define HWS_FAKE_MAX_REGS    64u
#define HWS_FAKE_MAX_CALLS   1024u

enum hws_fake_fault {
    HWS_FAKE_NONE,
    HWS_FAKE_NOT_SENT,     /* never reached the card */
    HWS_FAKE_REJECTED,     /* delivery status */
    HWS_FAKE_REFUSED,      /* executed: status INT_ERR, nothing done */
    HWS_FAKE_REFUSED_DONE, /* executed: status INT_ERR, and done all the same */
    HWS_FAKE_UNKNOWN,      /* timed out, nothing done */
    HWS_FAKE_UNKNOWN_DONE, /* timed out, done */
    HWS_FAKE_SHORT,        /* an outbox cut off behind its header */
    HWS_FAKE_GARBLED,      /* executed and done; one bit of a write's stored data is wrong */
    HWS_FAKE_N_FAULTS
};

/* A register that always answers the same to a read with the same first index_bytes. */
struct hws_fake_reg {
    uint16_t id;
    uint8_t status; /* not 0: refused so */
    size_t n_index; /* leading bytes of the request that must equal those of `index` */
    const uint8_t *index;
    const uint8_t *bytes; /* the reply */
    size_t n_bytes;
};

struct hws_fake_record {
    uint32_t type;
    size_t n_bytes;
    bool readable;
    bool writable;
    uint8_t next[32];
    uint8_t current[32];
    uint8_t factory[32];
};

struct hws_fake_ctl {
    struct hws_fake_reg regs[HWS_FAKE_MAX_REGS];
    size_t n_regs;
    struct hws_fake_record records[HWS_FAKE_MAX_RECORDS];
    size_t n_records;
    bool reads_factory; /* MNVGC */
    bool reads_current;
    /* Faults. */
    enum hws_fake_fault fault;
    size_t fail_at;
    size_t n_fail; /* 0: none */
    /* What was seen. */
    size_t n_calls;
    size_t n_writes;
    uint16_t seen_reg[HWS_FAKE_MAX_CALLS]; /* register ids, in order */
    size_t first_write;                    /* call number of the first write; SIZE_MAX: none */
};

/* All zero but for: both images readable, no fault. */
void hws_fake_init(struct hws_fake_ctl *fake);

/* Adds a record with equal images; data may be NULL for zeros. Returns it for further changes. */
struct hws_fake_record *hws_fake_add_record(struct hws_fake_ctl *fake, uint32_t type,
                                            size_t n_bytes, const uint8_t *data);
struct hws_fake_record *hws_fake_record(struct hws_fake_ctl *fake, uint32_t type);

/* Adds a register; bytes and index are borrowed. */
void hws_fake_add_reg(struct hws_fake_ctl *fake, uint16_t id, const uint8_t *bytes, size_t n_bytes);
void hws_fake_add_indexed_reg(struct hws_fake_ctl *fake, uint16_t id, const uint8_t *index,
                              size_t n_index, const uint8_t *bytes, size_t n_bytes);
void hws_fake_refuse_reg(struct hws_fake_ctl *fake, uint16_t id, uint8_t status);

/* Checks the call (lengths, opcode, scope) with cmocka, and fills its result. */
void hws_fake_answer(struct hws_fake_ctl *fake, struct hws_ctl_call *call);

#endif
