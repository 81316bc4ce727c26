#include "services/registrar/sip/message.h"

#include "services/registrar/sip/chars.h"
#include "services/registrar/sip/line.h"
#include "services/registrar/sip/number.h"

static const struct slice version = SLICE("SIP/2.0");

/* The first fault is the one told. */
static void set_fault(struct sip_message *message, unsigned status,
		      const char *fault)
{
	if (message->fault)
		return;
	message->fault_status = status;
	message->fault = fault;
}

/* "SIP/" 1*DIGIT "." 1*DIGIT, whatever the digits. */
static bool is_version(struct slice text)
{
	struct cursor c = cursor_of(text);

	return text.size > 4 &&
	       sip_word_eq(slice_of(text.data, 4), slice_of(version.data, 4)) &&
	       (c.at += 4, cursor_span(&c, CH_DIGIT).size > 0) &&
	       cursor_take(&c, '.') && cursor_span(&c, CH_DIGIT).size > 0 &&
	       cursor_ended(&c);
}

/* Up to the next space, which is stepped over; all, where there is none. */
static struct slice read_word(struct cursor *c)
{
	const char *start = c->at;
	size_t left = (size_t)(c->end - start);
	const char *space = left > 0 ? memchr(start, ' ', left) : NULL;

	c->at = space ? space + 1 : c->end;
	return slice_of(start, space ? (size_t)(space - start) : left);
}

/* Status-Line = SIP-Version SP Status-Code SP Reason-Phrase. The space before
 * an empty reason is forgotten by some. */
static enum err_code read_status_line(struct slice line,
				      struct sip_message *out)
{
	struct cursor c = cursor_of(line);
	uint32_t status;

	out->request = false;
	if (!sip_word_eq(read_word(&c), version))
		return ERR_MALFORMED;
	struct slice digits = read_word(&c);

	if (digits.size != 3 || sip_number_decode(digits, &status) != ERR_OK ||
	    status < 100 || status > 699)
		return ERR_MALFORMED;
	out->status = status;
	out->reason = cursor_rest(&c);
	return ERR_OK;
}

/* Request-Line = Method SP Request-URI SP SIP-Version. A line that mentions SIP
 * but is written in another way is answered (RFC 4475 3.1.2.7 to 3.1.2.10). */
static enum err_code read_request_line(struct slice line,
				       struct sip_message *out)
{
	struct cursor c = cursor_of(line);

	out->request = true;
	out->method_text = cursor_span(&c, CH_TOKEN);
	out->method = sip_method_find(out->method_text);
	if (out->method_text.size == 0 || !cursor_take(&c, ' '))
		return ERR_MALFORMED;

	struct slice uri = read_word(&c);
	struct slice rest = cursor_rest(&c);

	const bool ours = sip_word_eq(rest, version);

	if (uri.size == 0 || (!ours && !is_version(rest))) {
		if (!memmem(line.data, line.size, version.data, 4))
			return ERR_MALFORMED;
		set_fault(out, 400, "Bad Request-Line");
		return ERR_OK;
	}
	out->uri_text = uri;
	if (!ours)
		set_fault(out, 505, "Version Not Supported");
	return ERR_OK;
}

static enum err_code read_start_line(struct cursor *c, struct sip_message *out)
{
	struct slice line;

	if (sip_line_read(c, &line) != SIP_LINE_HEADER)
		return ERR_MALFORMED;
	if (line.size > 4 &&
	    sip_word_eq(slice_of(line.data, 4), slice_of(version.data, 4)))
		return read_status_line(line, out);
	return read_request_line(line, out);
}

/* Links the header that stands behind the last. */
static void add_header(struct sip_message *out)
{
	const uint8_t index = (uint8_t)++out->count;
	const enum sip_header_name name = out->headers[index].name;

	if (out->first[name] == 0)
		out->first[name] = index;
	else if (sip_header_single(name))
		set_fault(out, 400, "Repeated Header");
	out->headers[out->last[name]].next = index;
	out->last[name] = index;
}

static enum err_code read_headers(struct cursor *c, struct sip_message *out)
{
	unsigned lines_left = SIP_LINES_MAX;

