/*
 * Text from outside: what is a UTF-8 character, and which files may reach the YAML reader. Pure,
 * any thread, no allocation.
 */
#ifndef HWS_BASE_TEXT_H
#define HWS_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes (1..4) of the UTF-8 character at s, of which n bytes may be read; 0 if there is none:
 * overlong forms, surrogates, values above U+10FFFF and control characters (tab and newline, too)
 * are none.
 */
size_t hws_utf8_bytes(const uint8_t *s, size_t n);

/* libfyaml 0.7.12 leaks on keys with several doubled quotes side by side. */
#define HWS_TEXT_YAML_MAX_QUOTES 3u

/*
 * What keeps n bytes from being handed to libfyaml, NULL for nothing; *line and *column (from 1)
 * tell where. Refused: bytes that are no UTF-8, control characters but tab, newline and carriage
 * return, directives (a line that begins with '%'), on which libfyaml 0.7.12 can loop for ever and
 * which no file of ours needs, and more than HWS_TEXT_YAML_MAX_QUOTES single quotes in a row.
 */
const char *hws_text_yaml_fault(const void *bytes, size_t n, unsigned *line, unsigned *column);

#endif
