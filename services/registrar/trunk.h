#ifndef REGISTRAR_TRUNK_H
#define REGISTRAR_TRUNK_H

/*
 * One trunk as we see it: registered with its provider where it is of
 * WORLD_REGISTER_AUTH, asked whether it lives where it is known by its address.
 *
 *	                 .-----------<-- edit, register now --<-----------.
 *	                 v                                                |
 *	  disabled    unregistered --> resolving --> connecting --.       |
 *	    ^  |         ^ ^ ^             ^  \______________     |       |
 *	    |  '---------' | |             |                 v    v       |
 *	    |   enabled    | |   due, .----|----failed--- trying <--.     |
 *	    |              | |   now  |    |     / |         |  |    |     |
 *	    |              | '--- backing off <-'  |         |  challenged |
 *	    |              |               ^       |         v             |
 *	    |              |               '-------|--- registered -->-----'
 *	    |              |                       v         |
 *	    '----------- unregistering <--disabled, deleted, another binding
 *
 * A refresh goes through resolving and trying like the first one: the trunk
 * stays ONLINE meanwhile, for its registration has not expired. What an answer
 * leads to stands in trunk_policy.c, what a REGISTER looks like in request.h.
 *
 *	answer           then
 *	2xx              registered; refreshed at 80 to 90 % of what was
 *	                 granted, at least 5 s later
 *	3xx              rejected, slow: redirections are not followed
 *	401, 407         answered with the strongest algorithm we have; the
 *	                 same challenge again without stale=true: auth, slow
 *	403              after credentials: auth, slow; else rejected, slow
 *	423              once more with Min-Expires
 *	408, 501-504,    the next destination of the name; after the last one
 *	silence, no way  soon again, or when Retry-After says
 *	480, 486-491,    rejected; soon again, or when Retry-After says
 *	other 5xx
 *	404, other 4xx,  rejected, slow
 *	6xx
 *
 * "Soon" doubles from 4 s to 5 minutes, "slow" from 5 minutes to an hour. An
 * edit that changes what goes on the wire starts over at once; another edit
 * changes nothing. A carrier that does not answer OPTIONS is registered with
 * again at once; where it takes that, it lives.
 */

#include "services/common/secrets.h"
#include "services/registrar/attempt.h"
#include "services/registrar/ladder.h"
#include "services/registrar/request.h"
#include "services/registrar/sip/digest.h"
#include "services/registrar/status.h"
#include "services/registrar/trunk_state.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* An un-REGISTER that is not answered is given up: what it is for (a
	 * new binding, an end) must not wait for a dead carrier. */
	TRUNK_UNREGISTER_MS = 8000,
	/* After a start nothing that can wait is sent for this long. */
	TRUNK_QUIET_MS = 30000,
	/* What a refresh put off by that still needs before the expiry. */
	TRUNK_QUIET_LEFT_MS = 10000,
};

struct trunk;

struct trunk_stats {
	uint64_t phases[TRUNK_PHASES]; /* trunks in each */
	uint64_t online;
	uint64_t registers; /* REGISTERs sent, un-REGISTERs too */
	uint64_t registered;
	uint64_t failed;
	uint64_t keepalives; /* OPTIONS sent */
};

/* What all trunks of a process share; outlives them. */
struct trunk_shared {
	struct attempt_shared *attempts;
	struct digest_context *digest;
	struct request_self self;
	unsigned char tag_key[SECRETS_TAG_KEY_BYTES];
	uint64_t random; /* policy_random()'s */

	/* Its state is to be stored. */
	void (*save)(void *arg, const struct trunk *trunk);
	/* It went ONLINE or OFFLINE. */
	void (*changed)(void *arg, const struct trunk *trunk);
	/* The end trunk_remove() has begun: the callee frees it. */
	void (*ended)(void *arg, struct trunk *trunk);
	void *arg;

	struct trunk_stats stats;
};

/* state: as it was stored last, which the trunk takes over and leaves zeroed;
 * NULL: nothing is known of it. None of the callbacks is called but `save`. */
struct trunk *trunk_new(struct trunk_shared *shared,
			const struct world_trunk *settings,
			struct trunk_state *state);

/* Forgets it: no un-REGISTER is sent, its stored state stays. */
void trunk_free(struct trunk *trunk);

/* It was edited. */
void trunk_configure(struct trunk *trunk, const struct world_trunk *settings);

/* It was deleted. True: there is nothing to take back, free it. False: it is
 * un-registered first, then `ended` is called. */
bool trunk_remove(struct trunk *trunk);

/* Registers now, whatever it waits for. False: it does not register, or is at
 * it. */
bool trunk_register_now(struct trunk *trunk);

int64_t trunk_id(const struct trunk *trunk);
bool trunk_online(const struct trunk *trunk);
void trunk_status_get(const struct trunk *trunk, struct trunk_status *out);
const struct ladder *trunk_ladder(const struct trunk *trunk);
const struct trunk_state *trunk_state_of(const struct trunk *trunk);

#endif
