/* A rollout as a document: what it is, how far, why it stopped. */
#ifndef HWS_CLI_ROLLOUT_DOC_H
#define HWS_CLI_ROLLOUT_DOC_H

#include "cli/out.h"
#include "rollout/rollout.h"

/* controller: "active" while a process drives it; NULL: say nothing. */
void hws_cli_rollout_doc(struct hws_out *out, const char *schema, const struct hws_rollout *r,
                         const char *controller);

/* The waves of a plan that has not begun: members need only their wave. */
void hws_cli_rollout_waves(struct hws_out *out, const struct hws_rollout_plan *plan,
                           const uint32_t *wave_of, uint32_t n_waves);

#endif
