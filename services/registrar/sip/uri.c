#include "services/registrar/sip/uri.h"

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/number.h"

static enum sip_scheme find_scheme(struct slice text)
{
	if (sip_word_is(text, "sip"))
		return SIP_SCHEME_SIP;
	if (sip_word_is(text, "sips"))
		return SIP_SCHEME_SIPS;
	if (sip_word_is(text, "tel"))
		return SIP_SCHEME_TEL;
	return SIP_SCHEME_OTHER;
}

/* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ), and the colon. */
static bool read_scheme(struct cursor *c, struct slice *out)
{
	const char *start = c->at;

	if (cursor_span(c, CH_ALPHA).size == 0)
		return false;
	while (!cursor_ended(c) &&
	       (char_is(*c->at, CH_ALPHA | CH_DIGIT) || *c->at == '+' ||
		*c->at == '-' || *c->at == '.'))
		c->at++;
	*out = cursor_since(c, start);
	return cursor_take(c, ':');
}

/* [ user [ ":" password ] "@" ]. What stands here may as well be host and port:
 * only the '@' tells, and the cursor goes back when there is none. */
static void read_userinfo(struct cursor *c, struct sip_uri *out)
{
	struct cursor ahead = *c;
	struct slice user, password = {0};

	if (!cursor_escaped(&ahead, CH_USER, &user) || user.size == 0)
		return;
	if (cursor_take(&ahead, ':') &&
	    !cursor_escaped(&ahead, CH_PASSWORD, &password))
		return;
	if (!cursor_take(&ahead, '@'))
		return;
	out->user = user;
	out->password = password;
	*c = ahead;
}

static bool read_host(struct cursor *c, struct sip_host *out)
{
	if (sip_host_read(c, out) != ERR_OK)
		return false;
	return !cursor_take(c, ':') ||
	       sip_port_decode(cursor_span(c, CH_DIGIT), &out->port) == ERR_OK;
}

/* pname [ "=" pvalue ], both 1*paramchar. */
static bool read_parameter(struct cursor *c, struct sip_parameter *out)
{
	out->quoted = false;
	out->value = (struct slice){0};
	if (!cursor_escaped(c, CH_PARAMETER, &out->name) || out->name.size == 0)
		return false;
	if (!cursor_take(c, '='))
		return true;
	return cursor_escaped(c, CH_PARAMETER, &out->value) &&
	       out->value.size > 0;
}

static bool read_parameters(struct cursor *c, struct slice *out)
{
	const char *start = c->at;
	struct sip_parameter parameter;
	unsigned count = 0;

	while (cursor_take(c, ';'))
		if (++count > SIP_PARAMETERS_MAX ||
		    !read_parameter(c, &parameter))
			return false;
	*out = cursor_since(c, start);
	return true;
}

/* hname "=" hvalue, the value of which may be empty. */
static bool read_header(struct cursor *c, struct sip_parameter *out)
{
	out->quoted = false;
	return cursor_escaped(c, CH_HEADER, &out->name) && out->name.size > 0 &&
	       cursor_take(c, '=') && cursor_escaped(c, CH_HEADER, &out->value);
}

static bool read_headers(struct cursor *c, struct slice *out)
{
	if (!cursor_take(c, '?'))
		return true;
	const char *start = c->at;
	struct sip_parameter header;
	unsigned count = 0;

	do {
		if (++count > SIP_PARAMETERS_MAX || !read_header(c, &header))
			return false;
	} while (cursor_take(c, '&'));
	*out = cursor_since(c, start);
	return true;
}

static bool read_sip(struct cursor *c, struct sip_uri *out)
{
	read_userinfo(c, out);
	return read_host(c, &out->host) &&
	       read_parameters(c, &out->parameters) &&
	       read_headers(c, &out->headers);
}

static bool read_tel(struct cursor *c, struct sip_uri *out)
{
	out->user = cursor_span(c, CH_PHONE);
	return out->user.size > 0 && read_parameters(c, &out->parameters);
}

static bool read_other(struct cursor *c, struct sip_uri *out)
{
	return cursor_escaped(c, CH_URI, &out->user) && out->user.size > 0;
}

