/*
 * fwctl-probe NODE: what the kernel's fwctl answers to calls at the edges of its interface, one
 * "NAME RESULT" a line: 0, the name of an errno, or "status N" where the firmware refused. For the
 * guest of the kernel test bed; tests/kernel/cases/fwctl.py has what each must be.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "drv/fwctl_abi.h"
#include "ifc/box.h"
#include "ifc/names.h"

#define RPC_MAX  (2u << 20)
#define REG_MGIR 0x9020u
#define REG_MTMP 0x900au
#define REG_NONE 0xdeadu
#define READ     1u
#define WRITE    0u

static uint8_t in[RPC_MAX + 1];
static uint8_t out[RPC_MAX + 1];
static int node;

static void say(const char *name, int result)
{
    const char *text = result != 0 ? strerrorname_np(errno) : "0";

    if (result == 0 && out[HWS_BOX_STATUS] != 0) {
        printf("%s status %u\n", name, out[HWS_BOX_STATUS]);
    } else {
        printf("%s %s\n", name, text);
    }
    (void)fflush(stdout);
}

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static struct hws_fwctl_rpc rpc_of(uint32_t scope, uint32_t in_len, uint32_t out_len)
{
    memset(out, 0, sizeof out);
    return (struct hws_fwctl_rpc){.size = sizeof(struct hws_fwctl_rpc),
                                  .scope = scope,
                                  .in_len = in_len,
                                  .out_len = out_len,
                                  .in = address_of(in),
                                  .out = address_of(out)};
}

static void command(uint16_t opcode, uint16_t op_mod, uint16_t reg)
{
    memset(in, 0, sizeof in);
    hws_box_begin(in, opcode, op_mod);
    hws_store_be16(in + 0x0a, reg);
}

static void rpc(const char *name, uint32_t scope, uint32_t in_len, uint32_t out_len)
{
    struct hws_fwctl_rpc r = rpc_of(scope, in_len, out_len);

    say(name, ioctl(node, HWS_FWCTL_RPC, &r));
}

/* The kernel's struct with bytes behind it, as a newer program would send it. */
static void longer(const char *name, uint32_t size, uint8_t tail)
{
    struct {
        struct hws_fwctl_rpc rpc;
        uint8_t more[8];
    } r = {.rpc = rpc_of(1, 256, 256), .more = {tail}};

    r.rpc.size = size;
    say(name, ioctl(node, HWS_FWCTL_RPC, &r));
}

static void taint(const char *name)
{
    char text[32] = "";
    FILE *f = fopen("/proc/sys/kernel/tainted", "re");

    if (f != NULL) {
        (void)fgets(text, sizeof text, f);
        (void)fclose(f);
    }
    printf("%s %ld\n", name, strtol(text, NULL, 10));
}

static void drop_raw_io(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    (void)syscall(SYS_capget, &head, data);
    data[0].effective &= ~(UINT32_C(1) << CAP_SYS_RAWIO);
    (void)syscall(SYS_capset, &head, data);
}

static void information(void)
{
    struct hws_fwctl_info_mlx5 mlx5 = {0};
    struct hws_fwctl_info info = {
        .size = sizeof info, .device_data_len = sizeof mlx5, .out_device_data = address_of(&mlx5)};

    say("info", ioctl(node, HWS_FWCTL_INFO, &info));
    printf("type %u\nuctx_caps %u\nuid_is_given %d\n", info.out_device_type, mlx5.uctx_caps,
           mlx5.uid != 0);
    info.flags = 1;
    say("info_flags", ioctl(node, HWS_FWCTL_INFO, &info));
    say("other_ioctl", ioctl(node, HWS_FWCTL_RPC + 1, &info));
}

int main(int argc, char **argv)
{
    node = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    if (node < 0) {
        (void)fprintf(stderr, "usage: fwctl-probe NODE\n");
        return 2;
    }
    information();
    command(HWS_OP_ACCESS_REG, READ, REG_MGIR);
    rpc("read_scope_0", 0, 176, 176);
    rpc("read_scope_1", 1, 176, 176);
    rpc("scope_4", 4, 176, 176);
    rpc("in_len_15", 1, 15, 176);
    rpc("out_len_15", 1, 176, 15);
    rpc("in_len_2m_1", 1, RPC_MAX + 1, 176);
    rpc("out_len_2m_1", 1, 176, RPC_MAX + 1);
    longer("longer_zero", 40, 0);
    longer("longer_tail", 40, 1);
    longer("shorter", 24, 0);
    command(HWS_OP_ACCESS_REG, READ, REG_NONE);
    rpc("no_such_register", 1, 176, 176);
    command(HWS_OP_ACCESS_REG, WRITE, REG_MTMP);
    rpc("write_scope_0", 0, 48, 48);
    command(HWS_OP_ENABLE_HCA, 0, 0); /* the driver's own */
    rpc("opcode_scope_1", 1, 64, 64);
    command(HWS_OP_SET_DIAGNOSTIC_PARAMS, 0, 0);
    rpc("set_diagnostic_scope_1", 1, 64, 64);
    taint("taint_before");
    command(HWS_OP_ACCESS_REG, READ, REG_MGIR);
    drop_raw_io();
    rpc("scope_3_without_raw_io", 3, 176, 176);
    taint("taint_scope_3");
    rpc("scope_2", 2, 176, 176);
    taint("taint_scope_2");
    (void)printf("waiting\n");
    (void)fflush(stdout);
    (void)getchar();
    rpc("after_unbind", 1, 176, 176);
    return 0;
}
