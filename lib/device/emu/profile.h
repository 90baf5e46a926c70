/*
 * The profile: everything one emulated adapter reports and does, read from YAML text. The model
 * holds no fact about a particular part; a new part is a new file. agent/emu/profiles has examples
 * that name every key.
 *
 * Parsing refuses what it does not know: an unknown key, a value out of range, a missing identity,
 * with the line it stands on. Pure; any thread. The profile is read-only once parsed and outlives
 * the models on it.
 */
#ifndef HWS_EMU_PROFILE_H
#define HWS_EMU_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "emu/fault.h"

#define HWS_EMU_MAX_PORTS                 8u
#define HWS_EMU_MAX_SENSORS               16u
#define HWS_EMU_MAX_MODULES               8u
#define HWS_EMU_MAX_TLVS                  64u
#define HWS_EMU_MAX_FIELDS                32u /* per TLV */
#define HWS_EMU_MAX_CAPS                  64u
#define HWS_EMU_TLV_MAX_BYTES             256u /* MNVDA's data area */
#define HWS_EMU_NAME_BYTES                48u
#define HWS_EMU_MAX_PAGES                 16384u
#define HWS_EMU_DEFAULT_RESET_LEVELS      0x48u /* MFRL levels 3 and 6 */
#define HWS_EMU_DEFAULT_IMAGE_BYTES       65536u
#define HWS_EMU_MAX_IMAGE_BYTES           33554432u
#define HWS_EMU_DEFAULT_UPDATE_TIMEOUT_MS 60000u
#define HWS_EMU_DEFAULT_RESET_TYPES       0x01u /* the full chip */
#define HWS_EMU_DEFAULT_MAX_READ          2u    /* 512 bytes, as PCIe has it after a reset */
#define HWS_EMU_PROFILE_MAX_BYTES         262144u

/* A run of bits of one TLV: bit lsb_idx and up of the dword at byte dw. */
struct hws_emu_bits {
    uint32_t type; /* the TLV's type word */
    uint16_t dw;
    uint8_t lsb_idx;
    uint8_t n_bits;
};

/* One field of a TLV: its default, and what the firmware accepts in it. */
struct hws_emu_field {
    char name[HWS_EMU_NAME_BYTES];
    struct hws_emu_bits at;
    uint32_t def;
    uint32_t min;
    uint32_t max; /* all ones of n_bits if the profile names none */
    bool has_max_from;
    struct hws_emu_bits max_from; /* the limit is what these bits of a capability TLV say */
    bool has_needs;
    struct hws_emu_bits needs; /* may leave its default only while these bits are not 0 */
};

struct hws_emu_tlv {
    char name[HWS_EMU_NAME_BYTES];
    uint32_t type;
    uint16_t bytes; /* multiple of 4 */
    bool read_only; /* a capability: reads only, same in every image */
    uint8_t version;
    uint32_t n_fields;
    struct hws_emu_field *fields; /* owned by the profile */
    uint8_t def[HWS_EMU_TLV_MAX_BYTES];
};

enum hws_emu_link_type { HWS_EMU_LINK_IB = 1, HWS_EMU_LINK_ETH = 2 };

/* One network port, local_port = index + 1. */
struct hws_emu_nic_port {
    enum hws_emu_link_type type; /* the default; type_from rules if set */
    bool has_type_from;
    struct hws_emu_bits type_from; /* 1 = IB, 2 = ETH, read from the running image */
    bool cable;                    /* false: the link never comes up */
    bool admin_up;
    uint8_t n_lanes;
    uint8_t first_lane;
    uint8_t module;
    uint32_t speed_mbps; /* the fastest the cable allows */
    uint32_t eth_cap;    /* PTYS extended Ethernet bits */
    uint16_t ib_cap;     /* PTYS InfiniBand protocol bits */
    uint64_t rx_frames_per_s;
    uint64_t tx_frames_per_s;
    uint32_t frame_bytes;
    uint32_t rx_discards_per_s;    /* beside those: frames that no buffer was free for */
    uint32_t symbol_errors_per_h;  /* errors that FEC did not correct */
    uint64_t corrected_bits_per_s; /* errors that it did, all lanes together */
};

enum hws_emu_cable { /* numbered as PDDR cable_type */
                     HWS_EMU_CABLE_ACTIVE = 1,
                     HWS_EMU_CABLE_OPTICAL = 2,
                     HWS_EMU_CABLE_COPPER = 3
};

/* A module in a cage, as its memory says (SFF-8636). */
struct hws_emu_module {
    uint8_t index; /* module number */
    enum hws_emu_cable cable;
    uint8_t identifier; /* SFF-8024 */
    uint8_t connector;  /* SFF-8024 */
    uint8_t technology; /* SFF-8636 byte 147 [7:4] */
    uint8_t length_m;
    uint8_t power_class;
    uint16_t wavelength_nm;
    char vendor[17];
    char part[17];
    char serial[17];
    char revision[3];
    char date[9]; /* YYMMDD and up to two characters of a lot */
    uint32_t oui; /* 24 bits */
    uint16_t millivolt;
    uint16_t rx_uw; /* of each lane */
    uint16_t tx_uw;
    uint16_t bias_ua;
};

