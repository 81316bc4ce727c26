#include "services/registrar/sip/message.h"

#include "proto/buffer.h"
#include "services/registrar/sip/frame.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                   \
	"REGISTER sip:example.com SIP/2.0\r\n"                                 \
	"Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK74bf9\r\n"                   \
	"From: <sip:a@example.com>;tag=9f\r\n"                                 \
	"To: <sip:a@example.com>\r\n"                                          \
	"Call-ID: 3848276298220188511@192.0.2.4\r\n"                           \
	"CSeq: 2 REGISTER\r\n"

struct parse_row {
	const char *name;
	struct slice text;
	enum err_code code;
	const char *fault; /* NULL: none */
	unsigned fault_status;
};

/* clang-format off */
static const struct parse_row datagrams[] = {
	{"whole", SLICE(HEAD "\r\n"), ERR_OK, NULL, 0},
	{"empty lines before", SLICE("\r\n\r\n" HEAD "\r\n"), ERR_OK, NULL, 0},
	{"body without length", SLICE(HEAD "\r\nabc"), ERR_OK, NULL, 0},
	{"lower-case version", SLICE("OPTIONS sip:a sip/2.0\r\n\r\n"), ERR_OK, NULL, 0},
	{"status without reason", SLICE("SIP/2.0 200\r\n\r\n"), ERR_OK, NULL, 0},

	{"empty", SLICE(""), ERR_MALFORMED, NULL, 0},
	{"keep-alive", SLICE("\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"zeros", SLICE("\0\0\0\0"), ERR_MALFORMED, NULL, 0},
	{"HTTP", SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"no method", SLICE(" sip:a SIP/2.0\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"bad method", SLICE("RE@D sip:a SIP/2.0\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"one line, not ended", SLICE("OPTIONS sip:a SIP/2.0"), ERR_MALFORMED, NULL, 0},
	{"status 99", SLICE("SIP/2.0 099 x\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"status 700", SLICE("SIP/2.0 700 x\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"status of 4 digits", SLICE("SIP/2.0 2000 x\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"status of signs", SLICE("SIP/2.0 +20 x\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"other version's response", SLICE("SIP/3.0 200 OK\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"LF only", SLICE("OPTIONS sip:a SIP/2.0\nTo: b\n\n"), ERR_MALFORMED, NULL, 0},
	{"one LF only", SLICE(HEAD "a: b\nc: d\r\n\r\n"), ERR_MALFORMED, NULL, 0},
	{"CR in a line", SLICE(HEAD "a: b\rc: d\r\n\r\n"), ERR_MALFORMED, NULL, 0},

	{"not ended", SLICE(HEAD), ERR_OK, "Unfinished Header", 400},
	{"cut in a line", SLICE(HEAD "Contact: <sip:"), ERR_OK, "Unfinished Header", 400},
	{"cut in CR LF", SLICE(HEAD "\r"), ERR_OK, "Unfinished Header", 400},
	{"no colon", SLICE(HEAD "Contact\r\n\r\n"), ERR_OK, "Bad Header Line", 400},
	{"no name", SLICE(HEAD ": x\r\n\r\n"), ERR_OK, "Bad Header Line", 400},
	{"space in a name", SLICE(HEAD "Con tact: x\r\n\r\n"), ERR_OK, "Bad Header Line", 400},
	{"folded Request-Line", SLICE("OPTIONS sip:a SIP/2.0\r\n To: b\r\n\r\n"), ERR_OK, "Bad Header Line", 400},
	{"version 3", SLICE("OPTIONS sip:a SIP/3.0\r\n\r\n"), ERR_OK, "Version Not Supported", 505},
	{"no URI", SLICE("OPTIONS SIP/2.0\r\n\r\n"), ERR_OK, "Bad Request-Line", 400},
	{"tab", SLICE("OPTIONS sip:a\tSIP/2.0\r\n\r\n"), ERR_OK, "Bad Request-Line", 400},
	{"two From", SLICE(HEAD "f: x\r\n\r\n"), ERR_OK, "Repeated Header", 400},
	{"length too large", SLICE(HEAD "l: 4\r\n\r\nabc"), ERR_OK, "Wrong Content-Length", 400},
	{"length of 2^32", SLICE(HEAD "l: 4294967296\r\n\r\n"), ERR_OK, "Bad Content-Length", 400},
	{"length empty", SLICE(HEAD "l:\r\n\r\n"), ERR_OK, "Bad Content-Length", 400},
};
/* clang-format on */

Test(sip_message, datagrams)
{
	for (size_t i = 0; i < sizeof(datagrams) / sizeof(datagrams[0]); i++) {
		const struct parse_row *row = &datagrams[i];
		struct sip_message m;
		/* An exact copy, so that ASan sees a read past the end. */
		char *copy = malloc(row->text.size + 1);

		memcpy(copy, row->text.data, row->text.size);
		enum err_code code = sip_message_parse(
			slice_of(copy, row->text.size), SIP_DATAGRAM, &m);

		cr_expect_eq(code, row->code, "%s", row->name);
		if (code == ERR_OK) {
			cr_expect_eq(!m.fault, !row->fault, "%s: %s", row->name,
				     m.fault);
			if (m.fault && row->fault)
				cr_expect_str_eq(m.fault, row->fault, "%s",
						 row->name);
			cr_expect_eq(m.fault_status, row->fault_status, "%s",
				     row->name);
		}
		free(copy);
	}
}

static void parse(const char *text, enum sip_framing framing,
		  struct sip_message *m)
{
	cr_assert_eq(sip_message_parse(slice_str(text), framing, m), ERR_OK,
		     "%s", text);
}

Test(sip_message, body_by_length)
{
	struct sip_message m;

	parse(HEAD "l: 2\r\n\r\nabc", SIP_DATAGRAM, &m);
	cr_expect(slice_is(m.body, "ab"));
	parse(HEAD "\r\nabc", SIP_DATAGRAM, &m);
	cr_expect(slice_is(m.body, "abc"));
	parse(HEAD "Content-Length :\r\n 3\r\n\r\nabc", SIP_STREAM, &m);
	cr_expect(slice_is(m.body, "abc"));
	cr_expect_not(m.fault);
	parse(HEAD "l: 2\r\n\r\nabc", SIP_STREAM, &m);
	cr_expect_str_eq(m.fault, "Wrong Content-Length");
	parse(HEAD "\r\n", SIP_STREAM, &m);
	cr_expect_str_eq(m.fault, "Missing Content-Length");
}

Test(sip_message, request_parts)
{
	struct sip_message m;
	struct sip_address to;
	struct sip_cseq cseq;
	struct sip_via via;
	struct sip_uri uri;
	uint32_t number;
	int64_t unix_s;

	parse(HEAD "Retry-After: 18 (back soon);duration=3\r\n"
		   "expires: 60\r\n\r\n",
	      SIP_DATAGRAM, &m);
	cr_expect(m.request);
	cr_expect_eq(m.method, SIP_METHOD_REGISTER);
	cr_expect_eq(m.count, 7);
	cr_expect_eq(sip_message_uri(&m, &uri), ERR_OK);
	cr_expect(slice_is(uri.host.name, "example.com"));
	cr_expect_eq(sip_message_via(&m, &via), ERR_OK);
	cr_expect(slice_is(via.branch, "z9hG4bK74bf9"));
	cr_expect_eq(sip_message_cseq(&m, &cseq), ERR_OK);
	cr_expect_eq(cseq.number, 2);
	cr_expect_eq(cseq.method, SIP_METHOD_REGISTER);
	cr_expect(slice_is(sip_message_value(&m, SIP_CALL_ID),
			   "3848276298220188511@192.0.2.4"));
	cr_expect_eq(sip_message_number(&m, SIP_EXPIRES, &number), ERR_OK);
	cr_expect_eq(number, 60);
	cr_expect_eq(sip_message_number(&m, SIP_RETRY_AFTER, &number), ERR_OK);
	cr_expect_eq(number, 18);
	cr_expect_eq(sip_message_number(&m, SIP_MIN_EXPIRES, &number),
		     ERR_NOT_FOUND);
	cr_expect_eq(sip_message_date(&m, &unix_s), ERR_NOT_FOUND);
	cr_expect_eq(sip_message_address(&m, SIP_CONTACT, &to), ERR_NOT_FOUND);
	cr_expect_not(sip_message_value(&m, SIP_USER_AGENT).data);
}

Test(sip_message, broken_values_are_told)
{
	struct sip_message m;
	struct sip_address contact;
	struct sip_cseq cseq;
	struct sip_via via;
	uint32_t number;
	int64_t unix_s;

	parse("OPTIONS sip:a SIP/2.0\r\nVia: x\r\nCSeq: 1\r\nm: <\r\n"
	      "Expires: a\r\nRetry-After: 5 x\r\nDate: today\r\n\r\n",
	      SIP_DATAGRAM, &m);
	cr_expect_eq(sip_message_via(&m, &via), ERR_MALFORMED);
	cr_expect_eq(sip_message_cseq(&m, &cseq), ERR_MALFORMED);
	cr_expect_eq(sip_message_address(&m, SIP_CONTACT, &contact),
		     ERR_MALFORMED);
	cr_expect_eq(sip_message_number(&m, SIP_EXPIRES, &number),
		     ERR_MALFORMED);
	cr_expect_eq(sip_message_number(&m, SIP_RETRY_AFTER, &number),
		     ERR_MALFORMED);
	cr_expect_eq(sip_message_date(&m, &unix_s), ERR_MALFORMED);
}

/* Long names, compact forms and any case are one header; order is kept. */
Test(sip_message, lists_over_lines_and_commas)
{
	static const char *const users[] = {"a", "b", "c", "d"};
	struct sip_message m;
	struct sip_address contact;
	struct slice tag;

	parse(HEAD "Contact: <sip:a@x>, <sip:b@x>\r\nSupported: path\r\n"
		   "CONTACT : sip:c@x\r\nm:\r\nk: gruu, Outbound\r\n"
		   "m: <sip:d@x>\r\n\r\n",
	      SIP_DATAGRAM, &m);
	struct sip_list list = sip_list_of(&m, SIP_CONTACT);

	for (int i = 0; i < 4; i++) {
		cr_assert_eq(sip_list_address(&list, &contact), ERR_OK);
		cr_expect(slice_is(contact.uri.user, users[i]));
	}
	cr_expect_eq(sip_list_address(&list, &contact), ERR_NOT_FOUND);
	cr_expect_eq(sip_list_address(&list, &contact), ERR_NOT_FOUND);
	cr_expect(sip_message_lists(&m, SIP_SUPPORTED, "outbound"));
	cr_expect(sip_message_lists(&m, SIP_SUPPORTED, "path"));
	cr_expect_not(sip_message_lists(&m, SIP_SUPPORTED, "100rel"));
	cr_expect_not(sip_message_lists(&m, SIP_REQUIRE, "path"));
	list = sip_list_of(&m, SIP_REQUIRE);
	cr_expect_eq(sip_list_token(&list, &tag), ERR_NOT_FOUND);
}

Test(sip_message, list_ends_at_a_fault)
{
	struct sip_message m;
	struct sip_address contact;

	parse(HEAD "Contact: <sip:a@x>, <\r\nm: <sip:b@x>\r\n\r\n",
	      SIP_DATAGRAM, &m);
	struct sip_list list = sip_list_of(&m, SIP_CONTACT);

	cr_expect_eq(sip_list_address(&list, &contact), ERR_OK);
	cr_expect_eq(sip_list_address(&list, &contact), ERR_MALFORMED);
	cr_expect_eq(sip_list_address(&list, &contact), ERR_NOT_FOUND);
}

static void expect_contacts(const struct sip_message *message,
			    const char *users, enum err_code end)
{
	struct sip_list list = sip_list_of(message, SIP_CONTACT);
	struct sip_address contact;
	enum err_code code;

	while ((code = sip_list_address(&list, &contact)) == ERR_OK) {
		cr_assert_eq(contact.uri.user.size, 1);
		cr_expect_eq(contact.uri.user.data[0], *users);
		users++;
	}
	cr_expect_eq(code, end, "%.*s", SLICE_ARG(message->text));
	cr_expect_eq(*users, '\0', "%.*s", SLICE_ARG(message->text));
}

/* The first Contact is decoded by the parser, and read from there. */
Test(sip_message, first_contact)
{
	static const struct {
		const char *lines;
		const char *users; /* a letter each */
		enum err_code end;
	} rows[] = {
		{"", "", ERR_NOT_FOUND},
		{"m:\r\n", "", ERR_NOT_FOUND},
		{"m: <sip:a@x>\r\n", "a", ERR_NOT_FOUND},
		{"m: <sip:a@x>, <sip:b@x>\r\n", "ab", ERR_NOT_FOUND},
		{"m:\r\nm: <sip:b@x>\r\n", "b", ERR_NOT_FOUND},
		{"m: <\r\nm: <sip:b@x>\r\n", "", ERR_MALFORMED},
		{"m: <sip:a@x>,\r\n", "", ERR_MALFORMED},
		{"m: <sip:a@x>\r\nm: <\r\n", "a", ERR_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct sip_message m;
		struct sip_address path;

		snprintf(text, sizeof(text), HEAD "Path: <sip:p@x>\r\n%s\r\n",
			 rows[i].lines);
		parse(text, SIP_DATAGRAM, &m);
		/* Twice: that it was read changes nothing. */
		expect_contacts(&m, rows[i].users, rows[i].end);
		expect_contacts(&m, rows[i].users, rows[i].end);

		struct sip_list list = sip_list_of(&m, SIP_PATH);

		cr_expect_eq(sip_list_address(&list, &path), ERR_OK);
		cr_expect(slice_is(path.uri.user, "p"), "%s", text);
	}
}

/* A line of so many letters, one of them another character. */
static void expect_mark(struct buffer *text, size_t size, size_t at, char mark)
{
	const bool good = mark != '\r' && mark != '\n';
	struct sip_message m;

	text->size = 0;
	buffer_append_str(text, HEAD "X:");
	for (size_t i = 0; i < size; i++)
		buffer_append_char(text, i == at ? mark : 'x');
	buffer_append_str(text, "\r\n\r\n");
	cr_assert_eq(sip_message_parse(buffer_slice(text), SIP_DATAGRAM, &m),
		     good ? ERR_OK : ERR_MALFORMED, "%d at %zu of %zu", mark,
		     at, size);
	cr_assert(!good || m.count == 6);
}

/* A CR or LF by itself is found wherever it stands in a line of any length,
 * and what else is low is not taken for one. */
Test(sip_message, breaks_at_any_place)
{
	static const char marks[] = "\r\n\t\v\f\b\x7f\x80\x8d";
	struct buffer text = {0};

	for (size_t size = 1; size < 40; size++)
		for (size_t at = 0; at < size; at++)
			for (size_t i = 0; i < sizeof(marks); i++)
				expect_mark(&text, size, at, marks[i]);
	buffer_fini(&text);
}

/* Reading a list costs no more than its bound, however it is cut in lines. */
Test(sip_message, list_is_bounded)
{
	struct buffer text = {0};
	struct sip_message m;
	struct slice tag;
	size_t count = 0;
	enum err_code code;

	buffer_append_str(&text, HEAD "Require: a");
	for (int i = 1; i < SIP_VALUES_MAX; i++)
		buffer_append_str(&text, i % 60 ? ",a" : "\r\nRequire: a");
	size_t size = text.size;

	buffer_append_str(&text, "\r\n\r\n");
	cr_assert_eq(sip_message_parse(buffer_slice(&text), SIP_DATAGRAM, &m),
		     ERR_OK);
	struct sip_list list = sip_list_of(&m, SIP_REQUIRE);

	while ((code = sip_list_token(&list, &tag)) == ERR_OK)
		count++;
	cr_expect_eq(code, ERR_NOT_FOUND);
	cr_expect_eq(count, SIP_VALUES_MAX);

	text.size = size;
	buffer_append_str(&text, ",a\r\n\r\n");
	cr_assert_eq(sip_message_parse(buffer_slice(&text), SIP_DATAGRAM, &m),
		     ERR_OK);
	list = sip_list_of(&m, SIP_REQUIRE);
	for (count = 0; (code = sip_list_token(&list, &tag)) == ERR_OK;)
		count++;
	cr_expect_eq(code, ERR_MALFORMED);
	cr_expect_eq(count, SIP_VALUES_MAX);
	buffer_fini(&text);
}

static void build_lines(struct buffer *out, int lines, const char *line)
{
	out->size = 0;
	buffer_append_str(out, "OPTIONS sip:a SIP/2.0\r\na: b\r\n");
	for (int i = 1; i < lines; i++)
		buffer_append_str(out, line);
	buffer_append_str(out, "\r\n");
}

/* Lines are read until there are too many, folded ones included. */
Test(sip_message, lines_are_bounded)
{
	static const char *const lines[] = {"a: b\r\n", " folded\r\n"};
	struct buffer text = {0};
	struct sip_message m;

	for (int i = 0; i < 2; i++) {
		build_lines(&text, SIP_LINES_MAX, lines[i]);
		cr_assert_eq(sip_message_parse(buffer_slice(&text),
					       SIP_DATAGRAM, &m),
			     ERR_OK);
		cr_expect_not(m.fault, "%s", lines[i]);
		cr_expect_eq(m.count, i == 0 ? SIP_LINES_MAX : 1);
		build_lines(&text, SIP_LINES_MAX + 1, lines[i]);
		/* Nothing behind the bound is looked at: not even this. */
		buffer_append_str(&text, "\n\n");
		cr_assert_eq(sip_message_parse(buffer_slice(&text),
					       SIP_DATAGRAM, &m),
			     ERR_OK);
		cr_expect_eq(m.fault_status, 513, "%s", lines[i]);
		cr_expect_eq(m.body.size, 0);
	}
	buffer_fini(&text);
}

Test(sip_message, words_both_ways)
{
	for (int i = 1; i < SIP_HEADER_COUNT; i++)
		cr_expect_eq(
			(int)sip_header_find(
				sip_header_text((enum sip_header_name)i)),
			i, "%.*s",
			SLICE_ARG(sip_header_text((enum sip_header_name)i)));
	for (int i = 1; i < SIP_METHOD_COUNT; i++)
		cr_expect_eq((int)sip_method_find(
				     sip_method_text((enum sip_method)i)),
			     i);
	for (int i = 1; i < SIP_TRANSPORT_COUNT; i++)
		cr_expect_eq((int)sip_transport_find(
				     sip_transport_text((enum sip_transport)i)),
			     i);
	cr_expect_eq(sip_header_find(slice_str("cAlL-iD")), SIP_CALL_ID);
	cr_expect_eq(sip_header_find(slice_str("I")), SIP_CALL_ID);
	cr_expect_eq(sip_header_find(slice_str("Call_ID")), SIP_HEADER_OTHER);
	cr_expect_eq(sip_header_find(slice_str("q")), SIP_HEADER_OTHER);
	cr_expect_eq(sip_header_find(slice_str("")), SIP_HEADER_OTHER);
	cr_expect_eq(sip_header_find(slice_str("A-Name-Longer-Than-Any")),
		     SIP_HEADER_OTHER);
	cr_expect_eq(sip_method_find(slice_str("register")), SIP_METHOD_OTHER);
	cr_expect_eq(sip_transport_find(slice_str("tls")), SIP_TRANSPORT_TLS);
	cr_expect(slice_is(sip_status_text(423), "Interval Too Brief"));
	cr_expect(slice_is(sip_status_text(499), "Bad Request"));
	cr_expect(slice_is(sip_status_text(9), "Unknown"));
}

struct frame_row {
	const char *text;
	enum err_code code;
	size_t size;
};

static const struct frame_row frames[] = {
	{"", ERR_OK, 0},
	{"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n", ERR_OK, 0},
	{"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", ERR_OK, 31},
	{"OPTIONS sip:a SIP/2.0\r\nl: 5\r\n\r\nab", ERR_OK, 36},
	{"OPTIONS sip:a SIP/2.0\r\nContent-Length:\r\n 2\r\n\r\nabSIP", ERR_OK,
	 48},
	{"OPTIONS sip:a SIP/2.0\r\nl: 70\r\n\r\n", ERR_TOO_LARGE, 0},
	{"OPTIONS sip:a SIP/2.0\r\nl: 4294967295\r\n\r\n", ERR_TOO_LARGE, 0},
	{"OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\n", ERR_MALFORMED, 0},
	{"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\n", ERR_MALFORMED, 0},
	{"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n\r\n", ERR_MALFORMED, 0},
	{"OPTIONS sip:a SIP/2.0\nl: 1\r\n\r\n", ERR_MALFORMED, 0},
	{"\r\n\r\n", ERR_MALFORMED, 0},
};

Test(sip_message, frames_of_a_stream)
{
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		size_t searched = 0, size = 77;

		cr_expect_eq(sip_frame_find(slice_str(frames[i].text), 100,
					    &searched, &size),
			     frames[i].code, "%s", frames[i].text);
		if (frames[i].code == ERR_OK)
			cr_expect_eq(size, frames[i].size, "%s: %zu",
				     frames[i].text, size);
	}
}

/* Byte by byte the answer is the same, and comes with the last of the head. */
Test(sip_message, frames_in_drips)
{
	static const struct slice text =
		SLICE("OPTIONS sip:a SIP/2.0\r\nl: 2\r\n\r\nab");
	size_t searched = 0, size = 0, at = 0;

	while (size == 0 && at < text.size)
		cr_assert_eq(sip_frame_find(slice_of(text.data, ++at), 100,
					    &searched, &size),
			     ERR_OK);
	cr_expect_eq(at, text.size - 2);
	cr_expect_eq(size, text.size);
}

Test(sip_message, endless_head_is_refused)
{
	char text[101];
	size_t searched = 0, size;

	memset(text, 'a', sizeof(text));
	cr_expect_eq(sip_frame_find(slice_of(text, 100), 100, &searched, &size),
		     ERR_OK);
	cr_expect_eq(size, 0);
	cr_expect_eq(sip_frame_find(slice_of(text, 101), 100, &searched, &size),
		     ERR_TOO_LARGE);
}
