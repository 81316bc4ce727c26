#include "services/registrar/sip/address.h"

#include "services/registrar/sip/via.h"

#include <criterion/criterion.h>

struct address_row {
	const char *text;
	const char *display; /* NULL: refused */
	const char *uri;
	const char *parameters;
	const char *tag; /* NULL: none */
};

static const struct address_row addresses[] = {
	{"sip:a@b", "", "sip:a@b", "", NULL},
	{" sip:a@b ;tag=1 ", "", "sip:a@b", " ;tag=1", "1"},
	{"<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", ";tag=1", "1"},
	{"Bob Jones <sip:a@b>", "Bob Jones", "sip:a@b", "", NULL},
	{"caller<sip:a@b>;tag=3", "caller", "sip:a@b", ";tag=3", "3"},
	{"\"a <b> \\\" c\"<sip:a@b>", "\"a <b> \\\" c\"", "sip:a@b", "", NULL},
	{"\"\" <sip:a@b>", "\"\"", "sip:a@b", "", NULL},
	{"*x <sip:a@b>", "*x", "sip:a@b", "", NULL},
	{"A\r\n B\r\n <sip:a@b>", "A\r\n B", "sip:a@b", "", NULL},
	{"<sip:a,b;c?d@e>", "", "sip:a,b;c?d@e", "", NULL},
	{"<sip:a@b?Route=%3Csip:c%3E>", "", "sip:a@b?Route=%3Csip:c%3E", "",
	 NULL},
	{"isbn:2983792873", "", "isbn:2983792873", "", NULL},
	{"", NULL, NULL, NULL, NULL},
	{"*", NULL, NULL, NULL, NULL},
	{"sip:a@b, sip:c@d", NULL, NULL, NULL, NULL},
	{"sip:a@b,", NULL, NULL, NULL, NULL},
	{",sip:a@b", NULL, NULL, NULL, NULL},
	{"sip:a@b?x=y", NULL, NULL, NULL, NULL},
	{"sip:a@b;", NULL, NULL, NULL, NULL},
	{"sip:a@b x", NULL, NULL, NULL, NULL},
	{"< sip:a@b>", NULL, NULL, NULL, NULL},
	{"<sip:a@b", NULL, NULL, NULL, NULL},
	{"<sip:a@b>>", NULL, NULL, NULL, NULL},
	{"<sip:a@b> x", NULL, NULL, NULL, NULL},
	{"<>", NULL, NULL, NULL, NULL},
	{"\"x <sip:a@b>", NULL, NULL, NULL, NULL},
	{"\"x\" sip:a@b", NULL, NULL, NULL, NULL},
	{"\"x\" y <sip:a@b>", NULL, NULL, NULL, NULL},
	{"Bell, A <sip:a@b>", NULL, NULL, NULL, NULL},
	{"\xc3\xa9 <sip:a@b>", NULL, NULL, NULL, NULL},
	{"a@b", NULL, NULL, NULL, NULL},
};

Test(sip_address, one_address)
{
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		const struct address_row *row = &addresses[i];
		struct sip_address a;
		enum err_code code =
			sip_address_decode(slice_str(row->text), &a);

		cr_expect_eq(code, row->display ? ERR_OK : ERR_MALFORMED, "%s",
			     row->text);
		if (code != ERR_OK)
			continue;
		cr_expect(slice_is(a.display, row->display), "%s", row->text);
		cr_expect(slice_is(a.uri.text, row->uri), "%s", row->text);
		cr_expect(slice_is(a.parameters, row->parameters), "%s: %.*s",
			  row->text, SLICE_ARG(a.parameters));
		if (row->tag)
			cr_expect(slice_is(a.tag, row->tag), "%s", row->text);
		else
			cr_expect_not(a.tag.data, "%s", row->text);
	}
}

