/* Every view of a challenge or credentials lies in what was read and holds no
 * control character; what is read, written and read again is the same. */

#include "services/registrar/sip/digest.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void check_view(struct slice view, struct slice in)
{
	if (!view.data)
		return;
	expect(view.data >= in.data);
	expect(view.data + view.size <= in.data + in.size);
	for (size_t i = 0; i < view.size; i++) {
		const unsigned char c = (unsigned char)view.data[i];

		expect(c >= ' ' || c == '\t');
		expect(c != 0x7f);
	}
}

/* Absent and empty are two things. */
static void check_same(struct slice a, struct slice b)
{
	expect(!a.data == !b.data);
	expect(slice_eq(a, b));
}

static void check_plain_same(struct slice a, struct slice b)
{
	struct arena arena = {0};

	check_same(digest_text(a, &arena), digest_text(b, &arena));
	arena_fini(&arena);
}

static void credentials_views(const struct digest_credentials *c,
			      struct slice in)
{
	check_view(c->username, in);
	check_view(c->username_extended, in);
	check_view(c->realm, in);
	check_view(c->nonce, in);
	check_view(c->uri, in);
	check_view(c->response, in);
	check_view(c->cnonce, in);
	check_view(c->opaque, in);
	check_view(c->algorithm_text, in);
	check_view(c->nc_text, in);
}

static void credentials_same(const struct digest_credentials *a,
			     const struct digest_credentials *b)
{
	check_same(a->username, b->username);
	check_same(a->username_extended, b->username_extended);
	check_same(a->realm, b->realm);
	check_same(a->nonce, b->nonce);
	check_same(a->uri, b->uri);
	check_same(a->response, b->response);
	check_same(a->cnonce, b->cnonce);
	check_same(a->opaque, b->opaque);
	check_same(a->algorithm_text, b->algorithm_text);
	expect(a->algorithm == b->algorithm);
	expect(a->qop == b->qop);
	expect(a->nc == b->nc);
	expect(a->userhash == b->userhash);
}

static void check_credentials(struct slice value,
			      struct digest_context *context)
{
	struct digest_credentials credentials, again;
	const struct digest_secret secret = {.password = SLICE("secret")};
	struct buffer text = {0};

	if (digest_credentials_decode(value, &credentials) != ERR_OK)
		return;
	credentials_views(&credentials, value);
	digest_verify(context, &credentials, &secret, slice_str("REGISTER"),
		      value);
	if (credentials.algorithm == DIGEST_OTHER ||
	    credentials.qop == DIGEST_QOP_OTHER)
		return;
	digest_credentials_append(&text, &credentials);
	expect(digest_credentials_decode(buffer_slice(&text), &again) ==
	       ERR_OK);
	credentials_same(&credentials, &again);
	buffer_fini(&text);
}

/* The value of a header line. */
static struct slice value_of(const struct buffer *line)
{
	struct slice text = buffer_slice(line);
	const char *colon = memchr(text.data, ':', text.size);

	expect(colon != NULL);
	return slice_trim(slice_of(
		colon + 1, (size_t)(text.data + text.size - 2 - colon - 1)));
}

static void check_offer(const struct digest_challenge *challenge)
{
	struct arena arena = {0};
	struct buffer line = {0};
	struct digest_challenge again;
	const struct digest_offer offer = {
		.realm = digest_text(challenge->realm, &arena),
		.nonce = digest_text(challenge->nonce, &arena),
		.opaque = digest_text(challenge->opaque, &arena),
		.algorithms = DIGEST_BIT(challenge->algorithm),
		.qop = challenge->qop,
		.stale = challenge->stale,
	};

	digest_challenge_build(&line, SIP_WWW_AUTHENTICATE, &offer);
	expect(digest_challenge_decode(value_of(&line), &again) == ERR_OK);
	check_plain_same(challenge->realm, again.realm);
	check_plain_same(challenge->nonce, again.nonce);
	check_plain_same(challenge->opaque, again.opaque);
	expect(challenge->algorithm == again.algorithm);
	expect(challenge->qop == again.qop);
	expect(challenge->stale == again.stale);
	buffer_fini(&line);
	arena_fini(&arena);
}

/* Our server takes what our client answers to whatever was asked. */
static void check_answer(const struct digest_challenge *challenge,
			 struct digest_context *context)
{
	const struct digest_request request = {
		.username = SLICE("a \"user\""),
		.secret.password = SLICE("secret"),
		.method = SLICE("REGISTER"),
		.uri = SLICE("sip:example.org"),
		.body = SLICE("body"),
		.cnonce = SLICE("cnonce"),
		.nc = 0xabc,
	};
	struct digest_credentials credentials;
	struct buffer line = {0};

	if (digest_answer_build(context, &line, SIP_AUTHORIZATION, challenge,
				&request) == ERR_OK) {
		expect(digest_credentials_decode(value_of(&line),
						 &credentials) == ERR_OK);
		check_same(credentials.realm, challenge->realm);
		check_same(credentials.nonce, challenge->nonce);
		check_same(credentials.opaque, challenge->opaque);
		expect(digest_verify(context, &credentials, &request.secret,
				     request.method,
				     request.body) == DIGEST_GOOD);
	}
	buffer_fini(&line);
}

static void check_challenge(struct slice value, struct digest_context *context)
{
	struct digest_challenge challenge;

	if (digest_challenge_decode(value, &challenge) != ERR_OK)
		return;
	check_view(challenge.realm, value);
	check_view(challenge.nonce, value);
	check_view(challenge.opaque, value);
	check_view(challenge.domain, value);
	check_view(challenge.algorithm_text, value);
	if (challenge.algorithm != DIGEST_OTHER &&
	    !(challenge.qop & DIGEST_QOP_OTHER))
		check_offer(&challenge);
	check_answer(&challenge, context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest_context *context = digest_context_new();
	struct slice value = slice_of(data, size);

	check_challenge(value, context);
	check_credentials(value, context);
	digest_context_free(context);
	return 0;
}
