#include "services/system/admin.h"

#include "proto/resources/resources.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/system/audited.h"

#include <inttypes.h>

/* One change of the caller's account, in the arena of its call; its texts are
 * views into the request. */
struct change {
	struct system *system;
	struct bus_call *call;
	struct slice old_password;
	struct slice new_password;
	const char *old_hash;
	const char *params[3];
	bool good;	  /* the old password */
	uint64_t version; /* of the row, once changed */
};

static struct change *change_new(struct system *system, struct bus_call *call)
{
	struct arena *arena = bus_call_arena(call);
	struct change *change = arena_alloc(arena, sizeof(*change));
	const int64_t id = bus_call_request(call)->principal.id;

	change->system = system;
	change->call = call;
	change->params[0] = arena_printf(arena, "%" PRId64, id);
	return change;
}

static void run(struct change *change, const struct audited *audited,
		size_t param_count, database_done_fn *done)
{
	audited_run(change->system, change->call,
		    &bus_call_request(change->call)->principal, audited,
		    change->params, param_count, done, change);
}

static void log_change(const struct change *change, enum log_level level,
		       const char *event)
{
	const struct request *request = bus_call_request(change->call);

	log_event(level, event, LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_SLICE("address", request->principal.address));
}

static void refuse(struct change *change, enum err_code code, const char *text)
{
	struct err err = {0};

	err_set(&err, code, "%s", text);
	bus_reply_error(change->call, &err);
}

/* False: there is no such account any more, or that is not known, and the call
 * was answered. */
static bool found(struct change *change, const struct database_result *result,
		  const struct database_error *error)
{
	if (error)
		bus_reply_code(change->call, error->code);
	else if (database_rows(result) == 0)
		bus_reply_code(change->call, ERR_NOT_FOUND);
	else
		return true;
	return false;
}

#define ADMIN_AUDIT                                                            \
	.action = "UPDATE", .object_type = "SYSTEM", .object_id = "done.id",   \
	.object_name = "done.name", .source = "done"

/* $1 id, $2 name. */
static const struct audited rename_account = {
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
static const struct audited change_password = {
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
		refuse(change, ERR_CONFLICT, "name is taken");
		return;
	}
	if (!found(change, result, error))
		return;
	log_change(change, LOG_INFO, "admin.renamed");
	bus_reply_ok(change->call, (uint64_t)database_int(result, 0, 0));
}

void admin_username(void *service, struct bus_call *call)
{
	struct value values[ADMIN_USERNAME_FIELDS];

	if (!bus_call_args(call, &admin_username_record, values))
		return;

	struct change *change = change_new(service, call);

	change->params[1] = arena_strdup(bus_call_arena(call),
					 values[ADMIN_USERNAME_NAME].string);
	run(change, &rename_account, 2, on_renamed);
}

static void on_sessions_ended(void *arg, enum err_code code)
{
	struct change *change = arg;

	log_change(change, LOG_INFO, "admin.password_changed");
	if (code)
		/* Half done: the caller has to know which half. */
		refuse(change, ERR_LOST,
		       "the password was changed; whether all sessions were "
		       "ended is unknown");
	else
		bus_reply_ok(change->call, change->version);
}

static void on_stored(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct change *change = arg;

	if (error) {
		bus_reply_code(change->call, error->code);
		return;
	}
	if (database_rows(result) == 0) {
		refuse(change, ERR_CONFLICT,
		       "the password was changed meanwhile");
		return;
	}
	change->version = (uint64_t)database_int(result, 0, 0);
	session_end_all(change->system->cache,
			bus_call_request(change->call)->principal.id,
			bus_call_left_ms(change->call), on_sessions_ended,
			change);
}

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct change *change = arg;

	if (!good) {
		bus_reply_code(change->call, ERR_INTERNAL);
		return;
	}
	change->params[1] = change->old_hash;
	change->params[2] =
		arena_strdup(bus_call_arena(change->call), slice_str(hash));
	run(change, &change_password, 3, on_stored);
}

static void refuse_old(struct change *change)
{
	struct err err = {0};

	log_change(change, LOG_WARN, "admin.password_refused");
	err_field(&err, "old_password", "is not the password");
	bus_reply_error(change->call, &err);
}

static void on_told(void *arg, const struct lockout_verdict *verdict,
		    enum err_code code)
{
	struct change *change = arg;

	if (!system_admits(change->system, change->call, verdict, code))
		return;
	if (!change->good)
		refuse_old(change);
	else
		passwords_hash(change->system->passwords, change->call,
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
		     bus_call_request(change->call)->principal.address,
		     good ? LOCKOUT_PASSED : LOCKOUT_FAILED,
		     bus_call_left_ms(change->call), on_told, change);
}

static void on_hash_found(void *arg, const struct database_result *result,
			  const struct database_error *error)
{
	struct change *change = arg;

	if (!found(change, result, error))
		return;
	change->old_hash = arena_strdup(bus_call_arena(change->call),
					database_cell(result, 0, 0));
	passwords_check(change->system->passwords, change->call,
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
	database_run(change->system->database,
		     &(struct database_statement){
			     .lane = DATABASE_READ,
			     .name = "administrator_hash",
			     .sql = "SELECT password_hash "
				    "FROM system.administrators WHERE id = $1",
			     .params = change->params,
			     .param_count = 1,
			     .deadline_ms = bus_call_left_ms(call),
			     .done = on_hash_found,
			     .arg = change,
		     });
}
