#include "services/system/auth.h"

#include "proto/resources/resources.h"
#include "services/common/ask.h"
#include "services/common/bus_record.h"
#include "services/common/log.h"
#include "services/common/session.h"
#include "services/system/account.h"
#include "services/system/sign_in.h"

#include <time.h>

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
			    const struct session_tokens *tokens,
			    const struct principal *principal)
{
	(void)principal;
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
			       const struct principal *principal)
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
					       .string =
						       account_role(principal)},
		},
		0);
}

static void sign_in_by_name(struct system *system, struct bus_call *call,
			    sign_in_reply_fn *reply)
{
	struct value values[SIGN_IN_FIELDS];

	if (bus_call_args(call, &sign_in_record, values))
		sign_in_run(system, call,
			    &(struct sign_in_request){
				    .name = values[SIGN_IN_USERNAME].string,
				    .password = values[SIGN_IN_PASSWORD].string,
				    .domain = values[SIGN_IN_DOMAIN].string,
				    .reply = reply});
}

void auth_sign_in(void *service, struct bus_call *call)
{
	sign_in_by_name(service, call, reply_token_set);
}

void auth_login(void *service, struct bus_call *call)
{
	sign_in_by_name(service, call, reply_login_tokens);
}

/*
 * A refresh: the tokens are exchanged, then it is looked whether the account
 * may still sign in, and act as the tenant it acts as. What disables an account
 * ends its sessions; this is for what went wrong then, and for tenants that
 * changed hands meanwhile. The tokens are shown last. In the arena of its call.
 */
struct refresh {
	struct system *system;
	struct bus_call *call;
	struct session_tokens tokens;
	bool acts;
};

static void refresh_fail(struct refresh *refresh, enum err_code code)
{
	secrets_wipe(&refresh->tokens, sizeof(refresh->tokens));
	bus_reply_code(refresh->call, code);
}

static void refresh_reply(struct refresh *refresh)
{
	struct session_tokens tokens = refresh->tokens;

	secrets_wipe(&refresh->tokens, sizeof(refresh->tokens));
	reply_token_set(refresh->call, &tokens, NULL);
	secrets_wipe(&tokens, sizeof(tokens));
}

static void on_refresh_ended(void *arg, enum err_code code)
{
	struct refresh *refresh = arg;

	refresh_fail(refresh, code ? code : ERR_REFRESH);
}

static void on_acts_no_more(void *arg, enum err_code code)
{
	struct refresh *refresh = arg;

	if (code)
		refresh_fail(refresh, code);
	else
		refresh_reply(refresh);
}

static void on_refresh_still(void *arg, bool may, bool may_act,
			     enum err_code code)
{
	struct refresh *refresh = arg;
	struct cache *cache = refresh->system->cache;
	const struct slice access = slice_str(refresh->tokens.access);
	const uint32_t left_ms = bus_call_left_ms(refresh->call);

	/* The old tokens are gone: without PostgreSQL a session goes on until
	 * the next time rather than being lost. */
	if (code)
		refresh_reply(refresh);
	else if (!may)
		session_end(cache, access, left_ms, on_refresh_ended, refresh);
	else if (refresh->acts && !may_act)
		session_act_as(cache, access, 0, left_ms, on_acts_no_more,
			       refresh);
	else
		refresh_reply(refresh);
}

static void on_refresh_session(void *arg, const struct session *session,
			       enum err_code code)
{
	struct refresh *refresh = arg;

	if (code) {
		refresh_fail(refresh, code);
		return;
	}
	refresh->acts = session->principal.acting_as > 0;
	account_still(refresh->system, refresh->call, &session->principal,
		      on_refresh_still, refresh);
}

static void on_refreshed(void *arg, const struct session_tokens *tokens,
			 enum err_code code)
{
	struct refresh *refresh = arg;

	if (code) {
		bus_reply_code(refresh->call, code);
		return;
	}
	refresh->tokens = *tokens;
	session_get(refresh->system->cache, slice_str(tokens->access),
		    bus_call_left_ms(refresh->call), on_refresh_session,
		    refresh);
}

