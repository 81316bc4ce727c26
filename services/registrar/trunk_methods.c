#include "services/registrar/trunk_methods.h"

#include "proto/resources/resources.h"
#include "services/common/bus_record.h"
#include "services/registrar/methods.h"
#include "services/registrar/registrar.h"

/* What a trunk that registers here has to answer in. */
enum { BINDINGS_DEADLINE_MS = 1500 };

struct ask;

/* code: outbound_trunk_get()'s; trunk: with ERR_OK. */
typedef void trunk_answer_fn(struct ask *ask,
			     const struct world_trunk *settings,
			     struct trunk *trunk, enum err_code code);

/* One call about one trunk, in its arena. */
struct ask {
	struct registrar *registrar;
	struct bus_call *call;
	trunk_answer_fn *answer;
};

/* ---- until it is known and loaded ---- */

static void reply_later(struct ask *ask)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE,
		"the registrar has not read this trunk yet");
	err.retry_after_s = 1;
	bus_reply_error(ask->call, &err);
}

static void answer(struct ask *ask, const struct world_trunk *settings,
		   waiting_fn *wait)
{
	struct outbound *outbound = ask->registrar->outbound;
	struct trunk *trunk = NULL;
	const enum err_code code =
		outbound_trunk_get(outbound, settings->id, &trunk);

	if (code == ERR_UNAVAILABLE && wait &&
	    outbound_trunk_await(outbound, settings->id, wait, ask))
		return;
	ask->answer(ask, settings, trunk, code);
}

static void on_loaded(void *arg, int64_t id, enum err_code code)
{
	struct ask *ask = arg;
	const struct world_trunk *settings =
		world_trunk_get(ask->registrar->world, id);

	if (code != ERR_OK)
		reply_later(ask);
	else if (!settings)
		bus_reply_code(ask->call, ERR_NOT_FOUND);
	else
		answer(ask, settings, NULL);
}

static void on_asked(void *arg, int64_t id, enum err_code code)
{
	struct ask *ask = arg;
	const struct world_trunk *settings =
		world_trunk_get(ask->registrar->world, id);

	if (settings)
		answer(ask, settings, on_loaded);
	else if (code != ERR_OK)
		reply_later(ask);
	else
		bus_reply_code(ask->call, ERR_NOT_FOUND);
}

static void ask_run(struct registrar *registrar, struct bus_call *call,
		    trunk_answer_fn *answer_fn)
{
	struct world *world = registrar->world;
	struct value id;

	if (!methods_known(registrar, call) ||
	    !bus_call_args(call, &id_record, &id))
		return;
	struct ask *ask = arena_alloc(bus_call_arena(call), sizeof(*ask));

	ask->registrar = registrar;
	ask->call = call;
	ask->answer = answer_fn;

	const struct world_trunk *settings = world_trunk_get(world, id.integer);

	if (settings)
		answer(ask, settings, on_loaded);
	else if (!world_trunk_ask(world, id.integer, on_asked, ask))
		reply_later(ask);
}

/* ---- status ---- */

static void on_bindings(void *arg, enum binding_outcome outcome,
			const struct binding_set *set, enum err_code code)
{
	(void)outcome;
	if (code != ERR_OK)
		bus_reply_code(arg, ERR_UNAVAILABLE);
	else
		methods_status(arg, status_online_text(set->count > 0));
}

/* A trunk that registers here is ONLINE while it is bound. */
static void accepting_status(struct ask *ask,
			     const struct world_trunk *settings)
{
	static const struct binding_change query;
	const struct world_account account = world_trunk_account(settings);
	struct buffer aor = {0};

	if (!settings->enabled) {
		methods_status(ask->call, status_online_text(false));
		return;
	}
	world_aor_append(&aor, &account);
	bindings_change(ask->registrar->bindings, buffer_slice(&aor), &query,
			BINDINGS_DEADLINE_MS, on_bindings, ask->call);
	buffer_fini(&aor);
}

static void answer_status(struct ask *ask, const struct world_trunk *settings,
			  struct trunk *trunk, enum err_code code)
{
	if (settings->auth == WORLD_ACCEPT_REGISTER)
		accepting_status(ask, settings);
	else if (code == ERR_OK)
		methods_status(ask->call,
			       status_online_text(trunk_online(trunk)));
	else if (code == ERR_NOT_FOUND)
		methods_status(ask->call, status_online_text(false));
	else
		bus_reply_code(ask->call, code);
}

void trunk_methods_status(void *service, struct bus_call *call)
{
	ask_run(service, call, answer_status);
}

/* ---- registration, register ---- */

/* True: it was answered that there is no trunk to speak of. */
static bool refused(struct ask *ask, enum err_code code)
{
	struct err err;

	if (code == ERR_OK)
		return false;
	if (code == ERR_NOT_FOUND)
		err_set(&err, ERR_CONFLICT,
			"this trunk is neither registered nor watched from "
			"here: see its enabled and auth_mode");
	else
		err_code_set(&err, code);
	bus_reply_error(ask->call, &err);
	return true;
}

static void answer_registration(struct ask *ask,
				const struct world_trunk *settings,
				struct trunk *trunk, enum err_code code)
{
	struct trunk_status status;

	(void)settings;
	if (refused(ask, code))
		return;
	trunk_status_get(trunk, &status);
	status_encode(&status, trunk_ladder(trunk), bus_call_body(ask->call));
	bus_reply_ok(ask->call, 0);
}

void trunk_methods_registration(void *service, struct bus_call *call)
{
	ask_run(service, call, answer_registration);
}

static void answer_register(struct ask *ask, const struct world_trunk *settings,
			    struct trunk *trunk, enum err_code code)
{
	struct err err;

	(void)settings;
	if (refused(ask, code))
		return;
	if (trunk_register_now(trunk)) {
		bus_reply_ok(ask->call, 0);
		return;
	}
	err_set(&err, ERR_CONFLICT,
		"this trunk does not register, or is at it");
	bus_reply_error(ask->call, &err);
}

void trunk_methods_register(void *service, struct bus_call *call)
{
	ask_run(service, call, answer_register);
}
