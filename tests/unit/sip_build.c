#include "services/registrar/sip/build.h"

#include <criterion/criterion.h>

static const struct sip_reply from_elsewhere = {
	.status = 200,
	.to_tag = SLICE("b7"),
	.source = {SIP_HOST_IPV4, SLICE("192.0.2.77"), 5070},
};

static void expect_text(struct buffer *out, const char *wanted)
{
	cr_expect(slice_is(buffer_slice(out), wanted), "%.*s",
		  SLICE_ARG(buffer_slice(out)));
	buffer_fini(out);
}

Test(sip_build, request)
{
	static const struct sip_host sent_by = {SIP_HOST_IPV6,
						SLICE("2001:db8::1"), 5080};
	struct buffer out = {0};

	sip_build_request(&out, SIP_METHOD_REGISTER,
			  slice_str("sip:example.com"));
	sip_build_via(&out, SIP_TRANSPORT_TLS, &sent_by, slice_str("1a2b"));
	sip_build_number(&out, SIP_MAX_FORWARDS, 70);
	sip_build_begin(&out, SIP_FROM);
	sip_quote_append(&out, slice_str("Bob \"B\""));
	sip_build_text(&out, slice_str(" <sip:"));
	sip_user_append(&out, slice_str("b b"));
	sip_build_text(&out, slice_str("@example.com>;tag=1"));
	sip_build_line_end(&out);
	sip_build_header(&out, SIP_CALL_ID, slice_str("c1"));
	sip_build_cseq(&out, 4294967295u, SIP_METHOD_REGISTER);
	sip_build_allow(&out, SIP_METHOD_BIT(SIP_METHOD_OPTIONS) |
				      SIP_METHOD_BIT(SIP_METHOD_ACK));
	sip_build_allow(&out, 0);
	sip_build_end(&out, slice_str("text/plain"), slice_str("hello"));
	expect_text(&out,
		    "REGISTER sip:example.com SIP/2.0\r\n"
		    "Via: SIP/2.0/TLS [2001:db8::1]:5080"
		    ";branch=z9hG4bK1a2b;rport\r\n"
		    "Max-Forwards: 70\r\n"
		    "From: \"Bob \\\"B\\\"\" <sip:b%20b@example.com>;tag=1\r\n"
		    "Call-ID: c1\r\n"
		    "CSeq: 4294967295 REGISTER\r\n"
		    "Allow: ACK, OPTIONS\r\n"
		    "Content-Type: text/plain\r\n"
		    "Content-Length: 5\r\n\r\nhello");
}

/* Nothing in a value can end its line. */
Test(sip_build, values_stay_in_their_line)
{
	struct buffer out = {0};

	sip_build_request(&out, SIP_METHOD_OPTIONS,
			  slice_str("sip:a SIP/2.0\r\nEvil: 1"));
	sip_build_header(&out, SIP_USER_AGENT,
			 slice_of("a\r\nEvil: 1\n\rb\0c", 15));
	sip_build_end(&out, slice_str("text/plain\r\nEvil: 1"), slice_str("x"));
	expect_text(&out, "OPTIONS sip:a SIP/2.0  Evil: 1 SIP/2.0\r\n"
			  "User-Agent: a  Evil: 1  b c\r\n"
			  "Content-Type: text/plain  Evil: 1\r\n"
			  "Content-Length: 1\r\n\r\nx");
}

