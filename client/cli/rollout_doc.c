/* Printing rollouts. */
#include "cli/rollout_doc.h"

#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/names.h"

#define SETTINGS_BYTES 512

static const struct hws_column member_columns[] = {
    {"host", "HOST", 0},   {"device", "ADAPTER", 0},  {"wave", "WAVE", 0},
    {"state", "STATE", 0}, {"attempt", "APPLIES", 0}, {"changed", "SINCE", 0},
    {"target", NULL, 0},   {"plan_hash", NULL, 0},
};

static const struct hws_column cause_columns[] = {
    {"host", "HOST", 0},         {"device", "ADAPTER", 0}, {"step", "STEP", 0},
    {"setting", "SETTING", 0},   {"stage", "STAGE", 0},    {"fw_status", "STATUS", 0},
    {"syndrome", "SYNDROME", 0}, {"message", "WHY", 0},    {"code", NULL, 0},
};

static enum hws_tone tone_of(enum hws_rollout_member_state state)
{
    switch (state) {
    case HWS_ROLLOUT_SUCCEEDED:
    case HWS_ROLLOUT_SKIPPED:
        return HWS_TONE_GOOD;
    case HWS_ROLLOUT_FAILED:
    case HWS_ROLLOUT_UNKNOWN:
        return HWS_TONE_BAD;
    case HWS_ROLLOUT_PLANNING:
    case HWS_ROLLOUT_APPLYING:
    case HWS_ROLLOUT_SETTLING:
        return HWS_TONE_WARN;
    case HWS_ROLLOUT_PENDING:
    case HWS_N_ROLLOUT_MEMBER_STATES:
        break;
    }
    return HWS_TONE_PLAIN;
}

static void settings_of(const struct hws_rollout_plan *plan, char *dst)
{
    size_t n = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < plan->n_settings && n < SETTINGS_BYTES; i++) {
        (void)hws_str_print(dst + n, SETTINGS_BYTES - n, "%s%s=%s", i > 0 ? " " : "",
                            plan->settings[i].name, plan->settings[i].value);
        n = strlen(dst);
    }
}

static const char *device_of(const struct hws_rollout *r, size_t i)
{
    const struct hws_rollout_member *m = &r->members[i];

    return m->device_id[0] != '\0' ? m->device_id : r->plan.targets[i].device;
}

static void facts(struct hws_out *out, const struct hws_rollout *r)
{
    char settings[SETTINGS_BYTES];
    char time[HWS_CLI_TIME_BYTES];
    bool bad = r->state == HWS_ROLLOUT_STOPPED;
    bool good = r->state == HWS_ROLLOUT_DONE;

    settings_of(&r->plan, settings);
    hws_out_fact(out, "rollout", "rollout", hws_cell_text(r->plan.name));
    hws_out_fact(out, "state", "state",
                 hws_cell_tone(hws_rollout_state_name(r->state), bad    ? HWS_TONE_BAD
                                                                 : good ? HWS_TONE_GOOD
                                                                        : HWS_TONE_WARN));
    if (r->reason[0] != '\0') {
        hws_out_fact(out, "reason", "reason", hws_cell_text(r->reason));
    }
    hws_out_fact(out, "settings", "settings", hws_cell_text(settings));
    hws_out_fact(out, "wave", "wave", hws_cell_uint(r->wave + 1));
    hws_out_fact(out, "n_waves", "waves", hws_cell_uint(r->n_waves));
    hws_out_fact(out, "canary", NULL, hws_cell_uint(r->plan.canary));
    hws_out_fact(out, "budget", NULL, hws_cell_uint(r->plan.budget));
    hws_cli_time(r->created_unix_ms, time);
    hws_out_fact(out, "created", "created", hws_cell_text(time));
    hws_cli_time(r->changed_unix_ms, time);
    hws_out_fact(out, "changed", "changed", hws_cell_text(time));
    hws_out_fact(out, "id", NULL, hws_cell_text(r->plan.id));
}

