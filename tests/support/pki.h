/*
 * Throw-away certificates for a test program: certs/hawser-ca run in a temporary folder. No key is
 * in the tree.
 */
#ifndef HWS_TESTS_PKI_H
#define HWS_TESTS_PKI_H

#include <stddef.h>

#define HWS_PKI_DOMAIN "unit.test"

struct hws_pki {
    char dir[64]; /* ca.crt, agent-host.crt, operator-olga.crt, viewer-vic.crt, bad/... and their
                     keys */
};

/* Makes the CA, an agent "host", an operator "olga", a viewer "vic" and the bad ones; fails the
 * test if it cannot. */
void hws_pki_make(struct hws_pki *pki);

/* Removes the folder. */
void hws_pki_remove(struct hws_pki *pki);

/* The text of a file of the folder ("operator-olga.crt"); NUL-terminated, freed with hws_mem_free;
 * *out_n may be NULL. */
char *hws_pki_read(const struct hws_pki *pki, const char *name, size_t *out_n);

#endif
