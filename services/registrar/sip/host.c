#include "services/registrar/sip/host.h"

#include "services/registrar/sip/chars.h"

#include <arpa/inet.h>

/* inet_pton() wants a NUL behind. */
static bool is_ipv6(struct slice text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (text.size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

/* 0 to 255 without leading zeros. */
static bool read_octet(struct cursor *c)
{
	const char *start = c->at, *at = start;
	unsigned value = 0;

	while (at < c->end && char_is(*at, CH_DIGIT) && value <= UINT8_MAX)
		value = value * 10 + (unsigned)(*at++ - '0');
	c->at = at;
	return at > start && value <= UINT8_MAX &&
	       (*start != '0' || at == start + 1);
}

/* Steps over what inet_pton() takes, which needs a copy and twice the time.
 * False: something else stands there, or goes on behind it. */
static bool read_ipv4(struct cursor *c, struct slice *out)
{
	struct cursor ahead = *c;

	for (int i = 0; i < 4; i++)
		if ((i > 0 && !cursor_take(&ahead, '.')) || !read_octet(&ahead))
			return false;
	if (!cursor_ended(&ahead) &&
	    (char_is(*ahead.at, CH_LABEL) || *ahead.at == '.'))
		return false;
	*out = cursor_since(&ahead, c->at);
	*c = ahead;
	return true;
}

static bool is_numeric(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!char_is(text.data[i], CH_DIGIT) && text.data[i] != '.')
			return false;
	return true;
}

/* Steps over labels with a dot between them; one dot may stand behind the last.
 * A name that is all digits and dots can only have been meant as an address. */
static bool read_name(struct cursor *c, struct slice *out)
{
	const char *start = c->at;

	while (cursor_span(c, CH_LABEL).size > 0 && cursor_take(c, '.'))
		;
	*out = cursor_since(c, start);
	return out->size > 0 && out->size <= SIP_HOST_BYTES &&
	       !cursor_sees(c, '.') && !is_numeric(*out);
}

static enum err_code read_plain(struct cursor *c, struct sip_host *out)
{
	out->kind = SIP_HOST_IPV4;
	if (read_ipv4(c, &out->name))
		return ERR_OK;
	out->kind = SIP_HOST_NAME;
	return read_name(c, &out->name) ? ERR_OK : ERR_MALFORMED;
}

static enum err_code take_ipv6(struct slice name, struct sip_host *out)
{
	out->name = name;
	out->kind = SIP_HOST_IPV6;
	return is_ipv6(name) ? ERR_OK : ERR_MALFORMED;
}

static enum err_code read_bracketed(struct cursor *c, struct sip_host *out)
{
	const char *start = c->at;

	while (c->at < c->end &&
	       (char_is(*c->at, CH_HEX) || *c->at == ':' || *c->at == '.'))
		c->at++;

	const enum err_code code = take_ipv6(cursor_since(c, start), out);

	return cursor_take(c, ']') ? code : ERR_MALFORMED;
}

enum err_code sip_host_read(struct cursor *c, struct sip_host *out)
{
	*out = (struct sip_host){0};

	const enum err_code code = cursor_take(c, '[') ? read_bracketed(c, out)
						       : read_plain(c, out);

	if (code != ERR_OK)
		out->kind = SIP_HOST_NONE;
	return code;
}

enum err_code sip_host_decode(struct slice text, struct sip_host *out)
{
	struct cursor c = cursor_of(text);

	*out = (struct sip_host){0};
	if (text.size > 0 && text.data[0] != '[' &&
	    memchr(text.data, ':', text.size))
		return take_ipv6(text, out);
	return sip_host_read(&c, out) == ERR_OK && cursor_ended(&c)
		       ? ERR_OK
		       : ERR_MALFORMED;
}

void sip_host_append(struct buffer *out, const struct sip_host *host)
{
	if (host->kind == SIP_HOST_IPV6)
		buffer_append_char(out, '[');
	buffer_append_slice(out, host->name);
	if (host->kind == SIP_HOST_IPV6)
		buffer_append_char(out, ']');
	if (host->port == 0)
		return;
	buffer_append_char(out, ':');
	buffer_append_uint(out, host->port);
}
