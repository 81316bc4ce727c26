#include "services/system/account.h"

#include "services/common/ask.h"

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
	struct ask ask;
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

	struct arena *arena = search->ask.arena;
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
	struct search *search =
		ask_new(system, system->database, call, sizeof(*search));

	search->done = done;
	search->arg = arg;
	ask_slice(&search->ask, name);
	if (domain.data) {
		ask_slice(&search->ask, domain);
		ask_run(&search->ask, DATABASE_READ, "account_user", user_sql,
			on_found);
	} else {
		ask_run(&search->ask, DATABASE_READ, "account_operator",
			operator_sql, on_found);
	}
}

/* $1 id, $2 hash, of a user $3 the role. */
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

static const struct ask_write sign_ins[] = {
	[ADMINISTRATOR] = SIGN_IN("account_sign_in_administrator",
				  "SELECT id, name FROM system.administrators "
				  "WHERE id = $1 AND password_hash = $2"),
	[DEALER] = SIGN_IN("account_sign_in_dealer",
			   "SELECT id, name FROM dealer.dealers "
			   "WHERE id = $1 AND password_hash = $2 AND enabled"),
	[USER] = SIGN_IN("account_sign_in_user",
			 "SELECT u.id, u.name FROM " USERS
			 "WHERE u.id = $1 AND u.password_hash = $2 "
			 "AND u.role = $3 AND " USER_MAY),
};

static size_t row_of(const struct principal *principal)
{
	if (principal->kind == PRINCIPAL_SYSTEM)
		return ADMINISTRATOR;
	return principal->kind == PRINCIPAL_DEALER ? DEALER : USER;
}

void account_sign_in(struct system *system, struct bus_call *call,
		     const struct account *account, database_done_fn *done,
		     void *arg)
{
	struct ask *ask = ask_new(system, system->database, call, sizeof(*ask));

	ask->who = account->principal;
	ask->who.address = bus_call_request(call)->principal.address;
	ask->arg = arg;
	ask_id(ask, ask->who.id);
	ask_text(ask, account->password_hash);
	if (row_of(&ask->who) == USER)
		ask_slice(ask, ask->who.role);
	ask_write(ask, &sign_ins[row_of(&ask->who)], done);
}

/* $1 id, $2 the tenant it acts as, $3 the dealer that does, of a user $4 the
 * role its session has. */
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
		  "WHERE u.id = $1 AND u.role = $4 AND " USER_MAY
		  "), " MAY_ACT},
};

struct still {
	struct ask ask;
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
	struct still *still =
		ask_new(system, system->database, call, sizeof(*still));
	const size_t row = row_of(principal);

	still->done = done;
	still->arg = arg;
	ask_id(&still->ask, principal->id);
	ask_id(&still->ask, principal->acting_as);
	ask_id(&still->ask, principal->dealer_id);
	if (row == USER)
		ask_slice(&still->ask, principal->role);
	ask_run(&still->ask, DATABASE_READ, stills[row].name, stills[row].sql,
		on_still);
}

struct slice account_role(const struct principal *principal)
{
	static const struct slice acting = SLICE("Admin");

	return principal->acting_as > 0 ? acting : principal->role;
}
