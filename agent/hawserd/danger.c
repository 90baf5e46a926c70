/* Grants, warrants and their uses in memory and in the store. */
#include "hawserd/danger.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "table/table.h"

#define REVOKED       "revoked" /* no grant: that begins with a text and its NUL */
#define N_GRANT_TEXTS 8u        /* of a stored grant, before its rows */
#define LIST_ROWS     1000u
#define REMOVED_ROWS  512u /* of a namespace at one start: each is a commit of its own */

/* ---- keys ------------------------------------------------------------------------------------ */

static enum hws_code read_trust(const struct hws_config *config, struct hws_trust *out,
                                struct hws_err *err)
{
    const char *path = config->trust;
    struct hws_buf text;

    hws_buf_init(&text, HWS_TRUST_MAX_BYTES);
    enum hws_code code = hws_file_is_guarded(path, err);
    code = code == HWS_OK ? hws_file_read(path, HWS_TRUST_MAX_BYTES, &text, err) : code;
    if (code == HWS_OK) {
        code = hws_trust_parse(hws_buf_peek(&text), hws_buf_len(&text), path, out, err);
    }
    hws_buf_deinit(&text);
    if (code == HWS_OK && !hws_str_eq(out->host, config->host)) {
        code = hws_err_set(err, HWS_E_INVALID, "%.100s is for host %s, this is %s", path, out->host,
                           config->host);
    }
    return code;
}

/* The keys that a configuration names into *d, if d is not NULL. */
static enum hws_code take_trust(const struct hws_config *config, struct hws_danger *d,
                                struct hws_err *err)
{
    struct hws_trust *trust;

    if (config->trust[0] == '\0') {
        return HWS_OK;
    }
    trust = hws_mem_zalloc(1, sizeof(*trust));
    if (trust == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    enum hws_code code = read_trust(config, trust, err);
    if (code == HWS_OK && d != NULL) {
        d->trust = *trust;
    }
    hws_mem_free(trust);
    return code == HWS_OK ? HWS_OK : hws_err_wrap(err, "warrants.trust");
}

enum hws_code hws_danger_read_trust(struct hws_danger *d, struct hws_err *err)
{
    return take_trust(&d->agent->config, d, err);
}

enum hws_code hws_danger_check_trust(const struct hws_config *config, struct hws_err *err)
{
    return take_trust(config, NULL, err);
}

uint64_t hws_danger_now(const struct hws_danger *d)
{
    return hws_spent_now(&d->spent, hws_agent_unix_ms() / 1000);
}

enum hws_code hws_danger_is_on(const struct hws_danger *d, struct hws_err *err)
{
    if (d->broken[0] != '\0') {
        return hws_err_set(err, HWS_E_DENIED, "dangerous commands are off: %.180s", d->broken);
    }
    if (d->trust.n_keys == 0) {
        return hws_err_set(err, HWS_E_DENIED,
                           "dangerous commands are off: no operator key is trusted on this host "
                           "(`warrants` in the agent's configuration)");
    }
    return HWS_OK;
}

/* ---- grants ---------------------------------------------------------------------------------- */

static void free_grant(struct hws_danger_grant *g)
{
    if (g != NULL) {
        hws_mem_free(g->bytes);
        hws_mem_free(g);
    }
}

/* A grant as stored: texts, each with its NUL. */
static enum hws_code pack_grant(const struct hws_grant *g, struct hws_buf *out)
{
    enum hws_code code = hws_buf_printf(
        out, "%s%c%s%c%s%c%llu%c%llu%c%s%c%s%c%zu%c", g->principal, 0, g->device, 0,
        hws_effect_name(g->effect), 0, (unsigned long long)g->from_s, 0,
        (unsigned long long)g->until_s, 0, g->granted_by, 0, g->reason, 0, g->n_rows, 0);

