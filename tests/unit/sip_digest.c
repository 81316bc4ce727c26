#include "services/registrar/sip/digest.h"

#include "services/common/secrets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void set_up(void)
{
	cr_assert(secrets_init());
}

TestSuite(sip_digest, .init = set_up);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The body of draft-smith-sipping-auth-examples. */
static const char sdp[] = "v=0\r\n"
			  "o=bob 2890844526 2890844526 IN IP4 media.biloxi.com"
			  "\r\n"
			  "s=-\r\n"
			  "c=IN IP4 media.biloxi.com\r\n"
			  "t=0 0\r\n"
			  "m=audio 49170 RTP/AVP 0\r\n"
			  "a=rtpmap:0 PCMU/8000\r\n"
			  "m=video 51372 RTP/AVP 31\r\n"
			  "a=rtpmap:31 H261/90000\r\n"
			  "m=video 53000 RTP/AVP 32\r\n"
			  "a=rtpmap:32 MPV/90000\r\n";

/* Who asks for what. */
struct scene {
	const char *username;
	const char *realm;
	const char *password;
	const char *nonce;
	const char *opaque;
	const char *method;
	const char *uri;
	const char *cnonce;
	const char *body;
};

/* RFC 7616 3.9.1. */
static const struct scene mufasa = {
	.username = "Mufasa",
	.realm = "http-auth@example.org",
	.password = "Circle of Life",
	.nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
	.opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
	.method = "GET",
	.uri = "/dir/index.html",
	.cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
};

/* RFC 7616 3.9.2. */
static const struct scene doe = {
	.username = "J\u00e4s\u00f8n Doe",
	.realm = "api@example.org",
	.password = "Secret, or not?",
	.nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
	.opaque = "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
	.method = "GET",
	.uri = "/doe.json",
	.cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
};

/* RFC 2617 3.5. */
static const struct scene mufasa_2617 = {
	.username = "Mufasa",
	.realm = "testrealm@host.com",
	.password = "Circle Of Life",
	.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
	.opaque = "5ccc069c403ebaf9f0171e9517f40e41",
	.method = "GET",
	.uri = "/dir/index.html",
	.cnonce = "0a4f113b",
};

/* draft-smith-sipping-auth-examples-01, the vectors SIP stacks test with. */
static const struct scene bob = {
	.username = "bob",
	.realm = "biloxi.com",
	.password = "zanzibar",
	.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
	.opaque = "5ccc069c403ebaf9f0171e9517f40e41",
	.method = "INVITE",
	.uri = "sip:bob@biloxi.com",
	.cnonce = "0a4f113b",
	.body = sdp,
};

/* Escapes in each text that is quoted. */
static const struct scene quoted = {
	.username = "b\"o\\b",
	.realm = "the \"realm\"",
	.password = "p\"w",
	.nonce = "n\\once",
	.opaque = "o\"p",
	.method = "REGISTER",
	.uri = "sip:a",
	.cnonce = "0a4f113b",
};

struct vector {
	const char *name;
	const struct scene *scene;
	enum digest_algorithm algorithm;
	unsigned qop;
	const char *response;
};

#define NONE DIGEST_QOP_NONE
#define AUTH DIGEST_QOP_AUTH
#define INT  DIGEST_QOP_AUTH_INT

