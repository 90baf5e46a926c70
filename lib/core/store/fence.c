/*
 * Fences: for each role the largest 128-bit election id that a request has shown. Who comes with a
 * smaller one has been replaced and does not know it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "store/db_priv.h"
#include "store/ledger_priv.h"

#define FENCE_TAG "hawser fence"
#define ID_BYTES  16u

static enum hws_code fence_digest(const char *role, const uint8_t *election, struct hws_digest *out)
{
    const struct hws_span parts[] = {hws_store__span(role), {election, ID_BYTES}};

    return hws_store__digest(FENCE_TAG, parts, 2, out);
}

static enum hws_code fence_put(struct hws_store_db *db, const char *role, const uint8_t *election,
                               struct hws_err *err)
{
    struct hws_digest digest;
    struct hws_store_q q;

    if (fence_digest(role, election, &digest) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_store__q(&q, db, HWS_SQL_FENCE_PUT);
    hws_store__text(&q, role);
    hws_store__blob(&q, election, ID_BYTES);
    hws_store__blob(&q, digest.b, sizeof(digest.b));
    return hws_store__finish(&q, err);
}

/* The stored election id of a role; all zero if there is none. */
static enum hws_code fence_get(struct hws_store_db *db, const char *role, uint8_t *election,
                               struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_digest stored;
    struct hws_digest hash;
    enum hws_code rc = HWS_OK;

    memset(election, 0, ID_BYTES);
    hws_store__q(&q, db, HWS_SQL_FENCE_GET);
    hws_store__text(&q, role);
    enum hws_store_step step = hws_store__step(&q, err);
    if (step == HWS_STORE_STEP_ERROR) {
        rc = err->code;
    } else if (step == HWS_STORE_STEP_ROW) {
        struct hws_span id = hws_store__col(&q, 0);
        if (id.n != ID_BYTES || !hws_store__digest_of(hws_store__col(&q, 1), &stored)) {
            rc = HWS_E_PROTO;
        } else {
            memcpy(election, id.bytes, ID_BYTES);
            rc = fence_digest(role, election, &hash);
            rc = rc == HWS_OK && !hws_digest_eq(&stored, &hash) ? HWS_E_PROTO : rc;
        }
        if (rc != HWS_OK) {
            (void)hws_err_set(err, rc, "store: the fence of role %s does not match its digest",
                              role);
        }
    }
    hws_store__q_end(&q);
    return rc;
}

enum hws_code hws_store__fence_check(struct hws_store_db *db, const struct hws_fence *f,
                                     struct hws_err *err)
{
    uint8_t mine[ID_BYTES];
    uint8_t current[ID_BYTES];

    hws_store_be64(mine, f->high);
    hws_store_be64(mine + 8, f->low);
    enum hws_code rc = fence_get(db, f->role, current, err);
    if (rc != HWS_OK) {
        return rc;
    }
    int order = memcmp(mine, current, ID_BYTES);
    if (order < 0) {
        return hws_err_set(err, HWS_E_DENIED,
                           "fence of role %s: election id %" PRIu64 ":%" PRIu64
                           " is older than the current %" PRIu64 ":%" PRIu64,
                           f->role, f->high, f->low, hws_load_be64(current),
                           hws_load_be64(current + 8));
    }
    return order == 0 ? HWS_OK : fence_put(db, f->role, mine, err);
}

enum hws_code hws_store__fence_check_all(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_store_q q;
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;
    struct hws_err local;

    hws_store__q(&q, db, HWS_SQL_FENCE_ALL);
    while (rc == HWS_OK && (step = hws_store__step(&q, &local)) != HWS_STORE_STEP_DONE) {
        char role[HWS_STORE_ROLE_MAX_BYTES + 1];
        uint8_t election[ID_BYTES];
        if (step == HWS_STORE_STEP_ERROR) {
            rc = local.code;
        } else {
            struct hws_span name = hws_store__col(&q, 0);
            rc = hws_str_copy_n(role, sizeof(role), name.bytes, name.n)
                     ? fence_get(db, role, election, &local)
                     : hws_err_set(&local, HWS_E_PROTO, "store: a fence's role is damaged");
        }
    }
    hws_store__q_end(&q);
    return rc == HWS_OK ? HWS_OK : hws_err_set(err, rc, "%s", local.msg);
}
