#ifndef REGISTRAR_SIP_DIGEST_H
#define REGISTRAR_SIP_DIGEST_H

/*
 * Digest authentication, both ends of it (RFC 7616, RFC 8760, RFC 3261 22.4;
 * OpenSSL stands behind it). digest_header.h has the texts, nonce.h the nonces.
 *
 * Nothing here blocks. Passwords and what is made of them are wiped from this
 * module's memory before a function returns.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "proto/slice.h"
#include "services/registrar/sip/digest_header.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DIGEST_HEX_BYTES = 65,	  /* the longest digest as hex, and NUL */
	DIGEST_CNONCE_BYTES = 33, /* 128 bits as hex, and NUL */
};

/* The digest functions, fetched once: fetching for each use takes twice the
 * time. One per process; it is used by one thread at a time. */
struct digest_context;

struct digest_context *digest_context_new(void);
void digest_context_free(struct digest_context *context);

/* The algorithms OpenSSL gives us, as a set of DIGEST_BIT(); where it is in
 * FIPS mode MD5 is not among them. */
unsigned digest_algorithms(const struct digest_context *context);

/* What proves a user. A struct without either is nobody's: it fits no
 * credentials, which takes as long to say as of a wrong password. */
struct digest_secret {
	struct slice password; /* in clear */
	/* H(user:realm:password) in lower-case hex, of the algorithm in use;
	 * where it is there, the password is not looked at. */
	struct slice ha1;
};

/* H(user:realm:password) of an algorithm for storing, as hex: "-sess" makes no
 * difference. ERR_NOT_FOUND: the algorithm is not available. */
enum err_code digest_ha1(struct digest_context *context,
			 enum digest_algorithm algorithm, struct slice username,
			 struct slice realm, struct slice password,
			 char out[DIGEST_HEX_BYTES]);

/* --- A server checks credentials --- */

enum digest_verdict {
	DIGEST_WRONG, /* zero */
	DIGEST_GOOD,
	/* An algorithm, qop, userhash or username* we do not serve: challenge
	 * anew with what we do. */
	DIGEST_UNSUPPORTED,
};

/* Whether the credentials were made with the secret, for a request of this
 * method and body (hashed for auth-int only). Username and realm are taken from
 * the credentials: that they are the ones the secret belongs to, that the uri
 * is the request's, that the algorithm and qop were offered and that the nonce
 * is ours and fresh is for the caller to compare. The responses are compared in
 * constant time. */
enum digest_verdict digest_verify(struct digest_context *context,
				  const struct digest_credentials *credentials,
				  const struct digest_secret *secret,
				  struct slice method, struct slice body);

/* --- A client answers a challenge --- */

/* The best of the challenges of one response. A zeroed struct has seen none. */
struct digest_choice {
	bool found;		      /* best is set */
	unsigned refused;	      /* challenges we cannot answer */
	struct digest_challenge best; /* views into the offered values */
};

/* Looks at the value of one WWW-Authenticate or Proxy-Authenticate header: it
 * is the new best where we can answer it and its algorithm is stronger. Of two
 * alike the first stays, as the server prefers it (RFC 8760 2.4). */
void digest_choice_offer(struct digest_choice *choice,
			 const struct digest_context *context,
			 struct slice value);

struct digest_request {
	struct slice username; /* plain, without escapes */
	struct digest_secret secret;
	struct slice method;
	struct slice uri;
	struct slice body;   /* may be absent */
	struct slice cnonce; /* digest_cnonce() */
	uint32_t nc;	     /* how often this nonce was used, from 1 */
};

/* A cnonce nobody can foresee. */
void digest_cnonce(char out[DIGEST_CNONCE_BYTES]);

/* Appends the header line (Authorization or Proxy-Authorization) that answers
 * the challenge; auth where it is offered, else auth-int, else no qop.
 * ERR_NOT_FOUND: the challenge asks for something we do not have;
 * ERR_VALIDATE: username or uri holds a control character, which cannot be
 * sent. out is then as it was. */
enum err_code digest_answer_build(struct digest_context *context,
				  struct buffer *out, enum sip_header_name name,
				  const struct digest_challenge *challenge,
				  const struct digest_request *request);

#endif
