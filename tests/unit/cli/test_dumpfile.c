/* cli/dumpfile: only a whole, verified dump gets its name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/dumpfile.h"
#include "crypt/crc32c.h"
#include "test.h"

/* SHA-256 of "abcdefgh": printf abcdefgh | sha256sum. */
static const char digest[] = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab";
static const uint8_t bytes[] = "abcdefgh";

struct place {
    char dir[64];
    char path[128];
    char part[128];
};

static int make_place(void **state)
{
    static struct place p;

    (void)hws_str_copy(p.dir, sizeof(p.dir), "/tmp/hawser-dumpfile-XXXXXX");
    if (mkdtemp(p.dir) == NULL) {
        return -1;
    }
    (void)hws_str_print(p.path, sizeof(p.path), "%s/out", p.dir);
    (void)hws_str_print(p.part, sizeof(p.part), "%s/out.part", p.dir);
    *state = &p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    (void)unlink(p->path);
    (void)unlink(p->part);
    return rmdir(p->dir);
}

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static enum hws_code chunk(struct hws_dumpfile *f, uint64_t offset, size_t n, struct hws_err *err)
{
    return hws_dumpfile_chunk(f, offset, bytes + offset, n, hws_crc32c(0, bytes + offset, n), err);
}

static void whole_dump_is_renamed_and_half_a_dump_never(void **state)
{
    const struct place *p = *state;
    struct hws_dumpfile f;
    struct hws_err err;
    char held[16] = "";

    assert_ok(hws_dumpfile_open(&f, p->path, &err), &err);
    assert_ok(hws_dumpfile_manifest(&f, "d1", 8, digest, &err), &err);
    assert_ok(chunk(&f, 0, 5, &err), &err);
    assert_true(exists(p->part));
    assert_false(exists(p->path));
    assert_code(hws_dumpfile_end(&f, 8, digest, &err), HWS_E_PROTO);
    assert_ok(hws_dumpfile_manifest(&f, "d1", 8, digest, &err), &err); /* resumed */
    assert_int_equal(f.offset, 5);
    assert_ok(chunk(&f, 5, 3, &err), &err);
    assert_ok(hws_dumpfile_end(&f, 8, digest, &err), &err);
    hws_dumpfile_close(&f);

    assert_false(exists(p->part));
    FILE *r = fopen(p->path, "rb");
    assert_non_null(r);
    assert_int_equal(fread(held, 1, sizeof(held), r), 8);
    assert_int_equal(fclose(r), 0);
    assert_memory_equal(held, bytes, 8);
}

static void what_does_not_verify_leaves_nothing(void **state)
{
    const struct place *p = *state;
    struct hws_dumpfile f;
    struct hws_err err;
    char wrong[sizeof(digest)];

    memcpy(wrong, digest, sizeof(digest));
    wrong[0] = 'a';
    assert_ok(hws_dumpfile_open(&f, p->path, &err), &err);
    assert_code(chunk(&f, 0, 4, &err), HWS_E_PROTO); /* before the manifest */
    assert_ok(hws_dumpfile_manifest(&f, "d1", 8, wrong, &err), &err);
    assert_code(hws_dumpfile_chunk(&f, 0, bytes, 4, 1, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "CRC"));
    assert_code(chunk(&f, 4, 4, &err), HWS_E_PROTO); /* a gap */
    assert_code(hws_dumpfile_chunk(&f, 0, bytes, 9, hws_crc32c(0, bytes, 9), &err), HWS_E_PROTO);
    assert_ok(chunk(&f, 0, 8, &err), &err);
    assert_code(hws_dumpfile_end(&f, 8, wrong, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "SHA-256"));
    hws_dumpfile_close(&f);

    assert_false(exists(p->part));
    assert_false(exists(p->path));
}

static void another_dump_is_a_conflict_until_restarted(void **state)
{
    const struct place *p = *state;
    struct hws_dumpfile f;
    struct hws_err err;

    assert_ok(hws_dumpfile_open(&f, p->path, &err), &err);
    assert_ok(hws_dumpfile_manifest(&f, "d1", 8, digest, &err), &err);
    assert_ok(chunk(&f, 0, 3, &err), &err);
    assert_code(hws_dumpfile_manifest(&f, "d2", 8, digest, &err), HWS_E_CONFLICT);

    assert_ok(hws_dumpfile_restart(&f, &err), &err);
    assert_ok(hws_dumpfile_manifest(&f, "d2", 8, digest, &err), &err);
    assert_ok(chunk(&f, 0, 8, &err), &err);
    assert_ok(hws_dumpfile_end(&f, 8, digest, &err), &err);
    hws_dumpfile_close(&f);
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, 8);
}

static void second_pull_into_the_same_file_is_refused(void **state)
{
    const struct place *p = *state;
    struct hws_dumpfile first;
    struct hws_dumpfile second;
    struct hws_err err;

    assert_ok(hws_dumpfile_open(&first, p->path, &err), &err);
    assert_code(hws_dumpfile_open(&second, p->path, &err), HWS_E_STATE);
    assert_non_null(strstr(err.msg, "out.part"));
    hws_dumpfile_close(&second);
    assert_true(exists(p->part));
    hws_dumpfile_close(&first);
    assert_false(exists(p->part));
    assert_ok(hws_dumpfile_open(&second, p->path, &err), &err);
    hws_dumpfile_close(&second);
}

static void bad_places_and_manifests_are_refused(void **state)
{
    const struct place *p = *state;
    struct hws_dumpfile f;
    struct hws_err err;

    assert_code(hws_dumpfile_open(&f, p->dir, &err), HWS_E_INVALID);
    assert_code(hws_dumpfile_open(&f, "", &err), HWS_E_INVALID);
    assert_code(hws_dumpfile_open(&f, "-", &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "not standard output"));
    assert_code(hws_dumpfile_open(&f, "/dev/null", &err), HWS_E_INVALID); /* would be replaced */
    assert_int_equal(symlink("/dev/null", p->path), 0);
    assert_code(hws_dumpfile_open(&f, p->path, &err), HWS_E_INVALID);
    assert_int_equal(unlink(p->path), 0);
    assert_code(hws_dumpfile_open(&f, "/tmp/hawser-no-such-folder/x", &err), HWS_E_NOT_FOUND);
    hws_dumpfile_close(&f);
    assert_ok(hws_dumpfile_open(&f, p->path, &err), &err);
    assert_code(hws_dumpfile_manifest(&f, "", 8, digest, &err), HWS_E_PROTO);
    assert_code(hws_dumpfile_manifest(&f, "d", 8, "abc", &err), HWS_E_PROTO);
    hws_dumpfile_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_dump_is_renamed_and_half_a_dump_never, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(what_does_not_verify_leaves_nothing, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(another_dump_is_a_conflict_until_restarted, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(second_pull_into_the_same_file_is_refused, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(bad_places_and_manifests_are_refused, make_place,
                                        drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
