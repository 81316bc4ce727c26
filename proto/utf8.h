#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

/* Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past
 * U+10FFFF. */

#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The bytes (1 to 4) of the character that text starts with; 0: text is empty
 * or starts with no whole, well-formed character. */
size_t utf8_char_size(struct slice text);

/* text is well-formed throughout. */
bool utf8_valid(struct slice text);

/* Writes the character of a code point, which is no surrogate and not past
 * U+10FFFF, to at least 4 bytes. Returns how many it took. */
size_t utf8_char_put(char *to, uint32_t code_point);

#endif
