/* hawser-wire: options, the lock that says it lives, then the service. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"
#include "common/file.h"
#include "common/log.h"
#include "common/notify.h"
#include "options.h"
#include "sandbox/sandbox.h"
#include "service.h"
#include "sock/sock.h"

#define LARGE_BYTES (256 * 1024)

static void *zalloc(size_t count, size_t size)
{
    return hws_mem_zalloc(count, size);
}

/* What libuv grows is its table of descriptors, and without memory for it libuv aborts: the program
 * says why and ends with a status. */
static void *grow(void *p, size_t n)
{
    void *bigger = hws_mem_realloc(p, n);

    if (bigger == NULL) {
        (void)fputs("hawser-wire: out of memory for the event loop\n", stderr);
        exit(1);
    }
    return bigger;
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

/* Files: its folder, which is not hawserd's, and the folders of its certificates. TCP: to accept,
 * never to connect. */
static enum hws_code enter_sandbox(const struct hws_wire_options *o, int lock_fd,
                                   struct hws_err *err)
{
    static struct hws_sandbox box = {.role = HWS_SANDBOX_WIRE};
    struct hws_sandbox_report report;
    struct hws_log_q quoted;
    char text[HWS_SANDBOX_TEXT_BYTES];

    hws_sandbox_allow(&box, o->run_dir, HWS_SANDBOX_WRITE);
    hws_sandbox_allow_folder_of(&box, o->local_socket, HWS_SANDBOX_WRITE);
    hws_sandbox_allow_folder_of(&box, o->cert, HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, o->key, HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, o->ca, HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, o->crl, HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, o->deny, HWS_SANDBOX_READ);
    for (size_t i = 0; i < o->n_trust; i++) { /* "domain=file" */
        const char *equals = strchr(o->trust[i], '=');

        hws_sandbox_allow_folder_of(&box, equals == NULL ? NULL : equals + 1, HWS_SANDBOX_READ);
    }
    hws_sandbox_allow(&box, "/dev/urandom", HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, "/dev/null",
                      HWS_SANDBOX_READ); /* a descriptor in reserve, when all are used */
    enum hws_code code = hws_sandbox_enter(&box, &report, err);
    if (code == HWS_OK) {
        hws_sandbox_note(&report, lock_fd);
        hws_sandbox_text(&report, text, sizeof(text));
        hws_log("sandbox", "state=%s", hws_log_q(&quoted, text));
    }
    return code;
}

int main(int argc, char **argv)
{
    struct hws_wire_options options;
    struct hws_wire_limits limits;
    struct hws_notify notify;
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
    if (options.check) {
        return hws_certs_check(&options, &err) == HWS_OK ? 0 : complain(&err, HWS_WIRE_EXIT_TLS);
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
    if (uv_replace_allocator(hws_mem_alloc, grow, zalloc, hws_mem_free) != 0) {
        return 1;
    }
    hws_notify_open(&notify); /* the sandbox lets no such socket be made */
    options.listener = hws_notify_listener();
    if (hws_file_make_dir(options.run_dir, &err) != HWS_OK) {
        return complain(&err, 1);
    }
    if (hws_sock_lock(options.lock, &lock_fd, &err) != HWS_OK) {
        return complain(&err, 3);
    }
    if (enter_sandbox(&options, lock_fd, &err) != HWS_OK) {
        return complain(&err, 1);
    }
    return hws_service_run(&options, &limits,
                           &notify); /* the lock goes with the process, not before it */
}
