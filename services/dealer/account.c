#include "services/dealer/account.h"

#include "proto/resources/dealers.h"
#include "services/common/audit.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/resource_service.h"
#include "services/common/session.h"

#include <inttypes.h>

/* Of a statement about one dealer: its id, that of the dealer who asks for it
 * (null: it asks for itself, or is an administrator), what it is changed to,
 * and the password's hash as it was (null: whatever it was). */
enum {
	PARAM_ID,
	PARAM_ABOVE,
	PARAM_NEW,
	PARAM_OLD,
	PARAM_AUDIT,
	PARAMS = PARAM_AUDIT + AUDIT_PARAMS
};

/* The dealers a caller may change. */
#define IN_SCOPE                                                               \
	"t.id = $1 AND ($2::bigint IS NULL OR "                                \
	"(t.path @> ARRAY[$2::bigint] AND t.id <> $2 AND EXISTS ("             \
	"SELECT FROM dealer.dealers me WHERE me.id = $2 AND me.enabled)))"

/* One change of an account, in the arena of its call; its texts are views into
 * the request. */
struct change {
	struct resource_service *service;
	struct bus_call *call;
	int64_t id;
	struct slice old_password;
	struct slice new_password;
	const char *field; /* of the new password */
	const char *params[PARAMS];
	uint64_t version; /* of the row, once changed */
};

static struct change *change_new(void *service, struct bus_call *call,
				 int64_t id)
{
	struct arena *arena = bus_call_arena(call);
	struct change *change = arena_alloc(arena, sizeof(*change));

	change->service = service;
	change->call = call;
	change->id = id;
	change->params[PARAM_ID] = arena_printf(arena, "%" PRId64, id);
	audit_params(bus_call_request(call), arena,
		     &change->params[PARAM_AUDIT]);
	return change;
}

static void run(struct change *change, enum database_lane lane,
		const char *name, const char *sql, size_t param_count,
		database_done_fn *done)
{
	database_run(change->service->database,
		     &(struct database_statement){
			     .lane = lane,
			     .name = name,
			     .sql = sql,
			     .params = change->params,
			     .param_count = param_count,
			     .deadline_ms = bus_call_left_ms(change->call),
			     .done = done,
			     .arg = change,
		     });
}

/* An update of the row, its audit row with it, that answers the version. set
 * has the new value as $3. */
static void run_update(struct change *change, const char *name, const char *set,
		       const char *old_state, const char *new_state,
		       database_done_fn *done)
{
	const struct audit audit = {
		.action = "UPDATE",
		.object_type = dealer_resource.audit,
		.object_id = "done.id",
		.object_name = "done.name",
		.old_state = old_state,
		.new_state = new_state,
		.source = "done",
	};
	struct buffer sql = {0};

	buffer_printf(&sql,
		      "WITH old AS (SELECT t.id, t.name FROM dealer.dealers t "
		      "WHERE " IN_SCOPE " AND t.password_hash = "
		      "coalesce($4::text, t.password_hash) FOR UPDATE), "
		      "done AS (UPDATE dealer.dealers t SET %s, "
		      "version = t.version + 1, updated_at = now() FROM old "
		      "WHERE t.id = old.id RETURNING t.id, t.name, t.version, "
		      "old.name AS old_name)",
		      set);
	audit_append(&sql, PARAM_AUDIT + 1, &audit);
	buffer_append_str(&sql, " SELECT version FROM done");

	const char *text =
		arena_strdup(bus_call_arena(change->call), buffer_slice(&sql));

	buffer_fini(&sql);
	run(change, DATABASE_WRITE, name, text, PARAMS, done);
}

static void log_change(const struct change *change, enum log_level level,
		       const char *event)
{
	const struct request *request = bus_call_request(change->call);

	log_event(level, event, LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_INT("id", change->id),
		  LOG_SLICE("address", request->principal.address));
}

static void refuse(struct change *change, enum err_code code, const char *text)
{
	struct err err = {0};

	err_set(&err, code, "%s", text);
	bus_reply_error(change->call, &err);
}

/* Tells of the change that is committed. */
static void publish(struct change *change, const struct database_result *result)
{
	change->version = (uint64_t)database_int(result, 0, 0);

	const struct event event = {.resource = slice_str(dealer_resource.name),
				    .id = change->id,
				    .version = change->version,
				    .kind = EVENT_UPDATED};

	events_publish(change->service->events, &event);
}

