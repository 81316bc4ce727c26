#ifndef REGISTRAR_KEEPALIVE_H
#define REGISTRAR_KEEPALIVE_H

/*
 * Whether a trunk lives: OPTIONS at its keep_alive_interval, to the very flow
 * or address that took its registration; for a trunk known by its address to
 * its outbound server. Any final answer counts, a 404 or a 405 too: somebody is
 * there. Trunks are spread over the interval, and paced like REGISTERs.
 *
 *	idle --start--> waiting --interval--> asking --answer, failure--.
 *	  ^               ^                                             |
 *	  '--stop---------+---------------------------------------------'
 */

#include "services/registrar/attempt.h"
#include "services/registrar/request.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* Never more often, whatever is configured. */
	KEEPALIVE_MIN_MS = 5000,
	/* After a failure the next one comes sooner: a trunk that is back is to
	 * be seen. */
	KEEPALIVE_FAILED_MS = 30000,
	/* A trunk that was never asked is asked within this. */
	KEEPALIVE_FIRST_MS = 10000,
};

struct keepalive;

/* The end of one OPTIONS. */
typedef void keepalive_fn(void *arg, const struct status_alive *alive);

struct keepalive_options {
	struct attempt_shared *shared;
	const struct request_self *self;
	uint64_t *random; /* policy_random()'s */
	uint64_t *sent;	  /* counts the requests */
	keepalive_fn *fn;
	void *arg;
};

struct keepalive *keepalive_new(const struct keepalive_options *options);
void keepalive_free(struct keepalive *keepalive);

/* Starts over for these settings, which outlive it or are followed by another
 * start or stop. flow NULL: to the trunk's next hop. Does nothing but stop
 * where the trunk wants none. */
void keepalive_start(struct keepalive *keepalive,
		     const struct world_trunk *trunk,
		     const struct sip_flow *flow);
void keepalive_stop(struct keepalive *keepalive);

const struct status_alive *keepalive_alive(const struct keepalive *keepalive);

#endif