    for (size_t i = 0; i < g->n_rows && code == HWS_OK; i++) {
        code = hws_buf_put(out, g->rows[i], strlen(g->rows[i]) + 1);
    }
    return code;
}

/* The text at *at and the next one's place; NULL past the end. */
static const char *next_text(const char **at, const char *end)
{
    const char *text = *at;
    const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

    *at = nul == NULL ? end : nul + 1;
    return nul == NULL ? NULL : text;
}

/* Points the grant into its bytes; false if they are not those of one. */
static bool unpack_grant(struct hws_danger_grant *g)
{
    const char *at = g->bytes;
    const char *end = at + g->n_bytes;
    const char *texts[N_GRANT_TEXTS];
    uint64_t n_rows = 0;

    for (size_t i = 0; i < N_GRANT_TEXTS; i++) {
        texts[i] = next_text(&at, end);
        if (texts[i] == NULL) {
            return false;
        }
    }
    g->g = (struct hws_grant){.principal = texts[0],
                              .device = texts[1],
                              .effect = hws_effect_from_name(texts[2]),
                              .rows = g->rows,
                              .granted_by = texts[5],
                              .reason = texts[6]};
    if (hws_str_to_u64(texts[3], UINT64_MAX, &g->g.from_s, NULL) != HWS_OK ||
        hws_str_to_u64(texts[4], UINT64_MAX, &g->g.until_s, NULL) != HWS_OK ||
        hws_str_to_u64(texts[7], HWS_GRANT_MAX_ROWS, &n_rows, NULL) != HWS_OK) {
        return false;
    }
    for (; g->g.n_rows < n_rows; g->g.n_rows++) {
        g->rows[g->g.n_rows] = next_text(&at, end);
        if (g->rows[g->g.n_rows] == NULL) {
            return false;
        }
    }
    return at == end;
}

static struct hws_danger_grant *new_grant(uint64_t id, const void *bytes, size_t n,
                                          struct hws_err *err)
{
    struct hws_danger_grant *g = hws_mem_zalloc(1, sizeof(*g));
    char *copy = hws_mem_alloc(n + 1);

    if (g == NULL || copy == NULL) {
        hws_mem_free(g);
        hws_mem_free(copy);
        hws_err_set(err, HWS_E_NOMEM, "out of memory");
        return NULL;
    }
    memcpy(copy, bytes, n);
    g->id = id;
    g->bytes = copy;
    g->n_bytes = n;
    if (!unpack_grant(g)) {
        free_grant(g);
        hws_err_set(err, HWS_E_PROTO, "a stored grant cannot be read");
        return NULL;
    }
    return g;
}

static void drop_grant_at(struct hws_danger *d, size_t i)
{
    free_grant(d->grants[i]);
    d->grants[i] = d->grants[--d->n_grants];
}

static void drop_approval_at(struct hws_danger *d, size_t i)
{
    hws_mem_free(d->approvals[i]->inbox);
    hws_mem_free(d->approvals[i]);
    d->approvals[i] = d->approvals[--d->n_approvals];
}

static void forget_expired(struct hws_danger *d)
{
    uint64_t now_s = hws_danger_now(d);

    for (size_t i = d->n_grants; i-- > 0;) {
        if (d->grants[i]->g.until_s + HWS_GRANT_LIFE_S < now_s) {
            drop_grant_at(d, i); /* for an hour an expired one is still named in refusals */
        }
    }
    for (size_t i = d->n_approvals; i-- > 0;) {
        if (d->approvals[i]->w.until_s < now_s) {
            drop_approval_at(d, i);
        }
    }
}

enum hws_code hws_danger_add_grant(struct hws_danger *d, const struct hws_grant *g,
                                   struct hws_danger_grant **out, struct hws_err *err)
{
    struct hws_buf bytes;
    struct hws_danger_grant *made = NULL;

