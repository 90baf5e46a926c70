/* Locks and kills: whom and what they bar, when they end, what is kept of them. */
#include <string.h>

#include "base/str.h"
#include "policy/bar.h"
#include "test.h"

#define NOW UINT64_C(1700000000000)

#define CARD                                                                                       \
    .device.id = "mlx5:S1@0000:81:00.0", .device.pci = "0000:81:00.0", .device.serial = "S1"
#define NO_CARD .device.id = "", .device.pci = "", .device.serial = ""

static struct hws_bar bar(enum hws_bar_kind kind, const char *object)
{
    struct hws_bar b = {.kind = kind, .since_unix_ms = NOW, .until_unix_ms = NOW + 1000};

    (void)hws_str_copy(b.object, sizeof(b.object), object);
    (void)hws_str_copy(b.reason, sizeof(b.reason), "because");
    (void)hws_str_copy(b.who, sizeof(b.who), "spiffe://d/o/olga");
    return b;
}

static struct hws_bar kill(const char *row, const char *object, const char *from, const char *to)
{
    struct hws_bar b = bar(HWS_BAR_ROW, object);

    (void)hws_str_copy(b.row, sizeof(b.row), row);
    (void)hws_str_copy(b.from, sizeof(b.from), from);
    (void)hws_str_copy(b.to, sizeof(b.to), to);
    return b;
}

static uint64_t add(struct hws_bars *b, struct hws_bar one)
{
    uint64_t id = 0;
    struct hws_err err;

    assert_ok(hws_bars_add(b, &one, NOW, &id, &err), &err);
    return id;
}

