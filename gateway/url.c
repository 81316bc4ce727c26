#include "gateway/url.h"

#include "proto/utf8.h"

#include <stdbool.h>

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes raw to as many bytes at most. False: bad percent-encoding. */
static bool percent_decode(struct slice raw, bool plus_is_space, char *to,
			   size_t *size)
{
	*size = 0;
	for (size_t i = 0; i < raw.size; i++) {
		char c = raw.data[i];

		if (c == '+' && plus_is_space) {
			c = ' ';
		} else if (c == '%') {
			if (raw.size - i < 3)
				return false;

			int high = hex_value(raw.data[i + 1]);
			int low = hex_value(raw.data[i + 2]);

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		to[(*size)++] = c;
	}
	return true;
}

static enum err_code decode(struct slice raw, bool plus_is_space,
			    struct arena *arena, struct slice *out,
			    struct err *err)
{
	char *text = arena_alloc(arena, raw.size + 1);
	size_t size;

	if (!percent_decode(raw, plus_is_space, text, &size))
		return err_set(err, ERR_MALFORMED,
			       "bad percent-encoding in the URL or form");
	if (memchr(text, '\0', size))
		return err_set(err, ERR_MALFORMED, "NUL in the URL or form");
	if (!utf8_valid(slice_of(text, size)))
		return err_set(err, ERR_MALFORMED,
			       "invalid UTF-8 in the URL or form");
	*out = slice_of(text, size);
	return ERR_OK;
}

enum err_code url_segment_decode(struct slice raw, struct arena *arena,
				 struct slice *out, struct err *err)
{
	return decode(raw, false, arena, out, err);
}

/* Cuts text at the first c: *head is what is before it, the result what is
 * after it, or absent where there is no c. */
static struct slice cut(struct slice text, char c, struct slice *head)
{
	const char *at = text.size > 0 ? memchr(text.data, c, text.size) : NULL;

	*head = text;
	if (!at)
		return (struct slice){0};
	head->size = (size_t)(at - text.data);
	return slice_of(at + 1, text.size - head->size - 1);
}

enum err_code url_query_parse(struct slice raw, struct arena *arena,
			      struct url_query *out, struct err *err)
{
	out->count = 0;
	for (struct slice rest = raw, piece, name; rest.data;) {
		rest = cut(rest, '&', &piece);
		if (piece.size == 0)
			continue;
		if (out->count == URL_PAIRS_MAX)
			return err_set(err, ERR_MALFORMED,
				       "more than %d parameters in the URL or "
				       "form",
				       URL_PAIRS_MAX);

		struct url_pair *pair = &out->pairs[out->count];
		struct slice value = cut(piece, '=', &name);
		enum err_code code =
			decode(name, true, arena, &pair->name, err);

		if (code == ERR_OK)
			code = decode(value, true, arena, &pair->value, err);
		if (code != ERR_OK)
			return code;
		out->count++;
	}
	return ERR_OK;
}

enum err_code url_query_get(const struct url_query *query, const char *name,
			    struct slice *value, struct err *err)
{
	const struct url_pair *found = NULL;

	for (size_t i = 0; i < query->count; i++) {
		const struct url_pair *pair = &query->pairs[i];

		if (!slice_is(pair->name, name))
			continue;
		if (found)
			return err_field(err, name, "given more than once");
		found = pair;
	}
	*value = found ? found->value : (struct slice){0};
	return ERR_OK;
}
