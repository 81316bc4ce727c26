#include "services/registrar/sip/number.h"
#include "services/registrar/sip/parameter.h"

#include <criterion/criterion.h>

struct text_row {
	const char *text;
	const char *read; /* what is read, one per line; NULL: refused */
};

/* "name", "name=value" or "name="value"" of each, a line each. */
static void write_down(struct buffer *out, const struct sip_parameter *p)
{
	buffer_append_slice(out, p->name);
	if (p->value.data)
		buffer_printf(out, p->quoted ? "=\"%.*s\"" : "=%.*s",
			      SLICE_ARG(p->value));
	buffer_append_char(out, '\n');
}

typedef enum err_code (*next_fn)(struct slice *rest, struct sip_parameter *out);

static void check_rows(const struct text_row *rows, size_t count, next_fn next)
{
	struct buffer out = {0};

	for (size_t i = 0; i < count; i++) {
		struct slice rest = slice_str(rows[i].text);
		struct sip_parameter p;
		enum err_code code;

		out.size = 0;
		while ((code = next(&rest, &p)) == ERR_OK)
			write_down(&out, &p);
		if (!rows[i].read) {
			cr_expect_eq(code, ERR_MALFORMED, "%s", rows[i].text);
			cr_expect_not(rest.data, "%s", rows[i].text);
			cr_expect_eq(next(&rest, &p), ERR_NOT_FOUND);
			continue;
		}
		cr_expect_eq(code, ERR_NOT_FOUND, "%s", rows[i].text);
		cr_expect(slice_is(buffer_slice(&out), rows[i].read),
			  "%s: %.*s", rows[i].text,
			  SLICE_ARG(buffer_slice(&out)));
	}
	buffer_fini(&out);
}

static const struct text_row parameters[] = {
	{"", ""},
	{"  ", ""},
	{";a", "a\n"},
	{";a;b=c", "a\nb=c\n"},
	{" ; a = b ;c\t", "a=b\nc\n"},
	{";a\r\n =\r\n\tb", "a=b\n"},
	{";a=\"b;c,d\";e", "a=\"b;c,d\"\ne\n"},
	{";a=\"\\\"\"", "a=\"\\\"\"\n"},
	{";a=\"\"", "a=\"\"\n"},
	{";received=2001:db8::1", "received=2001:db8::1\n"},
	{";a=[::1]:5060", "a=[::1]:5060\n"},
	{";tag=YWJj==", "tag=YWJj==\n"},
	{";", NULL},
	{";;", NULL},
	{";a;", NULL},
	{"a", NULL},
	{";a=", NULL},
	{";=a", NULL},
	{";a b", NULL},
	{";a=\"b", NULL},
	{";a=\"b\\", NULL},
	{";a=\"b\\\"", NULL},
	{";a=\"b\r\nc\"", NULL},
	{";a=\"b\001\"", NULL},
	{";a,b", NULL},
	{";a=<b>", NULL},
	{";\xc3\xa9", NULL},
};

Test(sip_parameter, parameters)
{
	check_rows(parameters, sizeof(parameters) / sizeof(parameters[0]),
		   sip_parameter_next);
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		cr_expect_eq(
			sip_parameters_valid(slice_str(parameters[i].text)),
			parameters[i].read != NULL, "%s", parameters[i].text);
}

static const struct text_row credentials[] = {
	{"", ""},
	{"a=b", "a=b\n"},
	{"a=\"b, c\" ,\r\n d = e", "a=\"b, c\"\nd=e\n"},
	{"uri=sip:example.com", "uri=sip:example.com\n"},
	{", , , ,", NULL},
	{"a=b,", NULL},
	{"a=b,,c=d", NULL},
	{"a", NULL},
	{"a,b=c", NULL},
	{"a=b c=d", NULL},
	{"a=b;c=d", NULL},
	{"a=\"b", NULL},
};

Test(sip_parameter, credentials)
{
	check_rows(credentials, sizeof(credentials) / sizeof(credentials[0]),
		   sip_pair_next);

	struct sip_credentials c;

	cr_expect_eq(sip_credentials_decode(slice_str("Digest  a=b"), &c),
		     ERR_OK);
	cr_expect(slice_is(c.scheme, "Digest"));
	cr_expect(slice_is(c.pairs, "a=b"));
	cr_expect_eq(sip_credentials_decode(slice_str("Digest"), &c),
		     ERR_MALFORMED);
	cr_expect_eq(sip_credentials_decode(slice_str(""), &c), ERR_MALFORMED);
	cr_expect_eq(sip_credentials_decode(slice_str(", a=b"), &c),
		     ERR_MALFORMED);
}

Test(sip_parameter, tokens)
{
	struct slice rest = slice_str(" path ,\r\n outbound"), word;

	cr_expect_eq(sip_token_next(&rest, &word), ERR_OK);
	cr_expect(slice_is(word, "path"));
	cr_expect_eq(sip_token_next(&rest, &word), ERR_OK);
	cr_expect(slice_is(word, "outbound"));
	cr_expect_eq(sip_token_next(&rest, &word), ERR_NOT_FOUND);

	static const char *const bad[] = {",", "a b", "a/b", "a,", ",a"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rest = slice_str(bad[i]);
		cr_expect_eq(sip_token_next(&rest, &word), ERR_MALFORMED, "%s",
			     bad[i]);
	}
}

