/* Warrants on the operator's side. */
#include "cli/signed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "cli/box.h"
#include "cli/names.h"
#include "rollout/plan.h"
#include "table/table.h"

#define DEFAULT_LIFE_S 900u /* of a warrant */
#define EARLIER_S      60u  /* it begins so much in the past: clocks differ */

bool hws_cli_is_signed(const struct hws_cli *cli)
{
    return cli->args.given[HWS_OPT_SIGN] || cli->args.given[HWS_OPT_APPROVAL];
}

/* ---- what several commands need -------------------------------------------------------------- */

int hws_cli_sign_key(struct hws_cli *cli, struct hws_signer *out)
{
    const char *path = cli->args.value[HWS_OPT_SIGN];
    char pem[8192];
    struct hws_err err;

    if (path == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--sign FILE is missing: your signing key, PEM");
    }
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_NOT_FOUND, "--sign %.160s: cannot be read", path);
    }
    size_t n = fread(pem, 1, sizeof(pem), f);
    (void)fclose(f);
    enum hws_code code = hws_signer_load(out, pem, n, &err);
    return code == HWS_OK
               ? HWS_EXIT_OK
               : hws_cli_fail(cli, HWS_EXIT_INVALID, "--sign %.120s: %.120s", path, err.msg);
}

int hws_cli_one_host(struct hws_cli *cli)
{
    int rc = hws_cli_connect(cli);

    if (rc == HWS_EXIT_OK && cli->n_hosts != 1) {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE,
                          "a warrant is for one host: give one -t, not %zu hosts", cli->n_hosts);
    }
    return rc;
}

/* One call to the one host; its failure is told. */
static int ask(struct hws_cli *cli, const struct hws_client_method *method,
               const ProtobufCMessage *request)
{
    struct hws_cli_host *h = &cli->hosts[0];

    hws_cli_ask(h, method, request);
    hws_cli_wait(cli);
    return h->failed ? hws_cli_fail_status(cli, h->name, &h->status) : HWS_EXIT_OK;
}

int hws_cli_principal(struct hws_cli *cli, char *dst)
{
    const Hawser__V1__WhoAmIRequest q = HAWSER__V1__WHO_AM_IREQUEST__INIT;
    const char *ours = cli->creds == NULL ? NULL : hws_client_creds_principal(cli->creds);

    if (ours == NULL) {
        int rc = ask(cli, &hws_client_method_agent_who_am_i, &q.base);
        if (rc != HWS_EXIT_OK) {
            return rc;
        }
        ours = hws_cli_answer(&cli->hosts[0], WhoAmIResponse)->principal;
    }
    return hws_str_copy(dst, HWS_WARRANT_PRINCIPAL_BYTES, ours)
               ? HWS_EXIT_OK
               : hws_cli_fail(cli, HWS_EXIT_INVALID, "our principal is longer than %u bytes",
                              HWS_WARRANT_PRINCIPAL_BYTES - 1);
}

static int not_sound(struct hws_cli *cli, const char *hash, const char *why)
{
    return hws_cli_fail(cli, HWS_EXIT_DIGEST, "warrant %.64s: the agent's answer is not sound: %s",
                        hash, why);
}

static int check_fetched(struct hws_cli *cli, const Hawser__V1__ApprovalInfo *a,
                         struct hws_warrant *out)
{
    struct hws_warrant bound;
    struct hws_digest hash;
    char hex[HWS_DIGEST_HEX_BYTES];
    struct hws_err err;

    if (hws_warrant_parse(a->warrant, strlen(a->warrant), out, &err) != HWS_OK ||
        hws_warrant_hash(out, &hash, &err) != HWS_OK) {
        return not_sound(cli, a->hash, err.msg);
    }
    hws_digest_hex(&hash, hex);
    if (!hws_str_eq(hex, a->hash)) {
        return not_sound(cli, a->hash, "its text has another hash");
    }
    bound = *out;
    if (hws_warrant_bind(&bound, a->inbox.data, a->inbox.len, &err) != HWS_OK ||
        bound.in_bytes != out->in_bytes || !hws_digest_eq(&bound.inbox, &out->inbox)) {
        return not_sound(cli, a->hash, "the inbox is not the one that it names");
    }
    return HWS_EXIT_OK;
}

