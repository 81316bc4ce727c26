#include "services/provider/status.h"

#include "proto/resources/resources.h"
#include "proto/writer.h"
#include "services/common/bus_client.h"
#include "services/common/bus_record.h"

#include <inttypes.h>
#include <stdlib.h>

/* A registrar that is away must not make the answer wait. */
enum { REGISTRAR_DEADLINE_MS = 500 };

/* One request, in the call's arena. */
struct work {
	const struct resource_service *service;
	struct bus_call *call;
	const char *params[1];
};

enum err_code status_start(struct resource_service *service, struct err *err)
{
	char *addresses = config_service_address(service->config, "registrar");
	struct bus_client *client = NULL;
	enum err_code code =
		bus_client_new(service->loop, "registrar", addresses,
			       service->metrics, &client, err);

	free(addresses);
	service->own = client;
	return code;
}

void status_stop(struct resource_service *service)
{
	bus_client_free(service->own);
}

static void on_told(void *arg, const struct reply *reply, const struct err *err)
{
	struct bus_call *call = arg;
	struct buffer *out = bus_call_body(call);

	/* The trunk is there: who does not know it yet has not registered it.
	 */
	if (err) {
		writer_map(out, 1);
		writer_text(out, "status");
		writer_text(out, "OFFLINE");
	} else {
		writer_raw(out, reply->body);
	}
	bus_reply_ok(call, 0);
}

static void on_found(void *arg, const struct database_result *result,
		     const struct database_error *error)
{
	struct work *work = arg;

	if (error || database_rows(result) == 0) {
		bus_reply_code(work->call, error ? error->code : ERR_NOT_FOUND);
		return;
	}
	struct request request = *bus_call_request(work->call);

	request.method = (struct slice)SLICE("registrar.trunk_status");
	request.deadline_ms = REGISTRAR_DEADLINE_MS;
	bus_client_call(work->service->own, BUS_READ, &request, on_told,
			work->call);
}

void status_get(void *service, struct bus_call *call)
{
	struct work *work = arena_alloc(bus_call_arena(call), sizeof(*work));
	struct value args[ID_FIELDS];

	if (!bus_call_args(call, &id_record, args))
		return;
	work->service = service;
	work->call = call;
	work->params[0] = arena_printf(bus_call_arena(call), "%" PRId64,
				       args[ID_ID].integer);
	const struct database_statement statement = {
		.lane = DATABASE_READ,
		.name = "provider.status",
		.sql = "SELECT 1 FROM provider.providers WHERE id = $1",
		.params = work->params,
		.param_count = 1,
		.deadline_ms = bus_call_left_ms(call),
		.done = on_found,
		.arg = work,
	};

	database_run(work->service->database, &statement);
}
