#ifndef COMMON_FOLLOW_H
#define COMMON_FOLLOW_H

/*
 * Follows one resource of another service: keeps its consumer told of every
 * object there is, of each change and of each end.
 *
 *   connected, a minute has passed --> list (id, version) --.
 *                                                           v
 *   event ---------------------------------------> gather, fetch --> upsert,
 *                                                                    removed
 *
 * Objects are fetched by `<resource>.fetch` (resource.h), with their secrets,
 * in pages: of RESOURCE_FETCH_MAX as soon as there are so many to fetch, of
 * fewer FOLLOW_GATHER_MS after the first.
 *
 * What an event or a list says is a hint: what counts is the object fetched,
 * or that the service answers without it. So a lost event, an event told late
 * and one told twice do no harm. A lost one is found by the next list, at most
 * FOLLOW_RECONCILE_MS later.
 *
 * While the service is away the consumer keeps what it was told last. It is
 * asked again when it is back, or after a time that doubles up to
 * FOLLOW_RETRY_MAX_MS.
 */

#include "proto/slice.h"
#include "services/common/bus_client.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/common/waiting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Pages fetched at a time: the service's lanes stay free for others
	 * during the first sync of a large resource, and the largest objects
	 * there are fit a batch of the bus. */
	FOLLOW_WINDOW = 4,

	/* A change is known so much later at most. Under load a call tells of
	 * some dozens of them in place of one. */
	FOLLOW_GATHER_MS = 20,

	/* Objects of one resource: some 90 MB here, and more than the largest
	 * installation has. What is beyond is not followed and logged. */
	FOLLOW_OBJECTS_MAX = 1000000,

	FOLLOW_RECONCILE_MS = 60000,

	/* The service's end of a new connection may be ready for events a
	 * moment after ours: what was told between is found by a second list.
	 */
	FOLLOW_SETTLE_MS = 1000,

	FOLLOW_RETRY_MIN_MS = 200,
	FOLLOW_RETRY_MAX_MS = 30000,
};

struct follow;

/* On the loop; none of these may free the follow. */
struct follow_handlers {
	/* An object is new or has another version. object: one msgpack map, a
	 * view good until the function returns. */
	void (*upsert)(void *arg, int64_t id, uint64_t version,
		       struct slice object);

	/* An object that was told of is no more. */
	void (*removed)(void *arg, int64_t id);

	/* follow_synced() became true; may be NULL. */
	void (*synced)(void *arg);

	void *arg;
};

struct follow_options {
	/* Of the service; outlives the follow. */
	struct bus_client *client;
	const char *addresses; /* the service's, as the client's */
	const char *process;   /* ours, told as the principal's name */
	const char *resource;  /* "provider"; outlives the follow */

	struct follow_handlers handlers;
	struct metrics *metrics; /* may be NULL: follow_<resource>_... */
	uint32_t reconcile_ms;	 /* 0: FOLLOW_RECONCILE_MS */
	size_t objects_max;	 /* 0: FOLLOW_OBJECTS_MAX */
};

/* Begins. ERR_VALIDATE: an address is malformed. */
enum err_code follow_new(struct loop *loop,
			 const struct follow_options *options,
			 struct follow **out, struct err *err);

/* Ends it; nothing is told any more. Rows in metrics must not be read
 * afterwards. */
void follow_free(struct follow *follow);

/* Asks for an object now, as if an event had named it. fn is called once the
 * consumer was told what the service says of it, or with ERR_UNAVAILABLE when
 * the service could not be heard; never before this returned, nor after
 * follow_free(). False: it cannot be asked for now, since the service is away
 * or WAITING_MAX wait; fn is not called. */
bool follow_ask(struct follow *follow, int64_t id, waiting_fn *fn, void *arg);

/* A list was read to its end, and each object it named was told of or refused
 * by the service for a reason of its own. Stays true. */
bool follow_synced(const struct follow *follow);

/* Objects told of and not removed. */
size_t follow_count(const struct follow *follow);

#endif
