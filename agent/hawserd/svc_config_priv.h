/* What the two halves of the configuration service share: reading (svc_config.c) and changing
 * (svc_config_change.c). */
#ifndef HWS_HAWSERD_SVC_CONFIG_PRIV_H
#define HWS_HAWSERD_SVC_CONFIG_PRIV_H

#include "hawser/v1/config.pb-c.h"
#include "hawserd/svc.h"
#include "nvconfig/apply.h"
#include "nvconfig/get.h"
#include "nvconfig/plan.h"

/* What an operation of this service works with; one allocation. */
struct hws_svc_config__work {
    struct hws_nv_get get;
    struct hws_nv_plan *plan;   /* owned */
    struct hws_nv_apply *apply; /* owned */
    const char **names;         /* in the arena; of a get or a reset */
    size_t n_names;
    struct hws_nv_setting *settings; /* in the arena */
    size_t n_settings;
};

/* Frees the work. */
void hws_svc_config__drop(struct hws_task *task);

/* Finds the adapter and makes the work. */
enum hws_code hws_svc_config__start(struct hws_task *task, const char *device, struct hws_err *err);

/* How long one command may take. */
uint64_t hws_svc_config__command_ms(const struct hws_task *task);

/* As the public API numbers it. */
Hawser__V1__ResetLevel hws_svc_config__reset_of(enum hws_nv_reset reset);

/* Checks the names; no names: every parameter. */
enum hws_code hws_svc_config__take_names(struct hws_task *task, char **names, size_t n,
                                         struct hws_err *err);

/* Checks names and values, and describes them for the record. */
enum hws_code hws_svc_config__take_settings(struct hws_task *task, Hawser__V1__Setting **settings,
                                            size_t n, struct hws_err *err);

/* Takes who may and which attempt; NULL: not given. */
void hws_svc_config__take_mutation(struct hws_task *task, const Hawser__V1__Mutation *m);

/* 64 hex digits; field is to blame. */
enum hws_code hws_svc_config__take_hash(struct hws_task *task, const char *text, const char *field,
                                        struct hws_digest *out, struct hws_err *err);

/* Fills values (room for all of get's); returns how many. */
size_t hws_svc_config__values_of(struct hws_arena *arena, const struct hws_nv_get *get, bool all,
                                 Hawser__V1__ParameterValue **values);

/* Reads what was chosen; done as in run.h. */
void hws_svc_config__drive_get(struct hws_task *task, void (*done)(struct hws_run *));

#endif
