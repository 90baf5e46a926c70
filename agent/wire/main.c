/* hawser-wire: options, the lock that says it lives, then the service. */
#include <stdio.h>

#include <uv.h>

#include "base/mem.h"
#include "common/log.h"
#include "options.h"
#include "service.h"
#include "sock/sock.h"

static void *zalloc(size_t count, size_t size)
{
    return hws_mem_zalloc(count, size);
}

static int complain(const struct hws_err *err, int status)
{
    (void)fprintf(stderr, "hawser-wire: %s\n", err->msg);
    return status;
}

int main(int argc, char **argv)
{
    struct hws_wire_options options;
    struct hws_err err;
    int lock_fd;

    hws_log_open("hawser-wire");
    if (hws_wire_options_parse(argc, argv, &options, &err) != HWS_OK) {
        return complain(&err, 2);
    }
    if (options.help || options.version) {
        (void)fputs(options.help ? hws_wire_options_help() : "hawser-wire " HWS_VERSION "\n",
                    stdout);
        return 0;
    }
    if (uv_replace_allocator(hws_mem_alloc, hws_mem_realloc, zalloc, hws_mem_free) != 0) {
        return 1;
    }
    if (hws_sock_lock(options.lock, &lock_fd, &err) != HWS_OK) {
        return complain(&err, 3);
    }
    return hws_service_run(&options); /* the lock goes with the process, not before it */
}
