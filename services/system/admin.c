#include "services/system/admin.h"

#include "proto/resources/resources.h"
#include "services/common/ask.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/own_password.h"
#include "services/system/system.h"

/* One change of the caller's account, in the arena of its call; its texts are
 * views into the request. */
struct change {
	struct ask ask;
	struct system *system;
	struct slice new_password;
	const char *old_hash;
};

/* $1: its id. */
static struct change *change_new(struct system *system, struct bus_call *call)
{
	struct change *change =
		ask_new(system, system->database, call, sizeof(*change));

	change->system = system;
	ask_id(&change->ask, bus_call_request(call)->principal.id);
	return change;
}

static void log_change(const struct change *change, const char *event)
{
	const struct request *request = bus_call_request(change->ask.call);

	log_event(LOG_INFO, event, LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_SLICE("address", request->principal.address));
}

#define ADMIN_AUDIT                                                            \
	.action = "UPDATE", .object_type = "SYSTEM", .object_id = "done.id",   \
	.object_name = "done.name", .source = "done"

/* $1 id, $2 name. */
static const struct ask_write rename_account = {
	.name = "administrator_rename",
	.with = "old AS (SELECT name FROM system.administrators "
		"WHERE id = $1), "
		"done AS (UPDATE system.administrators SET name = $2, "
		"version = version + 1, updated_at = now() "
		"WHERE id = $1 RETURNING id, name, version)",
	.answer = "SELECT version FROM done",
	.audit = {ADMIN_AUDIT,
		  .old_state = "(SELECT jsonb_build_object('name', old.name)"
			       "::text FROM old)",
		  .new_state = "jsonb_build_object('name', done.name)::text"},
};

/* $1 id, $2 and $3 the hash as it was and as it shall be. */
static const struct ask_write change_password = {
	.name = "administrator_password",
	.with = "done AS (UPDATE system.administrators SET password_hash = $3, "
		"version = version + 1, updated_at = now() "
		"WHERE id = $1 AND password_hash = $2 "
		"RETURNING id, name, version)",
	.answer = "SELECT version FROM done",
	.audit = {ADMIN_AUDIT},
};

static void on_renamed(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct change *change = arg;

	if (error && error->code == ERR_CONFLICT) {
		ask_refuse(&change->ask, ERR_CONFLICT, "name is taken");
		return;
	}
	if (!ask_found(&change->ask, result, error))
		return;
	log_change(change, "admin.renamed");
	bus_reply_ok(change->ask.call, (uint64_t)database_int(result, 0, 0));
}

void admin_username(void *service, struct bus_call *call)
{
	struct value values[ADMIN_USERNAME_FIELDS];

	if (!bus_call_args(call, &admin_username_record, values))
		return;

	struct change *change = change_new(service, call);

	ask_slice(&change->ask, values[ADMIN_USERNAME_NAME].string);
	ask_write(&change->ask, &rename_account, on_renamed);
}

static void on_stored(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct change *change = arg;

	if (error) {
		bus_reply_code(change->ask.call, error->code);
		return;
	}
	if (database_rows(result) == 0) {
		ask_refuse(&change->ask, ERR_CONFLICT,
			   "the password was changed meanwhile");
		return;
	}
	log_change(change, "admin.password_changed");
	ask_end_sessions(&change->ask, change->system->cache,
			 bus_call_request(change->ask.call)->principal.id,
			 (uint64_t)database_int(result, 0, 0));
}

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct change *change = arg;

	if (!good) {
		bus_reply_code(change->ask.call, ERR_INTERNAL);
		return;
	}
	ask_text(&change->ask, change->old_hash);
	ask_slice(&change->ask, slice_str(hash));
	ask_write(&change->ask, &change_password, on_stored);
}

static void on_old_right(void *arg, const char *hash)
{
	struct change *change = arg;

	change->old_hash = hash;
	passwords_hash(change->system->passwords, change->ask.call,
		       change->new_password, on_hashed, change);
}

void admin_password(void *service, struct bus_call *call)
{
	struct value values[ADMIN_PASSWORD_FIELDS];

	if (!bus_call_args(call, &admin_password_record, values))
		return;

	struct system *system = service;
	struct change *change = change_new(system, call);
	const struct own_password own = {
		.database = system->database,
		.cache = system->cache,
		.passwords = system->passwords,
		.name = "administrator_hash",
		.sql = "SELECT password_hash FROM system.administrators "
		       "WHERE id = $1",
		.id = bus_call_request(call)->principal.id,
		.old_password = values[ADMIN_PASSWORD_OLD_PASSWORD].string,
		.refused = "admin.password_refused",
		.locked = &system->locked,
		.right = on_old_right,
		.arg = change,
	};

	change->new_password = values[ADMIN_PASSWORD_NEW_PASSWORD].string;
	own_password_check(call, &own);
}
