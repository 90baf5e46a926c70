/*
 * hawser.v1.DumpService: a dump is taken into the spool at the card's pace, under one shared turn
 * at the adapter; then it is streamed at the caller's pace: manifest, chunks, end.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "dump/chunk.h"
#include "dump/snapshot.h"
#include "hawser/v1/dump.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/spool.h"
#include "hawserd/svc.h"

#define LINES_MAX_BYTES ((size_t)128 * 1024) /* between two drains into the spool */

enum pull_state { PULL_TAKING, PULL_MANIFEST, PULL_CHUNKS, PULL_END };

struct pull {
    enum pull_state state;
    struct hws_spool_file *file; /* one user */
    struct hws_dump_snapshot snapshot;
    struct hws_buf lines;
    struct hws_err err; /* of the spool, while the card is read */
    uint64_t offset;
    struct hws_task *task;
};

static uint8_t n_ports(const struct hws_adapter *a)
{
    return a->identity.n_ports == 0 ? 1 : a->identity.n_ports;
}

/* ---- ListSources ----------------------------------------------------------------------------- */

static enum hws_code list_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ListSourcesRequest *q = task->request;

    return hws_svc_adapter(task, q->device, err);
}

static void list_run(struct hws_task *task)
{
    Hawser__V1__ListSourcesResponse r = HAWSER__V1__LIST_SOURCES_RESPONSE__INIT;
    Hawser__V1__Source source = HAWSER__V1__SOURCE__INIT;
    Hawser__V1__Source *sources[] = {&source};

    source.name = hws_arena_str(&task->arena, HWS_DUMP_REGISTERS_NAME);
    source.description = hws_arena_str(&task->arena, HWS_DUMP_REGISTERS_DESCRIPTION);
    source.estimated_bytes = hws_dump_snapshot_estimate_bytes(n_ports(task->want.adapter));
    r.sources = sources;
    r.n_sources = 1;
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_DUMP_LIST_SOURCES = {
    .request = &hawser__v1__list_sources_request__descriptor,
    .prepare = list_prepare,
    .run = list_run,
};

/* ---- Pull: prepare --------------------------------------------------------------------------- */

static enum hws_code check_resume(struct hws_task *task, const Hawser__V1__PullRequest *q,
                                  struct hws_err *err)
{
    if (q->dump_id[0] == '\0' && q->offset != 0) {
        hws_err_set(err, HWS_E_INVALID, "offset %llu needs the dump_id that it is of",
                    (unsigned long long)q->offset);
        return hws_svc_blame(task, "dump_id", err);
    }
    if (q->offset % HWS_DUMP_CHUNK_BYTES != 0) {
        hws_err_set(err, HWS_E_INVALID, "offset %llu is no multiple of %u",
                    (unsigned long long)q->offset, HWS_DUMP_CHUNK_BYTES);
        return hws_svc_blame(task, "offset", err);
    }
    return HWS_OK;
}

static enum hws_code pull_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__PullRequest *q = task->request;
    enum hws_code code = hws_svc_adapter(task, q->device, err);

    if (code != HWS_OK || (code = check_resume(task, q, err)) != HWS_OK) {
        return code;
    }
    if (!hws_str_eq(q->source, HWS_DUMP_REGISTERS_NAME)) {
        hws_err_set(err, HWS_E_NOT_FOUND, "no dump source \"%.60s\"; this adapter has %s",
                    q->source, HWS_DUMP_REGISTERS_NAME);
        return hws_svc_blame(task, "source", err);
    }
    hws_svc_scope(task, "MGIR", HWS_REG_READ); /* as every register that is read */
    task->want.target = q->source;
    task->want.detail = hws_arena_printf(&task->arena, "source=%s dump_id=%s offset=%llu",
                                         q->source, q->dump_id, (unsigned long long)q->offset);
    return HWS_OK;
}

/* ---- Pull: the stream ------------------------------------------------------------------------ */

