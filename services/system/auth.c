#include "services/system/auth.h"

#include "proto/resources/resources.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/system/system.h"

#include <time.h>

static const char system_admin_role[] = "SystemAdmin";

/*
 * One sign-in:
 *
 *   ASKED    may this address try?       Redis
 *   FOUND    whose name is it?           PostgreSQL
 *   CHECKED  is it the password?         pool
 *   TOLD     counted, or cleared         Redis
 *   MADE     a session                   Redis
 *
 * Each step ends in the on_...() that begins the next one, or answers. In the
 * arena of its call; its texts are views into the request.
 */
struct sign_in {
	struct system *system;
	struct bus_call *call;
	const struct record *answer; /* token_set_ or login_tokens_record */
	struct slice name;
	struct slice password;
	bool of_tenant; /* with a domain */
	bool good;	/* the password */
	const char *params[1];
	struct principal principal;
};

static struct sign_in *sign_in_new(struct system *system, struct bus_call *call,
				   const struct record *answer)
{
	struct sign_in *sign_in =
		arena_alloc(bus_call_arena(call), sizeof(*sign_in));

	sign_in->system = system;
	sign_in->call = call;
	sign_in->answer = answer;
	return sign_in;
}

static int64_t seconds_until(int64_t time_s)
{
	const int64_t left = time_s - time(NULL);

	return left > 0 ? left : 0;
}

static struct value str_value(const char *text)
{
	return (struct value){.kind = VALUE_STR, .string = slice_str(text)};
}

static struct value int_value(int64_t number)
{
	return (struct value){.kind = VALUE_INT, .integer = number};
}

static void reply_token_set(struct bus_call *call,
			    const struct session_tokens *tokens)
{
	bus_reply_record(
		call, &token_set_record,
		(const struct value[TOKEN_SET_FIELDS]){
			[TOKEN_SET_TOKEN_TYPE] = str_value("Bearer"),
			[TOKEN_SET_ACCESS_TOKEN] = str_value(tokens->access),
			[TOKEN_SET_REFRESH_TOKEN] = str_value(tokens->refresh),
			[TOKEN_SET_EXPIRES_IN] =
				int_value(seconds_until(tokens->expires_at)),
		},
		0);
}

static void reply_login_tokens(struct bus_call *call,
			       const struct session_tokens *tokens,
			       struct slice role)
{
	bus_reply_record(
		call, &login_tokens_record,
		(const struct value[LOGIN_TOKENS_FIELDS]){
			[LOGIN_TOKENS_TOKEN_TYPE] = str_value("Bearer"),
			[LOGIN_TOKENS_ACCESS_TOKEN] = str_value(tokens->access),
			[LOGIN_TOKENS_REFRESH_TOKEN] =
				str_value(tokens->refresh),
			[LOGIN_TOKENS_EXPIRES_AT] =
				int_value(tokens->expires_at),
			[LOGIN_TOKENS_EXPIRES_IN] =
				int_value(seconds_until(tokens->expires_at)),
			[LOGIN_TOKENS_ROLE] = {.kind = VALUE_STR,
					       .string = role},
		},
		0);
}

static void log_sign_in(const struct sign_in *sign_in, enum log_level level,
			const char *event)
{
	const struct request *request = bus_call_request(sign_in->call);

	log_event(level, event, LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", sign_in->name),
		  LOG_SLICE("address", request->principal.address));
}

static void on_made(void *arg, const struct session_tokens *tokens,
		    enum err_code code)
{
	struct sign_in *sign_in = arg;

	if (code) {
		bus_reply_code(sign_in->call, code);
		return;
	}
	sign_in->system->signed_in++;
	log_sign_in(sign_in, LOG_INFO, "auth.signed_in");
	if (sign_in->answer == &login_tokens_record)
		reply_login_tokens(sign_in->call, tokens,
				   sign_in->principal.role);
	else
		reply_token_set(sign_in->call, tokens);
}

static void refuse_wrong(struct sign_in *sign_in, bool filled)
{
	sign_in->system->refused++;
	log_sign_in(sign_in, LOG_WARN, "auth.refused");
	if (filled)
		log_sign_in(sign_in, LOG_WARN, "auth.locked");
	bus_reply_code(sign_in->call, ERR_SIGN_IN);
}

static void on_told(void *arg, const struct lockout_verdict *verdict,
		    enum err_code code)
{
	struct sign_in *sign_in = arg;

