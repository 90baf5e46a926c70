/*
 * What of an emulated adapter is on disk: its profile, and the file with its non-volatile
 * parameters, replaced as a whole and synced before a write command completes.
 *
 * Thread rule: the loop's thread.
 */
#ifndef HWS_EMU_STORE_H
#define HWS_EMU_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "emu/profile.h"

struct hws_card_store {
    struct hws_emu_profile profile;
    char nv_path[512];
};

/* Reads the profile; the parameter file is nv_dir/SERIAL.nv. HWS_E_INVALID with file and line. */
enum hws_code hws_card_store_open(struct hws_card_store *store, const char *profile_path,
                                  const char *nv_dir, struct hws_err *err) HWS_MUST_USE;

/* The stored parameters; empty for a new card. *out needs hws_buf_deinit in every case. */
enum hws_code hws_card_store_read(const struct hws_card_store *store, struct hws_buf *out,
                                  struct hws_err *err) HWS_MUST_USE;

/* For hws_emu_config.nv_dirty; data is the store. */
enum hws_code hws_card_store_write(void *data, const uint8_t *bytes, size_t n);

/* Accepts a zeroed one. */
void hws_card_store_deinit(struct hws_card_store *store);

#endif
