#include "services/common/own_password.h"

#include "services/common/ask.h"
#include "services/common/lockout.h"
#include "services/common/log.h"

struct check {
	struct ask ask;
	struct own_password own;
	const char *hash;
	bool good;
};

static void refuse(const struct check *check)
{
	struct bus_call *call = check->ask.call;
	const struct request *request = bus_call_request(call);
	struct err err = {0};

	log_event(LOG_WARN, check->own.refused,
		  LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", request->principal.name),
		  LOG_INT("id", check->own.id),
		  LOG_SLICE("address", request->principal.address));
	err_field(&err, "old_password", "is not the password");
	bus_reply_error(call, &err);
}

static void on_told(void *arg, const struct lockout_verdict *verdict,
		    enum err_code code)
{
	const struct check *check = arg;

	if (!code && verdict->left_s > 0 && check->own.locked)
		(*check->own.locked)++;
	if (!lockout_admits(check->ask.call, verdict, code))
		return;
	if (check->good)
		check->own.right(check->own.arg, check->hash);
	else
		refuse(check);
}

static void on_checked(void *arg, bool good, const char *hash)
{
	struct check *check = arg;
	struct bus_call *call = check->ask.call;

	(void)hash;
	check->good = good;
	lockout_tell(check->own.cache,
		     bus_call_request(call)->principal.address,
		     good ? LOCKOUT_PASSED : LOCKOUT_FAILED,
		     bus_call_left_ms(call), on_told, check);
}

static void on_hash(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct check *check = arg;

	if (!ask_found(&check->ask, result, error))
		return;
	check->hash =
		arena_strdup(check->ask.arena, database_cell(result, 0, 0));
	passwords_check(check->own.passwords, check->ask.call,
			check->own.old_password, check->hash, on_checked,
			check);
}

void own_password_check(struct bus_call *call, const struct own_password *own)
{
	struct check *check =
		ask_new(NULL, own->database, call, sizeof(*check));

	check->own = *own;
	ask_id(&check->ask, own->id);
	ask_run(&check->ask, DATABASE_READ, own->name, own->sql, on_hash);
}
