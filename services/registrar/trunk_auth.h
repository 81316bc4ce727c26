#ifndef REGISTRAR_TRUNK_AUTH_H
#define REGISTRAR_TRUNK_AUTH_H

/* The challenges of a trunk's carrier: taking the strongest one, and answering
 * it with each REGISTER for as long as its nonce is taken. */

#include "services/registrar/sip/digest.h"
#include "services/registrar/trunk_state.h"
#include "services/registrar/world.h"

/* The slot of a status: 401 or 407. */
unsigned trunk_auth_slot(unsigned status);

enum trunk_auth {
	TRUNK_AUTH_TAKEN,	/* kept in the state, to be answered */
	TRUNK_AUTH_TAKEN_STALE, /* likewise; says that only the nonce was old */
	TRUNK_AUTH_NONE,	/* no challenge we can answer */
};

/* Takes the best challenge of a 401 or 407. */
enum trunk_auth trunk_auth_take(struct trunk_state *state,
				const struct digest_context *digest,
				const struct sip_message *response);

/* Appends a header line for each challenge kept, counting its nonce on. One
 * that cannot be answered is forgotten. */
void trunk_auth_append(struct trunk_state *state, struct digest_context *digest,
		       const struct world_trunk *trunk, struct buffer *out);

/* Of the last challenge; OTHER: none is kept. */
enum digest_algorithm trunk_auth_algorithm(const struct trunk_state *state);

#endif
