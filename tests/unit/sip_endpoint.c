#include "services/registrar/sip/endpoint.h"

#include <criterion/criterion.h>

struct reading {
	const char *text;
	const char *host; /* NULL: refused */
	const char *whole;
};

static const struct reading readings[] = {
	{"127.0.0.1", "127.0.0.1", "127.0.0.1:5060"},
	{"0.9.10.99", "0.9.10.99", "0.9.10.99:5060"},
	{"100.101.199.255", "100.101.199.255", "100.101.199.255:5060"},
	{"[::1]", "::1", "[::1]:5060"},
	{"::1", "::1", "[::1]:5060"},
	{"2001:DB8::00:1", "2001:db8::1", "[2001:db8::1]:5060"},
	{"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:5060"},
	{"fe80::1%lo", "fe80::1%1", "[fe80::1%1]:5060"},
	{"fe80::1%7", "fe80::1%7", "[fe80::1%7]:5060"},
	{"fe80::1%", NULL, NULL},
	{"fe80::1%7x", NULL, NULL},
	{"", NULL, NULL},
	{"[]", NULL, NULL},
	{"127.0.0.1:5060", NULL, NULL},
	{"127.1", NULL, NULL},
	{"010.0.0.1", NULL, NULL},
	{"example.com", NULL, NULL},
	{"[::1", NULL, NULL},
	{"1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7",
	 NULL, NULL},
};

Test(sip_endpoint, reads_and_prints_addresses)
{
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		const struct reading *r = &readings[i];
		struct sip_endpoint endpoint;
		char text[SIP_ENDPOINT_TEXT];

		if (!sip_endpoint_parse(slice_str(r->text), 5060, &endpoint)) {
			cr_expect_null(r->host, "%s", r->text);
			continue;
		}
		cr_assert(r->host, "%s", r->text);
		cr_expect_str_eq(sip_endpoint_host_text(&endpoint, text),
				 r->host);
		cr_expect_str_eq(sip_endpoint_text(&endpoint, text), r->whole);
	}
}

static struct sip_endpoint of(const char *host, uint16_t port)
{
	struct sip_endpoint endpoint;

	cr_assert(sip_endpoint_parse(slice_str(host), port, &endpoint));
	return endpoint;
}

struct comparison {
	const char *a, *b;
	uint16_t a_port, b_port;
	bool host_eq, eq, source_eq;
};

static const struct comparison comparisons[] = {
	{"127.0.0.1", "127.0.0.1", 1, 1, true, true, true},
	{"127.0.0.1", "127.0.0.1", 1, 2, true, false, true},
	{"127.0.0.1", "127.0.0.2", 1, 1, false, false, false},
	{"127.0.0.1", "::1", 1, 1, false, false, false},
	{"2001:db8::1", "2001:db8::1", 1, 1, true, true, true},
	{"2001:db8::1", "2001:db8::2", 1, 1, false, false, true},
	{"2001:db8::1", "2001:db8:0:1::1", 1, 1, false, false, false},
	{"fe80::1%1", "fe80::1%2", 1, 1, false, false, false},
	{"::ffff:192.0.2.1", "192.0.2.1", 1, 1, true, true, true},
};

Test(sip_endpoint, compares_addresses)
{
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]);
	     i++) {
		const struct comparison *c = &comparisons[i];
		struct sip_endpoint a = of(c->a, c->a_port);
		struct sip_endpoint b = of(c->b, c->b_port);
		struct sip_endpoint a_source = sip_endpoint_source(&a);
		struct sip_endpoint b_source = sip_endpoint_source(&b);

		cr_expect_eq(sip_endpoint_host_eq(&a, &b), c->host_eq, "%s %s",
			     c->a, c->b);
		cr_expect_eq(sip_endpoint_eq(&a, &b), c->eq, "%s %s", c->a,
			     c->b);
		cr_expect_eq(sip_endpoint_eq(&a_source, &b_source),
			     c->source_eq, "%s %s", c->a, c->b);
		if (c->eq)
			cr_expect_eq(sip_endpoint_hash(&a, 7),
				     sip_endpoint_hash(&b, 7));
		else if (c->host_eq)
			cr_expect_neq(sip_endpoint_hash(&a, 7),
				      sip_endpoint_hash(&b, 7));
	}
}

Test(sip_endpoint, none_is_no_address)
{
	struct sip_endpoint none = {0};
	struct sip_endpoint any = sip_endpoint_wildcard(AF_INET6, 5060);
	char text[SIP_ENDPOINT_TEXT];

	cr_expect_str_eq(sip_endpoint_text(&none, text), "");
	cr_expect_eq(sip_endpoint_port(&none), 0);
	cr_expect(sip_endpoint_eq(&none, &none));
	cr_expect(!sip_endpoint_is_wildcard(&none));
	cr_expect(sip_endpoint_is_wildcard(&any));
	cr_expect_str_eq(sip_endpoint_text(&any, text), "[::]:5060");
}
