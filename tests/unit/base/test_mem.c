/* base/mem: a block whose pages cost nothing until they are written. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "test.h"

#define PAGES 16u

static void a_sparse_block_takes_no_page_before_it_is_written(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char resident[PAGES - 1];
    (void)state;
    uint8_t *used = hws_mem_alloc(PAGES * page);
    memset(used, 1, PAGES * page); /* what the allocator hands out again is dirty */
    hws_mem_free(used);

    uint8_t *p = hws_mem_alloc_sparse(PAGES * page);
    assert_non_null(p);
    uint8_t *whole = p + (page - (uintptr_t)p % page) % page;
    assert_int_equal(mincore(whole, sizeof(resident) * page, resident), 0);
    for (size_t i = 0; i < sizeof(resident); i++) {
        assert_int_equal(resident[i] & 1, 0);
    }

    memset(p, 2, PAGES * page);
    for (size_t i = 0; i < PAGES * page; i++) {
        assert_int_equal(p[i], 2);
    }
    hws_mem_free(p);
}

static void a_sparse_block_of_any_size_leaves_its_neighbours_alone(void **state)
{
    uint64_t seed = hws_test_seed();
    uint8_t *all[64];
    size_t sizes[64];
    (void)state;
    for (size_t i = 0; i < 64; i++) {
        sizes[i] = (size_t)(hws_test_rand(&seed) % 20000);
        all[i] = hws_mem_alloc_sparse(sizes[i]);
        assert_non_null(all[i]);
        memset(all[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 64; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(all[i][k], (uint8_t)i);
        }
        hws_mem_free(all[i]);
    }
}

static void a_sparse_block_fails_when_it_is_told_to(void **state)
{
    (void)state;
    hws_mem_fail_after(1, false);
    assert_null(hws_mem_alloc_sparse(100000));
    hws_mem_fail_after(0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sparse_block_takes_no_page_before_it_is_written),
        cmocka_unit_test(a_sparse_block_of_any_size_leaves_its_neighbours_alone),
        cmocka_unit_test(a_sparse_block_fails_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
