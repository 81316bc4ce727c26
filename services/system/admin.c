#include "services/system/admin.h"

#include "proto/resources/resources.h"
#include "services/common/ask.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/system/system.h"

/* One change of the caller's account, in the arena of its call; its texts are
 * views into the request. */
struct change {
	struct ask ask;
	struct system *system;
	struct slice old_password;
	struct slice new_password;
	const char *old_hash;
	bool good; /* the old password */
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

static void log_change(const struct change *change, enum log_level level,
		       const char *event)
{
	const struct request *request = bus_call_request(change->ask.call);

	log_event(level, event, LOG_SLICE("request", request->request_id),
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
	log_change(change, LOG_INFO, "admin.renamed");
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
	log_change(change, LOG_INFO, "admin.password_changed");
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

static void refuse_old(struct change *change)
{
	struct err err = {0};

	log_change(change, LOG_WARN, "admin.password_refused");
	err_field(&err, "old_password", "is not the password");
	bus_reply_error(change->ask.call, &err);
}

static void on_told(void *arg, const struct lockout_verdict *verdict,
		    enum err_code code)
{
	struct change *change = arg;

	if (!system_admits(change->system, change->ask.call, verdict, code))
		return;
	if (!change->good)
		refuse_old(change);
	else
		passwords_hash(change->system->passwords, change->ask.call,
			       change->new_password, on_hashed, change);
}

/* Counted with the sign-ins: who has but a session must not find out the
 * password by trying. */
static void on_old_checked(void *arg, bool good, const char *hash)
{
	struct change *change = arg;

	(void)hash;
	change->good = good;
	lockout_tell(change->system->cache,
		     bus_call_request(change->ask.call)->principal.address,
		     good ? LOCKOUT_PASSED : LOCKOUT_FAILED,
		     bus_call_left_ms(change->ask.call), on_told, change);
}

static void on_hash_found(void *arg, const struct database_result *result,
			  const struct database_error *error)
{
	struct change *change = arg;

	if (!ask_found(&change->ask, result, error))
		return;
	change->old_hash =
		arena_strdup(change->ask.arena, database_cell(result, 0, 0));
	passwords_check(change->system->passwords, change->ask.call,
			change->old_password, change->old_hash, on_old_checked,
			change);
}

void admin_password(void *service, struct bus_call *call)
{
	struct value values[ADMIN_PASSWORD_FIELDS];

	if (!bus_call_args(call, &admin_password_record, values))
		return;

	struct change *change = change_new(service, call);

	change->old_password = values[ADMIN_PASSWORD_OLD_PASSWORD].string;
	change->new_password = values[ADMIN_PASSWORD_NEW_PASSWORD].string;
	ask_run(&change->ask, DATABASE_READ, "administrator_hash",
		"SELECT password_hash FROM system.administrators WHERE id = $1",
		on_hash_found);
}
