/* The ledger's rows and the fences, for the requests of mutation.h. */
#ifndef HWS_STORE_LEDGER_PRIV_H
#define HWS_STORE_LEDGER_PRIV_H

#include <stdint.h>

#include "store/db_priv.h"
#include "store/mutation.h"

/* A ledger row; spans point into the statement's columns or at the caller's memory. */
struct hws_store_row {
    uint64_t id;
    uint64_t state;
    uint64_t intent_seq;
    uint64_t status;
    uint64_t begun_ms;
    uint64_t ended_ms;
    struct hws_span principal;
    struct hws_span method;
    struct hws_span request_id;
    struct hws_span request_hash;
    struct hws_span record; /* canonical bytes of the INTENT record */
    struct hws_span old_state;
    struct hws_span new_state;
    struct hws_span answer;
};

/* Reads the row a statement of LEDGER columns stands on; HWS_E_PROTO if it does not match its
 * digest. The spans live until the statement moves. */
enum hws_code hws_store__row_read(const struct hws_store_q *q, struct hws_store_row *r,
                                  struct hws_err *err) HWS_MUST_USE;

/* Inserts a row; its texts are NUL-terminated. */
enum hws_code hws_store__row_add(struct hws_store_db *db, const struct hws_store_row *row,
                                 struct hws_err *err) HWS_MUST_USE;

/* Writes old_state of a row that was read, and its new digest. */
enum hws_code hws_store__row_note(struct hws_store_db *db, const struct hws_store_row *row,
                                  struct hws_err *err) HWS_MUST_USE;

/* Writes state, status, end and answer of a row that was read, and its new digest. */
enum hws_code hws_store__row_end(struct hws_store_db *db, const struct hws_store_row *row,
                                 struct hws_err *err) HWS_MUST_USE;

enum hws_code hws_store__row_delete(struct hws_store_db *db, uint64_t id, struct hws_err *err)
    HWS_MUST_USE;

/* The id after the largest ever given; ids are part of a row's digest, so it is known beforehand.
 */
enum hws_code hws_store__next_id(struct hws_store_db *db, uint64_t *out, struct hws_err *err)
    HWS_MUST_USE;

/* Drops finished rows that are too old or too many, some at a time; unfinished ones stay whatever
 * their age. HWS_E_BUSY when only unfinished ones are left and they fill the ledger. */
enum hws_code hws_store__make_room(struct hws_store_db *db, uint64_t now_unix_ms,
                                   struct hws_err *err) HWS_MUST_USE;

/* HWS_E_DENIED if the fence is older than the stored one, which the text names; else stores it. */
enum hws_code hws_store__fence_check(struct hws_store_db *db, const struct hws_fence *f,
                                     struct hws_err *err) HWS_MUST_USE;

/* Checks the digests of all fences. */
enum hws_code hws_store__fence_check_all(struct hws_store_db *db, struct hws_err *err) HWS_MUST_USE;

#endif
