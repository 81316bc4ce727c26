#include "services/dealer/rules.h"

#include "proto/resources/dealers.h"

/* What a write of tenant_full_access depends on; in the call's arena. */
struct access {
	struct ask ask;
	struct resource_change *change;
	int64_t caller; /* the dealer that asks, or 0 */
	bool lost;	/* the dealer had it, and has it no more */
};

/* "This attribute is not valid if not modified by first level dealer"
 * (document 004): it has no effect then. Refusing it would refuse whoever sends
 * back what was read. Nobody gives what it has not. */
static void settle(struct resource_change *change, bool first_level, bool has)
{
	struct value *value = &change->values[DEALER_TENANT_FULL_ACCESS];
	const bool wanted = value->kind == VALUE_NULL || value->boolean;

	if (first_level && (has || !wanted))
		return;
	if (change->kind == EVENT_CREATED)
		*value = (struct value){.kind = VALUE_BOOL, .boolean = has};
	else
		value->kind = VALUE_ABSENT;
}

static void on_access(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct access *access = arg;
	struct resource_change *change = access->change;
	const struct value *value = &change->values[DEALER_TENANT_FULL_ACCESS];

	if (error) {
		bus_reply_code(change->call, error->code);
		return;
	}
	if (access->caller)
		settle(change, database_bool(result, 0, 0),
		       database_bool(result, 0, 1));
	access->lost = database_bool(result, 0, 2) &&
		       value->kind == VALUE_BOOL && !value->boolean;
	change->own = access;
	resource_change_go_on(change);
}

/* A caller that is gone is refused by the write's guard. */
static const char access_sql[] =
	"SELECT caller.level = 'DISTRIBUTOR', caller.tenant_full_access, "
	"t.tenant_full_access FROM (VALUES ($1::bigint, $2::bigint)) "
	"asked (caller, dealer) "
	"LEFT JOIN dealer.dealers caller ON caller.id = asked.caller "
	"LEFT JOIN dealer.dealers t ON t.id = asked.dealer";

static void ask_access(struct resource_change *change, int64_t caller)
{
	struct access *access = resource_service_ask(
		change->service, change->call, sizeof(*access));

	access->change = change;
	access->caller = caller;
	ask_id(&access->ask, caller);
	ask_id(&access->ask, change->id);
	ask_run(&access->ask, DATABASE_READ, "dealer.access", access_sql,
		on_access);
}

/* False: it was answered. */
static bool password_good(struct resource_change *change)
{
	const struct value *password = &change->values[DEALER_PASSWORD];
	const struct slice account[] = {change->values[DEALER_NAME].string};
	struct err err = {0};

	if (password->kind != VALUE_STR ||
	    !password_policy_check(
		    &password_policy_operator, password->string, account,
		    change->values[DEALER_NAME].kind == VALUE_STR, "password",
		    &err))
		return true;
	bus_reply_error(change->call, &err);
	return false;
}

void rules_before(struct resource_change *change)
{
	const struct principal *who =
		&bus_call_request(change->call)->principal;

	if (!password_good(change))
		return;
	if (change->values[DEALER_TENANT_FULL_ACCESS].kind == VALUE_ABSENT)
		resource_change_go_on(change);
	else
		ask_access(change, principal_acts(who) == PRINCIPAL_DEALER
					   ? who->dealer_id
					   : 0);
}

static bool ends_sessions(const struct resource_change *change)
{
	const struct value *values = change->values;
	const struct access *access = change->own;

	if (change->kind == EVENT_CREATED)
		return false;
	if (!values)
		return true;
	return values[DEALER_PASSWORD].kind == VALUE_STR ||
	       (access && access->lost) ||
	       (values[DEALER_ENABLED].kind == VALUE_BOOL &&
		!values[DEALER_ENABLED].boolean);
}

void rules_after(struct resource_change *change)
{
	if (ends_sessions(change))
		resource_change_end_sessions(change);
	else
		resource_change_answer(change);
}
