/* Memory files of a device process that takes none: for struct hws_serve_io. */
#ifndef HWS_TESTS_NO_FILES_H
#define HWS_TESTS_NO_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* HWS_E_IO; bytes are zeroed. */
enum hws_code hws_no_file_read(void *data, int fd, uint8_t *bytes, size_t n, struct hws_err *err);

/* HWS_E_IO. */
enum hws_code hws_no_file_write(void *data, int fd, const uint8_t *bytes, size_t n,
                                struct hws_err *err);

void hws_no_file_close(void *data, int fd);

#endif
