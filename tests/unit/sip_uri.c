#include "services/registrar/sip/uri.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct uri_row {
	const char *text;
	enum sip_scheme scheme;
	const char *user; /* NULL: none */
	const char *password;
	enum sip_host_kind kind;
	const char *host;
	unsigned port;
	const char *parameters;
	const char *headers; /* NULL: none */
};

static const struct uri_row good_uris[] = {
	{"sip:example.com", SIP_SCHEME_SIP, NULL, NULL, SIP_HOST_NAME,
	 "example.com", 0, "", NULL},
	{"SIPS:alice@example.com:5061", SIP_SCHEME_SIPS, "alice", NULL,
	 SIP_HOST_NAME, "example.com", 5061, "", NULL},
	{"sip:alice:secret@192.0.2.1;transport=tcp?a=b&c=", SIP_SCHEME_SIP,
	 "alice", "secret", SIP_HOST_IPV4, "192.0.2.1", 0, ";transport=tcp",
	 "a=b&c="},
	{"sip:a@[2001:db8::1]:5070;lr", SIP_SCHEME_SIP, "a", NULL,
	 SIP_HOST_IPV6, "2001:db8::1", 5070, ";lr", NULL},
	{"sip:[::ffff:192.0.2.1]", SIP_SCHEME_SIP, NULL, NULL, SIP_HOST_IPV6,
	 "::ffff:192.0.2.1", 0, "", NULL},
	{"sip:a:@b", SIP_SCHEME_SIP, "a", "", SIP_HOST_NAME, "b", 0, "", NULL},
	{"sip:+1-212;isub=5@gw.example.com;user=phone", SIP_SCHEME_SIP,
	 "+1-212;isub=5", NULL, SIP_HOST_NAME, "gw.example.com", 0,
	 ";user=phone", NULL},
	{"sip:3f2a9@0a1b2c.pbx_1.", SIP_SCHEME_SIP, "3f2a9", NULL,
	 SIP_HOST_NAME, "0a1b2c.pbx_1.", 0, "", NULL},
	{"tel:+1-(201)-555-0123;phone-context=example.com", SIP_SCHEME_TEL,
	 "+1-(201)-555-0123", NULL, SIP_HOST_NONE, NULL, 0,
	 ";phone-context=example.com", NULL},
	{"urn:uuid:f81d4fae-7dec-11d0", SIP_SCHEME_OTHER,
	 "uuid:f81d4fae-7dec-11d0", NULL, SIP_HOST_NONE, NULL, 0, "", NULL},
};

static const char *const bad_uris[] = {
	"",
	"sip",
	"sip:",
	":a@b",
	"1sip:a@b",
	"sip:@b",
	"sip:a@",
	"sip:a@b:",
	"sip:a@b:0",
	"sip:a@b:65536",
	"sip:a@b:99999999999999999999",
	"sip:a@b:5060x",
	"sip:a@b;",
	"sip:a@b;;lr",
	"sip:a@b;x=",
	"sip:a@b;=x",
	"sip:a@b?",
	"sip:a@b?x",
	"sip:a@b?x=1&",
	"sip:a@b c",
	"sip: a@b",
	"sip:a%4@b",
	"sip:a%zz@b",
	"sip:a@b;x=%1",
	"sip:a\"@b",
	"sip:a<@b",
	"sip:a@b>",
	"sip:a@.b",
	"sip:a@b..c",
	"sip:a@192.0.2.256",
	"sip:a@192.0.2",
	"sip:1234",
	"sip:a@[2001:db8::1",
	"sip:a@[zz]",
	"sip:a@[]",
	"sip:a@2001:db8::1",
	"sip:a\r\n@b",
	"sip:\xc3\xa9@b",
	"tel:",
	"tel:alice",
	"urn:",
	"urn:a b",
};

static void expect_part(struct slice part, const char *wanted, const char *text)
{
	if (!wanted) {
		cr_expect_not(part.data, "%s", text);
		return;
	}
	cr_expect(part.data && slice_is(part, wanted), "%s: %.*s for %s", text,
		  SLICE_ARG(part), wanted);
}

