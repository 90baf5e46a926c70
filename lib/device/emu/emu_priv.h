/* What the files of the model share among themselves. */
#ifndef HWS_EMU_EMU_PRIV_H
#define HWS_EMU_EMU_PRIV_H

#include "emu/emu.h"
#include "ifc/box.h"
#include "ifc/names.h"

#define HWS_EMU__TRACE(e, ...)                                                                     \
    do {                                                                                           \
        if ((e)->config.trace.line != NULL) {                                                      \
            hws_trace_emit(&(e)->config.trace, (e)->now_ms, __VA_ARGS__);                          \
        }                                                                                          \
    } while (0)

enum hws_emu__synd {
#define HWS_EMU_SYND(number, name, meaning, source) HWS_EMU__SYND_##name = (number),
#include "emu/syndrome.def"
#undef HWS_EMU_SYND
};

/* reset_state of MFRL. */
enum hws_emu__reset_state {
    HWS_EMU__RESET_IDLE = 0,
    HWS_EMU__RESET_NEGOTIATED = 1, /* the driver has been asked */
    HWS_EMU__RESET_IN_PROGRESS = 2,
    HWS_EMU__RESET_NO_ANSWER = 3,
    HWS_EMU__RESET_REFUSED = 4,
    HWS_EMU__RESET_NOT_RELEASED = 5 /* it has agreed, and not let go of the function in time */
};

#define HWS_EMU__REG_MAX_BYTES 288u /* MNVGN with the longest record */

/* A command being executed. in and out are the model's private copies. */
struct hws_emu__cmd {
    const uint8_t *in;
    uint8_t *out; /* zeroed before the handler runs */
    uint32_t in_bytes;
    uint32_t out_bytes;
    uint16_t op;
    uint16_t op_mod;
    uint16_t uid;
};

/* Answers a command with a status; the handler returns after it. */
static inline void hws_emu__refuse(struct hws_emu__cmd *cmd, enum hws_fw_status status,
                                   uint32_t syndrome)
{
    cmd->out[HWS_BOX_STATUS] = (uint8_t)status;
    hws_store_be32(cmd->out + HWS_BOX_SYNDROME, syndrome);
}

/* A register access. data holds what was sent, zero filled; the handler makes it the reply. */
struct hws_emu__reg {
    uint8_t *data;             /* HWS_EMU__REG_MAX_BYTES */
    uint32_t in_bytes;         /* how many were sent */
    uint32_t out_cap_bytes;    /* how many the caller takes */
    enum hws_fw_status status; /* HWS_FW_OK unless refused */
    uint32_t syndrome;
};

static inline void hws_emu__reg_refuse(struct hws_emu__reg *r, enum hws_fw_status status,
                                       uint32_t syndrome)
{
    r->status = status;
    r->syndrome = syndrome;
}

/* A text into a field of cap bytes, cut to it, without its NUL; the rest of the field is kept. */
static inline void hws_emu__put_text(uint8_t *dst, size_t cap, const char *text)
{
    for (size_t i = 0; i < cap && text[i] != '\0'; i++) {
        dst[i] = (uint8_t)text[i];
    }
}

typedef void (*hws_emu__reg_cb)(struct hws_emu *e, struct hws_emu__reg *r);

struct hws_emu__reg_row {
    uint16_t id;
    const char *name;
    uint16_t bytes;     /* the register's size */
    uint16_t min_bytes; /* what must be sent for its index fields */
    uint16_t
        whole_bytes; /* the least that a read takes and a write sends; size but for what varies */
    hws_emu__reg_cb read;  /* NULL: cannot be read */
    hws_emu__reg_cb write; /* NULL: cannot be written */
};

/* dispatch.c: executes a command; the outcome is in cmd->out. */
void hws_emu__dispatch(struct hws_emu *e, struct hws_emu__cmd *cmd);

/* queue.c */
void hws_emu__doorbell(struct hws_emu *e, uint32_t bits);
void hws_emu__run_due(struct hws_emu *e);
uint64_t hws_emu__next_due(const struct hws_emu *e);
/* Entries and events that a planted fault kept back go to the host. */
void hws_emu__give_lost(struct hws_emu *e);

/* chain.c: delivery status. in: fetches n_bytes; out: checks the chain and notes its addresses. */
enum hws_delivery hws_emu__chain_fetch(struct hws_emu *e, uint64_t addr, uint8_t token,
                                       uint8_t *dst, uint32_t n_bytes);
enum hws_delivery hws_emu__chain_check(struct hws_emu *e, uint64_t addr, uint8_t token,
                                       uint32_t n_bytes);
