#include "services/common/ask.h"

#include "services/common/session.h"

#include <assert.h>
#include <inttypes.h>

void *ask_new(void *service, struct database *database, struct bus_call *call,
	      size_t size)
{
	struct arena *arena = bus_call_arena(call);
	struct ask *ask = arena_alloc(arena, size);

	ask->service = service;
	ask->database = database;
	ask->call = call;
	ask->arena = arena;
	ask->who = bus_call_request(call)->principal;
	ask->arg = ask;
	return ask;
}

/* ---- parameters ---- */

void ask_text(struct ask *ask, const char *text)
{
	assert(ask->param_count < ASK_PARAMS_MAX);
	ask->params[ask->param_count++] = text;
}

void ask_slice(struct ask *ask, struct slice text)
{
	ask_text(ask, text.data ? arena_strdup(ask->arena, text) : NULL);
}

void ask_number(struct ask *ask, int64_t number)
{
	ask_text(ask, arena_printf(ask->arena, "%" PRId64, number));
}

void ask_id(struct ask *ask, int64_t id)
{
	if (id)
		ask_number(ask, id);
	else
		ask_text(ask, NULL);
}

void ask_tenant(struct ask *ask)
{
	const struct principal *who = &bus_call_request(ask->call)->principal;

	if (principal_acts(who) & (PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE))
		ask_text(ask, NULL);
	else
		ask_number(ask, principal_tenant(who));
}

void ask_dealer(struct ask *ask)
{
	const struct principal *who = &bus_call_request(ask->call)->principal;

	ask_id(ask,
	       principal_acts(who) == PRINCIPAL_DEALER ? who->dealer_id : 0);
}

/* ---- statements ---- */

void ask_run(struct ask *ask, enum database_lane lane, const char *name,
	     const char *sql, database_done_fn *done)
{
	const struct database_statement statement = {
		.lane = lane,
		.name = name,
		.sql = sql,
		.params = ask->params,
		.param_count = ask->param_count,
		.deadline_ms = bus_call_left_ms(ask->call),
		.done = done,
		.arg = ask->arg,
	};

	database_run(ask->database, &statement);
}

void ask_write(struct ask *ask, const struct ask_write *write,
	       database_done_fn *done)
{
	struct request request = *bus_call_request(ask->call);
	struct buffer sql = {0};

	buffer_printf(&sql, "WITH %s", write->with);
	audit_append(&sql, ask->param_count + 1, &write->audit);
	buffer_printf(&sql, " %s", write->answer);

	const char *text = arena_strdup(ask->arena, buffer_slice(&sql));

	buffer_fini(&sql);
	request.principal = ask->who;
	assert(ask->param_count + AUDIT_PARAMS <= ASK_PARAMS_MAX);
	audit_params(&request, ask->arena, &ask->params[ask->param_count]);
	ask->param_count += AUDIT_PARAMS;
	ask_run(ask, DATABASE_WRITE, write->name, text, done);
}

/* ---- answers ---- */

bool ask_found(struct ask *ask, const struct database_result *result,
	       const struct database_error *error)
{
	if (!error && database_rows(result) > 0)
		return true;
	bus_reply_code(ask->call, error ? error->code : ERR_NOT_FOUND);
	return false;
}

void ask_refuse(struct ask *ask, enum err_code code, const char *text)
{
	struct err err;

	err_set(&err, code, "%s", text);
	bus_reply_error(ask->call, &err);
}

static void on_sessions_ended(void *arg, enum err_code code)
{
	struct ask *ask = arg;

	struct err err = {0};

	if (code == ERR_OK) {
		bus_reply_ok(ask->call, ask->version);
		return;
	}
	session_end_unknown(&err);
	bus_reply_error(ask->call, &err);
}

void ask_end_sessions(struct ask *ask, struct cache *cache, int64_t id,
		      uint64_t version)
{
	ask->version = version;
	session_end_all(cache, id, bus_call_left_ms(ask->call),
			on_sessions_ended, ask);
}
