/* Helpers of the services. */
#include "base/mem.h"
#include "hawser/v1/common.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/rpc.h"
#include "hawserd/svc.h"

static void *svc_alloc(void *data, size_t n)
{
    (void)data;
    return hws_mem_alloc(n);
}

static void svc_free(void *data, void *p)
{
    (void)data;
    hws_mem_free(p);
}

static ProtobufCAllocator *allocator(void)
{
    static ProtobufCAllocator a = {.alloc = svc_alloc, .free = svc_free}; /* never changes */
    return &a;
}

enum hws_code hws_svc_unpack(const ProtobufCMessageDescriptor *d, const uint8_t *bytes, size_t n,
                             void **out, struct hws_err *err)
{
    void *m = protobuf_c_message_unpack(d, allocator(), n, bytes);

    if (m == NULL) {
        return hws_err_set(err, HWS_E_PROTO, "the request does not parse as %s", d->name);
    }
    *out = m;
    return HWS_OK;
}

void hws_svc_free(void *message)
{
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, allocator());
    }
}

enum hws_code hws_svc_pack(const ProtobufCMessage *m, struct hws_buf *out)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *space;
    enum hws_code code = hws_buf_reserve(out, n, &space);

    if (code == HWS_OK) {
        hws_buf_commit(out, protobuf_c_message_pack(m, space));
    }
    return code;
}

enum hws_code hws_svc_content(ProtobufCMessage *m, struct hws_digest *out)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "mutation");
    ProtobufCMessage **member = NULL;
    ProtobufCMessage *mutation = NULL;
    struct hws_buf bytes;

    if (field != NULL) {
        member = (ProtobufCMessage **)(void *)((uint8_t *)m + field->offset);
        mutation = *member;
        *member = NULL;
    }
    hws_buf_init(&bytes, 0);
    enum hws_code code = hws_svc_pack(m, &bytes);
    if (member != NULL) {
        *member = mutation;
    }
    if (code == HWS_OK) {
        code = hws_sha256_of(hws_buf_peek(&bytes), hws_buf_len(&bytes), out);
    }
    hws_buf_deinit(&bytes);
    return code;
}

void hws_svc_reply(struct hws_task *task, const ProtobufCMessage *m)
{
    if (task->arena.failed || hws_svc_pack(m, &task->answer) != HWS_OK) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory for the answer");
        return;
    }
    hws_task_done(task);
}

bool hws_svc_send(struct hws_task *task, const ProtobufCMessage *m)
{
    struct hws_buf bytes;

    hws_buf_init(&bytes, HWS_LINK_CALL_MAX_MESSAGE);
    if (task->arena.failed || hws_svc_pack(m, &bytes) != HWS_OK ||
        hws_rpc_send(task->rpc, &bytes) != HWS_OK) {
        hws_buf_deinit(&bytes);
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory for the answer");
        return false;
    }
    return true;
}

enum hws_code hws_svc_adapter(struct hws_task *task, const char *device, struct hws_err *err)
{
    enum hws_code code = hws_devices_find(&task->agent->devices, device, &task->want.adapter, err);

    return code == HWS_OK ? HWS_OK : hws_svc_blame(task, "device", err);
}

void hws_svc_scope(struct hws_task *task, const char *name, enum hws_reg_method method)
{
    const struct hws_table_row *row;

    if (hws_table_find_register(hws_kind_from_name(task->want.adapter->port->kind), name, method,
                                &row, NULL) == HWS_OK) {
        task->want.scope = (uint8_t)(row->scope + 1);
    }
}

enum hws_code hws_svc_blame(struct hws_task *task, const char *field, struct hws_err *err)
{
    task->want.field = field;
    return err->code;
}

char *hws_svc_hex(struct hws_task *task, const struct hws_digest *d)
{
    char hex[HWS_DIGEST_HEX_BYTES];

    hws_digest_hex(d, hex);
    return hws_arena_str(&task->arena, hex);
}

void hws_svc_mutation(struct hws_task *task, const ProtobufCMessage *message)
{
    const Hawser__V1__Mutation *m = (const Hawser__V1__Mutation *)message;
    struct hws_task_mutation *out = &task->want.mutation;

    out->given = m != NULL;
    out->role = m == NULL || m->fence == NULL ? "" : m->fence->role;
    out->high = m == NULL || m->fence == NULL ? 0 : m->fence->election_high;
    out->low = m == NULL || m->fence == NULL ? 0 : m->fence->election_low;
    out->request_id = m == NULL ? "" : m->request_id;
    out->reason = m == NULL ? "" : m->reason;
}