	for (;;) {
		/* Where no place is left, no line is, and none is read. */
		switch (sip_line_header(c, &lines_left,
					&out->headers[out->count + 1])) {
		case SIP_LINE_HEADER:
			add_header(out);
			break;
		case SIP_LINE_BROKEN:
			set_fault(out, 400, "Bad Header Line");
			break;
		case SIP_LINE_EMPTY:
			return ERR_OK;
		case SIP_LINE_CUT:
			set_fault(out, 400, "Unfinished Header");
			c->at = c->end;
			return ERR_OK;
		case SIP_LINE_TORN:
			return ERR_MALFORMED;
		case SIP_LINE_MANY:
			set_fault(out, 513, "Too Many Header Lines");
			c->at = c->end;
			return ERR_OK;
		}
	}
}

/* RFC 3261 18.3: in a datagram the body may be shorter than what is there; in a
 * stream the two were cut to fit. */
static void read_body(struct slice rest, enum sip_framing framing,
		      struct sip_message *out)
{
	uint32_t size = (uint32_t)rest.size;
	enum err_code code = sip_message_number(out, SIP_CONTENT_LENGTH, &size);

	out->body = rest;
	if (code == ERR_NOT_FOUND) {
		if (framing == SIP_STREAM)
			set_fault(out, 400, "Missing Content-Length");
	} else if (code != ERR_OK) {
		set_fault(out, 400, "Bad Content-Length");
	} else if (size > rest.size ||
		   (framing == SIP_STREAM && size < rest.size)) {
		set_fault(out, 400, "Wrong Content-Length");
	} else {
		out->body.size = size;
	}
}

static void read_via(struct sip_message *out)
{
	out->via_rest = sip_message_value(out, SIP_VIA);
	out->via_code = ERR_NOT_FOUND;
	if (out->via_rest.data)
		out->via_code =
			sip_via_next(&out->via_rest, &out->via) == ERR_OK
				? ERR_OK
				: ERR_MALFORMED;
}

static void read_to(struct sip_message *out)
{
	const struct sip_header *header = sip_message_first(out, SIP_TO);

	out->to_code = header ? sip_address_decode(header->value, &out->to)
			      : ERR_NOT_FOUND;
}

static void read_contact(struct sip_message *out)
{
	out->contact_rest = sip_message_value(out, SIP_CONTACT);
	out->contact_code = sip_address_next(&out->contact_rest, &out->contact);
}

static void read_uri(struct sip_message *out)
{
	out->uri_code = out->uri_text.data
				? sip_uri_decode(out->uri_text, &out->uri)
				: ERR_NOT_FOUND;
}

/* CSeq = 1*DIGIT LWS Method */
static enum err_code decode_cseq(struct slice value, struct sip_cseq *out)
{
	struct cursor c = cursor_of(value);

	if (sip_number_decode(cursor_span(&c, CH_DIGIT), &out->number) !=
	    ERR_OK)
		return ERR_MALFORMED;
	const char *behind = c.at;

	cursor_space(&c);
	if (c.at == behind)
		return ERR_MALFORMED;
	out->method_text = cursor_span(&c, CH_TOKEN);
	out->method = sip_method_find(out->method_text);
	return out->method_text.size > 0 && cursor_ended(&c) ? ERR_OK
							     : ERR_MALFORMED;
}

static void read_cseq(struct sip_message *out)
{
	const struct sip_header *header = sip_message_first(out, SIP_CSEQ);

	out->cseq_code =
		header ? decode_cseq(header->value, &out->cseq) : ERR_NOT_FOUND;
}

enum err_code sip_message_parse(struct slice bytes, enum sip_framing framing,
				struct sip_message *out)
{
	struct cursor c = cursor_of(bytes);

	while (c.end - c.at >= 2 && c.at[0] == '\r' && c.at[1] == '\n')
		c.at += 2;

	/* The headers are left as they are: only counted ones are read. */
	out->text = cursor_rest(&c);
	out->method = SIP_METHOD_OTHER;
	out->method_text = out->uri_text = out->reason = (struct slice){0};
	out->status = out->fault_status = 0;
	out->fault = NULL;
	out->count = 0;
	out->headers[0] = (struct sip_header){0};
	memset(out->first, 0, sizeof(out->first));
	memset(out->last, 0, sizeof(out->last));

	enum err_code code = read_start_line(&c, out);

	if (code == ERR_OK)
		code = read_headers(&c, out);
	if (code != ERR_OK)
		return code;
	read_body(cursor_rest(&c), framing, out);
	read_uri(out);
	read_via(out);
	read_to(out);
	read_cseq(out);
	read_contact(out);
	return ERR_OK;
}

struct slice sip_message_value(const struct sip_message *message,
			       enum sip_header_name name)
{
	const struct sip_header *header = sip_message_first(message, name);

	return header ? header->value : (struct slice){0};
}

