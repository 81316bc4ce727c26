#include "services/registrar/sip/build.h"

static void append_literal(struct buffer *out, struct slice text)
{
	buffer_append(out, text.data, text.size);
}

#define LITERAL(out, text) append_literal(out, (struct slice)SLICE(text))

#define START(name, text, compact, single) [name] = SLICE(text ": "),

/* How the lines start. */
static const struct slice starts[SIP_HEADER_COUNT] = {
	[SIP_HEADER_OTHER] = SLICE(": "),
	SIP_HEADER_LIST(START) /* one after the other */
};

static bool breaks_line(char c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

/* Whether any of eight bytes may be a control character: never false where one
 * is. */
static bool may_break_line(const char *bytes)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return (word - each * ' ') & ~word & (each << 7);
}

/* Three memchr() take three times as long for a value of usual length. */
static bool may_break_lines(struct slice text)
{
	const size_t word = sizeof(uint64_t);

	if (text.size < word)
		return true;
	for (size_t i = 0; i + word < text.size; i += word)
		if (may_break_line(text.data + i))
			return true;
	return may_break_line(text.data + text.size - word);
}

/* Writes text that is not our own to where there is room; returns its end. */
static char *text_write(char *to, struct slice text)
{
	if (text.size == 0)
		return to;
	memcpy(to, text.data, text.size);
	if (may_break_lines(text))
		for (size_t i = 0; i < text.size; i++)
			if (breaks_line(to[i]))
				to[i] = ' ';
	return to + text.size;
}

void sip_build_text(struct buffer *out, struct slice text)
{
	if (text.size == 0)
		return;
	text_write(buffer_reserve(out, text.size), text);
	out->size += text.size;
}

void sip_build_line_end(struct buffer *out)
{
	LITERAL(out, "\r\n");
}

void sip_build_begin(struct buffer *out, enum sip_header_name name)
{
	append_literal(out, starts[name]);
}

void sip_build_request(struct buffer *out, enum sip_method method,
		       struct slice uri)
{
	append_literal(out, sip_method_text(method));
	buffer_append_char(out, ' ');
	sip_build_text(out, uri);
	LITERAL(out, " SIP/2.0\r\n");
}

void sip_build_via(struct buffer *out, enum sip_transport transport,
		   const struct sip_host *sent_by, struct slice branch)
{
	sip_build_begin(out, SIP_VIA);
	LITERAL(out, "SIP/2.0/");
	append_literal(out, sip_transport_text(transport));
	buffer_append_char(out, ' ');
	sip_host_append(out, sent_by);
	LITERAL(out, ";branch=" SIP_BRANCH_COOKIE);
	sip_build_text(out, branch);
	LITERAL(out, ";rport\r\n");
}

void sip_build_header(struct buffer *out, enum sip_header_name name,
		      struct slice value)
{
	const struct slice start = starts[name];
	const size_t size = start.size + value.size + sizeof("\r\n") - 1;
	char *to = buffer_reserve(out, size);

	memcpy(to, start.data, start.size);
	memcpy(text_write(to + start.size, value), "\r\n", 2);
	out->size += size;
}

void sip_build_number(struct buffer *out, enum sip_header_name name,
		      uint32_t value)
{
	sip_build_begin(out, name);
	buffer_append_uint(out, value);
	sip_build_line_end(out);
}

void sip_build_cseq(struct buffer *out, uint32_t number, enum sip_method method)
{
	sip_build_begin(out, SIP_CSEQ);
	buffer_append_uint(out, number);
	buffer_append_char(out, ' ');
	append_literal(out, sip_method_text(method));
	sip_build_line_end(out);
}

void sip_build_allow(struct buffer *out, uint32_t methods)
{
	const char *separator = "";

	if (methods == 0)
		return;
	sip_build_begin(out, SIP_ALLOW);
	for (unsigned i = 1; i < SIP_METHOD_COUNT; i++) {
		if (!(methods & SIP_METHOD_BIT(i)))
			continue;
		buffer_append_str(out, separator);
		append_literal(out, sip_method_text((enum sip_method)i));
		separator = ", ";
	}
	sip_build_line_end(out);
}

void sip_build_end(struct buffer *out, struct slice content_type,
		   struct slice body)
{
	if (body.size > 0 && content_type.size > 0)
		sip_build_header(out, SIP_CONTENT_TYPE, content_type);
	sip_build_begin(out, SIP_CONTENT_LENGTH);
	buffer_append_uint(out, body.size);
	LITERAL(out, "\r\n\r\n");
	buffer_append_slice(out, body);
}

static bool same_address(const struct sip_host *a, const struct sip_host *b)
{
	return a->kind == b->kind && sip_word_eq(a->name, b->name);
}

static struct slice between(const char *start, const char *end)
{
	return slice_of(start, (size_t)(end - start));
}

/* Most start with the branch, the longest of them, and it was read before. */
static const char *behind_branch(const struct sip_via *via)
{
	const char *start = via->parameters.data;

	return via->branch.data == start + sizeof(";branch=") - 1
		       ? via->branch.data + via->branch.size
		       : start;
}

