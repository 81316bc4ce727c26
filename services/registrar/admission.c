#include "services/registrar/admission.h"

#include "proto/arena.h"
#include "proto/mem.h"
#include "services/registrar/repeats.h"
#include "services/registrar/sip/digest.h"
#include "services/registrar/sip/nonce.h"

#include <stdlib.h>

enum {
	OFFERED = DIGEST_BIT(DIGEST_MD5) | DIGEST_BIT(DIGEST_SHA_256) |
		  DIGEST_BIT(DIGEST_SHA_512_256),

	/* A longer name is nobody's: an auth_id has 64 characters. */
	USERNAME_BYTES = 512,
};

struct admission {
	const struct world *world;
	struct digest_context *digest;
	unsigned algorithms;
	struct nonce_signer *signer;
	struct nonce_window *window;
	struct repeats *repeats; /* of what was admitted */
};

/* 0: none of ours. */
static unsigned algorithm_bit(struct slice name)
{
	for (unsigned i = DIGEST_OTHER + 1; i < DIGEST_COUNT; i++)
		if ((OFFERED & DIGEST_BIT(i)) &&
		    sip_word_eq(digest_algorithm_text(i), name))
			return DIGEST_BIT(i);
	return 0;
}

enum err_code admission_algorithms_read(const char *names, unsigned *out,
					struct err *err)
{
	unsigned algorithms = 0;

	while (*names) {
		const size_t size = strcspn(names, ",");
		const struct slice name = slice_trim(slice_of(names, size));
		const unsigned bit = algorithm_bit(name);

		if (!bit)
			return err_set(err, ERR_VALIDATE,
				       "%.*s is no digest algorithm of ours",
				       (int)name.size, name.data);
		algorithms |= bit;
		names += size + (names[size] == ',');
	}
	if (!algorithms)
		return err_set(err, ERR_VALIDATE, "no digest algorithm");
	*out = algorithms;
	return ERR_OK;
}

struct admission *admission_new(const struct admission_options *options)
{
	struct admission *admission = mem_alloc(sizeof(*admission));

	admission->world = options->world;
	admission->digest = digest_context_new();
	admission->algorithms =
		(options->algorithms ? options->algorithms : OFFERED) &
		digest_algorithms(admission->digest);
	admission->signer =
		nonce_signer_new(options->nonce_key, options->nonce_lifetime_s);
	admission->window =
		nonce_window_new(options->nonces, options->nonce_lifetime_s);
	admission->repeats = repeats_new();
	return admission;
}

void admission_free(struct admission *admission)
{
	if (!admission)
		return;
	repeats_free(admission->repeats);
	nonce_window_free(admission->window);
	nonce_signer_free(admission->signer);
	digest_context_free(admission->digest);
	free(admission);
}

void admission_challenge(struct admission *admission, const char *realm,
			 bool stale, int64_t now_s, struct buffer *out)
{
	char nonce[NONCE_BYTES];

	nonce_make(admission->signer, now_s, nonce);

	const struct digest_offer offer = {
		.realm = slice_str(realm),
		.nonce = slice_str(nonce),
		.algorithms = admission->algorithms,
		.qop = DIGEST_QOP_AUTH,
		.stale = stale,
	};

	digest_challenge_build(out, SIP_WWW_AUTHENTICATE, &offer);
}

/* The credentials for our realm among those of other servers. ERR_NOT_FOUND:
 * there are none; ERR_MALFORMED: none, and some could not be read. */
static enum err_code find_credentials(const struct admission_request *request,
				      struct digest_credentials *out)
{
	enum err_code found = ERR_NOT_FOUND;
	const struct sip_header *line =
		sip_message_first(request->message, SIP_AUTHORIZATION);

	for (; line; line = sip_message_next(request->message, line)) {
		const enum err_code code =
			digest_credentials_decode(line->value, out);

		if (code == ERR_OK && sip_word_is(out->realm, request->realm))
			return ERR_OK;
		if (code == ERR_MALFORMED)
			found = code;
	}
	return found;
}

static bool was_offered(const struct admission *admission,
			const struct digest_credentials *credentials)
{
	return (admission->algorithms & DIGEST_BIT(credentials->algorithm)) &&
	       (credentials->qop == DIGEST_QOP_AUTH ||
		credentials->qop == DIGEST_QOP_NONE);
}

/* RFC 7616 3.4.6: the uri is that of the request. Peers write it with and
 * without port and parameters, and a proxy may have rewritten the request's:
 * what counts is that it is for this host, or for the realm. */
