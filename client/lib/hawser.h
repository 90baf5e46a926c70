/*
 * libhawser: calls to Hawser agents, over mutual TLS or the agent's Unix socket.
 *
 * A client is a channel to one agent: a connection (one to each address, when its name has several)
 * is made when the first call needs it and made again after it was lost. Calls run on the caller's
 * libuv loop; hws_client_run waits for one of them.
 *
 *     hws_client_creds_new -> hws_client_open -> [ hws_client_start ... done | hws_client_run ]*
 *     -> hws_client_close -> hws_client_creds_unref
 *
 * Calls and the connection. A call that finds no connection waits for one until its deadline or
 * until connecting fails: then it ends UNAVAILABLE with the reason; the next attempt to connect is
 * made after a pause (HWS_CLIENT_REDIAL_MIN_MS, longer after each failure). A call whose connection
 * is lost ends UNAVAILABLE; `unprocessed` tells whether the agent surely never saw it. Nothing is
 * sent twice by this library, except that a call the agent surely never saw is sent again.
 *
 * Thread rule: a client, its loop, its credentials and its calls belong to one thread. Nothing here
 * is process-global. Callbacks run inside uv_run only, never inside a function of this header.
 */
#ifndef HWS_HAWSER_H
#define HWS_HAWSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/approval.pb-c.h"
#include "hawser/v1/audit.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "hawser/v1/config.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "hawser/v1/dump.pb-c.h"
#include "hawser/v1/lock.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The shared library hides everything else. */
#pragma GCC visibility push(default)

struct uv_loop_s;
struct hws_client;
struct hws_client_creds;

#define HWS_CLIENT_DEFAULT_TIMEOUT_MS 30000u
#define HWS_CLIENT_CONNECT_TIMEOUT_MS 10000u
#define HWS_CLIENT_MESSAGE_BYTES      1025 /* with NUL */
#define HWS_CLIENT_NAME_BYTES         64   /* with NUL */
#define HWS_CLIENT_FIELD_BYTES        128  /* with NUL */
#define HWS_CLIENT_TARGET_BYTES       257  /* with NUL */
#define HWS_CLIENT_MAX_WAITING        256u /* calls that wait for a connection */
#define HWS_CLIENT_REDIAL_MIN_MS      50u  /* pause after a failed dial; grows to the maximum */
#define HWS_CLIENT_REDIAL_MAX_MS      2000u

/* gRPC's status codes. */
enum hws_client_code {
    HWS_CLIENT_OK = 0,
    HWS_CLIENT_CANCELLED = 1,
    HWS_CLIENT_UNKNOWN = 2,
    HWS_CLIENT_INVALID_ARGUMENT = 3,
    HWS_CLIENT_DEADLINE_EXCEEDED = 4,
    HWS_CLIENT_NOT_FOUND = 5,
    HWS_CLIENT_ALREADY_EXISTS = 6,
    HWS_CLIENT_PERMISSION_DENIED = 7,
    HWS_CLIENT_RESOURCE_EXHAUSTED = 8,
    HWS_CLIENT_FAILED_PRECONDITION = 9,
    HWS_CLIENT_ABORTED = 10,
    HWS_CLIENT_OUT_OF_RANGE = 11,
    HWS_CLIENT_UNIMPLEMENTED = 12,
    HWS_CLIENT_INTERNAL = 13,
    HWS_CLIENT_UNAVAILABLE = 14,
    HWS_CLIENT_DATA_LOSS = 15,
    HWS_CLIENT_UNAUTHENTICATED = 16,
    HWS_CLIENT_N_CODES = 17
};

/* How a call ended. Zeroed is success. */
struct hws_client_status {
    enum hws_client_code code;
    bool from_agent;  /* the agent said so; else this side: deadline, connection, TLS, memory */
    bool unprocessed; /* the agent surely never saw the call: repeating it is safe */
    char message[HWS_CLIENT_MESSAGE_BYTES]; /* NUL-terminated, never with control characters */
    char reason[HWS_CLIENT_NAME_BYTES];     /* the agent's error name ("E_DEVICE"); empty if none */
    char field[HWS_CLIENT_FIELD_BYTES];     /* the request's field to blame; empty if none */
    Hawser__V1__Stage stage;                /* what the card saw; UNSPECIFIED: not about a card */
    uint32_t delivery_status;               /* with stage REJECTED */
    uint32_t fw_status;                     /* with stage EXECUTED */
    uint32_t syndrome;                      /* with stage EXECUTED */
    uint32_t retry_ms;                      /* the agent's advice; 0 = none */
};

/* "PERMISSION_DENIED"; "?" out of range. */
const char *hws_client_code_name(enum hws_client_code code);

/*
 * A certificate, its key and the CAs to believe, from PEM files. The certificate must be usable for
 * clients and have at least an hour left. On failure *status says which file and why. One
 * reference is the caller's.
 */
enum hws_client_code hws_client_creds_new(const char *cert_file, const char *key_file,
                                          const char *ca_file, struct hws_client_creds **out,
                                          struct hws_client_status *status);

/* One reference less; NULL is allowed. Clients hold their own. */
void hws_client_creds_unref(struct hws_client_creds *creds);

/* Our own principal ("spiffe://domain/operator/alice"); valid as long as the credentials. */
const char *hws_client_creds_principal(const struct hws_client_creds *creds);

