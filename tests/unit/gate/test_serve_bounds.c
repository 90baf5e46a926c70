/* The device process's bounds: memory files, descriptors, adapters, failed allocations, breaches of
 * protocol. */
#include <string.h>

#include "serve_world.h"

static void descriptor_of_an_unsent_answer_is_closed_at_the_end(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    cmd.flags = HWS_LINK_FLAG_FD;
    cmd.u.cmd.out_cap = HWS_LINK_INLINE_BYTES + 1;
    cmd.u.cmd.in = (struct hws_span){NULL, 0};
    feed(w, &cmd, 9, HWS_OK);
    assert_int_equal(w->n_closed, 0);
    hws_serve_deinit(&w->serve);
    assert_int_equal(w->n_closed, 1);
}

static void memory_of_a_large_command_is_given_back(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    const struct hws_serve_slot *slot = &w->adapter->slots[0];

    cmd.flags = HWS_LINK_FLAG_FD;
    cmd.u.cmd.in_bytes = HWS_SERVE_KEEP_BYTES + 1;
    cmd.u.cmd.out_cap = HWS_SERVE_KEEP_BYTES + 1;
    cmd.u.cmd.in = (struct hws_span){NULL, 0};
    feed(w, &cmd, 9, HWS_OK);
    assert_int_equal(slot->in_cap, HWS_SERVE_KEEP_BYTES + 1);
    assert_int_equal(slot->out_cap, HWS_SERVE_KEEP_BYTES + 1);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_null(slot->in);
    assert_null(slot->out);
    assert_int_equal(slot->in_cap + slot->out_cap, 0);
    cmd = nop(6); /* the slot goes on with memory of its own */
    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(slot->in_cap, 16);
}

/* No row is so large today that its answer would need a file, so the slot is given one by hand. */
static void answer_goes_into_the_memory_file(void **state)
{
    struct world *w = *state;
    struct hws_link_packet done;

    for (uint64_t id = 5; id <= 7; id++) {
        struct hws_link_packet cmd = nop(id);

        feed(w, &cmd, -1, HWS_OK);
        w->adapter->slots[0].fd = 9;
        w->file_broken = id == 6;
        if (id == 7) {
            hws_held_fail(&w->held, 2, HWS_E_DEVICE, HWS_STAGE_EXECUTED);
        } else {
            hws_held_ok(&w->held, (size_t)id - 5, 0x5a, 16);
        }
        (void)hws_serve_turn(&w->serve, 1001);
    }
    done = sent(w, 2);
    assert_int_equal(done.flags, HWS_LINK_FLAG_FD);
    assert_int_equal(done.u.done.code, HWS_OK);
    assert_int_equal(done.u.done.out_bytes, 16);
    assert_int_equal(w->file[15], 0x5a);
    done = sent(w, 3); /* it ran, and what it answered is lost */
    assert_int_equal(done.flags, 0);
    assert_int_equal(done.u.done.code, HWS_E_IO);
    assert_int_equal(done.u.done.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(done.u.done.out_bytes, 0);
    done = sent(w, 4); /* nothing to write */
    assert_int_equal(done.flags, 0);
    assert_int_equal(done.u.done.code, HWS_E_DEVICE);
    assert_int_equal(w->n_closed, 3);
}

static void adapters_have_a_limit(void **state)
{
    struct world *w = *state;
    struct hws_serve_adapter *a = NULL;
    const struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                          .state = HWS_LINK_ADAPTER_AWAY,
                                          .depth = 1,
                                          .pci = "",
                                          .node = "caf\xc3\xa9\x7f",
                                          .backend = "",
                                          .reason = ""};

    for (unsigned i = 1; i < HWS_LINK_MAX_ADAPTERS; i++) {
        assert_code(hws_serve_add(&w->serve, NULL, &facts, &a, NULL), HWS_OK);
    }
    assert_string_equal(a->pci, "unknown"); /* what the packet may carry */
    assert_string_equal(a->node, "caf___");
    assert_code(hws_serve_add(&w->serve, NULL, &facts, &a, NULL), HWS_E_BUSY);
    assert_int_equal(w->serve.n_adapters, HWS_LINK_MAX_ADAPTERS);
}

static void second_hello_is_out_of_place(void **state)
{
    struct world *w = *state;
    struct hws_link_packet p = {.type = HWS_LINK_HELLO};

    p.u.hello = (struct hws_link_hello){
        .role = HWS_LINK_ROLE_KEEPER, .version = HWS_LINK_VERSION, .generation = 1};
    feed(w, &p, -1, HWS_E_PROTO);
}