static void refresh(struct system *system, struct bus_call *call,
		    const struct value *token)
{
	struct refresh *refresh =
		arena_alloc(bus_call_arena(call), sizeof(*refresh));

	refresh->system = system;
	refresh->call = call;
	session_refresh(system->cache, token->string, bus_call_left_ms(call),
			on_refreshed, refresh);
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

	if (oauth_has(call, values, needed, 2))
		sign_in_run(
			system, call,
			&(struct sign_in_request){
				.name = values[OAUTH_TOKEN_USERNAME].string,
				.password = values[OAUTH_TOKEN_PASSWORD].string,
				.domain = values[OAUTH_TOKEN_DOMAIN].string,
				.reply = reply_token_set});
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
					.string = account_role(
						&session->principal)},
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

/* $1 id, $2 name of who signs out. */
static const struct ask_write sign_out = {
	.name = "auth_sign_out",
	.with = "done AS (SELECT $1::bigint AS id, $2::text AS name)",
	.answer = "SELECT id FROM done",
	.audit = {.action = "LOGOUT",
		  .object_type = "LOGIN",
		  .object_id = "done.id",
		  .object_name = "done.name",
		  .source = "done"},
};

static void on_sign_out_told(void *arg, const struct database_result *result,
			     const struct database_error *error)
{
	const struct ask *ask = arg;
	struct bus_call *call = ask->call;

	(void)result;
	/* The session is over all the same, and that is what was asked. */
	if (error)
		log_event(LOG_WARN, "auth.sign_out_not_audited",
			  LOG_SLICE("request",
				    bus_call_request(call)->request_id),
			  LOG_STR("error", err_text(error->code)));
	bus_reply_ok(call, 0);
}

static void on_signed_out(void *arg, enum err_code code)
{
	struct ask *ask = arg;

	if (code) {
		bus_reply_code(ask->call, code);
		return;
	}
	if (!(ask->who.kind & PRINCIPAL_SIGNED_IN)) {
		bus_reply_ok(ask->call, 0);
		return;
	}
	ask_id(ask, ask->who.id);
	ask_slice(ask, ask->who.name);
	ask_write(ask, &sign_out, on_sign_out_told);
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

	struct ask *ask = ask_new(system, system->database, call, sizeof(*ask));

	session_end(system->cache, values[ACCESS_TOKEN_ACCESS_TOKEN].string,
		    bus_call_left_ms(call), on_signed_out, ask);
}

static void reply_user(struct bus_call *call, bool force_reset)
{
	const struct principal *principal = &bus_call_request(call)->principal;

	bus_reply_record(
		call, &signed_in_user_record,
		(const struct value[SIGNED_IN_USER_FIELDS]){
			[SIGNED_IN_USER_ROLE] = {.kind = VALUE_STR,
						 .string = account_role(
							 principal)},
			/* password_verified always is as its default. */
			[SIGNED_IN_USER_PASSWORD_FORCE_RESET] =
				{.kind = VALUE_BOOL, .boolean = force_reset},
		},
		0);
}

static void on_tenant(void *arg, const struct database_result *result,
		      const struct database_error *error)
{
	const struct ask *ask = arg;

	if (error)
		bus_reply_code(ask->call, error->code);
	else
		reply_user(ask->call, database_rows(result) > 0 &&
					      database_bool(result, 0, 0));
}

/* Only a tenant asks its users to change the password they were given. */
void auth_user(void *service, struct bus_call *call)
{
	const struct system *system = service;
	const struct principal *principal = &bus_call_request(call)->principal;

	if (!(principal->kind & PRINCIPAL_TENANT)) {
		reply_user(call, false);
		return;
	}

	struct ask *ask =
		ask_new(service, system->database, call, sizeof(*ask));

	ask_id(ask, principal->tenant_id);
	ask_run(ask, DATABASE_READ, "auth_user",
		"SELECT password_force_reset FROM tenant.tenants WHERE id = $1",
		on_tenant);
}
