#include "services/system/account.h"

#include <inttypes.h>

/* The accounts of each kind: who they are, and what has to hold for them to
 * sign in. */
enum { ADMINISTRATOR, DEALER, USER };

#define USERS	 "tenant.users u JOIN tenant.tenants t ON t.id = u.tenant_id "
#define USER_MAY "u.enabled AND t.enabled AND t.deleting_at IS NULL"

/* Columns of what finds an account. */
enum { FOUND_KIND, FOUND_ID, FOUND_NAME, FOUND_HASH, FOUND_TENANT, FOUND_ROLE };

/* One statement for both, so that nothing tells one from the other. A name
 * that both have is the administrator's. Dealers' and users' names are unique
 * without case, by an index over lower(name). */
static const char operator_sql[] =
	"SELECT 0 AS kind, id, name, password_hash, NULL, 'SystemAdmin' "
	"FROM system.administrators WHERE name = $1 "
	"UNION ALL "
	"SELECT 1, id, name, password_hash, NULL, 'Dealer' "
	"FROM dealer.dealers "
	"WHERE lower(name) = lower($1::text COLLATE \"C\") AND enabled "
	"ORDER BY kind LIMIT 1";

static const char user_sql[] =
	"SELECT 2, u.id, u.name, u.password_hash, t.id, u.role FROM " USERS
	"WHERE lower(u.name) = lower($1::text COLLATE \"C\") "
	"AND t.domain = lower($2::text COLLATE \"C\") AND " USER_MAY;

struct search {
	struct bus_call *call;
	const char *params[2];
	account_fn *done;
	void *arg;
};

/* Roles of a tenant's users are texts of the tenant's making: they say what it
 * may do in the tenant, never more. */
static enum principal_kind kind_of(int64_t kind, struct slice role)
{
	if (kind == ADMINISTRATOR)
		return PRINCIPAL_SYSTEM;
	if (kind == DEALER)
		return PRINCIPAL_DEALER;
	if (slice_is(role, "Admin"))
		return PRINCIPAL_ADMIN;
	if (slice_is(role, "QueueManager"))
		return PRINCIPAL_QUEUE_MANAGER;
	return PRINCIPAL_USER;
}

static struct slice cell_dup(const struct database_result *result,
			     size_t column, struct arena *arena)
{
	const struct slice cell = database_cell(result, 0, column);

	return slice_of(arena_strdup(arena, cell), cell.size);
}

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	const struct search *search = arg;

	if (error || database_rows(result) == 0) {
		search->done(search->arg, NULL, error ? error->code : ERR_OK);
		return;
	}

	struct arena *arena = bus_call_arena(search->call);
	struct account *account = arena_alloc(arena, sizeof(*account));
	struct principal *principal = &account->principal;

	principal->id = database_int(result, 0, FOUND_ID);
	principal->name = cell_dup(result, FOUND_NAME, arena);
	principal->tenant_id = database_int(result, 0, FOUND_TENANT);
	principal->role = cell_dup(result, FOUND_ROLE, arena);
	principal->kind =
		kind_of(database_int(result, 0, FOUND_KIND), principal->role);
	if (principal->kind == PRINCIPAL_DEALER)
		principal->dealer_id = principal->id;
	account->password_hash = cell_dup(result, FOUND_HASH, arena).data;
	search->done(search->arg, account, ERR_OK);
}

void account_find(struct system *system, struct bus_call *call,
		  struct slice name, struct slice domain, account_fn *done,
		  void *arg)
{
	struct arena *arena = bus_call_arena(call);
	struct search *search = arena_alloc(arena, sizeof(*search));
	const bool of_tenant = domain.data;

	search->call = call;
	search->done = done;
	search->arg = arg;
	search->params[0] = arena_strdup(arena, name);
	search->params[1] = of_tenant ? arena_strdup(arena, domain) : NULL;
	database_run(
		system->database,
		&(struct database_statement){
			.lane = DATABASE_READ,
			.name = of_tenant ? "account_user" : "account_operator",
			.sql = of_tenant ? user_sql : operator_sql,
			.params = search->params,
			.param_count = of_tenant ? 2 : 1,
			.deadline_ms = bus_call_left_ms(call),
			.done = on_found,
			.arg = search,
		});
}