static void lock_bars_whom_it_names_and_nobody_else(void **state)
{
    static const struct {
        enum hws_bar_kind kind;
        const char *object;
        struct hws_policy_request req;
        bool barred;
    } cases[] = {
        {HWS_BAR_PRINCIPAL,
         "spiffe://d/o/mallory",
         {.principal = "spiffe://d/o/mallory", .permission = "lock.remove", NO_CARD},
         true},
        {HWS_BAR_PRINCIPAL,
         "spiffe://d/m/",
         {.principal = "spiffe://d/m/mallory", .permission = "device.list", NO_CARD},
         true},
        {HWS_BAR_PRINCIPAL,
         "spiffe://d/o/mallory",
         {.principal = "spiffe://d/o/oscar", .permission = "device.list", CARD},
         false},
        {HWS_BAR_DEVICE,
         "serial:S1",
         {.principal = "spiffe://d/o/oscar", .permission = "config.apply", CARD},
         true},
        {HWS_BAR_DEVICE,
         "pci:0000:82:00.0",
         {.principal = "spiffe://d/o/oscar", .permission = "config.apply", CARD},
         false},
        {HWS_BAR_DEVICE,
         "*",
         {.principal = "spiffe://d/o/oscar", .permission = "device.list", NO_CARD},
         false},
        {HWS_BAR_DEVICE, /* who locked it goes on */
         "*",
         {.principal = "spiffe://d/o/olga", .permission = "config.apply", CARD},
         false},
        {HWS_BAR_HOST,
         "",
         {.principal = "spiffe://d/o/oscar", .permission = "device.list", NO_CARD},
         true},
        {HWS_BAR_HOST,
         "",
         {.principal = "spiffe://d/o/olga", .permission = "device.list", NO_CARD},
         false},
        {HWS_BAR_HOST,
         "",
         {.principal = "spiffe://d/o/oscar", .permission = "lock.remove", NO_CARD},
         false},
        {HWS_BAR_HOST,
         "",
         {.principal = "spiffe://d/o/oscar", .permission = "kill.list", NO_CARD},
         false},
        {HWS_BAR_HOST,
         "",
         {.principal = "spiffe://d/o/oscar", .permission = "agent.info", NO_CARD},
         false},
        {HWS_BAR_HOST,
         "",
         {.principal = "spiffe://d/o/oscar", .permission = "audit.checkpoint", NO_CARD},
         false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_bars b;
        assert_ok(hws_bars_init(&b), NULL);
        (void)add(&b, kill("MGIR:read", "*", "", "")); /* no lock */
        uint64_t id = add(&b, bar(cases[i].kind, cases[i].object));
        const struct hws_bar *got = hws_bars_lock(&b, &cases[i].req);
        if ((got != NULL) != cases[i].barred || (got != NULL && got->id != id)) {
            fail_msg("case %zu", i);
        }
        hws_bars_deinit(&b);
    }
}

static void who_has_locked_holds(void **state)
{
    const struct hws_policy_request olga = {.principal = "spiffe://d/o/olga", CARD};
    const struct hws_policy_request oscar = {.principal = "spiffe://d/o/oscar", CARD};
    struct hws_bars b;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    (void)add(&b, bar(HWS_BAR_PRINCIPAL, "spiffe://d/x"));
    (void)add(&b, bar(HWS_BAR_DEVICE, "serial:S2"));
    (void)add(&b, bar(HWS_BAR_DEVICE, "part:MCX7*")); /* the card's part is not known */
    (void)add(&b, bar(HWS_BAR_DEVICE, "psid:MT_0000000834"));
    assert_false(hws_bars_holds(&b, &olga));
    uint64_t id = add(&b, bar(HWS_BAR_DEVICE, "serial:S1"));
    assert_true(hws_bars_holds(&b, &olga));
    assert_false(hws_bars_holds(&b, &oscar));
    hws_bars_remove(&b, id);
    assert_false(hws_bars_holds(&b, &olga));
    (void)add(&b, bar(HWS_BAR_HOST, ""));
    assert_true(hws_bars_holds(&b, &olga));
    hws_bars_deinit(&b);
}

static void kill_bars_its_row_on_its_adapters_and_firmware(void **state)
{
    static const struct {
        const char *row, *object, *from, *to; /* of the kill */
        const char *target, *method, *firmware;
        bool killed;
    } cases[] = {
        {"PAOS:write", "*", "", "", "PAOS", "write", "28.43.2006", true},
        {"PAOS:write", "*", "", "", "PAOS", "read", "28.43.2006", false},
        {"QUERY_ADAPTER", "*", "", "", "QUERY_ADAPTER", "", "28.43.2006", true},
        {"QUERY_ADAPTER", "*", "", "", "QUERY_A", "", "28.43.2006", false},
        {"PAOS:write", "*", "", "", "MGIR", "write", "28.43.2006", false},
        {"PAOS:write", "*", "", "", "", "", "28.43.2006", false}, /* a call without a register */
        {"PAOS", "*", "", "", "PAOS", "read", "28.43.2006", true},
        {"PAOS", "*", "", "", "PAOS", "write", "28.43.2006", true},
        {"PAOS:write", "serial:S2", "", "", "PAOS", "write", "28.43.2006", false},
        {"PAOS:write", "serial:S1", "28.40.0", "28.43.2006", "PAOS", "write", "28.43.2006", true},
        {"PAOS:write", "serial:S1", "28.40.0", "28.43.2006", "PAOS", "write", "28.40.0", true},
        {"PAOS:write", "serial:S1", "28.40.0", "28.43.2006", "PAOS", "write", "28.39.9999", false},
        {"PAOS:write", "serial:S1", "28.40.0", "28.43.2006", "PAOS", "write", "28.43.2007", false},
        {"PAOS:write", "*", "", "28.43.2006", "PAOS", "write", "22.99.1", true},
        {"PAOS:write", "*", "28.43.2006", "", "PAOS", "write", "29.0.0", true},
        {"PAOS:write", "*", "28.43.2006", "", "PAOS", "write", "28.43.999", false},
        {"PAOS:write", "*", "28.0.0", "", "PAOS", "write", "", false}, /* not identified yet */
        {"PAOS:write", "*", "", "", "PAOS", "write", "", true},
        {"PAOS:write", "*", "28.0.0", "", "PAOS", "write", "weird", true}, /* may be one of them */
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_policy_request req = {CARD, .target = cases[i].target,
                                         .target_method = cases[i].method};
        struct hws_bars b;
        assert_ok(hws_bars_init(&b), NULL);
        (void)add(&b, bar(HWS_BAR_HOST, "")); /* no kill */
        (void)add(&b, kill(cases[i].row, cases[i].object, cases[i].from, cases[i].to));
        if ((hws_bars_kill(&b, &req, cases[i].firmware) != NULL) != cases[i].killed) {
            fail_msg("case %zu", i);
        }
        hws_bars_deinit(&b);
    }
}

static void what_is_no_bar_is_refused_with_the_field(void **state)
{
    struct hws_bar late = bar(HWS_BAR_HOST, "");
    struct hws_bar past = late;
    struct hws_bar mute = late;
    struct hws_bar lines = late;
    late.until_unix_ms = NOW + HWS_BAR_MAX_MS + 1;
    past.until_unix_ms = NOW;
    mute.reason[0] = '\0';
    (void)hws_str_copy(lines.reason, sizeof(lines.reason), "a\nb");
    const struct {
        struct hws_bar bar;
        const char *field;
    } cases[] = {
        {late, "for_s: 1 to 2592000"},
        {past, "for_s"},
        {mute, "reason"},
        {lines, "reason"},
        {bar(HWS_BAR_NONE, ""), "kind"},
        {bar(HWS_N_BAR_KINDS, ""), "kind"},
        {bar((enum hws_bar_kind)99, ""), "kind"},
        {bar(HWS_BAR_HOST, "x"), "object \"x\": a lock of the host has no object"},
        {bar(HWS_BAR_PRINCIPAL, "olga"), "object \"olga\": not a principal"},
        {bar(HWS_BAR_PRINCIPAL, "*"), "object \"*\""},
        {bar(HWS_BAR_PRINCIPAL, "spiffe://d/o/"), "covers you"},
        {bar(HWS_BAR_DEVICE, "card"), "object \"card\": not a device"},
        {kill("", "*", "", ""), "row"},
        {kill("NOTHING", "*", "", ""), "row: no register or command"},
        {kill("PAOS:write", "card", "", ""), "object"},
        {kill("PAOS:write", "*", "28.43", ""), "firmware_from"},
        {kill("PAOS:write", "*", "", "28.43.70000"), "firmware_to"},
        {kill("PAOS:write", "*", "", "28.43.00002006"), "firmware_to"},
        {kill("PAOS:write", "*", "", "28.43.1 "), "firmware_to"},
        {kill("PAOS:write", "*", "28.43.2", "28.43.1"), "firmware_from"},
    };
    struct hws_bars b;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id = 0;
        struct hws_err err;
        enum hws_code code = hws_bars_add(&b, &cases[i].bar, NOW, &id, &err);
        if (code != HWS_E_INVALID || strstr(err.msg, cases[i].field) == NULL) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
    assert_int_equal(b.n, 0);
    hws_bars_deinit(&b);
}

static void one_may_lock_oneself_out(void **state)
{
    const struct hws_policy_request olga = {.principal = "spiffe://d/o/olga", CARD};
    struct hws_bars b;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    (void)add(&b, bar(HWS_BAR_PRINCIPAL, "spiffe://d/o/olga"));
    assert_non_null(hws_bars_lock(&b, &olga));
    hws_bars_deinit(&b);
}

static void bar_that_is_put_back_stands_where_it_was(void **state)
{
    struct hws_bars b;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(add(&b, bar(HWS_BAR_HOST, "")), id);
    }
    for (uint64_t id = 1; id <= 3; id++) {
        struct hws_bar gone = *hws_bars_find(&b, id);
        hws_bars_remove(&b, id);
        hws_bars_put_back(&b, &gone);
        assert_int_equal(b.n, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(b.items[i].id, i + 1);
        }
    }
    hws_bars_deinit(&b);
}

