#ifndef REGISTRAR_PACING_H
#define REGISTRAR_PACING_H

/*
 * When a request may leave: never more than a burst over all, and a smaller one
 * to each destination, in ANY window of time. A bucket that fills evenly would
 * let twice the burst through within one window; here the times of the last
 * requests are kept, and the next one waits until the oldest is a window ago.
 *
 * Those that wait do so in the order they came, for each destination; the
 * destinations take turns, so that a carrier with 10 000 trunks does not hold
 * up the one with a single trunk. An answer to a challenge is urgent: it goes
 * before the others of its destination, or its nonce would grow stale in the
 * queue.
 */

#include "services/registrar/agenda.h"
#include "services/registrar/sip/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct pacing;
struct pacing_destination;

enum {
	PACING_WINDOW_MS = 100,
	PACING_BURST = 20,
	PACING_DESTINATION_BURST = 5,
	/* The network and the peer's clock push requests closer together: this
	 * much is added to the window so that it holds where it is measured. */
	PACING_SLACK_MS = 5,
};

/* 0 is the default of each. */
struct pacing_options {
	unsigned window_ms;
	unsigned burst;
	unsigned destination_burst;
};

/* A place in the queue: the caller's, zeroed; dropped before its memory goes.
 * That bounds the queue by what there is to send for. */
struct pacing_ticket {
	TAILQ_ENTRY(pacing_ticket) link;
	struct pacing_destination *destination; /* NULL: does not wait */
	bool urgent;
	loop_fn *fn;
	void *arg;
};

struct pacing *pacing_new(struct agenda *agenda,
			  const struct pacing_options *options);

/* Nobody waits any more. */
void pacing_free(struct pacing *pacing);

/* Calls fn once a request may leave for the destination, at once counted as
 * sent; never before this returned. The ticket does not wait. */
void pacing_ask(struct pacing *pacing, struct pacing_ticket *ticket,
		const struct sip_endpoint *destination, bool urgent,
		loop_fn *fn, void *arg);

/* Gives the place up. One that does not wait is fine. */
void pacing_drop(struct pacing_ticket *ticket);

size_t pacing_waiting(const struct pacing *pacing);

#endif