int hws_cli_fetch(struct hws_cli *cli, const char *hash, struct hws_warrant *out,
                  ProtobufCBinaryData *out_inbox)
{
    const Hawser__V1__ListApprovalsRequest q = HAWSER__V1__LIST_APPROVALS_REQUEST__INIT;
    int rc = ask(cli, &hws_client_method_approval_list, &q.base);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    const Hawser__V1__ListApprovalsResponse *r =
        hws_cli_answer(&cli->hosts[0], ListApprovalsResponse);
    for (size_t i = 0; i < r->n_approvals; i++) {
        if (hws_str_eq(r->approvals[i]->hash, hash)) {
            *out_inbox = r->approvals[i]->inbox;
            return check_fetched(cli, r->approvals[i], out);
        }
    }
    return hws_cli_fail(cli, HWS_EXIT_NOT_FOUND,
                        "%.64s: no such warrant is kept there, or it has expired", hash);
}

static void time_fact(struct hws_cli *cli, const char *key, uint64_t unix_s)
{
    char text[HWS_CLI_TIME_BYTES];

    hws_cli_time(unix_s * 1000, text);
    hws_out_fact(&cli->out, key, key, hws_cell_text(text));
}

void hws_cli_warrant_facts(struct hws_cli *cli, const char *hash, const struct hws_warrant *w,
                           const uint8_t *inbox, size_t n_inbox)
{
    const struct hws_table_row *row = hws_cli_box_row(inbox, n_inbox);
    char command[96] = "not in the table of this program";
    struct hws_out *out = &cli->out;

    if (row != NULL) {
        (void)hws_str_print(command, sizeof(command), "%s%s%s (%s)", row->name,
                            row->method == HWS_REG_NONE ? "" : " ",
                            hws_reg_method_name(row->method), hws_effect_name(row->effect));
    }
    hws_out_fact(out, "hash", "warrant", hws_cell_text(hash));
    hws_out_fact(out, "host", "host", hws_cell_text(w->host));
    hws_out_fact(out, "device", "device", hws_cell_text(w->device));
    hws_out_fact(out, "serial", "serial", hws_cell_text(w->serial));
    hws_out_fact(out, "command", "command", hws_cell_text(command));
    hws_out_fact(out, "operator", "operator", hws_cell_text(w->operator_id));
    hws_out_fact(out, "reason", "reason", hws_cell_text(w->reason));
    time_fact(cli, "from", w->from_s);
    time_fact(cli, "until", w->until_s);
    hws_out_fact(out, "approver", "approver", hws_cell_text(w->has_approver ? w->approver_id : ""));
}

/* ---- --sign: a warrant for a second person --------------------------------------------------- */

static int find_device(struct hws_cli *cli, struct hws_warrant *w)
{
    Hawser__V1__GetDeviceRequest q = HAWSER__V1__GET_DEVICE_REQUEST__INIT;

    q.device = cli->hosts[0].device;
    int rc = ask(cli, &hws_client_method_device_get, &q.base);
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    const Hawser__V1__Device *d = hws_cli_answer(&cli->hosts[0], GetDeviceResponse)->device;
    if (d == NULL || !hws_str_copy(w->device, sizeof(w->device), d->pci_address) ||
        !hws_str_copy(w->serial, sizeof(w->serial), d->serial)) {
        return hws_cli_fail(cli, HWS_EXIT_STATE, "the adapter's address or serial is not known");
    }
    return HWS_EXIT_OK;
}

static int find_host(struct hws_cli *cli, struct hws_warrant *w)
{
    const Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    int rc = ask(cli, &hws_client_method_agent_info, &q.base);

    if (rc == HWS_EXIT_OK) {
        (void)hws_str_copy(w->host, sizeof(w->host),
                           hws_cli_answer(&cli->hosts[0], InfoResponse)->host);
    }
    return rc;
}

