#include "services/registrar/sip/line.h"

#include <endian.h>

/* The top bits of those of eight bytes that are at most 0x0d, a CR: they borrow
 * and set a top bit that was not set. They may borrow from the byte above, too:
 * what it points at has to be looked at. */
static uint64_t low_bytes(const char *at)
{
	static const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t bytes;

	memcpy(&bytes, at, sizeof(bytes));
	bytes = le64toh(bytes);
	return (bytes - ones * ('\r' + 1)) & ~bytes & ones * 0x80;
}

/* The first CR or LF, or the end. */
static const char *find_break(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8)
		for (uint64_t low = low_bytes(at); low; low &= low - 1) {
			const char *found = at + __builtin_ctzll(low) / 8;

			if (*found == '\r' || *found == '\n')
				return found;
		}
	while (at < end && *at != '\r' && *at != '\n')
		at++;
	return at;
}

/* Steps behind the next CR LF. */
static inline enum sip_line pass_line(struct cursor *c)
{
	const char *at = find_break(c->at, c->end);

	if (at < c->end && *at == '\n')
		return SIP_LINE_TORN;
	if (c->end - at < 2)
		return SIP_LINE_CUT;
	if (at[1] != '\n')
		return SIP_LINE_TORN;

	const bool empty = at == c->at;

	c->at = at + 2;
	return empty ? SIP_LINE_EMPTY : SIP_LINE_HEADER;
}

enum sip_line sip_line_read(struct cursor *c, struct slice *line)
{
	const char *start = c->at;
	enum sip_line kind = pass_line(c);

	*line = slice_of(start, (size_t)(c->at - start));
	if (kind == SIP_LINE_HEADER)
		line->size -= 2;
	return kind;
}

static struct slice trim(struct cursor c)
{
	cursor_space(&c);
	/* Only whole folds are inside, so each CR and LF belongs to one. */
	while (c.end > c.at && (char_is(c.end[-1], CH_SPACE) ||
				c.end[-1] == '\r' || c.end[-1] == '\n'))
		c.end--;
	return cursor_rest(&c);
}

static bool is_token(struct slice text)
{
	struct cursor c = cursor_of(text);

	return cursor_span(&c, CH_TOKEN).size > 0 && cursor_ended(&c);
}

/* HCOLON = *( SP / HTAB ) ":" SWS */
static enum sip_line split(struct slice line, struct sip_header *out)
{
	const char *colon = memchr(line.data, ':', line.size);

	if (!colon)
		return SIP_LINE_BROKEN;

	struct cursor behind = {colon + 1, line.data + line.size};
	struct slice name = slice_of(line.data, (size_t)(colon - line.data));

	while (name.size > 0 && char_is(name.data[name.size - 1], CH_SPACE))
		name.size--;
	out->name = sip_header_find(name);
	/* A name that is known needs no second look. */
	if (out->name == SIP_HEADER_OTHER && !is_token(name))
		return SIP_LINE_BROKEN;
	out->next = 0;
	out->name_text = name;
	out->value = trim(behind);
	return SIP_LINE_HEADER;
}

enum sip_line sip_line_header(struct cursor *c, unsigned *left,
			      struct sip_header *out)
{
	const char *start = c->at;

	for (;;) {
		const enum sip_line kind = pass_line(c);

		if (kind != SIP_LINE_HEADER)
			return kind;
		if ((*left)-- == 0)
			return SIP_LINE_MANY;
		if (cursor_ended(c) || !char_is(*c->at, CH_SPACE))
			break;
		if (*left == 0)
			return SIP_LINE_MANY;
	}
	return split(slice_of(start, (size_t)(c->at - start) - 2), out);
}