/* Field by field: zeroing all of it would be a `rep stos`, the slowest single
 * thing here. */
static void clear(struct sip_uri *out)
{
	out->user = out->password = out->headers = (struct slice){0};
	out->parameters = slice_of("", 0);
	out->host = (struct sip_host){0};
}

enum err_code sip_uri_decode(struct slice text, struct sip_uri *out)
{
	struct cursor c = cursor_of(text);

	clear(out);
	out->text = text;
	if (!read_scheme(&c, &out->scheme_text))
		return ERR_MALFORMED;
	out->scheme = find_scheme(out->scheme_text);

	bool good = out->scheme == SIP_SCHEME_OTHER ? read_other(&c, out)
		    : out->scheme == SIP_SCHEME_TEL ? read_tel(&c, out)
						    : read_sip(&c, out);

	return good && cursor_ended(&c) ? ERR_OK : ERR_MALFORMED;
}

/* One character of a part of a URI. An escaped reserved character is not the
 * character itself (RFC 3261 19.1.4): it is kept apart by a bit of its own. */
enum { ESCAPED_RESERVED = 0x100 };

static unsigned next_unit(struct cursor *c, bool fold)
{
	char byte = *c->at++;
	bool escaped = byte == '%' && c->end - c->at >= 2;

	if (escaped) {
		byte = (char)(hex_value(c->at[0]) << 4 | hex_value(c->at[1]));
		c->at += 2;
	}
	unsigned unit = (uint8_t)(fold ? char_lower(byte) : byte);

	return escaped && char_is(byte, CH_RESERVED) ? unit | ESCAPED_RESERVED
						     : unit;
}

/* Two parts of URIs say the same; fold: their case aside. */
static bool part_eq(struct slice a, struct slice b, bool fold)
{
	struct cursor x = cursor_of(a), y = cursor_of(b);

	if (!a.data != !b.data)
		return false;
	while (!cursor_ended(&x) && !cursor_ended(&y))
		if (next_unit(&x, fold) != next_unit(&y, fold))
			return false;
	return cursor_ended(&x) && cursor_ended(&y);
}

static bool parameter_find(struct slice parameters, struct slice name,
			   struct sip_parameter *out)
{
	struct cursor c = cursor_of(parameters);

	while (cursor_take(&c, ';') && read_parameter(&c, out))
		if (part_eq(out->name, name, true))
			return true;
	return false;
}

struct slice sip_uri_parameter(const struct sip_uri *uri, const char *name)
{
	struct sip_parameter found;

	if (!parameter_find(uri->parameters, slice_str(name), &found))
		return (struct slice){0};
	return found.value.data ? found.value : slice_of("", 0);
}

enum sip_transport sip_uri_transport(const struct sip_uri *uri)
{
	return sip_transport_find(sip_uri_parameter(uri, "transport"));
}

/* The parameters or headers of a URI, read once. The hash of a name keeps 32
 * times 32 looks from being 32 times 32 comparisons of long names. */
struct pieces {
	size_t count;
	struct sip_parameter pieces[SIP_URI_COMPARE_MAX];
	uint32_t hashes[SIP_URI_COMPARE_MAX];
};

/* FNV-1a over the characters as they are compared. */
static uint32_t hash_name(struct slice name)
{
	struct cursor c = cursor_of(name);
	uint32_t hash = 2166136261;

	while (!cursor_ended(&c))
		hash = (hash ^ next_unit(&c, true)) * 16777619;
	return hash;
}

static bool gather(struct slice text, char separator, struct pieces *out)
{
	struct cursor c = cursor_of(text);
	bool (*read)(struct cursor *, struct sip_parameter *) =
		separator == ';' ? read_parameter : read_header;

	out->count = 0;
	while (!cursor_ended(&c)) {
		/* Nothing separates the first header from its '?'. */
		cursor_take(&c, separator);
		if (out->count == SIP_URI_COMPARE_MAX ||
		    !read(&c, &out->pieces[out->count]))
			return false;
		out->hashes[out->count] =
			hash_name(out->pieces[out->count].name);
		out->count++;
	}
	return true;
}

