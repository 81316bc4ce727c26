#include "services/registrar/sip/parameter.h"

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/names.h"
#include "services/registrar/sip/parameter_internal.h"

/* Ends a reader: *rest is past what was read, or absent after a fault. */
static enum err_code end_read(struct slice *rest, const struct cursor *c,
			      enum err_code code)
{
	*rest = code == ERR_OK ? cursor_rest(c) : (struct slice){0};
	return code;
}

/* [ EQUAL gen-value ] */
static bool read_value(struct cursor *c, struct sip_parameter *out)
{
	out->value = (struct slice){0};
	out->quoted = false;
	const char *behind_name = c->at;

	if (!cursor_separator(c, '=')) {
		c->at = behind_name;
		return true;
	}
	out->quoted = cursor_sees(c, '"');
	if (out->quoted)
		return cursor_quoted(c, &out->value);
	out->value = cursor_span(c, CH_GENERIC);
	return out->value.size > 0;
}

/* What stands behind the semicolon. */
static enum err_code read_parameter(struct cursor *c, struct sip_parameter *out)
{
	cursor_space(c);
	out->name = cursor_span(c, CH_TOKEN);
	return out->name.size > 0 && read_value(c, out) ? ERR_OK
							: ERR_MALFORMED;
}

enum err_code sip_parameter_next(struct slice *rest, struct sip_parameter *out)
{
	if (!rest->data)
		return ERR_NOT_FOUND;
	struct cursor c = cursor_of(*rest);
	enum err_code code = ERR_MALFORMED;

	cursor_space(&c);
	if (cursor_ended(&c))
		code = ERR_NOT_FOUND;
	else if (cursor_take(&c, ';'))
		code = read_parameter(&c, out);
	return end_read(rest, &c, code);
}

enum err_code sip_parameter_find(struct slice parameters, const char *name,
				 struct sip_parameter *out)
{
	struct slice wanted = slice_str(name);

	while (sip_parameter_next(&parameters, out) == ERR_OK)
		if (sip_word_eq(out->name, wanted))
			return ERR_OK;
	return ERR_NOT_FOUND;
}

struct slice sip_parameter_value(struct slice parameters, const char *name)
{
	struct sip_parameter found;

	if (sip_parameter_find(parameters, name, &found) != ERR_OK)
		return (struct slice){0};
	return found.value.data ? found.value : slice_of("", 0);
}

enum err_code sip_parameter_read(struct cursor *c, unsigned *left,
				 struct sip_parameter *out)
{
	const char *behind = c->at;

	cursor_space(c);
	if (!cursor_take(c, ';')) {
		c->at = behind;
		return ERR_NOT_FOUND;
	}
	return (*left)-- > 0 ? read_parameter(c, out) : ERR_MALFORMED;
}

bool sip_parameters_valid(struct slice parameters)
{
	struct cursor c = cursor_of(parameters);
	unsigned left = SIP_PARAMETERS_MAX;
	struct sip_parameter parameter;
	enum err_code code;

	while ((code = sip_parameter_read(&c, &left, &parameter)) == ERR_OK)
		;
	cursor_space(&c);
	return code == ERR_NOT_FOUND && cursor_ended(&c);
}

enum err_code sip_credentials_decode(struct slice value,
				     struct sip_credentials *out)
{
	struct cursor c = cursor_of(value);

	cursor_space(&c);
	out->scheme = cursor_span(&c, CH_TOKEN);

	const char *behind = c.at;

	cursor_space(&c);
	if (out->scheme.size == 0 || c.at == behind)
		return ERR_MALFORMED;
	out->pairs = cursor_rest(&c);
	return ERR_OK;
}

static enum err_code read_pair(struct cursor *c, struct sip_parameter *out)
{
	cursor_space(c);
	if (cursor_ended(c))
		return ERR_NOT_FOUND;
	out->name = cursor_span(c, CH_TOKEN);
	if (out->name.size == 0 || !read_value(c, out) || !out->value.data ||
	    !cursor_comma(c))
		return ERR_MALFORMED;
	return ERR_OK;
}

enum err_code sip_pair_next(struct slice *rest, struct sip_parameter *out)
{
	if (!rest->data)
		return ERR_NOT_FOUND;
	struct cursor c = cursor_of(*rest);

	return end_read(rest, &c, read_pair(&c, out));
}

static enum err_code read_token(struct cursor *c, struct slice *out)
{
	cursor_space(c);
	if (cursor_ended(c))
		return ERR_NOT_FOUND;
	*out = cursor_span(c, CH_TOKEN);
	return out->size > 0 && cursor_comma(c) ? ERR_OK : ERR_MALFORMED;
}

enum err_code sip_token_next(struct slice *rest, struct slice *out)
{
	if (!rest->data)
		return ERR_NOT_FOUND;
	struct cursor c = cursor_of(*rest);

	return end_read(rest, &c, read_token(&c, out));
}

void sip_quoted_append(struct buffer *out, struct slice escaped)
{
	for (size_t i = 0; i < escaped.size; i++) {
		if (escaped.data[i] == '\\' && i + 1 < escaped.size)
			i++;
		buffer_append_char(out, escaped.data[i]);
	}
}

void sip_quote_append(struct buffer *out, struct slice text)
{
	struct cursor c = cursor_of(text);

	buffer_append_char(out, '"');
	for (;;) {
		buffer_append_slice(out, cursor_span(&c, CH_QUOTED));
		if (cursor_ended(&c))
			break;
		char special = *c.at++;

		if (special == '"' || special == '\\')
			buffer_append_char(out, '\\');
		else
			special = ' ';
		buffer_append_char(out, special);
	}
	buffer_append_char(out, '"');
}
