/* Reads expected.txt: words on a line, nothing else. */
#include "expected.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define MAX_WORDS 16u

struct line {
    unsigned number;
    char *words[MAX_WORDS];
    size_t n;
};

static void bad(const struct line *l, const char *why)
{
    fail_msg("expected.txt:%u: %s", l->number, why);
}

static uint32_t number(const struct line *l, size_t i)
{
    char *end = NULL;
    unsigned long v = i < l->n ? strtoul(l->words[i], &end, 0) : 0;

    if (end == NULL || *end != '\0' || v > UINT32_MAX) {
        bad(l, "a number is missing or wrong");
    }
    return (uint32_t)v;
}

static uint16_t u16(const struct line *l, size_t i)
{
    uint32_t v = number(l, i);

    if (v > UINT16_MAX) {
        bad(l, "a number over 0xffff");
    }
    return (uint16_t)v;
}

static void text(const struct line *l, size_t i, char *dst, size_t cap)
{
    if (i >= l->n || strlen(l->words[i]) >= cap) {
        bad(l, "a word is missing or too long");
        return;
    }
    memcpy(dst, l->words[i], strlen(l->words[i]) + 1);
}

static struct expect_profile *profile(struct expect *x, const char *name)
{
    for (size_t i = 0; i < x->n_profiles; i++) {
        if (strcmp(x->profiles[i].name, name) == 0) {
            return &x->profiles[i];
        }
    }
    return NULL;
}

static void read_profile(struct expect *x, const struct line *l)
{
    struct expect_profile *p = &x->profiles[x->n_profiles];

    if (x->n_profiles == EXPECT_PROFILES || l->n < 3 || l->n > 10) {
        bad(l, "too many profiles, or no effects");
    }
    text(l, 1, p->name, sizeof p->name);
    for (size_t i = 2; i < l->n; i++) {
        text(l, i, p->effects[p->n_effects++], sizeof p->effects[0]);
    }
    x->n_profiles++;
}

static void read_only(struct expect *x, const struct line *l)
{
    struct expect_profile *p = profile(x, l->n > 1 ? l->words[1] : "");

    if (p == NULL || p->n_targets > 0 || l->n < 4 || l->n > 11) {
        bad(l, "an unknown profile, or no targets");
        return;
    }
    text(l, 2, p->only_effect, sizeof p->only_effect);
    for (size_t i = 3; i < l->n; i++) {
        text(l, i, p->targets[p->n_targets++], sizeof p->targets[0]);
    }
}

/* "any", or numbers with commas between them. */
static void read_op_mods(struct expect *x, const struct line *l, struct expect_row *row)
{
    char *word = l->words[2];
    char *rest = NULL;

    row->any_op_mod = strcmp(word, "any") == 0;
    for (char *at = row->any_op_mod ? NULL : strtok_r(word, ",", &rest); at != NULL;
         at = strtok_r(NULL, ",", &rest)) {
        unsigned long v = strtoul(at, NULL, 0);

        if (v > UINT16_MAX || row->n_op_mods == EXPECT_MAX_VALUES ||
            x->n_op_mods == EXPECT_MAX_VALUES) {
            bad(l, "op_mods");
        }
        row->op_mods[row->n_op_mods++] = (uint16_t)v;
        x->op_mods[x->n_op_mods++] = (uint16_t)v;
    }
}

static void read_command(struct expect *x, const struct line *l)
{
    struct expect_row *row = &x->commands[u16(l, 1)];

    if (row->there || l->n != 8) {
        bad(l, "listed twice, or not 8 words");
    }
    row->there = true;
    read_op_mods(x, l, row);
    row->scope = (uint8_t)number(l, 3);
    text(l, 4, row->effect, sizeof row->effect);
    row->in_bytes = number(l, 5);
    row->out_bytes = number(l, 6);
    text(l, 7, row->name, sizeof row->name);
    if (row->in_bytes > EXPECT_MAX_BYTES || row->out_bytes > EXPECT_MAX_BYTES) {
        bad(l, "lengths");
    }
    x->n_commands++;
}

static void read_register(struct expect *x, const struct line *l)
{
    bool write = l->n > 2 && strcmp(l->words[2], "write") == 0;
    struct expect_row *row = &x->registers[u16(l, 1)][write];

    if (row->there || l->n != 6 || (!write && strcmp(l->words[2], "read") != 0)) {
        bad(l, "listed twice, or not 6 words, or neither read nor write");
    }
    row->there = true;
    row->scope = write ? 0 : 1;
    text(l, 3, row->effect, sizeof row->effect);
    row->in_bytes = 16 + number(l, 4);
    row->out_bytes = row->in_bytes;
    text(l, 5, row->name, sizeof row->name);
    x->n_registers++;
}

