/* CRC-32C by eight tables, eight bytes a step: no processor feature needed, about 2 bytes a cycle.
 */
#include "crypt/crc32c.h"

/* Row k, entry i: the checksum register after byte i and then k zero bytes. */
static const uint32_t s_tables[8][256] = {
#include "crypt/crc32c_tables.def"
};

static uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t hws_crc32c(uint32_t crc, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t lo = crc ^ load_le32(p);
        uint32_t hi = load_le32(p + 4);
        crc = s_tables[7][lo & 0xff] ^ s_tables[6][lo >> 8 & 0xff] ^ s_tables[5][lo >> 16 & 0xff] ^
              s_tables[4][lo >> 24] ^ s_tables[3][hi & 0xff] ^ s_tables[2][hi >> 8 & 0xff] ^
              s_tables[1][hi >> 16 & 0xff] ^ s_tables[0][hi >> 24];
    }
    for (; n > 0; n--, p++) {
        crc = crc >> 8 ^ s_tables[0][(crc ^ *p) & 0xff];
    }
    return ~crc;
}
