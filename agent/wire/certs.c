/*
 * Certificates from files, again and again.
 *
 * Happy path: a folder changes -> quiet -> marks differ -> read -> parse and verify -> prove ->
 * swap. Failures: a file that cannot be read, half a set, a key of another certificate, an end too
 * near, a list that is not ours: the bundle in use stays.
 */
#include "certs.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "net/net.h"

enum { CERT, KEY, CA, CRL, DENY, TRUST }; /* slots of the texts */

struct texts {
    struct hws_buf bufs[HWS_CERTS_MAX_FILES];
    struct hws_tls_trust trust[HWS_TLS_MAX_TRUST];
    char domains[HWS_TLS_MAX_TRUST][HWS_TLS_DOMAIN_MAX_BYTES + 1];
    struct hws_tls_pem pem;
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum hws_code read_file(const char *path, struct hws_buf *buf, struct hws_span *out,
                               struct hws_err *err)
{
    enum hws_code code =
        path == NULL ? HWS_OK : hws_file_read(path, HWS_TLS_PEM_MAX_BYTES, buf, err);

    *out = (struct hws_span){hws_buf_peek(buf), hws_buf_len(buf)};
    return code;
}

/* "domain=file" of --trust. */
static enum hws_code read_trust(struct texts *t, size_t i, const char *text, struct hws_err *err)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text ||
        !hws_str_copy_n(t->domains[i], sizeof(t->domains[i]), text, (size_t)(equals - text))) {
        return hws_err_set(err, HWS_E_INVALID, "trust: \"%.100s\" is not DOMAIN=FILE", text);
    }
    t->trust[i].domain = t->domains[i];
    return read_file(equals + 1, &t->bufs[TRUST + i], &t->trust[i].ca, err);
}

static enum hws_code read_texts(const struct hws_wire_options *o, struct texts *t,
                                struct hws_err *err)
{
    const char *paths[] = {o->cert, o->key, o->ca, o->crl, o->deny};
    struct hws_span *spans[] = {&t->pem.cert, &t->pem.key, &t->pem.ca, &t->pem.crl, &t->pem.deny};
    enum hws_code code = HWS_OK;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && code == HWS_OK; i++) {
        code = read_file(paths[i], &t->bufs[i], spans[i], err);
    }
    if (code == HWS_OK && o->crl != NULL && t->pem.crl.n == 0) {
        code = hws_err_set(err, HWS_E_INVALID,
                           "crl: the file is empty, which is not the same as no list");
    }
    for (size_t i = 0; i < o->n_trust && code == HWS_OK; i++) {
        code = read_trust(t, i, o->trust[i], err);
    }
    t->pem.trust = t->trust;
    t->pem.n_trust = o->n_trust;
    t->pem.allow_tls12 = true;
    t->pem.records = o->records;
    return code;
}

static void wipe_texts(struct texts *t)
{
    for (size_t i = 0; i < HWS_CERTS_MAX_FILES; i++) {
        if (t->bufs[i].bytes != NULL) {
            hws_mem_wipe(t->bufs[i].bytes, t->bufs[i].cap); /* one of them holds the key */
        }
        hws_buf_deinit(&t->bufs[i]);
    }
    hws_mem_free(t);
}

/* Says beside "cert", "key" and so on which file that is, and what to do about it. */
static void advise(const struct hws_wire_options *o, struct hws_err *err)
{
    static const char other[] = "put it there for hawser-wire to read, or correct its path";
    const struct {
        const char *slot;
        const char *path;
        const char *advice;
    } slots[] = {
        {"cert:", o->cert, "install a certificate that the CA has made for this host and key"},
        {"key:", o->key, "install key and certificate as the CA made them together"},
        {"ca:", o->ca, "install the certificate of the CA that callers' certificates are of"},
        {"crl:", o->crl, "install a list that the CA has made"},
        {"deny:", o->deny, "correct that line"}};
    struct hws_err was = *err;

    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        if (slots[i].path != NULL && hws_str_starts(was.msg, slots[i].slot)) {
            (void)!hws_err_set(err, was.code, "%.100s: %.250s; %s", slots[i].path, was.msg,
                               slots[i].advice);
            return;
        }
    }
    if (was.code != HWS_E_NOMEM) {
        (void)!hws_err_set(err, was.code, "%.350s; %s", was.msg, other);
    }
}

static enum hws_code load_once(struct hws_certs *c, struct hws_tls_bundle **out,
                               struct hws_err *err)
{
    struct hws_tls_bundle *bundle = NULL;
    struct texts *t = hws_mem_zalloc(1, sizeof(*t));