static bool fits_uri(const struct admission_request *request,
		     const struct digest_credentials *credentials)
{
	struct sip_uri uri, asked;

	if (slice_eq(credentials->uri, request->message->uri_text))
		return true;
	return sip_uri_decode(credentials->uri, &uri) == ERR_OK &&
	       sip_message_uri(request->message, &asked) == ERR_OK &&
	       (sip_word_eq(uri.host.name, asked.host.name) ||
		sip_word_is(uri.host.name, request->realm));
}

/* False: nobody's name. */
static bool find_account(const struct admission *admission,
			 const struct admission_request *request,
			 const struct digest_credentials *credentials,
			 struct world_account *out)
{
	struct arena arena = {0};
	bool found = false;
	const struct slice name = digest_text(credentials->username, &arena);
	char text[USERNAME_BYTES];

	if (name.size > 0 && name.size < sizeof(text)) {
		memcpy(text, name.data, name.size);
		text[name.size] = '\0';
		found = world_account(admission->world, request->realm, text,
				      out);
	}
	arena_fini(&arena);
	return found;
}

/* Good credentials: each of their counts once. A retransmission looks like a
 * replay, so it is known by its bytes. Whoever replays it whole does no harm:
 * its CSeq is not newer than what it has brought about. */
static enum admission_verdict use(struct admission *admission,
				  const struct admission_request *request,
				  const struct digest_credentials *credentials,
				  const struct nonce_stamp *stamp)
{
	const uint32_t count = credentials->qop == DIGEST_QOP_NONE
				       ? NONCE_COUNT_ONCE
				       : credentials->nc;
	const struct repeats_mark mark = repeats_mark(
		admission->repeats, request->message->text, request->source);

	if (nonce_window_use(admission->window, stamp, count, request->now_s) ==
	    NONCE_FRESH) {
		repeats_add(admission->repeats, &mark, request->now_s);
		return ADMISSION_GOOD;
	}
	return repeats_has(admission->repeats, &mark, request->now_s)
		       ? ADMISSION_GOOD
		       : ADMISSION_STALE;
}

/* Credentials with a nonce of ours. An account that is not there is checked
 * like any other, so that it takes as long. */
static enum admission_verdict
verify(struct admission *admission, const struct admission_request *request,
       const struct digest_credentials *credentials,
       const struct world_account *account)
{
	/* Without a password an account is nobody's, and not everybody's. */
	const char *password =
		account && account->password[0] ? account->password : NULL;
	const struct digest_secret secret = {.password = slice_str(password)};

	switch (digest_verify(admission->digest, credentials, &secret,
			      request->message->method_text,
			      request->message->body)) {
	case DIGEST_GOOD:
		break;
	case DIGEST_UNSUPPORTED:
		return ADMISSION_CHALLENGE;
	case DIGEST_WRONG:
	default:
		return ADMISSION_FORBIDDEN;
	}
	/* An account registers the one address of record that is its own. */
	return account && slice_is(request->user, account->user)
		       ? ADMISSION_GOOD
		       : ADMISSION_FORBIDDEN;
}

enum admission_verdict admission_check(struct admission *admission,
				       const struct admission_request *request,
				       struct world_account *account)
{
	struct digest_credentials credentials;
	struct nonce_stamp stamp;
	const enum err_code code = find_credentials(request, &credentials);

	if (code)
		return code == ERR_MALFORMED ? ADMISSION_MALFORMED
					     : ADMISSION_CHALLENGE;
	if (!was_offered(admission, &credentials))
		return ADMISSION_CHALLENGE;
	switch (nonce_check(admission->signer, credentials.nonce,
			    request->now_s, &stamp)) {
	case NONCE_GOOD:
		break;
	case NONCE_STALE:
		return ADMISSION_STALE;
	case NONCE_FORGED:
	default:
		return ADMISSION_CHALLENGE;
	}
	if (!fits_uri(request, &credentials))
		return ADMISSION_MALFORMED;

	const bool found =
		find_account(admission, request, &credentials, account);

	if (!found && !world_complete(admission->world, request->realm))
		return ADMISSION_UNKNOWN_YET;

	const enum admission_verdict verdict = verify(
		admission, request, &credentials, found ? account : NULL);

	if (verdict != ADMISSION_GOOD)
		return verdict;
	return use(admission, request, &credentials, &stamp);
}
