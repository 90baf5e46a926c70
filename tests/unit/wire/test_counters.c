/* What hawser-wire tells of itself: which counters, which peers, within which room. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "counters.h"
#include "service.h"
#include "test.h"

#define N_PEERS 9u
#define SHOWN   6u /* of them */

struct world {
    struct hws_service s;
    struct hws_net_account *peers[N_PEERS]; /* of s.tcp, by identity; number i costs i more */
    char text[HWS_RELAY_STATS_BYTES];
};

static int setup(void **state)
{
    static const struct hws_net_book_config config = {.max_idle = N_PEERS};
    struct world *w = assert_got(hws_mem_zalloc(1, sizeof(*w)));
    char name[32];

    w->s.has_tcp = true;
    hws_net_book_init(&w->s.tcp.by_address, &config);
    hws_net_book_init(&w->s.tcp.by_identity, &config);
    uint64_t seed = hws_test_seed();
    size_t first = hws_test_rand(&seed) % N_PEERS;
    for (size_t k = 0; k < N_PEERS; k++) {
        size_t i = (first + 4 * k) % N_PEERS; /* each once, in an order that is none */
        hws_str_print(name, sizeof(name), "spiffe://d/o/%zu", i);
        w->peers[i] = assert_got(hws_net_book_open(&w->s.tcp.by_identity, name, 0));
        w->peers[i]->use.held_bytes = 100000 * (i + 1);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < N_PEERS; i++) {
        hws_net_book_close(&w->s.tcp.by_identity, w->peers[i], 0);
    }
    hws_net_book_deinit(&w->s.tcp.by_identity);
    hws_net_book_deinit(&w->s.tcp.by_address);
    hws_mem_free(w);
    return 0;
}

static void what_is_zero_is_not_told(void **state)
{
    struct world *w = *state;

    w->s.has_tcp = false;
    hws_counters_write(&w->s, w->text, sizeof(w->text));
    assert_string_equal(w->text, "");
    w->s.n_conns_opened = 3;
    w->s.net.stats.accept_failed = UINT64_MAX;
    hws_counters_write(&w->s, w->text, sizeof(w->text));
    assert_string_equal(w->text, "connections_opened 3\nnet.accept_failed 18446744073709551615\n");
}

static void the_peers_that_cost_most_are_told_the_most_costly_first(void **state)
{
    struct world *w = *state;
    const char *at = w->text;
    char line[64];

    hws_counters_write(&w->s, w->text, sizeof(w->text));
    for (size_t i = N_PEERS; i-- > N_PEERS - SHOWN;) {
        hws_str_print(line, sizeof(line), "\nidentity.spiffe://d/o/%zu.held_bytes %zu\n", i,
                      100000 * (i + 1));
        at = strstr(at, line);
        assert_non_null(at);
    }
    for (size_t i = 0; i < N_PEERS - SHOWN; i++) {
        hws_str_print(line, sizeof(line), "identity.spiffe://d/o/%zu.", i);
        assert_null(strstr(w->text, line));
    }
}

static void a_line_is_whole_or_not_there(void **state)
{
    struct world *w = *state;
    char cut[HWS_RELAY_STATS_BYTES];
    char line[128] = "\n";

    w->s.n_conns_opened = 3;
    hws_counters_write(&w->s, w->text, sizeof(w->text));
    size_t n = strlen(w->text);
    assert_true(n > 500 && n < sizeof(cut));
    for (size_t cap = 1; cap <= n + 1; cap++) {
        hws_counters_write(&w->s, cut, cap);
        assert_true(strlen(cut) < cap);
        for (const char *at = cut; *at != '\0'; at = strchr(at, '\n') + 1) {
            assert_non_null(strchr(at, '\n'));
            assert_true(hws_str_copy_n(line + 1, sizeof(line) - 1, at, strcspn(at, "\n") + 1));
            assert_true(hws_str_starts(w->text, line + 1) || strstr(w->text, line) != NULL);
        }
    }
    assert_string_equal(cut, w->text);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(what_is_zero_is_not_told),
        WITH_WORLD(the_peers_that_cost_most_are_told_the_most_costly_first),
        WITH_WORLD(a_line_is_whole_or_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
