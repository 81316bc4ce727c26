#ifndef GATEWAY_RATE_H
#define GATEWAY_RATE_H

/*
 * How many requests a client may make: so many in a minute for each token and,
 * where no token is proved, for each address.
 *
 * The minute is a fixed window that starts with the first request in it: as
 * many as are allowed are let through, at whatever pace, and Retry-After says
 * when the window ends. (A token bucket would let nearly twice as many through
 * in the first minute; two windows that follow each other can do so at their
 * edge.)
 *
 *   token seen good before --> counted on the token
 *   any other token ---------> counted on the address -- proved --> given back,
 *                                   |                     counted on the token
 *                                   `-- not proved --> stays
 *   no token ----------------> counted on the address
 *
 * So nobody fills the memory, or spends what others may, with made-up tokens,
 * and a flood from an address does not touch those behind it whose tokens are
 * known here. Those that are not yet are refused with the flood, as is signing
 * in: an address that is used up makes no work for Redis.
 *
 * The memory is two tables of one size, of tokens and of addresses, so that
 * neither drives the other out. A full set gives up the window that started
 * first: the one with the least left to say. What is given up starts anew.
 *
 * Counts are this process's own: several gateways allow so many each. Time is
 * the loop's (loop_now_ms()). Nothing here blocks, waits or asks anybody.
 */

#include "proto/slice.h"
#include "services/common/metrics.h"
#include "services/common/secrets.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RATE_WINDOW_MS = 60 * 1000,
	/* 32768 tokens and as many addresses within a minute, 1 MiB each, are
	 * more than one gateway can serve at a pace worth limiting. */
	RATE_SETS = 4096,
	RATE_WAYS = 8,
};

struct rate;

/* What a request was counted on. */
struct rate_charge {
	unsigned char tag[SECRETS_TAG_BYTES]; /* the token's */
	bool known;	  /* on the token; else on the address */
	uint64_t ends_ms; /* the window it is in */
};

/* per_minute 0: everything is let through. rate_limited_total is added to the
 * metrics. secrets_init() was called. */
struct rate *rate_new(uint32_t per_minute, struct metrics *metrics);
void rate_free(struct rate *rate);

/* Counts a request without a token. address: numeric; of an IPv6 address the
 * first 64 bits count, since who has one has all of them. Returns 0, or the
 * seconds after which the next may come: this one is to be refused. */
uint32_t rate_address(struct rate *rate, const char *address, uint64_t now_ms);

/* Counts a request with a token of any kind, likewise. On 0 rate_proved() has
 * to follow once it is known whether the token is good; where that cannot be
 * found out, nothing. */
uint32_t rate_token(struct rate *rate, struct slice token, const char *address,
		    uint64_t now_ms, struct rate_charge *charge);

/* good: the token is somebody's. Returns as above: other requests with it may
 * have used it up meanwhile; where not good always 0. */
uint32_t rate_proved(struct rate *rate, const struct rate_charge *charge,
		     const char *address, bool good, uint64_t now_ms);

#endif