/* Wherever it is, and whatever stands around it. */
Test(sip_build, breaks_are_found_anywhere)
{
	static const char breaks[] = {'\r', '\n', '\0'};
	enum { SIZE_MAX_TRIED = 40 };
	struct buffer out = {0}, wanted = {0};
	char text[SIZE_MAX_TRIED];

	for (size_t size = 1; size <= sizeof(text); size++)
		for (size_t at = 0; at < 3 * size; at++) {
			memset(text, at % 2 ? 0x80 : '\t', size);
			text[at / 3] = ' ';
			wanted.size = 0;
			buffer_append_str(&wanted, "Subject: ");
			buffer_append(&wanted, text, size);
			buffer_append_str(&wanted, "\r\n");
			text[at / 3] = breaks[at % 3];
			out.size = 0;
			sip_build_header(&out, SIP_SUBJECT,
					 slice_of(text, size));
			cr_assert(slice_eq(buffer_slice(&out),
					   buffer_slice(&wanted)),
				  "%zu of %zu", at / 3, size);
		}
	buffer_fini(&out);
	buffer_fini(&wanted);
}

struct via_row {
	const char *name;
	const char *request; /* the Via lines */
	const char *answer;
};

static const struct via_row vias[] = {
	{"other address", "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n",
	 "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1"
	 ";received=192.0.2.77\r\n"},
	{"same address", "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1\r\n",
	 "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1\r\n"},
	{"a name", "Via: SIP/2.0/UDP a.example.com\r\n",
	 "Via: SIP/2.0/UDP a.example.com;received=192.0.2.77\r\n"},
	{"rport asked for",
	 "Via: SIP/2.0/UDP 192.0.2.77;rport;branch=z9hG4bK1\r\n",
	 "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1"
	 ";received=192.0.2.77;rport=5070\r\n"},
	{"written by the sender",
	 "Via: SIP/2.0/UDP a;received=1.1.1.1;x;rport=1;branch=z9hG4bK1\r\n",
	 "Via: SIP/2.0/UDP a;x;branch=z9hG4bK1"
	 ";received=192.0.2.77;rport=5070\r\n"},
	{"behind the branch",
	 "Via: SIP/2.0/UDP a;branch=z9hG4bK1;received=1.1.1.1;x;rport;y\r\n",
	 "Via: SIP/2.0/UDP a;branch=z9hG4bK1;x;y"
	 ";received=192.0.2.77;rport=5070\r\n"},
	{"spaces around the branch",
	 "Via: SIP/2.0/UDP a; branch = z9hG4bK1 ;rport ; x\r\n",
	 "Via: SIP/2.0/UDP a; branch = z9hG4bK1 ; x"
	 ";received=192.0.2.77;rport=5070\r\n"},
	{"a quoted branch", "Via: SIP/2.0/UDP a;branch=\"1;rport\";rport\r\n",
	 "Via: SIP/2.0/UDP a;branch=\"1;rport\""
	 ";received=192.0.2.77;rport=5070\r\n"},
	{"the first of two branches",
	 "Via: SIP/2.0/UDP a;BRANCH=1;branch=2;rport=4\r\n",
	 "Via: SIP/2.0/UDP a;BRANCH=1;branch=2"
	 ";received=192.0.2.77;rport=5070\r\n"},
	{"all are copied, in order",
	 "v: SIP/2.0/TCP b;rport , SIP/2.0/UDP c;rport\r\nVIA: SIP/2.0/UDP\r\n"
	 " d\r\n",
	 "Via: SIP/2.0/TCP b;received=192.0.2.77;rport=5070, "
	 "SIP/2.0/UDP c;rport\r\nVia: SIP/2.0/UDP   d\r\n"},
	{"broken", "Via: SIP/2.0/UDP a;;\r\n", "Via: SIP/2.0/UDP a;;\r\n"},
};

Test(sip_build, vias_of_a_response)
{
	for (size_t i = 0; i < sizeof(vias) / sizeof(vias[0]); i++) {
		struct buffer text = {0}, out = {0}, wanted = {0};
		struct sip_message m;

		buffer_append_str(&text, "OPTIONS sip:a SIP/2.0\r\n");
		buffer_append_str(&text, vias[i].request);
		buffer_append_str(&text, "\r\n");
		cr_assert_eq(sip_message_parse(buffer_slice(&text),
					       SIP_DATAGRAM, &m),
			     ERR_OK);
		sip_build_response(&out, &m, &from_elsewhere);
		buffer_append_str(&wanted, "SIP/2.0 200 OK\r\n");
		buffer_append_str(&wanted, vias[i].answer);
		cr_expect(slice_eq(buffer_slice(&out), buffer_slice(&wanted)),
			  "%s: %.*s", vias[i].name,
			  SLICE_ARG(buffer_slice(&out)));
		buffer_fini(&text);
		buffer_fini(&out);
		buffer_fini(&wanted);
	}
}

