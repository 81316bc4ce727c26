#ifndef REGISTRAR_INBOUND_H
#define REGISTRAR_INBOUND_H

/*
 * The registrar's side of SIP: a stateless user agent server (RFC 3261 8.2.7,
 * 10.3). Requests come in, answers go out by a function; what a REGISTER brings
 * about is in Redis before its 200 leaves.
 *
 *   request --> check --> REGISTER --> domain --> admission --> contacts
 *                 |          (404)      (401, 403)   (400, 420, 423, 439)
 *                 +-> OPTIONS: 200                      |
 *                 +-> 400, 405, 501 ...                 v
 *                        200 <-- Redis (bindings.h) <-- in flight
 *                                (500, 503)
 *
 * A retransmission of a request in flight is absorbed, one of an answered
 * request is answered again: the rules of CSeq make that the same answer.
 */

#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/registrar/bindings.h"
#include "services/registrar/contacts.h"
#include "services/registrar/sip/flow.h"
#include "services/registrar/sip/message.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbound;

enum {
	/* Until the settings say otherwise, seconds. */
	INBOUND_EXPIRES_MIN_S = 90,
	INBOUND_EXPIRES_MAX_S = 3600,
	INBOUND_EXPIRES_DEFAULT_S = 300,

	/* As long as most refreshes are apart: a phone that goes on with its
	 * nonce needs one trip in the place of two. */
	INBOUND_NONCE_LIFETIME_S = 600,
	/* Used within that time; 8 MiB. */
	INBOUND_NONCES = 262144,

	/* REGISTERs waiting for Redis: what it does in some 50 ms. Half of what
	 * the cache queues, so that other commands have room. */
	INBOUND_CALLS_MAX = 4096,

	/* A client gives up after 32 s, and tries again by itself after half a
	 * second: it is told before it has sent a third time. */
	INBOUND_DEADLINE_MS = 1500,
};

/* Sends a message the way a flow says; whether it could is nobody's concern
 * here, since the client will ask again. May not call back. */
typedef void inbound_send_fn(void *arg, const struct sip_flow *flow,
			     struct slice message);

/* A response has come, checked. */
typedef void inbound_response_fn(void *arg, const struct sip_flow *flow,
				 const struct sip_message *response);

struct inbound_options {
	struct bindings *bindings;	/* outlive it */
	const struct world *world;	/* likewise */
	struct metrics *metrics;	/* or NULL */
	const unsigned char *nonce_key; /* NONCE_KEY_BYTES, the same in all
					   replicas; copied */
	uint32_t nonce_lifetime_s;	/* 0: INBOUND_NONCE_LIFETIME_S */
	size_t nonces;			/* 0: INBOUND_NONCES */
	unsigned algorithms;		/* as of admission.h; 0: all */
	struct contacts_bounds expires; /* zeroed: the INBOUND_EXPIRES_* */
	int64_t (*now_s)(void *arg);	/* since 1970; NULL: the system's */
	inbound_send_fn *send;
	inbound_response_fn *response; /* NULL: responses are dropped */
	void *arg;		       /* of all three */
};

struct inbound *inbound_new(const struct inbound_options *options);

/* Nothing is in flight any more, or the cache behind the bindings was freed,
 * which answers what was with 503. */
void inbound_free(struct inbound *inbound);

/* From now on. */
void inbound_expires_set(struct inbound *inbound,
			 const struct contacts_bounds *bounds);

/* Takes a message that came over a flow, both of the call's time. Answers at
 * once or, by way of Redis, later. */
void inbound_receive(struct inbound *inbound, const struct sip_flow *flow,
		     const struct sip_message *message);

/* No answer is owed. */
bool inbound_idle(const struct inbound *inbound);

#endif
