/*
 * Any bytes as the request of any method: the first byte picks the method, the rest is unpacked and
 * checked as it would be for a real caller of an agent with one adapter. No I/O follows.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/ledger.h"
#include "hawserd/svc.h"
#include "hawserd/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hws_agent agent;
static struct hws_adapter adapter;
static struct hws_ctl_ipc_adapter port;
static char principal[] = "spiffe://hawser.example/operator/olga";
static char nothing[] = "";
static struct hws_caller caller = {.principal = principal, .serial = nothing, .peer = nothing};

static void make_adapter(void)
{
    if (agent.devices.n == 1) {
        return;
    }
    hws_str_copy(port.kind, sizeof(port.kind), "mlx5");
    hws_str_copy(port.pci, sizeof(port.pci), "0000:03:00.0");
    hws_str_copy(adapter.id, sizeof(adapter.id), "mlx5:S@0000:03:00.0");
    adapter.port = &port;
    adapter.agent = &agent;
    agent.devices.adapters[0] = &adapter;
    agent.devices.n = 1;
}

static void check(struct hws_task *task)
{
    struct hws_err err;

    hws_err_clear(&err);
    if (task->handler->prepare(task, &err) != HWS_OK) {
        hws_assert(err.code != HWS_OK && err.msg[0] != '\0');
        return;
    }
    hws_assert(task->want.effect != HWS_EFFECT_NONE && task->want.detail != NULL);
    if (hws_task_mutates(task) && hws_ledger_check(task, &err) != HWS_OK) {
        hws_assert(task->want.field != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_task task;

    if (size == 0) {
        return 0;
    }
    enum hws_method_id id = (enum hws_method_id)(data[0] % HWS_N_METHODS);
    /* Items of a stream are requests of Execute; the stream's own shell is unpacked by itself. */
    if (id == HWS_METHOD_COMMAND_EXECUTE_STREAM) {
        id = HWS_METHOD_COMMAND_EXECUTE;
    }
    make_adapter();
    memset(&task, 0, sizeof(task));
    task.agent = &agent;
    task.caller = &caller;
    task.row = hws_method_at(id);
    task.handler = hws_handler_at(id);
    task.deadline_ms = UINT64_MAX;
    task.want.target = "";
    task.want.target_method = "";
    task.want.detail = "";
    task.want.effect = HWS_EFFECT_READ;
    if (hws_svc_unpack(task.handler->request, data + 1, size - 1, &task.request, NULL) == HWS_OK) {
        check(&task);
    }
    if (task.handler->drop != NULL && task.work != NULL) {
        task.handler->drop(&task);
    }
    hws_svc_free(task.request);
    hws_arena_deinit(&task.arena);
    return 0;
}
