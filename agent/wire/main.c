/* hawser-wire: options, the lock that says it lives, then the service. */
#include <malloc.h>
#include <stdio.h>

#include <uv.h>

#include "base/mem.h"
#include "common/log.h"
#include "options.h"
#include "service.h"
#include "sock/sock.h"

#define LARGE_BYTES (256 * 1024)

static void *zalloc(size_t count, size_t size)
{
    return hws_mem_zalloc(count, size);
}

static void print_limit(void *data, const char *name, uint32_t value)
{
    (void)data;
    (void)printf("%-28s %u\n", name, value);
}

static int complain(const struct hws_err *err, int status)
{
    (void)fprintf(stderr, "hawser-wire: %s\n", err->msg);
    return status;
}

/*
 * This process holds the private key and the keys of connections: a core file gets none of its
 * memory, whoever collects it. Bits of the filter: core(5). What cannot be set is no reason to
 * stop.
 */
static void keep_memory_out_of_cores(void)
{
    FILE *filter = fopen("/proc/self/coredump_filter", "w");

    if (filter != NULL) {
        (void)fputs("0\n", filter);
        (void)fclose(filter);
    }
}

int main(int argc, char **argv)
{
    struct hws_wire_options options;
    struct hws_wire_limits limits;
    struct hws_err err;
    int lock_fd;

    hws_log_open("hawser-wire");
    keep_memory_out_of_cores();
    if (hws_wire_options_parse(argc, argv, &options, &err) != HWS_OK) {
        return complain(&err, 2);
    }
    if (options.help || options.version) {
        (void)fputs(options.help ? hws_wire_options_help() : "hawser-wire " HWS_VERSION "\n",
                    stdout);
        return 0;
    }
    hws_limits_default(&limits);
    if (options.list_limits) {
        hws_limits_each(&limits, print_limit, NULL);
        return 0;
    }
    for (size_t i = 0; i < options.n_limits; i++) {
        if (hws_limits_set(&limits, options.limits[i], &err) != HWS_OK) {
            return complain(&err, 2);
        }
    }
    /* Fixed thresholds: what one large message took goes back to the system with it, whatever size
     * the next has. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
    if (uv_replace_allocator(hws_mem_alloc, hws_mem_realloc, zalloc, hws_mem_free) != 0) {
        return 1;
    }
    if (hws_sock_lock(options.lock, &lock_fd, &err) != HWS_OK) {
        return complain(&err, 3);
    }
    return hws_service_run(&options, &limits); /* the lock goes with the process, not before it */
}