Test(sip_address, list)
{
	struct slice rest = slice_str(
		"\"a,b\" <sip:a,b@c>;q=0.5;expires=60 ,\r\n sip:d@e;expires=x"
		", <sip:f@g>");
	struct sip_address a;
	uint32_t expires_s = 0;

	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect(slice_is(a.text, "\"a,b\" <sip:a,b@c>;q=0.5;expires=60"));
	cr_expect_eq(sip_address_q(&a), 500);
	cr_expect_eq(sip_address_expires(&a, &expires_s), ERR_OK);
	cr_expect_eq(expires_s, 60);
	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect(slice_is(a.uri.user, "d"));
	cr_expect_eq(sip_address_expires(&a, &expires_s), ERR_MALFORMED);
	cr_expect_eq(sip_address_q(&a), 1000);
	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect_eq(sip_address_expires(&a, &expires_s), ERR_NOT_FOUND);
	cr_expect_eq(sip_address_next(&rest, &a), ERR_NOT_FOUND);
}

/* Of two of a name the first counts; one without a value is there. */
Test(sip_address, parameters_that_are_asked_for)
{
	struct slice rest =
		slice_str("<sip:a@b>;Q=0.2;q=0.3;EXPIRES=5;expires=6;Tag;tag=x"
			  ";+SIP.instance=\"<urn:x>\";+sip.instance=\"<urn:y>\""
			  ", <sip:c@d>;expires, sip:e@f");
	struct sip_address a;
	uint32_t expires_s = 0;

	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect_eq(sip_address_q(&a), 200);
	cr_expect_eq(sip_address_expires(&a, &expires_s), ERR_OK);
	cr_expect_eq(expires_s, 5);
	cr_expect(a.tag.data && a.tag.size == 0);
	cr_expect(slice_is(a.instance, "<urn:x>"));
	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect_eq(sip_address_expires(&a, &expires_s), ERR_MALFORMED);
	cr_expect_not(a.tag.data);
	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect_not(a.expires.data);
	cr_expect_not(a.instance.data);
}

Test(sip_address, star)
{
	struct slice rest = slice_str(" * ");
	struct sip_address a;

	cr_expect_eq(sip_address_next(&rest, &a), ERR_OK);
	cr_expect(a.star);
	cr_expect_eq(a.parameters.size, 0);
	cr_expect_eq(sip_address_next(&rest, &a), ERR_NOT_FOUND);
	rest = slice_str("*;x");
	cr_expect_eq(sip_address_next(&rest, &a), ERR_MALFORMED);
}

Test(sip_address, display_name_as_text)
{
	struct buffer out = {0};
	struct sip_address a;

	cr_assert_eq(sip_address_decode(
			     slice_str("\"a \\\"b\\\" \\\\\" <sip:c>"), &a),
		     ERR_OK);
	sip_address_display_append(&out, &a);
	cr_expect(slice_is(buffer_slice(&out), "a \"b\" \\"));
	buffer_fini(&out);
}

struct via_row {
	const char *text;
	enum sip_transport transport;
	const char *host; /* NULL: not even sent-by is readable */
	unsigned port;
	const char *branch; /* NULL: none */
	enum err_code code;
};