static bool send_manifest(struct hws_task *task, const struct hws_spool_file *f)
{
    Hawser__V1__PullResponse r = HAWSER__V1__PULL_RESPONSE__INIT;
    Hawser__V1__Manifest m = HAWSER__V1__MANIFEST__INIT;

    m.dump_id = (char *)f->id;
    m.device_id = (char *)f->device;
    m.source = (char *)f->source;
    m.format = (char *)f->format;
    m.firmware_version = (char *)f->firmware;
    m.total_bytes = f->manifest.total_bytes;
    m.chunk_bytes = f->manifest.chunk_bytes;
    m.sha256 = hws_svc_hex(task, &f->manifest.sha256);
    m.taken_unix_ms = f->taken_unix_ms;
    r.what_case = HAWSER__V1__PULL_RESPONSE__WHAT_MANIFEST;
    r.manifest = &m;
    return hws_svc_send(task, &r.base);
}

static bool send_chunk(struct hws_task *task, struct pull *p, size_t n)
{
    Hawser__V1__PullResponse r = HAWSER__V1__PULL_RESPONSE__INIT;
    Hawser__V1__Chunk c = HAWSER__V1__CHUNK__INIT;
    struct hws_err err;

    uint8_t *bytes = hws_mem_alloc(n);
    if (bytes == NULL) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory");
        return false;
    }
    if (hws_spool_read(p->file, p->offset, bytes, n, &err) != HWS_OK) {
        hws_mem_free(bytes);
        hws_task_fail(task, &err);
        return false;
    }
    c.offset = p->offset;
    c.data.data = bytes;
    c.data.len = n;
    c.crc32c = hws_dump_chunk_crc(bytes, n);
    r.what_case = HAWSER__V1__PULL_RESPONSE__WHAT_CHUNK;
    r.chunk = &c;
    p->offset += n;
    bool sent = hws_svc_send(task, &r.base);
    hws_mem_free(bytes);
    return sent;
}

static bool send_end(struct hws_task *task, const struct hws_spool_file *f)
{
    Hawser__V1__PullResponse r = HAWSER__V1__PULL_RESPONSE__INIT;
    Hawser__V1__End e = HAWSER__V1__END__INIT;

    e.total_bytes = f->manifest.total_bytes;
    e.sha256 = hws_svc_hex(task, &f->manifest.sha256);
    r.what_case = HAWSER__V1__PULL_RESPONSE__WHAT_END;
    r.end = &e;
    return hws_svc_send(task, &r.base);
}

/* One message; false when the operation has ended. */
static bool stream_one(struct hws_task *task, struct pull *p)
{
    struct hws_err err;
    size_t n;

    if (p->state == PULL_MANIFEST) {
        p->state = PULL_CHUNKS;
        return send_manifest(task, p->file);
    }
    if (p->state == PULL_END) {
        if (send_end(task, p->file)) {
            hws_task_done(task);
        }
        return false;
    }
    if (hws_dump_chunk_at(&p->file->manifest, p->offset, &n, &err) != HWS_OK) {
        task->want.field = "offset";
        hws_task_fail(task, &err);
        return false;
    }
    if (n == 0) {
        p->state = PULL_END;
        return true;
    }
    return send_chunk(task, p, n);
}

static void pull_resume(struct hws_task *task)
{
    struct pull *p = task->work;

    if (p->state == PULL_TAKING) {
        return;
    }
    while (hws_rpc_has_room(task->rpc) && stream_one(task, p)) {
    }
}

/* ---- Pull: taking the dump ------------------------------------------------------------------- */

static void drain_lines(struct pull *p)
{
    size_t n = hws_buf_len(&p->lines);

    if (n > 0 && p->err.code == HWS_OK) {
        (void)!hws_spool_write(p->file, hws_buf_peek(&p->lines), n, &p->err);
    }
    hws_buf_take(&p->lines, n);
}

static enum hws_step take_next(void *self, uint64_t now_ms, struct hws_ctl_call *call)
{
    struct pull *p = self;

