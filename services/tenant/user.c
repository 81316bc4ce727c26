#include "services/tenant/user.h"

#include "proto/resources/resources.h"
#include "proto/resources/users.h"
#include "services/common/bus_record.h"
#include "services/common/secrets.h"
#include "services/tenant/password_rules.h"

/* What a method changes: $1 user, $2 tenant, $3 the value. */
struct act {
	const char *name; /* of its statement */
	const char *set;
	/* Of the audit row. Of a password is told that it changed. */
	const char *old_state;
	const char *new_state;
	bool ends_sessions;
};

static const struct act set_password = {
	.name = "user.password",
	.set = "password_hash = $3",
	.new_state = "'{\"changed\":\"password\"}'",
	.ends_sessions = true,
};

static const struct act set_extension_password = {
	.name = "user.extension_password",
	.set = "extension_password = $3",
	.new_state = "'{\"changed\":\"extension_password\"}'",
};

static const struct act set_role = {
	.name = "user.role",
	.set = "role = $3",
	.old_state = "json_build_object('role', done.old_role)::text",
	.new_state = "json_build_object('role', done.role)::text",
	.ends_sessions = true,
};

static const struct act renew_profile = {
	.name = "user.profile",
	.set = "profile = trunkline.next_id()",
	.old_state = "json_build_object('profile', done.old_profile)::text",
	.new_state = "json_build_object('profile', done.profile)::text",
};

/* One request, in the call's arena. */
struct work {
	struct ask ask;
	const struct act *act;
	int64_t id;
	struct slice password;
};

static struct work *work_new(void *service, struct bus_call *call,
			     const struct act *act, int64_t id)
{
	struct work *work = resource_service_ask(service, call, sizeof(*work));

	work->act = act;
	work->id = id;
	ask_id(&work->ask, id);
	ask_tenant(&work->ask);
	return work;
}

/* ---- the change ---- */

static void on_changed(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct work *work = arg;
	const struct resource_service *service = work->ask.service;

	if (error) {
		resource_refuse(&user_resource, work->ask.call, error);
		return;
	}
	if (!ask_found(&work->ask, result, NULL))
		return;
	const int64_t version = database_int(result, 0, 0);

	resource_tell(service->events, &user_resource, work->id, version,
		      EVENT_UPDATED);
	if (work->act->ends_sessions)
		ask_end_sessions(&work->ask, service->cache, work->id,
				 (uint64_t)version);
	else
		bus_reply_ok(work->ask.call, (uint64_t)version);
}

static void change(struct work *work)
{
	const struct ask_write write = {
		.name = work->act->name,
		.with = arena_printf(
			work->ask.arena,
			"old AS (SELECT id, role, profile FROM tenant.users "
			"WHERE id = $1 AND tenant_id = $2 FOR UPDATE), "
			"done AS (UPDATE tenant.users t SET %s, "
			"version = t.version + 1, updated_at = now() FROM old "
			"WHERE t.id = old.id RETURNING t.id, t.name, "
			"t.version, t.role, t.profile, old.role AS old_role, "
			"old.profile AS old_profile)",
			work->act->set),
		.answer = "SELECT version FROM done",
		.audit = {.action = "UPDATE",
			  .object_type = user_resource.audit,
			  .object_id = "done.id",
			  .object_name = "done.name",
			  .old_state = work->act->old_state,
			  .new_state = work->act->new_state,
			  .source = "done"},
	};

	ask_write(&work->ask, &write, on_changed);
}

/* ---- passwords ---- */

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct work *work = arg;

	if (!good) {
		bus_reply_code(work->ask.call, ERR_INTERNAL);
		return;
	}
	ask_slice(&work->ask, slice_str(hash));
	change(work);
}

/* Columns of the owner, behind those of the rules. */
enum { OWNER = PASSWORD_RULES_COLUMN_COUNT };

static void on_rules(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct work *work = arg;
	const struct resource_service *service = work->ask.service;
	struct password_policy policy;
	struct err err = {0};

	if (!ask_found(&work->ask, result, error))
		return;
	const struct password_owner owner = {
		.name = database_cell(result, 0, OWNER),
		.extension_number = database_cell(result, 0, OWNER + 1),
		.email = database_cell(result, 0, OWNER + 2),
		.display_name = database_cell(result, 0, OWNER + 3),
	};

	password_rules_load(result, &policy);
	if (password_rules_check(&policy, &owner, work->password, "password",
				 &err) != ERR_OK) {
		bus_reply_error(work->ask.call, &err);
		return;
	}
	if (work->act == &set_password) {
		passwords_hash(service->passwords, work->ask.call,
			       work->password, on_hashed, work);
		return;
	}
	ask_text(&work->ask, secrets_seal_dup(service->key, work->password,
					      work->ask.arena));
	change(work);
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
	ask_run(&work->ask, DATABASE_READ, "user.password_rules",
		"SELECT " PASSWORD_RULES_COLUMNS
		", u.name, u.extension_number, u.email, u.display_name "
		"FROM tenant.users u "
		"JOIN tenant.password_policies p ON p.id = u.tenant_id "
		"WHERE u.id = $1 AND u.tenant_id = $2",
		on_rules);
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

	ask_slice(&work->ask, args[USER_ROLE_ROLE].string);
	change(work);
}

void user_profile(void *service, struct bus_call *call)
{
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	change(work_new(service, call, &renew_profile, args[ID_ID].integer));
}
