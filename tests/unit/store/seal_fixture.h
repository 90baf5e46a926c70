/* What the tests of signed logs share: a store with a key, and the offline check of its file. */
#ifndef HWS_TESTS_SEAL_FIXTURE_H
#define HWS_TESTS_SEAL_FIXTURE_H

#include "crypt/sign.h"
#include "record/log.h"
#include "store/offline.h"
#include "store_fixture.h"
#include "test.h"

extern struct hws_signer s_key;  /* the store's */
extern struct hws_signer s_next; /* another one */

/* cmocka setup and teardown: as the store's fixture, with s_key. */
int setup(void **state);
int teardown(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Appends n records. */
void fill(struct fixture *f, unsigned n);

/* The newest checkpoint, made now. */
struct hws_checkpoint take_checkpoint(struct fixture *f);

/* Goes on with another key. */
enum hws_code rotate(struct fixture *f, const struct hws_signer *next);

/* What the offline check says of the file. */
struct verdict {
    enum hws_code code;
    uint64_t bad_seq;
    char fault[16];
    uint64_t signed_seq;
    uint64_t first_seq;
    uint64_t last_seq;
};

struct verdict check_as(struct fixture *f, const struct hws_checkpoint *pin, uint64_t max_unsigned,
                        const struct hws_signer *by);
struct verdict check(struct fixture *f, const struct hws_checkpoint *pin);

/* Runs formatted SQL; edits need not survive a power cut. */
#define SQL_OF(f, ...)                                                                             \
    do {                                                                                           \
        char text_[256];                                                                           \
        assert_true(hws_str_print(text_, sizeof(text_), "PRAGMA synchronous=OFF;" __VA_ARGS__));   \
        fixture_sql(f, text_);                                                                     \
    } while (0)

#endif