static void read_needs(struct expect *x, const struct line *l)
{
    if (x->n_needs == EXPECT_MAX_NEEDS || l->n != 5) {
        bad(l, "too many of them, or not 5 words");
    }
    x->needs[x->n_needs++] = (struct expect_needs){
        .opcode = u16(l, 1), .offset = number(l, 2), .mask = number(l, 3), .value = number(l, 4)};
}

static void read_line(struct expect *x, const struct line *l)
{
    static const struct {
        const char *word;
        void (*read)(struct expect *x, const struct line *l);
    } kinds[] = {
        {"profile", read_profile},   {"only", read_only},   {"command", read_command},
        {"register", read_register}, {"needs", read_needs},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].word, l->words[0]) == 0) {
            kinds[i].read(x, l);
            return;
        }
    }
    bad(l, "an unknown word");
}

const struct expect *expect_load(void)
{
    static struct expect x;
    struct line l = {0};
    char bytes[512];
    char *rest = NULL;
    FILE *f = fopen(HWS_TESTS_DIR "/scope/expected.txt", "r");

    assert_non_null(f);
    while (fgets(bytes, sizeof bytes, f) != NULL) {
        l.number++;
        l.n = 0;
        for (char *at = strtok_r(bytes, " \t\n", &rest);
             at != NULL && at[0] != '#' && l.n < MAX_WORDS; at = strtok_r(NULL, " \t\n", &rest)) {
            l.words[l.n++] = at;
        }
        if (l.n > 0) {
            read_line(&x, &l);
        }
    }
    (void)fclose(f);
    assert_int_equal(x.n_profiles, EXPECT_PROFILES);
    return &x;
}

const struct expect_row *expect_of(const struct expect *x, uint16_t opcode, uint16_t op_mod,
                                   uint16_t register_id)
{
    const struct expect_row *row;

    if (opcode == EXPECT_ACCESS_REG) {
        row = &x->registers[register_id][op_mod == 0];
        return row->there && op_mod <= 1 ? row : NULL;
    }
    row = &x->commands[opcode];
    for (size_t i = 0; i < row->n_op_mods; i++) {
        if (row->op_mods[i] == op_mod) {
            return row;
        }
    }
    return row->there && row->any_op_mod ? row : NULL;
}

bool expect_is_dangerous(const struct expect_row *row)
{
    return strcmp(row->effect, "debug-write") == 0 || strcmp(row->effect, "full") == 0;
}

bool expect_profile_may(const struct expect_profile *p, const struct expect_row *row)
{
    for (size_t i = 0; i < p->n_effects; i++) {
        if (strcmp(p->effects[i], row->effect) != 0) {
            continue;
        }
        if (strcmp(p->only_effect, row->effect) != 0) {
            return true;
        }
        for (size_t k = 0; k < p->n_targets; k++) {
            if (strcmp(p->targets[k], row->name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void put_be(uint8_t *at, unsigned n_bytes, uint32_t v)
{
    for (unsigned i = 0; i < n_bytes; i++) {
        at[i] = (uint8_t)(v >> 8 * (n_bytes - 1 - i));
    }
}

void expect_inbox(const struct expect *x, uint16_t opcode, uint16_t op_mod, uint16_t register_id,
                  uint8_t *in, size_t n)
{
    memset(in, 0, n);
    put_be(in, 2, opcode);
    put_be(in + 6, 2, op_mod);
    if (opcode == EXPECT_ACCESS_REG) {
        put_be(in + 10, 2, register_id);
    }
    for (size_t i = 0; i < x->n_needs; i++) {
        if (x->needs[i].opcode == opcode && x->needs[i].offset + 4 <= n) {
            put_be(in + x->needs[i].offset, 4, x->needs[i].value);
        }
    }
}

void expect_choose(const struct expect *x, uint32_t (*draw)(void), uint16_t *opcode,
                   uint16_t *op_mod, uint16_t *register_id)
{
    *op_mod = (uint16_t)(draw() % 4 == 0 ? draw() : draw() % 3);
    *register_id = (uint16_t)draw();
    *opcode = (uint16_t)draw();
    if (draw() % 4 == 0) {
        return;
    }
    if (draw() % 2 == 0) {
        *opcode = EXPECT_ACCESS_REG;
        while (!x->registers[*register_id][0].there && !x->registers[*register_id][1].there) {
            (*register_id)++;
        }
        return;
    }
    while (!x->commands[*opcode].there) {
        (*opcode)++;
    }
}
