#include "services/registrar/sip/address.h"

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/number.h"
#include "services/registrar/sip/parameter_internal.h"

/* "*" is all of Contact, but a display name may start with it, too. */
static bool read_star(struct cursor *c, struct sip_address *out)
{
	struct cursor ahead = *c;

	if (!cursor_take(&ahead, '*'))
		return false;
	cursor_space(&ahead);
	if (!cursor_ended(&ahead) && !cursor_sees(&ahead, ','))
		return false;
	*out = (struct sip_address){.star = true,
				    .parameters = slice_of("", 0)};
	c->at++;
	return true;
}

/* LAQUOT addr-spec RAQUOT: no space inside (RFC 4475 3.1.2.14). */
static bool read_bracketed(struct cursor *c, struct sip_address *out)
{
	if (!cursor_take(c, '<'))
		return false;
	const char *end = memchr(c->at, '>', (size_t)(c->end - c->at));

	if (!end)
		return false;
	struct slice uri = slice_of(c->at, (size_t)(end - c->at));

	c->at = end + 1;
	return sip_uri_decode(uri, &out->uri) == ERR_OK;
}

/* addr-spec by itself. A '?' ends it as well: what follows is no parameter, so
 * that it is refused. */
static bool read_bare(struct cursor *c, struct sip_address *out)
{
	const char *start = c->at;

	while (!cursor_ended(c) && char_is(*c->at, CH_URI | CH_TOKEN) &&
	       *c->at != ';' && *c->at != ',' && *c->at != '?')
		c->at++;
	return sip_uri_decode(cursor_since(c, start), &out->uri) == ERR_OK;
}

/* *( token LWS ) up to a '<'; *out is without the space before it. */
static bool read_words(struct cursor *c, struct slice *out)
{
	const char *start = c->at, *before;

	do {
		before = c->at;
		cursor_span(c, CH_TOKEN | CH_SPACE);
		cursor_space(c); /* a fold */
	} while (c->at != before);
	*out = cursor_since(c, start);
	while (out->size > 0 && !char_is(out->data[out->size - 1], CH_TOKEN))
		out->size--;
	return cursor_sees(c, '<');
}

/* display-name = *( token LWS ) / quoted-string. Words before a '<' are one;
 * without a '<' they were the start of a bare URI. */
static bool read_name_and_uri(struct cursor *c, struct sip_address *out)
{
	const char *start = c->at;

	out->star = false;
	out->display = slice_of(start, 0);
	if (cursor_sees(c, '"')) {
		struct slice inside;

		if (!cursor_quoted(c, &inside))
			return false;
		out->display = cursor_since(c, start);
		cursor_space(c);
		return read_bracketed(c, out);
	}
	if (cursor_sees(c, '<') || read_words(c, &out->display))
		return read_bracketed(c, out);
	out->display = slice_of(start, 0);
	c->at = start;
	return read_bare(c, out);
}

/* Of two of a name the first counts. */
static void note(struct slice *noted, const struct sip_parameter *parameter)
{
	if (!noted->data)
		*noted = parameter->value.data ? parameter->value
					       : slice_of("", 0);
}

static void note_parameter(const struct sip_parameter *parameter,
			   struct sip_address *out)
{
	if (sip_word_is(parameter->name, "tag"))
		note(&out->tag, parameter);
	else if (sip_word_is(parameter->name, "expires"))
		note(&out->expires, parameter);
	else if (sip_word_is(parameter->name, "q"))
		note(&out->q, parameter);
	else if (sip_word_is(parameter->name, "+sip.instance"))
		note(&out->instance, parameter);
}

static bool read_parameters(struct cursor *c, struct sip_address *out)
{
	const char *start = c->at;
	unsigned left = SIP_PARAMETERS_MAX;
	struct sip_parameter parameter;
	enum err_code code;

	out->tag = out->expires = out->q = out->instance = (struct slice){0};
	while ((code = sip_parameter_read(c, &left, &parameter)) == ERR_OK)
		note_parameter(&parameter, out);
	out->parameters = cursor_since(c, start);
	return code == ERR_NOT_FOUND;
}

static enum err_code read_address(struct cursor *c, struct sip_address *out)
{
	cursor_space(c);
	if (cursor_ended(c))
		return ERR_NOT_FOUND;
	const char *start = c->at;

	if (!read_star(c, out) &&
	    (!read_name_and_uri(c, out) || !read_parameters(c, out)))
		return ERR_MALFORMED;
	out->text = cursor_since(c, start);
	return cursor_comma(c) ? ERR_OK : ERR_MALFORMED;
}

enum err_code sip_address_next(struct slice *rest, struct sip_address *out)
{
	if (!rest->data)
		return ERR_NOT_FOUND;
	struct cursor c = cursor_of(*rest);
	enum err_code code = read_address(&c, out);

	*rest = code == ERR_OK ? cursor_rest(&c) : (struct slice){0};
	return code;
}

enum err_code sip_address_decode(struct slice value, struct sip_address *out)
{
	enum err_code code = sip_address_next(&value, out);

	if (code == ERR_OK && value.size == 0 && !out->star)
		return ERR_OK;
	return ERR_MALFORMED;
}

enum err_code sip_address_expires(const struct sip_address *address,
				  uint32_t *expires_s)
{
	if (!address->expires.data)
		return ERR_NOT_FOUND;
	return sip_number_decode(address->expires, expires_s);
}

unsigned sip_address_q(const struct sip_address *address)
{
	unsigned thousandths;

	if (sip_qvalue_decode(address->q, &thousandths) != ERR_OK)
		return 1000;
	return thousandths;
}

void sip_address_display_append(struct buffer *out,
				const struct sip_address *address)
{
	struct slice display = address->display;

	if (display.size < 2 || display.data[0] != '"') {
		buffer_append_slice(out, display);
		return;
	}
	sip_quoted_append(out, slice_of(display.data + 1, display.size - 2));
}
