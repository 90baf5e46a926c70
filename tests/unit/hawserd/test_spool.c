/* Dumps as files: written, read, kept over a restart, dropped by quota. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "hawserd/spool.h"
#include "test.h"

static char dir[64];
static const struct hws_spool_what what = {"mlx5:S@0000:03:00.0", "registers", "lines.v1", "28.1.2",
                                           1700000000000};

static int start(void **state)
{
    (void)state;
    hws_str_copy(dir, sizeof(dir), "/tmp/hawser-spool-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int stop(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct hws_spool_file *make(struct hws_spool *s, const char *bytes)
{
    struct hws_spool_file *f;
    struct hws_err err;

    assert_ok(hws_spool_create(s, &what, &f, &err), &err);
    assert_ok(hws_spool_write(f, bytes, strlen(bytes), &err), &err);
    assert_ok(hws_spool_commit(f, &err), &err);
    return f;
}

static void committed_dump_survives_a_restart(void **state)
{
    struct hws_spool s;
    struct hws_err err;
    char id[HWS_SPOOL_ID_BYTES];
    char got[6] = "";
    char hex[HWS_DIGEST_HEX_BYTES];
    (void)state;
    assert_ok(hws_spool_open(&s, dir, &err), &err);
    struct hws_spool_file *f = make(&s, "hello");
    memcpy(id, f->id, sizeof(id));
    hws_spool_leave(f);
    hws_spool_deinit(&s);

    assert_ok(hws_spool_open(&s, dir, &err), &err);

    f = hws_spool_use(&s, id);
    assert_non_null(f);
    assert_string_equal(f->device, what.device);
    assert_string_equal(f->firmware, "28.1.2");
    assert_int_equal(f->manifest.total_bytes, 5);
    assert_int_equal(f->taken_unix_ms, what.unix_ms);
    hws_digest_hex(&f->manifest.sha256, hex); /* sha256("hello"), FIPS 180-4 tools agree */
    assert_string_equal(hex, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_ok(hws_spool_read(f, 0, got, 5, &err), &err);
    assert_string_equal(got, "hello");
    assert_code(hws_spool_read(f, 3, got, 5, &err), HWS_E_IO);
    hws_spool_leave(f);
    hws_spool_deinit(&s);
}

static void cut_off_dump_is_removed(void **state)
{
    struct hws_spool s;
    struct hws_spool_file *f;
    struct hws_err err;
    char id[HWS_SPOOL_ID_BYTES];
    (void)state;
    assert_ok(hws_spool_open(&s, dir, &err), &err);
    size_t before = s.n_files;
    assert_ok(hws_spool_create(&s, &what, &f, &err), &err);
    assert_ok(hws_spool_write(f, "x", 1, &err), &err);
    memcpy(id, f->id, sizeof(id));
    assert_null(hws_spool_use(&s, id));

    hws_spool_leave(f);

    assert_int_equal(s.n_files, before);
    assert_ok(hws_spool_create(&s, &what, &f, &err), &err);
    hws_spool_deinit(&s); /* as if killed: the file stays without a head */
    assert_ok(hws_spool_open(&s, dir, &err), &err);
    assert_int_equal(s.n_files, before);
    hws_spool_deinit(&s);
}

static void oldest_unused_goes_first_and_used_ones_stay(void **state)
{
    struct hws_spool s;
    struct hws_spool_file *first;
    struct hws_err err;
    char second_id[HWS_SPOOL_ID_BYTES] = "";
    (void)state;
    assert_ok(hws_spool_open(&s, dir, &err), &err);
    first = make(&s, "first"); /* still used */

    for (unsigned i = 0; i < HWS_SPOOL_MAX_FILES; i++) {
        struct hws_spool_file *f = make(&s, "more");
        if (i == 0) {
            memcpy(second_id, f->id, sizeof(second_id));
        }
        hws_spool_leave(f);
    }

    assert_int_equal(s.n_files, HWS_SPOOL_MAX_FILES);
    assert_null(hws_spool_use(&s, second_id));
    assert_ptr_equal(hws_spool_use(&s, first->id), first);
    hws_spool_leave(first);
    hws_spool_leave(first);
    hws_spool_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_dump_survives_a_restart),
        cmocka_unit_test(cut_off_dump_is_removed),
        cmocka_unit_test(oldest_unused_goes_first_and_used_ones_stay),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
