#ifndef REGISTRAR_LEASE_H
#define REGISTRAR_LEASE_H

/*
 * Which trunks are this registrar's. Trunks fall into LEASE_SHARDS parts by
 * their id; each part is one key in Redis, taken by SET NX PX and renewed while
 * the process lives. So 20 000 trunks cost one script every few seconds, not
 * 20 000 keys. Registrars that live are counted, and none takes more than its
 * share. Each looks often whether there is another one, or a part that nobody
 * has: one that joins gets its share, and the parts of one that stops or whose
 * lease has run out are taken, within two looks.
 *
 * While Redis is away everybody keeps what it has: a trunk that two registrars
 * refresh is a smaller evil than one that nobody does.
 */

#include "services/common/cache.h"
#include "services/registrar/agenda.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Shares of several registrars differ by at most one part in 64. */
	LEASE_SHARDS = 64,
	LEASE_TTL_MS = 15000,
	/* Renewed three times in its life: one lost command is no takeover. */
	LEASE_RENEWALS = 3,
	/* While a part goes over nobody answers for its trunks. A look reads
	 * two numbers and writes nothing. */
	LEASE_LOOK_MS = 250,
};

struct lease;

/* A part has become ours, or no longer is; on the loop. */
typedef void lease_fn(void *arg, unsigned shard, bool ours);

struct lease_options {
	struct cache *cache;
	struct agenda *agenda;
	const char *prefix; /* before each key; kept by pointer */
	const char *owner;  /* this process, like no other; kept by pointer */
	unsigned ttl_ms;    /* 0: LEASE_TTL_MS */
	lease_fn *fn;
	void *arg;
};

struct lease *lease_new(const struct lease_options *options);

/* Gives all parts up at once, so that a planned restart costs nothing: done
 * once the cache is idle. Nothing is renewed or told any more; the lease does
 * not use the cache after it. */
void lease_release(struct lease *lease);

/* The parts stay taken until their time has run out, unless they were
 * released. */
void lease_free(struct lease *lease);

unsigned lease_shard_of(int64_t id);
bool lease_holds(const struct lease *lease, unsigned shard);
size_t lease_count(const struct lease *lease);

/* Renews, takes and gives now; for tests that drive the clock. */
void lease_renew(struct lease *lease);

#endif
