/*
 * Big-endian wire fields and bit fields. A wire struct uses the wrapper types below, so forgetting
 * to convert does not compile; gcc turns each getter into one bswap at -O2.
 *
 * Notation as in the device documents: bit 31 is the most significant bit of a 32-bit big-endian
 * word.
 */
#ifndef HWS_BASE_BITS_H
#define HWS_BASE_BITS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t b[2];
} hws_be16;
typedef struct {
    uint8_t b[3];
} hws_be24;
typedef struct {
    uint8_t b[4];
} hws_be32;
typedef struct {
    uint8_t b[8];
} hws_be64;

static inline uint16_t hws_load_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t hws_load_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t hws_load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t hws_load_be64(const uint8_t *p)
{
    return (uint64_t)hws_load_be32(p) << 32 | hws_load_be32(p + 4);
}

static inline void hws_store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void hws_store_be24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 16);
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)v;
}

static inline void hws_store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void hws_store_be64(uint8_t *p, uint64_t v)
{
    hws_store_be32(p, (uint32_t)(v >> 32));
    hws_store_be32(p + 4, (uint32_t)v);
}

static inline uint16_t hws_be16_get(hws_be16 v)
{
    return hws_load_be16(v.b);
}
static inline uint32_t hws_be24_get(hws_be24 v)
{
    return hws_load_be24(v.b);
}
static inline uint32_t hws_be32_get(hws_be32 v)
{
    return hws_load_be32(v.b);
}
static inline uint64_t hws_be64_get(hws_be64 v)
{
    return hws_load_be64(v.b);
}

static inline hws_be16 hws_be16_of(uint16_t v)
{
    hws_be16 r;
    hws_store_be16(r.b, v);
    return r;
}
static inline hws_be24 hws_be24_of(uint32_t v)
{
    hws_be24 r;
    hws_store_be24(r.b, v);
    return r;
}
static inline hws_be32 hws_be32_of(uint32_t v)
{
    hws_be32 r;
    hws_store_be32(r.b, v);
    return r;
}
static inline hws_be64 hws_be64_of(uint64_t v)
{
    hws_be64 r;
    hws_store_be64(r.b, v);
    return r;
}

/* The n_bits (1..32) bits whose lowest is bit lsb_idx of the big-endian word at p. */
static inline uint32_t hws_bits_get(const uint8_t *p, unsigned lsb_idx, unsigned n_bits)
{
    uint32_t mask = n_bits >= 32 ? UINT32_MAX : (UINT32_C(1) << n_bits) - 1;
    return hws_load_be32(p) >> lsb_idx & mask;
}

/* Replaces those bits by v (its upper bits are ignored). */
static inline void hws_bits_put(uint8_t *p, unsigned lsb_idx, unsigned n_bits, uint32_t v)
{
    uint32_t mask = n_bits >= 32 ? UINT32_MAX : (UINT32_C(1) << n_bits) - 1;
    uint32_t word = hws_load_be32(p);
    hws_store_be32(p, (word & ~(mask << lsb_idx)) | (v & mask) << lsb_idx);
}

#endif
