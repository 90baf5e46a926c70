/* hawser device: list, get, watch. */
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/names.h"

#define LINKS_BYTES 128

/* "up 200G x4, down" */
static void links_of(const Hawser__V1__Device *d, char *dst)
{
    size_t n = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < d->n_ports && n < LINKS_BYTES; i++) {
        const Hawser__V1__Port *p = d->ports[i];
        (void)hws_str_print(dst + n, LINKS_BYTES - n, "%s%s%s%s", i > 0 ? ", " : "",
                            hws_cli_link(p->link), p->speed[0] != '\0' ? " " : "", p->speed);
        n = strlen(dst);
    }
}

static const struct hws_column device_columns[] = {
    {"host", "HOST", 12},      {"pci_address", "PCI", 12}, {"part_number", "PART", 16},
    {"psid", "PSID", 13},      {"serial", "SERIAL", 14},   {"firmware_version", "FIRMWARE", 11},
    {"link", "LINK", 10},      {"state", "STATE", 8},      {"emulated", "EMULATED", 8},
    {"id", NULL, 0},           {"product_name", NULL, 0},  {"kind", NULL, 0},
    {"backend", NULL, 0},      {"node", NULL, 0},          {"state_reason", NULL, 0},
    {"facts_age_ms", NULL, 0}, {"facts_source", NULL, 0},  {"hw_device_id", NULL, 0},
};

static void device_cells(const char *host, const Hawser__V1__Device *d, const char *links,
                         struct hws_cell *cells)
{
    const struct hws_cell row[] = {
        hws_cell_text(host),
        hws_cell_text(d->pci_address),
        hws_cell_text(d->part_number),
        hws_cell_text(d->psid),
        hws_cell_text(d->serial),
        hws_cell_text(d->firmware_version),
        hws_cell_text(links),
        hws_cell_tone(hws_cli_device_state(d->state), hws_cli_state_tone(d->state)),
        hws_cell_bool(d->emulated),
        hws_cell_text(d->id),
        hws_cell_text(d->product_name),
        hws_cell_text(d->kind),
        hws_cell_text(d->backend),
        hws_cell_text(d->node),
        hws_cell_text(d->state_reason),
        hws_cell_uint(d->facts_age_ms),
        hws_cell_text(d->facts_source),
        hws_cell_hex(d->hw_device_id),
    };

    memcpy(cells, row, sizeof(row));
}

/* Why an adapter is not ready is shown where one is not. */
static void choose_columns(const struct hws_cli *cli, struct hws_column *columns)
{
    bool all_well = true;

    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListDevicesResponse *list = hws_cli_answer(h, ListDevicesResponse);
        for (size_t k = 0; !h->failed && k < list->n_devices; k++) {
            all_well = all_well && list->devices[k]->state_reason[0] == '\0';
        }
    }
    memcpy(columns, device_columns, sizeof(device_columns));
    for (size_t i = 0; i < HWS_CLI_N_OF(device_columns) && !all_well; i++) {
        if (hws_str_eq(columns[i].key, "state_reason")) {
            columns[i].title = "REASON";
        }
    }
}