static void bars_end_one_by_one_and_are_limited(void **state)
{
    struct hws_bar out;
    struct hws_bars b;
    struct hws_err err;
    uint64_t id = 0;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    assert_int_equal(hws_bars_next_ms(&b), UINT64_MAX);
    for (unsigned i = 0; i < HWS_BAR_MAX; i++) {
        struct hws_bar one = bar(HWS_BAR_HOST, "");
        one.until_unix_ms = NOW + 1000 + (HWS_BAR_MAX - i);
        assert_int_equal(add(&b, one), i + 1);
    }
    struct hws_bar more = bar(HWS_BAR_HOST, "");
    assert_code(hws_bars_add(&b, &more, NOW, &id, &err), HWS_E_BUSY);
    assert_int_equal(hws_bars_next_ms(&b), NOW + 1001);
    assert_false(hws_bars_expire(&b, NOW + 1000, &out));
    assert_true(hws_bars_expire(&b, NOW + 1001, &out));
    assert_int_equal(out.id, HWS_BAR_MAX);
    assert_false(hws_bars_expire(&b, NOW + 1001, &out));
    assert_null(hws_bars_find(&b, HWS_BAR_MAX));
    hws_bars_remove(&b, HWS_BAR_MAX);
    assert_int_equal(b.n, HWS_BAR_MAX - 1);
    assert_int_equal(add(&b, more), HWS_BAR_MAX + 1); /* a number is never used again */
    hws_bars_deinit(&b);
}