/* The parameters of a Via but those that are for us to write. */
static void append_via_rest(struct buffer *out, const struct sip_via *via)
{
	const char *const end = via->parameters.data + via->parameters.size;
	const char *written = via->parameters.data;
	struct slice rest = between(behind_branch(via), end);
	struct sip_parameter p;

	for (;;) {
		const char *start = rest.data;

		if (sip_parameter_next(&rest, &p) != ERR_OK)
			break;
		if (!sip_word_is(p.name, "received") &&
		    !sip_word_is(p.name, "rport"))
			continue;
		sip_build_text(out, between(written, start));
		written = rest.data;
	}
	sip_build_text(out, between(written, end));
}

/* RFC 3261 18.2.1, RFC 3581 4. An IPv6 `received` has no brackets there. */
static void append_top_via(struct buffer *out, const struct sip_via *via,
			   const struct sip_host *source)
{
	sip_build_text(out, between(via->text.data, via->parameters.data));
	append_via_rest(out, via);
	if (via->has_rport || !same_address(&via->sent_by, source)) {
		LITERAL(out, ";received=");
		sip_build_text(out, source->name);
	}
	if (via->has_rport) {
		LITERAL(out, ";rport=");
		buffer_append_uint(out, source->port);
	}
}

static void append_vias(struct buffer *out, const struct sip_message *request,
			const struct sip_host *source)
{
	const struct sip_header *line = sip_message_first(request, SIP_VIA);

	/* A broken Via is given back as it is. */
	if (request->via_code == ERR_OK && source->kind != SIP_HOST_NONE) {
		sip_build_begin(out, SIP_VIA);
		append_top_via(out, &request->via, source);
		if (request->via_rest.size > 0)
			LITERAL(out, ", ");
		sip_build_text(out, request->via_rest);
		sip_build_line_end(out);
		line = sip_message_next(request, line);
	}
	for (; line; line = sip_message_next(request, line))
		sip_build_header(out, SIP_VIA, line->value);
}

static void append_copy(struct buffer *out, const struct sip_message *request,
			enum sip_header_name name)
{
	const struct sip_header *line = sip_message_first(request, name);

	if (line)
		sip_build_header(out, name, line->value);
}

/* RFC 3261 8.2.6.2. A To that cannot be read gets no tag: nothing says that
 * what is put behind it would be a parameter. */
static void append_to(struct buffer *out, const struct sip_message *request,
		      struct slice tag)
{
	struct sip_address to;

	if (sip_message_address(request, SIP_TO, &to) != ERR_OK ||
	    to.tag.data || !tag.data) {
		append_copy(out, request, SIP_TO);
		return;
	}
	sip_build_begin(out, SIP_TO);
	sip_build_text(out, to.text);
	LITERAL(out, ";tag=");
	sip_build_text(out, tag);
	sip_build_line_end(out);
}

void sip_build_response(struct buffer *out, const struct sip_message *request,
			const struct sip_reply *reply)
{
	LITERAL(out, "SIP/2.0 ");
	buffer_append_uint(out, reply->status);
	buffer_append_char(out, ' ');
	sip_build_text(out, reply->reason.data
				    ? reply->reason
				    : sip_status_text(reply->status));
	sip_build_line_end(out);
	append_vias(out, request, &reply->source);
	append_copy(out, request, SIP_FROM);
	append_to(out, request, reply->to_tag);
	append_copy(out, request, SIP_CALL_ID);
	append_copy(out, request, SIP_CSEQ);
	if (reply->status == 100)
		append_copy(out, request, SIP_TIMESTAMP);
}

/* The option tags of Require we do not know (RFC 3261 8.2.2.3). */
static void append_unsupported(struct buffer *out,
			       const struct sip_message *request,
			       const struct sip_policy *policy)
{
	struct sip_list list = sip_list_of(request, SIP_REQUIRE);
	const char *separator = "";
	struct slice tag;

	sip_build_begin(out, SIP_UNSUPPORTED);
	while (sip_list_token(&list, &tag) == ERR_OK) {
		if (sip_policy_extends(policy, tag))
			continue;
		buffer_append_str(out, separator);
		sip_build_text(out, tag);
		separator = ", ";
	}
	sip_build_line_end(out);
}

void sip_build_refusal(struct buffer *out, const struct sip_message *request,
		       const struct sip_verdict *verdict,
		       const struct sip_policy *policy,
		       const struct sip_reply *reply)
{
	struct sip_reply refusal = *reply;

	refusal.status = verdict->status;
	refusal.reason = slice_str(verdict->reason);
	sip_build_response(out, request, &refusal);
	if (verdict->status == 405 || verdict->status == 501)
		sip_build_allow(out, policy->methods);
	if (verdict->status == 420)
		append_unsupported(out, request, policy);
	sip_build_end(out, (struct slice){0}, (struct slice){0});
}
