/*
 * QUERY_PAGES and MANAGE_PAGES: host memory lent to the card. The model keeps the addresses and
 * never writes there; what it was given it gives back.
 */
#include "emu/emu_priv.h"

void hws_emu__op_query_pages(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    const struct hws_emu_profile *p = e->profile;
    uint32_t want;

    switch (cmd->op_mod) {
    case HWS_PAGES_BOOT:
        want = e->n_pages < p->boot_pages ? p->boot_pages - e->n_pages : 0;
        break;
    case HWS_PAGES_INIT:
        want = e->max_pages - e->n_pages;
        break;
    case HWS_PAGES_REGULAR:
        want = 0;
        break;
    default:
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_OP_MOD);
        return;
    }
    hws_store_be32(cmd->out + HWS_QUERY_PAGES_N, want);
}

static void give(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint32_t n = hws_load_be32(cmd->in + HWS_MANAGE_IN_N);

    if (n > (cmd->in_bytes - HWS_MANAGE_ADDRS) / 8) {
        hws_emu__refuse(cmd, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
        return;
    }
    if (n > e->max_pages - e->n_pages) {
        hws_emu__refuse(cmd, HWS_FW_LIM_ERR, HWS_EMU__SYND_PAGES);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t addr = hws_load_be64(cmd->in + HWS_MANAGE_ADDRS + (size_t)8 * i);
        if (addr == 0 || addr % HWS_MANAGE_PAGE_BYTES != 0) {
            hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_PAGE_ADDR);
            return;
        }
        e->pages[e->n_pages + i] = addr;
    }
    e->n_pages += n;
}

/* Pages come back only when the function no longer needs them; as many as the reply has room for.
 */
static void take(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint32_t n = hws_load_be32(cmd->in + HWS_MANAGE_IN_N);
    uint32_t room = (cmd->out_bytes - HWS_MANAGE_ADDRS) / 8;

    if (e->hca_inited) {
        hws_emu__refuse(cmd, HWS_FW_BAD_RES_STATE, HWS_EMU__SYND_PAGES);
        return;
    }
    n = n < room ? n : room;
    n = n < e->n_pages ? n : e->n_pages;
    for (uint32_t i = 0; i < n; i++) {
        hws_store_be64(cmd->out + HWS_MANAGE_ADDRS + (size_t)8 * i, e->pages[--e->n_pages]);
    }
    hws_store_be32(cmd->out + HWS_MANAGE_OUT_N, n);
}

void hws_emu__op_manage_pages(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    switch (cmd->op_mod) {
    case HWS_MANAGE_GIVE:
        give(e, cmd);
        break;
    case HWS_MANAGE_TAKE:
        take(e, cmd);
        break;
    case HWS_MANAGE_CANT_GIVE:
        break;
    default:
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_OP_MOD);
        break;
    }
}
