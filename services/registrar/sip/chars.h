#ifndef REGISTRAR_SIP_CHARS_H
#define REGISTRAR_SIP_CHARS_H

/* The character classes of RFC 3261 25.1 and a cursor over them. Private to
 * the decoders of this folder. */

#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	CH_ALPHA = 1 << 0,
	CH_DIGIT = 1 << 1,
	CH_HEX = 1 << 2,
	CH_TOKEN = 1 << 3,     /* token */
	CH_LABEL = 1 << 4,     /* hostname and IPv4address, between the dots */
	CH_USER = 1 << 5,      /* user, without escapes */
	CH_PASSWORD = 1 << 6,  /* password, without escapes */
	CH_PARAMETER = 1 << 7, /* paramchar, without escapes */
	CH_HEADER = 1 << 8,    /* hnv, without escapes */
	CH_URI = 1 << 9,       /* reserved or unreserved, without escapes */
	CH_WORD = 1 << 10,     /* word, the halves of a Call-ID */
	CH_GENERIC = 1 << 11,  /* unquoted generic-param value: token, or the
				  rest of host */
	CH_QUOTED = 1 << 12,   /* inside quotes without a backslash */
	CH_RESERVED = 1 << 13, /* `reserved`: %XX of it is not it (19.1.4) */
	CH_SPACE = 1 << 14,    /* SP and HTAB */
	CH_PHONE = 1 << 15,    /* telephone-subscriber (RFC 3966) */
};

extern const uint16_t sip_chars[256];

struct cursor {
	const char *at;
	const char *end;
};

/* An absent text is read as an empty one: nothing may be added to NULL. */
static inline struct cursor cursor_of(struct slice text)
{
	const char *at = text.data ? text.data : "";

	return (struct cursor){at, at + text.size};
}

static inline struct slice cursor_rest(const struct cursor *c)
{
	return slice_of(c->at, (size_t)(c->end - c->at));
}

static inline struct slice cursor_since(const struct cursor *c,
					const char *start)
{
	return slice_of(start, (size_t)(c->at - start));
}

static inline bool char_is(char c, unsigned classes)
{
	return sip_chars[(uint8_t)c] & classes;
}

static inline bool cursor_ended(const struct cursor *c)
{
	return c->at == c->end;
}

static inline bool cursor_sees(const struct cursor *c, char wanted)
{
	return c->at < c->end && *c->at == wanted;
}

/* Steps over one given character. */
static inline bool cursor_take(struct cursor *c, char wanted)
{
	if (!cursor_sees(c, wanted))
		return false;
	c->at++;
	return true;
}

/* Steps over as many characters of the classes as there are. */
static inline struct slice cursor_span(struct cursor *c, unsigned classes)
{
	const char *const start = c->at, *const end = c->end;
	const char *at = start;

	/* Not c->at itself, which would be written for each character. */
	while (at < end && char_is(*at, classes))
		at++;
	c->at = at;
	return cursor_since(c, start);
}

/* Steps over spaces, tabs and line folds. */
static inline void cursor_space(struct cursor *c)
{
	cursor_span(c, CH_SPACE);
	while (cursor_sees(c, '\r') && c->end - c->at >= 3 &&
	       c->at[1] == '\n' && char_is(c->at[2], CH_SPACE)) {
		c->at += 3;
		cursor_span(c, CH_SPACE);
	}
}

/* *COLON, *SEMI, *COMMA and so on: one character with space on both sides. */
static inline bool cursor_separator(struct cursor *c, char wanted)
{
	cursor_space(c);
	if (!cursor_take(c, wanted))
		return false;
	cursor_space(c);
	return true;
}

/* Steps over '%' and two hexadecimal digits. */
static inline bool cursor_escape(struct cursor *c)
{
	if (c->end - c->at < 3 || c->at[0] != '%' ||
	    !char_is(c->at[1], CH_HEX) || !char_is(c->at[2], CH_HEX))
		return false;
	c->at += 3;
	return true;
}

/* Steps over characters of the classes and %XX escapes; false: a '%' without
 * two hexadecimal digits. */
static inline bool cursor_escaped(struct cursor *c, unsigned classes,
				  struct slice *out)
{
	const char *start = c->at;

	do
		cursor_span(c, classes);
	while (cursor_escape(c));
	*out = cursor_since(c, start);
	return !cursor_sees(c, '%');
}

/* Steps over a quoted string; *out is what is between the quotes. False: it
 * does not start, does not end or has a character it must not. */
bool cursor_quoted(struct cursor *c, struct slice *out);

/* Behind a value of a comma list: nothing is left, or a comma with something
 * behind it, which is stepped over. */
static inline bool cursor_comma(struct cursor *c)
{
	cursor_space(c);
	if (cursor_ended(c))
		return true;
	return cursor_take(c, ',') && (cursor_space(c), !cursor_ended(c));
}

/* The value of a hexadecimal digit. */
static inline unsigned hex_value(char c)
{
	return char_is(c, CH_DIGIT) ? (unsigned)(c - '0')
				    : (unsigned)((c | 0x20) - 'a' + 10);
}

/* ASCII only, whatever the locale. */
static inline char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

#endif
