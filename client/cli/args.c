/* The command line. */
#include "cli/args.h"

#include <getopt.h>
#include <string.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/exit.h"

const struct hws_cli_command hws_cli_commands[] = {
#define HWS_COMMAND(area, name, fn, groups, min, max, args, help, example)                         \
    {area, name, fn, groups, min, max, args, help, example},
#include "cli/commands.def"
#undef HWS_COMMAND
};
const size_t hws_cli_n_commands = sizeof(hws_cli_commands) / sizeof(hws_cli_commands[0]);

static const struct {
    const char *name;
    const char *arg;
    const char *help;
    unsigned group;
    char letter;
} options[HWS_N_OPTS] = {
#define HWS_OPTION(id, name, letter, arg, group, help) {name, arg, help, HWS_GROUP_##group, letter},
#include "cli/options.def"
#undef HWS_OPTION
};

#define LONG_BASE 256 /* getopt's answer for long option i is LONG_BASE + i */

/* Fills getopt's two tables; short_text holds 2 + 2 * HWS_N_OPTS characters. */
static void make_tables(struct option *longs, char *short_text)
{
    char *s = short_text;

    *s++ = ':'; /* tell a missing argument from an unknown option */
    for (int i = 0; i < HWS_N_OPTS; i++) {
        longs[i] =
            (struct option){.name = options[i].name,
                            .has_arg = options[i].arg != NULL ? required_argument : no_argument,
                            .val = LONG_BASE + i};
        if (options[i].letter != 0) {
            *s++ = options[i].letter;
        }
        if (options[i].letter != 0 && options[i].arg != NULL) {
            *s++ = ':';
        }
    }
    *s = '\0';
    longs[HWS_N_OPTS] = (struct option){0};
}

static int option_of(int answer)
{
    if (answer >= LONG_BASE) {
        return answer - LONG_BASE;
    }
    for (int i = 0; i < HWS_N_OPTS; i++) {
        if (options[i].letter == answer) {
            return i;
        }
    }
    return -1;
}

static enum hws_code add_repeat(const char **list, size_t *n, const char *value, const char *name,
                                struct hws_err *err)
{
    if (*n == HWS_CLI_MAX_REPEATS) {
        return hws_err_set(err, HWS_E_INVALID, "--%s: more than %u times", name,
                           HWS_CLI_MAX_REPEATS);
    }
    list[(*n)++] = value;
    return HWS_OK;
}

static enum hws_code take_option(struct hws_cli_args *out, int id, const char *value,
                                 struct hws_err *err)
{
    out->given[id] = true;
    out->value[id] = value;
    if (id == HWS_OPT_TARGET) {
        return add_repeat(out->targets, &out->n_targets, value, "target", err);
    }
    if (id == HWS_OPT_SET) {
        return add_repeat(out->sets, &out->n_sets, value, "set", err);
    }
    if (id == HWS_OPT_OUTPUT) {
        out->json = hws_str_eq(value, "json");
        if (!out->json && !hws_str_eq(value, "table")) {
            return hws_err_set(err, HWS_E_INVALID, "--output %.32s: give table or json", value);
        }
    }
    return HWS_OK;
}

static enum hws_code take_options(int argc, char **argv, struct hws_cli_args *out,
                                  struct hws_err *err)
{
    struct option longs[HWS_N_OPTS + 1];
    char short_text[2 + 2 * HWS_N_OPTS];
    int answer = 0;

    make_tables(longs, short_text);
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((answer = getopt_long(argc, argv, short_text, longs, NULL)) != -1) {
        if (answer == '?' || answer == ':') {
            const char *text = optind > 0 && optind <= argc ? argv[optind - 1] : "";
            return hws_err_set(err, HWS_E_INVALID, "%s option %.64s; see hawser --help",
                               answer == ':' ? "argument missing after" : "unknown or misused",
                               text);
        }
        int id = option_of(answer);
        enum hws_code rc = id < 0 ? HWS_OK : take_option(out, id, optarg, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}

static bool area_exists(const char *area)
{
    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        if (hws_str_eq(hws_cli_commands[i].area, area)) {
            return true;
        }
    }
    return false;
}

/* True if commands of the area have names of their own. */
static bool has_names(const char *area)
{
    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        const struct hws_cli_command *c = &hws_cli_commands[i];
        if (hws_str_eq(c->area, area) && c->name[0] != '\0') {
            return true;
        }
    }
    return false;
}

