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
	size_t found;
	int64_t deleted; /* since the timer fired */
	bool stopped;
};

static void find(struct retention *retention);

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

	if (error || retention->stopped || database_rows(result) == 0) {
		end(retention, error);
		return;
	}
	retention->found = database_rows(result);
	ids->size = 0;
	for (size_t i = 0; i < retention->found; i++) {
		buffer_append_char(ids, i == 0 ? '{' : ',');
		buffer_append_slice(ids, database_cell(result, i, 0));
	}
	buffer_append(ids, "}", 2); /* with its NUL */
	retention->delete_params[0] = ids->data;
	database_run(retention->database,
		     &(struct database_statement){
			     .lane = DATABASE_WRITE,
			     .name = "retention_delete",
			     .sql = "DELETE FROM system.audit_logs "
				    "WHERE id = ANY($1::bigint[])",
			     .params = retention->delete_params,
			     .param_count = 1,
			     .deadline_ms = DEADLINE_MS,
			     .done = on_deleted,
			     .arg = retention,
		     });
}

static void find(struct retention *retention)
{
	database_run(retention->database,
		     &(struct database_statement){
			     .lane = DATABASE_SLOW,
			     .name = "retention_find",
			     .sql = "SELECT id "
				    "FROM system.audit_logs_expired($1, $2)",
			     .params = retention->find_params,
			     .param_count = 2,
			     .deadline_ms = DEADLINE_MS,
			     .done = on_found,
			     .arg = retention,
		     });
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