	if (!system_admits(sign_in->system, sign_in->call, verdict, code))
		return;
	if (!sign_in->good)
		refuse_wrong(sign_in, verdict->filled);
	else
		session_create(sign_in->system->cache, &sign_in->principal,
			       bus_call_left_ms(sign_in->call), on_made,
			       sign_in);
}

static void tell(struct sign_in *sign_in, enum lockout_event event,
		 lockout_fn *done)
{
	const struct request *request = bus_call_request(sign_in->call);

	lockout_tell(sign_in->system->cache, request->principal.address, event,
		     bus_call_left_ms(sign_in->call), done, sign_in);
}

static void on_checked(void *arg, bool good, const char *hash)
{
	struct sign_in *sign_in = arg;

	(void)hash;
	system_hash_done(sign_in->system);
	sign_in->good = good;
	tell(sign_in, good ? LOCKOUT_PASSED : LOCKOUT_FAILED, on_told);
}

/* hash NULL: an unknown name, which takes as long. */
static void check(struct sign_in *sign_in, const char *hash)
{
	system_hash_check(sign_in->system, sign_in->call, sign_in->password,
			  hash, on_checked, sign_in);
}

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct sign_in *sign_in = arg;
	struct principal *principal = &sign_in->principal;

	if (error) {
		bus_reply_code(sign_in->call, error->code);
		return;
	}
	if (database_rows(result) == 0) {
		check(sign_in, NULL);
		return;
	}
	principal->kind = PRINCIPAL_SYSTEM;
	principal->id = database_int(result, 0, 0);
	principal->role = slice_str(system_admin_role);
	principal->name = sign_in->name;
	principal->address = bus_call_request(sign_in->call)->principal.address;
	check(sign_in, database_cell(result, 0, 1).data);
}

static void find(struct sign_in *sign_in)
{
	sign_in->params[0] =
		arena_strdup(bus_call_arena(sign_in->call), sign_in->name);
	database_run(sign_in->system->database,
		     &(struct database_statement){
			     .lane = DATABASE_READ,
			     .name = "administrator_by_name",
			     .sql = "SELECT id, password_hash "
				    "FROM system.administrators "
				    "WHERE name = $1",
			     .params = sign_in->params,
			     .param_count = 1,
			     .deadline_ms = bus_call_left_ms(sign_in->call),
			     .done = on_found,
			     .arg = sign_in,
		     });
}

static void on_asked(void *arg, const struct lockout_verdict *verdict,
		     enum err_code code)
{
	struct sign_in *sign_in = arg;

	if (!system_admits(sign_in->system, sign_in->call, verdict, code))
		return;
	if (sign_in->of_tenant)
		/* No tenant is kept here yet, so this is no user's name. */
		check(sign_in, NULL);
	else
		find(sign_in);
}

static void sign_in_by_name(struct system *system, struct bus_call *call,
			    const struct record *answer)
{
	struct value values[SIGN_IN_FIELDS];

	if (!bus_call_args(call, &sign_in_record, values))
		return;

	struct sign_in *sign_in = sign_in_new(system, call, answer);

	sign_in->name = values[SIGN_IN_USERNAME].string;
	sign_in->password = values[SIGN_IN_PASSWORD].string;
	sign_in->of_tenant = values[SIGN_IN_DOMAIN].kind == VALUE_STR;
	tell(sign_in, LOCKOUT_ASKED, on_asked);
}

void auth_sign_in(void *service, struct bus_call *call)
{
	sign_in_by_name(service, call, &token_set_record);
}

void auth_login(void *service, struct bus_call *call)
{
	sign_in_by_name(service, call, &login_tokens_record);
}

static void on_refreshed(void *arg, const struct session_tokens *tokens,
			 enum err_code code)
{
	struct bus_call *call = arg;

	if (code)
		bus_reply_code(call, code);
	else
		reply_token_set(call, tokens);
}

static void refresh(struct system *system, struct bus_call *call,
		    const struct value *token)
{
	session_refresh(system->cache, token->string, bus_call_left_ms(call),
			on_refreshed, call);
}

void auth_refresh(void *service, struct bus_call *call)
{
	struct value values[REFRESH_FIELDS];

	if (bus_call_args(call, &refresh_record, values))
		refresh(service, call, &values[REFRESH_REFRESH_TOKEN]);
}

/* What a grant type needs and the record cannot say. */
static bool oauth_has(struct bus_call *call, const struct value *values,
		      const size_t *needed, size_t count)
{
	struct err err = {0};

	for (size_t i = 0; i < count; i++)
		if (values[needed[i]].kind != VALUE_STR)
			err_field(&err,
				  oauth_token_record.fields[needed[i]].name,
				  "is required");
	if (err.code == ERR_OK)
		return true;
	bus_reply_error(call, &err);
	return false;
}

