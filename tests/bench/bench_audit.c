/*
 * bench_audit FOLDER RUNS: how long it takes to judge an audit log of 100,000 records, as reads of
 * a card make them, with a checkpoint every 64: as a database and as an exported file. The log is
 * made first, by the store itself. Prints "name value unit" lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/audit_file.h"
#include "record/log.h"
#include "store/audit.h"
#include "store/offline.h"

#define N_RECORDS 100000u
#define N_BATCH   250u
#define NS_PER_MS 1000000.0

static void die(const char *what, const struct hws_err *err)
{
    (void)fprintf(stderr, "bench_audit: %s: %s\n", what, err == NULL ? "" : err->msg);
    exit(1);
}

/* Of the processor, which this program alone keeps busy: other work on the machine does not count.
 */
static double now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1000 + (double)ts.tv_nsec / NS_PER_MS;
}

/* A read as hawserd records one. */
static struct hws_record a_read(uint32_t idx, char *id, size_t n)
{
    (void)hws_str_print(id, n, "cli-%032x", idx);
    return (struct hws_record){.unix_ms = 1700000000000 + idx,
                               .phase = HWS_RECORD_READ,
                               .effect = 1,
                               .scope = 2,
                               .table_hash = {{1}},
                               .policy_hash = {{2}},
                               .principal = "spiffe://fleet.example/operator/olga",
                               .cert_serial = "b891dea0f1a25a1a15dfa619b20548",
                               .peer = "192.0.2.17:45306",
                               .method = "/hawser.v1.CommandService/Execute",
                               .device = "mlx5:MT2530X97623@0000:3b:00.0",
                               .rule = "operators-debug-read",
                               .detail = "ACCESS_REG MTMP read; sensor_index=0x0",
                               .code = "OK",
                               .request_id = id};
}

static void open_store(const char *path, struct hws_signer *signer, struct hws_store **out)
{
    struct hws_store_options options = {
        .path = path, .host = "host-a", .signer = signer, .max_audit_rows = 2 * N_RECORDS};
    struct hws_err err;

    if (hws_store_open(&options, out, &err) != HWS_OK) {
        die(path, &err);
    }
}

static void wait_for(struct hws_store *store, uint64_t seq)
{
    while (hws_store_audit_head(store) < seq) {
        hws_store_turn(store);
        (void)usleep(100);
    }
}

static void make_log(const char *path)
{
    struct hws_signer signer = {0};
    struct hws_store *store = NULL;
    struct hws_err err;
    char id[48];

    if (hws_signer_new(&signer, &err) != HWS_OK) {
        die("key", &err);
    }
    open_store(path, &signer, &store);
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        struct hws_record r = a_read(i, id, sizeof(id));
        if (hws_store_note(store, &r, &err) != HWS_OK) {
            die("record", &err);
        }
        if ((i + 1) % N_BATCH == 0) {
            wait_for(store, i + 1);
        }
    }
    hws_store_close_wait(store);
    hws_signer_deinit(&signer);
}

static void put_line(FILE *file, const struct hws_line *line, struct hws_buf *text)
{
    hws_buf_reset(text);
    if (hws_line_print(line, text) != HWS_OK ||
        fwrite(hws_buf_peek(text), 1, hws_buf_len(text), file) != hws_buf_len(text)) {
        die("cannot write the export", NULL);
    }
}

/* The lines that an export would make of the log, by a signer of its own. */
static void make_export(const char *path)
{
    FILE *file = fopen(path, "we");
    struct hws_signer signer = {0};
    struct hws_buf text = {0};
    struct hws_buf body = {0};
    struct hws_digest prev = {{0}};
    struct hws_line line = {.kind = HWS_LINE_KEY, .u.key = {.from_seq = 1}};
    char id[48];

    if (file == NULL || hws_signer_new(&signer, NULL) != HWS_OK ||
        hws_signer_public(&signer, &line.u.key.key, NULL) != HWS_OK ||
        hws_key_step_sign(&line.u.key, &signer, NULL) != HWS_OK) {
        die("key", NULL);
    }
    put_line(file, &line, &text);
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        line = (struct hws_line){.kind = HWS_LINE_RECORD, .u.record = a_read(i, id, sizeof(id))};
        struct hws_record *r = &line.u.record;
        r->seq = i + 1;
        r->prev_hash = prev;
        hws_buf_reset(&body);
        if (hws_record_encode(r, &body) != HWS_OK ||
            hws_record_hash(&prev, hws_buf_peek(&body), hws_buf_len(&body), &r->hash) != HWS_OK) {
            die("record", NULL);
        }
        prev = r->hash;
        put_line(file, &line, &text);
        if ((i + 1) % HWS_STORE_SIGN_RECORDS == 0) {
            line = (struct hws_line){
                .kind = HWS_LINE_CHECKPOINT,
                .u.checkpoint = {.seq = i + 1, .hash = prev, .horizon_seq = 1, .host = "host-a"}};
            if (hws_checkpoint_sign(&line.u.checkpoint, &signer, NULL) != HWS_OK) {
                die("checkpoint", NULL);
            }
            put_line(file, &line, &text);
        }
    }
    if (fclose(file) != 0) {
        die("cannot write the export", NULL);
    }
    hws_buf_deinit(&text);
    hws_buf_deinit(&body);
    hws_signer_deinit(&signer);
}

static void judge(const char *name, const char *path, bool database)
{
    struct hws_log_check c;
    struct hws_err err;
    double began_ms = now_ms();

    hws_log_check_init(&c);
    enum hws_code rc = database ? hws_store_check_file(path, NULL, &c, &err)
                                : hws_audit_file_check(path, 0, NULL, &c, &err);
    if (rc != HWS_OK || c.n_records != N_RECORDS) {
        die(name, &err);
    }
    hws_log_check_deinit(&c);
    (void)printf("%s %.1f ms\n", name, now_ms() - began_ms);
}

int main(int argc, char **argv)
{
    char db[512];
    char lines[512];
    uint64_t n_runs = 0;

    if (argc != 3 || hws_str_to_u64(argv[2], 1000, &n_runs, NULL) != HWS_OK ||
        !hws_str_print(db, sizeof(db), "%s/audit.db", argv[1]) ||
        !hws_str_print(lines, sizeof(lines), "%s/audit.jsonl", argv[1])) {
        (void)fprintf(stderr, "usage: bench_audit FOLDER RUNS\n");
        return 2;
    }
    make_log(db);
    make_export(lines);
    for (uint64_t i = 0; i < n_runs; i++) {
        judge("audit.verify_100k.db_ms", db, true);
        judge("audit.verify_100k.export_ms", lines, false);
    }
    return 0;
}
