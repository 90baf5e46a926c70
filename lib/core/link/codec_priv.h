/* The payload codecs of HELLO, ADAPTER, KILLS, CMD and DONE, for packet.c. Each writer and reader
 * checks every field; the cursor keeps the verdict. */
#ifndef HWS_LINK_CODEC_PRIV_H
#define HWS_LINK_CODEC_PRIV_H

#include "link/command.h"
#include "link/cursor_priv.h"
#include "link/hello.h"
#include "link/kills.h"

void hws_link__put_hello(struct hws_link__writer *w, const struct hws_link_hello *hello);
void hws_link__get_hello(struct hws_link__reader *r, struct hws_link_hello *hello);

void hws_link__put_adapter(struct hws_link__writer *w, const struct hws_link_adapter *adapter);
void hws_link__get_adapter(struct hws_link__reader *r, struct hws_link_adapter *adapter);

void hws_link__put_cmd(struct hws_link__writer *w, const struct hws_link_cmd *cmd, bool with_fd);
void hws_link__get_cmd(struct hws_link__reader *r, struct hws_link_cmd *cmd, bool with_fd);

void hws_link__put_done(struct hws_link__writer *w, const struct hws_link_done *done, bool in_fd);
void hws_link__get_done(struct hws_link__reader *r, struct hws_link_done *done, bool in_fd);

void hws_link__put_kills(struct hws_link__writer *w, const struct hws_link_kills *kills);
void hws_link__get_kills(struct hws_link__reader *r, struct hws_link_kills *kills);

#endif