static int set_times(struct hws_cli *cli, struct hws_warrant *w)
{
    uint32_t life_ms = DEFAULT_LIFE_S * 1000;
    struct hws_err err;

    if (cli->args.given[HWS_OPT_FOR] &&
        hws_rollout_parse_ms(cli->args.value[HWS_OPT_FOR], &life_ms, &err) != HWS_OK) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE, "--for: %s", err.msg);
    }
    if (life_ms < 1000 || life_ms / 1000 + EARLIER_S > HWS_WARRANT_LIFE_S) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "--for: 1s to %us",
                            HWS_WARRANT_LIFE_S - EARLIER_S);
    }
    w->from_s = (uint64_t)time(NULL) - EARLIER_S;
    w->until_s = w->from_s + EARLIER_S + life_ms / 1000;
    return HWS_EXIT_OK;
}

static int make_warrant(struct hws_cli *cli, const struct hws_cli_box *box, const char *request_id,
                        struct hws_warrant *w)
{
    const char *reason = cli->args.value[HWS_OPT_REASON];
    struct hws_err err;

    memset(w, 0, sizeof(*w));
    if (reason == NULL) {
        return hws_cli_fail(cli, HWS_EXIT_USAGE,
                            "--reason is missing: say why, for the one who "
                            "approves and for the record");
    }
    if (!hws_str_copy(w->reason, sizeof(w->reason), reason) ||
        !hws_str_copy(w->request_id, sizeof(w->request_id), request_id)) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID, "--reason or --request-id is too long");
    }
    int rc = set_times(cli, w);
    rc = rc == HWS_EXIT_OK ? hws_cli_principal(cli, w->operator_id) : rc;
    rc = rc == HWS_EXIT_OK ? find_host(cli, w) : rc;
    rc = rc == HWS_EXIT_OK ? find_device(cli, w) : rc;
    if (rc == HWS_EXIT_OK && hws_warrant_bind(w, box->bytes, box->n, &err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    }
    return rc;
}

static int leave(struct hws_cli *cli, const struct hws_cli_box *box, const struct hws_warrant *w)
{
    Hawser__V1__RequestApprovalRequest q = HAWSER__V1__REQUEST_APPROVAL_REQUEST__INIT;
    struct hws_cli_mutation m;
    struct hws_buf text;
    struct hws_err err;
    char hash[HWS_DIGEST_HEX_BYTES];

    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    if (hws_warrant_format(w, &text, &err) != HWS_OK || hws_buf_cstr(&text) == NULL) {
        hws_buf_deinit(&text);
        return hws_cli_fail_err(cli, &err);
    }
    /* The request_id is the command's; leaving the warrant is another change. */
    cli->args.given[HWS_OPT_REQUEST_ID] = false;
    int rc = hws_cli_mutation(cli, &m);
    q.warrant = (char *)hws_buf_peek(&text);
    q.inbox.data = (uint8_t *)box->bytes;
    q.inbox.len = box->n;
    q.mutation = &m.mutation;
    rc = rc == HWS_EXIT_OK ? ask(cli, &hws_client_method_approval_request, &q.base) : rc;
    hws_buf_deinit(&text);
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    (void)hws_str_copy(hash, sizeof(hash),
                       hws_cli_answer(&cli->hosts[0], RequestApprovalResponse)->hash);
    hws_out_begin(&cli->out, "hawser.approval.request", 1, false);
    hws_cli_warrant_facts(cli, hash, w, box->bytes, box->n);
    hws_out_fact(&cli->out, "next", "next",
                 hws_cell_text("a second person: hawser approval sign HASH --sign KEY; then the "
                               "same command with --approval HASH instead of --sign"));
    hws_cli_box_show(cli, box->bytes, box->n);
    return hws_cli_finish(cli);
}

static int request(struct hws_cli *cli, const struct hws_cli_box *box)
{
    struct hws_signer key = {0};
    struct hws_cli_mutation m;
    struct hws_warrant w;
    struct hws_err err;
    int rc = hws_cli_sign_key(cli, &key);

    rc = rc == HWS_EXIT_OK ? hws_cli_mutation(cli, &m) : rc;
    rc = rc == HWS_EXIT_OK ? make_warrant(cli, box, m.mutation.request_id, &w) : rc;
    if (rc == HWS_EXIT_OK &&
        hws_warrant_sign(&w, HWS_WARRANT_OPERATOR, w.operator_id, &key, &err) != HWS_OK) {
        rc = hws_cli_fail_err(cli, &err);
    }
    hws_signer_deinit(&key);
    return rc == HWS_EXIT_OK ? leave(cli, box, &w) : rc;
}

