#ifndef REGISTRAR_ADMISSION_H
#define REGISTRAR_ADMISSION_H

/*
 * Who may register: digest authentication of a REGISTER against the accounts
 * of the world (RFC 3261 22, RFC 7616, RFC 8760).
 *
 * An account that does not exist, a wrong password and an address of record of
 * somebody else are told apart by nobody: each is challenged, then forbidden.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "services/registrar/sip/endpoint.h"
#include "services/registrar/sip/message.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admission;

/* Reads algorithms, comma separated as RFC 8760 names them, as a set of
 * DIGEST_BIT()s. ERR_VALIDATE: one is none of ours, or there is none. */
enum err_code admission_algorithms_read(const char *names, unsigned *out,
					struct err *err);

struct admission_options {
	const struct world *world;	/* outlives it */
	const unsigned char *nonce_key; /* NONCE_KEY_BYTES, the same in all
					   replicas; copied */
	uint32_t nonce_lifetime_s;
	size_t nonces;	     /* used within a lifetime, as nonce_window_new() */
	unsigned algorithms; /* offered; 0: all of ours */
};

struct admission *admission_new(const struct admission_options *options);
void admission_free(struct admission *admission);

struct admission_request {
	const struct sip_message *message;
	const char *realm; /* lower case; world_realm() knows it */
	struct slice user; /* of the address of record, without escapes */
	const struct sip_endpoint *source;
	int64_t now_s; /* since 1970 */
};

enum admission_verdict {
	ADMISSION_CHALLENGE, /* zero: no credentials, or none we can use */
	ADMISSION_STALE,     /* the same, for its nonce alone */
	ADMISSION_GOOD,
	ADMISSION_FORBIDDEN,
	ADMISSION_MALFORMED,
	ADMISSION_UNKNOWN_YET, /* the account: its realm is not complete */
};

/* *account is set with ADMISSION_GOOD, and good for this turn of the loop. A
 * nonce-count works once, but for retransmissions: the same bytes from the same
 * place, for as long as RFC 3261 has them sent. */
enum admission_verdict admission_check(struct admission *admission,
				       const struct admission_request *request,
				       struct world_account *account);

/* Appends the WWW-Authenticate lines of a 401, strongest first. */
void admission_challenge(struct admission *admission, const char *realm,
			 bool stale, int64_t now_s, struct buffer *out);

#endif
