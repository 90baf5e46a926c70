/*
 * The bytes of a dangerous command, made and read on this side: who signs them must not depend on
 * what an agent says they mean (decision record 10).
 */
#ifndef HWS_CLI_BOX_H
#define HWS_CLI_BOX_H

#include "cli/cli.h"
#include "table/row.h"

#define HWS_CLI_BOX_BYTES 4096u /* the agent takes no more of a dangerous command */

struct hws_cli_box {
    const struct hws_table_row *row;
    size_t n;
    uint8_t bytes[HWS_CLI_BOX_BYTES];
};

/* The inbox of `reg set REGISTER FIELD=VALUE...` or of `cmd COMMAND [--op-mod] [--in]`, from the
 * command line. An exit code; it has been told. */
int hws_cli_box_make(struct hws_cli *cli, struct hws_cli_box *out);

/* The row of n bytes that came from elsewhere; NULL if they are no command of the table. */
const struct hws_table_row *hws_cli_box_row(const uint8_t *bytes, size_t n);

/* Rows FIELD, VALUE, MEANING: the header (with a register's argument), the fields where a layout is
 * known, and every byte in hex: nothing is signed that is not shown. */
void hws_cli_box_show(struct hws_cli *cli, const uint8_t *bytes, size_t n);

#endif
