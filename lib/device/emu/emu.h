/*
 * The emulated adapter: the card's half of the command interface. It is seen through BAR0 registers
 * and through host memory that it reads and writes by address, exactly as a card would be; it
 * shares nothing with the driver's half but ifc.
 *
 * It lives in virtual time: a doorbell write only notes the command, turn executes it. Nothing is
 * allocated after init. What it reports comes from the profile; that it is emulated is said by the
 * process that links it, not by its registers.
 *
 * Life: power-on (init) -> initializing for boot_ms -> ready -> [MFRL trigger -> reset after
 * reset_delay_ms
 * -> initializing ...]. A reset or power cycle makes the next-boot image the running one, forgets
 * the queue address, and drops what was in flight. MFRL with level bit 3 and a synchronised start
 * (1 or 2) triggers; any other write of a supported level only arms. The driver may also reset the
 * firmware by writing nic_interface 7 (HWS_ISEG_NIC_SW_RESET); nic_interface then reads as disabled
 * until a queue address comes. incident.h has what can befall a card besides.
 *
 * Thread rule: one thread. The owner embeds the struct; profile, DMA and hooks outlive it.
 */
#ifndef HWS_EMU_EMU_H
#define HWS_EMU_EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/trace.h"
#include "emu/eq.h"
#include "emu/fault.h"
#include "emu/health.h"
#include "emu/nvstore.h"
#include "emu/profile.h"
#include "emu/update.h"
#include "ifc/call.h"
#include "ifc/entry.h"
#include "ifc/mailbox.h"

#define HWS_EMU_MAX_UCTX 64u
#define HWS_EMU_MAX_UARS 64u

#define HWS_EMU_N_PORT_GROUPS 14u /* counter groups of PPCNT */
#define HWS_EMU_N_FEC_SPEEDS  16u /* rows of fec.def */

/* Host memory as the card sees it. Both return false, and touch nothing, if the range is not
 * mapped. */
struct hws_emu_dma {
    bool (*read)(void *data, uint64_t addr, void *dst, size_t n);
    bool (*write)(void *data, uint64_t addr, const void *src, size_t n);
    void *data; /* borrowed */
};

struct hws_emu_config {
    struct hws_emu_dma dma;
    /*
     * The stored parameters have changed: persist these bytes now, before the command completes.
     * Anything but HWS_OK undoes the change, and the command answers an internal error. NULL:
     * nothing persists.
     */
    enum hws_code (*nv_dirty)(void *data, const uint8_t *bytes, size_t n);
    /* Raises an MSI-X vector. NULL: the host has no interrupts and polls. */
    void (*interrupt)(void *data, uint32_t vector);
    void *data;             /* borrowed; for nv_dirty and interrupt */
    struct hws_trace trace; /* borrowed hook; zeroed = off */
};

enum hws_emu_state {
    HWS_EMU_OFF,          /* zeroed */
    HWS_EMU_INITIALIZING, /* after power-on or reset; commands are not accepted */
    HWS_EMU_READY,        /* registers answer, no queue yet */
    HWS_EMU_QUEUE,        /* has a queue address */
    HWS_EMU_DISABLED, /* nic_interface disabled: leaves host memory alone until a new address comes
                       */
    HWS_EMU_UNPLUGGED /* off the bus: reads as ones, reaches no memory */
};

/* What a slot with a rung doorbell waits for. */
struct hws_emu_slot {
    uint64_t due_ms;
    const struct hws_emu_fault *fault; /* one of faults; matched once, NULL = none */
    bool matched;
    bool fresh;         /* rung since the last turn; due_ms is not set yet */
    bool by_event;      /* its completion is an event; else the host polls */
    uint8_t status_own; /* of a completion that was lost */
};

/* What counts on a port; every counter is a function of it and of the profile. */
struct hws_emu_tally {
    uint64_t at_ms;
    uint64_t up_ms;     /* time with the link up */
    uint64_t line_bits; /* bits received meanwhile */
    uint32_t n_down;    /* times it went down */
};

struct hws_emu_nic_state {
    enum hws_emu_link_type type;
    uint8_t admin; /* PAOS admin_status */
    uint8_t event_mode;
    bool an_disable; /* PTYS: no auto-negotiation */
    bool up;
    uint64_t up_at_ms;  /* when the link will come up; UINT64_MAX = not on its way */
    uint64_t try_at_ms; /* since when it tries, or tried when it came up */
    uint64_t turned_ms; /* since when it is up or down */
    bool was_up;        /* at any time since boot */
    uint32_t eth_admin; /* PTYS: what may be negotiated at the next link-up */
    uint16_t ib_admin;
    uint32_t eth_oper;
    uint16_t ib_oper;
    uint32_t mbps;                           /* negotiated; 0 while down */
    uint8_t lanes_oper;                      /* 0 while down */
    uint8_t fec;                             /* FEC mode number, while up */
    uint8_t fec_admin[HWS_EMU_N_FEC_SPEEDS]; /* forced FEC mode + 1 at each speed of fec.def; 0 =
                                                automatic */
    struct hws_emu_tally total;              /* up to the last time the link turned */
    struct hws_emu_tally
        cleared[HWS_EMU_N_PORT_GROUPS]; /* what total was when a counter group was cleared */
};

