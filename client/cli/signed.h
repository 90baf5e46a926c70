/*
 * `reg set` and `cmd` for dangerous commands: with --sign a warrant is made and left with the
 * agent for a second person; with --approval the command runs with a warrant that has both
 * signatures.
 */
#ifndef HWS_CLI_SIGNED_H
#define HWS_CLI_SIGNED_H

#include "cli/cli.h"
#include "crypt/sign.h"
#include "warrant/warrant.h"

/* True if the command line asks for either. */
bool hws_cli_is_signed(const struct hws_cli *cli);

/* Does it; returns an exit code. schema is the answer's. */
int hws_cli_signed(struct hws_cli *cli, const char *schema);

/* The private key that --sign names. An exit code; it has been told. */
int hws_cli_sign_key(struct hws_cli *cli, struct hws_signer *out);

/* Our own principal, as the agent takes us: into dst[HWS_WARRANT_PRINCIPAL_BYTES]. Exit code. */
int hws_cli_principal(struct hws_cli *cli, char *dst);

/* The one host that these commands take. Exit code. */
int hws_cli_one_host(struct hws_cli *cli);

/* The warrant that the agent keeps under this hash, checked on this side: text, hash and inbox
 * belong together. *out_inbox is borrowed from the answer. Exit code. */
int hws_cli_fetch(struct hws_cli *cli, const char *hash, struct hws_warrant *out,
                  ProtobufCBinaryData *out_inbox);

/* The lines of a warrant as facts. */
void hws_cli_warrant_facts(struct hws_cli *cli, const char *hash, const struct hws_warrant *w,
                           const uint8_t *inbox, size_t n_inbox);

/* Prints what Execute answered (cmd_reg.c). */
void hws_cli_print_answers(struct hws_cli *cli, const char *schema, bool with_outbox);

#endif
