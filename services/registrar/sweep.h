#ifndef REGISTRAR_SWEEP_H
#define REGISTRAR_SWEEP_H

/*
 * Takes out of Redis what is bound for accounts that are no more: world_binds()
 * says of each binding whether it may stay, when it is looked at and again when
 * it is removed.
 *
 *   an account is gone  --> its address of record -.
 *   a tenant is gone    --> walk its list ---------+--> at most SWEEP_ROUND at
 *   everything was read --> walk the whole list ---'    a time --> remove
 *   every SWEEP_PERIOD_MS ----^
 *
 * Reading a list takes out of it what has ended; that is all a walk does for
 * phones that were unplugged.
 *
 * Every registrar does so for itself: the others may not have heard yet, and
 * have let somebody in meanwhile. Twice does no harm. While Redis is away it
 * waits; nothing is forgotten.
 */

#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/registrar/bindings.h"
#include "services/registrar/world.h"

#include <stdbool.h>
#include <stdint.h>

struct sweep;

enum {
	/* Addresses of record looked at together: Redis and phones that
	 * register meanwhile do not notice. */
	SWEEP_ROUND = BINDINGS_PAGE_MAX,

	/* Addresses of record that wait; of more the whole list is walked. */
	SWEEP_WAITING_MAX = 10000,

	SWEEP_DEADLINE_MS = 5000,

	/* Until what Redis did not do is tried again. */
	SWEEP_RETRY_MS = 1000,

	/* What has ended takes memory of Redis for so long; to read a million
	 * bindings takes some seconds of two CPUs. */
	SWEEP_PERIOD_MS = 30 * 60 * 1000,
};

/* Both outlive it. metrics may be NULL. */
struct sweep *sweep_new(struct loop *loop, struct bindings *bindings,
			const struct world *world, struct metrics *metrics);

/* The cache behind the bindings was freed before, or it is idle. */
void sweep_free(struct sweep *sweep);

/* Each soon looks at an address of record, a tenant's or all. */
void sweep_aor(struct sweep *sweep, struct slice aor);
void sweep_tenant(struct sweep *sweep, int64_t tenant_id);
void sweep_all(struct sweep *sweep);

/* There is nothing to look at. */
bool sweep_idle(const struct sweep *sweep);

#endif