struct hws_emu_tracer_state {
    bool owned;
    bool active;
    uint8_t log_size; /* of the buffer, as set */
};

struct hws_emu_module_state {
    uint8_t admin; /* PMAOS admin_status */
    uint8_t event_mode;
    uint64_t ready_at_ms; /* after a reset of the module */
};

struct hws_emu_sensor_state {
    int16_t max;
    bool track_max;
    uint8_t event_mode;
    int16_t threshold_hi;
    int16_t threshold_lo;
};

struct hws_emu {
    const struct hws_emu_profile *profile; /* borrowed (outlives this) */
    struct hws_emu_config config;
    struct hws_emu_nv nv;
    enum hws_emu_state state;
    uint64_t now_ms;
    uint64_t boot_at_ms;    /* power-on or reset */
    uint64_t reset_at_ms;   /* a triggered reset; UINT64_MAX = none */
    uint64_t sync_until_ms; /* a reset waits for the host's driver; UINT64_MAX = none does */
    uint8_t reset_state;    /* MFRL reset_state, beside a triggered reset */
    uint64_t hung_until_ms; /* the firmware stands still; 0 = it runs, UINT64_MAX = until reset */
    uint64_t replug_at_ms;  /* while unplugged; UINT64_MAX = when told */
    bool nic_off;           /* reset by the driver: nic_interface is disabled until an address */
    bool fast_teardown;     /* prepared: what the host has set up is forgotten with nic_interface */
    uint32_t queue_h;
    uint32_t queue_l;
    uint32_t pending_mask; /* doorbells rung and not yet answered */
    uint32_t lost_mask;    /* answered, and the host was not told: planted faults */
    struct hws_emu_health health;
    struct hws_emu_eq eqs[HWS_EMU_MAX_EQS];

    bool hca_enabled;
    bool hca_inited;
    uint16_t issi;
    bool checksums; /* cmdif_checksum of SET_HCA_CAP */
    uint8_t cap_cur[4096];
    uint8_t host_endianness[16];
    uint64_t uctx_mask; /* uid n is in use: bit n - 1 */
    uint64_t uar_mask;
    uint64_t *pages; /* owned; addresses given */
    uint32_t n_pages;
    uint32_t max_pages;
    struct hws_emu_update update;
    struct hws_emu_tracer_state tracer;
    bool warm;           /* the last boot was a reset, not power */
    uint64_t cold_at_ms; /* the last time that power came */
    uint32_t mfrl_level;
    uint64_t pcie_cleared_ms;
    uint64_t pcie_cleared_dw[2]; /* written to the host, read from it, when group 4 was cleared */

    struct hws_emu_nic_state nic[HWS_EMU_MAX_PORTS];
    struct hws_emu_module_state modules[HWS_EMU_MAX_MODULES]; /* as the profile's modules */
    struct hws_emu_sensor_state sensors[HWS_EMU_MAX_SENSORS];
    struct hws_emu_slot slots[HWS_ENTRY_MAX_SLOTS];
    struct hws_emu_fault faults[HWS_EMU_MAX_FAULTS]; /* the profile's, and those planted since */
    struct hws_emu_fault_count fault_counts[HWS_EMU_MAX_FAULTS];
    uint32_t n_faults;

    uint8_t *nv_bytes; /* owned; HWS_EMU_NV_MAX_BYTES, for nv_dirty */
    uint8_t *in;       /* owned; HWS_CALL_MAX_BYTES, the command being executed */
    uint8_t *out;      /* owned; HWS_CALL_MAX_BYTES */
    uint64_t out_blocks[HWS_MBOX_MAX_BLOCKS]; /* addresses of its output chain */
};

/*
 * Power-on at now_ms, with the stored parameters of an earlier life (nv NULL and 0 bytes: none).
 * HWS_E_NOMEM; the errors of hws_emu_nv_parse. A failed init needs no undo.
 */
enum hws_code hws_emu_init(struct hws_emu *e, const struct hws_emu_profile *profile,
                           const struct hws_emu_config *config, const uint8_t *nv, size_t n_nv,
                           uint64_t now_ms, struct hws_err *err) HWS_MUST_USE;

/* Accepts a zeroed one. */
void hws_emu_deinit(struct hws_emu *e);

/* The big-endian register at a 4-aligned offset of BAR0; 0 where nothing is. */
uint32_t hws_emu_read32(struct hws_emu *e, uint32_t offset);

/* Writes to read-only or absent registers are ignored. Never executes a command: turn does. */
void hws_emu_write32(struct hws_emu *e, uint32_t offset, uint32_t value);

/*
 * Acts up to now_ms: boots, resets, executes what is due. Returns the next moment it wants to act;
 * UINT64_MAX if none.
 */
uint64_t hws_emu_turn(struct hws_emu *e, uint64_t now_ms);

/*
 * The function is reset, as by the bus: queue, contexts, event queues and lent pages are forgotten
 * and host memory is left alone. The firmware runs on: links, running parameters and a reset on its
 * way stay.
 */
void hws_emu_function_reset(struct hws_emu *e, uint64_t now_ms);

/* The plug is pulled and put back. */
void hws_emu_power_cycle(struct hws_emu *e, uint64_t now_ms);

#endif
