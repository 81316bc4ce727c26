#include "services/registrar/sip/digest.h"

#include "proto/mem.h"
#include "services/common/secrets.h"
#include "services/registrar/sip/build.h"
#include "services/registrar/sip/parameter.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	RAW_BYTES = 32, /* SHA-256 and SHA-512/256; MD5 has 16 */
	HEX_BYTES = 2 * RAW_BYTES,
	/* Room beside the terms: H(A1), H(A2), H(body), words between. */
	SPARE_BYTES = 4 * HEX_BYTES,
	CNONCE_RAW_BYTES = 16, /* 128 bits: not to be guessed */
	NC_TEXT_BYTES = 9,     /* 8 hex digits and NUL */

	/* Requests whose H(A2) is known: one for each domain whose phones
	 * register at a time. 13 KiB. */
	A2_KNOWN = 64,
	A2_BYTES = 128, /* "REGISTER:sip:" and a host name; others are hashed */
};

static_assert(HEX_BYTES + 1 == DIGEST_HEX_BYTES, "a digest fits exactly");
static_assert(2 * CNONCE_RAW_BYTES + 1 == DIGEST_CNONCE_BYTES,
	      "a cnonce fits exactly");

/* A digest function; "-sess" shares that of its plain sibling. */
struct function {
	EVP_MD *md;	 /* NULL: OpenSSL does not give it to us */
	EVP_MD_CTX *ctx; /* of this function for good: changing allocates */
	size_t raw_bytes;
};

enum {
	FUNCTION_MD5,
	FUNCTION_SHA_256,
	FUNCTION_SHA_512_256,
	FUNCTION_COUNT,
};

static const char *const function_names[FUNCTION_COUNT] = {
	[FUNCTION_MD5] = "MD5",
	[FUNCTION_SHA_256] = "SHA2-256",
	[FUNCTION_SHA_512_256] = "SHA2-512/256",
};

static const int algorithm_functions[DIGEST_COUNT] = {
	[DIGEST_MD5] = FUNCTION_MD5,
	[DIGEST_MD5_SESS] = FUNCTION_MD5,
	[DIGEST_SHA_256] = FUNCTION_SHA_256,
	[DIGEST_SHA_256_SESS] = FUNCTION_SHA_256,
	[DIGEST_SHA_512_256] = FUNCTION_SHA_512_256,
	[DIGEST_SHA_512_256_SESS] = FUNCTION_SHA_512_256,
};

/* H(A2) of a method and uri. Nothing of it is secret. */
struct a2 {
	const struct function *function; /* NULL: nothing is known here */
	size_t size;
	char text[A2_BYTES];
	char hex[HEX_BYTES];
};

struct digest_context {
	struct function functions[FUNCTION_COUNT];
	/* What is hashed is put together here: one update costs less than
	 * seven. Wiped after each use. */
	struct buffer text;
	/* Room for views of an answer that had to be escaped. */
	struct buffer quoted;
	/* By the text. All phones of a domain send the same one. */
	struct a2 a2s[A2_KNOWN];
};

/* What goes into a response (RFC 7616 3.4.1). Texts are escaped views. */
struct terms {
	enum digest_algorithm algorithm;
	unsigned qop; /* one */
	struct slice username, realm, nonce, uri, cnonce, nc_text;
	struct slice method, body;
	const struct digest_secret *secret;
};

struct digest_context *digest_context_new(void)
{
	struct digest_context *context = mem_alloc(sizeof(*context));

	for (int i = 0; i < FUNCTION_COUNT; i++) {
		struct function *f = &context->functions[i];

		f->md = EVP_MD_fetch(NULL, function_names[i], NULL);
		if (!f->md)
			continue;
		f->ctx = EVP_MD_CTX_new();
		f->raw_bytes = (size_t)EVP_MD_get_size(f->md);
		assert(f->raw_bytes <= RAW_BYTES);
	}
	return context;
}

void digest_context_free(struct digest_context *context)
{
	if (!context)
		return;
	for (int i = 0; i < FUNCTION_COUNT; i++) {
		EVP_MD_CTX_free(context->functions[i].ctx);
		EVP_MD_free(context->functions[i].md);
	}
	buffer_fini(&context->text);
	buffer_fini(&context->quoted);
	free(context);
}

/* NULL: not available. */
static const struct function *
function_find(const struct digest_context *context,
	      enum digest_algorithm algorithm)
{
	if (algorithm == DIGEST_OTHER)
		return NULL;

	const struct function *f =
		&context->functions[algorithm_functions[algorithm]];

	return f->md ? f : NULL;
}