/* ---- --approval: run it ---------------------------------------------------------------------- */

#define MAX_FIELDS  32
#define FIELD_BYTES 96

/* `reg set` by fields, as without a warrant: a policy may allow some fields only. */
struct access {
    char names[MAX_FIELDS][FIELD_BYTES];
    Hawser__V1__FieldValue items[MAX_FIELDS];
    Hawser__V1__FieldValue *pointers[MAX_FIELDS];
    Hawser__V1__RegisterAccess access;
};

static void by_fields(struct hws_cli *cli, struct access *a, Hawser__V1__ExecuteRequest *q)
{
    hawser__v1__register_access__init(&a->access);
    a->access.register_ = cli->args.args[0];
    a->access.write = true;
    a->access.fields = a->pointers;
    for (int i = 1; i < cli->args.n_args && a->access.n_fields < MAX_FIELDS; i++) {
        size_t k = a->access.n_fields++;
        hawser__v1__field_value__init(&a->items[k]);
        a->items[k].value = hws_cli_str(hws_cli_split(cli->args.args[i], a->names[k], FIELD_BYTES));
        a->items[k].name = a->names[k];
        a->pointers[k] = &a->items[k];
    }
    q->what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    q->register_ = &a->access;
}

static int run(struct hws_cli *cli, const struct hws_cli_box *box, const char *schema)
{
    struct access by;
    const char *hash = cli->args.value[HWS_OPT_APPROVAL];
    Hawser__V1__ExecuteRequest q = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RawCommand raw = HAWSER__V1__RAW_COMMAND__INIT;
    ProtobufCBinaryData inbox = {0, NULL};
    struct hws_cli_mutation m;
    struct hws_warrant w;
    char question[240];
    char opcode[16];
    int rc = hws_cli_fetch(cli, hash, &w, &inbox);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    if (inbox.data == NULL || inbox.len != box->n || memcmp(inbox.data, box->bytes, box->n) != 0) {
        return hws_cli_fail(cli, HWS_EXIT_INVALID,
                            "hash mismatch: warrant %.64s is for another command than this one: "
                            "see hawser approval show",
                            hash);
    }
    rc = hws_cli_mutation(cli, &m);
    (void)hws_str_print(question, sizeof(question),
                        "Run the dangerous command %s on %.60s %.60s now?", box->row->name,
                        cli->hosts[0].name, cli->hosts[0].device);
    if (rc != HWS_EXIT_OK || !hws_cli_confirm(cli, question, &rc)) {
        return rc;
    }
    m.mutation.request_id = w.request_id;
    m.mutation.reason = w.reason;
    (void)hws_str_print(opcode, sizeof(opcode), "0x%x", box->row->opcode);
    raw.command = opcode;
    raw.inbox.data = (uint8_t *)box->bytes;
    raw.inbox.len = box->n;
    q.device =
        cli->hosts[0].device; /* as asked for here: the agent compares it with the warrant's */
    if (hws_str_eq(cli->args.command->area, "reg")) {
        by_fields(cli, &by, &q);
    } else {
        q.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW;
        q.raw = &raw;
    }
    q.mutation = &m.mutation;
    q.approval = hws_cli_str(hash);
    hws_cli_ask(&cli->hosts[0], &hws_client_method_command_execute, &q.base);
    hws_cli_wait(cli);
    hws_cli_print_answers(cli, schema, false);
    return hws_cli_finish(cli);
}

int hws_cli_signed(struct hws_cli *cli, const char *schema)
{
    struct hws_cli_box box;
    int rc = hws_cli_box_make(cli, &box);

    if (rc == HWS_EXIT_OK && cli->args.given[HWS_OPT_SIGN] && cli->args.given[HWS_OPT_APPROVAL]) {
        rc = hws_cli_fail(cli, HWS_EXIT_USAGE,
                          "--sign asks for a warrant, --approval uses one: "
                          "give one of them");
    }
    rc = rc == HWS_EXIT_OK ? hws_cli_one_host(cli) : rc;
    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    if (cli->hosts[0].failed) {
        return hws_cli_fail_status(cli, cli->hosts[0].name, &cli->hosts[0].status);
    }
    return cli->args.given[HWS_OPT_SIGN] ? request(cli, &box) : run(cli, &box, schema);
}