Test(sip_parameter, lookup)
{
	struct slice all = slice_str(";a;B=c;b=d;e=\"f\"");
	struct sip_parameter p;

	cr_expect(slice_is(sip_parameter_value(all, "b"), "c"));
	cr_expect(slice_is(sip_parameter_value(all, "E"), "f"));
	cr_expect(sip_parameter_value(all, "a").data);
	cr_expect_eq(sip_parameter_value(all, "a").size, 0);
	cr_expect_not(sip_parameter_value(all, "x").data);
	cr_expect_eq(sip_parameter_find(all, "e", &p), ERR_OK);
	cr_expect(p.quoted);
}

Test(sip_parameter, number_of_parameters_is_bounded)
{
	struct buffer text = {0};

	for (int i = 0; i < SIP_PARAMETERS_MAX; i++)
		buffer_append_str(&text, ";a");
	cr_expect(sip_parameters_valid(buffer_slice(&text)));
	buffer_append_str(&text, ";a");
	cr_expect_not(sip_parameters_valid(buffer_slice(&text)));
	buffer_fini(&text);
}

Test(sip_parameter, quoting)
{
	struct buffer out = {0}, again = {0};

	sip_quote_append(&out, slice_of("a\"b\\c\r\nd\0e\x7f\xc3\xa9", 13));
	cr_expect(
		slice_is(buffer_slice(&out), "\"a\\\"b\\\\c  d e \xc3\xa9\""));
	sip_quoted_append(&again, slice_of(out.data + 1, out.size - 2));
	cr_expect(slice_is(buffer_slice(&again), "a\"b\\c  d e \xc3\xa9"));
	buffer_fini(&out);
	buffer_fini(&again);
}

struct number_row {
	const char *text;
	int64_t number; /* -1: refused */
};

static const struct number_row numbers[] = {
	{"0", 0},
	{"0068", 68},
	{"4294967295", UINT32_MAX},
	{"4294967296", -1},
	{"36893488147419103232", -1},
	{"00000000000000000000000000001", 1},
	{"", -1},
	{"-1", -1},
	{"+1", -1},
	{" 1", -1},
	{"1 ", -1},
	{"1a", -1},
};

static const struct number_row ports[] = {
	{"1", 1}, {"65535", 65535}, {"05060", 5060}, {"0", -1}, {"65536", -1},
};

static const struct number_row qvalues[] = {
	{"0", 0},	{"1", 1000},  {"1.000", 1000}, {"0.5", 500}, {"0.", 0},
	{"0.33", 330},	{"0.001", 1}, {"1.001", -1},   {"2", -1},    {".5", -1},
	{"0.0001", -1}, {"0,5", -1},  {"", -1},	       {"05", -1},
};

static const struct number_row dates[] = {
	{"Sat, 13 Nov 2010 23:29:00 GMT", 1289690940},
	{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	{"thu, 29 feb 2024 12:00:00 gmt", 1709208000},
	{"Fri, 01 Jan 2010 16:00:00 EST", -1},
	{"Fri, 13 Nov 2010 23:29:00 GMT", -1},
	{"Tue, 30 Feb 2024 12:00:00 GMT", -1},
	{"Sat, 13 Nov 2010 24:29:00 GMT", -1},
	{"Sat, 13 Nov 2010 23:60:00 GMT", -1},
	{"Sat, 13 Nov 2010 23:29:61 GMT", -1},
	{"Sat, 13 Foo 2010 23:29:00 GMT", -1},
	{"Sat, 13 Nov 0010 23:29:00 GMT", -1},
	{"Sat, 1a Nov 2010 23:29:00 GMT", -1},
	{"Sat, 13 Nov 2010 23:29:00 GMT ", -1},
	{"Sat. 13 Nov 2010 23:29:00 GMT", -1},
	{"Saturday, 13-Nov-10 23:29:00 GMT", -1},
	{"", -1},
};

#define EACH(row, rows)                                                        \
	for (const struct number_row *row = rows;                              \
	     row < rows + sizeof(rows) / sizeof(rows[0]); row++)

Test(sip_parameter, numbers)
{
	EACH(row, numbers)
	{
		uint32_t number = 77;
		enum err_code code =
			sip_number_decode(slice_str(row->text), &number);

		cr_expect_eq(code, row->number < 0 ? ERR_MALFORMED : ERR_OK,
			     "%s", row->text);
		cr_expect_eq(number, row->number < 0 ? 77 : row->number, "%s",
			     row->text);
	}
	EACH(row, ports)
	{
		uint16_t number = 77;
		enum err_code code =
			sip_port_decode(slice_str(row->text), &number);

		cr_expect_eq(code, row->number < 0 ? ERR_MALFORMED : ERR_OK,
			     "%s", row->text);
		cr_expect_eq(number, row->number < 0 ? 77 : row->number, "%s",
			     row->text);
	}
	EACH(row, qvalues)
	{
		unsigned number = 77;
		enum err_code code =
			sip_qvalue_decode(slice_str(row->text), &number);

		cr_expect_eq(code, row->number < 0 ? ERR_MALFORMED : ERR_OK,
			     "%s", row->text);
		cr_expect_eq(number, row->number < 0 ? 77 : row->number, "%s",
			     row->text);
	}
}

Test(sip_parameter, dates)
{
	EACH(row, dates)
	{
		int64_t unix_s = 77;
		enum err_code code =
			sip_date_decode(slice_str(row->text), &unix_s);

		cr_expect_eq(code, row->number < 0 ? ERR_MALFORMED : ERR_OK,
			     "%s", row->text);
		cr_expect_eq(unix_s, row->number < 0 ? 77 : row->number, "%s",
			     row->text);
	}
}
