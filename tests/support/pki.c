/* Throw-away certificates by certs/hawser-ca. */
#include "pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "test.h"

/* Runs `hawser-ca VERB DIR MORE`. */
static void run(const char *verb, const char *dir, const char *more)
{
    char command[1024];

    assert_true(hws_str_print(command, sizeof(command),
                              "timeout 60 '%s/../certs/hawser-ca' %s '%s' %s", HWS_TESTS_DIR, verb,
                              dir, more));
    int status = system(command); /* NOLINT(cert-env33-c): our own script, our own arguments */
    if (status != 0) {
        fail_msg("%s: status %d", command, status);
    }
}

void hws_pki_make(struct hws_pki *pki)
{
    char template[] = "/tmp/hawser-pki.XXXXXX";

    assert_non_null(mkdtemp(template));
    assert_true(hws_str_copy(pki->dir, sizeof(pki->dir), template));
    run("init", pki->dir, "--domain " HWS_PKI_DOMAIN);
    run("agent", pki->dir, "host --ip 127.0.0.1 --dns localhost");
    run("operator", pki->dir, "olga");
    run("viewer", pki->dir, "vic");
    run("bad", pki->dir, "");
}

void hws_pki_remove(struct hws_pki *pki)
{
    char command[128];

    assert_true(hws_str_print(command, sizeof(command), "rm -rf '%s'", pki->dir));
    assert_int_equal(system(command), 0);
}

char *hws_pki_read(const struct hws_pki *pki, const char *name, size_t *out_n)
{
    char path[256];
    char *text = hws_mem_zalloc(1, 65536);

    assert_non_null(text);
    assert_true(hws_str_print(path, sizeof(path), "%s/%s", pki->dir, name));
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("no %s", path);
        abort();
    }
    size_t n = fread(text, 1, 65535, f);
    (void)fclose(f);
    if (out_n != NULL) {
        *out_n = n;
    }
    return text;
}
