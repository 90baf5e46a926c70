/*
 * Giving up root: hawserd started as root becomes the configuration's `user` before it does
 * anything else, and everything that it starts is that user too.
 */
#ifndef HWS_HAWSERD_USER_H
#define HWS_HAWSERD_USER_H

#include "base/err.h"
#include "hawserd/config.h"

/*
 * Without `user` in the configuration nothing happens. As root: makes run_dir and state_dir, gives
 * them to the user, and becomes it for good, with its groups. As that user already: HWS_OK.
 * HWS_E_NOT_FOUND: no such user. HWS_E_STATE: we are somebody else, who cannot become it. HWS_E_IO.
 */
enum hws_code hws_user_become(const struct hws_config *config, struct hws_err *err) HWS_MUST_USE;

#endif
