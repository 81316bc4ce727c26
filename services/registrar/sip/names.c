#include "services/registrar/sip/names.h"

#include "services/registrar/sip/chars.h"

static const struct slice methods[SIP_METHOD_COUNT] = {
	[SIP_METHOD_OTHER] = SLICE(""),
#define METHOD_ROW(name, text) [name] = SLICE(text),
	SIP_METHOD_LIST(METHOD_ROW)
#undef METHOD_ROW
};

static const struct slice transports[SIP_TRANSPORT_COUNT] = {
	[SIP_TRANSPORT_OTHER] = SLICE(""),
	[SIP_TRANSPORT_UDP] = SLICE("UDP"),
	[SIP_TRANSPORT_TCP] = SLICE("TCP"),
	[SIP_TRANSPORT_TLS] = SLICE("TLS"),
	[SIP_TRANSPORT_SCTP] = SLICE("SCTP"),
	[SIP_TRANSPORT_WS] = SLICE("WS"),
	[SIP_TRANSPORT_WSS] = SLICE("WSS"),
};

struct header_row {
	struct slice name;
	char compact;
	bool single;
};

static const struct header_row headers[SIP_HEADER_COUNT] = {
	[SIP_HEADER_OTHER] = {SLICE(""), 0, false},
#define HEADER_ROW(name, text, compact, single)                                \
	[name] = {SLICE(text), compact, single},
	SIP_HEADER_LIST(HEADER_ROW)
#undef HEADER_ROW
};

/* The first header of each length. Those of a length stand together. */
static const uint8_t headers_of_size[] = {
	[2] = SIP_TO,
	[3] = SIP_VIA,
	[4] = SIP_CSEQ,
	[5] = SIP_ALLOW,
	[6] = SIP_ACCEPT,
	[7] = SIP_CALL_ID,
	[8] = SIP_REFER_TO,
	[9] = SIP_SUPPORTED,
	[10] = SIP_USER_AGENT,
	[11] = SIP_MIN_EXPIRES,
	[12] = SIP_ALLOW_EVENTS,
	[13] = SIP_AUTHORIZATION,
	[14] = SIP_CONTENT_LENGTH,
	[15] = SIP_SESSION_EXPIRES,
	[16] = SIP_CONTENT_ENCODING,
	[18] = SIP_PROXY_AUTHENTICATE,
	[19] = SIP_AUTHENTICATION_INFO,
};

struct status_row {
	unsigned status;
	struct slice text;
};

static const struct status_row statuses[] = {
	{100, SLICE("Trying")},
	{200, SLICE("OK")},
	{400, SLICE("Bad Request")},
	{401, SLICE("Unauthorized")},
	{403, SLICE("Forbidden")},
	{404, SLICE("Not Found")},
	{405, SLICE("Method Not Allowed")},
	{407, SLICE("Proxy Authentication Required")},
	{408, SLICE("Request Timeout")},
	{413, SLICE("Request Entity Too Large")},
	{414, SLICE("Request-URI Too Long")},
	{415, SLICE("Unsupported Media Type")},
	{416, SLICE("Unsupported URI Scheme")},
	{420, SLICE("Bad Extension")},
	{421, SLICE("Extension Required")},
	{423, SLICE("Interval Too Brief")},
	{439, SLICE("First Hop Lacks Outbound Support")},
	{480, SLICE("Temporarily Unavailable")},
	{481, SLICE("Call/Transaction Does Not Exist")},
	{482, SLICE("Loop Detected")},
	{483, SLICE("Too Many Hops")},
	{486, SLICE("Busy Here")},
	{488, SLICE("Not Acceptable Here")},
	{500, SLICE("Server Internal Error")},
	{501, SLICE("Not Implemented")},
	{503, SLICE("Service Unavailable")},
	{504, SLICE("Server Time-out")},
	{505, SLICE("Version Not Supported")},
	{513, SLICE("Message Too Large")},
	{603, SLICE("Decline")},
};

static const struct slice classes[] = {
	SLICE("Unknown"),     SLICE("Progress"),    SLICE("OK"),
	SLICE("Redirection"), SLICE("Bad Request"), SLICE("Server Failure"),
	SLICE("Declined"),
};

bool sip_bytes_eq(const char *a, const char *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i] && char_lower(a[i]) != char_lower(b[i]))
			return false;
	return true;
}

enum sip_method sip_method_find(struct slice text)
{
	for (unsigned i = 1; i < SIP_METHOD_COUNT; i++)
		if (slice_eq(text, methods[i]))
			return (enum sip_method)i;
	return SIP_METHOD_OTHER;
}

enum sip_transport sip_transport_find(struct slice text)
{
	for (unsigned i = 1; i < SIP_TRANSPORT_COUNT; i++)
		if (sip_word_eq(text, transports[i]))
			return (enum sip_transport)i;
	return SIP_TRANSPORT_OTHER;
}

static enum sip_header_name find_compact(char c)
{
	for (unsigned i = 1; i < SIP_HEADER_COUNT; i++)
		if (headers[i].compact == char_lower(c))
			return (enum sip_header_name)i;
	return SIP_HEADER_OTHER;
}

/* Nearly always it is written as it is here, and where it is not, a look at the
 * first letter tells. */
static bool is_header(struct slice text, struct slice name)
{
	return ((text.data[0] ^ name.data[0]) & ~('a' ^ 'A')) == 0 &&
	       (slice_eq(text, name) || sip_word_eq(text, name));
}

enum sip_header_name sip_header_find(struct slice text)
{
	if (text.size == 1)
		return find_compact(text.data[0]);
	if (text.size >= sizeof(headers_of_size) ||
	    headers_of_size[text.size] == 0)
		return SIP_HEADER_OTHER;
	for (unsigned i = headers_of_size[text.size];
	     i < SIP_HEADER_COUNT && headers[i].name.size == text.size; i++)
		if (is_header(text, headers[i].name))
			return (enum sip_header_name)i;
	return SIP_HEADER_OTHER;
}

struct slice sip_method_text(enum sip_method method)
{
	return methods[method];
}

struct slice sip_header_text(enum sip_header_name name)
{
	return headers[name].name;
}

struct slice sip_transport_text(enum sip_transport transport)
{
	return transports[transport];
}

bool sip_header_single(enum sip_header_name name)
{
	return headers[name].single;
}

struct slice sip_status_text(unsigned status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return classes[status >= 100 && status <= 699 ? status / 100 : 0];
}
