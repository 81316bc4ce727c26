#ifndef REGISTRAR_TRUNK_AUTH_H
#define REGISTRAR_TRUNK_AUTH_H

/* The challenges of a trunk's carrier: taking the strongest one, and answering
 * it with each REGISTER for as long as its nonce is taken. */

#include "services/registrar/sip/digest.h"
#include "services/registrar/trunk_state.h"
#include "services/registrar/world.h"

#include <stdbool.h>

enum {
	/* A carrier that challenges again and again (each nonce stale) is not
	 * asked for ever; proxy and registrar together take two. */
	TRUNK_CHALLENGED_MAX = 5,
};

/* How one attempt's challenges went; zero at its begin. */
struct trunk_auth {
	bool answered[TRUNK_CHALLENGES]; /* with credentials for its last
					    challenge */
	unsigned challenged;
};

/* Takes the best challenge of a 401 or 407 into the state. NULL: answer it;
 * else why not. Without stale=true the same challenge again means that what it
 * was answered with is wrong. One that came to credentials of an older nonce is
 * none of that. */
const char *trunk_auth_take(struct trunk_auth *auth, struct trunk_state *state,
			    const struct digest_context *digest,
			    const struct world_trunk *trunk,
			    const struct sip_message *response);

/* The next challenge is none to credentials sent so far. */
void trunk_auth_forget(struct trunk_auth *auth);

/* Whether a refusal came to credentials. */
bool trunk_auth_proved(const struct trunk_auth *auth);

/* Appends a header line for each challenge kept, counting its nonce on. One
 * that cannot be answered is forgotten. */
void trunk_auth_append(struct trunk_state *state, struct digest_context *digest,
		       const struct world_trunk *trunk, struct buffer *out);

/* Of the last challenge; OTHER: none is kept. */
enum digest_algorithm trunk_auth_algorithm(const struct trunk_state *state);

#endif