static void oauth_by_password(struct system *system, struct bus_call *call,
			      const struct value *values)
{
	static const size_t needed[] = {OAUTH_TOKEN_USERNAME,
					OAUTH_TOKEN_PASSWORD};

	if (!oauth_has(call, values, needed, 2))
		return;

	struct sign_in *sign_in = sign_in_new(system, call, &token_set_record);

	sign_in->name = values[OAUTH_TOKEN_USERNAME].string;
	sign_in->password = values[OAUTH_TOKEN_PASSWORD].string;
	sign_in->of_tenant = values[OAUTH_TOKEN_DOMAIN].kind == VALUE_STR;
	tell(sign_in, LOCKOUT_ASKED, on_asked);
}

static void oauth_by_refresh_token(struct system *system, struct bus_call *call,
				   const struct value *values)
{
	static const size_t needed[] = {OAUTH_TOKEN_REFRESH_TOKEN};

	if (oauth_has(call, values, needed, 1))
		refresh(system, call, &values[OAUTH_TOKEN_REFRESH_TOKEN]);
}

void auth_oauth_token(void *service, struct bus_call *call)
{
	struct value values[OAUTH_TOKEN_FIELDS];

	if (!bus_call_args(call, &oauth_token_record, values))
		return;
	if (slice_is(values[OAUTH_TOKEN_GRANT_TYPE].string, "password"))
		oauth_by_password(service, call, values);
	else
		oauth_by_refresh_token(service, call, values);
}

/* GET /api/login: the token is shown again, to who showed it. */
struct session_call {
	struct bus_call *call;
	struct slice access_token;
};

static void on_session(void *arg, const struct session *session,
		       enum err_code code)
{
	const struct session_call *asked = arg;

	if (code) {
		bus_reply_code(asked->call, code);
		return;
	}
	bus_reply_record(
		asked->call, &login_record,
		(const struct value[LOGIN_FIELDS]){
			[LOGIN_ACCESS_TOKEN] = {.kind = VALUE_STR,
						.string = asked->access_token},
			[LOGIN_EXPIRES_AT] = int_value(session->expires_at),
			[LOGIN_EXPIRES_IN] =
				int_value(seconds_until(session->expires_at)),
			[LOGIN_ROLE] = {.kind = VALUE_STR,
					.string = session->principal.role},
		},
		0);
}

void auth_session(void *service, struct bus_call *call)
{
	struct system *system = service;
	struct value values[ACCESS_TOKEN_FIELDS];

	if (!bus_call_args(call, &access_token_record, values))
		return;
	if (values[ACCESS_TOKEN_ACCESS_TOKEN].kind != VALUE_STR) {
		bus_reply_code(call, ERR_UNAUTHORIZED);
		return;
	}

	struct session_call *asked =
		arena_alloc(bus_call_arena(call), sizeof(*asked));

	asked->call = call;
	asked->access_token = values[ACCESS_TOKEN_ACCESS_TOKEN].string;
	session_get(system->cache, asked->access_token, bus_call_left_ms(call),
		    on_session, asked);
}

static void on_signed_out(void *arg, enum err_code code)
{
	struct bus_call *call = arg;

	if (code)
		bus_reply_code(call, code);
	else
		bus_reply_ok(call, 0);
}

void auth_sign_out(void *service, struct bus_call *call)
{
	struct system *system = service;
	struct value values[ACCESS_TOKEN_FIELDS];

	if (!bus_call_args(call, &access_token_record, values))
		return;
	/* Without a session there is nothing to end. */
	if (values[ACCESS_TOKEN_ACCESS_TOKEN].kind != VALUE_STR) {
		bus_reply_ok(call, 0);
		return;
	}
	session_end(system->cache, values[ACCESS_TOKEN_ACCESS_TOKEN].string,
		    bus_call_left_ms(call), on_signed_out, call);
}

void auth_user(void *service, struct bus_call *call)
{
	const struct principal *principal = &bus_call_request(call)->principal;

	(void)service;
	bus_reply_record(
		call, &signed_in_user_record,
		(const struct value[SIGNED_IN_USER_FIELDS]){
			[SIGNED_IN_USER_ROLE] = {.kind = VALUE_STR,
						 .string = principal->role},
			/* The rest always is as its default. */
		},
		0);
}
