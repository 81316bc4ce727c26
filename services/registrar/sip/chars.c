#include "services/registrar/sip/chars.h"

/* What letters and digits are good for, everywhere. */
#define ALNUM                                                                  \
	(CH_TOKEN | CH_LABEL | CH_USER | CH_PASSWORD | CH_PARAMETER |          \
	 CH_HEADER | CH_URI | CH_WORD | CH_GENERIC | CH_QUOTED)
/* `mark` of RFC 3261: unreserved, so fine in every part of a URI. */
#define MARK                                                                   \
	(CH_USER | CH_PASSWORD | CH_PARAMETER | CH_HEADER | CH_URI | CH_QUOTED)
#define TOKEN (CH_TOKEN | CH_WORD | CH_GENERIC)
#define URI   (CH_URI | CH_RESERVED | CH_QUOTED)

/*
 * CH_GENERIC holds a few more than RFC 3261's gen-value, which is a token or a
 * host: '/' '=' '$' '&' occur unquoted in tags and branches of deployed phones
 * (base64), and no separator of a header is among them. '@' is left out: in
 * "sip:a;b=c@d" it would turn a user into a host with a parameter.
 */
const uint16_t sip_chars[256] = {
	['\t'] = CH_SPACE | CH_QUOTED,
	[' '] = CH_SPACE | CH_QUOTED,
	['0' ... '9'] = ALNUM | CH_DIGIT | CH_HEX | CH_PHONE,
	['a' ... 'f'] = ALNUM | CH_ALPHA | CH_HEX | CH_PHONE,
	['A' ... 'F'] = ALNUM | CH_ALPHA | CH_HEX | CH_PHONE,
	['g' ... 'z'] = ALNUM | CH_ALPHA,
	['G' ... 'Z'] = ALNUM | CH_ALPHA,
	['-'] = MARK | TOKEN | CH_LABEL | CH_PHONE,
	['.'] = MARK | TOKEN | CH_PHONE,
	['_'] = MARK | TOKEN | CH_LABEL,
	['!'] = MARK | TOKEN,
	['~'] = MARK | TOKEN,
	['*'] = MARK | TOKEN | CH_PHONE,
	['\''] = MARK | TOKEN,
	['('] = MARK | CH_WORD | CH_PHONE,
	[')'] = MARK | CH_WORD | CH_PHONE,
	['%'] = TOKEN | CH_QUOTED,
	['`'] = TOKEN | CH_QUOTED,
	['+'] = TOKEN | URI | CH_USER | CH_PASSWORD | CH_PARAMETER | CH_HEADER |
		CH_PHONE,
	[';'] = URI | CH_USER,
	['/'] = URI | CH_USER | CH_PARAMETER | CH_HEADER | CH_WORD | CH_GENERIC,
	['?'] = URI | CH_USER | CH_HEADER | CH_WORD,
	[':'] = URI | CH_PARAMETER | CH_HEADER | CH_WORD | CH_GENERIC,
	['@'] = URI,
	['&'] = URI | CH_USER | CH_PASSWORD | CH_PARAMETER | CH_GENERIC,
	['='] = URI | CH_USER | CH_PASSWORD | CH_GENERIC,
	['$'] = URI | CH_USER | CH_PASSWORD | CH_PARAMETER | CH_HEADER |
		CH_GENERIC,
	[','] = URI | CH_USER | CH_PASSWORD,
	['['] = CH_URI | CH_PARAMETER | CH_HEADER | CH_WORD | CH_GENERIC |
		CH_QUOTED,
	[']'] = CH_URI | CH_PARAMETER | CH_HEADER | CH_WORD | CH_GENERIC |
		CH_QUOTED,
	['<'] = CH_WORD | CH_QUOTED,
	['>'] = CH_WORD | CH_QUOTED,
	['{'] = CH_WORD | CH_QUOTED,
	['}'] = CH_WORD | CH_QUOTED,
	['\\'] = CH_WORD,
	['"'] = CH_WORD,
	['#'] = CH_QUOTED | CH_PHONE,
	['^'] = CH_QUOTED,
	['|'] = CH_QUOTED,
	/* UTF8-NONASCII; display names in Latin-1 are let through with it. */
	[0x80 ... 0xff] = CH_QUOTED,
};

/* quoted-pair: a backslash before any ASCII character but CR and LF. */
static bool take_pair(struct cursor *c)
{
	if (c->end - c->at < 2 || c->at[0] != '\\' || (c->at[1] & 0x80) ||
	    c->at[1] == '\r' || c->at[1] == '\n')
		return false;
	c->at += 2;
	return true;
}

bool cursor_quoted(struct cursor *c, struct slice *out)
{
	if (!cursor_take(c, '"'))
		return false;
	const char *start = c->at;

	while (cursor_span(c, CH_QUOTED), !cursor_sees(c, '"')) {
		const char *before = c->at;

		cursor_space(c);
		take_pair(c);
		if (c->at == before)
			return false;
	}
	*out = cursor_since(c, start);
	c->at++;
	return true;
}
