/* The block pool and its chains. */
#include <string.h>

#include "cmdq/mailbox.h"
#include "fake_bar.h"
#include "ifc/sig.h"
#include "test.h"

static struct fake_bar fake;
static struct hws_cmdq_pool pool;

static int setup(void **state)
{
    (void)state;
    fake_bar_init(&fake, 5, 6);
    assert_code(hws_cmdq_pool_open(&pool, &fake.bar, 8, NULL), HWS_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_cmdq_pool_deinit(&pool);
    assert_int_equal(fake.n_live, 0);
    return 0;
}

static struct hws_mbox *block(uint32_t head, unsigned n)
{
    uint64_t addr = hws_cmdq_block_addr(&pool, head);

    for (; n > 0; n--) {
        addr = hws_be64_get(((struct hws_mbox *)fake_bar_at(&fake, addr))->next);
    }
    return fake_bar_at(&fake, addr);
}

static void blocks_needed_by_length(void **state)
{
    (void)state;
    assert_int_equal(hws_mbox_n_blocks(16), 0);
    assert_int_equal(hws_mbox_n_blocks(17), 1);
    assert_int_equal(hws_mbox_n_blocks(528), 1);
    assert_int_equal(hws_mbox_n_blocks(529), 2);
    assert_int_equal(hws_mbox_n_blocks(2097152), 4096);
}

static void a_chain_is_laid_out_as_documented(void **state)
{
    uint8_t bytes[600];
    uint32_t head;

    (void)state;
    memset(bytes, 0x77, sizeof(bytes));
    assert_true(hws_cmdq_pool_take(&pool, 2, &head));
    hws_cmdq_chain_write(&pool, head, 0xc3, bytes, sizeof(bytes));

    const uint8_t *raw = (const uint8_t *)block(head, 0);
    assert_memory_equal(raw, bytes, 512);
    assert_int_equal(raw[0x23b], 0);
    assert_int_equal(raw[0x23d], 0xc3);
    const struct hws_mbox *second = block(head, 1);
    raw = (const uint8_t *)second;
    assert_memory_equal(raw, bytes + 512, 88);
    assert_int_equal(raw[88], 0);
    assert_int_equal(raw[0x23b], 1);
    assert_true(hws_be64_get(second->next) == 0);
    assert_true(hws_sig_mbox_ok(second));
    hws_cmdq_pool_give(&pool, head, 2);
}

static void the_pool_gives_no_more_than_it_has(void **state)
{
    uint32_t a;
    uint32_t b;

    (void)state;
    assert_true(hws_cmdq_pool_take(&pool, 5, &a));
    assert_false(hws_cmdq_pool_take(&pool, 4, &b));
    assert_true(hws_cmdq_pool_take(&pool, 3, &b));
    assert_false(hws_cmdq_pool_take(&pool, 1, &b));
    hws_cmdq_pool_give(&pool, a, 5);
    assert_true(hws_cmdq_pool_take(&pool, 0, &a));
    assert_int_equal(a, HWS_CMDQ_NO_BLOCK);
    assert_int_equal(pool.n_free, 5);
}

static void what_the_card_wrote_comes_out(void **state)
{
    uint64_t r = hws_test_seed();
    uint8_t bytes[900];
    uint8_t out[900];
    uint32_t head;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)hws_test_rand(&r);
    }
    assert_true(hws_cmdq_pool_take(&pool, 2, &head));
    hws_cmdq_chain_write(&pool, head, 7, NULL, 0);
    for (unsigned i = 0; i < 2; i++) {
        memcpy(block(head, i)->data, bytes + 512 * (size_t)i, i == 0 ? 512 : 388);
        hws_sig_mbox_set(block(head, i));
    }
    assert_code(hws_cmdq_chain_read(&pool, head, 7, out, sizeof(out), NULL), HWS_OK);
    assert_memory_equal(out, bytes, sizeof(out));
}

static void any_flipped_bit_of_a_block_is_noticed(void **state)
{
    uint8_t out[512];
    uint32_t head;

    (void)state;
    assert_true(hws_cmdq_pool_take(&pool, 1, &head));
    for (unsigned bit = 0; bit < 576 * 8; bit++) {
        hws_cmdq_chain_write(&pool, head, 7, NULL, 0);
        ((uint8_t *)block(head, 0))[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_code(hws_cmdq_chain_read(&pool, head, 7, out, sizeof(out), NULL), HWS_E_PROTO);
    }
}

static void signed_but_wrong_blocks_are_noticed(void **state)
{
    uint8_t out[512];
    uint32_t head;
    struct hws_err err = {0};

    (void)state;
    assert_true(hws_cmdq_pool_take(&pool, 1, &head));
    hws_cmdq_chain_write(&pool, head, 7, NULL, 0);
    assert_code(hws_cmdq_chain_read(&pool, head, 8, out, sizeof(out), &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "token 7, expected 8"));
    block(head, 0)->block_idx = hws_be32_of(1);
    hws_sig_mbox_set(block(head, 0));
    assert_code(hws_cmdq_chain_read(&pool, head, 7, out, sizeof(out), &err), HWS_E_PROTO);
    hws_cmdq_chain_write(&pool, head, 7, NULL, 0);
    block(head, 0)->next = hws_be64_of(0x1000);
    hws_sig_mbox_set(block(head, 0));
    assert_code(hws_cmdq_chain_read(&pool, head, 7, out, sizeof(out), &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "link changed"));
}

static void impossible_sizes_are_refused(void **state)
{
    struct hws_cmdq_pool other;

    (void)state;
    assert_code(hws_cmdq_pool_open(&other, &fake.bar, 0, NULL), HWS_E_INVALID);
    assert_code(hws_cmdq_pool_open(&other, &fake.bar, HWS_CMDQ_MAX_BLOCKS + 1, NULL),
                HWS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_needed_by_length),
        cmocka_unit_test_setup_teardown(a_chain_is_laid_out_as_documented, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pool_gives_no_more_than_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_card_wrote_comes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(any_flipped_bit_of_a_block_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(signed_but_wrong_blocks_are_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_sizes_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
