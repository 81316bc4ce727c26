#include "services/system/retention.h"

#include "proto/buffer.h"
#include "proto/mem.h"
#include "services/common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	INTERVAL_MS = 3600 * 1000,
	/* After the start: connections are there by then. */
	FIRST_MS = 1000,
	/* Without PostgreSQL: until it is asked again. */
	RETRY_MS = 10 * 1000,
	/* Nobody waits for it. */
	DEADLINE_MS = 60000,
	/* Rows of one: some milliseconds of the lane that writes. */
	BATCH = 1000,
	NUMBER_BYTES = 24,
};

struct retention {
	struct database *database;
	struct loop_timer *timer;
	char days[NUMBER_BYTES];
	char batch[NUMBER_BYTES];
	const char *find_params[2];
	const char *delete_params[1];
	struct buffer ids; /* "{1,2,3}" */
	int64_t found;
	int64_t deleted; /* since the timer fired */
	bool stopped;
};

static void find(struct retention *retention);

static void run(struct retention *retention, enum database_lane lane,
		const char *name, const char *sql, const char *const *params,
		size_t param_count, database_done_fn *done)
{
	const struct database_statement statement = {
		.lane = lane,
		.name = name,
		.sql = sql,
		.params = params,
		.param_count = param_count,
		.deadline_ms = DEADLINE_MS,
		.done = done,
		.arg = retention,
	};

	database_run(retention->database, &statement);
}

static void end(struct retention *retention, const struct database_error *error)
{
	if (!retention->stopped)
		loop_timer_start(retention->timer, INTERVAL_MS, 0);
	if (error)
		log_event(LOG_WARN, "audit.retention_failed",
			  LOG_STR("error", err_text(error->code)));
	if (retention->deleted > 0)
		log_event(LOG_INFO, "audit.retention",
			  LOG_INT("deleted", retention->deleted));
}

static void on_deleted(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct retention *retention = arg;

	if (!error)
		retention->deleted += (int64_t)database_rows(result);
	if (error || retention->stopped || retention->found < BATCH)
		end(retention, error);
	else
		find(retention);
}

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct retention *retention = arg;
	struct buffer *ids = &retention->ids;

	retention->found = error ? 0 : database_int(result, 0, 0);
	if (retention->found == 0 || retention->stopped) {
		end(retention, error);
		return;
	}
	ids->size = 0;
	buffer_append_slice(ids, database_cell(result, 0, 1));
	buffer_append_char(ids, '\0');
	retention->delete_params[0] = ids->data;
	run(retention, DATABASE_WRITE, "retention_delete",
	    "DELETE FROM system.audit_logs WHERE id = ANY($1::bigint[])",
	    retention->delete_params, 1, on_deleted);
}

static void find(struct retention *retention)
{
	run(retention, DATABASE_SLOW, "retention_find",
	    "SELECT count(*), array_agg(id) "
	    "FROM system.audit_logs_expired($1, $2)",
	    retention->find_params, 2, on_found);
}

/* Nothing is left waiting for a connection, which would hold up a stop. */
static void on_timer(void *arg)
{
	struct retention *retention = arg;

	retention->deleted = 0;
	if (database_ready(retention->database))
		find(retention);
	else
		loop_timer_start(retention->timer, RETRY_MS, 0);
}

struct retention *retention_new(struct loop *loop, struct database *database,
				int64_t days)
{
	struct retention *retention = mem_alloc(sizeof(*retention));

	retention->database = database;
	snprintf(retention->days, sizeof(retention->days), "%" PRId64, days);
	retention->find_params[0] = retention->days;
	snprintf(retention->batch, sizeof(retention->batch), "%d", BATCH);
	retention->find_params[1] = retention->batch;
	retention->timer = loop_timer_new(loop, on_timer, retention);
	loop_timer_start(retention->timer, FIRST_MS, 0);
	return retention;
}

void retention_stop(struct retention *retention)
{
	loop_timer_stop(retention->timer);
	retention->stopped = true;
}

void retention_free(struct retention *retention)
{
	if (!retention)
		return;
	loop_timer_free(retention->timer);
	buffer_fini(&retention->ids);
	free(retention);
}
