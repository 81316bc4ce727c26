#ifndef GATEWAY_CREDENTIALS_H
#define GATEWAY_CREDENTIALS_H

/* Where a call's access token is found, and the login cookie. */

#include "proto/buffer.h"
#include "proto/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* Ours have 48 characters; longer ones are not even looked up. */
	CREDENTIALS_TOKEN_BYTES_MAX = 512,
};

/* The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1), else,
 * where cookie is not absent, that of the login cookie in it. A view into
 * them; absent: none, or none that could be a token. */
struct slice credentials_token(struct slice authorization, struct slice cookie);

/*
 * Appends the value of a Set-Cookie that keeps the token, or ends it where the
 * token is absent. The cookie counts on ROUTE_COOKIE rows only and is sent by
 * pages of our own site only (SameSite), so that no other call can be forged
 * with it.
 */
void credentials_cookie_append(struct slice token, int64_t max_age_s,
			       bool secure, struct buffer *out);

#endif
