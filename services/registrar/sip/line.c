#include "services/registrar/sip/line.h"

enum sip_line sip_line_read(struct cursor *c, struct slice *line)
{
	const char *start = c->at;
	size_t left = (size_t)(c->end - start);
	const char *cr = left > 0 ? memchr(start, '\r', left) : NULL;
	size_t size = cr ? (size_t)(cr - start) : left;

	if (size > 0 && memchr(start, '\n', size))
		return SIP_LINE_TORN;
	if (!cr || cr + 1 == c->end)
		return SIP_LINE_CUT;
	if (cr[1] != '\n')
		return SIP_LINE_TORN;
	*line = slice_of(start, size);
	c->at = cr + 2;
	return size > 0 ? SIP_LINE_HEADER : SIP_LINE_EMPTY;
}

static struct slice trim(struct slice text)
{
	struct cursor c = cursor_of(text);

	cursor_space(&c);
	/* Only whole folds are inside, so each CR and LF belongs to one. */
	while (c.end > c.at && (char_is(c.end[-1], CH_SPACE) ||
				c.end[-1] == '\r' || c.end[-1] == '\n'))
		c.end--;
	return cursor_rest(&c);
}

/* HCOLON = *( SP / HTAB ) ":" SWS */
static enum sip_line split(struct slice line, struct slice *name,
			   struct slice *value)
{
	struct cursor c = cursor_of(line);

	*name = cursor_span(&c, CH_TOKEN);
	cursor_span(&c, CH_SPACE);
	if (name->size == 0 || !cursor_take(&c, ':'))
		return SIP_LINE_BROKEN;
	*value = trim(cursor_rest(&c));
	return SIP_LINE_HEADER;
}

enum sip_line sip_line_header(struct cursor *c, unsigned *left,
			      struct slice *name, struct slice *value)
{
	const char *start = c->at;
	struct slice line;
	enum sip_line kind = sip_line_read(c, &line);

	if (kind != SIP_LINE_HEADER)
		return kind;
	if ((*left)-- == 0)
		return SIP_LINE_MANY;
	while (!cursor_ended(c) && char_is(*c->at, CH_SPACE)) {
		if ((*left)-- == 0)
			return SIP_LINE_MANY;
		kind = sip_line_read(c, &line);
		if (kind != SIP_LINE_HEADER)
			return kind;
	}
	return split(slice_of(start, (size_t)(c->at - start) - 2), name, value);
}
