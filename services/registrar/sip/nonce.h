#ifndef REGISTRAR_SIP_NONCE_H
#define REGISTRAR_SIP_NONCE_H

/*
 * Nonces that need no memory: time, a number that is used once, and a tag under
 * a key that all replicas share, so that any of them can check what another
 * gave out, also after a restart (RFC 7616 3.3). And the memory that refuses a
 * nonce-count used before (3.4).
 *
 * Times are wall-clock seconds since 1970, since replicas have to agree on
 * them. Nothing here blocks; a nonce is made and checked in a fraction of a
 * microsecond.
 */

#include "proto/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NONCE_KEY_BYTES = 16,
	NONCE_BYTES = 57, /* 56 hex digits and NUL */
	/* How far the clocks of replicas may be apart. */
	NONCE_SKEW_S = 30,
	/* The nonce-count of credentials without a qop, which have none: good
	 * for one use. */
	NONCE_COUNT_ONCE = UINT32_MAX,
};

/* What a checked nonce says; embedded by callers, not to be read. */
struct nonce_stamp {
	uint64_t number;
	uint32_t issued_s;
};

/* Makes and checks. */
struct nonce_signer;

/* key: NONCE_KEY_BYTES, the same in all replicas; copied. lifetime_s: how long
 * a nonce is good, 1 s to a day. */
struct nonce_signer *nonce_signer_new(const unsigned char *key,
				      uint32_t lifetime_s);
void nonce_signer_free(struct nonce_signer *signer);

/* A new nonce, never given before by any replica. */
void nonce_make(struct nonce_signer *signer, int64_t now_s,
		char out[NONCE_BYTES]);

enum nonce_verdict {
	NONCE_FORGED, /* zero: not made with this key */
	NONCE_GOOD,
	/* Ours and too old, or from a clock too far ahead: challenge with
	 * stale=true, and the client tries again without asking its user. */
	NONCE_STALE,
};

/* *stamp is set unless forged. The tag is compared in constant time. */
enum nonce_verdict nonce_check(const struct nonce_signer *signer,
			       struct slice nonce, int64_t now_s,
			       struct nonce_stamp *stamp);

/*
 * The highest nonce-count of each nonce in use, until the nonce is too old or
 * has to make room for a younger one. A table of fixed size, 33 bytes a nonce.
 * To be asked after the credentials were found good: whoever has no password
 * cannot fill it. It knows what this process saw: a request replayed to another
 * replica is taken there once. A retransmission has to be recognized before,
 * since it looks like a replay.
 */
struct nonce_window;

/* Room for about `nonces` at a time. Where more are used within a lifetime
 * (that of the signer), as when all devices come back at once after a power
 * cut, the oldest go: whoever comes back with one of those is NONCE_FULL, who
 * has a new one never waits. With `nonces` of one second, one in a hundred
 * comes back NONCE_FULL at worst. */
struct nonce_window *nonce_window_new(size_t nonces, uint32_t lifetime_s);
void nonce_window_free(struct nonce_window *window);

enum nonce_use {
	NONCE_REPLAYED, /* zero: this count or a greater one was seen */
	NONCE_FRESH,
	/* Had to make room, or may have: answer as if it were stale. The client
	 * comes back with a new one. */
	NONCE_FULL,
};

/* Notes a use. Takes the same short time however many are noted. */
enum nonce_use nonce_window_use(struct nonce_window *window,
				const struct nonce_stamp *stamp, uint32_t count,
				int64_t now_s);

#endif