static const struct via_row vias[] = {
	{"SIP/2.0/UDP a.example.com:5070;branch=z9hG4bK1", SIP_TRANSPORT_UDP,
	 "a.example.com", 5070, "z9hG4bK1", ERR_OK},
	{"sip / 2.0 /\r\n tls [2001:db8::9] : 5061 ; branch = b",
	 SIP_TRANSPORT_TLS, "2001:db8::9", 5061, "b", ERR_OK},
	{"SIP/2.0/QUIC a", SIP_TRANSPORT_OTHER, "a", 0, NULL, ERR_OK},
	{"SIP/2.0/WSS a;branch", SIP_TRANSPORT_WSS, "a", 0, NULL, ERR_OK},
	{"SIP/2.0/UDP a;;", SIP_TRANSPORT_UDP, "a", 0, NULL, ERR_MALFORMED},
	{"SIP/2.0/UDP a;rport=x", SIP_TRANSPORT_UDP, "a", 0, NULL,
	 ERR_MALFORMED},
	{"SIP/2.0/UDP a,", SIP_TRANSPORT_UDP, "a", 0, NULL, ERR_MALFORMED},
	{"SIP/2.0/UDP a b", SIP_TRANSPORT_UDP, "a", 0, NULL, ERR_MALFORMED},
	{"SIP/2.0/UDP a:0", SIP_TRANSPORT_UDP, NULL, 0, NULL, ERR_MALFORMED},
	{"SIP/2.0/UDP a:", SIP_TRANSPORT_UDP, NULL, 0, NULL, ERR_MALFORMED},
	{"SIP/2.0/UDP", SIP_TRANSPORT_UDP, NULL, 0, NULL, ERR_MALFORMED},
	{"SIP/2.0/UDP ;branch=x", SIP_TRANSPORT_UDP, NULL, 0, NULL,
	 ERR_MALFORMED},
	{"SIP/2.0 a", SIP_TRANSPORT_OTHER, NULL, 0, NULL, ERR_MALFORMED},
	{"a", SIP_TRANSPORT_OTHER, NULL, 0, NULL, ERR_MALFORMED},
};

Test(sip_address, vias)
{
	for (size_t i = 0; i < sizeof(vias) / sizeof(vias[0]); i++) {
		const struct via_row *row = &vias[i];
		struct slice rest = slice_str(row->text);
		struct sip_via via;

		cr_expect_eq(sip_via_next(&rest, &via), row->code, "%s",
			     row->text);
		cr_expect_eq(via.transport, row->transport, "%s", row->text);
		cr_expect_eq(via.sent_by.kind != SIP_HOST_NONE,
			     row->host != NULL, "%s", row->text);
		if (row->host) {
			cr_expect(slice_is(via.sent_by.name, row->host), "%s",
				  row->text);
			cr_expect_eq(via.sent_by.port, row->port, "%s",
				     row->text);
		}
		if (row->branch)
			cr_expect(slice_is(via.branch, row->branch), "%s",
				  row->text);
		else
			cr_expect_not(via.branch.data, "%s", row->text);
	}
}

Test(sip_address, via_parameters)
{
	struct slice rest = slice_str(
		"SIP/2.0/UDP a;rport=6000;received=192.0.2.9;maddr=192.0.2.8"
		";branch=Z9HG4BKx, SIP/2.0/TCP b;rport;branch=z9hG4bK");
	struct sip_via via;

	cr_expect_eq(sip_via_next(&rest, &via), ERR_OK);
	cr_expect(via.has_rport);
	cr_expect_eq(via.rport, 6000);
	cr_expect(slice_is(via.received, "192.0.2.9"));
	cr_expect(slice_is(via.maddr, "192.0.2.8"));
	cr_expect(sip_via_branch_unique(&via));
	cr_expect_eq(sip_via_next(&rest, &via), ERR_OK);
	cr_expect(slice_is(via.text, "SIP/2.0/TCP b;rport;branch=z9hG4bK"));
	cr_expect(via.has_rport);
	cr_expect_eq(via.rport, 0);
	cr_expect_not(sip_via_branch_unique(&via));
	cr_expect_eq(sip_via_next(&rest, &via), ERR_NOT_FOUND);
}

/* Where the parameters of a Via cannot be read, none of them is acted on. */
Test(sip_address, via_with_a_broken_parameter)
{
	struct slice rest = slice_str(
		"SIP/2.0/UDP a:7;rport=9;branch=z9hG4bKx;received=b;maddr=c;=");
	struct sip_via via;

	cr_expect_eq(sip_via_next(&rest, &via), ERR_MALFORMED);
	cr_expect(slice_is(via.sent_by.name, "a"));
	cr_expect_eq(via.sent_by.port, 7);
	cr_expect_not(via.branch.data);
	cr_expect_not(via.received.data);
	cr_expect_not(via.maddr.data);
	cr_expect_not(via.has_rport);
	cr_expect_eq(via.rport, 0);
}