static void respond(const char *request, const struct sip_reply *reply,
		    struct buffer *out)
{
	struct sip_message m;

	cr_assert_eq(sip_message_parse(slice_str(request), SIP_DATAGRAM, &m),
		     ERR_OK);
	sip_build_response(out, &m, reply);
}

Test(sip_build, response_copies_what_identifies)
{
	struct buffer out = {0};

	respond("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n"
		"f: <sip:b@c>\r\n ;tag=1\r\nt: sip:d@e\r\ni: x@y\r\n"
		"Timestamp: 54\r\nCSeq: 7 OPTIONS\r\n\r\n",
		&(struct sip_reply){.status = 423,
				    .reason = SLICE("Too\r\nShort"),
				    .to_tag = SLICE("b7")},
		&out);
	expect_text(&out, "SIP/2.0 423 Too  Short\r\n"
			  "Via: SIP/2.0/UDP a\r\n"
			  "From: <sip:b@c>   ;tag=1\r\n"
			  "To: sip:d@e;tag=b7\r\n"
			  "Call-ID: x@y\r\n"
			  "CSeq: 7 OPTIONS\r\n");
}

Test(sip_build, to_gets_a_tag_once)
{
	struct buffer out = {0};

	respond("OPTIONS sip:a SIP/2.0\r\nTo: <sip:d@e>;tag=own\r\n\r\n",
		&from_elsewhere, &out);
	expect_text(&out, "SIP/2.0 200 OK\r\nTo: <sip:d@e>;tag=own\r\n");
	respond("OPTIONS sip:a SIP/2.0\r\nTo: \"broken\r\n\r\n",
		&from_elsewhere, &out);
	expect_text(&out, "SIP/2.0 200 OK\r\nTo: \"broken\r\n");
	respond("OPTIONS sip:a SIP/2.0\r\nTo: <sip:d@e>\r\nTimestamp: "
		"5\r\n\r\n",
		&(struct sip_reply){.status = 100}, &out);
	expect_text(&out, "SIP/2.0 100 Trying\r\nTo: <sip:d@e>\r\n"
			  "Timestamp: 5\r\n");
}

Test(sip_build, refusal)
{
	static const struct sip_policy policy = {
		.methods = SIP_METHOD_BIT(SIP_METHOD_REGISTER)};
	struct buffer out = {0};
	struct sip_message m;

	cr_assert_eq(sip_message_parse(
			     slice_str("INVITE sip:a SIP/2.0\r\n"
				       "Via: SIP/2.0/UDP a\r\nFrom: sip:b@c\r\n"
				       "To: sip:d@e\r\nCall-ID: x\r\n"
				       "CSeq: 1 INVITE\r\n\r\n"),
			     SIP_DATAGRAM, &m),
		     ERR_OK);
	struct sip_verdict verdict = sip_message_check(&m, &policy);

	cr_assert_eq(verdict.status, 405);
	sip_build_refusal(&out, &m, &verdict, &policy, &from_elsewhere);
	expect_text(&out, "SIP/2.0 405 Method Not Allowed\r\n"
			  "Via: SIP/2.0/UDP a;received=192.0.2.77\r\n"
			  "From: sip:b@c\r\nTo: sip:d@e;tag=b7\r\n"
			  "Call-ID: x\r\nCSeq: 1 INVITE\r\n"
			  "Allow: REGISTER\r\nContent-Length: 0\r\n\r\n");
}