/* clang-format off */
static const struct vector vectors[] = {
	{"RFC 7616 3.9.1 MD5", &mufasa, DIGEST_MD5, AUTH,
	 "8ca523f5e9506fed4657c9700eebdbec"},
	{"RFC 7616 3.9.1 SHA-256", &mufasa, DIGEST_SHA_256, AUTH,
	 "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
	{"RFC 7616 3.9.2 with erratum 4897", &doe, DIGEST_SHA_512_256, AUTH,
	 "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
	{"RFC 2617 3.5", &mufasa_2617, DIGEST_MD5, AUTH,
	 "6629fae49393a05397450978507c4ef1"},
	{"draft-smith 3.1 RFC 2069", &bob, DIGEST_MD5, NONE,
	 "bf57e4e0d0bffc0fbaedce64d59add5e"},
	{"draft-smith 3.3 auth", &bob, DIGEST_MD5, AUTH,
	 "89eb0059246c02b2f6ee02c7961d5ea3"},
	{"draft-smith 3.4 MD5-sess", &bob, DIGEST_MD5_SESS, AUTH,
	 "e4e4ea61d186d07a92c9e1f6919902e9"},
	{"draft-smith 3.5 auth-int", &bob, DIGEST_MD5, INT,
	 "bdbeebb2da6adb6bca02599c2239e192"},
	{"draft-smith 3.6 MD5-sess auth-int", &bob, DIGEST_MD5_SESS, INT,
	 "91984da2d8663716e91554859c22ca70"},
	/* The same with the other algorithms, by Python's hashlib. */
	{"MD5-sess without qop", &bob, DIGEST_MD5_SESS, NONE,
	 "fff17611bcbbf00c9116a2c922dea8e1"},
	{"SHA-256 without qop", &bob, DIGEST_SHA_256, NONE,
	 "38aad98c50c33abe72c5f88dd17246ffcfa6b1f68852c855719ff0659386c0ca"},
	{"SHA-256 auth-int", &bob, DIGEST_SHA_256, INT,
	 "c54fb1136ee077c9b9b31e2865b25b1326515c2b0ce1584c40f267672401d647"},
	{"SHA-256-sess auth", &bob, DIGEST_SHA_256_SESS, AUTH,
	 "5da59c9ca40954be9d5063a15a174066c8251be2c10cf47c144c366dc7daf792"},
	{"SHA-256-sess auth-int", &bob, DIGEST_SHA_256_SESS, INT,
	 "9ab810cc06168ee4a9a3564bbab9cd95fcca15efde8c529c856174863d56813a"},
	{"SHA-512-256 auth-int", &bob, DIGEST_SHA_512_256, INT,
	 "05fec0126aa34195c417d63037f4e226cc15fa737015ae0ce9a6fcf3d2ea4ed7"},
	{"SHA-512-256-sess auth", &bob, DIGEST_SHA_512_256_SESS, AUTH,
	 "077d9677be83f41f162d1a4453dc163389919f81e5927391d972f477da767633"},
	{"SHA-512-256-sess auth-int", &bob, DIGEST_SHA_512_256_SESS, INT,
	 "0692b157330f5c7c3d693b97b477a9dee5e29dbf8d09f4024df0b72fa8206d65"},
	{"escapes", &quoted, DIGEST_MD5, AUTH,
	 "643d93bfc5ef8f355cf67dcd782e21bb"},
};
/* clang-format on */

/* The value of the last line of a built header. */
static struct slice value_of(const struct buffer *line)
{
	struct slice text = buffer_slice(line);
	const char *colon = memchr(text.data, ':', text.size);

	cr_assert(colon);
	cr_assert(text.size > 2 &&
		  memcmp(text.data + text.size - 2, "\r\n", 2) == 0);
	return slice_trim(slice_of(
		colon + 1, (size_t)(text.data + text.size - 2 - colon - 1)));
}

static void challenge_make(const struct vector *v, struct buffer *out)
{
	const struct digest_offer offer = {
		.realm = slice_str(v->scene->realm),
		.nonce = slice_str(v->scene->nonce),
		.opaque = slice_str(v->scene->opaque),
		.algorithms = DIGEST_BIT(v->algorithm),
		.qop = v->qop,
	};

	digest_challenge_build(out, SIP_WWW_AUTHENTICATE, &offer);
}

static struct digest_request request_of(const struct scene *scene)
{
	return (struct digest_request){
		.username = slice_str(scene->username),
		.secret.password = slice_str(scene->password),
		.method = slice_str(scene->method),
		.uri = slice_str(scene->uri),
		.body = slice_str(scene->body),
		.cnonce = slice_str(scene->cnonce),
		.nc = 1,
	};
}

/* A client's answer to a server's challenge, both ours, as a line. */
static void answer_make(struct digest_context *context, const struct vector *v,
			struct buffer *out)
{
	struct buffer line = {0};
	struct digest_choice choice = {0};
	struct digest_request request = request_of(v->scene);

	challenge_make(v, &line);
	digest_choice_offer(&choice, context, value_of(&line));
	cr_assert(choice.found, "%s", v->name);
	cr_expect_eq(choice.best.algorithm, v->algorithm, "%s", v->name);
	cr_expect_eq(choice.best.qop, v->qop, "%s", v->name);
	cr_assert_eq(digest_answer_build(context, out, SIP_AUTHORIZATION,
					 &choice.best, &request),
		     ERR_OK, "%s", v->name);
	buffer_fini(&line);
}

static bool text_is(struct slice escaped, const char *text)
{
	struct arena arena = {0};
	bool same = slice_is(digest_text(escaped, &arena), text);

	arena_fini(&arena);
	return same;
}

static void check_texts(const struct vector *v,
			const struct digest_credentials *c)
{
	cr_expect(text_is(c->username, v->scene->username), "%s", v->name);
	cr_expect(text_is(c->realm, v->scene->realm), "%s", v->name);
	cr_expect(text_is(c->nonce, v->scene->nonce), "%s", v->name);
	cr_expect(text_is(c->opaque, v->scene->opaque), "%s", v->name);
	cr_expect(text_is(c->uri, v->scene->uri), "%s", v->name);
	cr_expect_eq(c->nc, v->qop == NONE ? 0 : 1, "%s", v->name);
	cr_expect_eq(c->qop, v->qop, "%s", v->name);
	cr_expect_eq(c->algorithm, v->algorithm, "%s", v->name);
	cr_expect(slice_is(c->response, v->response), "%s: %.*s", v->name,
		  SLICE_ARG(c->response));
}

static void check_secrets(struct digest_context *context,
			  const struct vector *v,
			  const struct digest_credentials *c)
{
	const struct scene *s = v->scene;
	struct slice method = slice_str(s->method);
	struct slice body = slice_str(s->body);
	struct digest_secret clear = {.password = slice_str(s->password)};
	struct digest_secret wrong = {.password = SLICE("zanzibar.")};
	struct digest_secret nobody = {0};
	char ha1[DIGEST_HEX_BYTES];

	cr_assert_eq(digest_ha1(context, v->algorithm, slice_str(s->username),
				slice_str(s->realm), clear.password, ha1),
		     ERR_OK);

	struct digest_secret stored = {.ha1 = slice_str(ha1)};

	cr_expect_eq(digest_verify(context, c, &clear, method, body),
		     DIGEST_GOOD, "%s", v->name);
	cr_expect_eq(digest_verify(context, c, &stored, method, body),
		     DIGEST_GOOD, "%s: stored", v->name);
	cr_expect_eq(digest_verify(context, c, &wrong, method, body),
		     DIGEST_WRONG, "%s", v->name);
	cr_expect_eq(digest_verify(context, c, &nobody, method, body),
		     DIGEST_WRONG, "%s", v->name);
	cr_expect_eq(digest_verify(context, c, &clear, slice_str("BYE"), body),
		     DIGEST_WRONG, "%s: method", v->name);
	cr_expect_eq(digest_verify(context, c, &clear, method, slice_str("x")),
		     v->qop == INT ? DIGEST_WRONG : DIGEST_GOOD, "%s: body",
		     v->name);
}

Test(sip_digest, vectors_both_ends)
{
	struct digest_context *context = digest_context_new();

	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct buffer line = {0};
		struct digest_credentials credentials;

		answer_make(context, &vectors[i], &line);
		cr_assert_eq(digest_credentials_decode(value_of(&line),
						       &credentials),
			     ERR_OK, "%s: %.*s", vectors[i].name,
			     SLICE_ARG(buffer_slice(&line)));
		check_texts(&vectors[i], &credentials);
		check_secrets(context, &vectors[i], &credentials);
		buffer_fini(&line);
	}
	digest_context_free(context);
}

/* A user without a password has no credentials, also the ones an empty
 * password gives. */
Test(sip_digest, nobody_has_no_empty_password)
{
	struct digest_context *context = digest_context_new();
	struct scene scene = bob;
	struct vector v = {"empty", &scene, DIGEST_SHA_256, AUTH, NULL};
	struct digest_credentials credentials;
	struct digest_secret nobody = {0};
	struct digest_secret empty = {.password = SLICE("")};
	struct buffer line = {0};

	scene.password = "";
	answer_make(context, &v, &line);
	cr_assert_eq(digest_credentials_decode(value_of(&line), &credentials),
		     ERR_OK);
	cr_expect_eq(digest_verify(context, &credentials, &empty,
				   slice_str("INVITE"), slice_str("")),
		     DIGEST_GOOD);
	cr_expect_eq(digest_verify(context, &credentials, &nobody,
				   slice_str("INVITE"), slice_str("")),
		     DIGEST_WRONG);
	buffer_fini(&line);
	digest_context_free(context);
}

/* What a challenge reads as; NULL realm: refused with the code. */
struct challenge_row {
	const char *name;
	const char *value;
	enum err_code code;
	enum digest_algorithm algorithm;
	unsigned qop;
	bool stale;
};

/* clang-format off */
static const struct challenge_row challenges[] = {
	{"RFC 3261 20.44",
	 "Digest realm=\"atlanta.com\", domain=\"sip:boxesbybob.com\", qop=\"auth\", nonce=\"f84f1cec41e6cbe5aea9c8e88d359\", opaque=\"\", stale=FALSE, algorithm=MD5",
	 ERR_OK, DIGEST_MD5, AUTH, false},
	{"nothing said", "Digest realm=\"a\",nonce=\"n\"", ERR_OK, DIGEST_MD5, NONE, false},
	{"words in any case", "dIGEST REALM=\"a\",Nonce=\"n\",ALGORITHM=sha-256,QOP=\"AUTH\",STALE=True",
	 ERR_OK, DIGEST_SHA_256, AUTH, true},
	{"words in quotes", "Digest realm=\"a\",nonce=\"n\",algorithm=\"MD5-sess\",stale=\"true\"",
	 ERR_OK, DIGEST_MD5_SESS, NONE, true},
	{"two qops", "Digest realm=\"a\",nonce=\"n\",qop=\"auth, auth-int\"", ERR_OK, DIGEST_MD5, AUTH | INT, false},
	{"an unquoted qop", "Digest realm=\"a\",nonce=\"n\",qop=auth", ERR_OK, DIGEST_MD5, AUTH, false},
	{"an unknown qop", "Digest realm=\"a\",nonce=\"n\",qop=\"auth-conf\"", ERR_OK, DIGEST_MD5, DIGEST_QOP_OTHER, false},
	{"an empty qop", "Digest realm=\"a\",nonce=\"n\",qop=\"\"", ERR_OK, DIGEST_MD5, NONE, false},
	{"an unknown algorithm", "Digest realm=\"a\",nonce=\"n\",algorithm=AKAv1-MD5", ERR_OK, DIGEST_OTHER, NONE, false},
	{"unknown parameters", "Digest realm=\"a\",nonce=\"n\",charset=UTF-8,x=\"y,z\"", ERR_OK, DIGEST_MD5, NONE, false},
	{"a fold", "Digest realm=\"a\",\r\n nonce=\"n\"", ERR_OK, DIGEST_MD5, NONE, false},
	{"another scheme", "Basic realm=\"a\"", ERR_NOT_FOUND},
	{"no nonce", "Digest realm=\"a\"", ERR_MALFORMED},
	{"no realm", "Digest nonce=\"a\"", ERR_MALFORMED},
	{"a realm twice", "Digest realm=\"a\",nonce=\"n\",realm=\"b\"", ERR_MALFORMED},
	{"an open quote", "Digest realm=\"a\",nonce=\"n", ERR_MALFORMED},
	{"a line break in quotes", "Digest realm=\"a\r\n b\",nonce=\"n\"", ERR_MALFORMED},
	{"no comma", "Digest realm=\"a\" nonce=\"n\"", ERR_MALFORMED},
	{"empty", "", ERR_MALFORMED},
	{"a scheme alone", "Digest", ERR_MALFORMED},
};
/* clang-format on */

Test(sip_digest, challenges)
{
	for (size_t i = 0; i < COUNT_OF(challenges); i++) {
		const struct challenge_row *row = &challenges[i];
		struct digest_challenge read = {0};
		enum err_code code =
			digest_challenge_decode(slice_str(row->value), &read);

		cr_assert_eq(code, row->code, "%s: %s", row->name,
			     err_name(code));
		cr_expect_eq(read.algorithm, row->algorithm, "%s", row->name);
		cr_expect_eq(read.qop, row->qop, "%s", row->name);
		cr_expect_eq(read.stale, row->stale, "%s", row->name);
		cr_expect_eq(!read.realm.data, code != ERR_OK, "%s", row->name);
	}
}

/* clang-format off */
static const struct {
	const char *name;
	const char *value;
	enum err_code code;
	enum digest_verdict verdict; /* for bob's password */
} credentials_rows[] = {
	{"draft-smith 3.3",
	 "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"sip:bob@biloxi.com\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", response=\"89eb0059246c02b2f6ee02c7961d5ea3\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
	 ERR_OK, DIGEST_GOOD},
	{"words in quotes, hex in upper case",
	 "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"sip:bob@biloxi.com\", qop=\"auth\", nc=\"00000001\", cnonce=\"0a4f113b\", algorithm=\"md5\", response=\"89EB0059246C02B2F6EE02C7961D5EA3\"",
	 ERR_OK, DIGEST_GOOD},
	{"another nc",
	 "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"sip:bob@biloxi.com\", qop=auth, nc=00000002, cnonce=\"0a4f113b\", response=\"89eb0059246c02b2f6ee02c7961d5ea3\"",
	 ERR_OK, DIGEST_WRONG},
	{"a short response",
	 "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"n\", uri=\"sip:a\", response=\"89eb\"", ERR_OK, DIGEST_WRONG},
	{"a response of another algorithm's length",
	 "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"n\", uri=\"sip:a\", algorithm=SHA-256, response=\"89eb0059246c02b2f6ee02c7961d5ea3\"",
	 ERR_OK, DIGEST_WRONG},
	{"a response that is not hex",
	 "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"n\", uri=\"sip:a\", response=\"89eb0059246c02b2f6ee02c7961d5eaz\"",
	 ERR_OK, DIGEST_WRONG},
	{"an unknown algorithm",
	 "Digest username=\"bob\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", algorithm=MD6, response=\"89\"", ERR_OK, DIGEST_UNSUPPORTED},
	{"an unknown qop",
	 "Digest username=\"bob\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", qop=x, nc=1, cnonce=\"c\", response=\"89\"", ERR_OK, DIGEST_UNSUPPORTED},
	{"userhash",
	 "Digest username=\"bob\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", userhash=true, response=\"89\"", ERR_OK, DIGEST_UNSUPPORTED},
	{"username*",
	 "Digest username*=UTF-8''bob, realm=\"a\", nonce=\"n\", uri=\"sip:a\", response=\"89\"", ERR_OK, DIGEST_UNSUPPORTED},
	{"no username", "Digest realm=\"a\", nonce=\"n\", uri=\"sip:a\", response=\"89\"", ERR_MALFORMED},
	{"no response", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\"", ERR_MALFORMED},
	{"no nc", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", qop=auth, cnonce=\"c\", response=\"89\"", ERR_MALFORMED},
	{"a long nc", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", qop=auth, nc=000000001, cnonce=\"c\", response=\"89\"", ERR_MALFORMED},
	{"a decimal point", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", qop=auth, nc=1.0, cnonce=\"c\", response=\"89\"", ERR_MALFORMED},
	{"no cnonce", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", qop=auth, nc=1, response=\"89\"", ERR_MALFORMED},
	{"sess without cnonce", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", algorithm=MD5-sess, response=\"89\"", ERR_MALFORMED},
	{"two qops", "Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", qop=\"auth,auth-int\", nc=1, cnonce=\"c\", response=\"89\"", ERR_MALFORMED},
	{"a username twice", "Digest username=\"b\", username=\"b\", realm=\"a\", nonce=\"n\", uri=\"sip:a\", response=\"89\"", ERR_MALFORMED},
	{"another scheme", "Bearer token=x", ERR_NOT_FOUND},
};
/* clang-format on */

Test(sip_digest, credentials)
{
	struct digest_context *context = digest_context_new();
	struct digest_secret secret = {.password = SLICE("zanzibar")};

	for (size_t i = 0; i < COUNT_OF(credentials_rows); i++) {
		const char *name = credentials_rows[i].name;
		struct digest_credentials read;
		enum err_code code = digest_credentials_decode(
			slice_str(credentials_rows[i].value), &read);

		cr_expect_eq(code, credentials_rows[i].code, "%s: %s", name,
			     err_name(code));
		if (code)
			continue;

		enum digest_verdict verdict =
			digest_verify(context, &read, &secret,
				      slice_str("INVITE"), slice_str(sdp));

		cr_expect_eq(verdict, credentials_rows[i].verdict, "%s: %d",
			     name, verdict);
	}
	digest_context_free(context);
}

/* Twelve such datagrams a second took a core of a library that matched each
 * comma against the rest. Here a thousand take a thousand looks. */
Test(sip_digest, many_parameters_are_malformed)
{
	static const struct {
		const char *start;
		const char *repeated;
	} rows[] = {
		{"Digest ", ", "},     {"Digest ", "a=b,"},
		{"Digest ", "nonce,"}, {"Digest realm=\"", "\\\""},
		{"", "Digest "},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buffer value = {0};
		struct digest_credentials read;

		buffer_append_str(&value, rows[i].start);
		while (value.size < 7600)
			buffer_append_str(&value, rows[i].repeated);
		for (int n = 0; n < 1000; n++)
			cr_assert_eq(digest_credentials_decode(
					     buffer_slice(&value), &read),
				     ERR_MALFORMED);
		buffer_fini(&value);
	}
}

Test(sip_digest, as_many_parameters_as_allowed)
{
	struct buffer value = {0};
	struct digest_challenge read;

	buffer_append_str(&value, "Digest realm=\"a\",nonce=\"n\"");
	for (int i = 2; i < DIGEST_PARAMETERS_MAX; i++)
		buffer_append_str(&value, ",x=y");
	cr_expect_eq(digest_challenge_decode(buffer_slice(&value), &read),
		     ERR_OK);
	buffer_append_str(&value, ",x=y");
	cr_expect_eq(digest_challenge_decode(buffer_slice(&value), &read),
		     ERR_MALFORMED);
	buffer_fini(&value);
}

/* What is chosen of several challenges, by its nonce. */
static const struct {
	const char *name;
	const char *offers[4];
	const char *nonce; /* NULL: none */
	unsigned refused;
} choices[] = {
	{"the strongest, whatever the order",
	 {"Digest realm=\"r\",nonce=\"md5\"",
	  "Digest realm=\"r\",nonce=\"512\",algorithm=SHA-512-256",
	  "Digest realm=\"r\",nonce=\"256\",algorithm=SHA-256"},
	 "512",
	 0},
	{"the first of two alike",
	 {"Digest realm=\"r\",nonce=\"a\"", "Digest realm=\"r\",nonce=\"b\""},
	 "a",
	 0},
	{"past what we cannot do",
	 {"Digest realm=\"r\",nonce=\"aka\",algorithm=AKAv2-SHA-256",
	  "NTLM realm=\"r\"",
	  "Digest realm=\"r\",nonce=\"conf\",algorithm=SHA-256,"
	  "qop=\"auth-conf\"",
	  "Digest realm=\"r\",nonce=\"md5\",qop=\"auth\""},
	 "md5",
	 3},
	{"nothing", {"Digest realm=\"r\",nonce=\"a\",algorithm=X"}, NULL, 1},
};

Test(sip_digest, choice)
{
	struct digest_context *context = digest_context_new();

	for (size_t i = 0; i < COUNT_OF(choices); i++) {
		struct digest_choice choice = {0};

		for (int j = 0; j < 4 && choices[i].offers[j]; j++)
			digest_choice_offer(&choice, context,
					    slice_str(choices[i].offers[j]));
		cr_expect_eq(choice.found, choices[i].nonce != NULL, "%s",
			     choices[i].name);
		cr_expect(slice_is(choice.best.nonce, choices[i].nonce), "%s",
			  choices[i].name);
		cr_expect_eq(choice.refused, choices[i].refused, "%s",
			     choices[i].name);
	}
	digest_context_free(context);
}

Test(sip_digest, challenge_lines_strongest_first)
{
	struct digest_context *context = digest_context_new();
	const struct digest_offer offer = {
		.realm = SLICE("ten\"ant\r\nX: y"),
		.nonce = SLICE("n"),
		.algorithms = DIGEST_BIT(DIGEST_MD5) |
			      DIGEST_BIT(DIGEST_SHA_512_256) |
			      DIGEST_BIT(DIGEST_SHA_256),
		.qop = AUTH | INT,
		.stale = true,
	};
	struct buffer out = {0};

	digest_challenge_build(&out, SIP_WWW_AUTHENTICATE, &offer);
	buffer_append_char(&out, '\0');
	cr_assert_str_eq(out.data,
			 "WWW-Authenticate: Digest realm=\"ten\\\"ant  X: y\", "
			 "nonce=\"n\", stale=true, algorithm=SHA-512-256, "
			 "qop=\"auth,auth-int\"\r\n"
			 "WWW-Authenticate: Digest realm=\"ten\\\"ant  X: y\", "
			 "nonce=\"n\", stale=true, algorithm=SHA-256, "
			 "qop=\"auth,auth-int\"\r\n"
			 "WWW-Authenticate: Digest realm=\"ten\\\"ant  X: y\", "
			 "nonce=\"n\", stale=true, algorithm=MD5, "
			 "qop=\"auth,auth-int\"\r\n");
	cr_assert_eq(offer.algorithms & digest_algorithms(context),
		     offer.algorithms);
	buffer_fini(&out);
	digest_context_free(context);
}

/* Some servers refuse what they did not say themselves. */
Test(sip_digest, answer_says_what_the_challenge_said)
{
	struct digest_context *context = digest_context_new();
	struct digest_request request = request_of(&bob);
	struct digest_challenge challenge;
	struct buffer out = {0};

	cr_assert_eq(
		digest_challenge_decode(
			slice_str("Digest realm=\"biloxi.com\", nonce="
				  "\"dcd98b7102dd2f0e8b11d0f600bfb0c093\""),
			&challenge),
		ERR_OK);
	cr_assert_eq(digest_answer_build(context, &out, SIP_PROXY_AUTHORIZATION,
					 &challenge, &request),
		     ERR_OK);
	buffer_append_char(&out, '\0');
	cr_expect_str_eq(out.data,
			 "Proxy-Authorization: Digest realm=\"biloxi.com\", "
			 "username=\"bob\", "
			 "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
			 "uri=\"sip:bob@biloxi.com\", "
			 "response=\"bf57e4e0d0bffc0fbaedce64d59add5e\"\r\n");
	buffer_fini(&out);
	digest_context_free(context);
}

Test(sip_digest, answer_refused)
{
	struct digest_context *context = digest_context_new();
	struct digest_request request = request_of(&bob);
	struct digest_challenge challenge = {.realm = SLICE("r"),
					     .nonce = SLICE("n"),
					     .algorithm = DIGEST_MD5};
	struct buffer out = {0};

	request.username = slice_str("bob\r\nX: y");
	cr_expect_eq(digest_answer_build(context, &out, SIP_AUTHORIZATION,
					 &challenge, &request),
		     ERR_VALIDATE);
	request = request_of(&bob);
	challenge.algorithm = DIGEST_OTHER;
	cr_expect_eq(digest_answer_build(context, &out, SIP_AUTHORIZATION,
					 &challenge, &request),
		     ERR_NOT_FOUND);
	challenge.algorithm = DIGEST_MD5;
	challenge.qop = DIGEST_QOP_OTHER;
	cr_expect_eq(digest_answer_build(context, &out, SIP_AUTHORIZATION,
					 &challenge, &request),
		     ERR_NOT_FOUND);
	cr_expect_eq(out.size, 0);
	buffer_fini(&out);
	digest_context_free(context);
}

static void answer_of(struct digest_context *context, const struct scene *scene,
		      enum digest_algorithm algorithm, struct buffer *out)
{
	const struct vector v = {"memory", scene, algorithm, AUTH, NULL};

	out->size = 0;
	answer_make(context, &v, out);
}

static void remember(struct digest_context *old,
		     enum digest_algorithm algorithm)
{
	/* More than there is room for, twice; long ones among them. */
	enum { URIS = 200, USES = 2 * URIS };
	struct buffer with = {0}, without = {0};

	for (int i = 0; i < USES; i++) {
		struct digest_context *new = digest_context_new();
		char uri[URIS + 16];
		struct scene scene = bob;

		snprintf(uri, sizeof(uri), "sip:%0*d", i % URIS + 1, i % URIS);
		scene.uri = uri;
		scene.method = i % 3 == 0 ? "REGISTER" : "OPTIONS";
		answer_of(old, &scene, algorithm, &with);
		answer_of(new, &scene, algorithm, &without);
		cr_assert(slice_eq(buffer_slice(&with), buffer_slice(&without)),
			  "%s: %.*s", uri, SLICE_ARG(buffer_slice(&with)));
		digest_context_free(new);
	}
	buffer_fini(&with);
	buffer_fini(&without);
}

/* A context remembers what it has hashed, and answers as one that is new. */
Test(sip_digest, what_is_remembered_makes_no_difference)
{
	struct digest_context *old = digest_context_new();

	for (int i = DIGEST_OTHER + 1; i < DIGEST_COUNT; i++)
		remember(old, (enum digest_algorithm)i);
	digest_context_free(old);
}

/* auth is taken where both are offered, since proxies change bodies. */
Test(sip_digest, auth_before_auth_int)
{
	struct digest_context *context = digest_context_new();
	struct vector v = {"both", &bob, DIGEST_MD5, AUTH | INT, NULL};
	struct digest_credentials credentials;
	struct buffer line = {0};

	answer_make(context, &v, &line);
	cr_assert_eq(digest_credentials_decode(value_of(&line), &credentials),
		     ERR_OK);
	cr_expect_eq(credentials.qop, AUTH);
	buffer_fini(&line);
	digest_context_free(context);
}

Test(sip_digest, cnonces_differ)
{
	char a[DIGEST_CNONCE_BYTES];
	char b[DIGEST_CNONCE_BYTES];

	digest_cnonce(a);
	digest_cnonce(b);
	cr_assert_eq(strlen(a), DIGEST_CNONCE_BYTES - 1);
	cr_assert_str_neq(a, b);
}
