/*
 * The walls of each program, attacked by code inside it: probe.c is preloaded into hawserd,
 * hawser-wire, hawser-emu and hawser-dev as they run. Nothing may be allowed, at least 30 attempts
 * must have been denied in each, and the level must be what this kernel offers.
 */
#include <dirent.h>
#include <ftw.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "test.h"

#define MIN_DENIED 30u
#define WAIT_MS    20000u
#define RAWIO      (UINT64_C(1) << CAP_SYS_RAWIO)

static struct hws_rig rig;
static char probes[64]; /* where the probes write */

struct seen {
    unsigned denied;
    unsigned absent;
    unsigned allowed;
    bool done;
};

/* Adds what a file of the probe says. */
static void read_probe(const char *path, struct seen *s)
{
    char line[400];
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        s->denied += hws_str_starts(line, "denied ") ? 1u : 0u;
        s->absent += hws_str_starts(line, "absent ") ? 1u : 0u;
        s->done = s->done || hws_str_starts(line, "done");
        if (hws_str_starts(line, "ALLOWED ")) {
            print_message("%s: %s", path, line);
            s->allowed++;
        }
    }
    (void)fclose(f);
}

/* The last probe of a program that was finished. */
static bool look(const char *program, struct seen *out)
{
    char prefix[64];
    struct dirent *entry;
    DIR *dir = opendir(probes);

    hws_str_print(prefix, sizeof prefix, "probe.%s.", program);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[400];
        struct seen s = {0};

        if (!hws_str_starts(entry->d_name, prefix)) {
            continue;
        }
        hws_str_print(path, sizeof path, "%s/%s", probes, entry->d_name);
        read_probe(path, &s);
        if (s.done) {
            *out = s;
        }
    }
    (void)closedir(dir);
    return out->done;
}

/* What its probes said is done with: the next one's is waited for. */
static void forget(const char *program)
{
    char prefix[64];
    struct dirent *entry;
    DIR *dir = opendir(probes);

    hws_str_print(prefix, sizeof prefix, "probe.%s.", program);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (hws_str_starts(entry->d_name, prefix)) {
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        }
    }
    (void)closedir(dir);
}

static void assert_walled(const char *program)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    struct seen s = {0};

    while (!look(program, &s) && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 20);
    }
    print_message("%s: %u attempts denied, %u allowed, %u without such a file here\n", program,
                  s.denied, s.allowed, s.absent);
    assert_true(s.done);
    assert_int_equal(s.allowed, 0);
    assert_true(s.denied >= MIN_DENIED);
}

/* "level=6 seccomp=yes landlock=7 of=7 ..." in a lock file; the level is what this kernel offers.
 */
static void assert_level(const char *lock, uint64_t capabilities)
{
    long abi = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1 /* version */);
    char path[128];
    char line[256] = "";
    char wanted[64];
    unsigned offered = abi < 1 ? 2 : abi < 4 ? 3 : abi < 6 ? (unsigned)abi : 6;
    unsigned level = 0;
    FILE *f;

    hws_str_print(path, sizeof path, "%s/run/%s", rig.dir, lock);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    (void)fclose(f);
    print_message("%s: %s", lock, line);
    assert_true(hws_str_starts(line, "level="));
    level = (unsigned)strtoul(line + strlen("level="), NULL, 10);
    assert_int_equal(level, offered);
    hws_str_print(wanted, sizeof wanted, "capabilities=0x%" PRIx64 "\n", capabilities);
    assert_non_null(strstr(line, wanted));
}

static void keeper_wire_and_emulator_are_walled(void **state)
{
    (void)state;
    assert_walled("hawserd");
    assert_walled("hawser-wire");
    assert_walled("hawser-emu");
    assert_level("hawserd.lock", 0);
    assert_level("wire/wire.lock", 0);
    assert_level("dev.lock", 0);
}

/* How hawser-dev is started: root's trust file, and what a unit would grant. */
struct start {
    const char *lock;
    const char *trust; /* NULL: none */
    bool holds_rawio;  /* as from the drop-in; else without CAP_SYS_RAWIO, as from the unit alone */
};