enum err_code sip_message_uri(const struct sip_message *message,
			      struct sip_uri *out)
{
	if (message->uri_code == ERR_OK)
		*out = message->uri;
	return message->uri_code;
}

enum err_code sip_message_via(const struct sip_message *message,
			      struct sip_via *out)
{
	if (message->via_code != ERR_NOT_FOUND)
		*out = message->via;
	return message->via_code;
}

enum err_code sip_message_address(const struct sip_message *message,
				  enum sip_header_name name,
				  struct sip_address *out)
{
	const struct sip_header *header = sip_message_first(message, name);

	if (!header)
		return ERR_NOT_FOUND;
	if (name != SIP_TO)
		return sip_address_decode(header->value, out);
	if (message->to_code == ERR_OK)
		*out = message->to;
	return message->to_code;
}

enum err_code sip_message_cseq(const struct sip_message *message,
			       struct sip_cseq *out)
{
	if (message->cseq_code == ERR_OK)
		*out = message->cseq;
	return message->cseq_code;
}

/* Retry-After = delta-seconds [ comment ] *( SEMI retry-param ) */
static struct slice seconds_of(struct slice value)
{
	struct cursor c = cursor_of(value);
	struct slice seconds = cursor_span(&c, CH_DIGIT);

	cursor_space(&c);
	return cursor_ended(&c) || cursor_sees(&c, '(') || cursor_sees(&c, ';')
		       ? seconds
		       : value;
}

enum err_code sip_message_number(const struct sip_message *message,
				 enum sip_header_name name, uint32_t *out)
{
	const struct sip_header *header = sip_message_first(message, name);

	if (!header)
		return ERR_NOT_FOUND;
	return sip_number_decode(name == SIP_RETRY_AFTER
					 ? seconds_of(header->value)
					 : header->value,
				 out);
}

enum err_code sip_message_date(const struct sip_message *message,
			       int64_t *unix_s)
{
	const struct sip_header *header = sip_message_first(message, SIP_DATE);

	return header ? sip_date_decode(header->value, unix_s) : ERR_NOT_FOUND;
}

struct sip_list sip_list_of(const struct sip_message *message,
			    enum sip_header_name name)
{
	const struct sip_header *header = sip_message_first(message, name);

	return (struct sip_list){
		.message = message,
		.header = header,
		.rest = header ? header->value : (struct slice){0},
		.left = SIP_VALUES_MAX,
	};
}

/* Whether to read on after what a reader said: nothing was left of its line,
 * and there is another. After a fault and after the last line the list is
 * empty. */
static bool goes_on(struct sip_list *list, enum err_code *code)
{
	if (*code == ERR_OK && list->left-- > 0)
		return false;
	if (*code == ERR_OK)
		*code = ERR_MALFORMED;
	if (*code == ERR_NOT_FOUND && list->header)
		list->header = sip_message_next(list->message, list->header);
	else
		list->header = NULL;
	list->rest = list->header ? list->header->value : (struct slice){0};
	return list->header;
}

/* Nothing was read of the first line of Contact. */
static bool at_first_contact(const struct sip_list *list)
{
	return list->left == SIP_VALUES_MAX && list->header &&
	       list->header == sip_message_first(list->message, SIP_CONTACT);
}

static enum err_code next_address(struct sip_list *list,
				  struct sip_address *out)
{
	if (!at_first_contact(list))
		return sip_address_next(&list->rest, out);
	if (list->message->contact_code == ERR_OK)
		*out = list->message->contact;
	list->rest = list->message->contact_rest;
	return list->message->contact_code;
}

enum err_code sip_list_address(struct sip_list *list, struct sip_address *out)
{
	enum err_code code;

	do {
		code = next_address(list, out);
	} while (goes_on(list, &code));
	return code;
}

enum err_code sip_list_via(struct sip_list *list, struct sip_via *out)
{
	enum err_code code;

	do {
		code = sip_via_next(&list->rest, out);
	} while (goes_on(list, &code));
	return code;
}

enum err_code sip_list_token(struct sip_list *list, struct slice *out)
{
	enum err_code code;

	do {
		code = sip_token_next(&list->rest, out);
	} while (goes_on(list, &code));
	return code;
}

bool sip_message_lists(const struct sip_message *message,
		       enum sip_header_name name, const char *tag)
{
	struct sip_list list = sip_list_of(message, name);
	struct slice word;

	while (sip_list_token(&list, &word) == ERR_OK)
		if (sip_word_is(word, tag))
			return true;
	return false;
}