struct hws_client_options {
    const char *target;             /* "host:port", "[v6]:port" or "unix:/path"; copied */
    struct hws_client_creds *creds; /* needed for TCP; a reference is taken */
    /*
     * What the server must be: a SPIFFE ID, a prefix of one ending in '/', "dns:NAME" or
     * "ip:ADDRESS". NULL: spiffe://DOMAIN/agent/ with DOMAIN from our own certificate. Copied.
     */
    const char *server_identity;
    uint32_t connect_timeout_ms; /* 0 = HWS_CLIENT_CONNECT_TIMEOUT_MS; name, TCP and TLS together */
    uint32_t default_timeout_ms; /* of calls that set none; 0 = HWS_CLIENT_DEFAULT_TIMEOUT_MS */
};

/* Makes a client; nothing is dialled yet. The loop is borrowed until closed. */
enum hws_client_code hws_client_open(struct uv_loop_s *loop,
                                     const struct hws_client_options *options,
                                     struct hws_client **out, struct hws_client_status *status);

/*
 * Ends every call with CANCELLED, then the connection; calls closed (may be NULL) once, from the
 * loop, when nothing of the client is left. Idempotent until then.
 */
void hws_client_close(struct hws_client *client, void (*closed)(void *data), void *data);

/* The target as it was given. */
const char *hws_client_target(const struct hws_client *client);

enum hws_client_kind { HWS_CLIENT_UNARY, HWS_CLIENT_SERVER_STREAM, HWS_CLIENT_BIDI };

/* One RPC; the rows are hws_client_method_... below. */
struct hws_client_method {
    const char *path;
    enum hws_client_kind kind;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
};

/* One call: the caller's struct, zeroed before use, on loan from start until done. */
struct hws_client_call {
    const struct hws_client_method *method;
    const ProtobufCMessage *request; /* read before start returns; NULL for BIDI */
    /* Streams: one message, borrowed until it returns. May cancel the call. */
    void (*message)(struct hws_client_call *call, const ProtobufCMessage *message);
    void (*done)(struct hws_client_call *call); /* the end; may be NULL with hws_client_run */
    void *data;                                 /* the caller's */
    uint32_t timeout_ms;                        /* 0 = the client's default; UINT32_MAX = none */
    struct hws_client_status status;            /* result */
    ProtobufCMessage *response; /* result of a unary call that ended OK: free it with
                                   hws_client_call_deinit */
    void *inside;               /* the library's while on loan */
};

/*
 * Starts a call. Returns HWS_CLIENT_OK and done will come once; or an error (also in call->status)
 * and done never comes: INVALID_ARGUMENT for a request of another type, RESOURCE_EXHAUSTED over
 * HWS_CLIENT_MAX_WAITING or without memory, UNAVAILABLE after close.
 */
enum hws_client_code hws_client_start(struct hws_client *client, struct hws_client_call *call);

/* Ends a running call; done still comes, with CANCELLED unless it ended otherwise before. */
void hws_client_cancel(struct hws_client_call *call);

/* BIDI: sends one message. RESOURCE_EXHAUSTED: too much waits to be sent, try after the next
 * answer; UNAVAILABLE: not connected yet, or ended. */
enum hws_client_code hws_client_send(struct hws_client_call *call, const ProtobufCMessage *message);

/* BIDI: no more messages. */
void hws_client_half_close(struct hws_client_call *call);

/* Starts a call and runs the client's loop until it is done; whatever else is on the loop runs,
 * too. done is not called. Never from inside a callback of that loop. */
enum hws_client_code hws_client_run(struct hws_client *client, struct hws_client_call *call);

/* Frees the response; accepts a zeroed call. */
void hws_client_call_deinit(struct hws_client_call *call);

/* The rows: hws_client_method_device_list and so on, one for each RPC of hawser.v1. */
#define HWS_CLIENT_METHOD(name, path, kind, Req, req, Res, res)                                    \
    extern const struct hws_client_method hws_client_method_##name;
#include "methods.def"
#undef HWS_CLIENT_METHOD

/*
 * Typed calls that wait, one for each unary RPC:
 *   enum hws_client_code hws_client_device_list(client, const Hawser__V1__ListDevicesRequest *,
 *                                               Hawser__V1__ListDevicesResponse **out, status)
 * *out is freed with protobuf_c_message_free_unpacked(&(*out)->base, NULL); it is set on OK only.
 */
#define HWS_CLIENT_UNARY_HELPER(name, Req, Res)                                                    \
    static inline enum hws_client_code hws_client_##name(                                          \
        struct hws_client *client, const Hawser__V1__##Req *request, Hawser__V1__##Res **out,      \
        struct hws_client_status *status)                                                          \
    {                                                                                              \
        struct hws_client_call call = {0};                                                         \
        call.method = &hws_client_method_##name;                                                   \
        call.request = &request->base;                                                             \
        enum hws_client_code code = hws_client_run(client, &call);                                 \
        if (status != NULL) {                                                                      \
            *status = call.status;                                                                 \
        }                                                                                          \
        if (code == HWS_CLIENT_OK) {                                                               \
            *out = (Hawser__V1__##Res *)call.response;                                             \
        }                                                                                          \
        return code;                                                                               \
    }
#define HWS_CLIENT_HELPER_UNARY(name, Req, Res) HWS_CLIENT_UNARY_HELPER(name, Req, Res)
#define HWS_CLIENT_HELPER_SERVER_STREAM(name, Req, Res)
#define HWS_CLIENT_HELPER_BIDI(name, Req, Res)
#define HWS_CLIENT_METHOD(name, path, kind, Req, req, Res, res)                                    \
    HWS_CLIENT_HELPER_##kind(name, Req, Res)
#include "methods.def"
#undef HWS_CLIENT_METHOD

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
