/* A policy's life, and what it tells about itself. judge.c decides by it. */
#include "policy/policy.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/policy_priv.h"

static void free_texts(struct hws_policy_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        hws_mem_free(t->items[i]);
    }
    hws_mem_free(t->items);
}

struct hws_policy *hws_policy_ref(struct hws_policy *p)
{
    p->n_refs++;
    return p;
}

void hws_policy_unref(struct hws_policy *p)
{
    if (p == NULL || --p->n_refs > 0) {
        return;
    }
    for (size_t i = 0; i < p->n_rules; i++) {
        struct hws_policy_rule *r = &p->rules[i];
        hws_mem_free(r->name);
        free_texts(&r->principals);
        free_texts(&r->methods);
        free_texts(&r->devices);
        free_texts(&r->targets);
        free_texts(&r->fields);
    }
    for (size_t i = 0; i < p->n_locals; i++) {
        hws_mem_free(p->locals[i].principal);
    }
    hws_mem_free(p->rules);
    hws_mem_free(p->locals);
    hws_mem_free(p);
}

const struct hws_digest *hws_policy_hash(const struct hws_policy *p)
{
    return &p->hash;
}

const char *hws_policy_local(const struct hws_policy *p, uint32_t uid, char *buf, size_t cap)
{
    for (size_t i = 0; i < p->n_locals; i++) {
        if (p->locals[i].uid == uid) {
            return p->locals[i].principal;
        }
    }
    (void)hws_str_print(buf, cap, "unix:uid:%" PRIu32, uid);
    return buf;
}

size_t hws_policy_n_rules(const struct hws_policy *p)
{
    return p->n_rules;
}

size_t hws_policy_rules_of(const struct hws_policy *p, const char *principal, const char **names,
                           size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        if (hws_policy__who_fits(&p->rules[i], principal)) {
            if (n < cap) {
                names[n] = p->rules[i].name;
            }
            n++;
        }
    }
    return n;
}
