#include "services/registrar/methods.h"

#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/secrets.h"
#include "services/registrar/registrar.h"
#include "services/registrar/registrations.h"
#include "services/registrar/user_methods.h"

/* What a phone or a trunk that registers here has to answer in. */
enum { BINDINGS_DEADLINE_MS = 1500 };

/* Of a caller's time, for the report of a trial to get there. */
enum { TRIAL_REPLY_MS = 300 };

/* Before the first sync nothing can be said of what is not known. */
static bool is_known(struct registrar *registrar, struct bus_call *call)
{
	struct err err;

	if (world_synced(registrar->world))
		return true;
	err_set(&err, ERR_UNAVAILABLE,
		"the registrar has not read the transports yet");
	err.retry_after_s = 1;
	bus_reply_error(call, &err);
	return false;
}

static void reply_status(struct bus_call *call, const char *status)
{
	struct buffer *out = bus_call_body(call);

	writer_map(out, 1);
	writer_text(out, "status");
	writer_text(out, status);
	bus_reply_ok(call, 0);
}

static void transport_status(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value protocol;

	if (!is_known(registrar, call) ||
	    !bus_call_args(call, &transport_protocol_record, &protocol))
		return;
	const bool active = listeners_active(
		registrar->listeners, sip_transport_find(protocol.string));

	reply_status(call, active ? "ACTIVATED" : "DEACTIVATED");
}

static void transport_detail(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value id;

	if (!is_known(registrar, call) || !bus_call_args(call, &id_record, &id))
		return;
	if (listeners_detail(registrar->listeners, id.integer,
			     bus_call_body(call))) {
		bus_reply_ok(call, 0);
		return;
	}
	bus_reply_code(call, ERR_NOT_FOUND);
}

static void registrations(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;

	registrations_answer(registrar->bindings, registrar->world, call);
}

enum { READERS = PRINCIPAL_SYSTEM | PRINCIPAL_SERVICE };

/* The trunk a call names. NULL: it was answered. */
static const struct world_trunk *named(struct registrar *registrar,
				       struct bus_call *call)
{
	struct value id;

	if (!is_known(registrar, call) || !bus_call_args(call, &id_record, &id))
		return NULL;
	const struct world_trunk *trunk =
		world_trunk_get(registrar->world, id.integer);

	if (!trunk)
		bus_reply_code(call, ERR_NOT_FOUND);
	return trunk;
}

static void on_bindings(void *arg, enum binding_outcome outcome,
			const struct binding_set *set, enum err_code code)
{
	(void)outcome;
	if (code != ERR_OK)
		bus_reply_code(arg, ERR_UNAVAILABLE);
	else
		reply_status(arg, status_online_text(set->count > 0));
}

/* A trunk that registers here is ONLINE while it is bound. */
static void accepting_status(struct registrar *registrar, struct bus_call *call,
			     const struct world_trunk *trunk)
{
	static const struct binding_change query;
	const struct world_account account = world_trunk_account(trunk);
	struct buffer aor = {0};

	if (!trunk->enabled) {
		reply_status(call, status_online_text(false));
		return;
	}
	world_aor_append(&aor, &account);
	bindings_change(registrar->bindings, buffer_slice(&aor), &query,
			BINDINGS_DEADLINE_MS, on_bindings, call);
	buffer_fini(&aor);
}

static void trunk_status(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	const struct world_trunk *settings = named(registrar, call);
	struct trunk *trunk;

	if (!settings)
		return;
	if (settings->auth == WORLD_ACCEPT_REGISTER) {
		accepting_status(registrar, call, settings);
		return;
	}
	enum err_code code =
		outbound_trunk_get(registrar->outbound, settings->id, &trunk);

	if (code == ERR_OK)
		reply_status(call, status_online_text(trunk_online(trunk)));
	else if (code == ERR_NOT_FOUND)
		reply_status(call, status_online_text(false));
	else
		bus_reply_code(call, code);
}

/* The trunk of a call that we register or watch. NULL: it was answered. */
static struct trunk *working(struct registrar *registrar, struct bus_call *call)
{
	const struct world_trunk *settings = named(registrar, call);
	struct trunk *trunk;

	if (!settings)
		return NULL;
	enum err_code code =
		outbound_trunk_get(registrar->outbound, settings->id, &trunk);

	if (code == ERR_OK)
		return trunk;
	struct err err;

	if (code == ERR_NOT_FOUND)
		err_set(&err, ERR_CONFLICT,
			"this trunk is neither registered nor watched from "
			"here: see its enabled and auth_mode");
	else
		err_code_set(&err, code);
	bus_reply_error(call, &err);
	return NULL;
}

static void trunk_registration(void *service, struct bus_call *call)
{
	struct trunk *trunk = working(service, call);
	struct trunk_status status;

	if (!trunk)
		return;
	trunk_status_get(trunk, &status);
	status_encode(&status, trunk_ladder(trunk), bus_call_body(call));
	bus_reply_ok(call, 0);
}

static void trunk_register(void *service, struct bus_call *call)
{
	struct trunk *trunk = working(service, call);
	struct err err;

	if (!trunk)
		return;
	if (trunk_register_now(trunk)) {
		bus_reply_ok(call, 0);
		return;
	}
	err_set(&err, ERR_CONFLICT,
		"this trunk does not register, or is at it");
	bus_reply_error(call, &err);
}

static void on_trial(void *arg, const struct trial_report *report)
{
	struct bus_call *call = arg;

	trial_report_encode(report, bus_call_body(call));
	bus_reply_ok(call, 0);
}

static uint32_t trial_deadline_ms(const struct bus_call *call)
{
	const uint32_t left_ms = bus_call_left_ms(call);

	return left_ms > 2 * TRIAL_REPLY_MS ? left_ms - TRIAL_REPLY_MS
					    : left_ms / 2;
}

static void trial(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct world_trunk settings;
	struct err err = {0};
	enum err_code code = trial_settings_read(
		bus_call_request(call), bus_call_arena(call), &settings, &err);

	if (code == ERR_OK) {
		char *password = (char *)settings.password;

		code = trial_start(registrar->trials, &settings,
				   trial_deadline_ms(call), on_trial, call,
				   &err);
		secrets_wipe(password, strlen(password));
	}
	if (code != ERR_OK)
		bus_reply_error(call, &err);
}

const struct bus_method registrar_methods[REGISTRAR_METHODS] = {
	{"registrar.transport_status", transport_status, READERS},
	{"registrar.transport_detail", transport_detail, READERS},
	{"registrar.registrations", registrations,
	 READERS | PRINCIPAL_ADMIN | PRINCIPAL_QUEUE_MANAGER},
	{"registrar.user_status", user_status, PRINCIPAL_SERVICE},
	{"registrar.drop_user_registration", user_registration_drop,
	 PRINCIPAL_SERVICE},
	{"registrar.tenant_status", user_tenant_status, PRINCIPAL_SERVICE},
	{"registrar.trunk_status", trunk_status, READERS},
	{"registrar.trunk_registration", trunk_registration, READERS},
	{"registrar.trunk_register", trunk_register, READERS},
	{"registrar.trial", trial, READERS | PRINCIPAL_ADMIN},
};
