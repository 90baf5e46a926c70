/* Limits of a listener. limits.def is the list, with the meaning of each. Plain data. */
#ifndef HWS_NET_LIMITS_H
#define HWS_NET_LIMITS_H

#include <stdint.h>

struct hws_net_limits {
#define HWS_NET_LIMIT(field, value) uint32_t field;
#include "net/limits.def"
#undef HWS_NET_LIMIT
};

/* Every limit as net/limits.def has it. */
void hws_net_limits_default(struct hws_net_limits *out);

#endif