unsigned digest_algorithms(const struct digest_context *context)
{
	unsigned set = 0;

	for (int i = DIGEST_OTHER + 1; i < DIGEST_COUNT; i++)
		if (function_find(context, (enum digest_algorithm)i))
			set |= DIGEST_BIT(i);
	return set;
}

/* OpenSSL fails here for want of memory only: see mem.h. */
static void hash_raw(const struct function *f, struct slice text,
		     unsigned char raw[RAW_BYTES])
{
	unsigned size;

	if (!EVP_DigestInit_ex2(f->ctx, f->md, NULL) ||
	    !EVP_DigestUpdate(f->ctx, text.data, text.size) ||
	    !EVP_DigestFinal_ex(f->ctx, raw, &size)) {
		fputs("digest: OpenSSL failed\n", stderr);
		abort();
	}
}

static void hex_write(char *hex, const unsigned char *raw, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
}

static void hex_append(struct buffer *out, const unsigned char *raw,
		       size_t size)
{
	hex_write(buffer_reserve(out, 2 * size), raw, size);
	out->size += 2 * size;
}

/* Appends the hash of text, as hex. */
static void hash_append(struct buffer *out, const struct function *f,
			struct slice text)
{
	unsigned char raw[RAW_BYTES];

	hash_raw(f, text, raw);
	hex_append(out, raw, f->raw_bytes);
	secrets_wipe(raw, sizeof(raw));
}

/* Replaces what is in the buffer from `from` on by its hash, as hex; what a
 * longer text leaves behind is wiped. */
static void hash_replace(struct buffer *text, const struct function *f,
			 size_t from)
{
	const size_t end = text->size;

	buffer_reserve(text, HEX_BYTES);

	struct slice part = slice_of(text->data + from, end - from);
	unsigned char raw[RAW_BYTES];

	hash_raw(f, part, raw);
	text->size = from;
	hex_append(text, raw, f->raw_bytes);
	if (end > text->size)
		secrets_wipe(text->data + text->size, end - text->size);
	secrets_wipe(raw, sizeof(raw));
}

/* RFC 7616 says "without the surrounding quotes" of a quoted string and leaves
 * open what escapes hash to. What they stand for is hashed: so do curl and
 * the phones that have a quote in a name at all. */
static void view_append(struct buffer *text, struct slice view)
{
	if (view.size > 0 && memchr(view.data, '\\', view.size))
		sip_quoted_append(text, view);
	else
		buffer_append_slice(text, view);
}

/* A password must not stay behind in memory the buffer has outgrown. */
static void text_start(struct buffer *text, const struct terms *terms)
{
	const struct digest_secret *secret = terms->secret;

	text->size = 0;
	buffer_reserve(text, terms->username.size + terms->realm.size +
				     terms->nonce.size + terms->cnonce.size +
				     terms->nc_text.size + terms->method.size +
				     terms->uri.size + secret->password.size +
				     secret->ha1.size + SPARE_BYTES);
}

static void text_wipe(struct buffer *text)
{
	secrets_wipe(text->data, text->size);
	text->size = 0;
}

/* Appends H(A1). */
static void ha1_append(struct buffer *text, const struct function *f,
		       const struct terms *terms)
{
	const size_t from = text->size;

	if (terms->secret->ha1.data) {
		buffer_append_slice(text, terms->secret->ha1);
	} else {
		view_append(text, terms->username);
		buffer_append_char(text, ':');
		view_append(text, terms->realm);
		buffer_append_char(text, ':');
		buffer_append_slice(text, terms->secret->password);
		hash_replace(text, f, from);
	}
	if (!digest_is_sess(terms->algorithm))
		return;
	/* RFC 7616 3.4.2: H(H(user:realm:password):nonce:cnonce). */
	buffer_append_char(text, ':');
	view_append(text, terms->nonce);
	buffer_append_char(text, ':');
	view_append(text, terms->cnonce);
	hash_replace(text, f, from);
}

static struct a2 *a2_place(struct digest_context *context, struct slice text)
{
	unsigned hash = 0;

	for (size_t i = 0; i < text.size; i++)
		hash = hash * 31 + (unsigned char)text.data[i];
	return &context->a2s[hash % A2_KNOWN];
}

