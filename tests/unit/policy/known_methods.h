/* The methods that the tests' agent has. */
#ifndef HWS_TESTS_KNOWN_METHODS_H
#define HWS_TESTS_KNOWN_METHODS_H

#include "policy/policy.h"

static const struct hws_policy_method s_known[] = {
    {"/hawser.v1.DeviceService/List", "device.list"},
    {"/hawser.v1.ConfigService/Get", "config.get"},
    {"/hawser.v1.ConfigService/Apply", "config.apply"},
    {"/hawser.v1.ConfigService/Reset", "config.reset"},
    {"/hawser.v1.CommandService/Execute", "command.execute"},
    {"/hawser.v1.DumpService/Pull", "dump.pull"},
    {"/hawser.v1.AuditService/Tail", "audit.tail"},
    {"/hawser.v1.AgentService/Reload", "agent.reload"},
};

#define N_KNOWN (sizeof(s_known) / sizeof(s_known[0]))

#endif