Test(sip_uri, parts)
{
	for (size_t i = 0; i < sizeof(good_uris) / sizeof(good_uris[0]); i++) {
		const struct uri_row *row = &good_uris[i];
		struct sip_uri uri;

		cr_expect_eq(sip_uri_decode(slice_str(row->text), &uri), ERR_OK,
			     "%s", row->text);
		cr_expect_eq(uri.scheme, row->scheme, "%s", row->text);
		expect_part(uri.user, row->user, row->text);
		expect_part(uri.password, row->password, row->text);
		cr_expect_eq(uri.host.kind, row->kind, "%s", row->text);
		expect_part(uri.host.name, row->host, row->text);
		cr_expect_eq(uri.host.port, row->port, "%s", row->text);
		expect_part(uri.parameters, row->parameters, row->text);
		expect_part(uri.headers, row->headers, row->text);
	}
}

Test(sip_uri, broken_ones_are_refused)
{
	for (size_t i = 0; i < sizeof(bad_uris) / sizeof(bad_uris[0]); i++) {
		struct sip_uri uri;

		cr_expect_eq(sip_uri_decode(slice_str(bad_uris[i]), &uri),
			     ERR_MALFORMED, "%s", bad_uris[i]);
	}
}

Test(sip_uri, number_of_parameters_is_bounded)
{
	struct buffer text = {0};
	struct sip_uri uri;

	buffer_append_str(&text, "sip:b");
	for (int i = 0; i < SIP_PARAMETERS_MAX; i++)
		buffer_append_str(&text, ";a");
	cr_expect_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_OK);
	buffer_append_str(&text, ";a");
	cr_expect_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_MALFORMED);
	text.size = 0;
	buffer_append_str(&text, "sip:b?a=");
	for (int i = 1; i < SIP_PARAMETERS_MAX; i++)
		buffer_append_str(&text, "&a=");
	cr_expect_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_OK);
	buffer_append_str(&text, "&a=");
	cr_expect_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_MALFORMED);
	buffer_fini(&text);
}

Test(sip_uri, host_length_is_bounded)
{
	struct buffer text = {0};
	struct sip_uri uri;

	buffer_append_str(&text, "sip:");
	for (int i = 0; i < SIP_HOST_BYTES; i++)
		buffer_append_char(&text, 'a');
	cr_expect_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_OK);
	buffer_append_char(&text, 'a');
	cr_expect_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_MALFORMED);
	buffer_fini(&text);
}

Test(sip_uri, parameter_lookup)
{
	struct sip_uri uri;

	cr_assert_eq(sip_uri_decode(slice_str("sip:a@b;Transport=TCP;%6Cr;x=1"),
				    &uri),
		     ERR_OK);
	cr_expect_eq(sip_uri_transport(&uri), SIP_TRANSPORT_TCP);
	cr_expect(slice_is(sip_uri_parameter(&uri, "transport"), "TCP"));
	cr_expect(sip_uri_parameter(&uri, "lr").data);
	cr_expect_eq(sip_uri_parameter(&uri, "lr").size, 0);
	cr_expect_not(sip_uri_parameter(&uri, "maddr").data);
}

struct pair_row {
	const char *a, *b;
	bool equal;
};