/* hash_replace() for a method and uri. */
static void a2_replace(struct digest_context *context, const struct function *f,
		       size_t from)
{
	struct buffer *text = &context->text;
	const struct slice a2 = slice_of(text->data + from, text->size - from);

	if (a2.size > A2_BYTES) {
		hash_replace(text, f, from);
		return;
	}
	struct a2 *known = a2_place(context, a2);

	if (known->function != f ||
	    !slice_eq(slice_of(known->text, known->size), a2)) {
		known->function = f;
		known->size = a2.size;
		memcpy(known->text, a2.data, a2.size);
		hash_replace(text, f, from);
		memcpy(known->hex, text->data + from, text->size - from);
	}
	text->size = from;
	buffer_append(text, known->hex, 2 * f->raw_bytes);
}

/* Appends H(A2), RFC 7616 3.4.3. */
static void ha2_append(struct digest_context *context, const struct function *f,
		       const struct terms *terms)
{
	struct buffer *text = &context->text;
	const size_t from = text->size;

	buffer_append_slice(text, terms->method);
	buffer_append_char(text, ':');
	view_append(text, terms->uri);
	if (terms->qop != DIGEST_QOP_AUTH_INT) {
		a2_replace(context, f, from);
		return;
	}
	buffer_append_char(text, ':');
	hash_append(text, f, terms->body);
	hash_replace(text, f, from);
}

/* RFC 7616 3.4.1. The response, as hex. */
static void respond(struct digest_context *context, const struct function *f,
		    const struct terms *terms, char response[DIGEST_HEX_BYTES])
{
	struct buffer *text = &context->text;

	text_start(text, terms);
	ha1_append(text, f, terms);
	buffer_append_char(text, ':');
	view_append(text, terms->nonce);
	if (terms->qop != DIGEST_QOP_NONE) {
		buffer_append_char(text, ':');
		buffer_append_slice(text, terms->nc_text);
		buffer_append_char(text, ':');
		view_append(text, terms->cnonce);
		buffer_append_str(text, terms->qop == DIGEST_QOP_AUTH
						? ":auth"
						: ":auth-int");
	}
	buffer_append_char(text, ':');
	ha2_append(context, f, terms);

	unsigned char raw[RAW_BYTES];

	hash_raw(f, buffer_slice(text), raw);
	hex_write(response, raw, f->raw_bytes);
	response[2 * f->raw_bytes] = '\0';
	text_wipe(text);
}

enum err_code digest_ha1(struct digest_context *context,
			 enum digest_algorithm algorithm, struct slice username,
			 struct slice realm, struct slice password,
			 char out[DIGEST_HEX_BYTES])
{
	const struct function *f = function_find(context, algorithm);
	struct buffer *text = &context->text;

	if (!f)
		return ERR_NOT_FOUND;
	text->size = 0;
	buffer_reserve(text, username.size + realm.size + password.size +
				     SPARE_BYTES);
	buffer_append_slice(text, username);
	buffer_append_char(text, ':');
	buffer_append_slice(text, realm);
	buffer_append_char(text, ':');
	buffer_append_slice(text, password);
	hash_replace(text, f, 0);
	memcpy(out, text->data, text->size);
	out[text->size] = '\0';
	text_wipe(text);
	return ERR_OK;
}

/* Takes as long wherever they differ. Of theirs the case does not matter: the
 * bit that makes letters lower-case is set in digits anyway. */
static bool hex_same(const char *ours, const char *theirs, size_t size)
{
	const uint64_t lower = UINT64_C(0x2020202020202020);
	uint64_t differing = 0;

	assert(size % sizeof(uint64_t) == 0);
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t a, b;

		memcpy(&a, ours + i, sizeof(a));
		memcpy(&b, theirs + i, sizeof(b));
		differing |= a ^ (b | lower);
	}
	return differing == 0;
}

static bool is_served(const struct digest_credentials *credentials)
{
	return credentials->username.data && !credentials->userhash &&
	       credentials->qop != DIGEST_QOP_OTHER;
}

enum digest_verdict digest_verify(struct digest_context *context,
				  const struct digest_credentials *credentials,
				  const struct digest_secret *secret,
				  struct slice method, struct slice body)
{
	const struct function *f =
		function_find(context, credentials->algorithm);

	if (!f || !is_served(credentials))
		return DIGEST_UNSUPPORTED;

	const struct terms terms = {
		.algorithm = credentials->algorithm,
		.qop = credentials->qop,
		.username = credentials->username,
		.realm = credentials->realm,
		.nonce = credentials->nonce,
		.uri = credentials->uri,
		.cnonce = credentials->cnonce,
		.nc_text = credentials->nc_text,
		.method = method,
		.body = body,
		.secret = secret,
	};
	char ours[DIGEST_HEX_BYTES];

	if (credentials->response.size != 2 * f->raw_bytes)
		return DIGEST_WRONG;
	respond(context, f, &terms, ours);

