/* What the tenant service adds to the writes of users. */

#include "services/tenant/user.h"

#include "proto/resources/users.h"
#include "services/tenant/password_rules.h"

static struct slice text_of(const struct resource_change *change,
			    const char *name)
{
	const struct record *record = change->resource->record;
	const struct value *value =
		&change->values[record_find(record, slice_str(name), 0)];

	return value->kind == VALUE_STR ? value->string : (struct slice){0};
}

/* ---- before a create ---- */

static void check(const struct resource_change *change,
		  const struct password_policy *policy, const char *field,
		  struct err *err)
{
	const struct password_owner owner = {
		.name = text_of(change, "name"),
		.extension_number = text_of(change, "extension_number"),
		.email = text_of(change, "email"),
		.display_name = text_of(change, "display_name"),
	};

	password_rules_check(policy, &owner, text_of(change, field), field,
			     err);
}

static void on_rules(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct resource_change *change = arg;
	struct password_policy policy;
	struct err err = {0};

	/* A tenant that is gone takes its policy with it. */
	if (error || database_rows(result) == 0) {
		bus_reply_code(change->call,
			       error ? error->code : ERR_NOT_FOUND);
		return;
	}
	password_rules_load(result, &policy);
	check(change, &policy, "password", &err);
	check(change, &policy, "extension_password", &err);
	if (err.code != ERR_OK)
		bus_reply_error(change->call, &err);
	else
		resource_change_go_on(change);
}

void user_before(struct resource_change *change)
{
	/* An update takes no passwords: they are immutable there. */
	if (change->kind != EVENT_CREATED) {
		resource_change_go_on(change);
		return;
	}
	struct ask *ask = resource_service_ask(change->service, change->call,
					       sizeof(*ask));

	ask_tenant(ask);
	ask->arg = change;
	ask_run(ask, DATABASE_READ, "user.tenant_rules",
		"SELECT " PASSWORD_RULES_COLUMNS
		" FROM tenant.password_policies p WHERE p.id = $1",
		on_rules);
}

/* ---- after what ends sessions ---- */

static bool disables(const struct resource_change *change)
{
	const struct record *record = change->resource->record;
	const size_t enabled = record_find(record, slice_str("enabled"), 0);

	return change->kind == EVENT_UPDATED &&
	       change->values[enabled].kind == VALUE_BOOL &&
	       !change->values[enabled].boolean;
}

void user_after(struct resource_change *change)
{
	if (change->kind != EVENT_DESTROYED && !disables(change)) {
		resource_change_answer(change);
		return;
	}
	resource_change_end_sessions(change);
}