    forget_expired(d);
    if (d->n_grants == HWS_DANGER_MAX_GRANTS) {
        return hws_err_set(err, HWS_E_BUSY, "more than %u grants: revoke some",
                           HWS_DANGER_MAX_GRANTS);
    }
    hws_buf_init(&bytes, 0);
    if (pack_grant(g, &bytes) == HWS_OK) {
        made = new_grant(d->last_grant_id + 1, hws_buf_peek(&bytes), hws_buf_len(&bytes), err);
    } else {
        hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    hws_buf_deinit(&bytes);
    if (made == NULL) {
        return HWS_E_NOMEM;
    }
    d->grants[d->n_grants++] = made;
    d->last_grant_id++;
    *out = made;
    return HWS_OK;
}

static struct hws_danger_grant *find_id(const struct hws_danger *d, uint64_t id)
{
    for (size_t i = 0; i < d->n_grants; i++) {
        if (d->grants[i]->id == id) {
            return d->grants[i];
        }
    }
    return NULL;
}

const struct hws_danger_grant *hws_danger_grant_by_id(const struct hws_danger *d, uint64_t id)
{
    return find_id(d, id);
}

bool hws_danger_revoke_grant(struct hws_danger *d, uint64_t id)
{
    struct hws_danger_grant *g = find_id(d, id);

    if (g != NULL) {
        g->revoked = true;
    }
    return g != NULL;
}

struct hws_span hws_danger_revoked(void)
{
    return (struct hws_span){(const uint8_t *)REVOKED, sizeof(REVOKED) - 1};
}

bool hws_danger_drop_grant(struct hws_danger *d, uint64_t id)
{
    for (size_t i = 0; i < d->n_grants; i++) {
        if (d->grants[i]->id == id) {
            drop_grant_at(d, i);
            return true;
        }
    }
    return false;
}

enum hws_code hws_danger_find_grant(const struct hws_danger *d, const struct hws_grant_ask *ask,
                                    const struct hws_danger_grant **out, struct hws_err *err)
{
    enum hws_grant_fit best = HWS_GRANT_OTHER;
    const struct hws_danger_grant *nearest = NULL;

    for (size_t i = 0; i < d->n_grants; i++) {
        enum hws_grant_fit fit = hws_grant_fits(&d->grants[i]->g, ask, hws_danger_now(d));
        if (fit > best && !d->grants[i]->revoked) {
            best = fit;
            nearest = d->grants[i];
        }
    }
    if (best == HWS_GRANT_COVERS) {
        *out = nearest;
        return HWS_OK;
    }
    if (nearest != NULL) {
        return hws_err_set(err, HWS_E_DENIED, "grant %llu has %s", (unsigned long long)nearest->id,
                           best == HWS_GRANT_EXPIRED ? "expired" : "not begun");
    }
    return hws_err_set(err, HWS_E_DENIED,
                       "no grant lets %.80s do %s of %s %s here now; somebody else may give one: "
                       "hawser grant add",
                       ask->principal, hws_effect_name(ask->effect), ask->target,
                       ask->target_method);
}

/* ---- warrants -------------------------------------------------------------------------------- */

struct hws_danger_approval *hws_danger_find(const struct hws_danger *d, const char *hash)
{
    for (size_t i = 0; i < d->n_approvals; i++) {
        if (hws_str_eq(d->approvals[i]->hash, hash)) {
            return d->approvals[i];
        }
    }
    return NULL;
}

bool hws_danger_is_used(const struct hws_danger *d, const struct hws_danger_approval *a)
{
    struct hws_digest hash;

    return hws_digest_from_hex(a->hash, &hash) == HWS_OK &&
           hws_spent_check(&d->spent, &hash, NULL) == HWS_E_DENIED;
}

enum hws_code hws_danger_keep(struct hws_danger *d, const struct hws_warrant *w,
                              const uint8_t *inbox, size_t n_inbox,
                              struct hws_danger_approval **out, struct hws_err *err)
{
    char hex[HWS_DIGEST_HEX_BYTES];
    struct hws_digest hash;

