/*
 * expected.txt as data: what may run on a card, independent of the command table and of the gate.
 * It shares no code with them: own reader, own lookup by index. Fails the test on any bad line.
 */
#ifndef HWS_TESTS_SCOPE_EXPECTED_H
#define HWS_TESTS_SCOPE_EXPECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPECT_PROFILES   4u
#define EXPECT_MAX_VALUES 32u
#define EXPECT_MAX_NEEDS  32u
#define EXPECT_ACCESS_REG 0x0805u
#define EXPECT_MAX_BYTES  8192u

/* One line that allows something; zero = nothing is allowed. */
struct expect_row {
    bool there;
    bool any_op_mod;
    uint16_t op_mods[EXPECT_MAX_VALUES];
    size_t n_op_mods;
    uint8_t scope;
    char effect[24];
    uint32_t in_bytes; /* that suit it, header included */
    uint32_t out_bytes;
    char name[48];
};

struct expect_needs {
    uint16_t opcode;
    uint32_t offset;
    uint32_t mask;
    uint32_t value;
};

struct expect_profile {
    char name[16];
    char effects[8][24];
    size_t n_effects;
    char only_effect[24]; /* of this effect, only these targets; "" = no such rule */
    char targets[8][48];
    size_t n_targets;
};

struct expect {
    struct expect_row commands[65536];
    struct expect_row registers[65536][2]; /* [id][write] */
    struct expect_profile profiles[EXPECT_PROFILES];
    struct expect_needs needs[EXPECT_MAX_NEEDS];
    size_t n_profiles;
    size_t n_needs;
    size_t n_commands;
    size_t n_registers;
    uint16_t op_mods[EXPECT_MAX_VALUES]; /* every op_mod that a line names */
    size_t n_op_mods;
};

/* Reads the file of this folder; the result lives for ever. */
const struct expect *expect_load(void);

/* The line that allows these bytes, whoever asks; NULL: they never run. */
const struct expect_row *expect_of(const struct expect *x, uint16_t opcode, uint16_t op_mod,
                                   uint16_t register_id);

/* Does the row need two persons' signatures? */
bool expect_is_dangerous(const struct expect_row *row);

/* May the profile run the row? */
bool expect_profile_may(const struct expect_profile *p, const struct expect_row *row);

/* Draws a listed opcode or register, three times of four; else any. */
void expect_choose(const struct expect *x, uint32_t (*draw)(void), uint16_t *opcode,
                   uint16_t *op_mod, uint16_t *register_id);

/* Writes an inbox with this header and what `needs` lines want; in[EXPECT_MAX_BYTES] is zeroed up
 * to n. */
void expect_inbox(const struct expect *x, uint16_t opcode, uint16_t op_mod, uint16_t register_id,
                  uint8_t *in, size_t n);

#endif