struct hws_emu_sensor {
    char name[9];   /* 8 characters */
    uint16_t index; /* MTMP sensor_index; 0 = the chip, 64 + m = module m */
    int16_t value;  /* 1/8 degree C */
    int16_t threshold_hi;
    int16_t threshold_lo;
};

struct hws_emu_cap {
    uint16_t dw;
    uint8_t lsb_idx;
    uint8_t n_bits;
    uint32_t cur;
    uint32_t max;
};

#define HWS_EMU_N_TIMEOUTS        13u /* rows of timeout.def */
#define HWS_EMU_MAX_TRACE_STRINGS 64u

/* The tracer's string database: texts one after the other, each with its NUL. */
struct hws_emu_tracer {
    uint32_t base; /* its address, as the firmware's traces name it */
    uint8_t first_string;
    uint8_t n_strings; /* events from first_string on that carry a string's address */
    uint32_t n_bytes;  /* of strings; 0 = the firmware has no tracer */
    char strings[1024];
};

#define HWS_EMU_VERSION_BYTES 44u /* stored */

/* What a firmware says of itself. */
struct hws_emu_version {
    uint16_t major;
    uint16_t minor;
    uint16_t subminor;
    uint16_t year; /* binary coded decimal, as MGIR has it */
    uint8_t month;
    uint8_t day;
    uint32_t build_id;
    char branch[29];
};

struct hws_emu_profile {
    char part[21];
    char product[65];
    char psid[17];
    char serial[25];
    char revision[9];
    char pci_address[16];
    uint16_t hw_dev_id;
    uint16_t hw_revision;
    uint16_t pci_device_id;
    struct hws_emu_version version;        /* what runs before any update */
    struct hws_emu_version oldest_version; /* an older image is refused */
    uint64_t base_mac;                     /* 48 bits */

    uint8_t log_queue_size;
    uint8_t log_queue_stride;
    uint32_t boot_pages;
    uint32_t init_pages;

    uint64_t boot_ms;        /* from power-on to ready */
    uint64_t link_up_ms;     /* from admin up to link up */
    uint64_t reset_delay_ms; /* from the trigger's completion to the reset */
    uint8_t reset_levels;    /* MFRL levels offered */
    uint8_t reset_types;     /* and reset types */
    bool embedded_cpu;       /* the card has one, with a state of its own in MRSI */
    uint64_t latency_ms;     /* every command takes this long */
    uint32_t image_bytes;    /* the largest firmware image that can be staged */
    uint64_t erase_ms;       /* how long the steps of an update take */
    uint64_t verify_ms;
    uint64_t activate_ms;
    uint64_t update_timeout_ms; /* an update's handle is released after that long without an
                                   instruction */

    uint8_t pcie_width;      /* lanes in use */
    uint8_t pcie_generation; /* 1 = 2.5 GT/s ... 5 = 32 GT/s */
    uint8_t pcie_generation_cap;
    uint16_t pcie_width_cap;
    uint16_t pcie_power_w;
    uint8_t pcie_max_read;    /* as in PCIe Device Control: 128 << n bytes */
    uint8_t pcie_max_payload; /* the same */
    uint16_t bdf;             /* of pci_address: bus, device, function */

    uint64_t timeouts_ms[HWS_EMU_N_TIMEOUTS]; /* by row of timeout.def; 0 = the driver's own */
    struct hws_emu_tracer tracer;

    uint32_t n_ports;
    struct hws_emu_nic_port ports[HWS_EMU_MAX_PORTS];
    uint8_t serdes;     /* SLTP version: generation of the port silicon */
    uint32_t n_modules; /* a port may lie on a module that is not listed: it has no memory */
    struct hws_emu_module modules[HWS_EMU_MAX_MODULES];
    uint32_t n_sensors;
    struct hws_emu_sensor sensors[HWS_EMU_MAX_SENSORS];
    uint32_t n_caps;
    struct hws_emu_cap caps[HWS_EMU_MAX_CAPS];
    uint32_t n_tlvs;
    struct hws_emu_tlv tlvs[HWS_EMU_MAX_TLVS];
    uint32_t n_faults;
    struct hws_emu_fault faults[HWS_EMU_MAX_FAULTS];
};

/*
 * Reads n bytes of YAML. HWS_E_INVALID with "line L: reason"; HWS_E_NOMEM. On failure *out is
 * zeroed and needs no deinit.
 */
enum hws_code hws_emu_profile_parse(const char *text, size_t n, struct hws_emu_profile *out,
                                    struct hws_err *err) HWS_MUST_USE;

/* Frees the profile's tables; accepts a zeroed one. */
void hws_emu_profile_deinit(struct hws_emu_profile *p);

/* HWS_EMU_VERSION_BYTES at out; and back, false if the branch is no text. */
void hws_emu_version_store(const struct hws_emu_version *v, uint8_t *out);
bool hws_emu_version_load(const uint8_t *bytes, struct hws_emu_version *out) HWS_MUST_USE;

/* The TLV with that type word; NULL if the card has none. */
const struct hws_emu_tlv *hws_emu_profile_tlv(const struct hws_emu_profile *p, uint32_t type);

#endif