    enum hws_code code = hws_warrant_hash(w, &hash, err);
    if (code != HWS_OK) {
        return code;
    }
    hws_digest_hex(&hash, hex);
    struct hws_danger_approval *a = hws_danger_find(d, hex);
    if (a != NULL) {
        a->w = *w; /* the inbox is what its digest says, so it is the same */
        *out = a;
        return HWS_OK;
    }
    forget_expired(d);
    if (d->n_approvals == HWS_DANGER_MAX_APPROVALS) {
        return hws_err_set(err, HWS_E_BUSY,
                           "more than %u requests wait or were used: wait for one "
                           "to expire",
                           HWS_DANGER_MAX_APPROVALS);
    }
    a = hws_mem_zalloc(1, sizeof(*a));
    uint8_t *copy = hws_mem_alloc(n_inbox + 1);
    if (a == NULL || copy == NULL) {
        hws_mem_free(a);
        hws_mem_free(copy);
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    memcpy(copy, inbox, n_inbox);
    memcpy(a->hash, hex, sizeof(hex));
    a->w = *w;
    a->inbox = copy;
    a->n_inbox = n_inbox;
    d->approvals[d->n_approvals++] = a;
    *out = a;
    return HWS_OK;
}

enum hws_code hws_danger_pack(const struct hws_danger_approval *a, struct hws_buf *out,
                              struct hws_err *err)
{
    enum hws_code code = hws_warrant_format(&a->w, out, err);

    code = code == HWS_OK ? hws_buf_put(out, "", 1) : code;
    code = code == HWS_OK ? hws_buf_put(out, a->inbox, a->n_inbox) : code;
    return code == HWS_OK ? HWS_OK : hws_err_set(err, HWS_E_NOMEM, "out of memory");
}

enum hws_code hws_danger_settle(struct hws_danger *d, const struct hws_warrant *w,
                                const struct hws_danger_put *put, struct hws_err *err)
{
    struct hws_danger_approval *kept = NULL;
    size_t inbox_at = hws_buf_len(&put->value) - w->in_bytes;

    return hws_danger_keep(d, w, hws_buf_peek(&put->value) + inbox_at, w->in_bytes, &kept, err);
}

void hws_danger_withdraw(struct hws_danger *d, const struct hws_danger_put *put)
{
    for (size_t i = d->n_approvals; put->added && i-- > 0;) {
        if (hws_str_eq(d->approvals[i]->hash, put->hash)) {
            drop_approval_at(d, i);
        }
    }
}

enum hws_code hws_danger_propose(struct hws_danger *d, const struct hws_warrant *w,
                                 const uint8_t *inbox, struct hws_danger_put *put,
                                 struct hws_err *err)
{
    struct hws_danger_approval *kept = NULL;
    struct hws_warrant bare = *w;
    struct hws_digest hash;