    if (t == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "certificates: out of memory");
    }
    enum hws_code code = read_texts(c->options, t, err);
    if (code == HWS_OK) {
        code = hws_tls_bundle_new(c->rng, &t->pem, hws_net_now_s(), &bundle, err);
    }
    wipe_texts(t);
    if (code == HWS_OK) {
        code = hws_tls_bundle_prove(bundle, hws_net_now_s(), err);
    }
    if (code != HWS_OK) {
        advise(c->options, err);
        hws_tls_bundle_unref(bundle);
        return code;
    }
    *out = bundle;
    return HWS_OK;
}

static enum hws_code load(struct hws_certs *c, struct hws_tls_bundle **out, struct hws_err *err)
{
    enum hws_code code = load_once(c, out, err);

    c->again = code == HWS_E_IO || code == HWS_E_NOMEM;
    return code;
}

/* ---- noticing -------------------------------------------------------------------------------- */

static struct hws_certs_mark mark_of(const char *path)
{
    struct hws_certs_mark mark;
    struct stat st;

    memset(&mark, 0, sizeof(mark));
    if (stat(path, &st) == 0) {
        mark.device = st.st_dev;
        mark.inode = st.st_ino;
        mark.size = st.st_size;
        mark.changed = st.st_mtim;
    }
    return mark;
}

/* Takes the marks of all files; true if one differs from before. */
static bool take_marks(struct hws_certs *c)
{
    bool differs = false;

    for (size_t i = 0; i < c->n_files; i++) {
        struct hws_certs_mark mark = mark_of(c->files[i]);
        differs = differs || memcmp(&mark, &c->marks[i], sizeof(mark)) != 0;
        c->marks[i] = mark;
    }
    return differs;
}

static void check_freshness(struct hws_certs *c)
{
    static const char *const names[] = {"fresh", "stale", "overdue"};
    enum hws_tls_freshness now = c->freshness;

    if (c->bundle != NULL) {
        now = hws_tls_bundle_freshness(c->bundle, hws_net_now_s());
    }
    if (now == c->freshness) {
        return;
    }
    c->freshness = now;
    hws_log("revocation_lists", "state=%s", names[now]);
    if (c->changed != NULL) {
        c->changed(c->data);
    }
}

static void on_quiet(uv_timer_t *timer);

/* The files are looked at in so many ms, unless a change comes first. */
static void look_in(struct hws_certs *c, uint32_t ms)
{
    if (c->watching) {
        (void)uv_timer_start(&c->quiet, on_quiet, ms, 0);
    }
}

static void on_check(uv_timer_t *timer)
{
    struct hws_certs *c = timer->data;

    check_freshness(c);
    if (c->unwatched && !uv_is_active((uv_handle_t *)&c->quiet)) {
        look_in(c, HWS_CERTS_QUIET_MS);
    }
}

static void take_over(struct hws_certs *c, struct hws_tls_bundle *bundle, enum hws_certs_trigger by)
{
    const struct hws_tls_peer *self = hws_tls_bundle_self(bundle);

    hws_tls_bundle_unref(c->bundle);
    c->bundle = bundle;
    c->n_loaded++;
    hws_log("certificates_loaded", "by=%s identity=%s serial=%s ends=%llu",
            hws_certs_trigger_name(by), self->principal, self->serial,
            (unsigned long long)self->not_after_s);
    check_freshness(c);
    if (c->changed != NULL) {
        c->changed(c->data);
    }
}

/* Where nothing has changed but the last load was the system's failure, once more, and nothing is
 * said of another failure. */
static void on_quiet(uv_timer_t *timer)
{
    struct hws_certs *c = timer->data;
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    if (take_marks(c)) {
        (void)!hws_certs_reload(c, HWS_CERTS_BY_WATCH, &err); /* logged there */
    } else if (c->again && load(c, &bundle, &err) == HWS_OK) {
        c->n_by[HWS_CERTS_BY_WATCH]++;
        take_over(c, bundle, HWS_CERTS_BY_WATCH);
    } else if (c->again) {
        look_in(c, HWS_CERTS_AGAIN_MS);
    }
}

static void on_event(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct hws_certs *c = watch->data;
    (void)name;
    (void)events;
    (void)status;

    look_in(c, HWS_CERTS_QUIET_MS);
}

const char *hws_certs_trigger_name(enum hws_certs_trigger by)
{
    static const char *const names[] = {"watch", "signal", "reload"};

    return names[by];
}

enum hws_code hws_certs_reload(struct hws_certs *c, enum hws_certs_trigger by, struct hws_err *err)
{
    struct hws_tls_bundle *bundle = NULL;

