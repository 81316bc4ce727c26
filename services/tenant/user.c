#include "services/tenant/user.h"

#include "proto/resources/resources.h"
#include "proto/resources/users.h"
#include "services/common/audit.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/tenant/password_rules.h"

#include <inttypes.h>

/* Parameters of a change: user, tenant, those of the audit row, the value. */
enum {
	PARAM_USER,
	PARAM_TENANT,
	PARAM_AUDIT,
	PARAM_VALUE = PARAM_AUDIT + AUDIT_PARAMS,
	PARAMS,
};

/* What a method changes. The value is $11. */
struct act {
	const char *name; /* of its statement */
	const char *set;
	size_t param_count;
	/* Of the audit row. Of a password is told that it changed. */
	const char *old_state;
	const char *new_state;
	bool ends_sessions;
};

static const struct act set_password = {
	.name = "user.password",
	.set = "password_hash = $11",
	.param_count = PARAMS,
	.new_state = "'{\"changed\":\"password\"}'",
	.ends_sessions = true,
};

static const struct act set_extension_password = {
	.name = "user.extension_password",
	.set = "extension_password = $11",
	.param_count = PARAMS,
	.new_state = "'{\"changed\":\"extension_password\"}'",
};

static const struct act set_role = {
	.name = "user.role",
	.set = "role = $11",
	.param_count = PARAMS,
	.old_state = "json_build_object('role', done.old_role)::text",
	.new_state = "json_build_object('role', done.role)::text",
	.ends_sessions = true,
};

static const struct act renew_profile = {
	.name = "user.profile",
	.set = "profile = trunkline.next_id()",
	.param_count = PARAM_VALUE,
	.old_state = "json_build_object('profile', done.old_profile)::text",
	.new_state = "json_build_object('profile', done.profile)::text",
};

/* One request, in the call's arena. */
struct work {
	struct resource_service *service;
	struct bus_call *call;
	struct arena *arena;
	const struct act *act;
	int64_t id;
	struct slice password;
	uint64_t version; /* after the change */
	struct buffer sql;
	const char *params[PARAMS];
};

static struct work *work_new(void *service, struct bus_call *call,
			     const struct act *act, int64_t id)
{
	struct arena *arena = bus_call_arena(call);
	struct work *work = arena_alloc(arena, sizeof(*work));
	const struct request *request = bus_call_request(call);

	work->service = service;
	work->call = call;
	work->arena = arena;
	work->act = act;
	work->id = id;
	work->params[PARAM_USER] = arena_printf(arena, "%" PRId64, id);
	work->params[PARAM_TENANT] = arena_printf(
		arena, "%" PRId64, principal_tenant(&request->principal));
	audit_params(request, arena, &work->params[PARAM_AUDIT]);
	return work;
}

/* ---- the change ---- */

static void on_sessions_ended(void *arg, enum err_code code)
{
	struct work *work = arg;
	struct err err;

	if (code == ERR_OK) {
		bus_reply_ok(work->call, work->version);
		return;
	}
	/* Half done: the caller has to know which half. */
	err_set(&err, ERR_LOST,
		"the user was changed; whether all of its sessions were ended "
		"is unknown");
	bus_reply_error(work->call, &err);
}

static void publish(const struct work *work)
{
	const struct event event = {.resource = slice_str(user_resource.name),
				    .id = work->id,
				    .version = work->version,
				    .kind = EVENT_UPDATED};

	events_publish(work->service->events, &event);
}

static void reply_failed(struct work *work, const struct database_error *error)
{
	struct err err;

	err_code_set(&err, error->code);
	if (strcmp(error->constraint, "tenants_deleting") == 0)
		err_set(&err, error->code, "the tenant is being deleted");
	bus_reply_error(work->call, &err);
}

static void on_changed(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct work *work = arg;

	buffer_fini(&work->sql);
	if (error) {
		reply_failed(work, error);
		return;
	}
	if (database_rows(result) == 0) {
		bus_reply_code(work->call, ERR_NOT_FOUND);
		return;
	}
	work->version = (uint64_t)database_int(result, 0, 0);
	publish(work);
	if (!work->act->ends_sessions) {
		bus_reply_ok(work->call, work->version);
		return;
	}
	session_end_all(work->service->cache, work->id,
			bus_call_left_ms(work->call), on_sessions_ended, work);
}