    enum hws_code code = hws_warrant_hash(w, &hash, err);
    if (code != HWS_OK) {
        return code;
    }
    hws_digest_hex(&hash, put->hash);
    kept = hws_danger_find(d, put->hash);
    put->added = kept == NULL;
    bare.has_approver = false;
    code = put->added ? hws_danger_keep(d, &bare, inbox, w->in_bytes, &kept, err) : HWS_OK;
    if (code != HWS_OK) {
        put->added = false;
        return code;
    }
    hws_assert(kept != NULL);
    struct hws_danger_approval next = *kept;
    next.w = *w;
    code = hws_danger_pack(&next, &put->value, err);
    if (code != HWS_OK) {
        hws_danger_withdraw(d, put);
    }
    return code;
}

/* ---- the store ------------------------------------------------------------------------------- */

enum hws_code hws_danger_store(struct hws_danger *d, struct hws_store_kv *job, const char *ns,
                               const char *key, struct hws_span value, struct hws_err *err)
{
    void (*cb)(struct hws_store_job *) = job->job.cb;
    void *data = job->job.data;

    hws_store_kv_init(job, value.bytes == NULL ? HWS_STORE_KV_DELETE : HWS_STORE_KV_PUT, ns, key);
    job->value = value;
    job->job.cb = cb;
    job->job.data = data;
    if (d->agent->store == NULL) {
        return hws_err_set(err, HWS_E_STATE, "there is no database");
    }
    return hws_store_submit(d->agent->store, &job->job, err);
}

/* Takes in one stored pair. *dead: nothing needs it any more, it may be removed. */
typedef enum hws_code take_fn(struct hws_danger *d, const struct hws_store_pair *p, bool *dead,
                              struct hws_err *err);

static enum hws_code take_grant_id(struct hws_danger *d, const struct hws_store_pair *p,
                                   bool *dead HWS_UNUSED, struct hws_err *err HWS_UNUSED)
{
    uint64_t id = strtoull(p->key, NULL, 10);

    d->last_grant_id = id > d->last_grant_id ? id : d->last_grant_id;
    return HWS_OK;
}

static bool is_revoked(struct hws_span value)
{
    struct hws_span revoked = hws_danger_revoked();

    return value.n == revoked.n && memcmp(value.bytes, revoked.bytes, revoked.n) == 0;
}

/* The row of the greatest id stays, whatever it says: no id is given twice. */
static enum hws_code take_grant(struct hws_danger *d, const struct hws_store_pair *p, bool *dead,
                                struct hws_err *err)
{
    uint64_t id = strtoull(p->key, NULL, 10);

    *dead = id != d->last_grant_id;
    if (is_revoked(p->value)) {
        return HWS_OK;
    }
    struct hws_danger_grant *g = new_grant(id, p->value.bytes, p->value.n, err);
    if (g == NULL) {
        return err->code;
    }
    if (g->g.until_s < hws_danger_now(d)) {
        free_grant(g);
        return HWS_OK;
    }
    *dead = false;
    if (d->n_grants == HWS_DANGER_MAX_GRANTS) {
        free_grant(g); /* by a clock that was set back: it covers nothing until the next start */
        return HWS_OK;
    }
    d->grants[d->n_grants++] = g;
    return HWS_OK;
}

static enum hws_code take_approval(struct hws_danger *d, const struct hws_store_pair *p, bool *dead,
                                   struct hws_err *err)
{
    const uint8_t *nul = memchr(p->value.bytes, '\0', p->value.n);
    struct hws_danger_approval *ignored;
    struct hws_warrant w;

    if (nul == NULL) {
        return hws_err_set(err, HWS_E_PROTO, "a stored warrant cannot be read");
    }
    size_t n_text = (size_t)(nul - p->value.bytes);
    enum hws_code code = hws_warrant_parse(p->value.bytes, n_text, &w, err);
    if (code != HWS_OK) {
        return code;
    }
    *dead = w.until_s < hws_danger_now(d);
    return *dead ? HWS_OK : hws_danger_keep(d, &w, nul + 1, p->value.n - n_text - 1, &ignored, err);
}

static enum hws_code read_use(const struct hws_store_pair *p, struct hws_spent *out,
                              struct hws_err *err)
{
    size_t whole = 0;

    memset(out, 0, sizeof(*out));
    enum hws_code code = hws_spent_load(out, (const char *)p->value.bytes, p->value.n, &whole, err);
    if (code != HWS_OK || out->n != 1 || whole != p->value.n) {
        return hws_err_set(err, HWS_E_PROTO, "a stored use of a warrant cannot be read");
    }
    return HWS_OK;
}

static enum hws_code take_use_time(struct hws_danger *d, const struct hws_store_pair *p,
                                   bool *dead HWS_UNUSED, struct hws_err *err)
{
    struct hws_spent one;
    enum hws_code code = read_use(p, &one, err);

    if (code == HWS_OK && one.high_s > d->spent.high_s) {
        d->spent.high_s = one.high_s;
    }
    return code;
}

/* Expired by the time of the latest use, not by a clock that may be set back later. The row of the
 * latest use is what that time is known from. */
static enum hws_code take_use(struct hws_danger *d, const struct hws_store_pair *p, bool *dead,
                              struct hws_err *err)
{
    struct hws_spent one;
    enum hws_code code = read_use(p, &one, err);