/* Writes "list, get, watch" for an area, or the areas themselves. */
static void list_choices(const char *area, char *dst, size_t cap)
{
    size_t n = 0;
    const char *last = "";

    dst[0] = '\0';
    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        const struct hws_cli_command *c = &hws_cli_commands[i];
        const char *word = area == NULL ? c->area : c->name;
        bool wanted = area == NULL ? !hws_str_eq(c->area, last)
                                   : hws_str_eq(c->area, area) && word[0] != '\0';
        last = c->area;
        if (wanted && n < cap) {
            (void)hws_str_print(dst + n, cap - n, "%s%s", n > 0 ? ", " : "", word);
            n = strlen(dst);
        }
    }
}

static enum hws_code find_command(struct hws_cli_args *out, int n_words, char **words,
                                  struct hws_err *err)
{
    char choices[160];

    if (n_words == 0) {
        list_choices(NULL, choices, sizeof(choices));
        return hws_err_set(err, HWS_E_INVALID, "no command: give one of %s; see hawser --help",
                           choices);
    }
    if (!area_exists(words[0])) {
        list_choices(NULL, choices, sizeof(choices));
        return hws_err_set(err, HWS_E_INVALID, "unknown command \"%.32s\": give one of %s",
                           words[0], choices);
    }
    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        const struct hws_cli_command *c = &hws_cli_commands[i];
        int used = c->name[0] == '\0' ? 1 : 2;
        bool bare = n_words == 1 || !has_names(words[0]); /* else the next word is a name */
        if (hws_str_eq(c->area, words[0]) &&
            (used == 1 ? bare : n_words > 1 && hws_str_eq(c->name, words[1]))) {
            out->command = c;
            out->args = words + used;
            out->n_args = n_words - used;
            return HWS_OK;
        }
    }
    list_choices(words[0], choices, sizeof(choices));
    return hws_err_set(err, HWS_E_INVALID, "hawser %.16s: give one of %s", words[0], choices);
}

static enum hws_code check_use(const struct hws_cli_args *a, struct hws_err *err)
{
    const struct hws_cli_command *c = a->command;
    const char *gap = c->name[0] == '\0' ? "" : " ";

    for (int i = 0; i < HWS_N_OPTS; i++) {
        if (a->given[i] && options[i].group != HWS_GROUP_ALL &&
            (options[i].group & c->groups) == 0) {
            return hws_err_set(err, HWS_E_INVALID,
                               "hawser %s%s%s takes no --%s; see hawser %s%s%s --help", c->area,
                               gap, c->name, options[i].name, c->area, gap, c->name);
        }
    }
    if (a->n_args < c->min_args || a->n_args > c->max_args) {
        return hws_err_set(err, HWS_E_INVALID, "%s: usage: hawser %s%s%s [OPTION...]%s%s",
                           a->n_args < c->min_args ? "argument missing" : "too many arguments",
                           c->area, gap, c->name, c->args[0] != '\0' ? " " : "", c->args);
    }
    return HWS_OK;
}

enum hws_code hws_cli_parse(int argc, char **argv, struct hws_cli_args *out, struct hws_err *err)
{
    memset(out, 0, sizeof(*out));
    enum hws_code rc = take_options(argc, argv, out, err);
    if (rc != HWS_OK) {
        return rc;
    }
    int n_words = argc - optind;
    char **words = argv + optind;
    if (n_words > 0 && hws_str_eq(words[0], "help")) {
        out->given[HWS_OPT_HELP] = true;
        words++;
        n_words--;
    }
    if (out->given[HWS_OPT_VERSION] && !out->given[HWS_OPT_HELP] && n_words == 0) {
        static char version[] = "version";
        static char *alone[] = {version, NULL};
        out->given[HWS_OPT_VERSION] = false;
        words = alone;
        n_words = 1;
    }
    if (out->given[HWS_OPT_HELP]) {
        /* Whatever else is wrong, help is shown: for the command, its area, or everything. */
        out->area = n_words > 0 && area_exists(words[0]) ? words[0] : NULL;
        if (find_command(out, n_words, words, NULL) != HWS_OK) {
            out->command = NULL;
        }
        return HWS_OK;
    }
    rc = find_command(out, n_words, words, err);
    return rc == HWS_OK ? check_use(out, err) : rc;
}