static void bars_come_back_as_they_were(void **state)
{
    static const char *const bad[] = {
        "",
        "next 1",
        "nest 1\n",
        "next x\n",
        "next 2\n1\thost\t\t\t\t\t1\t2\tw\tr",
        "next 2\n1\thost\t\t\t\t\t1\t2\tw\n",
        "next 2\n1\thost\t\t\t\t\t1\t2\tw\tr\tx\n",
        "next 2\n1\tnone\t\t\t\t\t1\t2\tw\tr\n",
        "next 2\nx\thost\t\t\t\t\t1\t2\tw\tr\n",
        "next 2\n1\thost\t\t\t\t\tx\t2\tw\tr\n",
        "next 2\n1\thost\t\t\t\t\t1\tx\tw\tr\n",
        "next 2\n1\thost\t\t\t\t0123456789012345678901234567890123456789\t1\t2\tw\tr\n",
        "next 2\n1\thost\t\t\t0123456789012345678901234567890123456789\t\t1\t2\tw\tr\n",
    };
    struct hws_buf bytes;
    struct hws_buf again;
    struct hws_bars b;
    struct hws_bars back;
    struct hws_err err;
    char text[256];
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    hws_buf_init(&bytes, 0);
    hws_buf_init(&again, 0);
    (void)add(&b, bar(HWS_BAR_PRINCIPAL, "spiffe://d/x/"));
    (void)add(&b, bar(HWS_BAR_HOST, ""));
    (void)add(&b, kill("PAOS:write", "serial:S1", "28.40.0", ""));
    hws_bars_remove(&b, 2);
    assert_ok(hws_bars_encode(&b, &bytes), NULL);
    assert_ok(hws_bars_init(&back), NULL);
    assert_ok(hws_bars_decode(&back, hws_buf_cstr(&bytes), hws_buf_len(&bytes), &err), &err);
    assert_ok(hws_bars_encode(&back, &again), NULL);
    assert_string_equal(hws_buf_cstr(&again), hws_buf_cstr(&bytes));
    assert_int_equal(back.next_id, 4);
    hws_bar_text(&back.items[0], text, sizeof(text));
    assert_string_equal(text, "lock 1 on principal spiffe://d/x/ by spiffe://d/o/olga: because");
    hws_bar_text(&back.items[1], text, sizeof(text));
    assert_string_equal(
        text,
        "kill 3 of PAOS:write on serial:S1, firmware 28.40.0.. by spiffe://d/o/olga: because");
    assert_string_equal(hws_bar_kind_name(HWS_N_BAR_KINDS), "?");
    hws_bars_deinit(&back);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_ok(hws_bars_init(&back), NULL);
        if (hws_bars_decode(&back, bad[i], strlen(bad[i]), &err) != HWS_E_PROTO) {
            fail_msg("case %zu is taken", i);
        }
        hws_bars_deinit(&back);
    }
    hws_buf_deinit(&again);
    hws_buf_deinit(&bytes);
    hws_bars_deinit(&b);
}

/* Which part of a line is too long for its place. */
static void part_that_is_too_long_is_refused(void **state)
{
    static const struct {
        const char *before;
        size_t n;
        const char *behind;
    } cases[] = {
        {"1\tdevice\t", HWS_BAR_TEXT_BYTES, "\t\t\t\t1\t2\tw\tr\n"},
        {"1\trow\t*\t", 72, "\t\t\t1\t2\tw\tr\n"},
        {"1\thost\t\t\t\t\t1\t2\t", HWS_BAR_TEXT_BYTES, "\tr\n"},
        {"1\thost\t\t\t\t\t1\t2\tw\t", HWS_BAR_REASON_BYTES, "\n"},
        {"1\thost\t\t\t\t\t1\t2\tw\t", 4096, "\n"}, /* no line is so long */
    };
    (void)state;

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool fits = i % 2 == 0 && i < 8; /* the control: one less */
        struct hws_buf text = {0};
        struct hws_bars b;
        struct hws_err err;
        assert_ok(hws_buf_printf(&text, "next 2\n%s", cases[i / 2].before), NULL);
        for (size_t k = fits ? 1 : 0; k < cases[i / 2].n; k++) {
            assert_ok(hws_buf_put(&text, "a", 1), NULL);
        }
        assert_ok(hws_buf_printf(&text, "%s", cases[i / 2].behind), NULL);
        assert_ok(hws_bars_init(&b), NULL);
        assert_code(hws_bars_decode(&b, hws_buf_cstr(&text), hws_buf_len(&text), &err),
                    fits ? HWS_OK : HWS_E_PROTO);
        if (!fits) {
            assert_string_equal(err.msg, "line 2 is no lock and no kill");
        }
        hws_bars_deinit(&b);
        hws_buf_deinit(&text);
    }
}

static void zero_byte_in_a_state_file_is_refused(void **state)
{
    static const char text[] = "next 2\n1\thost\t\t\t\t\t1\t2\tw\tr\0x\n";
    struct hws_bars b;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    assert_code(hws_bars_decode(&b, text, sizeof(text) - 1, NULL), HWS_E_PROTO);
    hws_bars_deinit(&b);
}