    if (code != HWS_OK) {
        return code;
    }
    if (one.uses[0].until_s < d->spent.high_s) {
        *dead = one.high_s < d->spent.high_s;
        return HWS_OK;
    }
    if (d->spent.n == HWS_SPENT_MAX) {
        return hws_err_set(err, HWS_E_PROTO, "more than %u used warrants have not expired",
                           HWS_SPENT_MAX);
    }
    d->spent.uses[d->spent.n++] = one.uses[0];
    return HWS_OK;
}

/* A row that cannot be removed is tried again at the next start. */
static void remove_row(struct hws_danger *d, const char *ns, const char *key)
{
    struct hws_store_kv job;
    struct hws_err err;
    struct hws_log_q q;

    hws_store_kv_init(&job, HWS_STORE_KV_DELETE, ns, key);
    if (hws_store_run(d->agent->store, &job.job, &err) != HWS_OK) {
        hws_log("expired_stays", "row=%s/%s reason=%s", ns, key, hws_log_q(&q, err.msg));
    }
    hws_store_job_deinit(&job.job);
}

/* Every pair of a namespace. */
static enum hws_code read_all(struct hws_danger *d, const char *ns, take_fn *take,
                              struct hws_err *err)
{
    char after[HWS_DANGER_KEY_BYTES] = "";
    enum hws_code code = HWS_OK;
    size_t n_removed = 0;
    size_t n = LIST_ROWS;

    while (code == HWS_OK && n == LIST_ROWS) {
        struct hws_store_kv job;

        hws_store_kv_init(&job, HWS_STORE_KV_LIST, ns, after);
        code = hws_store_run(d->agent->store, &job.job, err);
        n = code == HWS_OK ? job.n_pairs : 0;
        for (size_t i = 0; i < n && code == HWS_OK; i++) {
            bool dead = false;

            code = take(d, &job.pairs[i], &dead, err);
            if (code == HWS_OK && dead && n_removed < REMOVED_ROWS) {
                remove_row(d, ns, job.pairs[i].key);
                n_removed++;
            }
        }
        if (n > 0) {
            (void)hws_str_copy(after, sizeof(after), job.pairs[n - 1].key);
        }
        hws_store_job_deinit(&job.job);
    }
    return code;
}

void hws_danger_load(struct hws_danger *d)
{
    struct hws_log_q q;
    struct hws_err err;

    if (hws_danger_read_trust(d, &err) != HWS_OK) {
        hws_log("trust_refused", "reason=%s", hws_log_q(&q, err.msg));
    }
    /* Uses first: the time that they show judges the others. */
    if (read_all(d, HWS_DANGER_NS_USE, take_use_time, &err) != HWS_OK ||
        read_all(d, HWS_DANGER_NS_USE, take_use, &err) != HWS_OK ||
        read_all(d, HWS_DANGER_NS_GRANT, take_grant_id, &err) != HWS_OK ||
        read_all(d, HWS_DANGER_NS_GRANT, take_grant, &err) != HWS_OK ||
        read_all(d, HWS_DANGER_NS_APPROVAL, take_approval, &err) != HWS_OK) {
        hws_log("warrants_off", "reason=%s", hws_log_q(&q, err.msg));
        (void)hws_str_copy(d->broken, sizeof(d->broken), err.msg);
    }
}

void hws_danger_deinit(struct hws_danger *d)
{
    while (d->n_grants > 0) {
        drop_grant_at(d, d->n_grants - 1);
    }
    for (size_t i = 0; i < d->n_approvals; i++) {
        hws_mem_free(d->approvals[i]->inbox);
        hws_mem_free(d->approvals[i]);
    }
    d->n_approvals = 0;
}
