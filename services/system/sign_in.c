#include "services/system/sign_in.h"

#include "services/common/log.h"

/*
 * One sign-in:
 *
 *   ASKED    may this address try?          Redis
 *   FOUND    whose name is it?              PostgreSQL
 *   CHECKED  is it the password?            pool
 *   TOLD     counted, or cleared            Redis
 *   MADE     a session                      Redis
 *   KEPT     the audit row                  PostgreSQL
 *
 * Each step ends in the on_...() that begins the next one, or answers. In the
 * arena of its call.
 *
 * The session is there before the audit row, which is written only if the
 * account may still sign in with that password and in that role: whoever
 * disables it ends its sessions after the commit, and so this one, or has
 * committed before, and it ends here. Nobody holds its tokens by then.
 */
struct sign_in {
	struct system *system;
	struct bus_call *call;
	struct sign_in_request request;
	const struct account *account; /* NULL: none has the name */
	bool good;		       /* the password */
	struct session_tokens tokens;
	enum err_code refusal; /* why the session that was made ends */
};

/* The name is the account's: what was typed there may be a password. */
static void log_sign_in(const struct sign_in *sign_in, enum log_level level,
			const char *event)
{
	const struct request *request = bus_call_request(sign_in->call);
	const struct account *account = sign_in->account;

	log_event(level, event, LOG_SLICE("request", request->request_id),
		  LOG_SLICE("name", account ? account->principal.name
					    : slice_str(NULL)),
		  LOG_SLICE("domain", sign_in->request.domain),
		  LOG_SLICE("address", request->principal.address));
}

static void on_ended(void *arg, enum err_code code)
{
	struct sign_in *sign_in = arg;

	/* It ends by its TTL otherwise: its tokens were shown to nobody. */
	if (code)
		log_sign_in(sign_in, LOG_WARN, "auth.session_left");
	bus_reply_code(sign_in->call, sign_in->refusal);
}

static void withdraw(struct sign_in *sign_in, enum err_code code)
{
	sign_in->refusal = code;
	session_end(sign_in->system->cache, slice_str(sign_in->tokens.access),
		    bus_call_left_ms(sign_in->call), on_ended, sign_in);
	secrets_wipe(&sign_in->tokens, sizeof(sign_in->tokens));
}

static void on_kept(void *arg, const struct database_result *result,
		    const struct database_error *error)
{
	struct sign_in *sign_in = arg;

	if (error) {
		/* Whoever signed in is told of, or does not sign in. */
		withdraw(sign_in, ERR_UNAVAILABLE);
		return;
	}
	if (database_rows(result) == 0) {
		sign_in->system->refused++;
		log_sign_in(sign_in, LOG_WARN, "auth.refused");
		withdraw(sign_in, ERR_SIGN_IN);
		return;
	}

	struct session_tokens tokens = sign_in->tokens;

	secrets_wipe(&sign_in->tokens, sizeof(sign_in->tokens));
	sign_in->system->signed_in++;
	log_sign_in(sign_in, LOG_INFO, "auth.signed_in");
	sign_in->request.reply(sign_in->call, &tokens,
			       &sign_in->account->principal);
	secrets_wipe(&tokens, sizeof(tokens));
}

static void on_made(void *arg, const struct session_tokens *tokens,
		    enum err_code code)
{
	struct sign_in *sign_in = arg;

	if (code) {
		bus_reply_code(sign_in->call, code);
		return;
	}
	sign_in->tokens = *tokens;
	account_sign_in(sign_in->system, sign_in->call, sign_in->account,
			on_kept, sign_in);
}

static void make(struct sign_in *sign_in)
{
	struct principal principal = sign_in->account->principal;

	principal.address = bus_call_request(sign_in->call)->principal.address;
	session_create(sign_in->system->cache, &principal,
		       bus_call_left_ms(sign_in->call), on_made, sign_in);
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
	if (sign_in->good)
		make(sign_in);
	else
		refuse_wrong(sign_in, verdict->filled);
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
	sign_in->good = good;
	tell(sign_in, good ? LOCKOUT_PASSED : LOCKOUT_FAILED, on_told);
}

static void on_found(void *arg, const struct account *account,
		     enum err_code code)
{
	struct sign_in *sign_in = arg;

	if (code) {
		bus_reply_code(sign_in->call, code);
		return;
	}
	sign_in->account = account;
	/* Without a hash it takes as long: an unknown name, or a disabled one,
	 * is not told from a wrong password. */
	passwords_check(sign_in->system->passwords, sign_in->call,
			sign_in->request.password,
			account ? account->password_hash : NULL, on_checked,
			sign_in);
}

static void on_asked(void *arg, const struct lockout_verdict *verdict,
		     enum err_code code)
{
	struct sign_in *sign_in = arg;

	if (system_admits(sign_in->system, sign_in->call, verdict, code))
		account_find(sign_in->system, sign_in->call,
			     sign_in->request.name, sign_in->request.domain,
			     on_found, sign_in);
}

void sign_in_run(struct system *system, struct bus_call *call,
		 const struct sign_in_request *request)
{
	struct sign_in *sign_in =
		arena_alloc(bus_call_arena(call), sizeof(*sign_in));

	sign_in->system = system;
	sign_in->call = call;
	sign_in->request = *request;
	tell(sign_in, LOCKOUT_ASKED, on_asked);
}
