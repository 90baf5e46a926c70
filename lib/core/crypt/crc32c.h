/*
 * CRC-32C (Castagnoli): catches accidental damage of a chunk on its way; it is no defence against
 * intent. Polynomial 0x1EDC6F41 reflected, start and final value inverted (RFC 3720, 12.1).
 * Thread rule: any thread.
 */
#ifndef HWS_CRYPT_CRC32C_H
#define HWS_CRYPT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of n bytes that follow data whose checksum is crc; 0 for the first piece. */
uint32_t hws_crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