/* False: there is no such dealer for the caller, or that is not known, and the
 * call was answered. */
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

/* ---- the name ---- */

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
	log_change(change, LOG_INFO, "dealer.renamed");
	publish(change, result);
	bus_reply_ok(change->call, change->version);
}

void account_own_username(void *service, struct bus_call *call)
{
	struct value values[DEALER_OWN_USERNAME_FIELDS];

	if (!bus_call_args(call, &dealer_own_username_record, values))
		return;

	struct change *change = change_new(
		service, call, bus_call_request(call)->principal.dealer_id);

	change->params[PARAM_NEW] = arena_strdup(
		bus_call_arena(call), values[DEALER_OWN_USERNAME_NAME].string);
	run_update(change, "dealer.own_username", "name = $3::text",
		   "jsonb_build_object('name', done.old_name)::text",
		   "jsonb_build_object('name', done.name)::text", on_renamed);
}

/* ---- the password ---- */

static void on_sessions_ended(void *arg, enum err_code code)
{
	struct change *change = arg;

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

	if (!error && database_rows(result) == 0 && change->params[PARAM_OLD]) {
		refuse(change, ERR_CONFLICT,
		       "the password was changed meanwhile");
		return;
	}
	if (!found(change, result, error))
		return;
	log_change(change, LOG_INFO, "dealer.password_changed");
	publish(change, result);
	session_end_all(change->service->cache, change->id,
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
	change->params[PARAM_NEW] =
		arena_strdup(bus_call_arena(change->call), slice_str(hash));
	run_update(change, "dealer.password", "password_hash = $3::text", NULL,
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
	bus_reply_error(change->call, &err);
	return false;
}

static void on_seen(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct change *change = arg;

	if (found(change, result, error) && policy_holds(change))
		passwords_hash(change->service->passwords, change->call,
			       change->new_password, on_hashed, change);
}

/* Hashing is dear: first, whether the caller may. */
void account_password(void *service, struct bus_call *call)
{
	const struct principal *who = &bus_call_request(call)->principal;
	struct value values[DEALER_PASSWORD_FIELDS];

	if (!bus_call_args(call, &dealer_password_args_record, values))
		return;

	struct change *change =
		change_new(service, call, values[DEALER_PASSWORD_ID].integer);

	change->new_password = values[DEALER_PASSWORD_PASSWORD].string;
	change->field = "password";
	if (principal_acts(who) == PRINCIPAL_DEALER)
		change->params[PARAM_ABOVE] = arena_printf(
			bus_call_arena(call), "%" PRId64, who->dealer_id);
	run(change, DATABASE_READ, "dealer.password_seen",
	    "SELECT 1 FROM dealer.dealers t WHERE " IN_SCOPE, PARAM_ABOVE + 1,
	    on_seen);
}

static void on_old_checked(void *arg, bool good, const char *hash)
{
	struct change *change = arg;
	struct err err = {0};

	(void)hash;
	if (good) {
		passwords_hash(change->service->passwords, change->call,
			       change->new_password, on_hashed, change);
		return;
	}
	log_change(change, LOG_WARN, "dealer.password_refused");
	err_field(&err, "old_password", "is not the password");
	bus_reply_error(change->call, &err);
}

static void on_hash_found(void *arg, const struct database_result *result,
			  const struct database_error *error)
{
	struct change *change = arg;

	if (!found(change, result, error))
		return;
	change->params[PARAM_OLD] = arena_strdup(bus_call_arena(change->call),
						 database_cell(result, 0, 0));
	passwords_check(change->service->passwords, change->call,
			change->old_password, change->params[PARAM_OLD],
			on_old_checked, change);
}

void account_own_password(void *service, struct bus_call *call)
{
	struct value values[DEALER_OWN_PASSWORD_FIELDS];

	if (!bus_call_args(call, &dealer_own_password_record, values))
		return;

	struct change *change = change_new(
		service, call, bus_call_request(call)->principal.dealer_id);

	change->old_password = values[DEALER_OWN_PASSWORD_OLD_PASSWORD].string;
	change->new_password = values[DEALER_OWN_PASSWORD_NEW_PASSWORD].string;
	change->field = "new_password";
	if (policy_holds(change))
		run(change, DATABASE_READ, "dealer.hash",
		    "SELECT password_hash FROM dealer.dealers WHERE id = $1", 1,
		    on_hash_found);
}
