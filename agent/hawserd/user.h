/*
 * Giving up root: hawserd started as root becomes the configuration's `user` before it does
 * anything else, and everything that it starts is that user too.
 */
#ifndef HWS_HAWSERD_USER_H
#define HWS_HAWSERD_USER_H

#include "base/err.h"
#include "hawserd/config.h"

/*
 * Can the configuration's `user` be who we become? It exists, we are root or it, and what is in
 * run_dir and state_dir is its own. HWS_E_NOT_FOUND: no such user. HWS_E_STATE: one of the others;
 * the text names the file, its owner and the command that mends it. Without `user`: HWS_OK.
 */
enum hws_code hws_user_check(const struct hws_config *config, struct hws_err *err) HWS_MUST_USE;

/*
 * Without `user` in the configuration nothing happens. As root: makes run_dir and state_dir, gives
 * them to the user, and becomes it for good, with its groups. As that user already: HWS_OK.
 * The errors of hws_user_check, and HWS_E_IO.
 */
enum hws_code hws_user_become(const struct hws_config *config, struct hws_err *err) HWS_MUST_USE;

#endif
