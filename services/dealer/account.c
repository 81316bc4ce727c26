#include "services/dealer/account.h"

#include "proto/resources/dealers.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/own_password.h"
#include "services/common/resource_service.h"

/* Of a statement about one dealer: $1 its id, $2 that of the dealer who asks
 * for it (null: it asks for itself, or is an administrator); of a change $3
 * what it is changed to, $4 the password's hash as it was (null: whatever it
 * was). */

/* The dealers a caller may change. */
#define IN_SCOPE                                                               \
	"t.id = $1 AND ($2::bigint IS NULL OR "                                \
	"(t.path @> ARRAY[$2::bigint] AND t.id <> $2 AND EXISTS ("             \
	"SELECT FROM dealer.dealers me WHERE me.id = $2 AND me.enabled)))"

/* One change of an account, in the arena of its call; its texts are views into
 * the request. */
struct change {
	struct ask ask;
	int64_t id;
	struct slice new_password;
	const char *field;    /* of the new password */
	const char *old_hash; /* or NULL */
};

static struct change *change_new(void *service, struct bus_call *call,
				 int64_t id)
{
	struct change *change =
		resource_service_ask(service, call, sizeof(*change));

	change->id = id;
	ask_id(&change->ask, id);
	return change;
}

/* An update of the row, its audit row with it, that answers the version. set
 * has the new value as $3. */
static void run_update(struct change *change, const char *name, const char *set,
		       const char *value, const char *old_state,
		       const char *new_state, database_done_fn *done)
{
	const struct ask_write write = {
		.name = name,
		.with = arena_printf(
			change->ask.arena,
			"old AS (SELECT t.id, t.name FROM dealer.dealers t "
			"WHERE " IN_SCOPE " AND t.password_hash = "
			"coalesce($4::text, t.password_hash) FOR UPDATE), "
			"done AS (UPDATE dealer.dealers t SET %s, "
			"version = t.version + 1, updated_at = now() FROM old "
			"WHERE t.id = old.id RETURNING t.id, t.name, "
			"t.version, old.name AS old_name)",
			set),
		.answer = "SELECT version FROM done",
		.audit = {.action = "UPDATE",
			  .object_type = dealer_resource.audit,
			  .object_id = "done.id",
			  .object_name = "done.name",
			  .old_state = old_state,
			  .new_state = new_state,
			  .source = "done"},
	};

	ask_text(&change->ask, value);
	ask_text(&change->ask, change->old_hash);
	ask_write(&change->ask, &write, done);
}

static void log_change(const struct change *change, const char *event)
{
	const struct request *request = bus_call_request(change->ask.call);

	log_event(LOG_INFO, event, LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_INT("id", change->id),
		  LOG_SLICE("address", request->principal.address));
}

/* Tells of the change that is committed; returns its version. */
static uint64_t publish(const struct change *change,
			const struct database_result *result)
{
	const struct resource_service *service = change->ask.service;
	const int64_t version = database_int(result, 0, 0);

	resource_tell(service->events, &dealer_resource, change->id, version,
		      EVENT_UPDATED);
	return (uint64_t)version;
}

/* ---- the name ---- */

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
	log_change(change, "dealer.renamed");
	bus_reply_ok(change->ask.call, publish(change, result));
}

void account_own_username(void *service, struct bus_call *call)
{
	struct value values[DEALER_OWN_USERNAME_FIELDS];

	if (!bus_call_args(call, &dealer_own_username_record, values))
		return;

	struct change *change = change_new(
		service, call, bus_call_request(call)->principal.dealer_id);

	ask_text(&change->ask, NULL);
	run_update(change, "dealer.own_username", "name = $3::text",
		   arena_strdup(change->ask.arena,
				values[DEALER_OWN_USERNAME_NAME].string),
		   "jsonb_build_object('name', done.old_name)::text",
		   "jsonb_build_object('name', done.name)::text", on_renamed);
}

/* ---- the password ---- */

static void on_stored(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	struct change *change = arg;
	const struct resource_service *service = change->ask.service;

	if (!error && database_rows(result) == 0 && change->old_hash) {
		ask_refuse(&change->ask, ERR_CONFLICT,
			   "the password was changed meanwhile");
		return;
	}
	if (!ask_found(&change->ask, result, error))
		return;
	log_change(change, "dealer.password_changed");
	ask_end_sessions(&change->ask, service->cache, change->id,
			 publish(change, result));
}

static void on_hashed(void *arg, bool good, const char *hash)
{
	struct change *change = arg;

	if (!good) {
		bus_reply_code(change->ask.call, ERR_INTERNAL);
		return;
	}
	run_update(change, "dealer.password", "password_hash = $3::text",
		   arena_strdup(change->ask.arena, slice_str(hash)), NULL,
		   "'{\"password\": \"changed\"}'", on_stored);
}

/* False: it was answered. */
static bool policy_holds(struct change *change)
{
	struct err err = {0};

	if (!password_policy_check(&password_policy_operator,
				   change->new_password, NULL, 0, change->field,
				   &err))
		return true;
	bus_reply_error(change->ask.call, &err);
	return false;
}

static void hash_new(struct change *change)
{
	const struct resource_service *service = change->ask.service;

	passwords_hash(service->passwords, change->ask.call,
		       change->new_password, on_hashed, change);
}

static void on_seen(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct change *change = arg;

	if (ask_found(&change->ask, result, error) && policy_holds(change))
		hash_new(change);
}

/* Hashing is dear: first, whether the caller may. */
void account_password(void *service, struct bus_call *call)
{
	struct value values[DEALER_PASSWORD_FIELDS];

	if (!bus_call_args(call, &dealer_password_args_record, values))
		return;

	struct change *change =
		change_new(service, call, values[DEALER_PASSWORD_ID].integer);

	change->new_password = values[DEALER_PASSWORD_PASSWORD].string;
	change->field = "password";
	ask_dealer(&change->ask);
	ask_run(&change->ask, DATABASE_READ, "dealer.password_seen",
		"SELECT 1 FROM dealer.dealers t WHERE " IN_SCOPE, on_seen);
}

static void on_old_right(void *arg, const char *hash)
{
	struct change *change = arg;

	change->old_hash = hash;
	ask_text(&change->ask, NULL);
	hash_new(change);
}

void account_own_password(void *service, struct bus_call *call)
{
	struct value values[DEALER_OWN_PASSWORD_FIELDS];

	if (!bus_call_args(call, &dealer_own_password_record, values))
		return;

	const struct resource_service *dealer = service;
	struct change *change = change_new(
		service, call, bus_call_request(call)->principal.dealer_id);
	const struct own_password own = {
		.database = dealer->database,
		.cache = dealer->cache,
		.passwords = dealer->passwords,
		.name = "dealer.hash",
		.sql = "SELECT password_hash FROM dealer.dealers WHERE id = $1",
		.id = change->id,
		.old_password = values[DEALER_OWN_PASSWORD_OLD_PASSWORD].string,
		.refused = "dealer.password_refused",
		.right = on_old_right,
		.arg = change,
	};

	change->new_password = values[DEALER_OWN_PASSWORD_NEW_PASSWORD].string;
	change->field = "new_password";
	if (policy_holds(change))
		own_password_check(call, &own);
}