/* Fills the checked chain with n_bytes, signed. False if host memory went away. */
bool hws_emu__chain_store(struct hws_emu *e, uint8_t token, const uint8_t *src, uint32_t n_bytes);

/* eq.c: whether a queue takes that event; post with up to 28 bytes of data. */
void hws_emu__eq_reset(struct hws_emu *e);
bool hws_emu__eq_has(struct hws_emu *e, uint8_t event);
void hws_emu__eq_post(struct hws_emu *e, uint8_t event, uint8_t sub_type, const uint8_t *data,
                      size_t n);
/* A write at a BAR0 offset that is no register: a doorbell, or nothing. */
void hws_emu__eq_doorbell(struct hws_emu *e, uint32_t offset, uint32_t value);

/* health.c: a register of the health buffer; 0 at other offsets. */
uint32_t hws_emu__health_read(struct hws_emu *e, uint32_t offset);

/* emu.c: has the stored image persisted. False: it was not. */
bool hws_emu__persist(struct hws_emu *e);
/* Volatile state is forgotten; what is stored begins to count. */
void hws_emu__boot(struct hws_emu *e, bool warm);
/* What the host has set up is forgotten. */
void hws_emu__forget_host(struct hws_emu *e);

/* op_hca.c: power-on state of the capability area; whether the host's driver wants to be asked
 * before a firmware reset, and can be. */
void hws_emu__caps_reset(struct hws_emu *e);
bool hws_emu__host_syncs_resets(struct hws_emu *e);

/* link.c and reg_thermal.c: power-on state; nic_turn moves links up to now and returns the next
 * change. */
void hws_emu__nic_reset(struct hws_emu *e);
uint64_t hws_emu__nic_turn(struct hws_emu *e);
void hws_emu__thermal_reset(struct hws_emu *e);

/* reg_reset.c: the host has let go of the function; the time for its answer is over. */
void hws_emu__sync_released(struct hws_emu *e);
void hws_emu__sync_timeout(struct hws_emu *e);

/* reg_time.c: a row of timeout.def as the init segment has it. */
uint32_t hws_emu__timeout_word(const struct hws_emu *e, uint32_t row);

/* reg_update.c: what a boot does to an update on its way. After nv_boot. */
void hws_emu__update_boot(struct hws_emu *e);

/* Command handlers. */
void hws_emu__op_nop(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_query_hca_cap(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_set_hca_cap(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_query_adapter(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_enable_hca(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_disable_hca(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_init_hca(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_teardown_hca(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_query_issi(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_set_issi(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_query_pages(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_manage_pages(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_create_uctx(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_destroy_uctx(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_alloc_uar(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_dealloc_uar(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_create_eq(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_destroy_eq(struct hws_emu *e, struct hws_emu__cmd *cmd);
void hws_emu__op_access_reg(struct hws_emu *e, struct hws_emu__cmd *cmd);

/* op_reg.c: the register table. */
const struct hws_emu__reg_row *hws_emu__reg_row(uint16_t id);
const struct hws_emu__reg_row *hws_emu__reg_by_name(const char *name);
const struct hws_emu__reg_row *hws_emu__reg_rows(uint32_t *out_n);

/* reg_module.c: the module's temperature in eighths of a degree Celsius; 0 without a sensor. */
int16_t hws_emu__module_celsius_8(const struct hws_emu *e, const struct hws_emu_module *m);

/* incident.c: the end of a hang by itself; the health buffer stays. */
void hws_emu__hang_over(struct hws_emu *e);

/* Register handlers, by file: reg_*. */
void hws_emu__mgir(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__msgi(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mqis(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcqs(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcqi(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mroq(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mrsi(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvgn(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mpir(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_cap_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_cap_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_conf_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_conf_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_ctrl_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_ctrl_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtrc_stdb(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__resource_dump(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__dtor(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcc_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcc_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcda_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcam(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pcam(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__host_endianness_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__host_endianness_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvda_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvda_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvdi_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvia_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvqc(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mnvgc(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mfrl_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mfrl_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtcap(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtmp_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mtmp_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__paos_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__paos_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__ptys_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__ptys_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__ppcnt(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__ppaos(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pmdr(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__ppcr(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pddr(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pplm_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pplm_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__sltp(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pmaos_read(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pmaos_write(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mcia(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__qcam(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__pmlp(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mpein(struct hws_emu *e, struct hws_emu__reg *r);
void hws_emu__mpcnt(struct hws_emu *e, struct hws_emu__reg *r);

#endif