static enum hws_code serve_one(void *arg)
{
    struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_UP,
                                    .depth = 1,
                                    .pci = "0000:81:00.0",
                                    .node = "",
                                    .backend = "queue",
                                    .reason = ""};
    struct world *w = arg;
    const struct hws_serve_io io = world_io(w);
    struct hws_link_packet cmd = nop(5);
    enum hws_code code;

    w->n_sent = 0;
    hws_held_init(&w->held);
    hws_serve_init(&w->serve, &io, "hawser-emu", "1", 7, 42);
    code = hws_serve_add(&w->serve, &w->held.ctl, &facts, &w->adapter, NULL);
    if (code == HWS_OK) {
        hws_serve_connected(&w->serve);
        (void)hws_serve_turn(&w->serve, 1000);
        feed_hello(w);
        feed_kills(w, NULL, 0);
        feed(w, &cmd, -1, HWS_OK);
        if (hws_serve_running(&w->serve) > 0) {
            hws_held_ok(&w->held, 0, 0x5a, 16);
        }
        (void)hws_serve_turn(&w->serve, 1001);
        code = (enum hws_code)sent(w, 2).u.done.code;
        assert_int_equal(sent(w, 2).u.done.stage,
                         code == HWS_OK ? HWS_STAGE_NONE : HWS_STAGE_NOT_SENT);
    }
    hws_serve_deinit(&w->serve);
    return code;
}

static void running_out_of_memory_is_an_answer(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    assert_int_equal(hws_test_oom_sweep(serve_one, &world), 4); /* adapter, kills, inbox, outbox */
}

static void memory_file_carries_large_payloads(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    /* Inbox and outbox of such a size suit no row: the gate judges the copy and refuses. */
    memcpy(w->file, cmd.u.cmd.in.bytes, 16);
    cmd.flags = HWS_LINK_FLAG_FD;
    cmd.u.cmd.in_bytes = 16;
    cmd.u.cmd.out_cap = HWS_LINK_INLINE_BYTES + 1;
    cmd.u.cmd.in = (struct hws_span){NULL, 0};
    feed(w, &cmd, 9, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_INVALID);
    assert_int_equal(w->n_closed, 1);
    w->file_broken = true;
    cmd.id = 6;
    feed(w, &cmd, 9, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 3).u.done.code, HWS_E_PROTO);
    assert_int_equal(w->n_closed, 2);
}

static void breach_of_protocol_is_refused_and_leaks_no_descriptor(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet stray = {.type = HWS_LINK_CANCEL, .id = 1, .u.cancel = 1};
    const uint8_t garbage[3] = {0};

    feed(w, &cmd, 9, HWS_E_PROTO); /* a descriptor without the flag */
    assert_int_equal(w->n_closed, 1);
    cmd.u.cmd.adapter = 1;
    feed(w, &cmd, -1, HWS_E_PROTO); /* no such adapter */
    feed(w, &stray, -1, HWS_E_PROTO);
    assert_code(hws_serve_feed(&w->serve, garbage, sizeof garbage, 9, 1000, NULL), HWS_E_PROTO);
    assert_int_equal(w->n_closed, 2);
    for (uint64_t id = 1; id <= 4; id++) {
        cmd = nop(id);
        feed(w, &cmd, -1, HWS_OK);
    }
    cmd = nop(4);
    feed(w, &cmd, -1, HWS_E_PROTO); /* id in use */
    cmd = nop(5);
    feed(w, &cmd, -1, HWS_E_PROTO); /* over the depth */
}

static void nothing_runs_before_the_keepers_hello(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet hello = {.type = HWS_LINK_HELLO};

    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
    feed(w, &cmd, -1, HWS_E_PROTO);
    hello.u.hello = (struct hws_link_hello){
        .role = HWS_LINK_ROLE_WIRE, .version = HWS_LINK_VERSION, .generation = 1};
    feed(w, &hello, -1, HWS_E_PROTO);
    hello.u.hello.role = HWS_LINK_ROLE_KEEPER;
    hello.u.hello.version = HWS_LINK_VERSION + 1;
    feed(w, &hello, -1, HWS_E_PROTO);
    assert_int_equal(w->held.n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(descriptor_of_an_unsent_answer_is_closed_at_the_end),
        WITH_WORLD(memory_of_a_large_command_is_given_back),
        WITH_WORLD(answer_goes_into_the_memory_file),
        WITH_WORLD(adapters_have_a_limit),
        WITH_WORLD(second_hello_is_out_of_place),
        cmocka_unit_test(running_out_of_memory_is_an_answer),
        WITH_WORLD(memory_file_carries_large_payloads),
        WITH_WORLD(breach_of_protocol_is_refused_and_leaks_no_descriptor),
        WITH_WORLD(nothing_runs_before_the_keepers_hello),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