static void state_file_with_too_many_bars_is_refused(void **state)
{
    struct hws_buf text = {0};
    (void)state;

    assert_ok(hws_buf_printf(&text, "next 1000\n"), NULL);
    for (unsigned i = 1; i <= HWS_BAR_MAX + 1; i++) {
        struct hws_bars b;
        struct hws_err err;
        assert_ok(hws_buf_printf(&text, "%u\thost\t\t\t\t\t1\t2\tw\tr\n", i), NULL);
        if (i < HWS_BAR_MAX) {
            continue;
        }
        assert_ok(hws_bars_init(&b), NULL);
        assert_code(hws_bars_decode(&b, hws_buf_cstr(&text), hws_buf_len(&text), &err),
                    i == HWS_BAR_MAX ? HWS_OK : HWS_E_PROTO);
        assert_int_equal(b.n, HWS_BAR_MAX);
        hws_bars_deinit(&b);
    }
    hws_buf_deinit(&text);
}

/* A lock without an object, which only a state file edited by hand can hold, names nobody. */
static void lock_of_nobody_bars_nobody(void **state)
{
    static const char text[] = "next 2\n1\tprincipal\t\t\t\t\t1\t2\tw\tr\n";
    const struct hws_policy_request olga = {.principal = "spiffe://d/o/olga", CARD};
    struct hws_bars b;
    struct hws_err err;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    assert_ok(hws_bars_decode(&b, text, sizeof(text) - 1, &err), &err);
    assert_null(hws_bars_lock(&b, &olga));
    hws_bars_deinit(&b);
}

static void bars_that_do_not_fit_are_not_written_in_part(void **state)
{
    struct hws_buf whole = {0};
    struct hws_bars b;
    (void)state;

    assert_ok(hws_bars_init(&b), NULL);
    (void)add(&b, bar(HWS_BAR_PRINCIPAL, "spiffe://d/x/"));
    (void)add(&b, kill("PAOS:write", "serial:S1", "28.40.0", ""));
    assert_ok(hws_bars_encode(&b, &whole), NULL);
    for (size_t max = 1; max < hws_buf_len(&whole); max++) {
        struct hws_buf out;
        hws_buf_init(&out, max);
        assert_code(hws_bars_encode(&b, &out), HWS_E_BUSY);
        hws_buf_deinit(&out);
    }
    hws_buf_deinit(&whole);
    hws_bars_deinit(&b);
}

static void text_of_a_bar_is_for_people(void **state)
{
    const struct hws_bar host = bar(HWS_BAR_HOST, "");
    const struct hws_bar any = kill("PAOS:write", "*", "", "");
    const struct hws_bar until = kill("PAOS:write", "*", "", "28.43.1");
    char text[256];
    (void)state;

    hws_bar_text(&host, text, sizeof(text));
    assert_string_equal(text, "lock 0 on host by spiffe://d/o/olga: because");
    hws_bar_text(&any, text, sizeof(text));
    assert_string_equal(text, "kill 0 of PAOS:write on * by spiffe://d/o/olga: because");
    hws_bar_text(&until, text, sizeof(text));
    assert_string_equal(
        text, "kill 0 of PAOS:write on *, firmware ..28.43.1 by spiffe://d/o/olga: because");
}

static enum hws_code init_once(void *arg)
{
    struct hws_bars b;
    enum hws_code code = hws_bars_init(&b);

    (void)arg;
    hws_bars_deinit(&b);
    return code;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    assert_int_equal(hws_test_oom_sweep(init_once, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lock_bars_whom_it_names_and_nobody_else),
        cmocka_unit_test(who_has_locked_holds),
        cmocka_unit_test(kill_bars_its_row_on_its_adapters_and_firmware),
        cmocka_unit_test(what_is_no_bar_is_refused_with_the_field),
        cmocka_unit_test(one_may_lock_oneself_out),
        cmocka_unit_test(bar_that_is_put_back_stands_where_it_was),
        cmocka_unit_test(bars_end_one_by_one_and_are_limited),
        cmocka_unit_test(bars_come_back_as_they_were),
        cmocka_unit_test(part_that_is_too_long_is_refused),
        cmocka_unit_test(zero_byte_in_a_state_file_is_refused),
        cmocka_unit_test(state_file_with_too_many_bars_is_refused),
        cmocka_unit_test(lock_of_nobody_bars_nobody),
        cmocka_unit_test(bars_that_do_not_fit_are_not_written_in_part),
        cmocka_unit_test(text_of_a_bar_is_for_people),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