static void cause_row(struct hws_out *out, const struct hws_rollout *r, size_t i)
{
    const struct hws_rollout_cause *c = &r->members[i].cause;
    bool executed = c->err.stage == HWS_STAGE_EXECUTED;
    bool staged = c->err.stage != HWS_STAGE_NONE;
    const struct hws_cell cells[] = {
        hws_cell_text(r->plan.targets[i].host),
        hws_cell_text(device_of(r, i)),
        hws_cell_text(hws_rollout_step_name(c->step)),
        hws_cell_text(c->setting),
        staged ? hws_cell_text(hws_stage_name(c->err.stage)) : hws_cell_none(),
        executed ? hws_cell_hex(c->err.exec_status) : hws_cell_none(),
        executed ? hws_cell_hex(c->err.syndrome) : hws_cell_none(),
        hws_cell_text(c->err.msg),
        hws_cell_text(hws_code_name(c->err.code)),
    };

    hws_out_row(out, cells);
}

void hws_cli_rollout_doc(struct hws_out *out, const char *schema, const struct hws_rollout *r,
                         const char *controller)
{
    hws_out_begin(out, schema, 1, false);
    facts(out, r);
    if (controller != NULL) {
        hws_out_fact(out, "controller", "controller", hws_cell_text(controller));
    }
    hws_out_table(out, "members", member_columns, HWS_CLI_N_OF(member_columns));
    for (size_t i = 0; i < r->plan.n_targets; i++) {
        const struct hws_rollout_member *m = &r->members[i];
        char since[HWS_CLI_TIME_BYTES];
        hws_cli_time(m->changed_unix_ms, since);
        const struct hws_cell cells[] = {
            hws_cell_text(r->plan.targets[i].host),
            hws_cell_text(device_of(r, i)),
            hws_cell_uint(m->wave + 1),
            hws_cell_tone(hws_rollout_member_state_name(m->state), tone_of(m->state)),
            hws_cell_uint(m->attempt),
            hws_cell_text(since),
            hws_cell_text(r->plan.targets[i].target),
            hws_cell_text(m->plan_hash),
        };
        hws_out_row(out, cells);
    }
    hws_out_table(out, "causes", cause_columns, HWS_CLI_N_OF(cause_columns));
    for (size_t i = 0; i < r->plan.n_targets; i++) {
        enum hws_rollout_member_state s = r->members[i].state;
        if (s == HWS_ROLLOUT_FAILED || s == HWS_ROLLOUT_UNKNOWN) {
            cause_row(out, r, i);
        }
    }
}

void hws_cli_rollout_waves(struct hws_out *out, const struct hws_rollout_plan *plan,
                           const uint32_t *wave_of, uint32_t n_waves)
{
    static const struct hws_column columns[] = {{"wave", "WAVE", 0},
                                                {"kind", "KIND", 0},
                                                {"host", "HOST", 0},
                                                {"target", "TARGET", 0},
                                                {"device", "ADAPTER", 0}};
    char settings[SETTINGS_BYTES];

    settings_of(plan, settings);
    hws_out_fact(out, "rollout", "rollout", hws_cell_text(plan->name));
    hws_out_fact(out, "settings", "settings", hws_cell_text(settings));
    hws_out_fact(out, "n_waves", "waves", hws_cell_uint(n_waves));
    hws_out_fact(out, "budget", "budget", hws_cell_uint(plan->budget));
    hws_out_fact(out, "settle_ms", "settle ms", hws_cell_uint(plan->settle_ms));
    hws_out_table(out, "targets", columns, HWS_CLI_N_OF(columns));
    for (uint32_t wave = 0; wave < n_waves; wave++) {
        for (size_t i = 0; i < plan->n_targets; i++) {
            const struct hws_rollout_target *t = &plan->targets[i];
            const struct hws_cell cells[] = {
                hws_cell_uint(wave + 1),
                hws_cell_text(wave == 0 && plan->canary > 0 ? "canary" : "wave"),
                hws_cell_text(t->host),
                hws_cell_text(t->target),
                hws_cell_text(t->device[0] != '\0' ? t->device : "first by PCI address"),
            };
            if (wave_of[i] == wave) {
                hws_out_row(out, cells);
            }
        }
    }
}
