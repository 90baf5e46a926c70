/* What of an adapter is on disk; see store.h. */
#include "store.h"

#include <string.h>

#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "emu/nvstore.h"

enum hws_code hws_card_store_write(void *data, const uint8_t *bytes, size_t n)
{
    struct hws_card_store *store = data;
    struct hws_log_q quoted;
    struct hws_err err;
    enum hws_code code = hws_file_replace(store->nv_path, bytes, n, &err);

    if (code != HWS_OK) {
        hws_log("nv_write_failed", "serial=%s reason=%s", store->profile.serial,
                hws_log_q(&quoted, err.msg));
    }
    return code;
}

/* The serial number becomes a file name: letters, digits, '-' and '_' only. */
static bool name_ok(const char *serial)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return serial[0] != 0 && strspn(serial, allowed) == strlen(serial);
}

static enum hws_code read_profile(struct hws_card_store *store, const char *path,
                                  struct hws_err *err)
{
    struct hws_buf text;
    enum hws_code code;

    hws_buf_init(&text, 0);
    code = hws_file_read(path, HWS_EMU_PROFILE_MAX_BYTES, &text, err);
    if (code == HWS_OK) {
        code = hws_emu_profile_parse((const char *)hws_buf_peek(&text), hws_buf_len(&text),
                                     &store->profile, err);
    }
    hws_buf_deinit(&text);
    if (code == HWS_OK && !name_ok(store->profile.serial)) {
        code = hws_err_set(err, HWS_E_INVALID, "serial \"%s\": letters, digits, - and _ only",
                           store->profile.serial);
        hws_emu_profile_deinit(&store->profile);
    }
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "profile %.120s", path);
    }
    return code;
}

enum hws_code hws_card_store_open(struct hws_card_store *store, const char *profile_path,
                                  const char *nv_dir, struct hws_err *err)
{
    enum hws_code code;

    memset(store, 0, sizeof *store);
    code = read_profile(store, profile_path, err);
    if (code == HWS_OK && !hws_str_print(store->nv_path, sizeof store->nv_path, "%s/%s.nv", nv_dir,
                                         store->profile.serial)) {
        hws_emu_profile_deinit(&store->profile);
        code = hws_err_set(err, HWS_E_INVALID, "%.120s: path too long", nv_dir);
    }
    return code;
}

enum hws_code hws_card_store_read(const struct hws_card_store *store, struct hws_buf *out,
                                  struct hws_err *err)
{
    hws_buf_init(out, 0);
    enum hws_code code = hws_file_read(store->nv_path, HWS_EMU_NV_MAX_BYTES, out, err);

    if (code == HWS_E_NOT_FOUND) { /* a new card */
        hws_buf_reset(out);
        return HWS_OK;
    }
    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "parameters %.120s", store->nv_path);
    }
    return code;
}

void hws_card_store_deinit(struct hws_card_store *store)
{
    hws_emu_profile_deinit(&store->profile);
    memset(store, 0, sizeof *store);
}