int hws_cmd_device_list(struct hws_cli *cli)
{
    const Hawser__V1__ListDevicesRequest all = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_ask(&cli->hosts[i], &hws_client_method_device_list, &all.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.device.list", 1, false);
    struct hws_column columns[HWS_CLI_N_OF(device_columns)];
    choose_columns(cli, columns);
    hws_out_table(&cli->out, "devices", columns, HWS_CLI_N_OF(columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__ListDevicesResponse *list = hws_cli_answer(h, ListDevicesResponse);
        for (size_t k = 0; !h->failed && k < list->n_devices; k++) {
            char links[LINKS_BYTES];
            struct hws_cell cells[HWS_CLI_N_OF(device_columns)];
            links_of(list->devices[k], links);
            device_cells(h->name, list->devices[k], links, cells);
            hws_out_row(&cli->out, cells);
        }
    }
    return hws_cli_finish(cli);
}

static const struct hws_column fact_columns[] = {
    {"host", "HOST", 0}, {"fact", "FACT", 0}, {"value", "VALUE", 0}};

static void fact_row(struct hws_out *out, const char *host, const char *fact, struct hws_cell cell)
{
    const struct hws_cell cells[] = {hws_cell_text(host), hws_cell_text(fact), cell};

    hws_out_row(out, cells);
}

static void port_rows(struct hws_out *out, const char *host, const Hawser__V1__Device *d)
{
    for (size_t i = 0; i < d->n_ports; i++) {
        const Hawser__V1__Port *p = d->ports[i];
        char fact[32];
        char value[96];
        (void)hws_str_print(fact, sizeof(fact), "port %u", p->number);
        (void)hws_str_print(value, sizeof(value), "link %s, admin %s%s%s", hws_cli_link(p->link),
                            p->admin_up ? "up" : "down", p->speed[0] != '\0' ? ", " : "", p->speed);
        fact_row(out, host, fact, hws_cell_text(value));
    }
}

static void device_rows(struct hws_out *out, const char *host, const Hawser__V1__Device *d)
{
    char age[64];

    (void)hws_str_print(age, sizeof(age), "%llu ms ago", (unsigned long long)d->facts_age_ms);
    fact_row(out, host, "id", hws_cell_text(d->id));
    fact_row(out, host, "PCI address", hws_cell_text(d->pci_address));
    fact_row(out, host, "product", hws_cell_text(d->product_name));
    fact_row(out, host, "part number", hws_cell_text(d->part_number));
    fact_row(out, host, "PSID", hws_cell_text(d->psid));
    fact_row(out, host, "serial", hws_cell_text(d->serial));
    fact_row(out, host, "firmware", hws_cell_text(d->firmware_version));
    fact_row(out, host, "hardware id", hws_cell_hex(d->hw_device_id));
    fact_row(out, host, "state",
             hws_cell_tone(hws_cli_device_state(d->state), hws_cli_state_tone(d->state)));
    if (d->state_reason[0] != '\0') {
        fact_row(out, host, "reason", hws_cell_text(d->state_reason));
    }
    port_rows(out, host, d);
    fact_row(out, host, "backend", hws_cell_text(d->backend));
    fact_row(out, host, "node", hws_cell_text(d->node));
    fact_row(out, host, "emulated", hws_cell_bool(d->emulated));
    fact_row(out, host, "read", hws_cell_text(age));
    fact_row(out, host, "from", hws_cell_text(d->facts_source));
}

int hws_cmd_device_get(struct hws_cli *cli)
{
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_cli_devices(cli);
    for (size_t i = 0; i < cli->n_hosts; i++) {
        Hawser__V1__GetDeviceRequest r = HAWSER__V1__GET_DEVICE_REQUEST__INIT;
        r.device = cli->hosts[i].device;
        hws_cli_ask(&cli->hosts[i], &hws_client_method_device_get, &r.base);
    }
    hws_cli_wait(cli);
    hws_out_begin(&cli->out, "hawser.device.get", 1, false);
    hws_out_table(&cli->out, "facts", fact_columns, HWS_CLI_N_OF(fact_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        const struct hws_cli_host *h = &cli->hosts[i];
        const Hawser__V1__GetDeviceResponse *r = hws_cli_answer(h, GetDeviceResponse);
        if (!h->failed && r->device != NULL) {
            device_rows(&cli->out, h->name, r->device);
        }
    }
    return hws_cli_finish(cli);
}

/* ---- watch ---- */

static const struct hws_column watch_columns[] = {
    {"host", "HOST", 16},          {"event", "EVENT", 8}, {"pci_address", "PCI", 12},
    {"serial", "SERIAL", 14},      {"state", "STATE", 8}, {"link", "LINK", 22},
    {"state_reason", "REASON", 0}, {"emulated", NULL, 0}, {"id", NULL, 0},
};

static void watched(struct hws_client_call *call, const ProtobufCMessage *message)
{
    struct hws_cli_host *h = call->data;
    const Hawser__V1__WatchDevicesResponse *r = (const Hawser__V1__WatchDevicesResponse *)message;
    const Hawser__V1__Device *d = r->device;
    char links[LINKS_BYTES] = "";

    h->streamed = true;
    if (d == NULL) {
        return; /* the first listing is complete */
    }
    links_of(d, links);
    const struct hws_cell cells[] = {
        hws_cell_text(h->name),
        hws_cell_text(hws_cli_watch_kind(r->kind)),
        hws_cell_text(d->pci_address),
        hws_cell_text(d->serial),
        hws_cell_tone(hws_cli_device_state(d->state), hws_cli_state_tone(d->state)),
        hws_cell_text(links),
        hws_cell_text(d->state_reason),
        hws_cell_bool(d->emulated),
        hws_cell_text(d->id),
    };
    hws_out_row(&h->cli->out, cells);
}

/* A watch begins with what is there, so that nothing is missed. */
static const ProtobufCMessage *watch_all(struct hws_cli_host *host)
{
    static const Hawser__V1__WatchDevicesRequest all = HAWSER__V1__WATCH_DEVICES_REQUEST__INIT;

    (void)host;
    return &all.base;
}

int hws_cmd_device_watch(struct hws_cli *cli)
{
    int rc = hws_cli_connect(cli);

    if (rc != HWS_EXIT_OK) {
        return rc;
    }
    hws_out_begin(&cli->out, "hawser.device.watch", 1, true);
    hws_out_table(&cli->out, "events", watch_columns, HWS_CLI_N_OF(watch_columns));
    for (size_t i = 0; i < cli->n_hosts; i++) {
        hws_cli_follow(&cli->hosts[i], &hws_client_method_device_watch, watch_all, watched);
    }
    hws_cli_wait(cli);
    return hws_cli_finish(cli);
}
