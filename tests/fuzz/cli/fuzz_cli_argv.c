/* The command line: words separated by newlines. Parsing never crashes, refuses with a reason, and
 * help always works. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_WORDS 64

static void judge(struct hws_cli_args *a, enum hws_code rc, const struct hws_err *err)
{
    static char text[65536];
    uint64_t v = 0;

    if (rc != HWS_OK) {
        if (err->msg[0] == '\0') {
            abort();
        }
        return;
    }
    FILE *f = fmemopen(text, sizeof(text), "w");
    if (f != NULL) {
        hws_cli_help(f, a);
        (void)fclose(f);
    }
    for (int i = 0; i < HWS_N_OPTS; i++) {
        if (a->given[i] && a->value[i] != NULL &&
            hws_cli_number(a, (enum hws_cli_option)i, 1000, 0, &v, NULL) == HWS_OK && v > 1000) {
            abort();
        }
    }
    for (int i = 0; a->command != NULL && i < a->n_args; i++) {
        char name[16];
        const char *value = hws_cli_split(a->args[i], name, sizeof(name));
        if (value != NULL && value[-1] != '=') {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hws_cli_args args;
    struct hws_err err;
    char *words[MAX_WORDS + 1];
    char *text = hws_mem_alloc(size + 1);
    char *save = NULL;
    int n = 0;

    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    char name[] = "hawser";
    words[n++] = name;
    for (char *w = strtok_r(text, "\n", &save); w != NULL && n < MAX_WORDS;
         w = strtok_r(NULL, "\n", &save)) {
        words[n++] = w;
    }
    words[n] = NULL;
    hws_err_clear(&err);
    enum hws_code rc = hws_cli_parse(n, words, &args, &err);
    judge(&args, rc, &err);
    hws_mem_free(text);
    return 0;
}
