/* What the store's tests share: a folder of its own per test, short ways to run one request. */
#ifndef HWS_TESTS_STORE_FIXTURE_H
#define HWS_TESTS_STORE_FIXTURE_H

#include "store/audit.h"
#include "store/kv.h"
#include "store/mutation.h"
#include "store/store.h"

struct fixture {
    char folder[64];
    char path[96];
    struct hws_store_options options; /* path is set */
    struct hws_store *store;          /* NULL while closed */
};

/* cmocka setup and teardown: an open store in an empty folder; closed and removed. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);

/* Runs SQL on the closed database, behind the store's back. */
void fixture_sql(struct fixture *f, const char *sql);

/* A begin of "spiffe://d/op", "/m" with this fence, id and content; runs it. The caller deinits. */
enum hws_code fixture_begin(struct fixture *f, struct hws_store_begin *r, uint64_t election,
                            const char *request_id, const char *content);

enum hws_code fixture_end(struct fixture *f, uint64_t operation_id, enum hws_intent_state state,
                          const char *answer);

/* Appends a READ record with this detail. */
enum hws_code fixture_append(struct fixture *f, const char *detail);

/* All records that can be read, checked as one chain; returns how many. */
size_t fixture_verify(struct fixture *f);

#endif
