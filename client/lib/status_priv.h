/* Making a struct hws_client_status from what the wire or this side says. */
#ifndef HWS_CLIENT_STATUS_PRIV_H
#define HWS_CLIENT_STATUS_PRIV_H

#include "base/attr.h"
#include "base/err.h"
#include "hawser.h"

/* Sets code and text of an error of this side; clears the rest. Returns the code. */
enum hws_client_code hws_client__fail(struct hws_client_status *status, enum hws_client_code code,
                                      const char *fmt, ...) HWS_PRINTF(3, 4);

/* The same from one of our errors. */
enum hws_client_code hws_client__fail_err(struct hws_client_status *status,
                                          const struct hws_err *err);

/* Sets code, text and whatever the packed google.rpc.Status (may be NULL) explains. Details that do
 * not parse are left out. */
void hws_client__from_wire(struct hws_client_status *status, enum hws_client_code code,
                           const char *message, const uint8_t *details, size_t n_details);

#endif
