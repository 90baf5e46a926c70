/*
 * A whole agent for a test: hawserd --supervise with hawser-wire and hawser-emu in a temporary
 * folder, and a client over its Unix socket or TLS. Everything is stopped and removed at the end.
 */
#ifndef HWS_TESTS_AGENT_RIG_H
#define HWS_TESTS_AGENT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <protobuf-c/protobuf-c.h>
#include <uv.h>

#include "base/buf.h"
#include "grpc/client.h"
#include "hawser/v1/common.pb-c.h"
#include "net/net.h"
#include "pki.h"
#include "tls/bundle.h"
#include "tls/rng.h"

/* hawser-wire whose allocations fail when told (failing.h), and the other programs. */
#define HWS_RIG_FAILING_BIN_DIR HWS_BIN_DIR "/../tests/failing"

#define HWS_RIG_FENCE 7u /* election id of the rig's mutations */

struct hws_rig_options {
    bool tls;              /* listen on loopback TCP too */
    const char *faults[2]; /* YAML list for each adapter's `faults`; NULL = none */
    bool no_client;        /* do not wait for the agent to serve */
};

struct hws_rig {
    char dir[64];
    pid_t supervisor;
    uint64_t started_ms; /* of start, monotonic */
    uint64_t serving_ms; /* the first answered call came so long after start */
    struct hws_pki pki;
    bool has_pki;
    uv_loop_t loop;
    struct hws_net net;
    struct hws_tls_rng *rng;
    struct hws_net_conn *conn; /* NULL = not connected */
    uint32_t dial_ms;          /* 0 = a second */
    bool opened;
    bool lost;
};

/* Where an agent is, for another process to look after it (rig_sweep.c). */
struct hws_rig_place {
    char dir[64];
    pid_t supervisor; /* 0 = ended by the test */
    struct hws_pki pki;
    bool has_pki;
};

/* Where the rig says it, when it starts and ends the agent; NULL = nowhere. */
extern struct hws_rig_place *hws_rig_place;

/* How a call ended. */
struct hws_rig_reply {
    enum hws_grpc_code code;
    char message[512];
    struct hws_buf bytes; /* the last message; owned */
    size_t n_messages;
    uint8_t details[4096];
    size_t n_details;
};

/* Starts the agent and waits until it answers; fails the test otherwise. With HAWSER_FAILING set,
 * hawser-wire is the one whose allocations fail when told (failing.h). */
void hws_rig_start(struct hws_rig *rig, const struct hws_rig_options *options);

/* A client of the agent at that place, which is taken over: to be stopped as one that was started.
 */
void hws_rig_adopt(struct hws_rig *rig, const struct hws_rig_place *place);

/* Closes the client and removes the folder; whoever runs there is the caller's. */
void hws_rig_drop(struct hws_rig *rig);

/* What the processes said, and whether a sanitizer found something in one of them. */
void hws_rig_show_log(const struct hws_rig *rig);
bool hws_rig_has_findings(const struct hws_rig *rig);

/* SIGTERM; the exit status must be 0. Removes the folder. */
void hws_rig_stop(struct hws_rig *rig);

/* The same as a group's teardown; its setup has set *state to the rig. */
int hws_rig_teardown(void **state);

/* Sends SIGTERM and returns the exit status, without removing anything. */
int hws_rig_terminate(struct hws_rig *rig);

/* Starts it again in the same folder. */
void hws_rig_restart(struct hws_rig *rig);

/* Connects to the Unix socket; false if nobody answers within dial_ms. */
bool hws_rig_connect(struct hws_rig *rig);

/* Connects over TLS as "operator-olga" or another of pki.h; false when refused. */
bool hws_rig_connect_tls(struct hws_rig *rig, const char *who);

void hws_rig_disconnect(struct hws_rig *rig);

/* One unary call; connects first if need be. */
void hws_rig_call(struct hws_rig *rig, const char *path, const ProtobufCMessage *request,
                  uint64_t timeout_ms, struct hws_rig_reply *out);

/* A server stream: on_each for each message; ends when it returns false (the call is cancelled
 * then). */
void hws_rig_stream(struct hws_rig *rig, const char *path, const ProtobufCMessage *request,
                    uint64_t timeout_ms,
                    bool (*on_each)(void *data, const uint8_t *bytes, size_t n), void *data,
                    struct hws_rig_reply *out);

/* A call that is under way: started, not waited for. */
struct hws_rig_async {
    struct hws_rig_reply reply;
    bool done;
    struct hws_grpc_call *call;
};
void hws_rig_begin(struct hws_rig *rig, const char *path, enum hws_grpc_kind kind,
                   const ProtobufCMessage *request, uint64_t timeout_ms, struct hws_rig_async *out);

/* Turns the loop until the call is done (or ms have passed: false). */
bool hws_rig_wait(struct hws_rig *rig, struct hws_rig_async *async, uint64_t ms);

/* The call ended at its deadline: by the agent's answer, which says UNKNOWN if the card had the
 * command and its time ran out first, or by the client's own clock where that was first. */
void hws_rig_assert_overdue(const struct hws_rig_reply *reply);

/* Turns the loop for so long. */
void hws_rig_idle(struct hws_rig *rig, uint64_t ms);

/* The call ended OK; what it said fails the test otherwise. */
void hws_rig_expect_ok(const struct hws_rig_reply *reply);

void hws_rig_reply_free(struct hws_rig_reply *reply);

/* The pid of a process of the agent by AgentService.Info: "hawserd", "hawser-wire", "hawser-emu".
 */
pid_t hws_rig_pid(struct hws_rig *rig, const char *name);

/* A counter of AgentService.Info, from hawserd's start: "commands" (handed to the device process),
 * "mutations" (intents stored), ... */
uint64_t hws_rig_counter(struct hws_rig *rig, const char *name);

/* Calls until it is OK or ms have passed; returns how long it took, UINT64_MAX if never. */
uint64_t hws_rig_until_ok(struct hws_rig *rig, const char *path, const ProtobufCMessage *request,
                          uint64_t ms);

/* Until both adapters are READY: identity is read right after the device process came. */
void hws_rig_wait_ready(struct hws_rig *rig);

uint64_t hws_rig_now_ms(void);

/* Writes a file into the rig's folder. */
void hws_rig_write(const struct hws_rig *rig, const char *name, const char *text);

/* protobuf-c's strings are not const; it does not write to them. */
char *hws_rig_text(const char *s);

/* What every changing request has; the caller's while the request is used. */
struct hws_rig_mutation {
    Hawser__V1__Mutation mutation;
    Hawser__V1__Fence fence;
    char id[32];
};

/* Fills it with the rig's fence and a request_id of its own. */
Hawser__V1__Mutation *hws_rig_mutate(struct hws_rig_mutation *m);

#endif
