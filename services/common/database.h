#ifndef COMMON_DATABASE_H
#define COMMON_DATABASE_H

/*
 * PostgreSQL, asynchronously on the loop (libpq in pipeline mode stands behind
 * it). One connection per lane:
 *
 *   DATABASE_READ   one batch of selects in flight, the next gathers meanwhile;
 *                   each is answered as its result arrives
 *   DATABASE_WRITE  group commit: the statements of a batch are one
 *                   transaction, answered after its commit. When one fails,
 *                   all were rolled back, and each runs again on its own:
 *                   nothing happens twice, since a failed batch leaves
 *                   nothing behind.
 *   DATABASE_SLOW   selects that take long: lists, exports
 *
 * A lost connection is made again (50 ms to 2 s apart, for ever). Statements
 * that were in flight end with ERR_LOST on the write lane: whether they were
 * committed is not known, and they are never repeated. Reads in flight are
 * sent again until their deadline. Statements that wait are kept, at most
 * DATABASE_QUEUE_MAX per lane, until their deadline; past it ERR_UNAVAILABLE.
 * A statement that holds its lane a second past its deadline costs the lane
 * its connection, and the server gives it up within another second.
 *
 * Since a read may be sent twice, the transactions of DATABASE_READ and
 * DATABASE_SLOW are read-only: PostgreSQL refuses a write there (ERR_INTERNAL).
 */

#include "proto/error.h"
#include "proto/slice.h"
#include "services/common/loop.h"
#include "services/common/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database;
struct database_result;

enum database_lane {
	DATABASE_READ,
	DATABASE_WRITE,
	DATABASE_SLOW,
	DATABASE_LANES
};

enum {
	/* Per lane; past it ERR_UNAVAILABLE at once. */
	DATABASE_QUEUE_MAX = 8192,
	/* Statements of one batch: enough to make a commit cheap for each, and
	 * a bound on what runs again when one of them fails. */
	DATABASE_BATCH_MAX = 64,
	DATABASE_PARAMS_MAX = 128,
	/* PostgreSQL's own bound of a name, NUL included. It cuts names of
	 * prepared statements there too, so that two could be taken for one. */
	DATABASE_CONSTRAINT_BYTES = 64,
	DATABASE_NAME_BYTES = 64,
};

/* Why a statement failed. */
struct database_error {
	/* ERR_CONFLICT: unique or exclusion constraint, or what a trigger of
	 * ours raised with a constraint's name. ERR_IN_USE: foreign
	 * key. ERR_VALIDATE: check, not null, data exception. ERR_LIMIT,
	 * ERR_FORBIDDEN, ERR_DID_OVERLAP, ERR_IN_USE: raised by a function of
	 * ours as SQLSTATE TL001, TL002, TL003, TL004.
	 * ERR_UNAVAILABLE: never sent. ERR_LOST: write in flight on a lost
	 * connection. ERR_DEADLINE. ERR_INTERNAL: the rest, logged here with
	 * the server's words. */
	enum err_code code;
	char constraint[DATABASE_CONSTRAINT_BYTES]; /* "" where none is named */
	/* Of our own SQLSTATEs their message, cut, which is made for clients;
	 * of others "": PostgreSQL's words are for the log. */
	char text[ERR_TEXT_BYTES];
};

/* The end of a statement. error is NULL when it succeeded; else result is. The
 * result is good until the function returns. Runs on the loop, never from
 * within database_run(). */
typedef void database_done_fn(void *arg, const struct database_result *result,
			      const struct database_error *error);

struct database_statement {
	enum database_lane lane;
	/* Set: prepared under this name once per connection; the same name
	 * always goes with the same sql. Shorter than DATABASE_NAME_BYTES,
	 * asserted. NULL: sent with its text. */
	const char *name;
	const char *sql;
	/* Text form; NULL is SQL null. sql, params and name are borrowed until
	 * done was called. */
	const char *const *params;
	size_t param_count;
	uint32_t deadline_ms;
	database_done_fn *done;
	void *arg;
};

struct database_options {
	const char *url;	  /* libpq URL or keyword list */
	const char *default_role; /* user where the url names none */
	const char *process;	  /* application_name */
	struct metrics *metrics;  /* may be NULL: database_... are added */
};

/* Connects in the background. ERR_VALIDATE: the url cannot be parsed. */
enum err_code database_new(struct loop *loop,
			   const struct database_options *options,
			   struct database **out, struct err *err);

/* Ends every statement with ERR_UNAVAILABLE (never sent) or ERR_LOST, then
 * frees. Not to be called from within done. */
void database_free(struct database *database);

/* All lanes are connected. */
bool database_ready(const struct database *database);

/* No statement waits or is in flight. */
bool database_idle(const struct database *database);

void database_run(struct database *database,
		  const struct database_statement *statement);

/* Rows of a select or RETURNING; for other commands the rows they affected. */
size_t database_rows(const struct database_result *result);

/* The text of a cell, NUL-terminated past its size; absent: SQL null. Rows and
 * columns count from 0 and are asserted. */
struct slice database_cell(const struct database_result *result, size_t row,
			   size_t column);

/* Cells that the statement's own text makes integers or booleans; null: 0,
 * false. */
int64_t database_int(const struct database_result *result, size_t row,
		     size_t column);
bool database_bool(const struct database_result *result, size_t row,
		   size_t column);
bool database_null(const struct database_result *result, size_t row,
		   size_t column);

#endif
