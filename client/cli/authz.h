/*
 * What a policy file says, judged here by the core that the agent judges with. A policy and a
 * question in, the judge's request out; no agent, no clock but for "now".
 */
#ifndef HWS_CLI_AUTHZ_H
#define HWS_CLI_AUTHZ_H

#include <jansson.h>

#include "base/err.h"
#include "hawser.h"
#include "policy/policy.h"

#define HWS_CLI_AUTHZ_MAX_FIELDS 64u

/* A question taken apart; the request borrows from it and from what it was made of. */
struct hws_cli_authz {
    struct hws_policy_request req;
    struct hws_policy_device device;
    char target[HWS_POLICY_NAME_MAX_BYTES + 1];
    const char *fields[HWS_CLI_AUTHZ_MAX_FIELDS];
};

/* Reads and checks a policy file; its errors name file, line and rule. HWS_E_NOT_FOUND,
 * HWS_E_DENIED, HWS_E_IO, HWS_E_INVALID, HWS_E_BUSY, HWS_E_NOMEM. */
enum hws_code hws_cli_authz_load(const char *path, struct hws_policy **out, struct hws_err *err)
    HWS_MUST_USE;

/* The question that Probe would ask an agent. HWS_E_INVALID names the field. */
enum hws_code hws_cli_authz_ask(const Hawser__V1__ProbeRequest *q, struct hws_cli_authz *out,
                                struct hws_err *err) HWS_MUST_USE;

#endif
