#ifndef COMMON_LOCKOUT_H
#define COMMON_LOCKOUT_H

/*
 * Who guesses passwords is shut out: failed sign-ins, and wrong old passwords
 * of those who change theirs, are counted per source address in Redis
 * (`signin:<address>`), so that every service and replica counts the same and a
 * restart forgets nothing. An IPv6 source is its /64, since one host has all of
 * that.
 *
 * A sign-in asks before the password is looked at and tells the outcome
 * afterwards, a change of a password only the latter; a right password that
 * comes after too many wrong ones, sent at the same time, is refused as well.
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/bus_server.h"
#include "services/common/cache.h"

#include <stdbool.h>

/* The document's defaults of web_failed_auth_amount and
 * web_blacklist_time_interval; the settings that would change them are not
 * served yet. */
enum {
	LOCKOUT_FAILURES_MAX = 5,
	LOCKOUT_BLOCK_S = 3600,
	/* Fewer failures are forgotten this long after the first. The document
	 * names no window: as long as a block, so that slowing down gains no
	 * guesses over being blocked. */
	LOCKOUT_WINDOW_S = 3600,
};

enum lockout_event {
	LOCKOUT_ASKED,	/* changes nothing */
	LOCKOUT_FAILED, /* one failure more */
	LOCKOUT_PASSED, /* clears the count, unless it is full */
};

struct lockout_verdict {
	unsigned left_s; /* 0: go on; else refuse, for that many seconds */
	bool filled;	 /* this very failure was the last allowed */
};

/* verdict is good until the function returns. Where the count could not be had
 * or kept, code is ERR_UNAVAILABLE and verdict NULL: nobody signs in then. */
typedef void lockout_fn(void *arg, const struct lockout_verdict *verdict,
			enum err_code code);

/* address: numeric; sources without one count together. done never runs from
 * within. */
void lockout_tell(struct cache *cache, struct slice address,
		  enum lockout_event event, uint32_t deadline_ms,
		  lockout_fn *done, void *arg);

/* Whether the source of a call may try a password, or go on with one that was
 * right, as lockout_tell() said. False: it may not, or that is not known, and
 * the call was answered. */
bool lockout_admits(struct bus_call *call,
		    const struct lockout_verdict *verdict, enum err_code code);

enum { LOCKOUT_KEY_BYTES = 64 };

/* The Redis key of a source. */
void lockout_key(struct slice address, char key[LOCKOUT_KEY_BYTES]);

#endif
