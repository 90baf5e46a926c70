/* root -> folders -> groups -> user -> proof that there is no way back. */
#include "hawserd/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "common/file.h"

static enum hws_code give(const char *folder, const struct passwd *user, struct hws_err *err)
{
    enum hws_code code = hws_file_make_dir(folder, err);

    if (code != HWS_OK) {
        return code;
    }
    return chown(folder, user->pw_uid, user->pw_gid) == 0
               ? HWS_OK
               : hws_err_set(err, HWS_E_IO, "cannot give %.120s to user %.32s (errno %d)", folder,
                             user->pw_name, errno);
}

static enum hws_code become(const struct passwd *user, struct hws_err *err)
{
    if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        return hws_err_set(err, HWS_E_IO, "cannot become user %.32s (errno %d)", user->pw_name,
                           errno);
    }
    if (user->pw_uid != 0 && setuid(0) == 0) {
        return hws_err_set(err, HWS_E_IO, "user %.32s can become root again", user->pw_name);
    }
    return HWS_OK;
}

enum hws_code hws_user_become(const struct hws_config *config, struct hws_err *err)
{
    enum hws_code code;

    if (config->user[0] == '\0') {
        return HWS_OK;
    }
    errno = 0;
    const struct passwd *user = getpwnam(config->user); /* one thread yet: its buffer is ours */
    if (user == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "user \"%.32s\" does not exist (errno %d)",
                           config->user, errno);
    }
    if (geteuid() == user->pw_uid) {
        return HWS_OK;
    }
    if (geteuid() != 0) {
        return hws_err_set(err, HWS_E_STATE,
                           "user: %.32s, but we are user %u and not root: start as root or as it",
                           config->user, (unsigned)geteuid());
    }
    if ((code = give(config->run_dir, user, err)) != HWS_OK ||
        (code = give(config->state_dir, user, err)) != HWS_OK) {
        return code;
    }
    return become(user, err);
}