/* What is permitted to this process, or to another. */
static uint64_t capabilities_of(const char *status_path)
{
    char line[256];
    unsigned long long mask = 0;
    FILE *f = fopen(status_path, "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (hws_str_starts(line, "CapPrm:")) {
            mask = strtoull(line + strlen("CapPrm:"), NULL, 16);
        }
    }
    (void)fclose(f);
    return mask;
}

static pid_t start_device_process(const struct start *how)
{
    char socket_path[128];
    char lock_path[128];
    char trust_path[128] = "";
    char memory[128];

    hws_str_print(socket_path, sizeof socket_path, "%s/run/nobody.sock", rig.dir);
    hws_str_print(lock_path, sizeof lock_path, "%s/run/%s", rig.dir, how->lock);
    hws_str_print(memory, sizeof memory, "%s/run/used", rig.dir);
    if (how->trust != NULL) {
        hws_rig_write(&rig, "trust", how->trust);
        hws_str_print(trust_path, sizeof trust_path, "%s/trust", rig.dir);
        assert_int_equal(chmod(trust_path, 0644), 0);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setenv("LD_PRELOAD", HWS_PROBE, 1);
        if (!how->holds_rawio) {
            (void)prctl(PR_CAPBSET_DROP, CAP_SYS_RAWIO, 0, 0, 0); /* exec permits the rest */
        }
        (void)execl(HWS_BIN_DIR "/hawser-dev", "hawser-dev", "--socket", socket_path, "--lock",
                    lock_path, how->trust == NULL ? (char *)NULL : "--trust", trust_path,
                    "--memory", memory, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Its walls hold, and it has these capabilities by its own word and the kernel's. */
static void assert_device_process(const struct start *how, uint64_t capabilities)
{
    char status_path[64];
    int status = -1;
    pid_t pid = start_device_process(how);

    assert_walled("hawser-dev");
    assert_level(how->lock, capabilities);
    hws_str_print(status_path, sizeof status_path, "/proc/%d/status", (int)pid);
    assert_int_equal(capabilities_of(status_path), capabilities);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    forget("hawser-dev");
}

static void device_process_for_real_cards_is_walled(void **state)
{
    (void)state;
    assert_device_process(&(struct start){.lock = "real.lock", .holds_rawio = true}, 0);
}

/* The capability that the kernel wants for scope 3 takes two: the unit's drop-in, which grants it,
 * and root's trust file. With it every other wall stands as before. */
static void device_process_keeps_rawio_only_if_granted_and_named(void **state)
{
    static const char named[] = "host host-a\nscope full\n";
    static const char unnamed[] = "host host-a\n";
    static const char broken[] = "host host-a\nscope full\nscope\n";
    (void)state;

    assert_device_process(&(struct start){.lock = "named.lock", .trust = named}, 0);
    if ((capabilities_of("/proc/self/status") & RAWIO) == 0) {
        print_message("CAP_SYS_RAWIO is not permitted here: only seen without it\n");
        return;
    }
    assert_device_process(&(struct start){.lock = "both.lock", .trust = named, .holds_rawio = true},
                          RAWIO);
    assert_device_process(
        &(struct start){.lock = "granted.lock", .trust = unnamed, .holds_rawio = true}, 0);
    assert_device_process(
        &(struct start){.lock = "broken.lock", .trust = broken, .holds_rawio = true}, 0);
}

/* The agent works behind its walls: the rig has already called it; once more, over the probes. */
static void agent_still_serves(void **state)
{
    (void)state;
    assert_true(hws_rig_pid(&rig, "hawser-emu") > 1);
    assert_true(hws_rig_pid(&rig, "hawser-wire") > 1);
}

static int setup(void **state)
{
    struct hws_rig_options options = {0};

    (void)state;
    hws_str_copy(probes, sizeof probes, "/tmp/hawser-probes-XXXXXX");
    assert_non_null(mkdtemp(probes));
    (void)setenv("HAWSER_PROBE_DIR", probes, 1);
    (void)setenv("LD_PRELOAD", HWS_PROBE, 1);
    hws_rig_start(&rig, &options);
    (void)unsetenv("LD_PRELOAD");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    hws_rig_stop(&rig);
    (void)nftw(probes, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeper_wire_and_emulator_are_walled),
        cmocka_unit_test(device_process_for_real_cards_is_walled),
        cmocka_unit_test(device_process_keeps_rawio_only_if_granted_and_named),
        cmocka_unit_test(agent_still_serves),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
