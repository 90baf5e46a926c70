/* root -> folders -> groups -> user -> proof that there is no way back. */
#include "hawserd/user.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "common/file.h"

#define WALK_FDS 8

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

/* The user, if we are it or root; NULL on failure. */
static enum hws_code find(const struct hws_config *config, const struct passwd **out,
                          struct hws_err *err)
{
    *out = NULL;
    errno = 0;
    const struct passwd *user = getpwnam(config->user); /* one thread yet: its buffer is ours */
    if (user == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "user \"%.32s\" does not exist (errno %d)",
                           config->user, errno);
    }
    if (geteuid() != user->pw_uid && geteuid() != 0) {
        return hws_err_set(err, HWS_E_STATE,
                           "user: %.32s, but we are user %u and not root: start as root or as it",
                           config->user, (unsigned)geteuid());
    }
    *out = user;
    return HWS_OK;
}

/* One walk: nftw hands no data of ours to its callback. */
static struct {
    uid_t uid;
    uid_t found;
    char path[200]; /* the first that is not uid's; "" = none */
} s_walk;

static int look(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)type;
    if (at->level == 0 || st->st_uid == s_walk.uid) {
        return 0; /* the folder itself is given to the user */
    }
    s_walk.found = st->st_uid;
    hws_str_copy(s_walk.path, sizeof(s_walk.path), path);
    return 1;
}

/* Is everything in the folder the user's? What is not there yet is nobody's. */
static bool owned(const char *folder, uid_t uid)
{
    s_walk.uid = uid;
    s_walk.path[0] = '\0';
    (void)nftw(folder, look, WALK_FDS, FTW_PHYS);
    return s_walk.path[0] == '\0';
}

/*
 * A host whose agent ran as somebody else before, root mostly, has files that the user cannot open.
 * They are not given away here: a link in a folder that is the user's would give it any file of
 * this host.
 */
static enum hws_code check_owners(const struct hws_config *config, uid_t uid, struct hws_err *err)
{
    if (owned(config->state_dir, uid) && owned(config->run_dir, uid)) {
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_STATE,
                       "user: %.32s, but %s belongs to user %u (has the agent run as that user "
                       "before?); as root, run: chown -hR %.32s: %.100s %.100s",
                       config->user, s_walk.path, (unsigned)s_walk.found, config->user,
                       config->state_dir, config->run_dir);
}

enum hws_code hws_user_check(const struct hws_config *config, struct hws_err *err)
{
    const struct passwd *user;

    if (config->user[0] == '\0') {
        return HWS_OK;
    }
    enum hws_code code = find(config, &user, err);
    return user == NULL ? code : check_owners(config, user->pw_uid, err);
}

enum hws_code hws_user_become(const struct hws_config *config, struct hws_err *err)
{
    const struct passwd *user;
    enum hws_code code = hws_user_check(config, err);

    if (code != HWS_OK || config->user[0] == '\0') {
        return code;
    }
    code = find(config, &user, err);
    if (user == NULL || geteuid() == user->pw_uid) {
        return code;
    }
    if ((code = give(config->run_dir, user, err)) != HWS_OK ||
        (code = give(config->state_dir, user, err)) != HWS_OK ||
        (config->memory[0] != '\0' && (code = give(config->memory, user, err)) != HWS_OK)) {
        return code;
    }
    return become(user, err);
}