/* The next piece of that name from index on; list->count: there is none. */
static size_t piece_find(const struct pieces *list, size_t index,
			 struct slice name, uint32_t hash)
{
	while (index < list->count &&
	       (list->hashes[index] != hash ||
		!part_eq(list->pieces[index].name, name, true)))
		index++;
	return index;
}

/* "A user, ttl, or method uri-parameter appearing in only one URI never
 * matches", nor does maddr; the examples of 19.1.4 add transport. */
static bool matters_alone(struct slice name)
{
	static const struct slice names[] = {
		SLICE("user"),	SLICE("ttl"),	    SLICE("method"),
		SLICE("maddr"), SLICE("transport"),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (part_eq(name, names[i], true))
			return true;
	return false;
}

/* Every parameter of a stands in b with the same value, or need not. */
static bool parameters_match(const struct pieces *a, const struct pieces *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct sip_parameter *mine = &a->pieces[i];
		size_t at = piece_find(b, 0, mine->name, a->hashes[i]);

		if (at == b->count
			    ? matters_alone(mine->name)
			    : !part_eq(mine->value, b->pieces[at].value, true))
			return false;
	}
	return true;
}

/* Header components are never ignored: all of a stand in b. */
static bool headers_match(const struct pieces *a, const struct pieces *b)
{
	for (size_t i = 0; i < a->count; i++) {
		struct sip_parameter mine = a->pieces[i];
		size_t at = piece_find(b, 0, mine.name, a->hashes[i]);

		while (at < b->count &&
		       !part_eq(mine.value, b->pieces[at].value, false))
			at = piece_find(b, at + 1, mine.name, a->hashes[i]);
		if (at == b->count)
			return false;
	}
	return true;
}

static bool lists_eq(struct slice a, struct slice b, char separator,
		     bool (*match)(const struct pieces *,
				   const struct pieces *))
{
	struct pieces x, y;

	return slice_eq(a, b) ||
	       (gather(a, separator, &x) && gather(b, separator, &y) &&
		match(&x, &y) && match(&y, &x));
}

bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b)
{
	if (slice_eq(a->text, b->text))
		return true;
	if (a->scheme != b->scheme || a->scheme == SIP_SCHEME_OTHER)
		return false;
	return part_eq(a->user, b->user, false) &&
	       part_eq(a->password, b->password, false) &&
	       a->host.kind == b->host.kind && a->host.port == b->host.port &&
	       sip_word_eq(a->host.name, b->host.name) &&
	       lists_eq(a->parameters, b->parameters, ';', parameters_match) &&
	       lists_eq(a->headers, b->headers, '&', headers_match);
}

void sip_unescape_append(struct buffer *out, struct slice escaped)
{
	struct cursor c = cursor_of(escaped);

	while (!cursor_ended(&c))
		buffer_append_char(out, (char)next_unit(&c, false));
}

void sip_user_append(struct buffer *out, struct slice user)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < user.size; i++) {
		uint8_t byte = (uint8_t)user.data[i];

		if (char_is((char)byte, CH_USER)) {
			buffer_append_char(out, (char)byte);
			continue;
		}
		buffer_append_char(out, '%');
		buffer_append_char(out, digits[byte >> 4]);
		buffer_append_char(out, digits[byte & 15]);
	}
}

/* Visual separators are no part of a number (RFC 3966 5.1.1). */
static void append_number(struct buffer *out, struct slice number)
{
	for (size_t i = 0; i < number.size; i++)
		if (!strchr("-.()", number.data[i]))
			buffer_append_char(out, char_lower(number.data[i]));
}

enum err_code sip_uri_aor_append(struct buffer *out, const struct sip_uri *uri)
{
	if (uri->scheme == SIP_SCHEME_OTHER)
		return ERR_MALFORMED;
	if (uri->scheme == SIP_SCHEME_TEL) {
		append_number(out, uri->user);
		return ERR_OK;
	}
	if (uri->user.data) {
		sip_unescape_append(out, uri->user);
		buffer_append_char(out, '@');
	}
	for (size_t i = 0; i < uri->host.name.size; i++)
		buffer_append_char(out, char_lower(uri->host.name.data[i]));
	return ERR_OK;
}
