#ifndef REGISTRAR_BINDINGS_H
#define REGISTRAR_BINDINGS_H

/*
 * The bindings of all addresses of record, in Redis: what several registrars
 * share and what a registrar that was killed finds again.
 *
 *   binding:<address of record>   a value of binding.h, without a TTL: it says
 *                                 itself when its contacts end
 *   bindings                      sorted set of these keys, all of score 0 and
 *                                 so in order of their bytes, for listing
 *   bindings:<id of a tenant>     the same of what is a tenant's: its users
 *                                 with score 0, its trunks with score 1
 *   bindings:claim                whose changes these are; see
 *                                 bindings_internal.h
 *
 * Every change is atomic, so that two registrars agree whoever comes first.
 *
 *   the refresh of what this one knows -> one write for all that gathered
 *     (the one contact of a phone)        while the last was under way
 *   the refresh or first registration  -> one script for all of a turn of the
 *     of one contact                      loop, which compares
 *   else, and where these do not fit   -> read, decided here (binding_merge)
 *                                         and put back if the value is still
 *                                         what it was, else decided anew
 *
 * The clock is that of Redis, the same for registrars whose own clocks are
 * apart. What Redis comes to past its deadline it does not do: the sender was
 * told that it failed, and may have gone on elsewhere. A value that cannot be
 * read counts as absent, is logged and counted. What has ended is taken out as
 * lists are read; see sweep.h.
 */

#include "services/common/cache.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"
#include "services/registrar/binding.h"

#include <stddef.h>
#include <stdint.h>

struct bindings;

enum {
	/* The longest address of record: a user of 64 characters, each of them
	 * up to 4 bytes, '@' and a host name. */
	BINDINGS_AOR_BYTES = 512,

	/* Addresses of record of one page of a list. */
	BINDINGS_PAGE_MAX = 100,
};

/* The cache is lent. Commands under way end with cache_free(), which comes
 * before bindings_free() unless there are none. metrics may be NULL. */
struct bindings *bindings_new(struct loop *loop, struct cache *cache,
			      struct metrics *metrics);
void bindings_free(struct bindings *bindings);

/* The end of a change: the bindings there are now, views good until the
 * function returns. set is NULL unless code is ERR_OK. ERR_UNAVAILABLE: nothing
 * was done. ERR_DEADLINE: it may have been, or be yet where nothing is changed
 * meanwhile. ERR_LOST: likewise, or be until its deadline. ERR_INTERNAL: Redis
 * refused it. ERR_CONFLICT: others changed it again and again meanwhile, or it
 * would come behind later ones; nothing was done. */
typedef void bindings_change_fn(void *arg, enum binding_outcome outcome,
				const struct binding_set *set,
				enum err_code code);

/* Applies a change, or with neither contacts nor all answers what there is. The
 * change is copied. aor: at most BINDINGS_AOR_BYTES. done is never called from
 * within. */
void bindings_change(struct bindings *bindings, struct slice aor,
		     const struct binding_change *change, uint32_t deadline_ms,
		     bindings_change_fn *done, void *arg);

/* Sends at once what waits for the end of this turn: before cache_free(), which
 * ends what was sent. */
void bindings_flush(struct bindings *bindings);

struct bindings_entry {
	struct slice aor;
	struct binding_set set;
};

struct bindings_page {
	size_t total; /* addresses of record there are */
	size_t keys;  /* of this page in the list, ended ones too */
	size_t ended; /* of them, still to be taken out when it is read again */
	size_t count;
	const struct bindings_entry *entries; /* with bindings each */
};

/* page is NULL unless code is ERR_OK, and good until the function returns.
 * ERR_UNAVAILABLE, ERR_INTERNAL. */
typedef void bindings_list_fn(void *arg, const struct bindings_page *page,
			      enum err_code code);

/* The addresses of record that have bindings, in the order of their bytes;
 * tenant_id: a tenant's alone, its users before its trunks, or 0; top: 1 to
 * BINDINGS_PAGE_MAX. Those that have ended are taken out as they are read:
 * total counts what has ended on other pages. */
void bindings_list(struct bindings *bindings, int64_t tenant_id, size_t skip,
		   size_t top, uint32_t deadline_ms, bindings_list_fn *done,
		   void *arg);

/* ERR_UNAVAILABLE, ERR_INTERNAL. */
typedef void bindings_online_fn(void *arg, size_t users, enum err_code code);

/* Counts a tenant's users that have bindings. */
void bindings_online(struct bindings *bindings, int64_t tenant_id,
		     uint32_t deadline_ms, bindings_online_fn *done, void *arg);

#endif
