#include "services/common/database.h"

#include "proto/buffer.h"
#include "proto/mem.h"
#include "services/common/database_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* How late a deadline may be noticed: one timer for all statements. */
	SWEEP_MS = 20,
	/* Past its deadline by this much a statement that still holds its lane
	 * costs the lane its connection. Long enough for one that merely came
	 * late to end by itself, which is cheaper for all. */
	HANG_GRACE_MS = 1000,
};

static void on_kick(void *arg)
{
	struct database *database = arg;
	struct database_queue refused = database->refused;

	database->kicked = false;
	database->refused = (struct database_queue){0};
	database_queue_end(database, &refused, ERR_UNAVAILABLE);
	for (size_t i = 0; i < DATABASE_LANES; i++)
		database_link_pump(&database->links[i]);
}

/* What runs in one turn of the loop leaves together, at its end. */
static void kick(struct database *database)
{
	if (database->kicked)
		return;
	database->kicked = true;
	loop_timer_start(database->kick, 0, 0);
}

static void sweep_link(struct database_link *link, uint64_t now_ms)
{
	database_queue_expire(link->database, &link->waiting, now_ms);
	database_batch_expire(link, now_ms);
	if (link->batch.count > 0 &&
	    database_batch_deadline_ms(link) + HANG_GRACE_MS <= now_ms)
		database_link_lost(link, "a statement is past its deadline");
}

static bool under_way(const struct database *database)
{
	for (size_t i = 0; i < DATABASE_LANES; i++)
		if (database->links[i].batch.count > 0)
			return true;
	return database->open > 0;
}

static void on_sweep(void *arg)
{
	struct database *database = arg;
	uint64_t now_ms = loop_now_ms(database->loop);

	for (size_t i = 0; i < DATABASE_LANES; i++)
		sweep_link(&database->links[i], now_ms);
	if (under_way(database))
		return;
	loop_timer_stop(database->sweep);
	database->sweeping = false;
}

static void sweep(struct database *database)
{
	if (database->sweeping)
		return;
	database->sweeping = true;
	loop_timer_start(database->sweep, SWEEP_MS, SWEEP_MS);
}

/* Checks the url, finding the server options it names, to which ours are
 * added. libpq's own reason may quote a password. */
static enum err_code parse_url(struct database *database, struct err *err)
{
	PQconninfoOption *rows = PQconninfoParse(database->url, NULL);

	if (!rows)
		return err_set(err, ERR_VALIDATE,
			       "the database URL cannot be parsed");
	for (const PQconninfoOption *row = rows; row->keyword; row++)
		if (strcmp(row->keyword, "options") == 0 && row->val)
			database->url_options = mem_strdup(row->val);
	PQconninfoFree(rows);
	return ERR_OK;
}

static char *application_name(const char *process)
{
	struct buffer name = {0};

	buffer_printf(&name, "trunkline-%s", process);
	buffer_append_char(&name, '\0');
	return name.data;
}

static void add_metrics(struct database *database, struct metrics *metrics)
{
	metrics_add(metrics, METRICS_COUNTER, "database_statements_total",
		    "Statements run.", &database->statements_total);
	metrics_add(metrics, METRICS_COUNTER, "database_batches_total",
		    "Batches of statements sent.", &database->batches_total);
	metrics_add(metrics, METRICS_COUNTER, "database_errors_total",
		    "Statements that failed.", &database->errors_total);
	metrics_add(metrics, METRICS_COUNTER, "database_reconnects_total",
		    "Connections made again.", &database->reconnects_total);
	metrics_add(metrics, METRICS_COUNTER, "database_rerun_total",
		    "Writes run again since their batch was rolled back.",
		    &database->rerun_total);
	metrics_add(metrics, METRICS_GAUGE, "database_connected",
		    "Lanes that are connected.", &database->connected);
	metrics_add(metrics, METRICS_GAUGE, "database_waiting",
		    "Statements that wait to be sent.", &database->waiting);
}

static void free_all(struct database *database)
{
	for (size_t i = 0; i < DATABASE_LANES; i++)
		database_link_fini(&database->links[i]);
	loop_timer_free(database->kick);
	loop_timer_free(database->sweep);
	database_url_free(database->url);
	free(database->url_options);
	free(database->role);
	free(database->application);
	free(database);
}

enum err_code database_new(struct loop *loop,
			   const struct database_options *options,
			   struct database **out, struct err *err)
{
	struct database *database = mem_alloc(sizeof(*database));

	database->loop = loop;
	database->url = mem_strdup(options->url);

	enum err_code code = parse_url(database, err);

	if (code != ERR_OK) {
		free_all(database);
		return code;
	}
	if (options->default_role)
		database->role = mem_strdup(options->default_role);
	database->application = application_name(options->process);
	database->kick = loop_timer_new(loop, on_kick, database);
	database->sweep = loop_timer_new(loop, on_sweep, database);
	if (options->metrics)
		add_metrics(database, options->metrics);
	for (size_t i = 0; i < DATABASE_LANES; i++)
		database_link_init(&database->links[i], database,
				   (enum database_lane)i);
	*out = database;
	return ERR_OK;
}

void database_free(struct database *database)
{
	if (!database)
		return;
	database->ending = true;
	for (size_t i = 0; i < DATABASE_LANES; i++)
		database_link_close(&database->links[i]);
	for (size_t i = 0; i < DATABASE_LANES; i++) {
		struct database_link *link = &database->links[i];

		database_batch_end(link, ERR_LOST);
		database_queue_end(database, &link->waiting, ERR_UNAVAILABLE);
	}
	database_queue_end(database, &database->refused, ERR_UNAVAILABLE);
	free_all(database);
}

bool database_ready(const struct database *database)
{
	return database->connected == DATABASE_LANES;
}

bool database_idle(const struct database *database)
{
	return database->open == 0;
}

static void check(const struct database_statement *statement)
{
	(void)statement;
	assert(statement->lane < DATABASE_LANES);
	assert(statement->sql && statement->done);
	assert(statement->param_count <= DATABASE_PARAMS_MAX);
	assert(!statement->name ||
	       strlen(statement->name) < DATABASE_NAME_BYTES);
}

void database_run(struct database *database,
		  const struct database_statement *statement)
{
	struct database_link *link = &database->links[statement->lane];
	struct database_entry *entry = mem_alloc(sizeof(*entry));

	check(statement);
	entry->statement = *statement;
	entry->deadline_ms =
		loop_now_ms(database->loop) + statement->deadline_ms;
	database->statements_total++;
	database->open++;
	sweep(database);
	if (database->ending || link->waiting.count >= DATABASE_QUEUE_MAX) {
		database_queue_push(&database->refused, entry);
		kick(database);
		return;
	}
	database_queue_push(&link->waiting, entry);
	/* Otherwise the end of what holds it up sends it. */
	if (link->state == DATABASE_LINK_READY && link->batch.count == 0)
		kick(database);
}
