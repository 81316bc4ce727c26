#ifndef COMMON_ASK_H
#define COMMON_ASK_H

/*
 * One bus call answered from a statement or two of a service's own, beside
 * those of the resource engine: its parameters as they come, its audit row, and
 * the answers that all such methods have.
 *
 *	struct ask *ask = ask_new(service, database, call, sizeof(*ask));
 *
 *	ask_number(ask, id);                            $1
 *	ask_run(ask, DATABASE_READ, "thing.get", sql, on_got);
 *	...
 *	if (ask_found(ask, result, error))
 *		bus_reply_record(ask->call, ...);
 */

#include "services/common/audit.h"
#include "services/common/cache.h"
#include "services/common/database.h"

enum {
	/* The most of any, and those of its audit row. */
	ASK_PARAMS_MAX = 8 + AUDIT_PARAMS,
};

/* In the call's arena, as its parameters are: gone with the call's answer. A
 * handler's own struct may begin with it. */
struct ask {
	void *service; /* of the handler */
	struct database *database;
	struct bus_call *call;
	struct arena *arena;
	struct principal who; /* of the audit row: the caller, else set it */
	void *arg;	      /* of done: the struct ask, else set it */
	const char *params[ASK_PARAMS_MAX];
	size_t param_count;
	uint64_t version; /* of ask_end_sessions() */
};

/* size: of the handler's struct; what follows the struct ask is zero. */
void *ask_new(void *service, struct database *database, struct bus_call *call,
	      size_t size);

/* Each adds the next parameter. */
void ask_text(struct ask *ask, const char *text);   /* by pointer; NULL: null */
void ask_slice(struct ask *ask, struct slice text); /* copied; absent: null */
void ask_number(struct ask *ask, int64_t number);
void ask_id(struct ask *ask, int64_t id); /* 0: null */

/* Likewise, for conditions "$n::bigint IS NULL OR ...": the tenant that asks,
 * null where the suite or its operator does; the dealer that asks, null where
 * anybody else does. */
void ask_tenant(struct ask *ask);
void ask_dealer(struct ask *ask);

/* Runs a statement with the parameters so far, for as long as the caller waits.
 * name, sql: as of database_run(). Once done was called, more may be added for
 * another. */
void ask_run(struct ask *ask, enum database_lane lane, const char *name,
	     const char *sql, database_done_fn *done);

/* A statement that writes, with the audit row of what it wrote (audit.h). */
struct ask_write {
	const char *name;   /* prepared under it */
	const char *with;   /* "done AS (UPDATE ...)", $1 and up */
	const char *answer; /* "SELECT version FROM done" */
	struct audit audit;
};

/* As ask_run(); write is read before it returns, but for its name. */
void ask_write(struct ask *ask, const struct ask_write *write,
	       database_done_fn *done);

/* False: the statement failed or has no row (ERR_NOT_FOUND), and the call was
 * answered. */
bool ask_found(struct ask *ask, const struct database_result *result,
	       const struct database_error *error);

/* Answers with an error in words. */
void ask_refuse(struct ask *ask, enum err_code code, const char *text);

/* Ends every session of an account whose row was changed to a version, and
 * answers. ERR_LOST, in words, where they may not have ended. */
void ask_end_sessions(struct ask *ask, struct cache *cache, int64_t id,
		      uint64_t version);

#endif
