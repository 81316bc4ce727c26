#include "services/registrar/sip/host.h"

#include "services/registrar/sip/chars.h"

#include <arpa/inet.h>

/* inet_pton() wants a NUL behind; INET6_ADDRSTRLEN holds the longest of both
 * families. */
static bool is_address(int family, struct slice text)
{
	char copy[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];

	if (text.size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return inet_pton(family, copy, address) == 1;
}

static bool is_numeric(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!char_is(text.data[i], CH_DIGIT) && text.data[i] != '.')
			return false;
	return true;
}

/* No label of a name is empty; one dot may stand behind the last. */
static bool is_name(struct slice text)
{
	char before = '.';

	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '.' && before == '.')
			return false;
		before = text.data[i];
	}
	return true;
}

/* A name that is all digits and dots can only have been meant as an address.
 */
static enum err_code take_name(struct slice name, struct sip_host *out)
{
	if (name.size == 0 || name.size > SIP_HOST_BYTES || !is_name(name))
		return ERR_MALFORMED;
	out->name = name;
	out->kind = SIP_HOST_NAME;
	if (!is_numeric(name))
		return ERR_OK;
	out->kind = SIP_HOST_IPV4;
	return is_address(AF_INET, name) ? ERR_OK : ERR_MALFORMED;
}

static enum err_code take_ipv6(struct slice name, struct sip_host *out)
{
	out->name = name;
	out->kind = SIP_HOST_IPV6;
	return is_address(AF_INET6, name) ? ERR_OK : ERR_MALFORMED;
}

enum err_code sip_host_read(struct slice *rest, struct sip_host *out)
{
	struct cursor c = cursor_of(*rest);

	*out = (struct sip_host){0};

	enum err_code code;

	if (cursor_take(&c, '[')) {
		const char *start = c.at;

		while (c.at < c.end &&
		       (char_is(*c.at, CH_HEX) || *c.at == ':' || *c.at == '.'))
			c.at++;
		code = take_ipv6(cursor_since(&c, start), out);
		if (!cursor_take(&c, ']'))
			code = ERR_MALFORMED;
	} else {
		code = take_name(cursor_span(&c, CH_HOST), out);
	}
	*rest = code == ERR_OK ? cursor_rest(&c) : (struct slice){0};
	if (code != ERR_OK)
		out->kind = SIP_HOST_NONE;
	return code;
}

enum err_code sip_host_decode(struct slice text, struct sip_host *out)
{
	*out = (struct sip_host){0};
	if (text.size > 0 && text.data[0] != '[' &&
	    memchr(text.data, ':', text.size))
		return take_ipv6(text, out);

	enum err_code code = sip_host_read(&text, out);

	return code == ERR_OK && text.size > 0 ? ERR_MALFORMED : code;
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