/* $1 id, $2 hash. */
#define SIGN_IN(statement, select)                                             \
	{                                                                      \
		.name = (statement), .with = "done AS (" select ")",           \
		.answer = "SELECT id FROM done",                               \
		.audit = {.action = "LOGIN",                                   \
			  .object_type = "LOGIN",                              \
			  .object_id = "done.id",                              \
			  .object_name = "done.name",                          \
			  .source = "done"},                                   \
	}

static const struct audited sign_ins[] = {
	[ADMINISTRATOR] = SIGN_IN("account_sign_in_administrator",
				  "SELECT id, name FROM system.administrators "
				  "WHERE id = $1 AND password_hash = $2"),
	[DEALER] = SIGN_IN("account_sign_in_dealer",
			   "SELECT id, name FROM dealer.dealers "
			   "WHERE id = $1 AND password_hash = $2 AND enabled"),
	[USER] = SIGN_IN("account_sign_in_user",
			 "SELECT u.id, u.name FROM " USERS
			 "WHERE u.id = $1 AND u.password_hash = $2 "
			 "AND " USER_MAY),
};

static size_t row_of(const struct principal *principal)
{
	if (principal->kind == PRINCIPAL_SYSTEM)
		return ADMINISTRATOR;
	return principal->kind == PRINCIPAL_DEALER ? DEALER : USER;
}

static const char *id_text(struct arena *arena, int64_t id)
{
	return id ? arena_printf(arena, "%" PRId64, id) : NULL;
}

void account_sign_in(struct system *system, struct bus_call *call,
		     const struct account *account, database_done_fn *done,
		     void *arg)
{
	struct arena *arena = bus_call_arena(call);
	struct principal who = account->principal;
	const char *const params[] = {id_text(arena, who.id),
				      account->password_hash};

	who.address = bus_call_request(call)->principal.address;
	audited_run(system, call, &who, &sign_ins[row_of(&who)], params, 2,
		    done, arg);
}

/* $1 id, $2 the tenant it acts as, $3 the dealer that does. */
#define MAY_ACT                                                                \
	"EXISTS (SELECT FROM system.tenant_to_act_as($2, $3) WHERE allowed)"

static const struct {
	const char *name;
	const char *sql;
} stills[] = {
	[ADMINISTRATOR] = {"account_still_administrator",
			   "SELECT EXISTS (SELECT FROM system.administrators "
			   "WHERE id = $1), " MAY_ACT},
	[DEALER] = {"account_still_dealer",
		    "SELECT EXISTS (SELECT FROM dealer.dealers "
		    "WHERE id = $1 AND enabled), " MAY_ACT},
	[USER] = {"account_still_user",
		  "SELECT EXISTS (SELECT FROM " USERS
		  "WHERE u.id = $1 AND " USER_MAY "), " MAY_ACT},
};

struct still {
	const char *params[3];
	account_still_fn *done;
	void *arg;
};

static void on_still(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	const struct still *still = arg;

	if (error)
		still->done(still->arg, false, false, error->code);
	else
		still->done(still->arg, database_bool(result, 0, 0),
			    database_bool(result, 0, 1), ERR_OK);
}

void account_still(struct system *system, struct bus_call *call,
		   const struct principal *principal, account_still_fn *done,
		   void *arg)
{
	struct arena *arena = bus_call_arena(call);
	struct still *still = arena_alloc(arena, sizeof(*still));
	const size_t row = row_of(principal);

	still->params[0] = id_text(arena, principal->id);
	still->params[1] = id_text(arena, principal->acting_as);
	still->params[2] = id_text(arena, principal->dealer_id);
	still->done = done;
	still->arg = arg;
	database_run(system->database,
		     &(struct database_statement){
			     .lane = DATABASE_READ,
			     .name = stills[row].name,
			     .sql = stills[row].sql,
			     .params = still->params,
			     .param_count = 3,
			     .deadline_ms = bus_call_left_ms(call),
			     .done = on_still,
			     .arg = still,
		     });
}

struct slice account_role(const struct principal *principal)
{
	static const struct slice acting = SLICE("Admin");

	return principal->acting_as > 0 ? acting : principal->role;
}
