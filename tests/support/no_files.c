/* No memory files. */
#include "no_files.h"

#include <string.h>

enum hws_code hws_no_file_read(void *data, int fd, uint8_t *bytes, size_t n, struct hws_err *err)
{
    (void)data;
    (void)fd;
    memset(bytes, 0, n);
    return hws_err_set(err, HWS_E_IO, "no memory files here");
}

enum hws_code hws_no_file_write(void *data, int fd, const uint8_t *bytes, size_t n,
                                struct hws_err *err)
{
    (void)data;
    (void)fd;
    (void)bytes;
    (void)n;
    return hws_err_set(err, HWS_E_IO, "no memory files here");
}

void hws_no_file_close(void *data, int fd)
{
    (void)data;
    (void)fd;
}