	bool good = hex_same(ours, credentials->response.data,
			     credentials->response.size);

	/* After the work, so that an unknown user takes as long. */
	if (!secret->password.data && !secret->ha1.data)
		good = false;
	return good ? DIGEST_GOOD : DIGEST_WRONG;
}

/* A set of qops without AUTH and AUTH_INT, yet with something in it. */
static bool is_answerable(const struct digest_context *context,
			  const struct digest_challenge *challenge)
{
	return function_find(context, challenge->algorithm) &&
	       challenge->qop != DIGEST_QOP_OTHER;
}

void digest_choice_offer(struct digest_choice *choice,
			 const struct digest_context *context,
			 struct slice value)
{
	struct digest_challenge challenge;

	if (digest_challenge_decode(value, &challenge) != ERR_OK ||
	    !is_answerable(context, &challenge)) {
		choice->refused++;
		return;
	}
	if (choice->found && challenge.algorithm <= choice->best.algorithm)
		return;
	choice->found = true;
	choice->best = challenge;
}

void digest_cnonce(char out[DIGEST_CNONCE_BYTES])
{
	unsigned char raw[CNONCE_RAW_BYTES];

	secrets_random(raw, sizeof(raw));
	hex_write(out, raw, sizeof(raw));
	out[DIGEST_CNONCE_BYTES - 1] = '\0';
}

static unsigned qop_choose(unsigned offered)
{
	if (offered & DIGEST_QOP_AUTH)
		return DIGEST_QOP_AUTH;
	return offered & DIGEST_QOP_AUTH_INT;
}

static bool is_sendable(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		const unsigned char c = (unsigned char)text.data[i];

		if (c < ' ' || c == 0x7f)
			return false;
	}
	return true;
}

/* The escaped views of what is ours. Both are quoted before either is viewed:
 * the buffer may move. */
static void quote_ours(struct digest_context *context,
		       const struct digest_request *request,
		       struct digest_credentials *out)
{
	struct buffer *quoted = &context->quoted;

	quoted->size = 0;
	sip_quote_append(quoted, request->username);

	const size_t username_end = quoted->size;

	sip_quote_append(quoted, request->uri);
	/* Without the quotes. */
	out->username = slice_of(quoted->data + 1, username_end - 2);
	out->uri = slice_of(quoted->data + username_end + 1,
			    quoted->size - username_end - 2);
}

static void answer_sign(struct digest_context *context,
			const struct function *f,
			const struct digest_request *request,
			struct digest_credentials *answer,
			char response[DIGEST_HEX_BYTES])
{
	const struct terms terms = {
		.algorithm = answer->algorithm,
		.qop = answer->qop,
		.username = answer->username,
		.realm = answer->realm,
		.nonce = answer->nonce,
		.uri = answer->uri,
		.cnonce = answer->cnonce,
		.nc_text = answer->nc_text,
		.method = request->method,
		.body = request->body,
		.secret = &request->secret,
	};

	respond(context, f, &terms, response);
	answer->response = slice_str(response);
}

enum err_code digest_answer_build(struct digest_context *context,
				  struct buffer *out, enum sip_header_name name,
				  const struct digest_challenge *challenge,
				  const struct digest_request *request)
{
	if (!is_answerable(context, challenge))
		return ERR_NOT_FOUND;
	if (!is_sendable(request->username) || !is_sendable(request->uri))
		return ERR_VALIDATE;

	/* RFC 7616 3.4: what was not said in the challenge is not said here:
	 * algorithm and opaque. */
	struct digest_credentials answer = {
		.realm = challenge->realm,
		.nonce = challenge->nonce,
		.opaque = challenge->opaque,
		.algorithm = challenge->algorithm,
		.algorithm_text = challenge->algorithm_text,
		.qop = qop_choose(challenge->qop),
	};
	char nc[NC_TEXT_BYTES];
	char response[DIGEST_HEX_BYTES];

	snprintf(nc, sizeof(nc), "%08x", (unsigned)request->nc);
	if (answer.qop != DIGEST_QOP_NONE) {
		answer.nc = request->nc;
		answer.nc_text = slice_str(nc);
	}
	/* Servers without qop may not know the word. */
	if (answer.qop != DIGEST_QOP_NONE || digest_is_sess(answer.algorithm))
		answer.cnonce = request->cnonce;
	quote_ours(context, request, &answer);
	answer_sign(context, function_find(context, answer.algorithm), request,
		    &answer, response);
	sip_build_begin(out, name);
	digest_credentials_append(out, &answer);
	sip_build_line_end(out);
	return ERR_OK;
}
