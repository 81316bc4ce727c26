#ifndef REGISTRAR_ATTEMPT_H
#define REGISTRAR_ATTEMPT_H

/*
 * One request to the first destination of a name that answers it: looks the
 * name up, and for each destination in turn waits for its pace, makes a way,
 * sends, waits. A destination that cannot be reached, does not answer, or whose
 * answer the owner does not take gives way to the next one (RFC 3263 4.3).
 *
 *	waiting --> resolving --> pacing --> connecting --> pacing --.
 *	                            ^  \________________________  |
 *	                            |                           v v
 *	                            |<--next destination----- trying --> end
 *	                            '<--again: answer to a challenge-'
 *
 * A new connection is followed by a second wait, so that what carriers count is
 * paced: requests, and not when a handshake happened to end.
 */

#include "proto/buffer.h"
#include "services/registrar/agenda.h"
#include "services/registrar/pacing.h"
#include "services/registrar/sip/client.h"
#include "services/registrar/sip/resolve.h"
#include "services/registrar/status.h"
#include "services/registrar/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	/* Lookups at a time; further attempts wait in line. A quarter of what
	 * the resolver takes, for it has other users. */
	ATTEMPT_RESOLVING_MAX = RESOLVE_PENDING_MAX / 4,
	ATTEMPT_RESOLVE_MS = 10000,
	/* How long a destination may take, in T1: the RFC's timer F for the
	 * last one, a quarter of it where another is left to try. */
	ATTEMPT_LAST_T1 = SIP_TIMEOUT_T1,
	ATTEMPT_NEXT_T1 = SIP_TIMEOUT_T1 / 4,
};

struct attempt;

/* What all attempts of a process share; the members are the owner's and outlive
 * the attempts. */
struct attempt_shared {
	struct agenda *agenda;
	struct pacing *pacing;
	struct resolver *resolver;
	struct sip_client *client;
	struct wire *wire;
	unsigned t1_ms; /* the client's; 0: the RFC's */

	/* The attempts' own. */
	size_t resolving;
	TAILQ_HEAD(, attempt) waiting;
	struct agenda_entry next; /* calls those up that wait */
};

/* Zeroed but for the members above; _fini when no attempt is left. */
void attempt_shared_init(struct attempt_shared *shared);
void attempt_shared_fini(struct attempt_shared *shared);

enum attempt_verdict {
	ATTEMPT_DONE,  /* the attempt ends, nothing more is called */
	ATTEMPT_AGAIN, /* the same destination, built anew */
	ATTEMPT_NEXT,  /* the next destination, `failed` where there is none */
};

struct attempt_handlers {
	/* It is now RESOLVING, CONNECTING or TRYING. way: where to, as far as
	 * it is known; transport OTHER: not yet. */
	void (*step)(void *arg, enum trunk_phase phase,
		     const struct sip_flow *flow);

	/* Writes the request, branch in its topmost Via. */
	void (*build)(void *arg, const struct wire_way *way,
		      struct slice branch, struct buffer *out);

	/* A final response has come. May free the owner on ATTEMPT_DONE. */
	enum attempt_verdict (*answer)(void *arg, const struct wire_way *way,
				       const struct sip_message *response);

	/* A destination has failed; others may follow. */
	void (*missed)(void *arg, const struct sip_flow *flow,
		       const struct status_fault *fault);

	/* All did; the last one's fault, REJECTED where it was answered but not
	 * taken. The attempt is gone. */
	void (*failed)(void *arg, const struct status_fault *fault);
};

struct attempt_options {
	const char *host; /* copied */
	uint16_t port;	  /* 0: not said */
	enum sip_transport transport;
	enum sip_method method;
	/* The flow that took the last one: its destination comes first where it
	 * is among those of the name, and is all there is where the name cannot
	 * be looked up. May be NULL. */
	const struct sip_flow *prefer;
	bool only;   /* that flow's destination and no other, no lookup */
	bool avoid;  /* it comes last instead: it has just failed */
	bool urgent; /* before others of its destination */
	const struct attempt_handlers *handlers; /* outlive it */
	void *arg;
};

/* Handlers are never called before this returned. */
struct attempt *attempt_start(struct attempt_shared *shared,
			      const struct attempt_options *options);

/* Ends it, nothing is called. NULL is fine. Not from its own handlers. */
void attempt_cancel(struct attempt *attempt);

#endif