static void change_sql(struct work *work)
{
	const struct audit audit = {
		.action = "UPDATE",
		.object_type = user_resource.audit,
		.object_id = "done.id",
		.object_name = "done.name",
		.old_state = work->act->old_state,
		.new_state = work->act->new_state,
		.source = "done",
	};

	buffer_printf(&work->sql,
		      "WITH old AS (SELECT id, role, profile FROM tenant.users "
		      "WHERE id = $1 AND tenant_id = $2 FOR UPDATE), "
		      "done AS (UPDATE tenant.users t SET %s, "
		      "version = t.version + 1, updated_at = now() FROM old "
		      "WHERE t.id = old.id RETURNING t.id, t.name, t.version, "
		      "t.role, t.profile, old.role AS old_role, "
		      "old.profile AS old_profile)",
		      work->act->set);
	audit_append(&work->sql, PARAM_AUDIT + 1, &audit);
	buffer_append_str(&work->sql, " SELECT version FROM done");
	buffer_append_char(&work->sql, '\0');
}

/* value: the text of what is set; the profile's is made by the database. */
static void change(struct work *work, const char *value)
{
	work->params[PARAM_VALUE] = value;
	change_sql(work);
	const struct database_statement statement = {
		.lane = DATABASE_WRITE,
		.name = work->act->name,
		.sql = work->sql.data,
		.params = work->params,
		.param_count = work->act->param_count,
		.deadline_ms = bus_call_left_ms(work->call),
		.done = on_changed,
		.arg = work,
	};

	database_run(work->service->database, &statement);
}

/* ---- passwords ---- */

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct work *work = arg;

	if (!good) {
		bus_reply_code(work->call, ERR_INTERNAL);
		return;
	}
	change(work, arena_strdup(work->arena, slice_str(hash)));
}

static void seal(struct work *work)
{
	struct buffer sealed = {0};

	secrets_seal(work->service->key, work->password, &sealed);
	const char *text = arena_strdup(work->arena, buffer_slice(&sealed));

	buffer_fini(&sealed);
	change(work, text);
}

/* Columns of the owner, behind those of the rules. */
enum { OWNER = PASSWORD_RULES_COLUMN_COUNT };

static void on_rules(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct work *work = arg;
	struct password_policy policy;
	struct err err = {0};

	if (error || database_rows(result) == 0) {
		bus_reply_code(work->call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
	const struct password_owner owner = {
		.name = database_cell(result, 0, OWNER),
		.extension_number = database_cell(result, 0, OWNER + 1),
		.email = database_cell(result, 0, OWNER + 2),
		.display_name = database_cell(result, 0, OWNER + 3),
	};

	password_rules_load(result, &policy);
	if (password_rules_check(&policy, &owner, work->password, "password",
				 &err) != ERR_OK) {
		bus_reply_error(work->call, &err);
		return;
	}
	if (work->act == &set_extension_password)
		seal(work);
	else
		passwords_hash(work->service->passwords, work->call,
			       work->password, on_hashed, work);
}

static void set_some_password(void *service, struct bus_call *call,
			      const struct act *act)
{
	struct value args[USER_PASSWORD_FIELDS];

	if (!bus_call_args(call, &user_password_args_record, args))
		return;
	struct work *work =
		work_new(service, call, act, args[USER_PASSWORD_ID].integer);

	work->password = args[USER_PASSWORD_PASSWORD].string;
	const struct database_statement statement = {
		.lane = DATABASE_READ,
		.name = "user.password_rules",
		.sql = "SELECT " PASSWORD_RULES_COLUMNS
		       ", u.name, u.extension_number, u.email, u.display_name "
		       "FROM tenant.users u "
		       "JOIN tenant.password_policies p ON p.id = u.tenant_id "
		       "WHERE u.id = $1 AND u.tenant_id = $2",
		.params = work->params,
		.param_count = PARAM_TENANT + 1,
		.deadline_ms = bus_call_left_ms(call),
		.done = on_rules,
		.arg = work,
	};

	database_run(work->service->database, &statement);
}

void user_password(void *service, struct bus_call *call)
{
	set_some_password(service, call, &set_password);
}

void user_extension_password(void *service, struct bus_call *call)
{
	set_some_password(service, call, &set_extension_password);
}

/* ---- role and profile ---- */

void user_role(void *service, struct bus_call *call)
{
	struct value args[USER_ROLE_FIELDS];

	if (!bus_call_args(call, &user_role_args_record, args))
		return;
	struct work *work =
		work_new(service, call, &set_role, args[USER_ROLE_ID].integer);

	change(work, arena_strdup(work->arena, args[USER_ROLE_ROLE].string));
}

void user_profile(void *service, struct bus_call *call)
{
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	change(work_new(service, call, &renew_profile, args[ID_ID].integer),
	       NULL);
}
