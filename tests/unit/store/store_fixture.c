/* The store's tests: folder, short requests, chain check. */
#include "store_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "record/verify.h"
#include "test.h"

void fixture_open(struct fixture *f)
{
    struct hws_err err;

    assert_ok(hws_store_open(&f->options, &f->store, &err), &err);
}

void fixture_close(struct fixture *f)
{
    hws_store_close_wait(f->store);
    f->store = NULL;
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = hws_mem_zalloc(1, sizeof(*f));

    assert_non_null(f);
    (void)hws_str_copy(f->folder, sizeof(f->folder), "/tmp/hawser-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)hws_str_print(f->path, sizeof(f->path), "%s/state #1?.db", f->folder);
    f->options.path = f->path;
    f->options.min_free_bytes = 1;
    fixture_open(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    struct fixture *f = *state;

    fixture_close(f);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char name[128];
        (void)hws_str_print(name, sizeof(name), "%s%s", f->path, ends[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(f->folder), 0);
    hws_mem_free(f);
    return 0;
}

void fixture_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    char *text = NULL;

    assert_null(f->store);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

enum hws_code fixture_begin(struct fixture *f, struct hws_store_begin *r, uint64_t election,
                            const char *request_id, const char *content)
{
    hws_store_begin_init(r);
    r->fence = (struct hws_fence){.role = "operator", .high = 0, .low = election};
    r->record = (struct hws_record){.unix_ms = 1000,
                                    .effect = 3,
                                    .principal = "spiffe://d/op",
                                    .method = "/m",
                                    .device = "mlx5:A@0000:81:00.0",
                                    .rule = "operators",
                                    .detail = content,
                                    .request_id = request_id};
    r->old_state = (struct hws_span){(const uint8_t *)"before", 6};
    r->new_state = (struct hws_span){(const uint8_t *)content, strlen(content)};
    assert_ok(hws_sha256_of(content, strlen(content), &r->request_hash), NULL);
    return hws_store_run(f->store, &r->job, NULL);
}

enum hws_code fixture_end(struct fixture *f, uint64_t operation_id, enum hws_intent_state state,
                          const char *answer)
{
    struct hws_store_end r;

    hws_store_end_init(&r);
    r.operation_id = operation_id;
    r.state = state;
    r.unix_ms = 2000;
    r.status = 9;
    r.answer = (struct hws_span){(const uint8_t *)answer, strlen(answer)};
    r.code = "OK";
    r.detail = "done";
    return hws_store_run(f->store, &r.job, NULL);
}

enum hws_code fixture_append(struct fixture *f, const char *detail)
{
    struct hws_store_append r;

    hws_store_append_init(&r);
    r.record = (struct hws_record){.unix_ms = 1500,
                                   .phase = HWS_RECORD_READ,
                                   .effect = 1,
                                   .principal = "spiffe://d/viewer",
                                   .method = "/r",
                                   .detail = detail};
    return hws_store_run(f->store, &r.job, NULL);
}

size_t fixture_verify(struct fixture *f)
{
    struct hws_verify v;
    struct hws_err err;
    uint64_t after = 0;
    size_t n = 0;

    hws_verify_init(&v, 0, NULL);
    for (;;) {
        struct hws_store_query r;
        hws_store_query_init(&r);
        r.after_seq = after;
        r.limit = 100;
        assert_ok(hws_store_run(f->store, &r.job, &err), &err);
        for (size_t i = 0; i < r.n_records; i++) {
            assert_ok(hws_verify_feed(&v, &r.records[i], &err), &err);
            after = r.records[i].seq;
        }
        size_t got = r.n_records;
        hws_store_job_deinit(&r.job);
        n += got;
        if (got == 0) {
            break;
        }
    }
    assert_ok(hws_verify_end(&v, &err), &err);
    return n;
}