enum hws_code hws_cli_number(const struct hws_cli_args *args, enum hws_cli_option option,
                             uint64_t max, uint64_t fallback, uint64_t *out, struct hws_err *err)
{
    if (!args->given[option]) {
        *out = fallback;
        return HWS_OK;
    }
    enum hws_code rc = hws_str_to_u64(args->value[option], max, out, err);
    return rc == HWS_OK ? HWS_OK : hws_err_wrap(err, "--%s", options[option].name);
}

const char *hws_cli_split(const char *text, char *name, size_t cap)
{
    const char *eq = strchr(text, '=');

    if (eq == NULL || eq == text || !hws_str_copy_n(name, cap, text, (size_t)(eq - text))) {
        return NULL;
    }
    return eq + 1;
}

/* ---- help ---- */

#define HELP_OPTION_WIDTH  32 /* columns of the left side */
#define HELP_COMMAND_WIDTH 38

/* "  LEFT   TEXT"; a left side that is too wide has a line of its own. */
static void help_row(FILE *out, int width, const char *left, const char *text)
{
    if (strlen(left) > (size_t)width) {
        (void)fprintf(out, "  %s\n  %-*s %s\n", left, width, "", text);
    } else {
        (void)fprintf(out, "  %-*s %s\n", width, left, text);
    }
}

static void help_option(FILE *out, int i)
{
    char left[64];
    char letter[8] = "    ";

    if (options[i].letter != 0) {
        (void)hws_str_print(letter, sizeof(letter), "-%c, ", options[i].letter);
    }
    (void)hws_str_print(left, sizeof(left), "%s--%s%s%s", letter, options[i].name,
                        options[i].arg != NULL ? " " : "",
                        options[i].arg != NULL ? options[i].arg : "");
    help_row(out, HELP_OPTION_WIDTH, left, options[i].help);
}

static void help_command(FILE *out, const struct hws_cli_command *c)
{
    (void)fprintf(out, "hawser %s%s%s [OPTION...]%s%s\n  %s\n\nOptions:\n", c->area,
                  c->name[0] != '\0' ? " " : "", c->name, c->args[0] != '\0' ? " " : "", c->args,
                  c->help);
    for (int i = 0; i < HWS_N_OPTS; i++) {
        if (options[i].group == HWS_GROUP_ALL || (options[i].group & c->groups) != 0) {
            help_option(out, i);
        }
    }
    (void)fprintf(out, "\nExample:\n  %s\n", c->example);
}

static void help_list(FILE *out, const char *area)
{
    (void)fprintf(out, "hawser - configure, command and dump NIC firmware through Hawser agents\n"
                       "\nCommands:\n");
    for (size_t i = 0; i < hws_cli_n_commands; i++) {
        const struct hws_cli_command *c = &hws_cli_commands[i];
        char left[64];
        if (area != NULL && !hws_str_eq(area, c->area)) {
            continue;
        }
        (void)hws_str_print(left, sizeof(left), "%s%s%s%s%s", c->area,
                            c->name[0] != '\0' ? " " : "", c->name, c->args[0] != '\0' ? " " : "",
                            c->args);
        help_row(out, HELP_COMMAND_WIDTH, left, c->help);
    }
    if (area == NULL) {
        (void)fprintf(out, "\nExit status:\n");
        for (int i = 0; i < HWS_N_EXITS; i++) {
            (void)fprintf(out, "  %-2d  %s\n", i, hws_cli_exit_text((enum hws_exit)i));
        }
    }
    (void)fprintf(out,
                  "\nhawser COMMAND --help shows its options and an example; man hawser has the "
                  "files.\n");
}

void hws_cli_help(FILE *out, const struct hws_cli_args *args)
{
    if (args->command != NULL) {
        help_command(out, args->command);
        return;
    }
    help_list(out, args->area);
}
