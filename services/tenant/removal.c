#include "services/tenant/removal.h"

#include "proto/mem.h"
#include "proto/resources/tenants.h"
#include "proto/resources/users.h"
#include "proto/writer.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/tenant/tenant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	STEP_DEADLINE_MS = 10000,
	PAUSE_MIN_MS = 500,
	PAUSE_MAX_MS = 30000,
	/* How soon what another replica left behind is found. */
	LOOK_MS = 30000,
	NUMBER_BYTES = 24,
};

/* Users of one statement: deleted well within a second. */
#define USERS_BATCH "100"

struct removal {
	struct resource_service *service;
	struct bus_client *provider;
	struct loop_timer *timer;
	int64_t id;	   /* the tenant at work, or the last one */
	int64_t trunks;	   /* left of it, -1: not known yet */
	uint32_t pause_ms; /* after the next failure */
	bool busy;
	bool woken; /* while busy */
	char id_text[NUMBER_BYTES];
	const char *params[1];
};

static void rest(struct removal *removal, uint64_t pause_ms)
{
	removal->busy = false;
	loop_timer_start(removal->timer, removal->woken ? 0 : pause_ms, 0);
	removal->woken = false;
}

/* Goes on with the tenant behind this one after a pause, never at once: it may
 * be the process's end that made the step fail. */
static void fail(struct removal *removal, const char *step, enum err_code code)
{
	log_event(LOG_WARN, "removal.failed", LOG_INT("tenant", removal->id),
		  LOG_STR("step", step), LOG_STR("error", err_name(code)),
		  LOG_INT("again_in_ms", removal->pause_ms));
	removal->woken = false;
	rest(removal, removal->pause_ms);
	removal->pause_ms = removal->pause_ms * 2 < PAUSE_MAX_MS
				    ? removal->pause_ms * 2
				    : PAUSE_MAX_MS;
}

/* A statement whose one parameter is the id. */
static void run(struct removal *removal, enum database_lane lane,
		const char *name, const char *sql, database_done_fn *done)
{
	snprintf(removal->id_text, sizeof(removal->id_text), "%" PRId64,
		 removal->id);
	removal->params[0] = removal->id_text;
	const struct database_statement statement = {
		.lane = lane,
		.name = name,
		.sql = sql,
		.params = removal->params,
		.param_count = 1,
		.deadline_ms = STEP_DEADLINE_MS,
		.done = done,
		.arg = removal,
	};

	database_run(removal->service->database, &statement);
}

static void next(struct removal *removal);

/* ---- row ---- */

static void on_row(void *arg, const struct database_result *result,
		   const struct database_error *error)
{
	struct removal *removal = arg;

	/* Something was made for it meanwhile: the next round finds it. */
	if (error) {
		fail(removal, "row", error->code);
		return;
	}
	if (database_rows(result) > 0) {
		log_event(LOG_INFO, "removal.done",
			  LOG_INT("tenant", removal->id));
		resource_tell(removal->service->events, &tenant_resource,
			      removal->id, database_int(result, 0, 0),
			      EVENT_DESTROYED);
	}
	removal->pause_ms = PAUSE_MIN_MS;
	next(removal);
}

static void remove_row(struct removal *removal)
{
	run(removal, DATABASE_WRITE, "removal.row",
	    "DELETE FROM tenant.tenants "
	    "WHERE id = $1 AND deleting_at IS NOT NULL RETURNING version",
	    on_row);
}

/* ---- users ---- */

static void remove_users(struct removal *removal);

static void on_users(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct removal *removal = arg;

	if (error) {
		fail(removal, "users", error->code);
		return;
	}
	const size_t gone = database_rows(result);

	for (size_t i = 0; i < gone; i++)
		resource_tell(removal->service->events, &user_resource,
			      database_int(result, i, 0),
			      database_int(result, i, 1), EVENT_DESTROYED);
	if (gone > 0)
		remove_users(removal);
	else
		remove_row(removal);
}