    if (p->err.code != HWS_OK) {
        return HWS_STEP_FAILED;
    }
    enum hws_step step = hws_dump_snapshot_next(&p->snapshot, now_ms, call);
    drain_lines(p);
    if (step == HWS_STEP_FAILED) {
        p->err = p->snapshot.err;
    }
    return p->err.code != HWS_OK ? HWS_STEP_FAILED : step;
}

static void take_feed(void *self, const struct hws_ctl_call *call)
{
    struct pull *p = self;

    hws_dump_snapshot_feed(&p->snapshot, call);
    drain_lines(p);
}

static void taken(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct pull *p = task->work;
    struct hws_err err = run->err;

    if (err.code == HWS_OK) {
        (void)!hws_spool_commit(p->file, &err);
    }
    if (err.code != HWS_OK) {
        hws_task_fail(task, &err);
        return;
    }
    task->agent->counters[HWS_COUNT_DUMPS]++;
    p->state = PULL_MANIFEST;
    if (task->aborted) {
        hws_task_refuse(task, HWS_E_CANCELED, "canceled");
        return;
    }
    pull_resume(task);
}

static enum hws_code start_taking(struct hws_task *task, struct pull *p, struct hws_err *err)
{
    const struct hws_adapter *a = task->want.adapter;
    struct hws_spool_what what = {
        .device = a->id,
        .source = HWS_DUMP_REGISTERS_NAME,
        .format = HWS_DUMP_REGISTERS_FORMAT,
        .firmware = a->identity.fw_version,
        .unix_ms = hws_agent_unix_ms(),
    };
    enum hws_code code = hws_device_usable(a, err);

    if (code == HWS_OK) {
        code = hws_spool_create(&task->agent->spool, &what, &p->file, err);
    }
    if (code == HWS_OK) {
        hws_buf_init(&p->lines, LINES_MAX_BYTES);
        code = hws_dump_snapshot_init(&p->snapshot, a->id, a->identity.fw_version, n_ports(a),
                                      &p->lines, err);
    }
    return code;
}

static void take_dump(struct hws_task *task, struct pull *p)
{
    struct hws_stepper s = {take_next, take_feed, &p->err, p};
    struct hws_err err;

    if (start_taking(task, p, &err) != HWS_OK) {
        hws_task_fail(task, &err);
        return;
    }
    p->state = PULL_TAKING;
    (void)hws_task_drive(task, &s, taken);
}

static void pull_run(struct hws_task *task)
{
    const Hawser__V1__PullRequest *q = task->request;
    struct pull *p = hws_mem_zalloc(1, sizeof(*p));

    task->work = p;
    if (p == NULL) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory");
        return;
    }
    p->task = task;
    p->offset = q->offset;
    if (q->dump_id[0] == '\0') {
        take_dump(task, p);
        return;
    }
    p->file = hws_spool_use(&task->agent->spool, q->dump_id);
    if (p->file == NULL || !hws_str_eq(p->file->device, task->want.adapter->id) ||
        !hws_str_eq(p->file->source, q->source)) {
        task->want.field = "dump_id";
        hws_task_refuse(task, HWS_E_NOT_FOUND,
                        "no dump \"%.40s\" of this adapter and source here (any more): pull anew "
                        "without dump_id",
                        q->dump_id);
        return;
    }
    p->state = PULL_MANIFEST;
    pull_resume(task);
}

static void pull_stop(struct hws_task *task)
{
    struct pull *p = task->work;

    if (p->state == PULL_TAKING) {
        hws_run_cancel(&task->run);
        return;
    }
    hws_task_refuse(task, HWS_E_CANCELED, "canceled");
}

static void pull_drop(struct hws_task *task)
{
    struct pull *p = task->work;

    if (p->file != NULL) {
        hws_spool_leave(p->file);
    }
    hws_buf_deinit(&p->lines);
    hws_mem_free(p);
    task->work = NULL;
}

const struct hws_handler hws_handler_DUMP_PULL = {
    .request = &hawser__v1__pull_request__descriptor,
    .prepare = pull_prepare,
    .run = pull_run,
    .resume = pull_resume,
    .stop = pull_stop,
    .drop = pull_drop,
};
