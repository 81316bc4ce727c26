#include "services/tenant/status.h"

#include "proto/resources/tenants.h"
#include "proto/writer.h"
#include "services/common/bus_record.h"
#include "services/tenant/tenant.h"

/* A registrar that is away must not make the answer wait. */
enum { REGISTRAR_DEADLINE_MS = 500 };

struct status {
	struct ask ask;
	struct value values[TENANT_STATUS_FIELDS];
};

static struct value number(int64_t integer)
{
	return (struct value){.kind = VALUE_INT, .integer = integer};
}

/* {online_users}; 0: it is something else. */
static int64_t online_of(struct slice body)
{
	struct reader reader;
	int64_t online = 0;

	reader_init(&reader, body);
	for (uint32_t n = reader_map(&reader); n > 0; n--) {
		if (slice_is(reader_str(&reader), "online_users"))
			online = reader_int(&reader);
		else
			reader_value(&reader);
	}
	return reader_done(&reader) ? online : 0;
}

static void on_online(void *arg, const struct reply *reply,
		      const struct err *err)
{
	struct status *status = arg;

	status->values[TENANT_STATUS_ONLINE_USERS] =
		number(err ? 0 : online_of(reply->body));
	bus_reply_record(status->ask.call, &tenant_status_record,
			 status->values, 0);
}

static void ask_registrar(struct status *status)
{
	const struct resource_service *service = status->ask.service;
	const struct tenant *tenant = service->own;
	struct request request = *bus_call_request(status->ask.call);
	struct buffer args = {0};

	writer_map(&args, 1);
	writer_text(&args, "id");
	writer_id(&args, principal_tenant(&request.principal));
	request.method = (struct slice)SLICE("registrar.tenant_status");
	request.deadline_ms = REGISTRAR_DEADLINE_MS;
	request.principal = (struct principal){.kind = PRINCIPAL_SERVICE,
					       .name = SLICE("tenant")};
	request.args = buffer_slice(&args);
	bus_client_call(tenant->registrar, BUS_READ, &request, on_online,
			status);
	buffer_fini(&args);
}

static void on_counted(void *arg, const struct database_result *result,
		       const struct database_error *error)
{
	struct status *status = arg;
	struct value *values = status->values;

	if (!ask_found(&status->ask, result, error))
		return;
	values[TENANT_STATUS_VERSION] = (struct value){
		.kind = VALUE_STR, .string = SLICE(TRUNKLINE_VERSION)};
	values[TENANT_STATUS_LICENSED_USERS] =
		number(database_int(result, 0, 0));
	values[TENANT_STATUS_CURRENT_USERS] =
		number(database_int(result, 0, 1));
	values[TENANT_STATUS_CURRENT_TRUNKS] =
		number(database_int(result, 0, 2));
	ask_registrar(status);
}

void tenant_status(void *service, struct bus_call *call)
{
	struct status *status =
		resource_service_ask(service, call, sizeof(*status));

	ask_tenant(&status->ask);
	ask_run(&status->ask, DATABASE_READ, "tenant.status",
		"SELECT max_extensions, extension_count, "
		"tenant.trunk_count(id) FROM tenant.tenants WHERE id = $1",
		on_counted);
}