static void remove_users(struct removal *removal)
{
	run(removal, DATABASE_WRITE, "removal.users",
	    "DELETE FROM tenant.users WHERE id IN (SELECT u.id "
	    "FROM tenant.users u JOIN tenant.tenants t ON t.id = u.tenant_id "
	    "WHERE u.tenant_id = $1 AND t.deleting_at IS NOT NULL "
	    "ORDER BY u.id LIMIT " USERS_BATCH ") RETURNING id, version",
	    on_users);
}

/* ---- trunks ---- */

static void forget_trunks(struct removal *removal);

/* {left}; -1: it is something else. */
static int64_t left_of(struct slice body)
{
	struct reader reader;
	int64_t left = -1;

	reader_init(&reader, body);
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		if (slice_is(reader_str(&reader), "left"))
			left = reader_int(&reader);
		else
			reader_value(&reader);
	}
	return reader_done(&reader) ? left : -1;
}

static void on_trunks(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct removal *removal = arg;

	if (err) {
		fail(removal, "trunks", err->code);
		return;
	}
	const int64_t left = left_of(reply->body);

	if (left == 0) {
		remove_users(removal);
		return;
	}
	/* Each batch takes some: else it would be asked for ever. */
	if (left < 0 || (removal->trunks >= 0 && left >= removal->trunks)) {
		fail(removal, "trunks", ERR_INTERNAL);
		return;
	}
	removal->trunks = left;
	forget_trunks(removal);
}

static void forget_trunks(struct removal *removal)
{
	struct buffer args = {0};

	writer_map(&args, 1);
	writer_text(&args, "tenant_id");
	writer_id(&args, removal->id);
	const struct request request = {
		.request_id = SLICE("removal"),
		.method = SLICE("provider.forget_tenant"),
		.deadline_ms = STEP_DEADLINE_MS,
		.principal = {.kind = PRINCIPAL_SERVICE,
			      .name = SLICE("tenant")},
		.args = buffer_slice(&args),
	};

	bus_client_call(removal->provider, BUS_SLOW, &request, on_trunks,
			removal);
	buffer_fini(&args);
}

/* ---- sessions, and which tenant ---- */

static void on_sessions(void *arg, enum err_code code)
{
	struct removal *removal = arg;

	if (code != ERR_OK) {
		fail(removal, "sessions", code);
		return;
	}
	removal->trunks = -1;
	forget_trunks(removal);
}

static void on_next(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct removal *removal = arg;

	if (error) {
		fail(removal, "look", error->code);
		return;
	}
	if (database_rows(result) == 0) {
		/* From the first on again. */
		const bool more =
			removal->id > 0 && removal->pause_ms > PAUSE_MIN_MS;

		removal->id = 0;
		rest(removal, more ? removal->pause_ms : LOOK_MS);
		return;
	}
	removal->id = database_int(result, 0, 0);
	session_end_all(removal->service->cache, removal->id, STEP_DEADLINE_MS,
			on_sessions, removal);
}

/* The next one in the order of ids, so that one that fails does not hold up
 * the others. */
static void next(struct removal *removal)
{
	run(removal, DATABASE_READ, "removal.next",
	    "SELECT id FROM tenant.tenants "
	    "WHERE deleting_at IS NOT NULL AND id > $1 ORDER BY id LIMIT 1",
	    on_next);
}

static void on_timer(void *arg)
{
	struct removal *removal = arg;

	removal->busy = true;
	next(removal);
}

struct removal *removal_new(struct resource_service *service,
			    struct bus_client *provider)
{
	struct removal *removal = mem_alloc(sizeof(*removal));

	removal->service = service;
	removal->provider = provider;
	removal->pause_ms = PAUSE_MIN_MS;
	removal->timer = loop_timer_new(service->loop, on_timer, removal);
	loop_timer_start(removal->timer, 0, 0);
	return removal;
}

void removal_free(struct removal *removal)
{
	if (!removal)
		return;
	loop_timer_free(removal->timer);
	free(removal);
}

void removal_wake(struct removal *removal)
{
	if (removal->busy) {
		removal->woken = true;
		return;
	}
	removal->id = 0;
	loop_timer_start(removal->timer, 0, 0);
}