    c->n_by[by]++;
    (void)take_marks(c);
    enum hws_code code = load(c, &bundle, err);
    if (code != HWS_OK) {
        struct hws_log_q q;
        c->n_refused++;
        hws_log("certificates_refused", "by=%s reason=%s", hws_certs_trigger_name(by),
                hws_log_q(&q, err->msg));
        if (c->again) {
            look_in(c, HWS_CERTS_AGAIN_MS);
        }
        return code;
    }
    take_over(c, bundle, by);
    return HWS_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void list_files(struct hws_certs *c)
{
    const struct hws_wire_options *o = c->options;
    const char *paths[] = {o->cert, o->key, o->ca, o->crl, o->deny};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (paths[i] != NULL) {
            c->files[c->n_files++] = paths[i];
        }
    }
    for (size_t i = 0; i < o->n_trust; i++) {
        const char *equals = strchr(o->trust[i], '=');
        if (equals != NULL) {
            c->files[c->n_files++] = equals + 1;
        }
    }
}

enum hws_code hws_certs_open(struct hws_certs *c, uv_loop_t *loop,
                             const struct hws_wire_options *options, struct hws_err *err)
{
    memset(c, 0, sizeof(*c));
    c->loop = loop;
    c->options = options;
    list_files(c);
    enum hws_code code = hws_tls_rng_open(&c->rng, err);
    if (code != HWS_OK) {
        return code;
    }
    (void)take_marks(c);
    code = load(c, &c->bundle, err);
    c->n_loaded = code == HWS_OK ? 1 : 0;
    c->n_refused = code == HWS_OK ? 0 : 1;
    c->can_wait = code != HWS_OK && code != HWS_E_NOMEM;
    return code;
}

enum hws_code hws_certs_check(const struct hws_wire_options *options, struct hws_err *err)
{
    struct hws_certs c = {.options = options};
    enum hws_code code = hws_tls_rng_open(&c.rng, err);

    code = code == HWS_OK ? load(&c, &c.bundle, err) : code;
    hws_certs_deinit(&c);
    return code;
}

/* The folder of a file; false if it does not fit. */
static bool folder_of(const char *path, char *dst, size_t cap)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return hws_str_copy(dst, cap, ".");
    }
    return hws_str_copy_n(dst, cap, path, slash == path ? 1 : (size_t)(slash - path));
}

static void watch_folder(struct hws_certs *c, const char *folder)
{
    uv_fs_event_t *watch = &c->watches[c->n_watches];
    char other[512];
    size_t n = 0;

    for (size_t i = 0; i < c->n_watches; i++) {
        n = sizeof(other);
        if (uv_fs_event_getpath(&c->watches[i], other, &n) == 0 && hws_str_eq(other, folder)) {
            return;
        }
    }
    (void)uv_fs_event_init(c->loop, watch); /* cannot fail */
    watch->data = c;
    c->n_watches++;
    int status = uv_fs_event_start(watch, on_event, folder, 0);
    if (status != 0) {
        struct hws_log_q q;
        c->unwatched = true;
        hws_log("folder_not_watched", "folder=%s reason=%s", hws_log_q(&q, folder),
                uv_err_name(status));
    }
}

void hws_certs_watch(struct hws_certs *c, void (*changed)(void *data), void *data)
{
    char folder[512];

    c->changed = changed;
    c->data = data;
    (void)uv_timer_init(c->loop, &c->quiet);
    (void)uv_timer_init(c->loop, &c->check);
    c->quiet.data = c;
    c->check.data = c;
    c->watching = true;
    (void)uv_timer_start(&c->check, on_check, 0, HWS_CERTS_CHECK_MS);
    for (size_t i = 0; i < c->n_files; i++) {
        if (folder_of(c->files[i], folder, sizeof(folder))) {
            watch_folder(c, folder);
        }
    }
    /* What changed between the load and the watch. */
    look_in(c, HWS_CERTS_QUIET_MS);
}

void hws_certs_close(struct hws_certs *c)
{
    if (!c->watching) {
        return;
    }
    c->watching = false;
    uv_close((uv_handle_t *)&c->quiet, NULL);
    uv_close((uv_handle_t *)&c->check, NULL);
    for (size_t i = 0; i < c->n_watches; i++) {
        uv_close((uv_handle_t *)&c->watches[i], NULL);
    }
}

void hws_certs_deinit(struct hws_certs *c)
{
    hws_tls_bundle_unref(c->bundle);
    hws_tls_rng_free(c->rng);
    c->bundle = NULL;
    c->rng = NULL;
}