/* RFC 3261 19.1.4 and what it says of each part. */
static const struct pair_row pairs[] = {
	{"sip:%61lice@atlanta.com;transport=TCP",
	 "sip:alice@AtLanTa.CoM;Transport=tcp", true},
	{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
	{"sip:carol@chicago.com;security=on",
	 "sip:carol@chicago.com;newparam=5", true},
	{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
	 "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
	 true},
	{"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
	 "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},
	{"SIP:ALICE@AtLanTa.CoM;Transport=udp",
	 "sip:alice@AtLanTa.CoM;Transport=UDP", false},
	{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
	{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
	{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
	{"sip:carol@chicago.com",
	 "sip:carol@chicago.com?Subject=next%20meeting", false},
	{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
	{"sip:carol@chicago.com;security=on",
	 "sip:carol@chicago.com;security=off", false},
	{"sip:a@b", "sips:a@b", false},
	{"sip:a@b", "sip:b", false},
	{"sip:a@b", "sip:a:@b", false},
	{"sip:a@b;user=phone", "sip:a@b", false},
	{"sip:a@b;ttl=1", "sip:a@b", false},
	{"sip:a@b;maddr=192.0.2.1", "sip:a@b", false},
	{"sip:a@b;lr", "sip:a@b;lr=on", false},
	{"sip:a%3Bb@c", "sip:a;b@c", false}, /* ';' is reserved */
	{"sip:a@b?x=1&x=2", "sip:a@b?x=2&x=1", true},
	{"sip:a@b?x=1", "sip:a@b?x=1&y=2", false},
	{"urn:a", "urn:a", true},
	{"urn:a", "URN:a", false},
	{"tel:+1201", "tel:+1201;x=1", true},
};

Test(sip_uri, comparison)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct sip_uri a, b;

		cr_assert_eq(sip_uri_decode(slice_str(pairs[i].a), &a), ERR_OK,
			     "%s", pairs[i].a);
		cr_assert_eq(sip_uri_decode(slice_str(pairs[i].b), &b), ERR_OK,
			     "%s", pairs[i].b);
		cr_expect_eq(sip_uri_eq(&a, &b), pairs[i].equal, "%s %s",
			     pairs[i].a, pairs[i].b);
		cr_expect_eq(sip_uri_eq(&b, &a), pairs[i].equal, "%s %s",
			     pairs[i].b, pairs[i].a);
		cr_expect(sip_uri_eq(&a, &a), "%s", pairs[i].a);
	}
}

/* One more parameter than is compared: they differ, unless written alike. */
Test(sip_uri, comparison_is_bounded)
{
	struct buffer texts[2] = {{0}, {0}};
	struct sip_uri a, b;

	buffer_append_str(&texts[0], "sip:b;x=0");
	buffer_append_str(&texts[1], "sip:b");
	for (int i = 1; i < SIP_URI_COMPARE_MAX; i++)
		for (int j = 0; j < 2; j++)
			buffer_printf(&texts[j], ";p%d=1", i);
	buffer_append_str(&texts[1], ";x=0");
	cr_assert_eq(sip_uri_decode(buffer_slice(&texts[0]), &a), ERR_OK);
	cr_assert_eq(sip_uri_decode(buffer_slice(&texts[1]), &b), ERR_OK);
	cr_expect(sip_uri_eq(&a, &b));
	for (int j = 0; j < 2; j++)
		buffer_append_str(&texts[j], ";last");
	cr_assert_eq(sip_uri_decode(buffer_slice(&texts[0]), &a), ERR_OK);
	cr_assert_eq(sip_uri_decode(buffer_slice(&texts[1]), &b), ERR_OK);
	cr_expect_not(sip_uri_eq(&a, &b));
	cr_expect(sip_uri_eq(&a, &a));
	buffer_fini(&texts[0]);
	buffer_fini(&texts[1]);
}

struct key_row {
	const char *text, *key; /* NULL: none */
};

static const struct key_row keys[] = {
	{"sip:Alice@Example.COM:5060;transport=tcp", "Alice@example.com"},
	{"sips:%41lice:pw@example.com", "Alice@example.com"},
	{"sip:a%40b@example.com", "a@b@example.com"},
	{"sip:Example.com", "example.com"},
	{"sip:a@[2001:DB8::1]", "a@2001:db8::1"},
	{"tel:+1-(201)-555.0123;ext=5", "+12015550123"},
	{"urn:a", NULL},
};

Test(sip_uri, canonical_key)
{
	struct buffer out = {0};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct sip_uri uri;

		out.size = 0;
		cr_assert_eq(sip_uri_decode(slice_str(keys[i].text), &uri),
			     ERR_OK);
		cr_expect_eq(sip_uri_aor_append(&out, &uri),
			     keys[i].key ? ERR_OK : ERR_MALFORMED, "%s",
			     keys[i].text);
		cr_expect(slice_is(buffer_slice(&out),
				   keys[i].key ? keys[i].key : ""),
			  "%s", keys[i].text);
	}
	buffer_fini(&out);
}

/* Any user written into a URI reads back as itself. */
Test(sip_uri, user_is_escaped)
{
	struct buffer text = {0}, again = {0};
	char bytes[256];
	struct sip_uri uri;

	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	buffer_append_str(&text, "sip:");
	sip_user_append(&text, slice_of(bytes, sizeof(bytes)));
	buffer_append_str(&text, "@example.com");
	cr_assert_eq(sip_uri_decode(buffer_slice(&text), &uri), ERR_OK);
	sip_unescape_append(&again, uri.user);
	cr_expect(
		slice_eq(buffer_slice(&again), slice_of(bytes, sizeof(bytes))));
	cr_expect(slice_is(uri.host.name, "example.com"));
	buffer_fini(&text);
	buffer_fini(&again);
}

struct host_row {
	const char *text;
	enum sip_host_kind kind; /* NONE: refused */
	const char *written;
};

static const struct host_row hosts[] = {
	{"example.com", SIP_HOST_NAME, "example.com"},
	{"192.0.2.1", SIP_HOST_IPV4, "192.0.2.1"},
	{"::1", SIP_HOST_IPV6, "[::1]"},
	{"[::1]", SIP_HOST_IPV6, "[::1]"},
	{"", SIP_HOST_NONE, ""},
	{"[::1", SIP_HOST_NONE, ""},
	{"[::1]:5060", SIP_HOST_NONE, ""},
	{"example.com:5060", SIP_HOST_NONE, ""},
	{"a b", SIP_HOST_NONE, ""},
	{"1.2.3.4.5", SIP_HOST_NONE, ""},
	{"1:2:3:4:5:6:7:8:9", SIP_HOST_NONE, ""},
};

Test(sip_uri, hosts)
{
	struct buffer out = {0};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const struct host_row *row = &hosts[i];
		struct sip_host host;
		enum err_code code =
			sip_host_decode(slice_str(row->text), &host);

		cr_expect_eq(code, row->kind ? ERR_OK : ERR_MALFORMED, "%s",
			     row->text);
		if (code != ERR_OK)
			continue;
		cr_expect_eq(host.kind, row->kind, "%s", row->text);
		out.size = 0;
		sip_host_append(&out, &host);
		cr_expect(slice_is(buffer_slice(&out), row->written), "%s",
			  row->text);
	}
	buffer_fini(&out);
}

static void expect_as_inet_pton(const char *text)
{
	struct in_addr address;
	struct sip_host host;
	const bool good = sip_host_decode(slice_str(text), &host) == ERR_OK &&
			  host.kind == SIP_HOST_IPV4;

	cr_assert_eq(good, inet_pton(AF_INET, text, &address) == 1, "%s", text);
	cr_assert(!good || slice_is(host.name, text), "%s", text);
}

/* Our reader of IPv4 addresses takes what the C library does, and no more. */
Test(sip_uri, ipv4_as_inet_pton)
{
	static const char *const parts[] = {
		"",    "0",   "00",  "01",  "7",   "10",   "99",	 "100",
		"a",   "199", "249", "255", "256", "260",  "300",	 "999",
		"0x1", "-1",  "+1",  " 1",  "1_",  "0255", "4294967297", "1.2",
	};
	enum { PARTS = sizeof(parts) / sizeof(parts[0]) };
	char text[64];

	for (int i = 0; i < PARTS * PARTS * PARTS; i++) {
		const char *a = parts[i % PARTS];
		const char *b = parts[i / PARTS % PARTS];
		const char *c = parts[i / PARTS / PARTS];

		/* Each part in each place. */
		snprintf(text, sizeof(text), "%s.%s.%s.8", a, b, c);
		expect_as_inet_pton(text);
		snprintf(text, sizeof(text), "8.%s.%s.%s", a, b, c);
		expect_as_inet_pton(text);
		snprintf(text, sizeof(text), "%s.%s.%s", a, b, c);
		expect_as_inet_pton(text);
	}
	for (int i = 0; i <= UINT16_MAX; i++) {
		snprintf(text, sizeof(text), "192.%d.%d.%d", i, i >> 8,
			 i & 255);
		expect_as_inet_pton(text);
	}
}
