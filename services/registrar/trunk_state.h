#ifndef REGISTRAR_TRUNK_STATE_H
#define REGISTRAR_TRUNK_STATE_H

/*
 * What of a trunk's registration outlives the process: `trunk:<id>` in Redis,
 * one msgpack map (unknown keys are passed over, so that two releases can run
 * side by side). It is read before anything is sent and written after each
 * change; times are those of the wall clock, for another process reads them.
 */

#include "proto/buffer.h"
#include "proto/error.h"
#include "services/common/cache.h"
#include "services/common/secrets.h"
#include "services/registrar/request.h"
#include "services/registrar/sip/flow.h"
#include "services/registrar/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* A challenge of a 401 and of a 407, which are answered apart. */
	TRUNK_CHALLENGES = 2,
	/* Longer ones are not kept: the next REGISTER is challenged anew. */
	TRUNK_CHALLENGE_BYTES_MAX = 2048,
	/* A trunk nobody has touched for that long is gone: a week over the
	 * longest outage. */
	TRUNK_STATE_TTL_S = 14 * 24 * 3600,
	TRUNK_STATE_DEADLINE_MS = 2000,
};

struct trunk_state {
	char call_id[REQUEST_CALL_ID_BYTES];
	char tag[REQUEST_TAG_BYTES];
	uint32_t cseq; /* of the last REGISTER sent */
	unsigned char settings[SECRETS_TAG_BYTES]; /* settings_tag() it was
						      sent with */

	bool registered;
	int64_t expires_ms;	/* of the registration */
	int64_t next_ms;	/* the refresh, or the next try */
	uint32_t min_expires_s; /* a 423 asked for; 0: none did */
	char *contact;		/* owned; a URI; NULL: never registered */
	struct sip_flow flow;	/* that took the registration */

	/* Header values as they came, owned; NULL: not challenged. */
	char *challenges[TRUNK_CHALLENGES];
	uint32_t nonce_counts[TRUNK_CHALLENGES];

	uint32_t failures;
	struct status_fault fault;

	bool online; /* as it was told last, and since when */
	int64_t online_since_ms;
};

/* A new Call-ID; nothing else yet. */
void trunk_state_init(struct trunk_state *state);
void trunk_state_fini(struct trunk_state *state);

/* Copies; value absent: forgets the challenge. */
void trunk_state_challenge_set(struct trunk_state *state, unsigned slot,
			       struct slice value);

void trunk_state_contact_set(struct trunk_state *state, struct slice uri);

void trunk_state_encode(const struct trunk_state *state, struct buffer *out);

/* ERR_MALFORMED: it is no such map; *out is untouched then. */
enum err_code trunk_state_decode(struct slice bytes, struct trunk_state *out);

/* --- In Redis --- */

struct trunk_store;

/* prefix comes before each key; kept by pointer. */
struct trunk_store *trunk_store_new(struct cache *cache, const char *prefix);

/* Commands under way end without their callback. */
void trunk_store_free(struct trunk_store *store);

/* state NULL with ERR_NOT_FOUND: there is none, or none that can be read; with
 * another code: it is not known, ask again. A state is the callee's. */
typedef void trunk_store_load_fn(void *arg, int64_t id,
				 struct trunk_state *state, enum err_code code);

typedef void trunk_store_lost_fn(void *arg, int64_t id);

/* fn is never called before this returned. */
void trunk_store_load(struct trunk_store *store, int64_t id,
		      trunk_store_load_fn *fn, void *arg);

/* lost: it was not stored. */
void trunk_store_save(struct trunk_store *store, int64_t id,
		      const struct trunk_state *state,
		      trunk_store_lost_fn *lost, void *arg);

void trunk_store_remove(struct trunk_store *store, int64_t id);

#endif
