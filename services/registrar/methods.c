#include "services/registrar/methods.h"

#include "proto/record.h"
#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/common/secrets.h"
#include "services/registrar/registrar.h"
#include "services/registrar/registrations.h"
#include "services/registrar/trunk_methods.h"
#include "services/registrar/user_methods.h"

/* Of a caller's time, for the report of a trial to get there. */
enum { TRIAL_REPLY_MS = 300 };

bool methods_known(struct registrar *registrar, struct bus_call *call)
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

void methods_status(struct bus_call *call, const char *status)
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

	if (!methods_known(registrar, call) ||
	    !bus_call_args(call, &transport_protocol_record, &protocol))
		return;
	const bool active = listeners_active(
		registrar->listeners, sip_transport_find(protocol.string));

	methods_status(call, active ? "ACTIVATED" : "DEACTIVATED");
}

static void transport_detail(void *service, struct bus_call *call)
{
	struct registrar *registrar = service;
	struct value id;

	if (!methods_known(registrar, call) ||
	    !bus_call_args(call, &id_record, &id))
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
	{"registrar.trunk_status", trunk_methods_status, READERS},
	{"registrar.trunk_registration", trunk_methods_registration, READERS},
	{"registrar.trunk_register", trunk_methods_register, READERS},
	{"registrar.trial", trial, READERS | PRINCIPAL_ADMIN},
};
